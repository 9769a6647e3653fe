import numpy as np
import pytest
from references.png import size

from textrnn.translation.plots import attention_maps


@pytest.mark.parametrize(
    "maps",
    [
        [(["一", "只", "狗"], ["a", "do$g"], np.full((2, 3), 1 / 3))],  # what the font lacks is no warning
        [(["a", "dog"], [], np.zeros((0, 2)))],
        [],
    ],
)
def test_attention_is_drawn_whatever_the_texts(maps, tmp_path):
    attention_maps(maps, tmp_path / "attention.png")
    width, height = size(tmp_path / "attention.png")
    assert width > 300 and height > 300
