"""Messages of C++ libraries are hidden from users. Those of Python are not."""

import os
import platform
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from textrnn.startup import native_messages_hidden

WRITTEN = Path(__file__).parent / "fixtures" / "written_by_e136f8a"
PROGRAM = """
import sys, warnings
import textrnn
from textrnn.startup import native_messages_hidden
lm = textrnn.CausalLM.from_preset(sys.argv[1])
lm.generate("to be", max_length=8)
from textrnn.serving.saved_model import load_signatures
import tensorflow as tf
load_signatures(sys.argv[2])["serving_default"](text=tf.constant(["to be"]))
with native_messages_hidden():
    warnings.warn("a warning of Python")
"""


def as_a_user(*arguments):
    """Run Python in a fresh process without settings of the tests. Returns what it prints on stderr."""
    settings = {"TF_CPP_MIN_LOG_LEVEL", "TF_ENABLE_ONEDNN_OPTS"}
    environment = {name: value for name, value in os.environ.items() if name not in settings}
    environment["PYTHONPATH"] = str(Path(__file__).parents[1])
    done = subprocess.run(
        [sys.executable, *arguments], check=False, capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.slow
def test_a_python_program_prints_no_messages_of_libraries(tmp_path):
    with tarfile.open(WRITTEN / "saved_models.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    preset, saved_model = WRITTEN / "text_generation" / "preset", tmp_path / "text_generation"
    [line] = as_a_user("-c", PROGRAM, str(preset), str(saved_model)).splitlines()
    assert line == "<string>:11: UserWarning: a warning of Python"


def test_the_command_line_prints_no_messages_of_libraries():
    preset = WRITTEN / "text_generation" / "preset"
    code = "from textrnn.cli.commands import main; main()"
    assert as_a_user("-c", code, "generate", str(preset), "--prompt", "to be", "--max_new_tokens", "4") == ""


def test_logging_that_is_configured_later_leaves_stderr_open():
    code = (
        "from textrnn.startup import load_tensorflow; load_tensorflow(keras=False)\n"
        "import logging.config, sys; logging.config.dictConfig({'version': 1})\n"
        "print('still open', file=sys.stderr); assert 'keras' not in sys.modules"
    )
    assert as_a_user("-c", code) == "still open\n"


REUSE = """
import os, resource, sys
os.environ["NUMPY_MADVISE_HUGEPAGE"] = "0"  # how many huge pages are free depends on other programs
import numpy as np
from textrnn.startup import freed_memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones(8_000_000)  # 64 MB, freed at once
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

before = faults()
with freed_memory_kept():
    np.ones(8_000_000)
    inside = faults()
print(before, inside, faults(), file=sys.stderr)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has mallopt")
def test_freed_memory_is_used_again_and_returned_afterwards():
    before, inside, after = map(int, as_a_user("-c", REUSE).split())
    assert inside < before / 10
    assert after > before / 2


def test_native_messages_are_hidden_and_those_of_python_are_not(capfd):
    # pytest replaces `sys.stderr`, so write through a file like the one of a program.
    with open(2, "w", closefd=False) as stderr, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        with native_messages_hidden():
            os.write(2, b"native")
            print("printed", file=sys.stderr)
        assert sys.stderr is stderr
        print("after", file=sys.stderr)
    os.write(2, b"again")
    seen = capfd.readouterr().err
    assert "native" not in seen
    assert [word for word in ("printed", "after", "again") if word not in seen] == []


def test_native_messages_stay_hidden_until_the_last_thread_is_done(capfd):
    entered, leave = threading.Event(), threading.Event()

    def work():
        with native_messages_hidden():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=work)
    with pytest.raises(RuntimeError), native_messages_hidden():
        thread.start()
        entered.wait(10)
        raise RuntimeError
    os.write(2, b"hidden")
    leave.set()
    thread.join()
    os.write(2, b"visible")
    assert capfd.readouterr().err == "visible"
