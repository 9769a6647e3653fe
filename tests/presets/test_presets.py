import json

import pytest
from builders.language_models import make_lm
from builders.translators import make_translator, word_tokenizers

import textrnn
from textrnn.presets import find_preset, load_preset, replace_start, save_preset


@pytest.fixture(scope="module")
def lm():
    return make_lm("byte")


def test_an_earlier_preset_is_kept_under_another_name(lm, tmp_path):
    for _ in range(3):
        save_preset(lm, tmp_path / "m")
    assert sorted(child.name for child in (tmp_path / "m").iterdir()) == ["preset", "preset-1", "preset-2"]
    assert find_preset(tmp_path / "m") == tmp_path / "m" / "preset"


def test_the_preset_that_a_model_started_from_stays_until_it_is_replaced(lm, tmp_path):
    start = save_preset(lm, tmp_path / "m")
    (start / "first").touch()
    for _ in range(2):  # a run that was resumed saves again
        waiting = save_preset(lm, tmp_path / "m", start=tmp_path / "m")
        assert {child.name for child in (tmp_path / "m").iterdir()} == {"preset", "preset.next"}
    assert (find_preset(tmp_path / "m") / "first").exists()
    load_preset(waiting)
    replace_start(waiting)
    assert {child.name for child in (tmp_path / "m").iterdir()} == {"preset", "preset-1"}
    assert (tmp_path / "m" / "preset-1" / "first").exists() and not (start / "first").exists()
    other = save_preset(lm, tmp_path / "other", start=tmp_path / "m")
    replace_start(other)
    assert [child.name for child in (tmp_path / "other").iterdir()] == ["preset"]


def test_a_preset_loads_as_the_expected_task_only(lm, tmp_path):
    save_preset(lm, tmp_path / "novel")
    sampler = textrnn.RowSampler(temperature=0.5)
    loaded = load_preset(tmp_path / "novel", textrnn.CausalLM, sampler=sampler)
    assert type(loaded) is textrnn.CausalLM
    assert loaded.default_sampler.temperature == 0.5
    with pytest.raises(
        textrnn.InputError, match=r"novel is a preset of a CausalLM: expected a preset of a TextClassifier"
    ):
        load_preset(tmp_path / "novel", textrnn.TextClassifier)


def test_a_preset_of_another_task_is_found_out_without_loading_it(lm, tmp_path):
    preset = save_preset(lm, tmp_path / "novel")
    assert find_preset(tmp_path / "novel", "CausalLM") == preset
    (preset / "model.weights.h5").unlink()
    with pytest.raises(textrnn.InputError, match=r"novel is a preset of a CausalLM: expected .* a Seq2SeqLM"):
        find_preset(tmp_path / "novel", "Seq2SeqLM")


def test_a_translator_is_no_language_model(tmp_path):
    save_preset(make_translator(word_tokenizers()), tmp_path / "to_german")
    for refused in (
        lambda: load_preset(tmp_path / "to_german", textrnn.CausalLM),
        lambda: find_preset(tmp_path / "to_german", "CausalLM"),
    ):
        with pytest.raises(textrnn.InputError, match=r"is a preset of a Seq2SeqLM: expected .* a CausalLM"):
            refused()
    with pytest.raises(textrnn.InputError, match="is a preset of a Seq2SeqLM: load it with Seq2SeqLM"):
        textrnn.CausalLM.from_preset(tmp_path / "to_german")


def test_a_folder_without_a_preset_is_refused(tmp_path):
    with pytest.raises(textrnn.InputError, match="no preset at"):
        load_preset(tmp_path)


def test_a_preset_of_another_library_is_refused(tmp_path):
    task = {"registered_name": "keras_hub>GPT2CausalLM"}
    (tmp_path / "task.json").write_text(json.dumps(task))
    with pytest.raises(textrnn.InputError, match=r"GPT2CausalLM: expected one of textrnn>CausalLM, "):
        load_preset(tmp_path)
    with pytest.raises(textrnn.InputError, match=r"is a preset of a .*GPT2CausalLM"):
        textrnn.CausalLM.from_preset(tmp_path)


@pytest.mark.parametrize(
    ("given", "near"),
    [
        ("small", "saved_models/small"),
        ("Small/", "saved_models/small"),
        ("saved_models/smal", "saved_models/small"),
        ("models/og", "models/ogg"),
        ("englis", "english"),
        ("notez", None),
        ("closet", None),
        ("models/small", "saved_models/small"),
        ("/nowhere/small", "saved_models/small"),
    ],
)
def test_a_missing_model_names_the_one_that_may_be_meant(given, near, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for preset in ("saved_models/small/preset", "models/ogg"):
        (tmp_path / preset).mkdir(parents=True)
        (tmp_path / preset / "task.json").write_text("{}")
    (tmp_path / "notes").mkdir()
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(textrnn.InputError) as refused:
        find_preset(given)
    given = given.rstrip("/")
    assert str(refused.value) == f"{given} does not exist: " + (
        f"did you mean {near}?"
        if near
        else "give the folder of a model, such as saved_models/NAME, or a starter model: "
        "english, french, german, sentiment, spanish"
    )
