"""Language models: the backbone, preprocessor and task that generate text from left to right."""

import keras
import keras_hub
from keras import ops

from textrnn.decoding import loop, samplers, sampling
from textrnn.tasks.generative import GenerativeTask
from textrnn.text_generation.backbone import RecurrentBackbone
from textrnn.text_generation.carried_states import CarriedStates
from textrnn.text_generation.preprocessor import CausalLMPreprocessor


@keras.saving.register_keras_serializable(package="textrnn")
class CausalLM(GenerativeTask, keras_hub.models.CausalLM):
    """A recurrent language model: strings in, strings out.

    Behaves as every KerasHub `CausalLM`: `fit` on raw strings, `generate` with any KerasHub sampler,
    `save_to_preset` and `from_preset`. Beyond that it trains on a continuous stream by truncated
    backpropagation through time: give `fit` the windows of `textrnn.data.windows`, and the states at the
    end of one window are where the next one starts.

    Generation reads the prompt once and then steps the cells with their states.

    Args:
        backbone: a `RecurrentBackbone`.
        preprocessor: a `CausalLMPreprocessor`, or None for a model of token ids.
        sampler: a `textrnn.RowSampler`, how this model samples unless told otherwise; saved with it.

    Call arguments: as `RecurrentBackbone`'s; returns logits, `(batch, time, vocabulary_size)`.

    Example:

    >>> from textrnn.tokenizers import ByteTokenizer
    >>> backbone = textrnn.RecurrentBackbone(vocabulary_size=258, units=8)
    >>> lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(ByteTokenizer(), sequence_length=16))
    >>> history = lm.fit(["strings in", "strings out"], verbose=0)
    >>> lm.generate("str", max_length=6).startswith("str")
    True
    """

    backbone_cls = RecurrentBackbone
    preprocessor_cls = CausalLMPreprocessor

    def __init__(self, backbone, preprocessor=None, sampler=None, **kwargs):
        self.backbone = backbone
        self.preprocessor = preprocessor
        if isinstance(sampler, dict):
            sampler = keras.saving.deserialize_keras_object(sampler)
        self.default_sampler = sampler or samplers.RowSampler()
        inputs = backbone.input
        outputs = backbone.token_embedding(backbone(inputs), reverse=True)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        # Windows of a stream come without a padding mask and with a key of their own.
        self.input_spec = None

    # === Training ===

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Passes tokens through, and gives strings to the preprocessor."""
        if isinstance(x, dict) and "token_ids" in x:
            return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
        return super().preprocess_samples(x, y=y, sample_weight=sample_weight)

    def fit(self, x=None, *args, **kwargs):
        """Trains on strings, on tokens, or on the windows of a stream; see `keras.Model.fit`."""
        self._carry_states_for(x, "training_states")
        if kwargs.get("validation_data") is not None:
            self._carry_states_for(kwargs["validation_data"], "evaluation_states")
        # KerasHub turns whatever it gets into a dataset, which Keras cannot shuffle and warns about.
        kwargs.setdefault("shuffle", False)
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluates on strings, on tokens, or on the windows of a stream; see `keras.Model.evaluate`."""
        self._carry_states_for(x, "evaluation_states")
        return super().evaluate(x, *args, **kwargs)

    def _carry_states_for(self, dataset, name):
        """Makes room for the states of a windowed dataset's rows."""
        spec = getattr(dataset, "element_spec", None)
        inputs = spec[0] if isinstance(spec, tuple) else spec
        if isinstance(inputs, dict) and "restart" in inputs:
            self.carry_states(inputs["restart"].shape[0], name)

    def carry_states(self, batch_size, name="training_states"):
        """Makes room for the states of `batch_size` rows; `fit` and `evaluate` do so for tf.data windows.

        Args:
            batch_size: int, the number of rows of the windows that follow.
            name: `"training_states"` or `"evaluation_states"`.
        """
        carried = getattr(self, name, None)
        if carried is not None and carried.batch_size == batch_size:
            return
        if carried is not None:
            delattr(self, name)
            # What was traced before refers to the old states.
            self.train_function = self.test_function = None
        setattr(self, name, CarriedStates(self.backbone.get_initial_states(batch_size), name=name))

    def call(self, inputs, training=None, mask=None):
        """Returns logits for every token; windows of a stream start where the last one ended."""
        if "restart" not in inputs:
            return super().call(inputs, training=training, mask=mask)
        # Keras calls a model once before it trains, and not in training mode: then there may be one kind.
        evaluates = not training and hasattr(self, "evaluation_states")
        carried = self.evaluation_states if evaluates else self.training_states
        hidden, states = self.backbone.run(
            inputs["token_ids"], carried.read(inputs["restart"]), training=bool(training)
        )
        carried.write(states)
        return self.backbone.token_embedding(hidden, reverse=True)

    # === Generation ===

    def start(self, token_ids, padding_mask):
        """Reads prompts once.

        Args:
            token_ids: integers, `(batch, time)`, padded on the right.
            padding_mask: booleans, `(batch, time)`; at least one True in a row.

        Returns:
            logits of the token after each prompt, float32 `(batch, vocabulary_size)`, and the states.
        """
        states = self.backbone.get_initial_states(ops.shape(token_ids)[0])
        hidden, states = self.backbone.run(token_ids, states, padding_mask=padding_mask)
        return self._logits(hidden[:, -1]), states

    def step(self, token_ids, states):
        """Reads one more token, `(batch,)`; returns the next one's logits and the new states."""
        return self.stepper()(token_ids, states)

    def stepper(self):
        """`step` as a function that has read the weights already, for a loop over tokens."""
        step_backbone = self.backbone.stepper()

        def step(token_ids, states):
            hidden, states = step_backbone(token_ids, states)
            return self._logits(hidden), states

        return step

    def _logits(self, hidden):
        logits = self.backbone.token_embedding(hidden, reverse=True)
        tokenizer = getattr(self.preprocessor, "tokenizer", None)
        return sampling.suppressed(logits, getattr(tokenizer, "suppressed_token_ids", ()))

    def generate_tokens(
        self, token_ids, padding_mask, *, max_new_tokens, limit, temperature, top_k, top_p, seed=None,
        stop_token_ids=(),
    ):  # fmt: skip
        """Continues prompts, row by row; what a row gets does not depend on the others.

        Args:
            token_ids: integers, `(batch, time)`, padded on the right.
            padding_mask: booleans, `(batch, time)`.
            max_new_tokens: int32, `(batch,)`.
            limit: the largest of them; an int, or on TensorFlow a scalar tensor.
            temperature: float32, `(batch,)`.
            top_k: int32, `(batch,)`.
            top_p: float32, `(batch,)`.
            seed: integers, `(batch,)`; None derives each row's from its prompt.
            stop_token_ids: the tokens that end a text, a tuple of ints.

        Returns:
            New tokens, int32 `(batch, limit)`, zero after the end, and how many each row has, `(batch,)`.
        """
        seeds = sampling.row_seeds(token_ids, padding_mask) if seed is None else seed

        def choose(logits, index):
            uniforms = sampling.row_uniforms(seeds, index)
            return sampling.sample(logits, uniforms, temperature, top_k, top_p)

        logits, states = self.start(token_ids, padding_mask)
        return loop.generate(
            self.stepper(), choose, logits, states,
            max_new_tokens=max_new_tokens, limit=limit, stop_token_ids=stop_token_ids,
        )  # fmt: skip

    def generate_step(self, inputs, stop_token_ids=None):
        """Continues prompts up to the length they are padded to; `generate` calls this.

        Args:
            inputs: a dict of `"token_ids"` and `"padding_mask"`, `(batch, max_length)`.
            stop_token_ids: tokens that end a text, or None.

        Returns:
            A dict of the same keys and shapes: prompts followed by what was generated.
        """
        token_ids = ops.cast(inputs["token_ids"], "int32")
        padding_mask = ops.cast(inputs["padding_mask"], "bool")
        if isinstance(self.sampler, samplers.RowSampler):
            return self._generate_rows(token_ids, padding_mask, tuple(stop_token_ids or ()))
        return self._generate_in_step(token_ids, padding_mask, stop_token_ids)

    def _generate_rows(self, token_ids, padding_mask, stop_token_ids):
        """Each row goes on from its own end: one pass over the prompts, then as many steps as needed."""
        batch_size, max_length = ops.shape(token_ids)
        prompt_lengths = ops.sum(ops.cast(padding_mask, "int32"), axis=1)
        full = lambda value, dtype: ops.full((batch_size,), value, dtype)  # noqa: E731
        new, new_lengths = self.generate_tokens(
            *loop.without_padding(token_ids, padding_mask),
            max_new_tokens=max_length - prompt_lengths,
            limit=max_length,
            temperature=full(self.sampler.temperature, "float32"),
            top_k=full(self.sampler.top_k, "int32"),
            top_p=full(self.sampler.top_p, "float32"),
            seed=None if self.sampler.seed is None else full(self.sampler.seed, "int32"),
            stop_token_ids=stop_token_ids,
        )
        return loop.appended(token_ids, padding_mask, new, new_lengths)

    def _generate_in_step(self, token_ids, padding_mask, stop_token_ids):
        def start(before):
            states = self.backbone.get_initial_states(ops.shape(token_ids)[0])
            return self.backbone.run(token_ids, states, padding_mask=before)

        step_backbone = self.backbone.stepper()

        def step(token_ids, states):
            hidden, states = step_backbone(token_ids, states)
            return self._logits(hidden), hidden, states

        return loop.generate_in_step(self.sampler, self, start, step, token_ids, padding_mask, stop_token_ids)
