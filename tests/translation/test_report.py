"""What TensorBoard shows of a translator in training, and what the report of a trained one draws."""

import io
from types import SimpleNamespace

import numpy as np
import pytest
from builders.translators import SOURCES, TARGETS, make_translator, word_tokenizers
from matplotlib.image import imread

from textrnn.data.parallel import Pair
from textrnn.translation import plots
from textrnn.translation.report import ForTensorBoard, save_test_report


def test_translations_and_attention_maps_are_those_of_the_epoch():
    lm = make_translator(word_tokenizers())
    pairs = [Pair("", *texts) for texts in zip(SOURCES, TARGETS, strict=True)]
    watched = ForTensorBoard(lm, pairs, count=2)
    first = watched.texts(1)["translations"]
    for pair in watched.pairs:
        assert f"{pair.source}\n  -> " in first and f"({pair.target})" in first
    height, width, channels = imread(io.BytesIO(watched.images(1)["attention"])).shape
    assert min(height, width) > 100 and channels in (3, 4)
    for weight in lm.trainable_variables:
        weight.assign(-3 * weight)
    assert watched.texts(1)["translations"] == first  # translated once
    assert watched.texts(2)["translations"] != first


@pytest.mark.parametrize(
    ("sources", "drawn"),
    [
        (["a dog runs", "cats"], ([3, 1], "words")),
        (["狗在跑。", "猫"], ([4, 1], "characters")),  # each would be one word
    ],
)
def test_quality_is_drawn_by_the_length_of_sources(sources, drawn, tmp_path, monkeypatch):
    calls = []
    monkeypatch.setattr(plots, "quality_by_length", lambda x, y, path, unit: calls.append((x, unit)))
    pairs = [Pair("", source, "ja") for source in sources]
    tokens = [["ja"], ["ja"]]
    found = SimpleNamespace(
        best=["ja", "nein"], source_tokens=tokens, tokens=tokens, attention=[np.ones((1, 1))] * 2
    )
    save_test_report(tmp_path, pairs, found)
    assert calls == [drawn]
