import numpy as np
import pytest
from references.png import size

from textrnn.classification import plots
from textrnn.classification.explanation import Explanation
from textrnn.classification.plots import classification, explanations, frequent_errors, short_names
from textrnn.data.labelled_splits import FEW_TEST_TEXTS


@pytest.mark.parametrize(("classes", "texts"), [(2, 300), (2, 3), (5, 40), (5, 100), (60, 200)])
def test_classification_is_drawn_for_any_number_of_classes_and_texts(classes, texts, tmp_path):
    random = np.random.default_rng(0)
    probabilities = random.dirichlet(np.ones(classes), texts)
    targets = random.integers(0, classes, texts)
    labels = [f"a long name of class $ {i}" for i in range(classes)]
    classification(targets, probabilities, labels, tmp_path / "classes.png", title="title")
    width, height = size(tmp_path / "classes.png")
    assert 3000 > width >= height > 400


@pytest.mark.parametrize(("classes", "panels"), [(2, 4), (3, 2)])
def test_few_texts_have_no_curves(classes, panels, tmp_path):
    random, widths = np.random.default_rng(0), []
    for texts in (FEW_TEST_TEXTS - 1, FEW_TEST_TEXTS):
        probabilities = random.dirichlet(np.ones(classes), texts)
        targets = np.arange(texts) % classes
        classification(targets, probabilities, list("abc")[:classes], tmp_path / "classes.png")
        widths.append(size(tmp_path / "classes.png")[0])
    assert round(widths[1] / widths[0]) == panels


def explained(words, attention=None):
    weights = [(-1) ** i * (i % 5) for i in range(len(words))]
    return Explanation(words, weights, "négatif", 0.93, attention)


def test_the_height_of_explanations_depends_on_the_texts(tmp_path):
    path, heights = tmp_path / "why.png", []
    for count in (0, 5, 60, 150, 1000):
        explanations([explained(["word"] * count)], path)
        width, height = size(path)
        assert width == 960
        heights.append(height)
    assert heights == sorted(heights)
    assert heights[0] == heights[1] < heights[2] < heights[3]
    assert heights[4] - heights[3] < 50  # 150 words, and how many more there are


def test_any_characters_are_drawn(tmp_path):
    words = ["$5", "and", "$6", "漢字", "🙂", "http://" + "x" * 500, "\x01", "<b>", r"\frac{"]
    explanations([("A heading that is long " * 9, [explained(words), explained([])])], tmp_path / "why.png")
    assert size(tmp_path / "why.png")[1] > 300


def test_colours_and_attention_depend_on_weights_and_shares(tmp_path):
    pictures = []
    for one in (
        Explanation(["a", "b"], [1.0, -2.0], "good", 0.9),
        Explanation(["a", "b"], [-1.0, 2.0], "good", 0.9),
        Explanation(["a", "b"], [0.5, -1.0], "good", 0.9),
        Explanation(["a", "b"], [1.0, -2.0], "good", 0.9, [0.1, 0.9]),
    ):
        explanations([one], tmp_path / "why.png")
        pictures.append((tmp_path / "why.png").read_bytes())
    first, negated, scaled, attended = pictures
    assert first not in (negated, attended)
    assert first == scaled  # colours are relative to the largest weight


def test_errors_of_many_classes_are_listed_by_frequency():
    targets = [0] * 4 + [1] * 2 + [2] * 3 + [3] * 9
    predicted = [0, 1, 1, 2] + [1, 2] + [2, 2, 0] + [3] * 9
    assert frequent_errors(targets, predicted) == [(0, 1, 2), (1, 2, 1), (2, 0, 1), (0, 2, 1)]
    assert frequent_errors(targets, predicted, shown=2) == [(0, 1, 2), (1, 2, 1)]
    assert frequent_errors([3, 4], [3, 4]) == []


def test_few_errors_of_many_classes_leave_no_empty_space(tmp_path):
    heights = []
    for wrong in (0, 2, 12, 40):
        targets = np.arange(40)
        probabilities = np.eye(40)[np.where(targets < wrong, (targets + 1) % 40, targets)]
        classification(targets, probabilities, [f"topic {i}" for i in range(40)], tmp_path / "classes.png")
        heights.append(size(tmp_path / "classes.png")[1])
    assert heights[0] == heights[1] < heights[2] < 0.65 * heights[3]


def test_short_names_of_classes_differ():
    assert short_names(["good", "a" * 24, "b" * 25]) == ["good", "a" * 24, "b" * 23 + "…"]
    assert short_names(["x" * 30 + "1", "x" * 30 + "2"]) == ["x" * 11 + "…" + "x" * 10 + end for end in "12"]
    middle = ["x" * 30 + end + "x" * 20 for end in "12"]
    assert short_names(middle) == middle


def test_the_errors_of_150_classes_fit_on_a_page(tmp_path):
    targets = np.arange(600) % 150
    probabilities = np.random.default_rng(0).dirichlet(np.ones(150), 600)
    labels = [f"class number {i}" for i in range(150)]
    for right in (probabilities, np.eye(150)[targets]):  # the second without an error
        classification(targets, right, labels, tmp_path / "classes.png")
        width, height = size(tmp_path / "classes.png")
        assert width < 1800 and height < 900


@pytest.mark.parametrize("words", [["so", "very", "dull"], ["כל", "כך", "משעמם"], ["ممل", "جدا", "OK"]])
def test_words_are_drawn_in_the_direction_of_their_text(words, tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: figures.append(figure))
    explanations([Explanation(words, [1.0, 0.5, 2.0], "bad", 0.9)], tmp_path / "why.png")
    [axes] = figures[0].axes
    places = {text.get_text(): text.get_window_extent() for text in axes.texts}
    first, second, third = (places[word] for word in words)
    widths = sorted(patch.get_window_extent().x0 for patch in axes.patches[-3:])
    if words[0] == "so":
        assert first.x1 < second.x0 and second.x1 < third.x0
        assert first.x0 < 60 and widths[0] < first.x0
    else:
        assert third.x1 < second.x0 and second.x1 < first.x0
        assert first.x1 > 900 and widths[0] < third.x0 < widths[1]
    assert places["contradicts the label"].x0 < 60  # the legend stays on the left
