"""Strings in and out of sequence-to-sequence models."""

import keras
import keras_hub
import numpy as np
from keras import ops

from textrnn.translation.backbone import RecurrentSeq2Seq


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
