"""The network of a classifier."""

import keras
import keras_hub

from textrnn.cells.base import output_size_of
from textrnn.cells.options import cell_config, make_cell
from textrnn.cells.weights import check_size
from textrnn.layers.dropout import EmbeddingDropout
from textrnn.layers.stack import BidirectionalStack, RecurrentStack
from textrnn.tasks.arguments import stored_arguments
from textrnn.tasks.backbone import RecurrentNetwork
from textrnn.tasks.embedding import token_inputs


@keras.saving.register_keras_serializable(package="textrnn")
class RecurrentEncoder(RecurrentNetwork, keras_hub.models.Backbone):
    """Token embedding and a stack of recurrent layers, bidirectional unless it starts from a language model.

    Args:
        vocabulary_size: int. Size of the token vocabulary.
        cell: The name of a cell, `"module:attribute"`, a `textrnn.GateSpec`, a subclass of `textrnn.Cell`,
            or a cell layer, which is copied for each direction of each layer.
        units: int. Width of each direction of a layer; ignored if `cell` is a layer.
        num_layers: int. Number of recurrent layers.
        embedding_dim: int. Width of the token vectors; None for that of one direction.
        dropout: float. Dropout rate of the inputs of each layer; between layers, one mask per sequence.
        recurrent_dropout, weight_drop, zoneout: As for `textrnn.RecurrentBackbone`.
        embedding_dropout: float. Fraction of word types whose vector is zeroed, one mask per batch.
        bidirectional: bool. Whether layers read in both directions. A language model reads forwards only.
        strategy: str. How the recurrent layers run; see `textrnn.Recurrent`.
        segments: int. Parts of a sequence that training computes twice, to use less memory; see
            `textrnn.Recurrent`.
        residual: bool. As for `textrnn.RecurrentBackbone`.
        dtype: dtype or dtype policy of the computation and the weights. A `cell` that is a layer keeps its
            own.
        **kwargs: `name` and `trainable`.

    Call arguments: a dict of `"token_ids"`, integers `(batch, time)`, and `"padding_mask"`, booleans of the
    same shape, True for valid tokens. Returns `(batch, time, 2 * units)`, the outputs of both directions at
    each step, or `(batch, time, units)` of one direction.

    Raises:
        InputError: For `num_layers` below 1 and for an unknown argument.

    Example:

    >>> from textrnn.classification.backbone import RecurrentEncoder
    >>> encoder = RecurrentEncoder(vocabulary_size=10, cell="gru", units=4)
    >>> x = {"token_ids": np.ones((2, 3), "int32"), "padding_mask": np.ones((2, 3), "bool")}
    >>> encoder(x).shape
    TensorShape([2, 3, 8])
    """

    def __init__(
        self,
        vocabulary_size,
        cell="lstm",
        units=128,
        num_layers=1,
        embedding_dim=None,
        dropout=0.0,
        recurrent_dropout=0.0,
        weight_drop=0.0,
        zoneout=0.0,
        embedding_dropout=0.0,
        bidirectional=True,
        strategy="auto",
        segments=1,
        residual=False,
        dtype=None,
        **kwargs,
    ):
        num_layers = check_size("num_layers", num_layers)
        dtype = keras.dtype_policies.get(dtype)
        cells = [make_cell(cell, units, dtype) for _ in range(num_layers)]
        embedding_dim = output_size_of(cells[0]) if embedding_dim is None else embedding_dim

        # === Layers ===
        self.token_embedding = keras.layers.Embedding(
            vocabulary_size,
            embedding_dim,
            embeddings_initializer=keras.initializers.RandomNormal(stddev=0.1),
            dtype=dtype,
            name="token_embedding",
        )
        self.word_dropout = EmbeddingDropout(
            embedding_dropout, vocabulary_size, dtype=dtype, name="word_dropout"
        )
        self.input_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="input_dropout")
        stack = BidirectionalStack if bidirectional else RecurrentStack
        self.stack = stack(
            cells,
            dropout,
            recurrent_dropout,
            weight_drop,
            zoneout,
            strategy,
            segments,
            residual=residual,
            dtype=dtype,
            name="stack",
        )

        # === Functional model ===
        inputs = token_inputs()
        x = self.word_dropout(self.token_embedding(inputs["token_ids"]), inputs["token_ids"])
        outputs = self.read(self.input_dropout(x), inputs["padding_mask"])
        super().__init__(inputs=inputs, outputs=outputs, dtype=dtype, **kwargs)

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.embedding_dim = embedding_dim
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.weight_drop = weight_drop
        self.zoneout = self.stack.zoneout
        self.embedding_dropout = embedding_dropout
        self.bidirectional = bidirectional
        self.strategy = strategy
        self.segments = segments
        self.residual = residual

    def read(self, vectors, padding_mask, training=None):
        """Run the recurrent layers on token vectors; attributions take gradients here.

        Args:
            vectors: `(batch, time, embedding_dim)`.
            padding_mask: Booleans, `(batch, time)`.
            training: bool, whether to apply dropout and zoneout.

        Returns:
            `(batch, time, 2 * units)`, or `(batch, time, units)` of one direction.
        """
        outputs, _ = self.stack(vectors, mask=padding_mask, training=training)
        return outputs

    def get_config(self):
        """Return the arguments of the constructor."""
        config = super().get_config() | stored_arguments(RecurrentEncoder, self)
        return config | {"cell": cell_config(self.cell, self.stack.cells[0])}
