"""The backbone of language models."""

import keras
import keras_hub

from textrnn.cells.options import cell_config, make_cell
from textrnn.layers.activation_regularization import (
    ActivationRegularization,
    TemporalActivationRegularization,
)
from textrnn.layers.dropout import EmbeddingDropout
from textrnn.layers.stack import RecurrentStack


@keras.saving.register_keras_serializable(package="textrnn")
class RecurrentBackbone(keras_hub.models.Backbone):
    """Token embedding and a stack of recurrent layers, read from left to right.

    Args:
        vocabulary_size: int. The size of the token vocabulary.
        cell: a cell's name, `"module:attribute"`, a `textrnn.GateSpec`, a subclass of `textrnn.Cell`, or a
            cell layer that stands for all of them: each recurrent layer gets a copy with weights of its own.
        units: int. The width of each recurrent layer; ignored if `cell` is a layer.
        num_layers: int. The number of recurrent layers.
        embedding_dim: int. The width of the embedding; `None` for that of the last layer.
        tie_embeddings: bool. Whether the output projection is the transposed embedding (Press & Wolf 2017;
            Inan et al. 2017). If the last layer is not `embedding_dim` wide, a linear map comes between.
        dropout: float. Fraction of the inputs and outputs of every layer to drop while training.
        recurrent_dropout: float. Fraction of what the recurrent kernels multiply to drop, with one mask
            for a sequence (Gal & Ghahramani 2016).
        weight_drop: float. Fraction of the recurrent kernels' entries to drop, with one mask for a batch
            (Merity et al. 2018).
        zoneout: float, or a list of one for each group of a cell's states. Probability that a unit of the
            state keeps its old value (Krueger et al. 2017); see `textrnn.Recurrent`.
        embedding_dropout: float. Fraction of the vocabulary to drop, everywhere in a batch.
        activation_regularization: float. Weight of the mean square of the last layer's outputs after dropout
            (AR, Merity et al. 2018) in the training loss.
        temporal_activation_regularization: float. Weight of the mean square of their change from step to
            step before dropout (TAR) in the training loss. The loss that `fit` shows includes both; what is
            measured in an evaluation, `val_loss` among it, does not.
        dtype: the dtype or dtype policy of the computation and the weights. A `cell` that is a layer keeps
            its own.

    Call arguments: a dict of `"token_ids"`, integers `(batch, time)`, and `"padding_mask"` of the same
    shape, True for tokens that count. Returns `(batch, time, embedding_dim)`.

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
        dropout=0.0,
        recurrent_dropout=0.0,
        weight_drop=0.0,
        zoneout=0.0,
        embedding_dropout=0.0,
        activation_regularization=0.0,
        temporal_activation_regularization=0.0,
        dtype=None,
        **kwargs,
    ):
        dtype = keras.dtype_policies.get(dtype)
        cells = [make_cell(cell, units, dtype) for _ in range(num_layers)]
        embedding_dim = cells[-1].output_size if embedding_dim is None else embedding_dim

        # === Layers ===
        self.token_embedding = keras.layers.ReversibleEmbedding(
            vocabulary_size,
            embedding_dim,
            tie_weights=tie_embeddings,
            # Of unit length, for the logits; `_embed` gives what the layers read unit variance.
            embeddings_initializer=keras.initializers.RandomNormal(stddev=embedding_dim**-0.5),
            dtype=dtype,
            name="token_embedding",
        )
        # It drops the mask of what it projects back, on purpose; without this Keras warns that it does.
        self.token_embedding.supports_masking = True
        self.word_dropout = EmbeddingDropout(
            embedding_dropout, vocabulary_size, dtype=dtype, name="word_dropout"
        )
        self.input_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="input_dropout")
        self.stack = RecurrentStack(
            cells,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            weight_drop=weight_drop,
            zoneout=zoneout,
            dtype=dtype,
            name="stack",
        )
        self.change_penalty = TemporalActivationRegularization(
            temporal_activation_regularization, dtype=dtype, name="change_penalty"
        )
        self.output_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="output_dropout")
        self.output_penalty = ActivationRegularization(
            activation_regularization, dtype=dtype, name="output_penalty"
        )
        self.output_projection = None
        if cells[-1].output_size != embedding_dim:
            self.output_projection = keras.layers.Dense(
                embedding_dim, use_bias=False, dtype=dtype, name="output_projection"
            )

        # === Functional model ===
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        padding_mask = keras.Input((None,), dtype="bool", name="padding_mask")
        x, _ = self.stack(self._read(token_ids), mask=padding_mask)
        super().__init__(
            inputs={"token_ids": token_ids, "padding_mask": padding_mask},
            outputs=self._write(x, mask=padding_mask),
            dtype=dtype,
            **kwargs,
        )

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.embedding_dim = embedding_dim
        self.tie_embeddings = tie_embeddings
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.weight_drop = weight_drop
        self.zoneout = self.stack.zoneout
        self.embedding_dropout = embedding_dropout
        self.activation_regularization = activation_regularization
        self.temporal_activation_regularization = temporal_activation_regularization

    def _embed(self, token_ids):
        """Token vectors scaled as in Vaswani et al. 2017: small ones leave the gates blind at first."""
        return self.token_embedding(token_ids) * self.token_embedding.output_dim**0.5

    def _read(self, token_ids, training=None):
        """Token ids -> what the lowest layer reads."""
        x = self.word_dropout(self._embed(token_ids), token_ids, training=training)
        return self.input_dropout(x, training=training)

    def _write(self, x, mask=None, training=None):
        """The outputs of the highest layer -> what becomes logits."""
        x = self.change_penalty(x, mask=mask, training=training)
        x = self.output_dropout(x, training=training)
        x = self.output_penalty(x, mask=mask, training=training)
        return self._project(x)

    def _project(self, x):
        return x if self.output_projection is None else self.output_projection(x)

    def get_initial_states(self, batch_size):
        """Returns the states before the first token: a list for each layer of tensors `(batch, n)`."""
        return self.stack.get_initial_states(batch_size)

    def run(self, token_ids, states, padding_mask=None, training=False):
        """Reads tokens from given states, as `call` does from the initial ones.

        Args:
            token_ids: integers, `(batch, time)`.
            states: as `get_initial_states` returns them.
            padding_mask: booleans, `(batch, time)`. At padding the states stay as they are and the output
                is that of the last valid step.
            training: bool, whether to drop, zone out and penalise.

        Returns:
            `(batch, time, embedding_dim)` and the states after the last token.
        """
        x = self._read(token_ids, training=training)
        x, states = self.stack(x, initial_states=states, mask=padding_mask, training=training)
        return self._write(x, mask=padding_mask, training=training), states

    def stepper(self):
        """Returns `step(token_ids, states) -> hidden, states`, one token of each row.

        Tokens are `(batch,)`, what comes out is `(batch, embedding_dim)`. The function has read the weights
        already: make it once before a loop over tokens, not within.
        """
        step_stack = self.stack.stepper()

        def step(token_ids, states):
            x, states = step_stack(self._embed(token_ids), states)
            return self._project(x), states

        return step

    def get_config(self):
        """Returns the arguments of the constructor."""
        config = super().get_config()
        config.update(
            vocabulary_size=self.vocabulary_size,
            cell=cell_config(self.cell, self.stack.cells[0]),
            units=self.units,
            num_layers=self.num_layers,
            embedding_dim=self.embedding_dim,
            tie_embeddings=self.tie_embeddings,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            weight_drop=self.weight_drop,
            zoneout=self.zoneout,
            embedding_dropout=self.embedding_dropout,
            activation_regularization=self.activation_regularization,
            temporal_activation_regularization=self.temporal_activation_regularization,
        )
        return config
