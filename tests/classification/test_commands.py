"""`textrnn classify` and `explain`: several texts, tables, and bytes that are not UTF-8."""

import pytest
from references.command import textrnn_command

import textrnn
from textrnn.data.tables import read_table
from textrnn.presets import save_preset
from textrnn.tokenizers import ByteTokenizer

TEXTS = ["Dull", "A joy, really", "fine"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    preprocessor = textrnn.TextClassifierPreprocessor(ByteTokenizer(), 32)
    save_preset(
        textrnn.TextClassifier(textrnn.RecurrentEncoder(258, units=4), ["bad", "good"], preprocessor), folder
    )
    return folder / "preset"


@pytest.fixture(scope="module")
def answers(model):
    """The line that is printed about each text."""
    from textrnn.presets import load_preset
    from textrnn.tasks.registry import python_functions

    function = python_functions(load_preset(model))["serving_default"]
    import tensorflow as tf

    found = function(text=tf.constant(TEXTS))
    labels, scores = found["label"].numpy(), found["scores"].numpy().max(axis=1)
    return [f"{label.decode()}\t{score:.4f}" for label, score in zip(labels, scores, strict=True)]


def test_several_texts_are_several_texts(model, answers, capsys):
    each = [word for text in TEXTS for word in ("--text", text)]
    assert textrnn_command(capsys, "classify", model, *each) == (0, "\n".join(answers) + "\n", "")


def test_a_table_has_one_answer_a_row_and_keeps_its_columns(model, answers, tmp_path, capsys):
    path = tmp_path / "reviews.csv"
    path.write_bytes(
        "".join(f'{i},"{text}"\n' for i, text in [("id", "text"), *enumerate(TEXTS)]).encode("utf-16")
    )
    assert textrnn_command(capsys, "classify", model, "--file", path)[1].splitlines() == answers
    output = tmp_path / "answers.jsonl"
    assert textrnn_command(capsys, "classify", model, "--file", path, "--output", output)[:2] == (0, "")
    table = read_table(output)
    assert table.columns == ["id", "text", "predicted_label", "probability"]
    assert [f"{label}\t{score:.4f}" for _, (_, _, label, score) in table.rows] == answers
    assert [text for _, (_, text, _, _) in table.rows] == TEXTS


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        (
            "a.csv",
            '\ufeff"id";"text"\r\n"1";"Größe, ja"\r\n',
            "\ufeffid;text;predicted_label;probability\n1;",
        ),
        ("a.csv", "id,text\n1,Größe\n", "id,text,predicted_label,probability\n1,Größe,"),
        ("a.tsv", "\ufeffid\ttext\n1\tGröße\n", "\ufeffid,text,predicted_label,probability\n1,Größe,"),
    ],
)
def test_a_table_keeps_its_separator_and_its_mark(model, name, content, expected, tmp_path, capsys):
    output = tmp_path / "answers.csv"
    (tmp_path / name).write_bytes(content.encode("utf-8"))
    assert textrnn_command(capsys, "classify", model, "--file", tmp_path / name, "--output", output)[0] == 0
    assert output.read_bytes().decode("utf-8").startswith(expected)


def test_a_mark_and_a_compression_change_no_answer(model, answers, tmp_path, capsys):
    import gzip

    path = tmp_path / "texts.txt.gz"
    path.write_bytes(gzip.compress("\r\n".join(TEXTS).encode("utf-8-sig")))
    assert textrnn_command(capsys, "classify", model, "--file", path)[1].splitlines() == answers


def test_bytes_that_are_not_utf_8_are_replaced_with_a_warning(model, capsys):
    status, printed, warning = textrnn_command(capsys, "classify", model, "--text", "caf\udce9")
    assert (status, len(printed.splitlines())) == (0, 1)
    assert warning == "warning: text 1 is not valid Unicode: invalid bytes were replaced by \ufffd\n"
    status, printed, warning = textrnn_command(capsys, "explain", model, "caf\udce9 \ud83d")
    assert status == 0 and "caf\ufffd \ufffd" in printed
    assert "the text is not valid Unicode" in warning


def test_a_file_of_labelled_lines_has_an_answer_about_its_column(model, answers, tmp_path, capsys):
    path, output = tmp_path / "reviews.txt", tmp_path / "answers.xlsx"
    path.write_text("".join(f"good\t{text}\n" for text in TEXTS))
    options = ("--file", path, "--text_column", 2)
    assert textrnn_command(capsys, "classify", model, *options) == (0, "\n".join(answers) + "\n", "")
    pytest.importorskip("openpyxl")
    assert textrnn_command(capsys, "classify", model, *options, "--output", output) == (0, "", "")
    table = read_table(output)
    assert table.columns == ["1", "2", "predicted_label", "probability"]
    assert [values[1] for _, values in table.rows] == TEXTS


def test_an_output_is_checked_before_the_model_is_loaded(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("text,predicted_label\na,good\n")
    options = ("--file", tmp_path / "a.csv", "--output", tmp_path / "b.csv")
    status, _, error = textrnn_command(capsys, "classify", "nowhere", *options)
    assert status == 2 and "already has a column 'predicted_label', which the answers need" in error
    assert not (tmp_path / "b.csv").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--text", "a", "--file", "b.txt"], "--text and --file: give one of them"),
        (["--file", "nowhere.csv"], "there is no such file"),
        (["--text", ""], "--text '': give the text to classify"),
        (["--text", "a", "--text", " \n"], "--text ' \\n': give the text to classify"),
        (["--file", "EMPTY"], "empty.txt has no texts"),
        (["--file", "EMPTY", "--text_column", "1"], "empty.txt"),
        (["--text", "a", "--no_header"], "--no_header applies to tables: give one with --file"),
        (
            ["--file", "TABLE", "--text_column", "review"],
            "there is no 'review' among the columns 'id', 'text'",
        ),
        (["--file", "TABLE", "--output", "a.txt"], "the input is a table, so the output must be one"),
        (["--file", "TABLE", "--encoding", "utf-9"], "unknown encoding 'utf-9'"),
    ],
)
def test_invalid_options_are_reported(model, options, message, tmp_path, capsys):
    (tmp_path / "a.csv").write_text("id,text\n1,a\n")
    (tmp_path / "empty.txt").write_text("")
    files = {"TABLE": tmp_path / "a.csv", "EMPTY": tmp_path / "empty.txt"}
    options = [files.get(option, option) for option in options]
    status, _, error = textrnn_command(capsys, "classify", model, *options)
    assert status == 2 and message in error


@pytest.mark.parametrize("text", ["", " \t"])
def test_an_empty_text_is_not_explained(text, capsys):
    assert textrnn_command(capsys, "explain", "nowhere", text) == (
        2,
        "",
        f"error: text {text!r}: give the text to explain\n",
    )


def test_a_warning_comes_after_the_bar(model, tmp_path, capsys, monkeypatch):
    from textrnn.serving import classify

    monkeypatch.setattr(
        classify, "classified", lambda _, texts, __: (classify.Classified("bad", 1.0, True) for _ in texts)
    )
    (tmp_path / "texts.txt").write_text("a\nb\n")
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    output = tmp_path / "answers.txt"
    status, _, error = textrnn_command(
        capsys, "classify", model, "--file", tmp_path / "texts.txt", "--output", output
    )
    bar, warning = error.rstrip("\n").split("\n")
    assert (status, output.read_text()) == (0, "bad\t1.0000\n" * 2)
    assert "2.00/2.00" in bar and warning.startswith("warning: 2 of 2 texts are unlike")
