"""The backbone that reads a whole text, in both directions."""

import keras
import keras_hub

from textrnn.cells.options import cell_config, make_cell
from textrnn.errors import InputError
from textrnn.layers.dropout import EmbeddingDropout
from textrnn.layers.stack import BidirectionalStack


@keras.saving.register_keras_serializable(package="textrnn")
class RecurrentEncoder(keras_hub.models.Backbone):
    """Token embedding and bidirectional recurrent layers: each step knows what is before it and after it.

    Args:
        vocabulary_size: int. The size of the token vocabulary.
        cell: a cell's name, `"module:attribute"`, a `textrnn.GateSpec`, a subclass of `textrnn.Cell`, or a
            cell layer that stands for all of them: each direction of each layer gets a copy of its own.
        units: int. The width of each direction of a layer; ignored if `cell` is a layer.
        num_layers: int. The number of recurrent layers.
        embedding_dim: int. The width of the embedding; `None` for that of one direction.
        dropout: float. Fraction of the inputs of every layer to drop while training; between layers the same
            features at all steps of a sequence.
        recurrent_dropout, weight_drop, zoneout: as for `textrnn.RecurrentBackbone`.
        embedding_dropout: float. Fraction of the vocabulary to drop, everywhere in a batch.
        dtype: the dtype or dtype policy of the computation and the weights. A `cell` that is a layer keeps
            its own.

    Call arguments: a dict of `"token_ids"`, integers `(batch, time)`, and `"padding_mask"` of the same
    shape, True for tokens that count. Returns `(batch, time, 2 * units)`: at each step what was read forwards
    up to it, and what was read backwards down to it.

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
        dtype=None,
        **kwargs,
    ):
        if num_layers < 1:
            raise InputError(f"num_layers is {num_layers}: give 1 or more")
        dtype = keras.dtype_policies.get(dtype)
        cells = [make_cell(cell, units, dtype) for _ in range(num_layers)]
        embedding_dim = cells[0].output_size if embedding_dim is None else embedding_dim

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
        self.stack = BidirectionalStack(
            cells, dropout, recurrent_dropout, weight_drop, zoneout, dtype=dtype, name="stack"
        )

        # === Functional model ===
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        padding_mask = keras.Input((None,), dtype="bool", name="padding_mask")
        x = self.input_dropout(self.word_dropout(self.token_embedding(token_ids), token_ids))
        super().__init__(
            inputs={"token_ids": token_ids, "padding_mask": padding_mask},
            outputs=self.read(x, padding_mask),
            dtype=dtype,
            **kwargs,
        )

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

    def read(self, vectors, padding_mask, training=None):
        """The recurrent layers alone, from token vectors: for attributions.

        Args:
            vectors: `(batch, time, embedding_dim)`.
            padding_mask: booleans `(batch, time)`.
            training: bool, whether to drop and to zone out.

        Returns:
            `(batch, time, 2 * units)`.
        """
        outputs, _ = self.stack(vectors, mask=padding_mask, training=training)
        return outputs

    def get_config(self):
        """Returns the arguments of the constructor."""
        config = super().get_config()
        config.update(
            vocabulary_size=self.vocabulary_size,
            cell=cell_config(self.cell, self.stack.cells[0]),
            units=self.units,
            num_layers=self.num_layers,
            embedding_dim=self.embedding_dim,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            weight_drop=self.weight_drop,
            zoneout=self.zoneout,
            embedding_dropout=self.embedding_dropout,
        )
        return config
