"""The starter models that are in the package."""

import re

import keras_hub
import numpy as np
import pytest
from references.command import textrnn_command

import textrnn
from textrnn.presets import closest_starter, find_preset, load_preset, preset_task
from textrnn.starters import FOLDER, card, starter_names
from textrnn.tokenizers.familiarity import OTHER_LANGUAGE

TEXTS = {
    "english": "The children were standing at the window, and nobody had seen the old woman leave the house.",
    "french": "Les enfants se tenaient à la fenêtre, et personne n'avait vu la vieille quitter la maison.",
    "german": "Die Kinder standen am Fenster, und niemand hatte die alte Frau aus dem Haus gehen sehen.",
    "spanish": "Los niños estaban junto a la ventana, y nadie había visto a la anciana salir de la casa.",
}


SENTENCES = {
    "english": [
        "I lost my keys again this morning.",
        "The hotel was clean, but the food was cold.",
        "Two dogs are running along the beach.",
        "How do I change the number of my card?",
    ],
    "french": [
        "Ce matin, j'ai encore perdu les miennes.",
        "La chambre est grande et le repas correct.",
        "Deux chiens courent le long de la plage.",
        "Comment changer le code de ma carte ?",
    ],
    "german": [
        "Heute Morgen war der Zug wieder zu spät.",
        "Das Zimmer war sauber, aber das Essen kalt.",
        "Zwei Hunde rennen am Strand entlang.",
        "Wie kann ich die Nummer meiner Karte ändern?",
    ],
    "spanish": [
        "Esta mañana perdí otra vez el tren.",
        "La habitación era grande, pero la comida estaba fría.",
        "Dos perros corren por la playa con una pelota.",
        "No tengo la menor idea de lo que quieres decir.",
    ],
}
"""Everyday sentences, some of them without a letter that another language lacks."""


def language_models():
    return [name for name in starter_names() if issubclass(preset_task(name), textrnn.CausalLM)]


def nats(lm, text):
    """The loss of a text from its beginning, summed over its tokens."""
    tokens = lm.preprocessor.tokenizer
    ids = np.concatenate([[tokens.start_token_id], tokens(text).numpy()])[np.newaxis]
    inputs = {"token_ids": ids[:, :-1], "padding_mask": np.ones_like(ids[:, :-1], bool)}
    logits = np.asarray(lm(inputs), "float64")
    log_probabilities = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    return -np.take_along_axis(log_probabilities, ids[:, 1:, np.newaxis], axis=-1).sum()


@pytest.mark.parametrize("name", language_models())
def test_a_language_model_knows_its_language(name):
    lm = load_preset(name)
    bits = {language: nats(lm, text) / len(text) / np.log(2) for language, text in TEXTS.items()}
    others = [value for language, value in bits.items() if language != name]
    assert bits[name] < 2.5
    assert min(others) > 3
    assert closest_starter([TEXTS[name]], textrnn.CausalLM)[0] == name


def test_surprisal_tells_the_language_of_a_sentence_more_often_than_bytes_do():
    languages = [language for language, sentences in SENTENCES.items() for _ in sentences]
    sentences = [sentence for sentences in SENTENCES.values() for sentence in sentences]
    surprisals, shares, same = [], [], []
    for name in SENTENCES:
        tokenizer = keras_hub.tokenizers.Tokenizer.from_preset(str(find_preset(name)))
        surprisals.append(tokenizer.relative_surprisal(sentences).numpy())
        tokens = tokenizer.tokenize(sentences)
        shares.append([np.isin(row, tokenizer.byte_token_ids).mean() for row in tokens])
        same.append([language == name for language in languages])
    surprisals, shares, same = map(np.array, (surprisals, shares, same))
    np.testing.assert_array_equal(surprisals.argmin(axis=0), same.argmax(axis=0))
    by_surprisal = np.mean((surprisals < OTHER_LANGUAGE) == same)
    by_bytes = max(np.mean((shares <= share) == same) for share in shares.flat)  # with the best threshold
    assert by_surprisal > 0.9 > by_bytes


@pytest.mark.parametrize("name", sorted(SENTENCES))
def test_one_sentence_in_another_language_is_noticed_more_often_than_not(name):
    tokenizer = keras_hub.tokenizers.Tokenizer.from_preset(str(find_preset(name)))
    found = {language: tokenizer.is_unfamiliar(texts).numpy() for language, texts in SENTENCES.items()}
    assert not found.pop(name).any()
    assert np.concatenate([*found.values()]).mean() > 0.5


def test_emoji_addresses_and_typographic_signs_are_of_any_language():
    tokenizer = keras_hub.tokenizers.Tokenizer.from_preset(str(find_preset("english")))
    texts = [
        "Great product \N{THUMBS UP SIGN}\N{EMOJI MODIFIER FITZPATRICK TYPE-4}",
        "Best coffee in town! \N{HOT BEVERAGE}\N{VARIATION SELECTOR-16}",
        "It\u2019s \u201cfine\u201d \u2014 really\u2026",
        "https://example.com/a/b?c=d",
        "\N{SLIGHTLY SMILING FACE}" * 9,
    ]
    assert not tokenizer.is_unfamiliar(texts).numpy().any()
    assert tokenizer.is_unfamiliar([SENTENCES["german"][0] + " \N{THUMBS UP SIGN}"]).numpy().all()


def test_commands_warn_of_a_text_in_another_language(capsys):
    english, german = SENTENCES["english"], SENTENCES["german"]
    unlike = "unlike the texts that the model was trained on, so the answer may be meaningless"

    def warning(command, name, *texts):
        status, _, warning = textrnn_command(capsys, command, name, *texts)
        assert status == 0
        return warning

    assert warning("classify", "sentiment", *(word for text in english for word in ("--text", text))) == ""
    found = warning("classify", "sentiment", "--text", english[0], "--text", german[1])
    assert found == f"warning: text 2 is {unlike}\n"
    found = warning("classify", "sentiment", "--text", english[0], "--text", german[1], "--text", german[2])
    assert found == (
        "warning: 2 of 3 texts are unlike those that the model was trained on, so their answers may be "
        "meaningless; the first is text 2\n"
    )
    short = ("--max_new_tokens", "1")
    assert warning("generate", "english", "--prompt", english[0], *short) == ""
    found = warning("generate", "english", "--prompt", german[0], *short)
    assert found == f"warning: prompt {german[0]!r} is {unlike}\n"


def test_classify_names_a_starter_model_that_does(capsys):
    status, _, error = textrnn_command(capsys, "classify", "english", "--text", "a")
    assert status == 2
    assert "english does not classify text: " in error
    assert error.endswith(". Starter models that do: sentiment\n")


@pytest.mark.parametrize("name", starter_names())
def test_a_card_says_what_a_user_must_know(name):
    text = card(name)
    assert re.findall("^## (.*)", text, re.M)[:4] == ["Data", "Training", "Figures", "Limits"]
    assert re.search("commit [0-9a-f]{7}", text)
    assert "| licence |" in text


def test_all_starter_models_together_stay_small():
    sizes = [path.stat().st_size for path in FOLDER.rglob("*") if path.is_file()]
    assert sum(sizes) < 45e6
