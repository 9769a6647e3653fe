"""The command `textrnn serve`, in a process of its own and its errors in this one."""

import contextlib
import gc
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from builders.half_plus_two import save
from references.command import textrnn_command

from textrnn.server.server import models_of_folders, models_under


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder of models with `half` and its `models.config`."""
    from textrnn.export import write_models_config

    folder = tmp_path_factory.mktemp("saved_models")
    save(folder / "half" / "1")
    write_models_config(folder)
    return folder


ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
ENVIRONMENT |= {"PYTHONPATH": str(Path(__file__).parents[2])}


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def answer(port, model):
    body = json.dumps({"instances": [2]}).encode()
    with urllib.request.urlopen(
        f"http://127.0.0.1:{port}/v1/models/{model}:predict", body, timeout=30
    ) as found:
        return json.load(found)


def endless(port, model):
    """Count until the time is over."""
    body = json.dumps({"signature_name": "loop", "instances": [2**31 - 1]}).encode()
    with contextlib.suppress(OSError):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models/{model}:predict", body, timeout=60)


def wait_for_line(process, log, text):
    """Wait until a process has logged something, or has ended."""
    end = time.monotonic() + 120
    while text not in log.read_text() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.1)


def wait_until_running(port):
    """Wait until the server runs a request, by its metrics."""
    end = time.monotonic() + 60
    while True:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/monitoring/prometheus/metrics") as found:
            if re.search(r"in_flight\S* 1\.0", found.read().decode()):
                return
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("arguments", "model"),
    [
        ([], "half"),
        (["--model_config_file=BASE/models.config", "--enable_batching=false"], "half"),
        (["--model_name", "m", "--model_base_path", "BASE/half"], "m"),
    ],
    ids=["the folder here", "models.config", "one model"],
)
def test_it_serves_until_it_is_terminated(base, arguments, model, tmp_path):
    given = [argument.replace("BASE", str(base)) for argument in arguments]
    port = free_port()
    command = [sys.executable, "-m", "textrnn", "serve", "--rest_api_port", str(port), "--port", "0", *given]
    command += ["--rest_api_timeout_in_ms=5000"]
    log = tmp_path / "log.txt"
    (tmp_path / "saved_models").symlink_to(base)
    with log.open("w") as stderr:
        process = subprocess.Popen(command, cwd=tmp_path, stderr=stderr, env=ENVIRONMENT)
    try:
        wait_for_line(process, log, "REST http")
        calls = [threading.Thread(target=endless, args=(port, model), daemon=True) for _ in range(2)]
        for call in calls:
            call.start()
            time.sleep(0.5)  # so that they are two batches
        assert answer(port, model) == {"predictions": [3.0]}
        assert all(call.is_alive() for call in calls)  # they have kept nobody waiting
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()
    loading, first, *others = log.read_text().splitlines()
    assert loading == f"loading version 1 of {model}"
    assert re.fullmatch(rf"serving version 1 of {model}: loaded in .* s", first)
    assert others == [
        f"serving {model} on REST http://127.0.0.1:{port}",
        "stopping: requests in flight are finished",
        f"unloaded version 1 of {model}",
    ]


def test_a_signal_ends_it_while_models_are_loaded(base, capsys, monkeypatch):
    def load(models):
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError("the signal had no effect")

    monkeypatch.setattr("textrnn.server.models.Models.start", load)
    before = signal.getsignal(signal.SIGTERM)
    status, _, error = textrnn_command(capsys, "serve", base, "--port", 0, "--rest_api_port", free_port())
    assert not status and error.splitlines() == ["stopped before all models were loaded"]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize("signals", [1, 2])
def test_it_does_not_wait_for_ever_for_a_long_call(base, signals, tmp_path):
    port, log = free_port(), tmp_path / "log.txt"
    command = [sys.executable, "-m", "textrnn", "serve", base, "--rest_api_port", str(port), "--port", "0"]
    command += ["--rest_api_timeout_in_ms=600000", f"--stop_seconds={1 if signals == 1 else 600}"]
    with log.open("w") as stderr:
        process = subprocess.Popen(command, stderr=stderr, env=ENVIRONMENT)
    try:
        wait_for_line(process, log, "REST http")
        call = threading.Thread(target=endless, args=(port, "half"), daemon=True)
        call.start()
        wait_until_running(port)
        process.send_signal(signal.SIGTERM)
        if signals == 2:
            wait_for_line(process, log, "stopping")
            process.send_signal(signal.SIGTERM)
        assert process.wait(60) == (0 if signals == 1 else 128 + signal.SIGTERM)
    finally:
        process.kill()
        process.wait()
    lines = log.read_text().splitlines()
    assert lines[3] == "stopping: requests in flight are finished" and "Traceback" not in log.read_text()
    assert signals == 2 or "requests cut off after 1 s: 1" in lines


def test_garbage_is_not_sought_among_the_objects_of_imported_modules(base, capsys):
    port, frozen = free_port(), []

    def ask():
        for _ in range(600):
            with contextlib.suppress(OSError):
                answer(port, "half")
                break
            time.sleep(0.1)
        frozen.append(gc.get_freeze_count())
        os.kill(os.getpid(), signal.SIGTERM)

    asking = threading.Thread(target=ask)
    asking.start()
    gc.unfreeze()  # what conftest.py has frozen
    try:
        status, _, _ = textrnn_command(capsys, "serve", base, "--port", 0, "--rest_api_port", port)
    finally:
        asking.join()
        gc.freeze()
    assert not status
    assert frozen[0] > 100_000  # those of TensorFlow alone


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rest_api_prt", "1"], "--rest_api_prt: there is no such option; did you mean --rest_api_port?"),
        (["--grpc_max_threads", "1"], "--grpc_max_threads: there is no such option"),
        (
            ["nowhere"],
            "that of one model, or a starter model: english, french, german, sentiment, spanish\n",
        ),
        (["served/hal"], "served/hal does not exist: did you mean served/half?"),
        (["serve"], "serve does not exist: did you mean served?"),
        (
            ["served/half/preset"],
            "is a preset: serve served/half, or write its SavedModel with `textrnn export served/half/pr",
        ),
        (
            ["trained/preset"],
            "is a preset: write its SavedModel with `textrnn export trained/preset`, and serve",
        ),
        (["trained"], "trained has a preset but no SavedModel: write its SavedModel with `textrnn export tr"),
        (["."], "no model under .: train one, or name one of `textrnn models`"),
        (["--port", "0", "--rest_api_port", "0"], "--port 0, --rest_api_port 0: give one of them"),
        (["--port", "9", "--rest_api_port", "9"], "--port 9, --rest_api_port 9: give two different ports"),
        (["--port", "65536"], "--port 65536: expected an integer from 0 to 65535"),
        (["--enable_batching=maybe"], "--enable_batching maybe: expected true or false"),
        (["--model_base_path", "nowhere"], "--model_base_path nowhere: there is no such folder"),
        (["--model_config_file", "nowhere"], "cannot read nowhere: No such file or directory"),
        ([".", "--model_base_path", "."], "MODEL, --model_base_path: give one of them"),
        ([".", "--model_name", "m"], "--model_name m: it names the model of --model_base_path, which is not"),
    ],
)
def test_bad_options_are_named(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "served/half/1").mkdir(parents=True)
    for model in ("served/half", "trained"):
        (tmp_path / model / "preset").mkdir(parents=True)
        (tmp_path / model / "preset" / "task.json").write_text("{}")
    status, _, error = textrnn_command(capsys, "serve", *arguments)
    assert status == 2
    assert message in error


@pytest.mark.parametrize(("flag", "other"), [("--port", "--rest_api_port"), ("--rest_api_port", "--port")])
def test_a_port_in_use_is_an_error_before_models_are_loaded(flag, other, base, capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, error = textrnn_command(capsys, "serve", base, other, free_port(), flag, port)
    assert status == 2
    assert error == (
        f"error: {flag} {port}: cannot listen on 127.0.0.1:{port}; another server may use it. "
        "Give another port\n"
    )


def test_a_model_may_have_a_number_for_a_name(base, tmp_path):
    for name in ("2024", "half"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1").symlink_to(base / "half" / "1")
    assert [model.name for model in models_under(tmp_path)] == ["2024", "half"]
    assert [model.name for model in models_under(tmp_path / "2024")] == ["2024"]


def test_models_of_the_same_name_are_refused_at_the_start_and_noticed_later(base, tmp_path, capsys):
    (tmp_path / "more" / "half").mkdir(parents=True)
    models = models_of_folders([base, tmp_path / "more", base])
    assert [model.path for model in models()] == [base / "half"]
    (tmp_path / "more" / "half" / "1").symlink_to(base / "half" / "1")
    for _ in range(2):
        assert [model.path for model in models()] == [base / "half"]
    assert capsys.readouterr().err.count("have the same name: rename one, or serve one of them") == 1
    status, _, error = textrnn_command(capsys, "serve", base, tmp_path / "more")
    assert status == 2
    assert f"{base / 'half'} and {tmp_path / 'more' / 'half'} have the same name" in error
