"""Starter models: found by name in Python, in recipes and by commands."""

import shutil

import keras
import pytest
from builders.language_models import make_lm

import textrnn
from textrnn import starters
from textrnn.presets import find_preset, load_preset, save_preset
from textrnn.starters import starter_names, starter_path


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """A folder of starter models with one language model."""
    folder = tmp_path_factory.mktemp("starters")
    preset = save_preset(make_lm("byte"), tmp_path_factory.mktemp("models") / "tiny")
    shutil.copytree(preset, folder / "tiny")
    (folder / "tiny" / "README.md").write_text("# tiny\n\nA language model for tests.\n\nLicence: none.\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starters, "FOLDER", folder)
        patch.setattr("textrnn.cli.models.FOLDER", folder)
        yield folder


def test_a_name_is_found_unless_a_folder_has_it(package, tmp_path, monkeypatch):
    assert starter_names() == ["tiny"]
    assert find_preset("tiny") == package / "tiny"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "mine.csv").write_text("text,label\n")
    assert find_preset("tiny") == package / "tiny"  # a folder of data is no model
    save_preset(make_lm("byte"), tmp_path / "tiny")
    assert starter_path("tiny") is None
    assert find_preset("tiny").resolve() == tmp_path / "tiny" / "preset"


def test_from_preset_takes_the_name(package):
    lm = textrnn.CausalLM.from_preset("tiny")
    assert lm.generate("a", max_length=5).startswith("a")
    assert type(load_preset("tiny")) is textrnn.CausalLM
    with pytest.raises(textrnn.InputError, match="tiny is a preset of a CausalLM"):
        load_preset("tiny", textrnn.TextClassifier)


def test_from_preset_takes_the_folder_of_a_model(package, tmp_path):
    save_preset(make_lm("byte"), tmp_path / "mine")
    assert type(textrnn.CausalLM.from_preset(tmp_path / "mine")) is textrnn.CausalLM


def test_from_preset_refuses_other_names_and_presets_of_other_tasks(package, tmp_path):
    with pytest.raises(
        textrnn.InputError, match=r"klingon does not exist: give .*, or a starter model: tiny$"
    ):
        textrnn.CausalLM.from_preset("klingon")
    for other in (textrnn.TextClassifier, textrnn.Seq2SeqLM):
        with pytest.raises(textrnn.InputError, match=r"tiny is a .* CausalLM: load it with CausalLM\."):
            other.from_preset("tiny")


def test_from_preset_takes_that_of_a_backbone(tmp_path):
    make_lm("byte").backbone.save_to_preset(tmp_path / "mine" / "preset")
    for given in (tmp_path / "mine" / "preset", str(tmp_path / "mine")):
        assert type(textrnn.CausalLM.from_preset(given, preprocessor=None)) is textrnn.CausalLM
    with pytest.raises(textrnn.InputError, match=r"no preset at .*: give the folder of a model"):
        textrnn.CausalLM.from_preset(tmp_path)


def test_from_preset_loads_a_class_of_ones_own(tmp_path):
    @keras.saving.register_keras_serializable("mine")
    class MyLM(textrnn.CausalLM):
        pass

    lm = make_lm("byte")
    mine = MyLM(lm.backbone, lm.preprocessor)
    mine.save_to_preset(tmp_path / "preset")
    assert type(MyLM.from_preset(tmp_path)) is MyLM
    assert type(MyLM.from_preset(save_preset(lm, tmp_path / "lm"))) is MyLM


def test_an_unknown_name_lists_the_known_ones(package):
    expected = "klingon does not exist: give the folder of a model, such as saved_models/NAME"
    with pytest.raises(textrnn.InputError, match=f"{expected}, or a starter model: tiny$"):
        load_preset("klingon")
    with pytest.raises(textrnn.InputError, match=f"{expected}$"):
        load_preset("klingon", textrnn.TextClassifier)


def test_commands_take_the_name(package, capsys, tmp_path):
    from references.command import textrnn_command

    assert textrnn_command(capsys, "models")[1].split() == [
        *("name", "task", "size", "model", "tiny", "CausalLM"),
        *textrnn_command(capsys, "models")[1].split()[6:8],
        *("A", "language", "model", "for", "tests."),
    ]
    assert textrnn_command(capsys, "models", "tiny")[1].startswith("# tiny\n")
    status, printed, _ = textrnn_command(
        capsys, "generate", "tiny", "--prompt", "ab", "--max_new_tokens", "2"
    )
    assert status == 0 and printed.startswith("ab")
    status, printed, _ = textrnn_command(capsys, "export", "tiny", "--output", str(tmp_path))
    assert status == 0 and printed == f"SavedModel {tmp_path}/tiny/1\n"
    assert (tmp_path / "tiny" / "1" / "saved_model.pb").is_file()
    assert "tiny" in (tmp_path / "models.config").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["models", "klingon"], "there is no starter model 'klingon': choose one of tiny"),
        (["generate", "klingon"], "klingon does not exist: .*, or a starter model: tiny"),
        (["export", "klingon"], "klingon does not exist: .*, or a starter model: tiny"),
        (["generate", "tinny"], "tinny does not exist: did you mean tiny\\?"),
        (["classify", "tinny", "--text", "a"], "tinny does not exist: give .* saved_models/NAME$"),
        (["serve", "tinny"], "tinny does not exist: did you mean tiny\\?"),
        (["classify", "tiny", "--text", "a"], "tiny does not classify text: its signatures are [^.]*$"),
    ],
)
def test_wrong_names_are_refused(package, capsys, arguments, message):
    import re

    from references.command import textrnn_command

    status, _, error = textrnn_command(capsys, *arguments)
    assert status in (1, 2)
    assert re.search(message, error) and "Traceback" not in error
