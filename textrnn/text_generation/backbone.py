"""The network of a language model."""

import math

import keras
import keras_hub
from keras import ops

from textrnn.cells.base import output_size_of
from textrnn.cells.options import cell_config, make_cell
from textrnn.cells.weights import check_size
from textrnn.errors import expect
from textrnn.layers.activation_regularization import (
    ActivationRegularization,
    TemporalActivationRegularization,
)
from textrnn.layers.dropout import EmbeddingDropout, check_rate
from textrnn.layers.stack import RecurrentStack
from textrnn.tasks.arguments import stored_arguments
from textrnn.tasks.backbone import RecurrentNetwork
from textrnn.tasks.embedding import embed, token_embedding, token_inputs

FEW_VECTORS = 512
"""Vocabularies up to this size, those of characters and bytes, are projected before a text is generated, and
for batches with twice as many tokens."""


@keras.saving.register_keras_serializable(package="textrnn")
class RecurrentBackbone(RecurrentNetwork, keras_hub.models.Backbone):
    """Token embedding and a stack of unidirectional recurrent layers.

    Args:
        vocabulary_size: int. Size of the token vocabulary.
        cell: The name of a cell, `"module:attribute"`, a `textrnn.GateSpec`, a subclass of `textrnn.Cell`,
            or a cell layer, which is copied for each recurrent layer.
        units: int, or a list with one for each layer. Width of the recurrent layers; ignored if `cell` is a
            layer.
        num_layers: int. Number of recurrent layers.
        embedding_dim: int. Width of the token vectors; None for that of the last layer.
        tie_embeddings: bool. Whether the output projection is the transposed embedding (Press & Wolf 2017;
            Inan et al. 2017).
        project_outputs: bool. Whether a linear layer follows the last recurrent layer; one always does if
            their widths differ. Without it, tied embeddings have to turn outputs between -1 and 1 into
            logits by themselves, which costs accuracy on all but small texts.
        dropout: float. Dropout rate of the inputs and outputs of each recurrent layer, one mask per sequence
            (locked).
        input_dropout: float. Another rate for the inputs of the first layer; None for `dropout`.
        output_dropout: float. Another rate for the outputs of the last layer; None for `dropout`.
        recurrent_dropout: float. Dropout rate of the states that recurrent kernels multiply, one mask per
            sequence (Gal & Ghahramani 2016).
        weight_drop: float. Dropout rate of the entries of recurrent kernels, one mask per batch (Merity et
            al. 2018).
        zoneout: float, or a list with one value per group of states of a cell. Probability that a unit of a
            state keeps its previous value (Krueger et al. 2017); see `textrnn.Recurrent`.
        embedding_dropout: float. Fraction of word types whose vector is zeroed, one mask per batch.
        activation_regularization: float. Weight in the training loss of the mean square of the outputs of
            the last layer after dropout (AR, Merity et al. 2018).
        temporal_activation_regularization: float. Weight in the training loss of the mean square of the
            change of these outputs from step to step, before dropout (TAR). The loss that `fit` reports
            includes both penalties; the loss of an evaluation, such as `val_loss`, does not.
        strategy: str. How the recurrent layers run; see `textrnn.Recurrent`.
        segments: int. Parts of a sequence that training computes twice, to use less memory; see
            `textrnn.Recurrent`.
        residual: bool. Whether to add the inputs of each recurrent layer but the first to its outputs; see
            `textrnn.RecurrentStack`.
        dtype: dtype or dtype policy of the computation and the weights. A `cell` that is a layer keeps its
            own.
        **kwargs: `name` and `trainable`.

    Call arguments: a dict of `"token_ids"`, integers `(batch, time)`, and `"padding_mask"`, booleans of the
    same shape, True for valid tokens. Returns `(batch, time, embedding_dim)`.

    Raises:
        InputError: For an unknown argument, a rate outside [0, 1), or widths that are not one for each layer.

    Example:

    >>> backbone = textrnn.RecurrentBackbone(vocabulary_size=10, cell="gru", units=4)
    >>> x = {"token_ids": np.ones((2, 3), "int32"), "padding_mask": np.ones((2, 3), "bool")}
    >>> backbone(x).shape
    TensorShape([2, 3, 4])
    """

    def __init__(
        self,
        vocabulary_size,
        cell="lstm",
        units=256,
        num_layers=1,
        embedding_dim=None,
        tie_embeddings=True,
        project_outputs=False,
        dropout=0.0,
        recurrent_dropout=0.0,
        weight_drop=0.0,
        zoneout=0.0,
        embedding_dropout=0.0,
        activation_regularization=0.0,
        temporal_activation_regularization=0.0,
        strategy="auto",
        segments=1,
        input_dropout=None,
        output_dropout=None,
        residual=False,
        dtype=None,
        **kwargs,
    ):
        dtype = keras.dtype_policies.get(dtype)
        cells = [make_cell(cell, width, dtype) for width in _widths(units, num_layers)]
        rates = {"input_dropout": input_dropout, "output_dropout": output_dropout}
        rates = {name: check_rate(name, dropout if r is None else r) for name, r in rates.items()}
        width = output_size_of(cells[-1])
        embedding_dim = width if embedding_dim is None else embedding_dim

        # === Layers ===
        self.token_embedding = token_embedding(
            vocabulary_size, embedding_dim, tie_weights=tie_embeddings, dtype=dtype, name="token_embedding"
        )
        self.word_dropout = EmbeddingDropout(
            embedding_dropout, vocabulary_size, dtype=dtype, name="word_dropout"
        )
        self.locked_inputs = keras.layers.SpatialDropout1D(
            rates["input_dropout"], dtype=dtype, name="input_dropout"
        )
        self.stack = RecurrentStack(
            cells,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            weight_drop=weight_drop,
            zoneout=zoneout,
            strategy=strategy,
            segments=segments,
            residual=residual,
            dtype=dtype,
            name="stack",
        )
        self.change_penalty = TemporalActivationRegularization(
            temporal_activation_regularization, dtype=dtype, name="change_penalty"
        )
        self.locked_outputs = keras.layers.SpatialDropout1D(
            rates["output_dropout"], dtype=dtype, name="output_dropout"
        )
        self.output_penalty = ActivationRegularization(
            activation_regularization, dtype=dtype, name="output_penalty"
        )
        self.output_projection = None
        if project_outputs or width != embedding_dim:
            self.output_projection = keras.layers.Dense(
                embedding_dim, use_bias=False, dtype=dtype, name="output_projection"
            )

        # === Functional model ===
        inputs = token_inputs()
        x, _ = self.stack(self._read(inputs["token_ids"]), mask=inputs["padding_mask"])
        outputs = self._write(x, mask=inputs["padding_mask"])
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, **kwargs)

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.cell = cell
        widths = _widths(units, num_layers)
        self.units = widths if len(set(widths)) > 1 else widths[0]
        self.num_layers = num_layers
        self.embedding_dim = embedding_dim
        self.tie_embeddings = tie_embeddings
        self.project_outputs = project_outputs
        self.dropout = dropout
        self.input_dropout = input_dropout
        self.output_dropout = output_dropout
        self.recurrent_dropout = recurrent_dropout
        self.weight_drop = weight_drop
        self.zoneout = self.stack.zoneout
        self.embedding_dropout = embedding_dropout
        self.strategy = strategy
        self.segments = segments
        self.residual = residual
        self.activation_regularization = activation_regularization
        self.temporal_activation_regularization = temporal_activation_regularization

    def _vectors(self, training=None):
        """The vector of each token, which `_read` looks up if inputs have no dropout of their own."""
        token_ids = ops.arange(self.vocabulary_size)
        return self.word_dropout(embed(self.token_embedding, token_ids), token_ids, training=training)

    def _projects_vectors(self, token_ids, training):
        """Whether to project the vectors of the vocabulary, as there are many more tokens."""
        if self.vocabulary_size > FEW_VECTORS or (training and self.locked_inputs.rate):
            return False
        count = math.prod(size or 0 for size in token_ids.shape)
        return 2 * self.vocabulary_size <= count if count else bool(training)

    def _read(self, token_ids, training=None):
        """Token ids -> inputs of the first layer."""
        x = self.word_dropout(embed(self.token_embedding, token_ids), token_ids, training=training)
        return self.locked_inputs(x, training=training)

    def _write(self, x, mask=None, training=None):
        """Outputs of the last layer -> outputs of the backbone."""
        x = self.change_penalty(x, mask=mask, training=training)
        x = self.locked_outputs(x, training=training)
        x = self.output_penalty(x, mask=mask, training=training)
        return self._project(x)

    def _project(self, x):
        return x if self.output_projection is None else self.output_projection(x)

    def get_initial_states(self, batch_size):
        """Return the states before the first token: per layer, a list of tensors `(batch, n)`."""
        return self.stack.get_initial_states(batch_size)

    def run(self, token_ids, states, padding_mask=None, training=False):
        """Read tokens from given states, as `call` does from the initial ones.

        Args:
            token_ids: Integers, `(batch, time)`.
            states: As `get_initial_states` returns them.
            padding_mask: Booleans, `(batch, time)`. Padding leaves the states unchanged and repeats the
                output of the last valid step.
            training: bool, whether to apply dropout, zoneout and penalties.

        Returns:
            `(outputs, states)`: `(batch, time, embedding_dim)`, and the states after the last token.
        """
        if self._projects_vectors(token_ids, training):
            x, states = self.stack.look_up(
                token_ids, self._vectors(training), states, mask=padding_mask, training=training
            )
        else:
            x = self._read(token_ids, training=training)
            x, states = self.stack(x, initial_states=states, mask=padding_mask, training=training)
        return self._write(x, mask=padding_mask, training=training), states

    def stepper(self, many_tokens=False):
        """Return `step(token_ids, states) -> outputs, states`, which reads one token per row.

        Tokens are `(batch,)` and outputs `(batch, embedding_dim)`. The function holds the weights that it has
        read, so call `stepper` before a loop over tokens, not inside.

        Args:
            many_tokens: bool, whether so many tokens follow that a small vocabulary is worth projecting
                before the first one.
        """
        few = many_tokens and self.vocabulary_size <= FEW_VECTORS
        step_stack = self.stack.stepper(self._vectors() if few else None)

        def step(token_ids, states):
            inputs = token_ids if few else embed(self.token_embedding, token_ids)
            x, states = step_stack(inputs, states)
            return self._project(x), states

        return step

    def get_config(self):
        """Return the arguments of the constructor."""
        config = super().get_config() | stored_arguments(RecurrentBackbone, self)
        return config | {"cell": cell_config(self.cell, self.stack.cells[0])}


def _widths(units, num_layers):
    """The width of each layer."""
    num_layers = check_size("num_layers", num_layers)
    if not isinstance(units, (list, tuple)):
        return [units] * num_layers
    expect(
        len(units) == num_layers,
        f"units is {list(units)} for num_layers={num_layers}: give one int, or one for each layer",
    )
    return list(units)
