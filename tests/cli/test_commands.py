"""The commands of `textrnn`, and their errors of one line."""

import io
import subprocess
import sys
import time

import pytest
from builders.exporting import export_unchecked
from references.command import textrnn_command

import textrnn
from textrnn import presets
from textrnn.tokenizers import ByteTokenizer


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved_models") / "tiny"
    backbone = textrnn.RecurrentBackbone(258, units=8)
    lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(ByteTokenizer()))
    presets.save_preset(lm, folder)
    export_unchecked(lm, folder)
    return folder


def test_generates_from_the_saved_model_and_the_preset_alike(model, capsys):
    status, text, _ = textrnn_command(capsys, "generate", model, "--prompt", "To be", "--max_new_tokens", 8)
    assert status == 0 and text.startswith("To be")
    _, again, _ = textrnn_command(
        capsys, "generate", model / "preset", "--prompt", "To be", "--max_new_tokens", 8
    )
    assert again == text
    _, version, _ = textrnn_command(
        capsys, "generate", model / "1", "--prompt", "To be", "--max_new_tokens", 8
    )
    assert version == text


def test_samples_differ_and_seeds_repeat(model, capsys):
    _, three, _ = textrnn_command(capsys, "generate", model, "--prompt", "a", "--samples", 3, "--seed", 5)
    assert three.count("--- ") == 3
    answers = three.split("--- ")[1:]
    assert len({answer.split("\n", 1)[1] for answer in answers}) == 3
    assert (
        textrnn_command(capsys, "generate", model, "--prompt", "a", "--samples", 3, "--seed", 5)[1] == three
    )


def test_several_prompts_and_temperatures_are_answered_in_one_start(model, capsys, tmp_path):
    (tmp_path / "prompts.txt").write_text("three\n\nfour\n")
    status, text, _ = textrnn_command(
        capsys, "generate", model, "--prompt", "one", "--prompt", "two", "--prompt", "2.5",
        "--file", tmp_path / "prompts.txt", "--temperature", 0, "--temperature", 1.5,
        "--samples", 2, "--max_new_tokens", 0,
    )  # fmt: skip
    assert status == 0
    prompts = ["one", "two", "2.5", "three", "four"]
    assert text == "".join(
        f"--- prompt {prompt!r}, temperature {temperature}, {number} of 2\n{prompt}\n"
        for prompt in prompts for temperature in (0.0, 1.5) for number in (1, 2)
    )  # fmt: skip


def test_a_continuation_ends_before_a_stop_text(model, capsys):
    options = ("--prompt", "a b", "--temperature", 2, "--max_new_tokens", 60)
    full = textrnn_command(capsys, "generate", model, *options)[1].removesuffix("\n")
    letter, digit = full[10], full[20]
    status, text, _ = textrnn_command(
        capsys, "generate", model, *options, "--stop", letter, "--stop", digit, "--stop", "b"
    )
    end = min(found for stop in (letter, digit, "b") if (found := full.find(stop, 3)) >= 0)
    assert status == 0 and text == full[:end] + "\n"


def ask(monkeypatch, capsys, model, typed, *options):
    """What the interactive command prints for what a person types."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    status, out, err = textrnn_command(capsys, "generate", model, "--interactive", *options)
    assert status == 0
    return out, err


def test_interactive_answers_line_by_line_and_empty_lines_too(model, capsys, monkeypatch):
    assert ask(monkeypatch, capsys, model, "first\n\nlast", "--max_new_tokens", 0)[0] == "first\n\nlast\n"


def test_interactive_reads_prompts_of_several_lines(model, capsys, monkeypatch):
    typed = "one\\\ntwo\\\n\nthree\n//four\nfive\\"
    out, _ = ask(monkeypatch, capsys, model, typed, "--max_new_tokens", 0)
    assert out == "one\ntwo\n\nthree\n/four\nfive\n"


def test_interactive_gives_every_answer_a_new_seed(model, capsys, monkeypatch):
    options = ("--seed", 4, "--max_new_tokens", 30)
    out, _ = ask(monkeypatch, capsys, model, "a\n/again\n/seed 4\na\n", *options)
    first, second, third = out[:-1].split("\na")
    assert "a" + second != first and "a" + third == first
    single = textrnn_command(capsys, "generate", model, "--prompt", "a", *options)[1]
    assert single == first + "\n"


def test_interactive_settings_are_changed_by_commands(model, capsys, monkeypatch):
    typed = "/max_new_tokens 0\n/samples 2\nhi\n/samples\n/temperature 0.5\n/stop \\n\n/settings\n"
    out, err = ask(monkeypatch, capsys, model, typed, "--seed", 1)
    assert out == (
        "--- 1 of 2\nhi\n--- 2 of 2\nhi\n/samples 1\n/max_new_tokens 0\n/temperature 0.5\n"
        "/top_k (the model's)\n/top_p (the model's)\n/stop ('\\n',)\n/seed 3\n"
    )
    assert "/help" in err


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("/temprature 1", "/temprature: there is no such command; /help lists them"),
        ("/temperature hot", "/temperature hot: expected a number of at least 0"),
        ("/max_new_tokens 9999", "/max_new_tokens 9999: expected an integer from 0 to 4096"),
        ("/top_p 0", "/top_p 0: expected a number above 0 and at most 1"),
        ("/again", "/again: there is no prompt yet"),
    ],
)
def test_interactive_says_what_is_wrong_with_a_command(typed, message, model, capsys, monkeypatch):
    out, err = ask(monkeypatch, capsys, model, typed)
    assert message in err and not out


@pytest.mark.parametrize("command", ["/quit", "/exit", "/quit "])
def test_interactive_ends_by_a_command(command, model, capsys, monkeypatch):
    out, err = ask(monkeypatch, capsys, model, f"a\n{command}\nb\n", "--max_new_tokens", 0)
    assert out == "a\n" and "no such command" not in err


def test_the_most_new_tokens_are_those_of_the_signature():
    from textrnn.text_generation.signatures import MAX_NEW_TOKENS
    from textrnn.types import SampleLength, conforms

    assert [conforms(MAX_NEW_TOKENS + more, SampleLength) for more in (0, 1)] == [True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--stop", "a", "--stop", ""], "--stop '': give the text before which a continuation ends"),
        (
            ["--interactive", "--temperature", 0.1, "--temperature", 0.9],
            "--interactive: give one --temperature",
        ),
        (["--max_new_tokens", 9999], "--max_new_tokens 9999: expected an integer from 0 to 4096"),
    ],
)
def test_options_of_generate_are_checked_before_the_model_is_loaded(options, message, capsys):
    status, _, error = textrnn_command(capsys, "generate", "nowhere", *options)
    assert status == 2 and message in error


def test_prompts_that_are_not_utf_8_are_repaired_with_a_warning(model, capsys):
    arguments = ("generate", model, "--max_new_tokens", 0, "--prompt", "caf\udce9 \ud83d")
    status, text, warning = textrnn_command(capsys, *arguments)
    assert (status, text) == (0, "caf\ufffd \ufffd\n")
    assert warning.startswith("warning: --prompt is not valid Unicode")


def test_prompts_of_a_file_may_have_another_encoding(model, tmp_path, capsys):
    (tmp_path / "prompts.txt").write_bytes("It’s\r\n".encode("cp1252"))
    arguments = ("generate", model, "--max_new_tokens", 0, "--file", tmp_path / "prompts.txt")
    status, _, error = textrnn_command(capsys, *arguments)
    assert status == 2 and "give --encoding cp1252" in error
    assert textrnn_command(capsys, *arguments, "--encoding", "cp1252")[1] == "It’s\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", "/no/such/model"], "/no/such/model does not exist"),
        (["generate", "."], "no model at .: give the folder of a model"),
        (["generate", "MODEL", "--top_p", "3"], "--top_p 3: expected a number above 0 and at most 1"),
        (["generate", "MODEL", "--temperature", "-1"], "--temperature -1: expected a number of at least 0"),
        (["generate", "MODEL", "--samples", "0"], "--samples 0: expected an integer of at least 1"),
        (
            ["generate", "MODEL", "--max_new_tokens", "many"],
            "--max_new_tokens many: expected an integer from 0 to 4096",
        ),
        (["generate"], "arguments are required: model\nFor the options: textrnn generate --help"),
        (["explain", "MODEL"], "arguments are required: text\nFor the options: textrnn explain --help"),
        (["dance"], "there is no command 'dance': choose one of generate, classify"),
        (["classify", "MODEL", "so", "dull"], "so dull: give it with a flag, such as --text 'so dull'"),
    ],
)
def test_invalid_arguments_are_reported_without_a_traceback(arguments, message, model, capsys):
    arguments = [str(model) if argument == "MODEL" else argument for argument in arguments]
    status, _, error = textrnn_command(capsys, *arguments)
    assert status == 2
    assert message in error and error.startswith("error: ") and "Traceback" not in error


def test_the_version(capsys):
    assert textrnn_command(capsys, "--version") == (0, f"textrnn {textrnn.__version__}\n", "")


@pytest.mark.parametrize(
    "command",
    [
        ["-m", "textrnn", "generate", "--help"],
        ["-m", "textrnn", "recipe", "sentiment", "--help"],
        ["recipes/text_generation.py", "--help"],
    ],
)
def test_help_loads_nothing_heavy(command):
    """`--help` is instant because neither TensorFlow nor Keras is imported for it."""
    script = (
        "import runpy, sys\n"
        f"sys.argv = {command!r}[{1 if command[0] == '-m' else 0}:]\n"
        "try:\n"
        + ("    runpy.run_module('textrnn', run_name='__main__')\n" if command[0] == "-m" else
           "    runpy.run_path(sys.argv[0], run_name='__main__')\n")
        + "except SystemExit as stop:\n"
        "    assert not stop.code, stop.code\n"
        "heavy = {'tensorflow', 'keras', 'jax', 'matplotlib', 'pandas', 'charset_normalizer'}\n"
        "heavy &= set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )  # fmt: skip
    start = time.perf_counter()
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert "--" in run.stdout
    assert time.perf_counter() - start < 60  # a hang, not a speed


def test_a_file_without_prompts_is_refused(model, tmp_path, capsys):
    (tmp_path / "prompts.txt").write_text("\n\n")
    status, printed, error = textrnn_command(capsys, "generate", model, "--file", tmp_path / "prompts.txt")
    assert (status, printed) == (2, "") and "prompts.txt has no prompts" in error
