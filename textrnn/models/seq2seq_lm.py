"""Sequence to sequence: the backbone, preprocessor and task that translate."""

import keras
import keras_hub
import numpy as np
from keras import ops

from textrnn import decoding
from textrnn.beam_search import BeamSearchSampler, beam_search
from textrnn.layers.attention_decoder import AttentionDecoder
from textrnn.layers.dropout import EmbeddingDropout
from textrnn.layers.stack import BidirectionalStack
from textrnn.models.cell_options import cell_config, make_cell
from textrnn.models.generative_task import GenerativeTask


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


@keras.saving.register_keras_serializable(package="textrnn")
class Seq2SeqLMPreprocessor(keras_hub.models.Seq2SeqLMPreprocessor):
    """Turns strings into what `textrnn.Seq2SeqLM` reads, and back.

    A source is its tokens and the end token; a target that, with the start token in front.

    Args:
        tokenizer: one of `textrnn.tokenizers`, of the source.
        target_tokenizer: that of the target; None if both share one.
        encoder_sequence_length: int. Sources are cut after this many tokens.
        decoder_sequence_length: int. Targets are cut after this many tokens, and `generate` stops there
            unless it is told a `max_length`.

    Call arguments: a dict of `"encoder_text"` and `"decoder_text"`, strings. Returns a dict of token ids and
    masks as `RecurrentSeq2Seq` reads them, the targets and their weights.

    Example:

    >>> from textrnn.tokenizers import ByteTokenizer
    >>> preprocessor = textrnn.Seq2SeqLMPreprocessor(ByteTokenizer())
    >>> x, y, weights = preprocessor({"encoder_text": ["ab", "c"], "decoder_text": ["d", "ef"]})
    >>> x["encoder_padding_mask"].numpy().astype(int).tolist(), y.shape
    ([[1, 1, 1], [1, 1, 0]], TensorShape([2, 3]))
    """

    backbone_cls = RecurrentSeq2Seq

    def __init__(
        self,
        tokenizer,
        target_tokenizer=None,
        encoder_sequence_length=256,
        decoder_sequence_length=256,
        **kwargs,
    ):
        super().__init__(tokenizer, encoder_sequence_length, decoder_sequence_length, **kwargs)
        if isinstance(target_tokenizer, dict):
            target_tokenizer = keras.saving.deserialize_keras_object(target_tokenizer)
        if target_tokenizer is not None:
            target_tokenizer.config_file = "target_tokenizer.json"  # beside the other one in a preset
        self.own_target_tokenizer = target_tokenizer

    @property
    def target_tokenizer(self):
        """The tokenizer of the target, which may be that of the source."""
        return self.tokenizer if self.own_target_tokenizer is None else self.own_target_tokenizer

    @property
    def tokenizers(self):
        """That of both sides, or those of the source and the target."""
        return [each for each in (self.tokenizer, self.own_target_tokenizer) if each is not None]

    def build(self, input_shape):
        """Needs no packers: sequences are as long as the longest of a batch."""
        self.built = True

    def call(self, x, y=None, sample_weight=None, **lengths):
        """Texts -> tokens; see the class."""
        import tensorflow as tf

        source, target = (tf.convert_to_tensor(x[f"{side}_text"]) for side in ("encoder", "decoder"))
        single = source.shape.rank == 0
        inputs = self.source_inputs(tf.reshape(source, [-1]))
        tokens = self._tokens(self.target_tokenizer, tf.reshape(target, [-1]), self.decoder_sequence_length)
        targets = tokens.to_tensor()
        inputs |= {
            "decoder_token_ids": tf.pad(targets[:, :-1], [[0, 0], [1, 0]], constant_values=self._start),
            "decoder_padding_mask": tf.sequence_mask(tokens.row_lengths(), tf.shape(targets)[1]),
        }
        weights = tf.cast(inputs["decoder_padding_mask"], tf.float32)
        if sample_weight is not None:
            weights = weights * tf.reshape(tf.cast(sample_weight, tf.float32), [-1, 1])
        result = (inputs, targets, weights)
        if single:
            result = tf.nest.map_structure(lambda tensor: tensor[0], result)
        return keras.utils.pack_x_y_sample_weight(*result)

    @property
    def _start(self):
        return self.target_tokenizer.start_token_id

    def _tokens(self, tokenizer, texts, most):
        """The tokens of strings `(batch,)` and the end token, a ragged tensor of at most `most` a row."""
        import tensorflow as tf

        tokens = tf.cast(tokenizer.tokenize(texts), tf.int32).with_row_splits_dtype(tf.int64)
        end = tf.fill([tf.shape(texts)[0], 1], tokenizer.end_token_id)
        return tf.concat([tokens[:, : most - 1], end], axis=1)

    def source_tokens(self, texts):
        """The tokens of sources, strings `(batch,)`, as a ragged tensor; each ends in the end token."""
        return self._tokens(self.tokenizer, texts, self.encoder_sequence_length)

    def source_inputs(self, texts):
        """What the encoder reads of strings `(batch,)`: `"encoder_token_ids"` and its mask."""
        import tensorflow as tf

        tokens = self.source_tokens(texts)
        token_ids = tokens.to_tensor()
        # A batch of no texts still needs a step for the layers to have a last one.
        missing = tf.maximum(1 - tf.shape(token_ids)[1], 0)
        token_ids = tf.pad(token_ids, [[0, 0], [0, missing]])
        mask = tf.sequence_mask(tokens.row_lengths(), tf.shape(token_ids)[1])
        return {"encoder_token_ids": token_ids, "encoder_padding_mask": mask}

    def encode(self, sources, targets):
        """The tokens of two lists of str: two lists of int32 arrays `(tokens,)` that end in the end token."""

        def arrays(tokenizer, texts, most):
            found = []
            for start in range(0, len(texts), 1024):
                tokens = self._tokens(tokenizer, list(texts[start : start + 1024]), most)
                found += np.split(tokens.values.numpy(), tokens.row_splits.numpy()[1:-1])
            return found

        return (
            arrays(self.tokenizer, sources, self.encoder_sequence_length),
            arrays(self.target_tokenizer, targets, self.decoder_sequence_length),
        )

    def generate_preprocess(self, x, sequence_length=None, **lengths):
        """Sources, and beginnings of targets if there are any, as padded tokens.

        Args:
            x: strings, or a dict of `"encoder_text"` and `"decoder_text"`.
            sequence_length: int. The length that targets are padded to, in tokens.
        """
        import tensorflow as tf

        limit = sequence_length or self.decoder_sequence_length
        source, target = (x["encoder_text"], x.get("decoder_text")) if isinstance(x, dict) else (x, None)
        source = tf.reshape(tf.convert_to_tensor(source), [-1])
        target = (
            tf.fill(tf.shape(source), "")
            if target is None
            else tf.reshape(tf.convert_to_tensor(target), [-1])
        )
        prompt = self._tokens(self.target_tokenizer, target, limit)[:, :-1]
        prompt = tf.concat([tf.fill([tf.shape(target)[0], 1], self._start), prompt], axis=1)
        return self.source_inputs(source) | {
            "decoder_token_ids": prompt.to_tensor(shape=[None, limit]),
            "decoder_padding_mask": tf.sequence_mask(prompt.row_lengths(), limit),
        }

    def generate_postprocess(self, x):
        """Turns generated tokens into a list of str.

        Args:
            x: a dict of `"decoder_token_ids"` and `"decoder_padding_mask"`, `(batch, steps)`.
        """
        import tensorflow as tf

        from textrnn.tokenizers import valid_utf8

        token_ids, mask = (ops.convert_to_numpy(x[f"decoder_{key}"]) for key in ("token_ids", "padding_mask"))
        texts = self.target_tokenizer.detokenize(tf.ragged.boolean_mask(token_ids, mask.astype("bool")))
        return [text.decode("utf-8") for text in valid_utf8(texts).numpy()]

    @classmethod
    def from_config(cls, config):
        """The preprocessor that `get_config` described."""
        import textrnn.tokenizers  # noqa: F401, a process that loads a preset may not have named them yet

        return super().from_config(config)

    def get_config(self):
        """The constructor's arguments."""
        config = super().get_config()
        if self.own_target_tokenizer is not None:
            config["target_tokenizer"] = keras.saving.serialize_keras_object(self.own_target_tokenizer)
        return config | {
            "encoder_sequence_length": self.encoder_sequence_length,
            "decoder_sequence_length": self.decoder_sequence_length,
        }


@keras.saving.register_keras_serializable(package="textrnn")
class Seq2SeqLM(GenerativeTask, keras_hub.models.Seq2SeqLM):
    """A recurrent model that turns texts into texts, such as a translator: strings in, strings out.

    Behaves as every KerasHub `Seq2SeqLM`: `fit` on `{"encoder_text", "decoder_text"}`, `generate` with any
    KerasHub sampler, `save_to_preset` and `from_preset`.

    Args:
        backbone: a `RecurrentSeq2Seq`.
        preprocessor: a `Seq2SeqLMPreprocessor`, or None for a model of token ids.
        sampler: a `textrnn.BeamSearchSampler` or a `textrnn.RowSampler`, how this model answers unless told
            otherwise; saved with it.

    Call arguments: as `RecurrentSeq2Seq`'s; returns logits, `(batch, steps, target vocabulary)`.

    Example:

    >>> from textrnn.tokenizers import ByteTokenizer
    >>> backbone = textrnn.RecurrentSeq2Seq(vocabulary_size=258, units=8)
    >>> translator = textrnn.Seq2SeqLM(backbone, textrnn.Seq2SeqLMPreprocessor(ByteTokenizer()))
    >>> history = translator.fit({"encoder_text": ["one", "two"], "decoder_text": ["un", "deux"]}, verbose=0)
    >>> type(translator.generate("one", max_length=4))
    <class 'str'>
    """

    backbone_cls = RecurrentSeq2Seq
    preprocessor_cls = Seq2SeqLMPreprocessor

    def __init__(self, backbone, preprocessor=None, sampler=None, **kwargs):
        self.backbone = backbone
        self.preprocessor = preprocessor
        if isinstance(sampler, dict):
            sampler = keras.saving.deserialize_keras_object(sampler)
        self.default_sampler = sampler or BeamSearchSampler()
        inputs = backbone.input
        outputs = backbone.target_embedding(backbone(inputs), reverse=True)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Passes tokens through, and gives strings to the preprocessor."""
        if isinstance(x, dict) and "encoder_token_ids" in x:
            return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
        return super().preprocess_samples(x, y=y, sample_weight=sample_weight)

    def fit(self, x=None, *args, **kwargs):
        """Trains on strings or on tokens; see `keras.Model.fit`."""
        # KerasHub turns whatever it gets into a dataset, which Keras cannot shuffle and warns about.
        kwargs.setdefault("shuffle", False)
        return super().fit(x, *args, **kwargs)

    # === Generation ===

    def start(self, encoder_token_ids, encoder_padding_mask, prompt=None, prompt_mask=None):
        """Reads sources, and the beginnings of their targets.

        Args:
            encoder_token_ids: integers, `(batch, time)`, padded on the right.
            encoder_padding_mask: booleans, `(batch, time)`.
            prompt: integers, `(batch, steps)`, padded on the right; the start token alone if None.
            prompt_mask: booleans, `(batch, steps)`; at least one True in a row.

        Returns:
            `(logits, attention, states, step)`: logits of the next token, float32 `(batch, vocabulary)`, the
            weights of attention behind them `(batch, time)`, the states, and
            `step(token_ids, states) -> logits, attention, states`, which goes on from them, for one or more
            rows for each source.
        """
        memory, encoder_states = self.backbone.encode(encoder_token_ids, encoder_padding_mask)
        states = self.backbone.get_initial_states(encoder_states)
        step_backbone = self.backbone.stepper(memory, encoder_padding_mask)

        def step(token_ids, states):
            hidden, attention, states = step_backbone(token_ids, states)
            return self._logits(hidden), attention, states

        if prompt is None:
            batch_size = ops.shape(encoder_token_ids)[0]
            start = getattr(getattr(self.preprocessor, "target_tokenizer", None), "start_token_id", 1)
            return *step(ops.full((batch_size,), start, "int32"), states), step
        hidden, attention, states = self.backbone.run(
            prompt, states, memory, encoder_padding_mask, prompt_mask
        )
        last = (ops.sum(ops.cast(prompt_mask, "int32"), axis=1) - 1)[:, None, None]
        pick = lambda x: ops.take_along_axis(x, last, axis=1)[:, 0]  # noqa: E731
        return self._logits(pick(hidden)), pick(attention), states, step

    def _logits(self, hidden):
        logits = self.backbone.target_embedding(hidden, reverse=True)
        tokenizer = getattr(self.preprocessor, "target_tokenizer", None)
        return decoding.suppressed(logits, getattr(tokenizer, "suppressed_token_ids", ()))

    def search(self, encoder_token_ids, encoder_padding_mask, prompt=None, prompt_mask=None, **options):
        """Beam search; what a row gets does not depend on the others.

        Args:
            encoder_token_ids, encoder_padding_mask, prompt, prompt_mask: as for `start`.
            **options: of `textrnn.beam_search.beam_search`: `max_beams`, `num_beams`, `max_new_tokens`,
                `limit`, `stop_token_ids`, `length_penalty`, `coverage_penalty`, `best_only`.

        Returns:
            `textrnn.beam_search.Hypotheses`, without the prompt.
        """
        logits, attention, states, step = self.start(
            encoder_token_ids, encoder_padding_mask, prompt, prompt_mask
        )
        return beam_search(step, logits, attention, states, memory_mask=encoder_padding_mask, **options)

    def sample_tokens(
        self, encoder_token_ids, encoder_padding_mask, prompt=None, prompt_mask=None, *, max_new_tokens,
        limit, temperature, top_k, top_p, seed=None, stop_token_ids=(),
    ):  # fmt: skip
        """Samples texts, each row from its own stream of random numbers; see `CausalLM.generate_tokens`.

        Without a `seed` a row's is derived from its source.
        """
        seeds = decoding.row_seeds(encoder_token_ids, encoder_padding_mask) if seed is None else seed

        def choose(logits, index):
            uniforms = decoding.row_uniforms(seeds, index)
            return decoding.sample(logits, uniforms, temperature, top_k, top_p)

        logits, _, states, step = self.start(encoder_token_ids, encoder_padding_mask, prompt, prompt_mask)

        def step_without_attention(token_ids, states):
            logits, _, states = step(token_ids, states)
            return logits, states

        return decoding.generate(
            step_without_attention, choose, logits, states,
            max_new_tokens=max_new_tokens, limit=limit, stop_token_ids=stop_token_ids,
        )  # fmt: skip

    def generate_step(self, inputs, stop_token_ids=None):
        """Writes targets up to the length that their beginnings are padded to; `generate` calls this.

        Args:
            inputs: as `Seq2SeqLMPreprocessor.generate_preprocess` returns them.
            stop_token_ids: tokens that end a text, or None.

        Returns:
            A dict of `"decoder_token_ids"` and `"decoder_padding_mask"`, `(batch, steps)`.
        """
        source = ops.cast(inputs["encoder_token_ids"], "int32")
        source_mask = ops.cast(inputs["encoder_padding_mask"], "bool")
        token_ids = ops.cast(inputs["decoder_token_ids"], "int32")
        mask = ops.cast(inputs["decoder_padding_mask"], "bool")
        if isinstance(self.sampler, (BeamSearchSampler, decoding.RowSampler)):
            made = self._generate_rows(source, source_mask, token_ids, mask, tuple(stop_token_ids or ()))
        else:
            made = self._generate_in_step(source, source_mask, token_ids, mask, stop_token_ids)
        return {f"decoder_{name}": value for name, value in made.items()}

    def _generate_rows(self, source, source_mask, token_ids, mask, stop_token_ids):
        batch_size, max_length = ops.shape(token_ids)
        sampler = self.sampler
        full = lambda value, dtype: ops.full((batch_size,), value, dtype)  # noqa: E731
        common = {
            "max_new_tokens": max_length - ops.sum(ops.cast(mask, "int32"), axis=1),
            "limit": max_length,
            "stop_token_ids": stop_token_ids,
        }
        inputs = (source, source_mask, *decoding.without_padding(token_ids, mask))
        if isinstance(sampler, BeamSearchSampler):
            found = self.search(
                *inputs,
                max_beams=sampler.num_beams,
                num_beams=sampler.num_beams,
                length_penalty=sampler.length_penalty,
                coverage_penalty=sampler.coverage_penalty,
                best_only=True,
                **common,
            )
            new, lengths = found.token_ids[:, 0], found.lengths[:, 0]
        else:
            new, lengths = self.sample_tokens(
                *inputs,
                temperature=full(sampler.temperature, "float32"),
                top_k=full(sampler.top_k, "int32"),
                top_p=full(sampler.top_p, "float32"),
                seed=None if sampler.seed is None else full(sampler.seed, "int32"),
                **common,
            )
        return decoding.appended(token_ids, mask, new, lengths)

    def _generate_in_step(self, source, source_mask, token_ids, mask, stop_token_ids):
        memory, encoder_states = self.backbone.encode(source, source_mask)
        step_backbone = self.backbone.stepper(memory, source_mask)

        def start(before):
            states = self.backbone.get_initial_states(encoder_states)
            hidden, _, states = self.backbone.run(token_ids, states, memory, source_mask, before)
            return hidden, states

        def step(token_ids, states):
            hidden, _, states = step_backbone(token_ids, states)
            return self._logits(hidden), hidden, states

        return decoding.generate_in_step(self.sampler, self, start, step, token_ids, mask, stop_token_ids)
