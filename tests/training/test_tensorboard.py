"""TensorBoard shows metrics, samples and images."""

import importlib.util
import io

import pytest
import tensorflow as tf
from builders.training import QUIET, line
from matplotlib.figure import Figure

from textrnn import training
from textrnn.errors import InputError
from textrnn.training import TensorBoard


def events(folder):
    """All values in the files of events: `(name, step, tensor)`."""
    for path in sorted(folder.iterdir()):
        for event in tf.compat.v1.train.summary_iterator(str(path)):
            for value in event.summary.value:
                yield value.tag, event.step, tf.make_ndarray(value.tensor)


def png():
    file = io.BytesIO()
    Figure(figsize=(1, 2), dpi=10).savefig(file, format="png")
    return file.getvalue()


def test_metrics_texts_and_images_are_written_with_the_number_of_updates(tmp_path):
    model, data = line()
    evaluate = training.Evaluate(lambda: {"val_loss": 2.5})
    board = TensorBoard(
        tmp_path, lambda epoch: {"sample": f"a\nb {epoch}"}, lambda _: {"map": png()}, every=4
    )
    result = training.fit(model, data, epochs=2, callbacks=[board, evaluate], **QUIET)
    found = list(events(tmp_path))
    assert [(step, value.item()) for name, step, value in found if name == "val_loss"] == [
        (10, 2.5),
        (20, 2.5),
    ]
    losses = [value.item() for name, _, value in found if name == "loss"]
    assert losses == pytest.approx(result.history["loss"], rel=1e-6)
    assert [step for name, step, _ in found if name == "running loss"] == [4, 8, 14, 18]
    assert [value.item() for name, _, value in found if name == "sample"] == [
        b"    a\n    b 1",
        b"    a\n    b 2",
    ]
    [first, _] = [value for name, _, value in found if name == "map"]
    assert first[0] == b"10" and tf.io.decode_png(first[2]).shape == (20, 10, 3)


def test_without_tensorboard_it_says_how_to_install_it(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'textrnn\[tensorboard\]'"):
        TensorBoard(tmp_path)
