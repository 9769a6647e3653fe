"""`textrnn translate`: several texts, and tables with their columns kept."""

import pytest
from references.command import textrnn_command

import textrnn
from textrnn.data.tables import read_table
from textrnn.presets import save_preset
from textrnn.tokenizers import train_tokenizer

TEXTS = ["one two", "three", "two, two"]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    words = train_tokenizer("word", ["one two three ,", "un deux trois ,"])
    backbone = textrnn.RecurrentSeq2Seq(words.vocabulary_size(), units=4)
    preprocessor = textrnn.Seq2SeqLMPreprocessor(words)
    save_preset(textrnn.Seq2SeqLM(backbone, preprocessor, textrnn.BeamSearchSampler(num_beams=2)), folder)
    return folder / "preset"


def translate(capsys, model, *arguments):
    status, printed, warnings = textrnn_command(capsys, "translate", model, "--max_new_tokens", 4, *arguments)
    assert status == 0, warnings
    return printed


def test_several_texts_and_tables_have_an_answer_each(model, tmp_path, capsys):
    each = [word for text in TEXTS for word in ("--text", text)]
    answers = translate(capsys, model, *each).splitlines()
    assert len(answers) == 3
    path = tmp_path / "texts.csv"
    path.write_bytes(
        "".join(f'"{text}";{i}\n' for text, i in [("source", "id"), *zip(TEXTS, "123", strict=True)]).encode(
            "utf-16"
        )
    )
    assert translate(capsys, model, "--file", path).splitlines() == answers
    output = tmp_path / "answers.tsv"
    assert translate(capsys, model, "--file", path, "--output", output) == ""
    table = read_table(output)
    assert table.columns == ["source", "id", "translation"]
    assert [row for _, row in table.rows] == [[*row] for row in zip(TEXTS, "123", answers, strict=True)]
    assert translate(capsys, model, "--file", path, "--output", output, "--n_best", 2) == ""
    table = read_table(output)
    assert table.columns == ["source", "id", "translation_1", "score_1", "translation_2", "score_2"]
    assert all(float(row[3]) >= float(row[5]) for _, row in table.rows)


def test_texts_that_are_not_utf_8_are_translated_with_a_warning(model, capsys):
    for text in ("one \udcff", "one \ud83d"):
        status, _, warning = textrnn_command(capsys, "translate", model, "--text", text)
        assert status == 0 and "text 1 is not valid" in warning


@pytest.mark.slow
def test_pairs_without_a_header_are_translated_as_they_are_trained_on(model, tmp_path, capsys):
    path, output = tmp_path / "pairs.tsv", tmp_path / "answers.csv"
    path.write_text("".join(f"{text}\tun\n" for text in TEXTS))
    each = [word for text in TEXTS for word in ("--text", text)]
    answers = translate(capsys, model, *each)
    assert translate(capsys, model, "--file", path) == answers
    assert translate(capsys, model, "--file", path, "--output", output) == ""
    table = read_table(output)
    assert table.columns == ["1", "2", "translation"]
    assert [values[2] for _, values in table.rows] == answers.splitlines()


@pytest.mark.parametrize(("options", "column"), [([], "translation"), (["--n_best", 2], "score_2")])
def test_an_output_is_checked_before_the_model_is_loaded(options, column, tmp_path, capsys):
    (tmp_path / "a.csv").write_text(f"text,{column}\na,b\n")
    files = ("--file", tmp_path / "a.csv", "--output", tmp_path / "b.csv")
    status, _, error = textrnn_command(capsys, "translate", "nowhere", *files, *options)
    assert status == 2 and f"already has a column '{column}', which the answers need: rename or" in error


def test_several_translations_are_those_of_as_many_beams_as_the_model_has(model, capsys):
    asked = []
    for arguments in (
        ("--n_best", 2),
        ("--n_best", 2, "--num_beams", 2),
        ("--n_best", 4),
        ("--num_beams", 2),
    ):
        asked.append(translate(capsys, model, "--text", "one two", *arguments).splitlines())
    two, as_given, four, one = asked
    assert two == as_given and len(two) == 2 and len(four) == 4
    assert two[0].split("\t")[1] == one[0]
