"""The model of tokens: one mathematics, whether it reads a text whole, in windows or token by token."""

import numpy as np
import pytest

import textrnn

VOCABULARY_SIZE = 30


def make_lm(cell="lstm", units=12, num_layers=2, **kwargs):
    backbone = textrnn.RecurrentBackbone(
        VOCABULARY_SIZE, cell=cell, units=units, num_layers=num_layers, **kwargs
    )
    return textrnn.CausalLM(backbone)


def token_batch(batch_size=2, length=7):
    return np.random.default_rng(0).integers(2, VOCABULARY_SIZE, (batch_size, length)).astype("int32")


@pytest.mark.parametrize("cell", ["simple", "lstm", "gru"])
def test_call_run_and_step_say_the_same(cell):
    lm = make_lm(cell, embedding_dim=6)
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
    # Doubling the embedding doubles logits where it is tied: it is the projection too.
    x = {"token_ids": token_batch(), "padding_mask": np.ones((2, 7), "bool")}
    hidden = tied.backbone(x)
    np.testing.assert_allclose(
        tied(x), hidden @ np.transpose(tied.backbone.token_embedding.embeddings), rtol=1e-4, atol=1e-5
    )


def test_a_spec_of_ones_own_and_a_cell_layer_are_copied_for_each_layer():
    spec = textrnn.GateSpec(forget=textrnn.Gate(), input="1 - forget")
    by_spec = textrnn.RecurrentBackbone(20, cell=spec, units=5, num_layers=2)
    by_layer = textrnn.RecurrentBackbone(20, cell=textrnn.GatedCell(5, spec), units=5, num_layers=2)
    assert by_spec.count_params() == by_layer.count_params()
    for backbone in (by_spec, by_layer):
        again = textrnn.RecurrentBackbone.from_config(backbone.get_config())
        assert again.count_params() == backbone.count_params()
        assert again.stack.cells[1].spec == spec
        assert again.stack.cells[0] is not again.stack.cells[1]


def test_states_travel_from_window_to_window_and_restart_each_pass():
    """Reading a stream in windows of 4 is reading it whole; the first window of a pass starts afresh."""
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
