"""TF Serving's configuration files, read by protobuf's own parser."""

import pytest

from textrnn.errors import InputError
from textrnn.export import write_models_config
from textrnn.server.config_files import read_batching, read_metrics_path, read_models


def write(folder, text):
    path = folder / "some.config"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_file_of_an_export_is_read_and_its_paths_are_found(tmp_path):
    (tmp_path / "novel" / "3").mkdir(parents=True)
    (tmp_path / "novel" / "3" / "saved_model.pb").touch()
    [model] = read_models(write_models_config(tmp_path))
    assert (model.name, model.path, model.wanted([1, 3])) == ("novel", tmp_path / "novel", {3})


def test_policies_and_labels(tmp_path):
    text = """model_config_list {
      config { name: "a" base_path: "/models/x/a" model_version_policy { all {} } }
      config { name: "b" base_path: "b" model_version_policy { latest { num_versions: 2 } } }
      config { name: "c" base_path: "c" model_version_policy { specific { versions: 1 versions: 9 } }
               version_labels { key: "stable" value: 1 } }
    }"""
    a, b, c = read_models(write(tmp_path, text))
    assert a.path == tmp_path / "x" / "a" and a.wanted([1, 2, 3]) == {1, 2, 3}
    assert b.path == tmp_path / "b" and b.wanted([1, 2, 3]) == {2, 3}
    assert c.wanted([1, 2]) == {1} and c.labels == {"stable": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model_config_list { config { name: 'a' } }", "a model needs a name and a base_path"),
        ("model_config_list { config { nme: 'a' } }", 'no field named "nme"'),
        ("custom_model_config {}", "expected a model_config_list"),
        ("", "expected a model_config_list"),
        (
            "model_config_list { config { name: 'a' base_path: 'a' model_platform: 'torch' } }",
            "a is for torch, expected tensorflow",
        ),
        (
            "model_config_list { config { name: 'a' base_path: 'a' } config { name: 'a' base_path: 'b' } }",
            "a is there more than once",
        ),
    ],
)
def test_what_tf_serving_refuses_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        read_models(write(tmp_path, text))


def test_batching_parameters(tmp_path):
    found = read_batching(
        write(
            tmp_path,
            "max_batch_size { value: 16 } batch_timeout_micros { value: 0 } thread_pool_name { value: 'x' }",
        )
    )
    assert (found.max_batch_size, found.batch_timeout_micros, found.allowed_batch_sizes) == (16, 0, ())
    for text, message in [
        ("max_batch_size: 16", "Expected"),
        ("max_batch_size { value: 0 }", "max_batch_size is 0: expected at least 1"),
        ("size { value: 1 }", 'no field named "size"'),
    ]:
        with pytest.raises(InputError, match=message):
            read_batching(write(tmp_path, text))
    with pytest.raises(InputError, match="cannot read"):
        read_batching(tmp_path / "nothing")


def test_requests_that_tf_serving_would_split_run_by_themselves(tmp_path):
    text = """max_batch_size { value: 128 } max_execution_batch_size { value: 32 }
    allowed_batch_sizes: 8 allowed_batch_sizes: 32 enable_large_batch_splitting { value: true }"""
    assert read_batching(write(tmp_path, text)).max_batch_size == 32
    with pytest.raises(InputError, match="the last one is max_batch_size, 128"):
        read_batching(write(tmp_path, text.replace("true", "false")))


def test_monitoring(tmp_path):
    assert (
        read_metrics_path(write(tmp_path, "prometheus_config { enable: true path: '/metrics' }"))
        == "/metrics"
    )
    default = "/monitoring/prometheus/metrics"
    assert read_metrics_path(write(tmp_path, "prometheus_config { enable: true }")) == default
    assert read_metrics_path(write(tmp_path, "")) is None
