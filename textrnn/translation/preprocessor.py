"""Strings to tokens and back, for sequence-to-sequence models."""

import keras
import keras_hub

from textrnn.errors import expect
from textrnn.tasks.preprocessor import RecurrentPreprocessor, detokenized, encoded, padded
from textrnn.tokenizers.text import string_tensor
from textrnn.translation.backbone import RecurrentSeq2Seq


@keras.saving.register_keras_serializable(package="textrnn")
class Seq2SeqLMPreprocessor(RecurrentPreprocessor, keras_hub.models.Seq2SeqLMPreprocessor):
    """Converts strings to the inputs of `textrnn.Seq2SeqLM`, and generated tokens to strings.

    A source is its tokens and the end token. The decoder reads the start token and the tokens of the target,
    and predicts these tokens and the end token. A batch is padded to its longest texts. A single pair is
    padded to the sequence lengths, so that the results for several pairs can be batched:
    `dataset.map(preprocessor).batch(32)`.

    Args:
        tokenizer: One of `textrnn.tokenizers`, for sources.
        target_tokenizer: One of `textrnn.tokenizers`, for targets; None, or `tokenizer`, if both sides share
            one.
        encoder_sequence_length: int. Sources are truncated to this number of tokens.
        decoder_sequence_length: int. Targets are truncated to this number of tokens; it is the default
            `max_length` of `generate`.
        split_sentences: Whether texts are translated sentence by sentence. False suits a model that learned
            from sources of several sentences.
        **kwargs: `name`, `dtype` and `trainable`.

    Call arguments: a dict of `"encoder_text"` and `"decoder_text"`, strings, and the
    `encoder_sequence_length` and `decoder_sequence_length` (or `sequence_length`) to pad to. Returns
    `(inputs, targets, weights)`: the inputs of `RecurrentSeq2Seq`, `(batch, steps)` token ids, and weights of
    the same shape.

    Raises:
        InputError: For an unknown argument.

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
        split_sentences=True,
        **kwargs,
    ):
        super().__init__(tokenizer, encoder_sequence_length, decoder_sequence_length, **kwargs)
        if isinstance(target_tokenizer, dict):
            target_tokenizer = keras.saving.deserialize_keras_object(target_tokenizer)
        self.own_target_tokenizer = None if target_tokenizer is tokenizer else target_tokenizer
        self.split_sentences = split_sentences

    @property
    def target_tokenizer(self):
        """The tokenizer of targets, which may be that of sources."""
        return self.tokenizer if self.own_target_tokenizer is None else self.own_target_tokenizer

    @property
    def tokenizers(self):
        """A list of the shared tokenizer, or of those of sources and targets."""
        return [each for each in (self.tokenizer, self.own_target_tokenizer) if each is not None]

    def build(self, input_shape):
        """Do nothing: sequences are as long as the longest of a batch, so no packer is needed."""
        self.built = True

    def call(
        self, x, y=None, sample_weight=None, *, encoder_sequence_length=None, decoder_sequence_length=None,
        sequence_length=None,
    ):  # fmt: skip
        """Convert strings to inputs, targets and weights."""
        import tensorflow as tf

        source, target = (string_tensor(x[f"{side}_text"]) for side in ("encoder", "decoder"))
        single = source.shape.rank == 0
        decoder_sequence_length = decoder_sequence_length or sequence_length
        if single:
            encoder_sequence_length = encoder_sequence_length or self.encoder_sequence_length
            decoder_sequence_length = decoder_sequence_length or self.decoder_sequence_length
        inputs = self.source_inputs(tf.reshape(source, [-1]), encoder_sequence_length)
        tokens = self.target_tokens(tf.reshape(target, [-1]), decoder_sequence_length)
        targets, mask = padded(tokens, length=decoder_sequence_length).values()
        inputs |= {
            "decoder_token_ids": tf.pad(targets[:, :-1], [[0, 0], [1, 0]], constant_values=self._start),
            "decoder_padding_mask": mask,
        }
        weights = tf.cast(mask, tf.float32)
        if sample_weight is not None:
            weights = weights * tf.reshape(tf.cast(sample_weight, tf.float32), [-1, 1])
        result = (inputs, targets, weights)
        if single:
            result = tf.nest.map_structure(lambda tensor: tensor[0], result)
        return keras.utils.pack_x_y_sample_weight(*result)

    @property
    def _start(self):
        return self.target_tokenizer.start_token_id

    def source_tokens(self, texts, max_length=None):
        """The tokens of sources, strings `(batch,)`, each with the end token, as a ragged tensor.

        Args:
            texts: Strings, `(batch,)`.
            max_length: int, maximum number of tokens; `encoder_sequence_length` by default.
        """
        return _with_end(self.tokenizer, texts, max_length or self.encoder_sequence_length)

    def target_tokens(self, texts, max_length=None):
        """The tokens of targets, strings `(batch,)`, each with the end token, as a ragged tensor.

        Args:
            texts: Strings, `(batch,)`.
            max_length: int, maximum number of tokens; `decoder_sequence_length` by default.
        """
        return _with_end(self.target_tokenizer, texts, max_length or self.decoder_sequence_length)

    def source_inputs(self, texts, length=None):
        """The inputs of the encoder for strings `(batch,)`: `"encoder_token_ids"` and their mask.

        Args:
            texts: Strings, `(batch,)`.
            length: int, the number of tokens to pad to; that of the longest text by default.
        """
        return padded(self.source_tokens(texts, length), prefix="encoder_", length=length)

    def encode(self, sources, targets):
        """The tokens of two lists of str: two lists of int32 arrays `(tokens,)`, each with the end token."""
        return encoded(self.source_tokens, sources), encoded(self.target_tokens, targets)

    def generate_preprocess(self, x, sequence_length=None, **lengths):
        """Convert sources, and the beginnings of their targets if given, to padded tokens.

        Args:
            x: Strings, or a dict of `"encoder_text"` and `"decoder_text"`.
            sequence_length: int. Number of tokens to pad targets to.

        Returns:
            A dict of the inputs of `RecurrentSeq2Seq`, `(batch, time)` and `(batch, sequence_length)`,
            without the batch for one string.

        Raises:
            InputError: If the beginning of a target, with the start token, leaves no room for a new token.
        """
        import tensorflow as tf

        limit = self.decoder_sequence_length if sequence_length is None else sequence_length
        source, target = (x["encoder_text"], x.get("decoder_text")) if isinstance(x, dict) else (x, None)
        source = string_tensor(source)
        single = source.shape.rank == 0
        source = tf.reshape(source, [-1])
        target = tf.fill(tf.shape(source), "") if target is None else string_tensor(target)
        eager = tf.executing_eagerly()  # mapped over a dataset, lengths are unknown
        prompt = self.target_tokens(tf.reshape(target, [-1]), 2**31 - 1 if eager else limit)[:, :-1]
        if eager:
            longest = max(prompt.row_lengths().numpy().tolist(), default=0) + 1
            expect(
                longest < limit,
                f"the beginning of a target of {longest} tokens leaves no room for a new one within "
                f"max_length={limit}: pass max_length={longest + 1} or more, or a shorter beginning",
            )
        prompt = tf.concat([tf.fill([tf.shape(source)[0], 1], self._start), prompt], axis=1)
        inputs = self.source_inputs(source, self.encoder_sequence_length if single else None)
        inputs |= padded(prompt, prefix="decoder_", length=limit)
        return {name: value[0] for name, value in inputs.items()} if single else inputs

    def generate_postprocess(self, x):
        """Convert generated tokens to a list of str, or one row to a str.

        Args:
            x: A dict of `"decoder_token_ids"` and `"decoder_padding_mask"`, `(batch, steps)` or `(steps,)`.
        """
        return detokenized(self.target_tokenizer, x["decoder_token_ids"], x["decoder_padding_mask"])

    def get_config(self):
        """Return the arguments of the constructor."""
        config = super().get_config()
        if self.own_target_tokenizer is not None:
            config["target_tokenizer"] = keras.saving.serialize_keras_object(self.own_target_tokenizer)
        return config | {
            "encoder_sequence_length": self.encoder_sequence_length,
            "decoder_sequence_length": self.decoder_sequence_length,
            "split_sentences": self.split_sentences,
        }


def _with_end(tokenizer, texts, max_length):
    """Tokens of strings `(batch,)` with the end token, at most `max_length` per row, as a ragged tensor."""
    import tensorflow as tf

    tokens = tf.cast(tokenizer.tokenize(texts), tf.int32).with_row_splits_dtype(tf.int64)
    end = tf.fill([tf.shape(texts)[0], 1], tokenizer.end_token_id)
    return tf.concat([tokens[:, : max_length - 1], end], axis=1)
