"""A language model is a KerasHub task, trains on a stream, and generates step by step."""

import keras
import keras_hub
import numpy as np
import pytest
import tensorflow as tf

import textrnn
from textrnn.data.windows import evaluation_windows, stream, windows
from textrnn.text_generation.evaluation import score_language_model
from textrnn.tokenizers import ByteTokenizer, encode_documents

VOCABULARY_SIZE = 258


def make_lm(cell="lstm", units=12, num_layers=1, sampler=None, **kwargs):
    backbone = textrnn.RecurrentBackbone(
        VOCABULARY_SIZE, cell=cell, units=units, num_layers=num_layers, **kwargs
    )
    # Large weights, so that the logits of an untrained model differ.
    for weight in backbone.trainable_variables:
        weight.assign(weight * 3)
    preprocessor = textrnn.CausalLMPreprocessor(ByteTokenizer(), sequence_length=24)
    return textrnn.CausalLM(backbone, preprocessor, sampler=sampler)


def token_batch(batch_size=2, length=7, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(2, VOCABULARY_SIZE, (batch_size, length)).astype("int32")


# === Training ===


def test_fits_raw_strings():
    lm = make_lm()
    lm.compile(optimizer=keras.optimizers.Adam(0.01))
    losses = lm.fit(["abcabcabc", "abcabc"] * 8, epochs=4, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_validates_on_a_list_of_strings():
    lm = make_lm()
    texts = ["abc", "bca"]
    history = lm.fit(["abc"], validation_data=texts, verbose=0).history
    assert history["val_loss"] == pytest.approx([lm.evaluate(texts, verbose=0)], rel=1e-5)


def test_the_loss_counts_tokens_and_not_padding():
    lm = make_lm()
    loss = lm.evaluate(["abc", "a"], verbose=0)
    nats = []
    for text in ("abc", "a"):
        ids = np.array([[1, *(byte + 2 for byte in text.encode()), 1]], "int32")
        x = {"token_ids": ids[:, :-1], "padding_mask": np.ones_like(ids[:, :-1], "bool")}
        log_probs = np.asarray(keras.ops.log_softmax(lm(x)))[0]
        nats += [-log_probs[t, token] for t, token in enumerate(ids[0, 1:])]
    assert loss == pytest.approx(np.mean(nats), rel=1e-4)


def test_carried_states_remember_earlier_windows():
    """A letter is repeated three tokens later, often in the next window, where only a state predicts it."""
    rng = np.random.default_rng(0)
    blocks = [[letter, 9, 9, letter, 8] for letter in rng.integers(2, 6, 200)]
    tokens = np.array([1, *np.concatenate(blocks)], "int32")
    data = windows(tokens, batch_size=8, sequence_length=4)
    lm = textrnn.CausalLM(textrnn.RecurrentBackbone(10, cell="gru", units=24))
    lm.compile(optimizer=keras.optimizers.Adam(0.02, global_clipnorm=1.0))
    lm.fit(data, epochs=10, verbose=0)
    forgetful = data.map(lambda x, y: ({**x, "restart": tf.ones_like(x["restart"])}, y))
    # One token of five is random, which costs ln 4 nats; without memory its repetition costs as much.
    assert lm.evaluate(data, verbose=0) < 1.3 * np.log(4) / 5
    assert lm.evaluate(forgetful, verbose=0) > 1.5 * np.log(4) / 5


def test_a_model_of_one_document_knows_how_a_text_begins():
    """Every prompt begins with the start token, which a stream of one document has twice."""
    rng = np.random.default_rng(0)
    lines = ["x" + "".join(rng.choice(list("abcd"), rng.integers(2, 9))) for _ in range(400)]
    tokenizer = ByteTokenizer()
    tokens = stream(encode_documents(tokenizer, ["\n".join(lines)]), tokenizer.end_token_id)
    options = {"start_token_id": 1, "boundary_token_ids": tokenizer.boundary_token_ids}
    data = windows(tokens, 8, 16, restart_probability=0.05, **options)
    lm = textrnn.CausalLM(
        textrnn.RecurrentBackbone(258, units=24), textrnn.CausalLMPreprocessor(tokenizer), "greedy"
    )
    lm.compile(keras.optimizers.Adam(0.01, global_clipnorm=1.0))
    lm.fit(data, epochs=10, verbose=0)
    start = {"token_ids": np.array([[1]]), "padding_mask": np.array([[True]])}
    probabilities = np.asarray(keras.ops.softmax(lm.start(**start)[0]))[0]
    assert probabilities[tokenizer("x").numpy()].sum() > 0.9
    assert lm.generate("", max_length=3).startswith("x")


@pytest.mark.parametrize("several", [False, True])
def test_stop_texts_end_a_continuation_but_not_a_prompt(several):
    lm = make_lm()
    lm.compile(sampler=textrnn.RowSampler(temperature=3.0), run_eagerly=True)
    prompts = ["a\nb", "", "b\n\n"]
    full = lm.generate(prompts, max_length=60)
    stop = [full[0][8], full[2][10], "zz"] if several else full[0][8]
    cut = lm.generate(prompts, max_length=60, stop=stop)
    alone = lm.generate(prompts, max_length=60, stop=stop, strip_prompt=True)
    assert any(len(a) < len(b) for a, b in zip(cut, full, strict=True))
    for prompt, whole, text, completion in zip(prompts, full, cut, alone, strict=True):
        assert text == prompt + completion and whole.startswith(text)
        assert not any(s in completion for s in stop)
        assert text == whole or any(whole[len(text) :].startswith(s) for s in stop)
    assert lm.generate(prompts[0], max_length=60, stop=stop) == cut[0]
    batches = tf.data.Dataset.from_tensor_slices(prompts).batch(3)
    assert lm.generate(batches, max_length=60, stop=stop) == cut
    shuffled = tf.data.Dataset.from_tensor_slices(prompts).shuffle(3, seed=1).batch(1)
    assert sorted(lm.generate(shuffled, max_length=60, stop=stop)) == sorted(cut)
    with pytest.raises(textrnn.InputError, match="a stop text is empty"):
        lm.generate("a", max_length=9, stop="")


def test_no_prompts_give_no_texts_without_a_preprocessor_too():
    lm = textrnn.CausalLM(textrnn.RecurrentBackbone(9, units=4))
    assert lm.generate([], stop_token_ids=None) == []


def test_evaluation_is_exact_and_keeps_the_states_of_training():
    lm = make_lm()
    tokens = token_batch(1, 100)[0]
    lm.carry_states(2)
    lm({"token_ids": token_batch(), "restart": np.array([True, True])}, training=True)
    before = [np.array(v) for v in lm.training_states.carried]
    score = score_language_model(lm, evaluation_windows(tokens, 1, 16), characters=99)
    for variable, value in zip(lm.training_states.carried, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    x = {"token_ids": tokens[None, :-1], "padding_mask": np.ones((1, 99), "bool")}
    log_probs = np.asarray(keras.ops.log_softmax(lm(x)))[0]
    assert score.loss == pytest.approx(-np.mean(log_probs[np.arange(99), tokens[1:]]), rel=1e-4)
    assert score.tokens == 99


def test_a_fresh_model_evaluates_windows():
    lm = make_lm()
    tokens = token_batch(1, 100)[0]
    data = evaluation_windows(tokens, 2, 16)
    assert score_language_model(lm, data, characters=99).tokens == 99
    assert np.isfinite(make_lm().evaluate(data, verbose=0))


def test_prediction_in_between_does_not_change_training():
    data = windows(np.arange(100) % 12, 2, 5)
    predict = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: lm.predict(data.take(2), verbose=0)
    )
    losses = []
    for callbacks in ([], [predict]):
        keras.utils.set_random_seed(0)
        lm = make_lm()
        losses += lm.fit(data, shuffle=False, callbacks=callbacks, verbose=0).history["loss"]
    assert losses[0] == losses[1]


def test_windows_are_predicted_as_the_whole_stream():
    lm = make_lm()
    tokens = token_batch(1, 41)[0]
    logits = lm.predict(evaluation_windows(tokens, 1, 8), verbose=0)
    whole = lm({"token_ids": tokens[None, :-1], "padding_mask": np.ones((1, 40), "bool")})
    np.testing.assert_allclose(logits.reshape(whole.shape), whole, rtol=1e-4, atol=1e-5)


def test_single_batches_carry_states_like_fit():
    data = windows(np.arange(100) % 12, 2, 5)
    keras.utils.set_random_seed(0)
    fitted = make_lm()
    fitted.fit(data, shuffle=False, verbose=0)
    keras.utils.set_random_seed(0)
    lm = make_lm()
    for x, y in data:
        lm.train_on_batch(keras.tree.map_structure(np.array, x), np.array(y))
    for one, other in zip(lm.get_weights(), fitted.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    for x, y in data.take(1):
        assert np.isfinite(lm.test_on_batch(x, y)) and lm.predict_on_batch(x).shape[:2] == (2, 5)


def test_windows_whose_states_cannot_be_carried_are_refused():
    lm = make_lm()
    data = windows(np.arange(100) % 12, 2, 5)
    x, y = next(iter(data))
    for given in ((data.unbatch().batch(2),), ({name: np.array(v) for name, v in x.items()}, np.array(y))):
        with pytest.raises(textrnn.InputError, match="whose batches have one size"):
            lm.fit(*given)
    with pytest.raises(textrnn.InputError, match=r"call carry_states\(2\) before training"):
        lm(x, training=True)


def test_carried_states_are_no_weights():
    lm = make_lm()
    before, count = len(lm.weights), lm.count_params()
    data = windows(np.arange(100) % 12, 2, 5)
    lm.fit(data, validation_data=data, verbose=0)
    assert (len(lm.weights), lm.count_params()) == (before, count)
    make_lm().set_weights(lm.get_weights())


def test_the_batch_size_can_change():
    lm = make_lm()
    tokens = token_batch(1, 200)[0]
    for batch_size in (4, 2, 4):
        lm.fit(windows(tokens, batch_size, 8), verbose=0)
    assert lm.training_states.batch_size == 4


def test_a_callback_may_evaluate_on_batches_of_another_size():
    lm, tokens, losses = make_lm(), token_batch(1, 100)[0], []

    class Evaluates(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            for rows in (2, 3):
                losses.append(self.model.evaluate(evaluation_windows(tokens, rows, 8), verbose=0))

    lm.fit(windows(tokens, 4, 8), epochs=2, callbacks=[Evaluates()], verbose=0)
    again = [lm.evaluate(evaluation_windows(tokens, rows, 8), verbose=0) for rows in (2, 3)]
    np.testing.assert_allclose(losses[2:], again, rtol=1e-5)
    assert losses[0] > losses[2]


def test_trains_in_mixed_precision():
    backbone = textrnn.RecurrentBackbone(VOCABULARY_SIZE, units=8, dtype="mixed_bfloat16")
    lm = textrnn.CausalLM(backbone)
    history = lm.fit(windows(token_batch(1, 100)[0], 2, 8), verbose=0).history
    assert np.isfinite(history["loss"][0])
    assert lm.backbone.stack.cells[0].kernel.dtype == "float32"


def test_the_penalties_are_part_of_the_loss_in_training_only():
    texts = ["abc", "abcdefgh"]
    lm = make_lm(activation_regularization=2.0, temporal_activation_regularization=3.0)
    lm.compile(optimizer=keras.optimizers.SGD(0.0))
    x, _, _ = lm.preprocessor(texts)
    h, mask = np.array(lm.backbone(x)), np.array(x["padding_mask"])
    changes = np.diff(h, axis=1)[mask[:, 1:] & mask[:, :-1]]
    penalty = 2 * np.mean(np.square(h[mask])) + 3 * np.mean(np.square(changes))
    plain = make_lm()
    plain.set_weights(lm.get_weights())
    cross_entropy = plain.evaluate(texts, verbose=0)
    history = lm.fit(texts, validation_data=(texts,), verbose=0).history
    assert history["loss"][0] == pytest.approx(cross_entropy + penalty, rel=1e-4)
    assert history["val_loss"][0] == pytest.approx(cross_entropy, rel=1e-4)
    assert lm.evaluate(texts, verbose=0) == pytest.approx(cross_entropy, rel=1e-4)


REGULARIZATION = {
    "dropout": 0.1,
    "recurrent_dropout": 0.1,
    "weight_drop": 0.3,
    "zoneout": [0.1, 0.4],
    "embedding_dropout": 0.1,
    "activation_regularization": 2.0,
    "temporal_activation_regularization": 1.0,
}


def test_a_regularized_model_learns_and_is_scored_without_noise_and_penalties():
    lm = make_lm(**REGULARIZATION)
    tokens = np.tile(np.arange(2, 10, dtype="int32"), 40)
    lm.compile(optimizer=keras.optimizers.Adam(0.01, global_clipnorm=1.0))
    losses = lm.fit(windows(tokens, 4, 8), epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    held_out = evaluation_windows(tokens, 2, 16)
    score = score_language_model(lm, held_out, characters=100)
    assert score_language_model(lm, held_out, characters=100) == score
    assert lm.evaluate(held_out, verbose=0) == pytest.approx(score.loss, rel=0.05)  # a mean of batch means


def test_a_regularized_model_generates_without_noise_and_from_a_preset_too(tmp_path):
    lm = make_lm(**REGULARIZATION, sampler=textrnn.RowSampler(temperature=0))
    tokens = [1, *(byte + 2 for byte in b"abc")]
    for _ in range(5):
        x = {"token_ids": np.array([tokens]), "padding_mask": np.ones((1, len(tokens)), "bool")}
        tokens.append(int(np.argmax(np.asarray(lm(x))[0, -1, 1:]) + 1))  # never padding
        if tokens[-1] == 1:
            break
    inputs = lm.preprocessor.generate_preprocess(["abc"], sequence_length=9)
    lm.save_to_preset(str(tmp_path / "preset"))
    for model in (lm, textrnn.CausalLM.from_preset(str(tmp_path / "preset"))):
        generated = model.generate_step(inputs, stop_token_ids=[1])
        length = int(np.sum(generated["padding_mask"]))
        assert np.asarray(generated["token_ids"])[0, :length].tolist() == tokens[:length]


# === Generation ===

PROMPTS = ["abc", "", "a longer prompt"]


@pytest.mark.parametrize("cell", ["lstm", pytest.param("gru", marks=pytest.mark.slow)])
def test_a_row_is_the_same_alone_and_in_any_batch(cell):
    lm = make_lm(cell, num_layers=2, sampler=textrnn.RowSampler(temperature=1.0, top_k=50, top_p=0.9))
    together = lm.generate(PROMPTS, max_length=24)
    assert together == [lm.generate(prompt, max_length=24) for prompt in PROMPTS]
    assert lm.generate(PROMPTS[::-1], max_length=24) == together[::-1]
    assert all(text.startswith(prompt) for text, prompt in zip(together, PROMPTS, strict=True))


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("cell", ["lstm", "qrnn", "rg_lru"])
def test_long_prompts_are_read_in_parts(monkeypatch, cell, traced):
    lm, run, sizes = make_lm(cell), textrnn.RecurrentBackbone.run, []
    token_ids = token_batch(batch_size=3, length=17)
    mask = np.arange(17) < np.array([[17], [4], [9]])
    hidden, _, states = lm._decoder({"token_ids": token_ids, "padding_mask": mask}).read(token_ids, mask)

    def noted(self, token_ids, *args, **kwargs):
        found = run(self, token_ids, *args, **kwargs)
        sizes.append(tf.shape(token_ids)[1])
        return found

    def read(token_ids, mask):
        return lm._decoder({"token_ids": token_ids, "padding_mask": mask}).read(token_ids, mask)

    monkeypatch.setattr("textrnn.decoding.loop.TOKENS", 15)  # five of each row
    monkeypatch.setattr(textrnn.RecurrentBackbone, "run", noted)
    found, _, after = (tf.function(read, autograph=False) if traced else read)(
        tf.constant(token_ids), tf.constant(mask)
    )
    assert len(sizes) == 1 if traced else [int(size) for size in sizes] == [5, 5, 5, 2]
    np.testing.assert_allclose(np.asarray(found)[mask], np.asarray(hidden)[mask], atol=1e-5)
    for one, expected in zip(keras.tree.flatten(after), keras.tree.flatten(states), strict=True):
        np.testing.assert_allclose(one, expected, atol=1e-5)


def test_seeds_are_derived_from_prompts_unless_one_is_given():
    lm = make_lm()
    lm.compile(run_eagerly=True)  # tracing takes longer than so few steps
    assert lm.generate("abc", max_length=24) == lm.generate("abc", max_length=24)
    lm.compile(sampler=textrnn.RowSampler(seed=1), run_eagerly=True)
    first = lm.generate("abc", max_length=24)
    lm.default_sampler = textrnn.RowSampler(seed=2)
    second = lm.generate("abc", max_length=24)
    assert first != second


@pytest.mark.parametrize("sampler", ["greedy", "top_k", "top_p", "beam", "random", "contrastive"])
def test_generates_with_any_sampler_of_keras_hub(sampler):
    lm = make_lm()
    lm.compile(
        sampler=keras_hub.samplers.ContrastiveSampler(k=3, alpha=0.2) if sampler == "contrastive" else sampler
    )
    texts = lm.generate(["abc", "a longer one"], max_length=20)
    assert texts[0].startswith("abc") and texts[1].startswith("a longer one")


def test_greedy_by_keras_hub_equals_temperature_zero():
    lm = make_lm("gru")
    lm.compile(sampler="greedy", run_eagerly=True)
    expected = lm.generate(PROMPTS, max_length=20)
    lm.compile(sampler=textrnn.RowSampler(temperature=0), run_eagerly=True)
    assert lm.generate(PROMPTS, max_length=20) == expected


def test_greedy_generation_takes_the_most_likely_token_each_time():
    lm = make_lm(sampler=textrnn.RowSampler(temperature=0))
    ids = [1, *(byte + 2 for byte in b"abc")]
    for _ in range(5):
        x = {"token_ids": np.array([ids]), "padding_mask": np.ones((1, len(ids)), "bool")}
        ids.append(int(np.argmax(np.asarray(lm(x))[0, -1, 1:]) + 1))  # never padding
        if ids[-1] == 1:
            break
    inputs = lm.preprocessor.generate_preprocess(["abc"], sequence_length=9)
    got = lm.generate_step(inputs, stop_token_ids=[1])
    length = int(np.sum(got["padding_mask"]))
    assert np.asarray(got["token_ids"])[0, :length].tolist() == ids[:length]


def test_the_end_token_ends_a_text():
    lm = make_lm()
    # All logits are 0, and the end token is the first that is not suppressed.
    lm.backbone.token_embedding.embeddings.assign(np.zeros((VOCABULARY_SIZE, 12)))
    lm.compile(sampler=textrnn.RowSampler(temperature=0))
    inputs = lm.preprocessor.generate_preprocess(["abc"], sequence_length=9)
    assert int(np.sum(lm.generate_step(inputs, stop_token_ids=[1])["padding_mask"])) == 4
    assert int(np.sum(lm.generate_step(inputs, stop_token_ids=None)["padding_mask"])) == 9


def test_a_step_runs_the_cells_once():
    """Its graph has no loop over earlier tokens."""
    lm = make_lm("lstm", num_layers=1)
    step = tf.function(lambda ids, h, c: lm.step(ids, [[h, c]])).get_concrete_function(
        tf.TensorSpec([None], tf.int32), *[tf.TensorSpec([None, 12], tf.float32)] * 2
    )
    names = [node.op for node in step.graph.as_graph_def().node]
    functions = step.graph.as_graph_def().library.function
    assert "While" not in names and "StatelessWhile" not in names
    assert not any("While" in node.op for function in functions for node in function.node_def)


def test_a_prompt_without_room_is_refused():
    lm = make_lm()
    with pytest.raises(textrnn.InputError, match=r"prompt of 6 tokens .* max_length=5.*max_length=7 or more"):
        lm.generate("abcde", max_length=5)


def test_prompts_are_preprocessed_one_by_one_in_lists_and_in_datasets():
    preprocessor = make_lm().preprocessor
    alone = preprocessor.generate_preprocess("abc", sequence_length=6)["token_ids"]
    listed = preprocessor.generate_preprocess(["abc"], sequence_length=6)["token_ids"]
    mapped = next(
        iter(
            tf.data.Dataset.from_tensors(tf.constant(["abc"])).map(
                lambda x: preprocessor.generate_preprocess(x, sequence_length=6)
            )
        )
    )["token_ids"]
    for ids in (alone, listed[0], mapped[0]):
        np.testing.assert_array_equal(ids, [1, 99, 100, 101, 0, 0])


# === Presets ===


@pytest.mark.parametrize("cell", [textrnn.GateSpec(forget=textrnn.Gate(), input="1 - forget")])
def test_preset_round_trip(cell, tmp_path):
    sampler = textrnn.RowSampler(temperature=0.5, top_k=7)
    lm = make_lm(cell, num_layers=2, sampler=sampler, embedding_dim=6, dropout=0.1)
    lm.fit(windows(token_batch(1, 100)[0], 2, 8), verbose=0)
    lm.save_to_preset(str(tmp_path / "preset"))
    for cls in (textrnn.CausalLM, keras_hub.models.CausalLM):
        again = cls.from_preset(str(tmp_path / "preset"))
        assert again.default_sampler.get_config() == sampler.get_config()
        again.compile(run_eagerly=True)
        assert again.generate(PROMPTS, max_length=20) == lm.generate(PROMPTS, max_length=20)


def test_carried_states_are_not_saved(tmp_path):
    lm = make_lm()
    lm.compile(run_eagerly=True)
    lm.fit(windows(token_batch(1, 100)[0], 2, 8), verbose=0)
    lm.save_to_preset(str(tmp_path / "preset"))
    again = textrnn.CausalLM.from_preset(str(tmp_path / "preset"))
    assert again.training_states is None
    again.compile(run_eagerly=True)
    again.fit(windows(token_batch(1, 100)[0], 3, 4), verbose=0)
