"""What a stock TF Serving needs of the folder of exported models: its files, and what is in a version.

`textrnn serve` reads the same files with the parsers and the flags of TF Serving.
"""

import pytest
import tensorflow as tf
import yaml
from builders.exporting import export_unchecked
from builders.tasks import classifier, language_model, translator
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_log_pb2
from tensorflow_serving.config import model_server_config_pb2

from textrnn.cli.serve import make_serve_parser
from textrnn.export import write_models_config, write_server_files
from textrnn.export.checks import refuse_unservable_ops
from textrnn.server.config_files import read_batching, read_metrics_path, read_models
from textrnn.server.servable import WARMUP, Servable

TASKS = {"numbers": translator, "novel": language_model, "reviews": classifier}
METHODS = {f"tensorflow/serving/{api}" for api in ("predict", "classify", "regress")}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A folder with a model of each task."""
    folder = tmp_path_factory.mktemp("saved_models")
    for name, make in TASKS.items():
        options = {"max_new_tokens": 3} if name == "novel" else {}
        export_unchecked(make(), folder / name, **options)
    write_server_files(folder)
    return folder


@pytest.fixture(scope="module", params=TASKS)
def model(request, base):
    """The loaded model of each task."""
    loaded = Servable(request.param, 1, base / request.param / "1")
    yield loaded
    loaded.unload()


def test_the_folder_has_all_files_and_they_are_read_by_the_parsers_of_the_server(base):
    assert {model.name: model.path for model in read_models(base / "models.config")} == {
        name: base / name for name in TASKS
    }
    assert read_batching(base / "batching.config").batch_timeout_micros == 0
    assert read_metrics_path(base / "monitoring.config") == "/monitoring/prometheus/metrics"


def test_compose_starts_the_stock_image_with_files_that_exist_and_flags_that_are_known(base):
    [service] = yaml.safe_load((base / "compose.yaml").read_text("utf-8"))["services"].values()
    assert service["image"].partition(":")[0] == "tensorflow/serving"
    assert service["volumes"] == [".:/models:ro"]
    assert [port.split(":")[1:] for port in service["ports"]] == [["8500", "8500"], ["8501", "8501"]]
    given = make_serve_parser().parse(service["command"])
    files = [value for name, value in given.items() if name.endswith("_file")]
    assert sorted(path.name for path in files) == ["batching.config", "models.config", "monitoring.config"]
    assert all((base / path.relative_to("/models")).is_file() for path in files)
    assert given["enable_batching"] is True


def test_what_a_person_changed_in_the_files_is_kept(tmp_path):
    for version in (tmp_path / "a" / "1", tmp_path / "b" / "1"):
        version.mkdir(parents=True)
    assert "compose.yaml" in write_server_files(tmp_path)
    for name in ("batching.config", "monitoring.config", "compose.yaml"):
        (tmp_path / name).write_text("# mine")
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((tmp_path / "models.config").read_text(), config)
    config.model_config_list.config[1].version_labels["stable"] = 1
    config.model_config_list.config.add(name="elsewhere", base_path="/other/elsewhere")
    (tmp_path / "models.config").write_text("# mine\n" + text_format.MessageToString(config))
    assert write_server_files(tmp_path) == []
    assert all((tmp_path / name).read_text()[:6] == "# mine" for name in ("models.config", "compose.yaml"))

    (tmp_path / "a" / "1").rmdir()
    (tmp_path / "c" / "1").mkdir(parents=True)
    write_server_files(tmp_path)
    found = {model.name: model.labels for model in read_models(tmp_path / "models.config")}
    assert found == {"b": {"stable": 1}, "c": {}, "elsewhere": {}}


def test_a_list_of_models_that_cannot_be_read_stays_as_it_is(tmp_path, capsys):
    (tmp_path / "models.config").write_text("model_config_lst {}")
    write_models_config(tmp_path)
    assert (tmp_path / "models.config").read_text() == "model_config_lst {}"
    assert "models.config cannot be read, so it stays as it is" in capsys.readouterr().err


def test_there_is_a_warmup_request_for_each_signature_and_all_can_be_replayed(model):
    records = tf.data.TFRecordDataset(str(model.path / WARMUP)).as_numpy_iterator()
    logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
    requests = [getattr(log, log.WhichOneof("log_type")).request for log in logs]
    assert [request.model_spec.signature_name for request in requests] == sorted(
        model.signatures, key=[request.model_spec.signature_name for request in requests].index
    )
    assert {request.model_spec.name for request in requests} == {model.name}
    assert model.warm_up() == len(model.signatures)


def test_warmup_requests_do_work(model):
    if model.name == "novel":
        logs = {}
        for record in tf.data.TFRecordDataset(str(model.path / WARMUP)).as_numpy_iterator():
            request = prediction_log_pb2.PredictionLog.FromString(record).predict_log.request
            inputs = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
            logs[request.model_spec.signature_name] = model.run(request.model_spec.signature_name, inputs)
        assert logs["generate"]["tokens"] > 0 and logs["advance"]["count"] > 0


def test_signatures_have_methods_ops_and_shapes_that_a_server_knows(model):
    assert {signature.method for signature in model.signatures.values()} <= METHODS
    assert ("classify" in model.signatures) == (model.name == "reviews")
    if model.name == "reviews":
        assert model.signatures["classify"].method == "tensorflow/serving/classify"
    refuse_unservable_ops(model.path)
    # TF Serving concatenates requests along the first dimension, and pads others with wrong values.
    unequal = {
        name
        for name, signature in model.signatures.items()
        if any(spec.shape is None or spec.shape[0] is not None or None in spec.shape[1:]
               for spec in signature.inputs.values())
    }  # fmt: skip
    assert unequal == ({"detokenize"} if model.name == "novel" else set())
