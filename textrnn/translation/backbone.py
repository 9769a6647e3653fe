"""The encoder and the decoder."""

import keras
import keras_hub
from keras import ops

from textrnn.cells.options import cell_config, make_cell
from textrnn.layers.dropout import EmbeddingDropout
from textrnn.layers.stack import BidirectionalStack
from textrnn.translation.attention_decoder import AttentionDecoder


@keras.saving.register_keras_serializable(package="textrnn")
class RecurrentSeq2Seq(keras_hub.models.Backbone):
    """A bidirectional recurrent encoder and a recurrent decoder that attends to it.

    The encoder reads the source in both directions; learnt linear maps of its last states are the states that
    the decoder starts from; attention comes after the decoder's highest layer (Luong et al. 2015), so that
    under teacher forcing all of it runs over whole sequences.

    Args:
        vocabulary_size: int. The number of tokens of the source.
        target_vocabulary_size: int. That of the target, if it has a vocabulary of its own; `None` if both
            share one, and then one table of token vectors.
        cell: the recurrent cell of both sides, as for `textrnn.RecurrentBackbone`.
        decoder_cell: that of the decoder, if it is another one.
        units: int. The width of each direction of the encoder's layers.
        decoder_units: int. The width of the decoder's layers; `None` for `units`.
        num_layers: int. The number of recurrent layers of each side.
        embedding_dim: int. The width of the token vectors; `None` for that of the decoder's layers.
        attention: one of `textrnn.layers.attention.SCORES`: additive, dot, general, scaled_dot or
            scaled_general.
        input_feeding: bool. Whether the decoder reads its last output beside the next token (Luong et al.
            2015, section 3.3). It then goes step by step, which is slower.
        tie_embeddings: bool. Whether the output projection is the transposed embedding of the target.
        dropout: float. Fraction of the token vectors, of what goes from layer to layer, and of what comes out
            to drop while training; not of the memory, where it would make attention hard.
        recurrent_dropout, weight_drop, zoneout: as for `textrnn.RecurrentBackbone`, on both sides.
        embedding_dropout: float. Fraction of each vocabulary to drop, everywhere in a batch.
        dtype: the dtype or dtype policy of the computation and the weights.

    Call arguments: a dict of `"encoder_token_ids"`, integers `(batch, time)`, `"decoder_token_ids"`, integers
    `(batch, steps)`, and for each a mask of its shape, `"encoder_padding_mask"` and `"decoder_padding_mask"`,
    True for tokens that count. Returns `(batch, steps, embedding_dim)`.

    Example:

    >>> backbone = textrnn.RecurrentSeq2Seq(vocabulary_size=10, cell="gru", units=4)
    >>> ids, mask = np.ones((2, 3), "int32"), np.ones((2, 3), "bool")
    >>> x = {"encoder_token_ids": ids, "encoder_padding_mask": mask,
    ...      "decoder_token_ids": ids, "decoder_padding_mask": mask}
    >>> backbone(x).shape
    TensorShape([2, 3, 4])
    """

    def __init__(
        self,
        vocabulary_size,
        target_vocabulary_size=None,
        cell="lstm",
        decoder_cell=None,
        units=256,
        decoder_units=None,
        num_layers=1,
        embedding_dim=None,
        attention="scaled_general",
        input_feeding=False,
        tie_embeddings=True,
        dropout=0.0,
        recurrent_dropout=0.0,
        weight_drop=0.0,
        zoneout=0.0,
        embedding_dropout=0.0,
        dtype=None,
        **kwargs,
    ):
        dtype = keras.dtype_policies.get(dtype)
        encoder_cells = [make_cell(cell, units, dtype) for _ in range(num_layers)]
        of_decoder = cell if decoder_cell is None else decoder_cell
        decoder_cells = [make_cell(of_decoder, decoder_units or units, dtype) for _ in range(num_layers)]
        embedding_dim = decoder_cells[-1].output_size if embedding_dim is None else embedding_dim
        noise = {"recurrent_dropout": recurrent_dropout, "weight_drop": weight_drop, "zoneout": zoneout}

        # === Layers ===
        def embedding(size, name, **options):
            # Of unit length, for the logits; `_embed` gives what the layers read unit variance.
            initializer = keras.initializers.RandomNormal(stddev=embedding_dim**-0.5)
            layer = keras.layers.ReversibleEmbedding(
                size, embedding_dim, embeddings_initializer=initializer, dtype=dtype, name=name, **options
            )
            # It drops the mask of what it projects back, on purpose; without this Keras warns that it does.
            layer.supports_masking = True
            return layer

        self.target_embedding = embedding(
            target_vocabulary_size or vocabulary_size, "target_embedding", tie_weights=tie_embeddings
        )
        self.source_embedding = self.target_embedding
        if target_vocabulary_size is not None:
            self.source_embedding = embedding(vocabulary_size, "source_embedding")
        self.source_word_dropout = EmbeddingDropout(
            embedding_dropout, vocabulary_size, dtype=dtype, name="source_word_dropout"
        )
        self.target_word_dropout = EmbeddingDropout(
            embedding_dropout, target_vocabulary_size or vocabulary_size, dtype=dtype,
            name="target_word_dropout",
        )  # fmt: skip
        self.source_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="source_dropout")
        self.target_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="target_dropout")
        self.encoder = BidirectionalStack(encoder_cells, dropout, **noise, dtype=dtype, name="encoder")
        self.decoder = AttentionDecoder(
            decoder_cells, embedding_dim, attention, input_feeding, dropout, **noise, dtype=dtype,
            name="decoder",
        )  # fmt: skip
        self.output_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="output_dropout")

        # === Functional model ===
        inputs = {
            f"{side}_{name}": keras.Input((None,), dtype=kind, name=f"{side}_{name}")
            for side in ("encoder", "decoder")
            for name, kind in (("token_ids", "int32"), ("padding_mask", "bool"))
        }
        memory, encoder_states = self.encode(inputs["encoder_token_ids"], inputs["encoder_padding_mask"])
        outputs, _, _ = self.decoder(
            self._read_target(inputs["decoder_token_ids"]),
            memory,
            encoder_states=encoder_states,
            memory_mask=inputs["encoder_padding_mask"],
            mask=inputs["decoder_padding_mask"],
        )
        super().__init__(inputs=inputs, outputs=self.output_dropout(outputs), dtype=dtype, **kwargs)

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.target_vocabulary_size = target_vocabulary_size
        self.cell = cell
        self.decoder_cell = decoder_cell
        self.units = units
        self.decoder_units = decoder_units
        self.num_layers = num_layers
        self.embedding_dim = embedding_dim
        self.input_feeding = input_feeding
        self.tie_embeddings = tie_embeddings
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.weight_drop = weight_drop
        self.zoneout = self.encoder.zoneout
        self.embedding_dropout = embedding_dropout

    def _embed(self, embedding, token_ids):
        """Token vectors scaled as in Vaswani et al. 2017: small ones leave the gates blind at first."""
        return embedding(token_ids) * self.target_embedding.output_dim**0.5

    def _read_target(self, token_ids, training=None):
        x = self._embed(self.target_embedding, token_ids)
        return self.target_dropout(
            self.target_word_dropout(x, token_ids, training=training), training=training
        )

    def encode(self, token_ids, padding_mask, training=None):
        """Reads the source.

        Args:
            token_ids: integers, `(batch, time)`.
            padding_mask: booleans, `(batch, time)`.
            training: bool, whether to drop and to zone out.

        Returns:
            The memory `(batch, time, 2 * units)`, and the last states of the encoder's layers.
        """
        x = self._embed(self.source_embedding, token_ids)
        x = self.source_word_dropout(x, token_ids, training=training)
        x = self.source_dropout(x, training=training)
        return self.encoder(x, mask=padding_mask, training=training)

    def run(self, token_ids, states, memory, memory_mask, padding_mask=None):
        """Reads tokens of the target from given states, as in inference.

        Args:
            token_ids: integers, `(batch, steps)`.
            states: as `get_initial_states` returns them.
            memory: as `encode` returns it.
            memory_mask: booleans, `(batch, time)`.
            padding_mask: booleans, `(batch, steps)`. At padding the states stay as they are.

        Returns:
            `(batch, steps, embedding_dim)`, the weights of attention `(batch, steps, time)`, and the states
            after the last token.
        """
        return self.decoder(
            self._read_target(token_ids),
            memory,
            initial_states=states,
            memory_mask=memory_mask,
            mask=padding_mask,
        )

    def get_initial_states(self, encoder_states):
        """The states of the decoder before the first token, from those of the encoder after the last."""
        batch_size = ops.shape(encoder_states[0][0])[0]
        return self.decoder.get_initial_states(batch_size, encoder_states)

    def stepper(self, memory, memory_mask):
        """Returns `step(token_ids, states) -> hidden, attention, states`, one token of each row.

        Tokens are `(rows,)`, where each row of the memory may have several, one after another; what comes out
        is `(rows, embedding_dim)` and `(rows, time)`. The function has read the weights already.
        """
        step_decoder = self.decoder.stepper(memory, memory_mask)

        def step(token_ids, states):
            return step_decoder(self._embed(self.target_embedding, token_ids), states)

        return step

    def get_config(self):
        """Returns the arguments of the constructor."""
        config = super().get_config()
        decoder_cell = self.decoder_cell
        if decoder_cell is not None:
            decoder_cell = cell_config(decoder_cell, self.decoder.stack.cells[0])
        config.update(
            vocabulary_size=self.vocabulary_size,
            target_vocabulary_size=self.target_vocabulary_size,
            cell=cell_config(self.cell, self.encoder.cells[0]),
            decoder_cell=decoder_cell,
            units=self.units,
            decoder_units=self.decoder_units,
            num_layers=self.num_layers,
            embedding_dim=self.embedding_dim,
            attention=self.decoder.attention.score,
            input_feeding=self.input_feeding,
            tie_embeddings=self.tie_embeddings,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            weight_drop=self.weight_drop,
            zoneout=self.zoneout,
            embedding_dropout=self.embedding_dropout,
        )
        return config
