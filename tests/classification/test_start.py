"""What a classifier starts from: a starter model, a preset, or random weights."""

import shutil

import numpy as np
import pytest
from builders.translators import make_translator, word_tokenizers

import textrnn
from textrnn import starters
from textrnn.classification import start
from textrnn.classification.fitting import fit_linear
from textrnn.classification.from_language_model import classifier_from
from textrnn.classification.new_classifier import new_classifier
from textrnn.classification.options import ClassificationOptions
from textrnn.classification.relabel import load_relabelled
from textrnn.classification.start import find_start, known_labels, starting_point
from textrnn.presets import save_preset
from textrnn.text_generation.options import TextGenerationOptions
from textrnn.tokenizers import SentencePieceTokenizer

ENGLISH = [f"The night was clear and cold, and {n} boats lay in the harbour." for n in range(60)]
GREEK = ["Η γάτα κάθεται στο χαλί, και ο σκύλος κοιμάται δίπλα της όλη τη νύχτα."] * 20
LABELS = ["dark", "light"]


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    """Starter models: a language model of English, and a classifier of the labels `good` and `bad`."""
    folder = tmp_path_factory.mktemp("starters")
    tokenizer = SentencePieceTokenizer.train(ENGLISH)
    backbone = textrnn.RecurrentBackbone(tokenizer.vocabulary_size(), units=4)
    lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(tokenizer))
    for name, model in (("english", lm), ("sentiment", classifier_from(lm, ["bad", "good"]))):
        shutil.copytree(save_preset(model, tmp_path_factory.mktemp("models") / name), folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(starters, "FOLDER", folder)
        yield folder


@pytest.mark.parametrize(
    ("texts", "name", "reason"),
    [
        (ENGLISH, "english", "the language model english, whose vocabulary fits the texts (1.0 times"),
        (GREEK, None, "random weights, as no starter model has the language of the texts"),
        (["ok"], None, "random weights, as the texts are too short to tell their language"),
    ],
)
def test_few_texts_start_from_a_model_of_their_language(package, texts, name, reason):
    found, why = starting_point(texts, ["a", "b"] * len(texts))
    assert found == name
    assert why.startswith(reason)


def test_few_texts_with_the_labels_of_a_classifier_start_from_it(package, capsys):
    assert known_labels("sentiment") == ["bad", "good"]
    name, why = starting_point(ENGLISH, ["good", "bad"] * 30)
    assert name == "sentiment"
    reason = (
        "the classifier sentiment, which has these labels, and whose vocabulary fits the texts (1.0 times"
    )
    assert why.startswith(reason) and why.endswith("as 60 labelled texts are few")
    assert find_start(ENGLISH, ["bad", "good"]) == ("sentiment", textrnn.TextClassifier)
    assert starting_point(ENGLISH, ["good", "bad"], classifiers=False)[0] == "english"
    assert find_start(ENGLISH, ["good", "bad"], classifiers=False) == ("english", textrnn.CausalLM)
    for labels in (["good"], ["good", "bad", "mixed"], ["Good", "Bad"]):
        assert starting_point(ENGLISH, labels)[0] == "english"
    assert starting_point(GREEK, ["good", "bad"] * 10)[0] is None


def test_many_texts_start_from_random_weights(package, monkeypatch):
    monkeypatch.setattr(start, "FEW_TEXTS", 60)
    assert starting_point(ENGLISH, LABELS)[0] is None


def test_a_preset_or_random_weights_may_be_asked_for(package, capsys):
    assert find_start(ENGLISH, LABELS) == ("english", textrnn.CausalLM)
    assert capsys.readouterr().out.startswith("starting from the language model english")
    assert find_start(ENGLISH, LABELS, "sentiment") == ("sentiment", textrnn.TextClassifier)
    assert find_start(ENGLISH, LABELS, from_scratch=True) == (None, None)
    assert capsys.readouterr().out == ""


def test_texts_in_another_language_than_that_of_the_model_are_noticed(package, capsys):
    assert find_start(GREEK, LABELS, "english") == ("english", textrnn.CausalLM)
    error = capsys.readouterr().err
    assert "the text fits the vocabulary of english badly: most lines take" in error
    assert "Start from a model of the language of the texts, or leave out --from_preset" in error
    find_start(ENGLISH, LABELS, "english")
    assert capsys.readouterr().err == ""
    estimator = textrnn.RecurrentTextClassifier(preset="english", epochs=1, ngrams=0)
    estimator.fit(GREEK[:8], ["bad", "good"] * 4)
    assert "of the language of the texts, or leave out `preset`" in capsys.readouterr().err


def test_the_starter_model_of_the_language_of_the_texts_is_named(package, monkeypatch, capsys):
    monkeypatch.setattr("textrnn.presets.closest.closest_starter", lambda texts, task: ("greek", 1.0))
    find_start(GREEK, LABELS, "english")
    assert "The starter model greek fits better: give --from_preset greek" in capsys.readouterr().err


def test_texts_in_another_language_than_those_of_a_classifier_are_noticed(tmp_path, capsys):
    shouted = [text.upper() for text in ENGLISH]  # the same to a classifier that ignores case
    for kind, expected in (("sentencepiece", [False, False, True]), ("byte", [False, False, False])):
        preset = tmp_path / kind
        save_preset(new_classifier(ENGLISH, ["bad", "good"], kind, units=4), preset)
        for texts, unfamiliar in zip((ENGLISH, shouted, GREEK), expected, strict=True):
            assert find_start(texts, LABELS, preset) == (preset, textrnn.TextClassifier)
            error = capsys.readouterr().err
            assert (f"the text fits the vocabulary of {preset} badly: most lines take" in error) is unfamiliar
            assert ("model of the language of the texts, or leave out --from_preset" in error) is unfamiliar


def test_the_estimator_starts_from_a_language_model(package):
    texts, labels = ["so dull", "a joy", "dull", "what joy"] * 6, ["bad", "good"] * 12
    estimator = textrnn.RecurrentTextClassifier(preset="english", epochs=1, ngrams=0).fit(texts, labels)
    assert estimator.model_.pooling.mode == "concat"
    assert estimator.model_.backbone.units == 4
    assert set(estimator.predict(["dull", "joy"])) <= {"bad", "good"}


def test_a_translator_is_no_language_model(tmp_path):
    save_preset(make_translator(word_tokenizers()), tmp_path)
    with pytest.raises(textrnn.InputError, match="is a preset of a Seq2SeqLM: give that of a classifier or"):
        find_start(ENGLISH, LABELS, tmp_path)
    with pytest.raises(
        textrnn.InputError, match="is a preset of a Seq2SeqLM: expected a preset of a CausalL"
    ):
        textrnn.RecurrentTextClassifier(preset=str(tmp_path)).fit(["dull", "a joy"] * 4, ["bad", "good"] * 4)


@pytest.mark.parametrize(
    ("preset", "message"),
    [
        ("klingon", "klingon does not exist: .*, or a starter model: english$"),
        ("sentiment", "sentiment is a preset of a TextClassifier: expected a preset of a CausalLM"),
        (3, "preset is 3: expected "),
    ],
)
def test_the_estimator_refuses_other_presets(package, preset, message):
    with pytest.raises(textrnn.InputError, match=message):
        textrnn.RecurrentTextClassifier(preset=preset).fit(["dull", "a joy"] * 4, ["bad", "good"] * 4)


def test_names_that_a_model_of_ones_own_has_are_not_chosen(package, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sentiment").mkdir()
    (tmp_path / "sentiment" / "good.txt").write_text("a joy")
    assert starting_point(ENGLISH, ["good", "bad"] * 30)[0] == "sentiment"
    (tmp_path / "sentiment" / "1").mkdir()
    (tmp_path / "sentiment" / "1" / "saved_model.pb").write_bytes(b"")
    assert starting_point(ENGLISH, ["good", "bad"] * 30)[0] == "english"


def test_parts_that_were_asked_for_are_made(package, capsys):
    assert find_start(ENGLISH, LABELS, parts=["--cell", "--units"]) == (None, None)
    expected = "starting from random weights, as a starter model has its own --cell, --units\n"
    assert capsys.readouterr().out == expected
    options = ClassificationOptions(cell="gru", pooling="mean", dropout=0.1, tokenizer="byte")
    assert options.start_arguments()["parts"] == ["--tokenizer", "--cell", "--pooling"]
    assert ClassificationOptions(dropout=0.1, ngrams=1).start_arguments()["parts"] == []


def test_short_texts_are_judged_together(package):
    assert starting_point([text[:12] for text in ENGLISH], LABELS)[0] == "english"
    assert starting_point([text[:9] for text in GREEK], LABELS)[0] is None


def test_rates_of_dropout_are_given_for_a_new_encoder():
    assert ClassificationOptions().start_arguments()["classifiers"]
    assert not ClassificationOptions(zoneout=0.1).start_arguments()["classifiers"]


def test_rates_that_the_cell_does_not_have_are_refused_before_it_is_adapted(tmp_path):
    lm = textrnn.CausalLM(textrnn.RecurrentBackbone(258, cell="min_gru", units=4))
    save_preset(lm, tmp_path)
    ClassificationOptions(from_preset=tmp_path, zoneout=0.1).check()
    with pytest.raises(textrnn.InputError, match=r"recurrent_dropout is 0.1, but the cell min_gru"):
        ClassificationOptions(from_preset=tmp_path, recurrent_dropout=0.1).check()


def test_what_is_for_a_language_model_needs_one():
    with pytest.raises(textrnn.InputError, match=r"--layer_rate_factor 0.5: expected a number of at least 1"):
        ClassificationOptions(layer_rate_factor=0.5)
    for preset in (None, "sentiment"):
        with pytest.raises(textrnn.InputError, match="--adapt_epochs 3: there is no language model to adapt"):
            ClassificationOptions(adapt_epochs=3).starting_from(preset, False, texts=500)
        ClassificationOptions(adapt_epochs=0).starting_from(preset, False, texts=500)


def test_a_classifier_keeps_what_a_new_one_has_by_default(capsys):
    kept = ClassificationOptions().starting_from("sentiment", False, texts=500)
    assert (kept.max_tokens, kept.dropout, kept.embedding_dropout, kept.epochs) == (None, None, None, 10)
    kept.check()  # as of a report
    assert capsys.readouterr().err == ""
    for preset, is_language_model, dropout in ((None, False, 0.5), ("english", True, 0.1)):
        options = ClassificationOptions().starting_from(preset, is_language_model, texts=500)
        assert (options.max_tokens, options.dropout) == (512, dropout)


def test_a_classifier_that_is_trained_further_gets_another_length_and_loses_its_n_grams(tmp_path):
    texts, labels = ["so dull it was", "a joy it was"], ["bad", "good"]
    classifier = new_classifier(texts, labels, "word", units=4)
    classifier.linear, classifier.network_weight = fit_linear(texts, np.array([0, 1]), 2).linear, 0.25
    save_preset(classifier, tmp_path)
    kept, weight = load_relabelled(tmp_path, labels)
    assert (kept.linear is None, kept.preprocessor.sequence_length, weight) == (False, 512, 0.25)
    changed, weight = load_relabelled(tmp_path, labels, max_tokens=3, ngrams=False)
    assert (changed.linear, changed.network_weight, weight) == (None, 1, 1)
    assert [len(tokens) for tokens in changed.preprocessor.encode(texts)] == [3, 3]
    renewed, _ = load_relabelled(tmp_path, ["angry", "happy"], max_tokens=4)
    assert renewed.preprocessor.sequence_length == 4


def test_a_language_model_of_unequal_layers_is_refused_before_it_is_adapted(tmp_path):
    lm = textrnn.CausalLM(textrnn.RecurrentBackbone(258, units=[4, 6], num_layers=2))
    save_preset(lm, tmp_path)
    with pytest.raises(
        textrnn.InputError, match=r"\[4, 6\] units: a classifier starts from one whose layers"
    ):
        ClassificationOptions(from_preset=tmp_path).check()


def test_a_warning_names_options_that_a_preset_does_not_take(tmp_path, capsys):
    preset = save_preset(textrnn.CausalLM(textrnn.RecurrentBackbone(258, units=4)), tmp_path)
    TextGenerationOptions(from_preset=preset, dropout=0.3).check()
    assert capsys.readouterr().err == ""
    TextGenerationOptions(from_preset=preset, units=512, cell="gru", zoneout=0.1).check()
    assert "its own parts, so --cell, --units, --zoneout have no effect" in capsys.readouterr().err
    ClassificationOptions(from_preset=preset, pooling="mean", zoneout=0.1).check()
    assert "so --pooling has no effect" in capsys.readouterr().err
    ClassificationOptions(from_preset="sentiment", zoneout=0.1, weight_drop=0.1, dropout=0.5).check()
    assert "so --dropout, --weight_drop, --zoneout have no effect" in capsys.readouterr().err
    TextGenerationOptions(from_preset=preset, cell="gru", compare_with_scratch=True).check()
    assert capsys.readouterr().err == ""  # the model that is compared has this cell
