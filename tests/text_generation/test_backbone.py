"""A backbone has the same outputs for whole texts, for windows and token by token."""

import json

import keras
import numpy as np
import pytest
from builders.layers import tensorflow_only
from builders.seeds import set_seed

import textrnn
from textrnn.cells import PUBLISHED, describe, find_cell
from textrnn.errors import InputError

pytestmark = pytest.mark.usefixtures("without_compilation")

VOCABULARY_SIZE = 30


def make_lm(cell="lstm", units=12, num_layers=2, **kwargs):
    backbone = textrnn.RecurrentBackbone(
        VOCABULARY_SIZE, cell=cell, units=units, num_layers=num_layers, **kwargs
    )
    return textrnn.CausalLM(backbone)


def token_batch(batch_size=2, length=7):
    return np.random.default_rng(0).integers(2, VOCABULARY_SIZE, (batch_size, length)).astype("int32")


REGULARIZATION = {
    "dropout": 0.1,
    "recurrent_dropout": 0.2,
    "weight_drop": 0.3,
    "zoneout": 0.4,
    "embedding_dropout": 0.5,
    "activation_regularization": 2.0,
    "temporal_activation_regularization": 1.0,
}


@pytest.mark.some_cells
@pytest.mark.parametrize("options", [{}, REGULARIZATION], ids=["plain", "regularized"])
@pytest.mark.parametrize("cell", ["simple", "lstm", "gru", "lstm_fgr", "slstm", "sru", "qrnn", "rg_lru"])
def test_call_run_and_step_agree(cell, options):
    if options and describe.kind(find_cell(cell)) != "S":
        options = {**options, "recurrent_dropout": 0.0, "weight_drop": 0.0}
    lm = make_lm(cell, embedding_dim=6, **options)
    token_ids = token_batch()
    whole = lm({"token_ids": token_ids, "padding_mask": np.ones_like(token_ids, "bool")})
    _, states = lm.start(token_ids[:, :3], np.ones((2, 3), "bool"))
    for t in range(3, 7):
        logits, states = lm.step(token_ids[:, t], states)
        np.testing.assert_allclose(logits, whole[:, t], rtol=1e-4, atol=1e-5)


def test_tied_embeddings_share_one_matrix_and_untied_do_not():
    tied, untied = make_lm(tie_embeddings=True), make_lm(tie_embeddings=False)
    matrix = VOCABULARY_SIZE * 12
    assert untied.count_params() - tied.count_params() == matrix
    # A tied embedding is the projection to logits too.
    x = {"token_ids": token_batch(), "padding_mask": np.ones((2, 7), "bool")}
    hidden = tied.backbone(x)
    np.testing.assert_allclose(
        tied(x), hidden @ np.transpose(tied.backbone.token_embedding.embeddings), rtol=1e-4, atol=1e-5
    )


def test_a_spec_and_a_cell_layer_are_copied_for_each_layer():
    spec = textrnn.GateSpec(forget=textrnn.Gate(), input="1 - forget")
    by_spec = textrnn.RecurrentBackbone(20, cell=spec, units=5, num_layers=2)
    by_layer = textrnn.RecurrentBackbone(20, cell=textrnn.GatedCell(5, spec), units=5, num_layers=2)
    assert by_spec.count_params() == by_layer.count_params()
    for backbone in (by_spec, by_layer):
        again = textrnn.RecurrentBackbone.from_config(backbone.get_config())
        assert again.count_params() == backbone.count_params()
        assert again.stack.cells[1].spec == spec
        assert again.stack.cells[0] is not again.stack.cells[1]


def test_states_are_carried_between_windows_and_reset_for_each_pass():
    """A stream in windows of 4 has the outputs of the whole stream; the first window resets the states."""
    lm = make_lm()
    token_ids = token_batch(2, 12)
    lm.carry_states(2)
    whole = lm({"token_ids": token_ids, "padding_mask": np.ones_like(token_ids, "bool")})
    for _ in range(2):
        parts = [
            lm({"token_ids": token_ids[:, t : t + 4], "restart": np.array([t == 0] * 2)}, training=True)
            for t in range(0, 12, 4)
        ]
        np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-4, atol=1e-5)


def test_a_row_can_restart_alone():
    lm = make_lm()
    lm.carry_states(2)
    token_ids = token_batch(2, 4)
    x = {"token_ids": token_ids, "restart": np.array([True, True])}
    fresh = lm(x, training=True)
    again = lm({**x, "restart": np.array([False, True])}, training=True)
    np.testing.assert_allclose(again[1], fresh[1], rtol=1e-5)
    assert not np.allclose(again[0], fresh[0], rtol=1e-3)


def mean_squares(h, mask):
    """The mean squares of valid outputs, and of their changes between valid steps."""
    changes = np.diff(h, axis=1)[mask[:, 1:] & mask[:, :-1]]
    return np.mean(np.square(h[mask])), np.mean(np.square(changes))


def test_training_adds_the_penalties_on_outputs_and_inference_does_not():
    lm = make_lm(activation_regularization=2.0, temporal_activation_regularization=3.0)
    token_ids, mask = token_batch(), np.arange(7) < np.array([[7], [4]])
    padded = {"token_ids": token_ids, "padding_mask": mask}
    window = {"token_ids": token_ids, "restart": np.array([True, True])}
    lm.carry_states(2)
    for inputs, valid in ((padded, mask), (window, np.ones_like(mask))):
        h = np.array(lm.backbone({"token_ids": token_ids, "padding_mask": valid}))
        lm(inputs, training=True)
        size, change = mean_squares(h, valid)
        assert sorted(map(float, lm.losses)) == pytest.approx(sorted([2 * size, 3 * change]), rel=1e-4)
        lm(inputs)
        assert lm.losses == []


@pytest.mark.parametrize("option", REGULARIZATION)
def test_each_regularization_is_noise_or_a_loss_in_training_only(option):
    lm = make_lm(**{option: REGULARIZATION[option]})
    x = {"token_ids": token_batch(), "padding_mask": np.ones((2, 7), "bool")}
    inference = np.array(lm(x))
    np.testing.assert_array_equal(lm(x, training=False), inference)
    assert lm.losses == []
    training = np.array(lm(x, training=True))
    noisy = "activation" not in option
    assert np.allclose(training, inference, rtol=1e-3) != noisy
    assert len(lm.losses) == (not noisy)


def test_embedding_dropout_zeroes_all_occurrences_of_a_word():
    lm = make_lm(num_layers=1, embedding_dropout=0.5)
    token_ids = np.full((8, 2), 3, "int32")
    for _ in range(3):  # all tokens are the same word, so all rows stay equal
        outputs = np.array(
            lm.backbone({"token_ids": token_ids, "padding_mask": token_ids > 0}, training=True)
        )
        np.testing.assert_allclose(outputs, np.broadcast_to(outputs[:1], outputs.shape), rtol=1e-5)


def test_config_restores_regularization_and_older_configs_load():
    backbone = make_lm(**REGULARIZATION | {"zoneout": [0.1, 0.5]}).backbone
    config = keras.saving.serialize_keras_object(backbone)
    again = keras.saving.deserialize_keras_object(config)
    assert again.get_config() == backbone.get_config()
    assert again.stack.recurrent_layers[1].zoneout == [0.1, 0.5]
    for option in REGULARIZATION:
        if "dropout" not in option or option == "embedding_dropout":
            del config["config"][option]
    old = keras.saving.deserialize_keras_object(config)
    assert (old.dropout, old.recurrent_dropout, old.weight_drop, old.zoneout) == (0.1, 0.2, 0.0, 0.0)
    assert old.count_params() == backbone.count_params()


def test_a_saved_model_needs_no_registered_name():
    spec = textrnn.GateSpec(name="leaky", forget=0.9, input=0.1)
    for cell in (spec, textrnn.cells.find_cell("sru"), "min_gru", textrnn.GatedCell(12, "gru", chrono=20)):
        backbone = make_lm(cell).backbone
        copy = textrnn.RecurrentBackbone.from_config(backbone.get_config())
        ours, theirs = ([c.get_config() | {"name": ""} for c in b.stack.cells] for b in (backbone, copy))
        assert ours == theirs


@pytest.mark.some_cells
@pytest.mark.parametrize("name", PUBLISHED)
def test_config_and_weights_restore_a_backbone_with_any_cell(name):
    backbone = make_lm(name).backbone
    copy = textrnn.RecurrentBackbone.from_config(json.loads(json.dumps(backbone.get_config())))
    copy.set_weights(backbone.get_weights())
    x = {"token_ids": token_batch(), "padding_mask": np.ones((2, 7), "bool")}
    np.testing.assert_array_equal(copy(x), backbone(x))


def test_a_keras_cell_is_saved_as_keras_saves_it():
    backbone = textrnn.RecurrentBackbone(10, cell=keras.layers.LSTMCell(4), embedding_dim=4)
    copy = textrnn.RecurrentBackbone.from_config(backbone.get_config())
    assert isinstance(copy.stack.cells[0], keras.layers.LSTMCell)


class NotRegistered(textrnn.GatedCell):
    pass


@pytest.mark.parametrize(
    ("module", "advice"),
    [
        ("my_cells", r'find_cell\("my_cells:NotRegistered"\) before .* --cell my_cells:NotRegistered'),
        ("__main__", "register_keras_serializable and define it before"),
    ],
)
def test_an_unregistered_class_is_named_with_advice(module, advice, monkeypatch):
    monkeypatch.setattr(NotRegistered, "__module__", module)
    config = textrnn.RecurrentBackbone(10, cell=NotRegistered(4), units=4).get_config()
    with pytest.raises(InputError, match=f"the class NotRegistered, which is not registered: .*{advice}"):
        textrnn.RecurrentBackbone.from_config(config)


def test_a_registered_name_is_saved_as_its_spec(monkeypatch):
    monkeypatch.setattr(textrnn.cells.registry, "_CELLS", dict(textrnn.cells.registry._CELLS))
    textrnn.register_cell("mine", textrnn.GateSpec(name="mine", forget=0.9, input=0.1))
    config = make_lm("mine").backbone.get_config()
    monkeypatch.undo()
    assert textrnn.RecurrentBackbone.from_config(config).stack.cells[1].spec.forget == 0.9


def test_each_layer_may_have_a_width_of_its_own():
    backbone = make_lm(units=[12, 8, 6], num_layers=3, embedding_dim=6).backbone
    assert [cell.output_size for cell in backbone.stack.cells] == [12, 8, 6]
    assert backbone.output_projection is None, "the last layer fits the tied embedding"
    again = textrnn.RecurrentBackbone.from_config(json.loads(json.dumps(backbone.get_config())))
    assert [weight.shape for weight in again.weights] == [weight.shape for weight in backbone.weights]
    with pytest.raises(InputError, match=r"units is \[12, 8\] for num_layers=3: give one int, or one for"):
        make_lm(units=[12, 8], num_layers=3)
    alike = make_lm(units=[12, 12], num_layers=2, embedding_dim=6).backbone
    assert alike.get_config()["units"] == alike.units == 12, "as models that start from this one expect"


@pytest.mark.parametrize(
    ("place", "read"),
    [
        ("input_dropout", lambda backbone: backbone._read(np.ones((3, 7), "int32"), training=True)),
        ("output_dropout", lambda backbone: backbone._write(np.ones((3, 7, 200)), training=True)),
    ],
)
def test_dropout_of_inputs_and_outputs_is_locked_and_has_rates_of_its_own(place, read):
    """One mask for all steps of a sequence, of the given rate."""
    set_seed(0)
    for options, rate in (({place: 0.6}, 0.6), ({"dropout": 0.3}, 0.3), ({"dropout": 0.3, place: 0.0}, 0.0)):
        kept = np.array(read(make_lm(units=200, num_layers=1, **options).backbone)) != 0
        assert (kept == kept[:, :1]).all()
        assert kept.mean() == pytest.approx(1 - rate, abs=0.08)
        assert rate == 0 or (kept[0] != kept[1]).any(), "each sequence has a mask"


def test_the_rate_between_layers_is_that_of_dropout():
    backbone = make_lm(dropout=0.25, input_dropout=0.4, output_dropout=0.5).backbone
    assert [layer.dropout for layer in backbone.stack.recurrent_layers] == [0.0, 0.25]
    config = backbone.get_config()
    assert (config["dropout"], config["input_dropout"], config["output_dropout"]) == (0.25, 0.4, 0.5)


@pytest.mark.parametrize("name", ["input_dropout", "output_dropout"])
def test_a_rate_outside_0_to_1_is_refused(name):
    with pytest.raises(InputError, match=rf"{name} is 1\.5: give a rate"):
        make_lm(**{name: 1.5})


def test_project_outputs_adds_a_linear_layer_of_the_same_width():
    plain, projected = (
        textrnn.RecurrentBackbone(9, units=4, project_outputs=project) for project in (False, True)
    )
    assert plain.output_projection is None
    assert projected.count_params() == plain.count_params() + 4 * 4
    copy = textrnn.RecurrentBackbone.from_config(projected.get_config())
    assert copy.output_projection is not None
    narrow = textrnn.RecurrentBackbone(9, units=4, embedding_dim=3)
    assert narrow.output_projection is not None


@pytest.mark.parametrize("options", [{}, {"embedding_dropout": 0.5}, {"num_layers": 2, "cell": "qrnn"}])
@pytest.mark.parametrize("training", [True, False])
def test_many_tokens_of_few_kinds_give_the_outputs_of_a_few_at_a_time(options, training):
    size, outputs = 4, []
    token_ids = np.random.default_rng(0).integers(0, size, (3, 12)).astype("int32")
    for windows in (1, 12):  # that of all tokens projects the vectors of the vocabulary
        set_seed(0)
        backbone = textrnn.RecurrentBackbone(size, units=5, **options)
        states, found = backbone.get_initial_states(3), []
        for part in np.split(token_ids, windows, axis=1):
            backbone.word_dropout.seed_generator.state.assign([1, 0])  # the same word types for all parts
            hidden, states = backbone.run(part, states, training=training)
            found.append(hidden)
        outputs.append(np.concatenate(found, axis=1))
    np.testing.assert_allclose(*outputs, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "training", "tokens", "projects"),
    [
        ({}, True, (4, 5), True),
        ({}, False, (4, 5), True),
        ({}, True, (None, None), True),  # windows of any length
        ({}, False, (None, None), False),  # such as a prompt, which is short
        ({}, True, (2, 5), False),
        ({"input_dropout": 0.1}, True, (4, 5), False),
        ({"dropout": 0.1}, True, (4, 5), False),
        ({"dropout": 0.1}, False, (4, 5), True),
    ],
)
@tensorflow_only
def test_the_vectors_of_few_kinds_of_tokens_are_projected(options, training, tokens, projects):
    import tensorflow as tf

    backbone = textrnn.RecurrentBackbone(9, units=3, embedding_dim=7, **options)

    @tf.function(input_signature=[tf.TensorSpec(tokens, tf.int32)], autograph=False)
    def run(token_ids):
        return backbone.run(token_ids, backbone.get_initial_states(tf.shape(token_ids)[0]), training=training)

    operations = run.get_concrete_function().graph.get_operations()
    products = [x.inputs[0].shape for x in operations if "MatMul" in x.type and x.inputs[0].shape[-1] == 7]
    assert {shape[0] == backbone.vocabulary_size for shape in products} == {projects}


@tensorflow_only
@pytest.mark.parametrize("many", [True, False])
def test_a_vocabulary_is_projected_before_many_tokens_and_not_for_one(many):
    import tensorflow as tf

    backbone = textrnn.RecurrentBackbone(9, units=3, embedding_dim=7)
    states = backbone.get_initial_states(2)
    step = tf.function(
        lambda token_ids: backbone.stepper(many)(token_ids, states)[0],
        input_signature=[tf.TensorSpec([2], tf.int32)],
        autograph=False,
    )
    operations = step.get_concrete_function().graph.get_operations()
    products = [x.inputs[0].shape for x in operations if "MatMul" in x.type and x.inputs[0].shape[-1] == 7]
    assert {shape[0] for shape in products} == {9 if many else 2}
    expected, _ = backbone.run(np.array([[4], [8]]), states)
    np.testing.assert_allclose(step(tf.constant([4, 8])), expected[:, 0], rtol=1e-5, atol=1e-6)


@tensorflow_only
def test_one_step_of_a_language_model_projects_no_vocabulary():
    import tensorflow as tf

    lm = make_lm(embedding_dim=7)
    states = lm.backbone.get_initial_states(2)
    step = tf.function(lambda ids: lm.step(ids, states)[0], autograph=False)
    graph = step.get_concrete_function(tf.TensorSpec([2], tf.int32)).graph
    shapes = [tuple(x.inputs[0].shape) for x in graph.get_operations() if "MatMul" in x.type]
    assert shapes and all(shape[0] == 2 for shape in shapes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 0}, "num_layers is 0: give a positive integer"),
        ({"num_layers": 1.5}, r"num_layers is 1\.5: give a positive integer"),
        ({"units": 4.0}, r"units is 4\.0: give a positive integer"),
        ({"units": "8"}, "units is '8': give a positive integer"),
    ],
)
def test_sizes_that_are_none_are_named(options, message):
    for backbone in (textrnn.RecurrentBackbone, textrnn.RecurrentSeq2Seq, textrnn.RecurrentEncoder):
        with pytest.raises(textrnn.InputError, match=message):
            backbone(9, **options)
