"""Versions on disk, checks before publishing, warm-up requests and TF Serving's list of models."""

import shlex

import keras
import numpy as np
import pytest
import tensorflow as tf
from builders.devices import graph_nodes
from builders.exporting import export_unchecked, signatures_alone
from builders.language_models import make_lm
from builders.tasks import TASKS
from tensorflow.core.protobuf import saved_model_pb2

import textrnn
from textrnn.errors import InputError
from textrnn.export import checks, export, publish, write_models_config
from textrnn.export.module import traced_module
from textrnn.export.versions import next_version, rename_to_next_version, versions
from textrnn.presets import in_weight_precision
from textrnn.serving.origin import is_exported
from textrnn.serving.saved_model import find_saved_model, load_signatures
from textrnn.tasks.registry import signatures_of
from textrnn.tokenizers import ByteTokenizer
from textrnn.training.fitting import TrainingResult


@pytest.fixture(scope="module")
def lm():
    return make_lm("byte")


def make_classifier():
    encoder = textrnn.RecurrentEncoder(258, units=8, embedding_dim=8)
    preprocessor = textrnn.TextClassifierPreprocessor(ByteTokenizer())
    classifier = textrnn.TextClassifier(encoder, ["bad", "good"], preprocessor, ngrams=2, ngram_buckets=64)
    random = np.random.default_rng(0)
    for weight in classifier.weights:  # some are zero at first
        weight.assign(weight + random.normal(0, 0.3, weight.shape))
    return classifier


@pytest.fixture(scope="module")
def folder(lm, tmp_path_factory):
    """The folder of a model with one version, which was checked in a fresh process."""
    folder = tmp_path_factory.mktemp("saved_models") / "cats"
    export(lm, folder, max_new_tokens=3)
    return folder


def test_versions_are_numbered_and_nothing_unfinished_is_left(lm, folder):
    assert versions(folder) == [1]
    second = export_unchecked(lm, folder, only=("serving_default",), max_new_tokens=2)
    assert second == folder / "2" and find_saved_model(folder) == second
    assert sorted(child.name for child in folder.iterdir()) == ["1", "2"]
    assert (second / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0


def test_servers_see_that_the_calls_of_the_model_end(folder):
    file = folder / "1" / "saved_model.pb"
    [meta_graph] = saved_model_pb2.SavedModel.FromString(file.read_bytes()).meta_graphs
    assert is_exported(meta_graph)


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


def test_a_fresh_process_finds_packages_on_pythonpath_and_no_modules_of_the_current_folder(
    tmp_path, monkeypatch
):
    for folder, module, content in (("packages", "installed", ""), ("here", "random", "raise ImportError")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"{module}.py").write_text(content)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(checks, "FRESH_PROCESS", "import installed, random")
    checks.check_in_fresh_process(tmp_path)


def test_a_model_that_fails_in_a_fresh_process_is_not_published(lm, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "FRESH_PROCESS", "raise SystemExit('no such op')")
    with signatures_alone("serving_default"), pytest.raises(RuntimeError, match="no such op"):
        export(lm, tmp_path / "m", max_new_tokens=2)
    assert list((tmp_path / "m").iterdir()) == []


def test_the_exported_graph_needs_no_gpu_and_keeps_no_state_between_requests(folder):
    assert not any(op.startswith(("Cudnn", "Xla")) for op in checks.graph_ops(folder / "1"))
    for function in load_signatures(folder / "1").values():
        graph = function.graph.as_graph_def()
        ops = {node.op for f in graph.library.function for node in f.node_def}
        assert not any(op.startswith("Assign") for op in ops)


def stored(version):
    """The dtypes and shapes of the variables of a SavedModel, and the number of their bytes."""
    found = dict(tf.train.list_variables(str(version / "variables" / "variables")))
    reader = tf.train.load_checkpoint(str(version / "variables" / "variables"))
    types = {name: dtype for name, dtype in reader.get_variable_to_dtype_map().items() if dtype != tf.string}
    shapes = [tuple(found[name]) for name in types]
    size = sum(dtype.size * np.prod(found[name], dtype=int) for name, dtype in types.items())
    return set(types.values()), sorted(shapes), size


def test_each_weight_is_stored_once_and_the_matrices_of_cells_by_gate(lm, folder):
    types, shapes, size = stored(folder / "1")
    of_cells = [
        weight for cell in lm.backbone.stack.cells for weight in cell.weights if len(weight.shape) == 2
    ]
    others = [weight for weight in lm.weights if not any(weight is matrix for matrix in of_cells)]
    assert [weight.name for weight in of_cells[:2]] == ["kernel", "recurrent_kernel"]
    of_gates = [(weight.shape[0], weight.shape[1] // 4) for weight in of_cells for _ in range(4)]
    assert types == {tf.float32}
    assert shapes == sorted([*of_gates, *(tuple(weight.shape) for weight in others)])
    assert size == 4 * lm.count_params()


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        *(("language model", cell) for cell in ("gru", "slstm", "min_lstm")),
        ("classifier", "lstm"),
        ("translator", "gru"),
    ],
)
def test_no_weight_is_stored_twice(name, cell):
    task = TASKS[name](cell=cell, recurrent_dropout=0.0, weight_drop=0.0)  # which some cells lack
    module, _ = traced_module(signatures_of(task), [], task.weights)
    read = sum(np.prod(variable.shape, dtype=int) for variable in module.weights)
    assert read == sum(np.prod(weight.shape, dtype=int) for weight in task.weights)


def test_exports_of_the_same_signatures_have_the_weights_of_their_time():
    classifier, texts = make_classifier(), tf.constant(["a cat", "dogs"])
    signatures = signatures_of(classifier)
    in_python, _ = signatures["serving_default"]
    sizes, found = [], []
    for _ in range(2):
        module, functions = traced_module(signatures, [], classifier.weights)
        exported = functions["serving_default"](text=texts)["scores"].numpy()
        found.append(in_python(texts)["scores"].numpy())
        np.testing.assert_allclose(exported, found[-1], rtol=1e-5)
        sizes.append(sum(np.prod(variable.shape, dtype=int) for variable in module.weights))
        for weight in classifier.weights:
            weight.assign(2 * weight)
    assert np.abs(found[1] - found[0]).max() > 1e-3
    assert sizes == 2 * [classifier.count_params()]


def test_half_precision_halves_the_size_and_answers_alike(lm, folder, tmp_path):
    half = export_unchecked(lm, tmp_path / "m", only=("start", "advance"), dtype="float16")
    types, shapes, size = stored(half)
    assert types == {tf.float16} and shapes == stored(folder / "1")[1]
    assert size * 2 == stored(folder / "1")[2]
    prompts = tf.constant(["the cat", ""])
    answers = [load_signatures(v)["start"](text=prompts)["logits"].numpy() for v in (half, folder / "1")]
    assert answers[0].dtype == np.float32 and not np.array_equal(*answers)
    np.testing.assert_allclose(*answers, atol=2e-3 * np.abs(answers[1][answers[1] > -1e9]).max())


def test_a_classifier_in_half_precision_answers_alike():
    classifier = make_classifier()
    signatures = {"serving_default": signatures_of(classifier)["serving_default"]}
    modules = [traced_module(signatures, [], classifier.weights, dtype) for dtype in ("float32", "float16")]
    texts = tf.constant(["a cat", "dogs", ""])
    scores = [functions["serving_default"](text=texts)["scores"].numpy() for _, functions in modules]
    assert {weight.dtype for weight in modules[1][0].weights} == {tf.float16}
    assert not np.array_equal(*scores)
    np.testing.assert_allclose(*scores, rtol=5e-3)


def test_weights_that_half_precision_cannot_hold_are_refused():
    classifier = make_classifier()
    signatures = signatures_of(classifier)
    kernel = classifier.backbone.trainable_variables[1]
    kernel.assign(kernel + 1e5)
    with pytest.raises(InputError, match=r"the weight .*kernel.* has values that float16 cannot hold"):
        traced_module({"classify": signatures["serving_default"]}, [], classifier.weights, "float16")
    with pytest.raises(InputError, match=r"cannot be exported as 'int8': give 'float32' or 'float16'"):
        traced_module({}, [], classifier.weights, "int8")


def test_a_folder_without_a_saved_model_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no SavedModel at .*numbered versions"):
        load_signatures(tmp_path)


def test_a_model_that_learned_nothing_is_not_exported(lm, tmp_path):
    result = TrainingResult({}, "not finite", None, 1.0, None)
    with pytest.raises(InputError, match="the training loss was never finite"):
        publish(lm, tmp_path / "m", result, ["generate"])
    assert not (tmp_path / "m").exists()


def test_a_model_that_trained_in_mixed_precision_has_a_copy_in_float32():
    trained = TASKS["language model"]("mixed_bfloat16")
    exact = in_weight_precision(trained)
    assert exact is not trained and exact.dtype_policy.name == "float32"
    assert in_weight_precision(exact) is exact
    for a, b in zip(exact.get_weights(), trained.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_a_model_that_trained_in_mixed_precision_is_exported_in_float32(tmp_path):
    trained = TASKS["language model"]("mixed_bfloat16")
    version = export_unchecked(trained, tmp_path / "m", max_new_tokens=2)
    half = {tf.bfloat16.as_datatype_enum, tf.float16.as_datatype_enum}
    saved = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    nodes = graph_nodes(saved.meta_graphs[0].graph_def)
    assert not half & {value.type for node in nodes for value in node.attr.values()}
    answer = load_signatures(version)["start"](text=tf.constant(["to be"]))
    exact = in_weight_precision(trained)
    logits, _ = exact.start(*exact.preprocessor.generate_preprocess(["to be"]).values())
    np.testing.assert_allclose(answer["logits"], np.maximum(logits, -1e9), atol=1e-4)


def test_the_command_to_try_a_model_can_be_pasted(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("textrnn.export.publishing.export", lambda *_, **__: "1")
    folder = tmp_path / "my models" / "m"
    folder.mkdir(parents=True)
    result = TrainingResult({}, None, 1, 1.0, None)
    publish(None, folder, result, ["generate", folder, "--prompt", "a b"])
    command = capsys.readouterr().out.splitlines()[-1].removeprefix("try it:    ")
    assert shlex.split(command) == ["textrnn", "generate", str(folder), "--prompt", "a b"]


def test_a_file_with_a_number_for_a_name_takes_the_number(lm, tmp_path):
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "1").write_text("")
    assert next_version(tmp_path / "m") == 2 and versions(tmp_path / "m") == []
    unfinished = tmp_path / "m" / ".unfinished"
    unfinished.mkdir()
    assert rename_to_next_version(unfinished, tmp_path / "m").name == "2"


def test_a_task_without_a_preprocessor_is_refused(tmp_path):
    with pytest.raises(textrnn.InputError, match="the task has no preprocessor, so it reads no strings"):
        export(textrnn.CausalLM(textrnn.RecurrentBackbone(9, units=4)), tmp_path / "m")
    assert not (tmp_path / "m").exists()
