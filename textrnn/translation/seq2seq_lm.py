"""Sequence to sequence: the backbone, preprocessor and task that translate."""

import keras
import keras_hub
from keras import ops

from textrnn.decoding import loop, samplers, sampling
from textrnn.decoding.beam_search import BeamSearchSampler, beam_search
from textrnn.tasks.generative import GenerativeTask
from textrnn.translation.backbone import RecurrentSeq2Seq
from textrnn.translation.preprocessor import Seq2SeqLMPreprocessor


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
        return sampling.suppressed(logits, getattr(tokenizer, "suppressed_token_ids", ()))

    def search(self, encoder_token_ids, encoder_padding_mask, prompt=None, prompt_mask=None, **options):
        """Beam search; what a row gets does not depend on the others.

        Args:
            encoder_token_ids, encoder_padding_mask, prompt, prompt_mask: as for `start`.
            **options: of `textrnn.decoding.beam_search`: `max_beams`, `num_beams`, `max_new_tokens`,
                `limit`, `stop_token_ids`, `length_penalty`, `coverage_penalty`, `best_only`.

        Returns:
            `textrnn.decoding.beam_search.Hypotheses`, without the prompt.
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
        seeds = sampling.row_seeds(encoder_token_ids, encoder_padding_mask) if seed is None else seed

        def choose(logits, index):
            uniforms = sampling.row_uniforms(seeds, index)
            return sampling.sample(logits, uniforms, temperature, top_k, top_p)

        logits, _, states, step = self.start(encoder_token_ids, encoder_padding_mask, prompt, prompt_mask)

        def step_without_attention(token_ids, states):
            logits, _, states = step(token_ids, states)
            return logits, states

        return loop.generate(
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
        if isinstance(self.sampler, (BeamSearchSampler, samplers.RowSampler)):
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
        inputs = (source, source_mask, *loop.without_padding(token_ids, mask))
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
        return loop.appended(token_ids, mask, new, lengths)

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

        return loop.generate_in_step(self.sampler, self, start, step, token_ids, mask, stop_token_ids)
