"""The network of a translator: encoder and decoder."""

import keras
import keras_hub
from keras import ops

from textrnn.cells.base import output_size_of
from textrnn.cells.options import cell_config, make_cell
from textrnn.cells.weights import check_size
from textrnn.errors import expect
from textrnn.layers.dropout import EmbeddingDropout
from textrnn.layers.stack import BidirectionalStack
from textrnn.tasks.arguments import stored_arguments
from textrnn.tasks.backbone import RecurrentNetwork
from textrnn.tasks.embedding import embed, token_embedding, token_inputs
from textrnn.translation.attention_decoder import AttentionDecoder


@keras.saving.register_keras_serializable(package="textrnn")
class RecurrentSeq2Seq(RecurrentNetwork, keras_hub.models.Backbone):
    """A bidirectional recurrent encoder and a recurrent decoder with attention.

    Learned linear maps of the last states of the encoder give the initial states of the decoder. Attention
    follows the last layer of the decoder (Luong et al. 2015), so that with teacher forcing all layers run
    over whole sequences.

    Args:
        vocabulary_size: int. Size of the source vocabulary.
        target_vocabulary_size: int. Size of the target vocabulary; None if both sides share the vocabulary,
            and with it the embedding.
        cell: Recurrent cell of both sides, as for `textrnn.RecurrentBackbone`.
        decoder_cell: Recurrent cell of the decoder; None for `cell`.
        units: int. Width of each direction of the encoder layers.
        decoder_units: int. Width of the decoder layers; None for `units`.
        num_layers: int. Number of recurrent layers of each side.
        embedding_dim: int. Width of the token vectors; None for that of the decoder layers.
        source_embedding_dim: int. Another width for those of the source, which needs a vocabulary of its own.
        attention: One of `textrnn.layers.attention.SCORES`: additive, dot, general, scaled_dot or
            scaled_general.
        input_feeding: bool. Whether the decoder reads its previous output with the next token (Luong et al.
            2015, section 3.3). It then runs step by step, which is slower.
        tie_embeddings: bool. Whether the output projection is the transposed target embedding.
        dropout: float. Dropout rate of token vectors, between layers, and of outputs. The memory has no
            dropout, which would make attention hard.
        recurrent_dropout, weight_drop, zoneout: As for `textrnn.RecurrentBackbone`, on both sides.
        embedding_dropout: float. Fraction of word types whose vector is zeroed, one mask per batch and side.
        strategy: str. How the recurrent layers run; see `textrnn.Recurrent`.
        residual: bool. As for `textrnn.RecurrentBackbone`, on both sides.
        dtype: dtype or dtype policy of the computation and the weights.
        **kwargs: `name` and `trainable`.

    Call arguments: a dict of `"encoder_token_ids"`, integers `(batch, time)`, `"decoder_token_ids"`, integers
    `(batch, steps)`, and booleans of the same shapes, `"encoder_padding_mask"` and `"decoder_padding_mask"`,
    True for valid tokens. Returns `(batch, steps, embedding_dim)`.

    Raises:
        InputError: For an unknown argument, and for a `source_embedding_dim` of a shared embedding.

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
        strategy="auto",
        source_embedding_dim=None,
        residual=False,
        dtype=None,
        **kwargs,
    ):
        dtype = keras.dtype_policies.get(dtype)
        num_layers = check_size("num_layers", num_layers)
        encoder_cells = [make_cell(cell, units, dtype) for _ in range(num_layers)]
        of_decoder = cell if decoder_cell is None else decoder_cell
        decoder_cells = [make_cell(of_decoder, decoder_units or units, dtype) for _ in range(num_layers)]
        embedding_dim = output_size_of(decoder_cells[-1]) if embedding_dim is None else embedding_dim
        expect(
            target_vocabulary_size is not None or source_embedding_dim in (None, embedding_dim),
            f"source_embedding_dim is {source_embedding_dim}, but both sides share the embedding: leave it "
            "out, or give target_vocabulary_size",
        )
        options = {
            "recurrent_dropout": recurrent_dropout, "weight_drop": weight_drop, "zoneout": zoneout,
            "strategy": strategy, "residual": residual,
        }  # fmt: skip

        # === Layers ===
        self.target_embedding = token_embedding(
            target_vocabulary_size or vocabulary_size, embedding_dim, tie_weights=tie_embeddings, dtype=dtype,
            name="target_embedding",
        )  # fmt: skip
        self.source_embedding = self.target_embedding
        if target_vocabulary_size is not None:
            self.source_embedding = token_embedding(
                vocabulary_size,
                embedding_dim if source_embedding_dim is None else source_embedding_dim,
                dtype=dtype,
                name="source_embedding",
            )
        self.source_word_dropout = EmbeddingDropout(
            embedding_dropout, vocabulary_size, dtype=dtype, name="source_word_dropout"
        )
        self.target_word_dropout = EmbeddingDropout(
            embedding_dropout, target_vocabulary_size or vocabulary_size, dtype=dtype,
            name="target_word_dropout",
        )  # fmt: skip
        self.source_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="source_dropout")
        self.target_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="target_dropout")
        self.encoder = BidirectionalStack(encoder_cells, dropout, **options, dtype=dtype, name="encoder")
        self.decoder = AttentionDecoder(
            decoder_cells, embedding_dim, attention, input_feeding, dropout, **options, dtype=dtype,
            name="decoder",
        )  # fmt: skip
        self.output_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="output_dropout")

        # === Functional model ===
        inputs = token_inputs("encoder_") | token_inputs("decoder_")
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
        self.attention = attention
        self.input_feeding = input_feeding
        self.tie_embeddings = tie_embeddings
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.weight_drop = weight_drop
        self.zoneout = self.encoder.zoneout
        self.embedding_dropout = embedding_dropout
        self.strategy = strategy
        self.source_embedding_dim = source_embedding_dim
        self.residual = residual

    def _read_target(self, token_ids, training=None):
        x = embed(self.target_embedding, token_ids)
        x = self.target_word_dropout(x, token_ids, training=training)
        return self.target_dropout(x, training=training)

    def encode(self, token_ids, padding_mask, training=None):
        """Read sources.

        Args:
            token_ids: Integers, `(batch, time)`.
            padding_mask: Booleans, `(batch, time)`.
            training: bool, whether to apply dropout and zoneout.

        Returns:
            `(memory, states)`: `(batch, time, 2 * units)`, and the last states of each encoder layer.
        """
        x = embed(self.source_embedding, token_ids)
        x = self.source_word_dropout(x, token_ids, training=training)
        x = self.source_dropout(x, training=training)
        return self.encoder(x, mask=padding_mask, training=training)

    def run(self, token_ids, states, memory, memory_mask, padding_mask=None):
        """Read target tokens from given states, in inference mode.

        Args:
            token_ids: Integers, `(batch, steps)`.
            states: As `get_initial_states` returns them.
            memory: As `encode` returns it.
            memory_mask: Booleans, `(batch, time)`.
            padding_mask: Booleans, `(batch, steps)`. Padding leaves the states unchanged.

        Returns:
            `(outputs, attention, states)`: `(batch, steps, embedding_dim)`, attention weights
            `(batch, steps, time)`, and the states after the last token.
        """
        return self.decoder(
            self._read_target(token_ids),
            memory,
            initial_states=states,
            memory_mask=memory_mask,
            mask=padding_mask,
        )

    def get_initial_states(self, encoder_states):
        """Return the initial states of the decoder.

        Args:
            encoder_states: The last states of the encoder, as `encode` returns them.
        """
        batch_size = ops.shape(encoder_states[0][0])[0]
        return self.decoder.get_initial_states(batch_size, encoder_states)

    def stepper(self, memory, memory_mask):
        """Return `step(token_ids, states) -> outputs, attention, states`, which reads one token per row.

        Tokens are `(rows,)`, outputs `(rows, embedding_dim)` and attention weights `(rows, time)`. There may
        be several consecutive rows per row of the memory. The function holds the weights that it has read,
        so call `stepper` before a loop over tokens, not inside.
        """
        step_decoder = self.decoder.stepper(memory, memory_mask)

        def step(token_ids, states):
            return step_decoder(embed(self.target_embedding, token_ids), states)

        return step

    def get_config(self):
        """Return the arguments of the constructor."""
        config = super().get_config() | stored_arguments(RecurrentSeq2Seq, self)
        config["cell"] = cell_config(self.cell, self.encoder.cells[0])
        if self.decoder_cell is not None:
            config["decoder_cell"] = cell_config(self.decoder_cell, self.decoder.stack.cells[0])
        return config
