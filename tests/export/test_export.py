"""Versions on disk, checks before publishing, warm-up requests and TF Serving's list of models."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from builders.exporting import export_unchecked
from builders.language_models import make_lm

from textrnn.errors import InputError
from textrnn.export import checks, export, publish, write_models_config
from textrnn.export.versions import versions
from textrnn.serving.saved_model import find_saved_model, load_signatures
from textrnn.training.fitting import TrainingResult


@pytest.fixture(scope="module")
def lm():
    return make_lm("byte")


@pytest.fixture(scope="module")
def folder(lm, tmp_path_factory):
    """The folder of a model with one version, which was checked in a fresh process."""
    folder = tmp_path_factory.mktemp("saved_models") / "cats"
    export(lm, folder, max_new_tokens=3)
    return folder


def test_versions_are_numbered_and_nothing_unfinished_is_left(lm, folder):
    assert versions(folder) == [1]
    second = export_unchecked(lm, folder, max_new_tokens=2)
    assert second == folder / "2" and find_saved_model(folder) == second
    assert sorted(child.name for child in folder.iterdir()) == ["1", "2"]
    assert (second / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0


def test_warmup_requests_can_be_replayed(folder):
    from tensorflow_serving.apis import prediction_log_pb2

    [record] = tf.data.TFRecordDataset(str(folder / "1" / "assets.extra" / "tf_serving_warmup_requests"))
    log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
    sent = log.predict_log.request
    assert (sent.model_spec.name, sent.model_spec.signature_name) == ("cats", "serving_default")
    load_signatures(folder / "1")["serving_default"](text=tf.constant(tf.make_ndarray(sent.inputs["text"])))


def test_models_config_lists_every_model(folder):
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    path = write_models_config(folder.parent)
    config = text_format.Parse(path.read_text(), model_server_config_pb2.ModelServerConfig())
    [model] = config.model_config_list.config
    assert (model.name, model.base_path) == ("cats", "/models/cats")


def save_function(function, path, *specs):
    archive = keras.export.ExportArchive()
    archive.add_endpoint("serving_default", function, input_signature=list(specs))
    archive.write_out(str(path), verbose=False)


def test_ops_that_a_stock_server_lacks_are_refused_with_the_reason(tmp_path):
    spec = tf.TensorSpec([None], tf.float32, name="x")
    save_function(lambda x: tf.numpy_function(np.sin, [x], tf.float32), tmp_path / "python", spec)
    with pytest.raises(ValueError, match=r"PyFunc: it calls back into Python"):
        checks.refuse_unservable_ops(tmp_path / "python")
    save_function(
        lambda x: keras.ops.slice_update(x, [keras.ops.cast(x[0], "int32")], x[:1]), tmp_path / "xla", spec
    )
    with pytest.raises(ValueError, match=r"XlaDynamicUpdateSlice: it runs under XLA"):
        checks.refuse_unservable_ops(tmp_path / "xla")


def test_a_model_that_fails_in_a_fresh_process_is_not_published(lm, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "FRESH_PROCESS", "raise SystemExit('no such op')")
    with pytest.raises(RuntimeError, match="no such op"):
        export(lm, tmp_path / "m", max_new_tokens=2)
    assert list((tmp_path / "m").iterdir()) == []


def test_the_exported_graph_needs_no_gpu_and_keeps_no_state_between_requests(folder):
    assert not any(op.startswith(("Cudnn", "Xla")) for op in checks.graph_ops(folder / "1"))
    for function in load_signatures(folder / "1").values():
        graph = function.graph.as_graph_def()
        ops = {node.op for f in graph.library.function for node in f.node_def}
        assert not any(op.startswith("Assign") for op in ops)


def test_a_folder_without_a_saved_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no SavedModel at .*numbered versions"):
        load_signatures(tmp_path)


def test_a_model_that_learned_nothing_is_not_exported(lm, tmp_path):
    result = TrainingResult({}, "not finite", None, 1.0, None)
    with pytest.raises(InputError, match="the training loss was never finite"):
        publish(lm, tmp_path / "m", result, "generate")
    assert not (tmp_path / "m").exists()
