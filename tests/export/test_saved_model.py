"""What is exported answers strings with strings, as `generate` does, on a stock server's terms."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import textrnn
from textrnn.export import checks, model_base, saved_model
from textrnn.presets import presets
from textrnn.serving.saved_model import find_saved_model, load_signatures
from textrnn.text_generation.signatures import MAX_NEW_TOKENS, text_completer, text_signatures
from textrnn.tokenizers import train_tokenizer

TEXT = "the cat sat on the mat.\nthe dog ate the cat's hat, and that was that.\n" * 20
PROMPTS = ["the cat", "", "the dog ate the cat's hat, and"]


def make_lm(kind="sentencepiece", cell="lstm", **sampler):
    tokenizer = train_tokenizer(kind, [TEXT], 280 if kind == "sentencepiece" else None)
    backbone = textrnn.RecurrentBackbone(tokenizer.vocabulary_size(), cell=cell, units=8, num_layers=2)
    for weight in backbone.trainable_variables:
        weight.assign(weight * 3)
    return textrnn.CausalLM(
        backbone, textrnn.CausalLMPreprocessor(tokenizer), sampler=textrnn.RowSampler(**sampler)
    )


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    keras.utils.set_random_seed(0)
    lm = make_lm(temperature=0.9, top_k=40)
    folder = tmp_path_factory.mktemp("saved_models") / "cats"
    saved_model.export(lm, folder, max_new_tokens=12)
    return lm, folder, load_signatures(folder)


def request(texts, **given):
    """A `generate` request: one value a row; -1, the model's own, unless given."""
    kinds = {"max_new_tokens": tf.int32, "temperature": tf.float32, "top_k": tf.int32, "top_p": tf.float32}
    rows = {name: given.get(name, -1) for name in (*kinds, "seed")}
    tensors = {
        name: tf.cast(tf.broadcast_to(value, [len(texts)]), kinds.get(name, tf.int64))
        for name, value in rows.items()
    }
    return {"text": tf.constant(texts), **tensors}


def strings(tensor):
    return [text.decode("utf-8") for text in tensor.numpy()]


def test_serving_default_takes_text_alone_and_always_answers_the_same(exported):
    _, _, signatures = exported
    serve = signatures["serving_default"]
    assert list(serve.structured_input_signature[1]) == ["text"]
    assert list(serve.structured_outputs) == ["text"]
    answers = strings(serve(text=tf.constant(PROMPTS))["text"])
    assert answers == strings(serve(text=tf.constant(PROMPTS))["text"])
    assert all(answer.startswith(prompt) for answer, prompt in zip(answers, PROMPTS, strict=True))


def test_a_row_is_the_same_alone_and_in_any_batch(exported):
    _, _, signatures = exported
    serve = signatures["serving_default"]
    together = strings(serve(text=tf.constant(PROMPTS))["text"])
    assert together == [strings(serve(text=tf.constant([p]))["text"])[0] for p in PROMPTS]
    # Also beside rows that ask for other things.
    mixed = signatures["generate"](
        **request(PROMPTS, max_new_tokens=[12, 3, 30], temperature=[-1, 0, 5.0], top_k=[-1, 1, 0])
    )
    assert strings(mixed["text"])[0] == together[0]


def test_generate_in_python_and_the_export_agree(exported):
    lm, _, signatures = exported
    served = strings(signatures["generate"](**request(PROMPTS, max_new_tokens=15))["text"])
    complete = text_completer(lm)
    assert served == [complete(prompt, max_new_tokens=15) for prompt in PROMPTS]
    tokenizer = lm.preprocessor.tokenizer
    for prompt, text in zip(PROMPTS, served, strict=True):
        length = 1 + len(tokenizer.tokenize([prompt])[0]) + 15
        assert lm.generate(prompt, max_length=length) == text


def test_generate_answers_with_the_text_its_completion_and_its_length(exported):
    _, _, signatures = exported
    answer = signatures["generate"](**request(PROMPTS, max_new_tokens=[0, 5, 9]))
    assert (answer["tokens"].numpy() <= [0, 5, 9]).all()
    for text, completion, prompt in zip(
        strings(answer["text"]), strings(answer["completion"]), PROMPTS, strict=True
    ):
        assert text == prompt + completion
    assert strings(answer["completion"])[0] == ""


def test_other_seeds_give_other_answers_and_the_same_seed_the_same(exported):
    _, _, signatures = exported
    texts = [PROMPTS[0]] * 4
    first = strings(signatures["generate"](**request(texts, seed=[1, 2, 3, 1]))["text"])
    assert len(set(first)) == 3 and first[0] == first[3]


def test_impossible_parameters_hurt_nobody(exported):
    """A batch may hold other people's requests: parameters are clipped, never refused."""
    _, _, signatures = exported
    texts = ["the cat"] * 3
    wild = request(
        texts, max_new_tokens=8, top_k=[10**6, 0, -7], top_p=[7.0, 0.0, 0.5], temperature=[1e-9, 0, 1e9]
    )
    assert len(strings(signatures["generate"](**wild)["text"])) == 3


def test_no_request_generates_without_end(exported):
    lm, _, _ = exported
    function, specs = text_signatures(lm)["generate"]
    sent = request([""], max_new_tokens=10**9, temperature=0)
    answer = tf.function(function, autograph=False)(*(sent[spec.name] for spec in specs))
    assert answer["tokens"].numpy()[0] <= MAX_NEW_TOKENS


def test_an_empty_batch_gives_an_empty_answer(exported):
    _, _, signatures = exported
    assert signatures["serving_default"](text=tf.constant([], tf.string))["text"].shape == (0,)


def test_a_client_can_stream_with_start_step_and_detokenize(exported):
    lm, _, signatures = exported
    answer = signatures["generate"](**request(["the cat"], max_new_tokens=6, temperature=0))
    carried = signatures["start"](text=tf.constant(["the cat"]))
    pieces = []
    for _ in range(int(answer["tokens"][0])):
        token = tf.argmax(carried.pop("logits"), axis=-1, output_type=tf.int32)
        pieces.append(int(token[0]))
        carried = signatures["step"](token_ids=token, **carried)
    shown = signatures["detokenize"](token_ids=tf.constant([[*pieces, 0]]))
    assert strings(shown["text"]) == strings(answer["completion"])
    assert {f"states_{i}" for i in range(4)} < set(carried)
    assert carried["logits"].dtype == tf.float32 and carried["logits"].shape == (
        1,
        lm.backbone.vocabulary_size,
    )


@pytest.mark.parametrize(("kind", "cell"), [("character", "simple"), ("byte", "gru"), ("word", "lstm")])
def test_every_tokenizer_and_cell_exports(kind, cell, tmp_path):
    lm = make_lm(kind, cell, temperature=0)
    saved_model.export(lm, tmp_path / "m", max_new_tokens=5)
    answers = strings(load_signatures(tmp_path / "m")["serving_default"](text=tf.constant(PROMPTS))["text"])
    assert answers == [text_completer(lm)(prompt, max_new_tokens=5) for prompt in PROMPTS]


def test_answers_are_valid_utf8(tmp_path):
    lm = make_lm("byte", temperature=3.0)
    function, _ = text_signatures(lm)["generate"]
    answer = function(*request(["é"] * 8, max_new_tokens=40, seed=list(range(8))).values())
    assert all(text.startswith("é") for text in strings(answer["text"]))


# === On disk ===


def test_versions_follow_one_another_and_nothing_unfinished_is_left(exported, tmp_path):
    lm, folder, _ = exported
    assert model_base.versions(folder) == [1]
    second = saved_model.export(lm, folder, max_new_tokens=2)
    assert second == folder / "2" and find_saved_model(folder) == second
    assert sorted(child.name for child in folder.iterdir()) == ["1", "2"]
    assert (second / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0


def test_warmup_requests_are_what_a_server_replays(exported):
    from tensorflow_serving.apis import prediction_log_pb2

    _, folder, signatures = exported
    [record] = tf.data.TFRecordDataset(str(folder / "1" / "assets.extra" / "tf_serving_warmup_requests"))
    log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
    sent = log.predict_log.request
    assert (sent.model_spec.name, sent.model_spec.signature_name) == ("cats", "serving_default")
    signatures["serving_default"](text=tf.constant(tf.make_ndarray(sent.inputs["text"])))


def test_models_config_lists_every_model(exported, tmp_path):
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    _, folder, _ = exported
    path = model_base.write_models_config(folder.parent)
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


def test_a_model_that_does_not_run_elsewhere_is_not_published(tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "FRESH_PROCESS", "raise SystemExit('no such op')")
    with pytest.raises(RuntimeError, match="no such op"):
        saved_model.export(make_lm("byte"), tmp_path / "m")
    assert list((tmp_path / "m").iterdir()) == []


def test_the_exported_graph_needs_no_gpu_and_keeps_nothing_between_requests(exported):
    assert not any(op.startswith(("Cudnn", "Xla")) for op in checks.graph_ops(exported[1] / "1"))
    for function in exported[2].values():
        graph = function.graph.as_graph_def()
        ops = {node.op for f in graph.library.function for node in f.node_def}
        assert not any(op.startswith("Assign") for op in ops)


def test_preset_of_an_earlier_run_is_set_aside(tmp_path):
    lm = make_lm("byte")
    for _ in range(3):
        presets.save_preset(lm, tmp_path / "m")
    assert sorted(child.name for child in (tmp_path / "m").iterdir()) == ["preset", "preset-1", "preset-2"]
    assert presets.find_preset(tmp_path / "m") == tmp_path / "m" / "preset"


def test_what_is_no_model_is_said_to_be_none(tmp_path):
    with pytest.raises(textrnn.InputError, match=r"No SavedModel at .*numbered versions"):
        load_signatures(tmp_path)
    with pytest.raises(textrnn.InputError, match="No preset at"):
        presets.load_preset(tmp_path)
