"""What TensorBoard shows of a translator in training."""

import io

from builders.translators import SOURCES, TARGETS, make_translator, word_tokenizers
from matplotlib.image import imread

from textrnn.data.parallel import Pair
from textrnn.translation.report import ForTensorBoard


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
