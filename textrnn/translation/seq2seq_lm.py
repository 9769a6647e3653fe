"""The sequence-to-sequence model as a KerasHub task."""

from functools import partial
from typing import Any

import keras
import keras_hub
from keras import ops

from textrnn.decoding.beam_search_sampler import BeamSearchSampler
from textrnn.decoding.decoder import Decoder
from textrnn.decoding.sampling import row_seeds
from textrnn.errors import expect
from textrnn.tasks.embedding import logit_projector
from textrnn.tasks.generative import GenerativeTask
from textrnn.tokenizers.text import string_tensor
from textrnn.translation.backbone import RecurrentSeq2Seq
from textrnn.translation.preprocessor import Seq2SeqLMPreprocessor
from textrnn.translation.shortlist import Shortlist


@keras.saving.register_keras_serializable(package="textrnn")
class Seq2SeqLM(GenerativeTask, keras_hub.models.Seq2SeqLM):
    """A recurrent sequence-to-sequence model, such as a translator: strings in, strings out.

    It has the interface of every KerasHub `Seq2SeqLM`: `fit` on `{"encoder_text", "decoder_text"}`,
    `generate` with any sampler, `save_to_preset` and `from_preset`.

    Args:
        backbone: A `RecurrentSeq2Seq`.
        preprocessor: A `Seq2SeqLMPreprocessor`, or None for a model of token ids.
        sampler: The sampler, saved with the model; `textrnn.BeamSearchSampler()` by default.
        shortlist: A `textrnn.translation.shortlist.Shortlist`, or None. With one, only some tokens get
            logits in a translation, which then takes less time. It is an attribute, which can be set later.
        **kwargs: `name`, and `compile=False` to leave the model uncompiled.

    Call arguments: see `RecurrentSeq2Seq`. Returns logits, `(batch, steps, target_vocabulary_size)`.

    Raises:
        InputError: For an unknown argument, and for a shortlist of other vocabularies.

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
    token_key = "encoder_token_ids"
    prompt_prefix = "decoder_"
    embedding_name = "target_embedding"
    tokenizer_name = "target_tokenizer"

    def __init__(self, backbone, preprocessor=None, sampler=None, shortlist=None, **kwargs):
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.default_sampler = sampler or BeamSearchSampler()
        inputs = backbone.input
        outputs = backbone.target_embedding(backbone(inputs), reverse=True)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        self.shortlist = shortlist

    def __setattr__(self, name, value):
        if name == "shortlist":  # set after the model is built, when Keras tracks no more layers
            self._check_shortlist(value)
            self.__dict__["shortlist"] = value
            self.generate_function = None  # it is traced with the earlier one
        else:
            super().__setattr__(name, value)

    def _check_shortlist(self, shortlist):
        expect(
            shortlist is None or isinstance(shortlist, Shortlist),
            f"shortlist is {shortlist!r}: give a textrnn.translation.shortlist.Shortlist, or None",
        )
        if shortlist is not None:
            size = self.backbone.vocabulary_size
            shortlist.check(size, self.backbone.target_vocabulary_size or size)

    @classmethod
    def from_preset(cls, preset, load_weights=True, **kwargs):
        """Load a translator from a preset; see `RecurrentTask.from_preset`.

        A `shortlist` that is given replaces that of the preset. Without weights there is none.
        """
        given = kwargs.pop("shortlist", cls)  # None stands for none
        lm = super().from_preset(preset, load_weights=load_weights, **kwargs)
        if given is not cls or not load_weights:
            lm.shortlist = None if given is cls else given
        return lm

    @property
    def weights(self):
        """All weights, those of the shortlist included."""
        return super().weights + (self.shortlist.weights if self.shortlist is not None else [])

    def has_task_weights(self):
        """Whether there are weights to save besides those of the backbone: those of a shortlist."""
        return self.shortlist is not None

    def generate(self, inputs, max_length=None, stop_token_ids="auto", strip_prompt=False):
        """Translate texts, as `keras_hub.models.Seq2SeqLM.generate` does, but sentence by sentence.

        The translation of a blank text is empty.

        Args:
            inputs: A text, str or bytes, or a list, array or tensor of texts. A dict with beginnings of
                targets and a data set are not split, nor is anything if the preprocessor has
                `split_sentences=False`.
            max_length: Maximum number of tokens of a sentence. Default: the preprocessor's.
            stop_token_ids: Tokens that end a translation; `"auto"` is the end token.
            strip_prompt: Not supported, since a translation has no prompt.

        Returns:
            A str or a list of str. They are those of the signature `serving_default`, whose limit depends on
            the sentence; here it is `max_length`, by default the preprocessor's `decoder_sequence_length`.

        Raises:
            InputError: For `strip_prompt`, and if the beginning of a target leaves no room for a new token.
        """
        expect(not strip_prompt, "strip_prompt is for models that continue their prompts: leave it out")
        only_source = isinstance(inputs, dict) and inputs.keys() == {"encoder_text"}
        source: Any = inputs["encoder_text"] if only_source else inputs
        import tensorflow as tf

        if self.preprocessor is None or isinstance(source, (dict, tf.data.Dataset)):
            return super().generate(inputs, max_length, stop_token_ids)
        from textrnn.sentences import are_blank, join_sentences, sentences_of, whole

        texts = string_tensor(source)
        splits = getattr(self.preprocessor, "split_sentences", False)
        sentences = (sentences_of if splits else whole)(texts if texts.shape.rank else texts[None])
        flat = sentences.texts.values
        rows = tf.where(~are_blank(flat))[:, 0]
        made = [""] * len(flat)
        if len(rows):
            found = super().generate(tf.gather(flat, rows), max_length, stop_token_ids)
            for row, text in zip(rows.numpy(), found, strict=True):
                made[row] = text
        joined = [text.decode("utf-8") for text in join_sentences(sentences, made).numpy()]
        return joined if texts.shape.rank else joined[0]

    def decoder(self, inputs):
        """Read sources; return the parts of the model that decoding calls.

        Args:
            inputs: A dict of `"encoder_token_ids"` and `"encoder_padding_mask"`, `(batch, time)`, from which
                row seeds are derived.

        Returns:
            A `textrnn.decoding.Decoder`.
        """
        source = ops.cast(inputs["encoder_token_ids"], "int32")
        mask = ops.cast(inputs["encoder_padding_mask"], "bool")
        memory, encoder_states = self.backbone.encode(source, mask)

        def read(token_ids, padding_mask):
            states = self.backbone.get_initial_states(encoder_states)
            return self.backbone.run(token_ids, states, memory, mask, padding_mask)

        step, rows = self.backbone.stepper(memory, mask), ops.shape(source)[0]
        decoder = Decoder(read, step, self.projector(rows), row_seeds(source, mask), mask)
        if self.shortlist is None:
            return decoder
        project = partial(logit_projector, self.backbone.target_embedding, rows)
        tokenizer = getattr(self.preprocessor, self.tokenizer_name, None)
        excluded = getattr(tokenizer, "suppressed_token_ids", ())
        return self.shortlist.decoder(decoder, project, source, mask, excluded)

    def start_tokens(self, batch_size):
        """The prompt of targets without a given beginning: the start token alone.

        Args:
            batch_size: int, or on TensorFlow a scalar tensor.

        Returns:
            A dict of `"decoder_token_ids"` and `"decoder_padding_mask"`, `(batch_size, 1)`.
        """
        start = getattr(getattr(self.preprocessor, "target_tokenizer", None), "start_token_id", 1)
        token_ids = ops.full((batch_size, 1), start, "int32")
        return {"decoder_token_ids": token_ids, "decoder_padding_mask": ops.ones_like(token_ids, "bool")}

    def search(self, encoder_token_ids, encoder_padding_mask, prompt=None, prompt_mask=None, **options):
        """Beam search for the n best targets; a row does not depend on the others.

        Args:
            encoder_token_ids: Integers, `(batch, time)`, padded on the right.
            encoder_padding_mask: Booleans, `(batch, time)`.
            prompt: Integers, `(batch, steps)`, the beginnings of targets, padded on the right; None for the
                start token alone.
            prompt_mask: Booleans, `(batch, steps)`, at least one True per row.
            **options: Of `textrnn.decoding.beam_search`, such as `max_beams`, `num_beams`,
                `max_new_tokens`, `limit` and `stop_token_ids`.

        Returns:
            `textrnn.decoding.Hypotheses`, without the prompts.
        """
        source = {"encoder_token_ids": encoder_token_ids, "encoder_padding_mask": encoder_padding_mask}
        if prompt is None:
            prompt, prompt_mask = self.start_tokens(ops.shape(encoder_token_ids)[0]).values()
        return BeamSearchSampler().search(self.decoder(source), prompt, prompt_mask, **options)

    def get_config(self):
        """Return the arguments of the constructor."""
        shortlist = None if self.shortlist is None else keras.layers.serialize(self.shortlist)
        return super().get_config() | {"shortlist": shortlist}

    @classmethod
    def from_config(cls, config):
        """Make a translator from what `get_config` returns."""
        shortlist = config.get("shortlist")
        if isinstance(shortlist, dict):
            config = config | {"shortlist": keras.layers.deserialize(shortlist)}
        return super().from_config(config)
