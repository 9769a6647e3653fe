"""Adapting a language model: its layers by depth, text that does not fit it, and what it says at the end."""

import numpy as np
import pytest
from builders.language_models import make_lm
from keras_hub.tokenizers import Tokenizer

import textrnn
from textrnn.data.documents import Document
from textrnn.data.sources import Splits
from textrnn.starters import starter_path
from textrnn.text_generation import adaptation
from textrnn.text_generation.adaptation import Adaptation, advice, vocabulary_warnings
from textrnn.text_generation.variants import extend_vocabulary, with_dropout
from textrnn.tokenizers import ByteTokenizer, SentencePieceTokenizer

ENGLISH = "The night was clear and cold, and a thin moon stood over the harbour.\n" * 40
OTHER = "Η γάτα κάθεται στο χαλί, και ο σκύλος κοιμάται δίπλα της όλη τη νύχτα.\n" * 40


def test_groups_are_layers_from_the_lowest_up_and_hold_every_weight():
    backbone = textrnn.RecurrentBackbone(9, units=[4, 6], num_layers=2, embedding_dim=3)
    lm = textrnn.CausalLM(backbone)
    groups = lm.layer_groups
    assert [[layer.name for layer in group] for group in groups] == [
        ["recurrent_0"],
        ["recurrent_1"],
        ["token_embedding", "output_projection"],
    ]
    known = [weight.path for group in groups for layer in group for weight in layer.trainable_variables]
    assert sorted(known) == sorted(weight.path for weight in lm.trainable_variables)


@pytest.fixture(scope="module")
def tokenizer():
    return SentencePieceTokenizer.train([ENGLISH])


def test_text_in_another_language_is_noticed(tokenizer):
    [warning] = vocabulary_warnings(tokenizer, [Document("a.txt", OTHER)], "english")
    assert warning.startswith("the text fits the vocabulary of english badly: most lines take ")
    assert "start from a model of that language, or leave out --from_preset" in warning


def test_the_starter_model_of_that_language_is_named():
    english = Tokenizer.from_preset(str(starter_path("english")))
    french = (
        "Les enfants se tenaient à la fenêtre, et personne n'avait vu la vieille quitter la maison.\n" * 9
    )
    [warning] = vocabulary_warnings(english, [Document("a.txt", french)], "english")
    assert warning.endswith("The starter model french fits better: give --from_preset french")


def test_starter_models_are_loaded_only_for_a_warning(tokenizer, monkeypatch):
    monkeypatch.setattr("textrnn.presets.closest.starter_names", lambda: pytest.fail("loaded"))
    assert vocabulary_warnings(tokenizer, [Document("a.txt", ENGLISH)], "english") == []


@pytest.mark.parametrize("text", [ENGLISH, ENGLISH.replace("night", "evening"), "short\n" * 50])
def test_text_of_the_same_kind_and_short_lines_are_not(tokenizer, text):
    assert vocabulary_warnings(tokenizer, [Document("a.txt", text)], "english") == []


def test_a_vocabulary_of_bytes_fits_every_text():
    assert vocabulary_warnings(ByteTokenizer(), [Document("a.txt", OTHER)], "bytes") == []


@pytest.mark.parametrize(
    ("scores", "best_epoch", "found", "expected"),
    [
        ([2.0, 1.8, 1.7], 2, Adaptation(2.0, 1.7), ["adapting helped: 15% fewer"]),
        (
            [2.0, 1.8, 1.9],
            1,
            Adaptation(2.0, 1.8),
            ["adapting helped: 10% fewer", "from epoch 1 on it overfit"],
        ),
        ([2.0, 2.1, 2.2], 0, Adaptation(2.0, 2.0), ["adapting did not help"]),
        ([2.0, 1.8], 1, Adaptation(2.0, 1.8, 1.5), ["adapting helped", "a model from scratch is better"]),
        ([2.0, 1.8], 1, Adaptation(2.0, 1.8, 2.5), ["adapting helped"]),
    ],
)
def test_it_says_whether_it_helped_and_overfitted(scores, best_epoch, found, expected):
    history = {"epoch": list(range(len(scores))), "val_bits_per_character": scores}
    sentences = advice(found, history, best_epoch)
    assert len(sentences) == len(expected)
    for sentence, beginning in zip(sentences, expected, strict=True):
        assert sentence.startswith(beginning)


@pytest.mark.parametrize(
    ("after", "best_epoch", "said_of_a_page"),
    [
        (
            1.9,
            2,
            ["adapting helped: 5% fewer", "it was adapted to 2,000 characters, which are few: more tex"],
        ),
        (2.0, 0, ["adapting did not help, and the model is as before: 2,000 characters are too few. Give"]),
    ],
)
def test_it_says_that_a_text_was_small_whether_or_not_adapting_helped(after, best_epoch, said_of_a_page):
    history = {"epoch": [0, 1, 2], "val_bits_per_character": [2.0, 2.0, after]}
    of_a_page, of_a_book = (
        advice(Adaptation(2.0, after), history, best_epoch, characters) for characters in (2000, 200_000)
    )
    assert [
        sentence[: len(b)] for sentence, b in zip(of_a_page, said_of_a_page, strict=True)
    ] == said_of_a_page
    assert len(of_a_book) == 1 and "few" not in of_a_book[0].replace("fewer", "")


def test_the_figures_of_the_report_are_those_that_were_measured():
    assert Adaptation(2.0, 1.5).metrics() == {"held_out_bits_per_character_before_adaptation": 2.0}
    assert "held_out_bits_per_character_from_scratch" in Adaptation(2.0, 1.5, 1.7).metrics()
    assert str(Adaptation(2.0, 1.5, 1.75)) == (
        "bits per character: 2.000 before, 1.500 after, 1.750 from scratch in the same time"
    )


def test_a_model_from_scratch_learns_in_the_time_it_is_given():
    made = []

    def make(defaults, documents):
        assert defaults.tokenizer == "character", "as the recipe chooses for so small a text"
        made.append(
            textrnn.CausalLM(
                textrnn.RecurrentBackbone(258, units=8), textrnn.CausalLMPreprocessor(ByteTokenizer())
            )
        )
        return made[0]

    texts = Splits([Document("a", ENGLISH)], [Document("b", ENGLISH[:500])])
    score = adaptation.score_from_scratch(make, texts, seconds=1.5, sequence_length=16, seed=0)
    assert score.bits_per_character < np.log2(258)
    assert len(made) == 1


def test_an_extended_vocabulary_keeps_the_old_tokens_and_predictions():
    lm = make_lm()
    texts = ["the zebra saw the giraffe, and the giraffe the zebra.\n"] * 30
    old, extended = lm.preprocessor.tokenizer, extend_vocabulary(lm, texts, 20)
    new = extended.preprocessor.tokenizer
    count = old.vocabulary_size()
    assert new.get_vocabulary()[:count] == old.get_vocabulary()
    assert count < new.vocabulary_size() <= count + 20
    assert len(new(texts[0])) < len(old(texts[0]))
    assert new.detokenize(new(texts[0])).numpy().decode() == texts[0]
    tokens = np.array([old("the cat sat")])
    inputs = {"token_ids": tokens, "padding_mask": np.ones(tokens.shape, bool)}
    np.testing.assert_allclose(extended(inputs)[..., :count], lm(inputs), atol=1e-5)
    # A new subword starts from the tokens that it took before.
    vectors, known = (np.array(each.backbone.token_embedding.embeddings) for each in (extended, lm))
    text = new.id_to_token(count).replace("▁", " ")
    np.testing.assert_allclose(vectors[count], known[old(text).numpy()].mean(0), atol=1e-6)


def test_nothing_is_extended_if_nothing_is_missing_or_asked_for():
    lm = make_lm()
    assert extend_vocabulary(lm, ["any text"], 0) is lm
    with pytest.raises(textrnn.InputError, match="vocabulary of a ByteTokenizer cannot be extended"):
        extend_vocabulary(make_lm("byte"), ["any text"], 5)


def test_other_dropout_changes_no_prediction():
    lm = make_lm()
    dropped = with_dropout(lm, dropout=0.5, weight_drop=0.2)
    tokens = np.array([lm.preprocessor.tokenizer("the cat sat")])
    inputs = {"token_ids": tokens, "padding_mask": np.ones(tokens.shape, bool)}
    np.testing.assert_allclose(dropped(inputs), lm(inputs), atol=1e-6)
    assert np.abs(dropped(inputs, training=True) - lm(inputs, training=True)).max() > 0.1
    assert dropped.backbone.get_config()["weight_drop"] == 0.2
