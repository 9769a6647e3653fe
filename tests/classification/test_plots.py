from references.png import size

from textrnn.classification.explanation import Explanation
from textrnn.classification.plots import explanations


def explained(words, attention=None):
    weights = [(-1) ** i * (i % 5) for i in range(len(words))]
    return Explanation(words, weights, "négatif", 0.93, attention)


def test_explanations_are_as_high_as_their_texts_need(tmp_path):
    path, heights = tmp_path / "why.png", []
    for count in (0, 5, 60, 150, 1000):
        explanations([explained(["word"] * count)], path)
        width, height = size(path)
        assert width == 960
        heights.append(height)
    assert heights == sorted(heights)
    assert heights[0] == heights[1] < heights[2] < heights[3]
    assert heights[4] - heights[3] < 50  # the first 150 words, and how many more there are


def test_words_of_any_kind_are_drawn(tmp_path):
    words = ["$5", "and", "$6", "漢字", "🙂", "http://" + "x" * 500, "\x01", "<b>", r"\frac{"]
    explanations([("A heading that is long " * 9, [explained(words), explained([])])], tmp_path / "why.png")
    assert size(tmp_path / "why.png")[1] > 300


def test_colours_and_attention_are_drawn_as_they_are_given(tmp_path):
    pictures = []
    for one in (
        Explanation(["a", "b"], [1.0, -2.0], "good", 0.9),
        Explanation(["a", "b"], [-1.0, 2.0], "good", 0.9),
        Explanation(["a", "b"], [0.5, -1.0], "good", 0.9),
        Explanation(["a", "b"], [1.0, -2.0], "good", 0.9, [0.1, 0.9]),
    ):
        explanations([one], tmp_path / "why.png")
        pictures.append((tmp_path / "why.png").read_bytes())
    first, turned, scaled, attended = pictures
    assert first not in (turned, attended)
    assert first == scaled  # depths are beside the text's strongest word
