"""The starter models that are in the package."""

import re

import keras_hub
import numpy as np
import pytest

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


def test_classify_names_a_starter_model_that_does(capsys):
    from references.command import textrnn_command

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
