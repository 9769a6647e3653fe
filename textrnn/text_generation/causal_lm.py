"""The language model as a KerasHub task."""

import keras
import keras_hub
from keras import ops

from textrnn.decoding.decoder import Decoder
from textrnn.decoding.loop import read_in_parts
from textrnn.decoding.neural_cache import NeuralCache
from textrnn.decoding.row_sampler import RowSampler
from textrnn.decoding.sampling import row_seeds
from textrnn.errors import expect, is_integer
from textrnn.serving.running_text import REPLACEMENT
from textrnn.tasks.backbone import layer_groups
from textrnn.tasks.embedding import output_vectors
from textrnn.tasks.generative import GenerativeTask, of_batches
from textrnn.text_generation.backbone import RecurrentBackbone
from textrnn.text_generation.carried_states import CarriedStates
from textrnn.text_generation.log_probs import log_probs
from textrnn.text_generation.preprocessor import CausalLMPreprocessor
from textrnn.text_generation.prompts import cut_at, without_cut_character
from textrnn.tokenizers.text import string_tensor
from textrnn.training.distribution import workers
from textrnn.training.sampled_softmax import sampled_crossentropy

TRACED = {
    "training_states": ["train_function"],
    "evaluation_states": ["test_function", "predict_function"],
}
"""The functions of Keras that read and write variables of carried states."""


@keras.saving.register_keras_serializable(package="textrnn")
class CausalLM(GenerativeTask, keras_hub.models.CausalLM):
    """A recurrent language model: strings in, strings out.

    It has the interface of every KerasHub `CausalLM`: `fit` on raw strings, `generate` with any sampler,
    `save_to_preset` and `from_preset`. It also trains on a continuous stream by truncated backpropagation
    through time. Pass `fit` the windows of `textrnn.data.windows`, and each window starts from the states at
    the end of the previous one.

    Generation reads the prompt once, and then runs one step of the cells per token.

    Args:
        backbone: A `RecurrentBackbone`.
        preprocessor: A `CausalLMPreprocessor`, or None for a model of token ids.
        sampler: The sampler, saved with the model; `textrnn.RowSampler()` by default.
        neural_cache: A `textrnn.decoding.NeuralCache` or its config, with which `generate` and an exported
            model mix the probabilities of tokens; saved with the model. None for no cache.
        **kwargs: `name`, and `compile=False` to leave the model uncompiled.

    Call arguments: see `RecurrentBackbone`. Returns logits, `(batch, time, vocabulary_size)`; in training
    with a sampled softmax, the outputs of the backbone.

    Raises:
        InputError: For an unknown argument.

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

    def __init__(self, backbone, preprocessor=None, sampler=None, neural_cache=None, **kwargs):
        self.backbone = backbone
        self.preprocessor = preprocessor
        self.default_sampler = sampler or RowSampler()
        inputs = backbone.input
        outputs = backbone.token_embedding(backbone(inputs), reverse=True)
        super().__init__(inputs=inputs, outputs=outputs, **kwargs)
        # Windows of a stream have another key and no padding mask.
        self.input_spec = None
        self.neural_cache = neural_cache

    @property
    def neural_cache(self):
        """The `NeuralCache` of generation, or None."""
        return None if self._neural_cache is None else NeuralCache(**self._neural_cache)

    @neural_cache.setter
    def neural_cache(self, cache):
        # As a dict, which Keras tracks like any other attribute.
        self._neural_cache = cache.get_config() if isinstance(cache, NeuralCache) else cache
        if self._neural_cache is not None:
            NeuralCache(**self._neural_cache)  # checks it
        self.generate_function = None  # it is traced with the earlier one

    def get_config(self):
        """Return the arguments of the constructor."""
        cache = self.neural_cache
        return super().get_config() | {"neural_cache": cache and cache.get_config()}

    # === Training ===

    sampled_softmax = 0

    def compile(self, *args, sampled_softmax=0, **kwargs):
        """Configure training and generation; see `GenerativeTask.compile`.

        Args:
            *args, **kwargs: As there.
            sampled_softmax: int. Number of tokens of the vocabulary that the training loss compares with the
                right one, see `textrnn.training.sampled_crossentropy`; 0 for all. It makes steps faster where
                the vocabulary is large. The tokenizer should have frequent tokens first, as those of this
                package have. Evaluation is exact.

        Raises:
            InputError: If `sampled_softmax` is no number of tokens, or with a loss or metrics of logits.
        """
        options = dict(zip(("optimizer", "loss"), args, strict=False)) | kwargs
        of_logits = ("loss", "metrics", "weighted_metrics")
        given = [name for name in of_logits if options.get(name) not in (None, [], "auto")]
        expect(
            is_integer(sampled_softmax) and sampled_softmax >= 0,
            f"sampled_softmax is {sampled_softmax!r}: give a number of tokens, or 0 for all",
        )
        expect(
            not (sampled_softmax and given),
            f"sampled_softmax is {sampled_softmax}, which is a loss without logits of all tokens: leave out "
            f"{' and '.join(given)}",
        )
        self.sampled_softmax = int(sampled_softmax)
        super().compile(*args, **kwargs)

    def get_compile_config(self):
        """Return what `compile_from_config` needs; None for a task that is not compiled."""
        config = super().get_compile_config()
        if not (config and self.sampled_softmax):
            return config
        return config | {"sampled_softmax": self.sampled_softmax, "loss": "auto"}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the loss of a batch; see `keras.Model.compute_loss`."""
        if not (training and self.sampled_softmax):
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        vectors = output_vectors(self.backbone.token_embedding)
        # The seed is that of a layer, so that Keras saves it.
        seed = ops.sum(self.backbone.word_dropout.seed_generator.next())
        losses = sampled_crossentropy(y_pred, y, vectors, self.sampled_softmax, seed)
        weights = ops.ones_like(losses) if sample_weight is None else ops.cast(sample_weight, losses.dtype)
        loss = ops.divide_no_nan(ops.sum(losses * weights), ops.sum(weights))
        loss = loss + sum(ops.sum(penalty) for penalty in self.losses)
        return loss / self._replicas  # replicas of `tf.distribute` sum their losses

    @property
    def layer_groups(self):
        """Layers from the input to the output, for rates and unfreezing by depth.

        The embeddings are also the output layer, and so they are with the highest layers, as in ULMFiT.

        Example:

        >>> lm = textrnn.CausalLM(textrnn.RecurrentBackbone(9, units=4, num_layers=2))
        >>> [[layer.name for layer in group] for group in lm.layer_groups]
        [['recurrent_0'], ['recurrent_1'], ['token_embedding']]
        """
        output = [self.backbone.token_embedding, self.backbone.output_projection]
        return layer_groups(self.backbone, [layer for layer in output if layer is not None])

    training_states: CarriedStates | None = None
    evaluation_states: CarriedStates | None = None

    @property
    def row_variables(self):
        """Carried states, of which each worker has its own rows."""
        carried = (self.training_states, self.evaluation_states)
        return [(state, states.rows) for states in carried if states is not None for state in states.carried]

    def fit(self, x=None, *args, **kwargs):
        """Train on strings, tokenized batches or windows of a stream; see `keras.Model.fit`."""
        self._carry_states_for(x, "training_states")
        if kwargs.get("validation_data") is not None:
            self._carry_states_for(kwargs["validation_data"], "evaluation_states")
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluate on strings, tokenized batches or windows of a stream; see `keras.Model.evaluate`."""
        self._carry_states_for(x, "evaluation_states")
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x=None, *args, **kwargs):
        """Predict from strings, tokenized batches or windows of a stream; see `keras.Model.predict`."""
        self._carry_states_for(x, "evaluation_states")
        return super().predict(x, *args, **kwargs)

    def train_on_batch(self, x, *args, **kwargs):
        """Train on a batch, which may be windows of a stream; see `keras.Model.train_on_batch`."""
        self._carry_states_of_batch(x, "training_states")
        return super().train_on_batch(x, *args, **kwargs)

    def test_on_batch(self, x, *args, **kwargs):
        """Evaluate a batch, which may be windows of a stream; see `keras.Model.test_on_batch`."""
        self._carry_states_of_batch(x, "evaluation_states")
        return super().test_on_batch(x, *args, **kwargs)

    def predict_on_batch(self, x):
        """Predict from a batch, which may be windows of a stream; see `keras.Model.predict_on_batch`."""
        self._carry_states_of_batch(x, "evaluation_states")
        return super().predict_on_batch(x)

    def _carry_states_for(self, data, name):
        """Create variables for the states of the rows if the data consist of windows."""
        spec = getattr(data, "element_spec", data)
        inputs = spec[0] if isinstance(spec, tuple) else spec
        if isinstance(inputs, dict) and "restart" in inputs:
            size = inputs["restart"].shape[0] if spec is not data else None
            expect(
                size is not None,
                "windows carry states from batch to batch: give a tf.data.Dataset whose batches have one "
                "size that TensorFlow knows, as from textrnn.data.windows or batch(n, drop_remainder=True)",
            )
            self.carry_states(size, name)

    def _carry_states_of_batch(self, inputs, name):
        if isinstance(inputs, dict) and "restart" in inputs:
            self.carry_states(len(inputs["restart"]), name)

    def carry_states(self, batch_size, name="training_states"):
        """Create variables for the states of windows; `fit`, `evaluate` and others do so themselves.

        Each of several workers has the states of its own rows.

        Args:
            batch_size: int, the number of rows of the windows that follow.
            name: `"training_states"` or `"evaluation_states"`, which are also those of `predict`.

        Raises:
            InputError: In the scope of a strategy of `tf.distribute` with several replicas.
        """
        expect(
            self._replicas == 1,
            f"windows carry states from batch to batch, which {self._replicas} replicas of a strategy do not "
            "share: use textrnn.training.distributed, or give strings or tokenized batches",
        )
        own_rows = workers().local_rows(batch_size)
        carried = getattr(self, name)
        if carried is not None and (carried.batch_size, carried.rows) == (own_rows, batch_size):
            return
        if carried is not None:
            delattr(self, name)
            # Traced functions refer to the old variables. The others may be running: a callback of `fit` may
            # evaluate.
            for function in TRACED[name]:
                setattr(self, function, None)
        setattr(self, name, CarriedStates(self.backbone.get_initial_states(own_rows), batch_size, name=name))

    def call(self, inputs, training=None, mask=None):
        """Return logits of every token; windows of a stream start from the states of the previous ones.

        In training with a sampled softmax, return what would be projected to logits. Without variables for
        the states of so many rows, which Keras's first call of a model lacks, windows start from the
        initial states.
        """
        sampled = training and self.sampled_softmax
        if "restart" not in inputs:
            if sampled:
                return self.backbone(inputs, training=training)
            return super().call(inputs, training=training, mask=mask)
        rows = inputs["restart"].shape[0]
        carried = self.training_states if training else self.evaluation_states
        if carried is None or carried.batch_size != rows:
            expect(not training, f"windows of {rows} rows: call carry_states({rows}) before training on them")
            carried = None
        if carried is None:
            states = self.backbone.get_initial_states(ops.shape(inputs["restart"])[0])
        else:
            states = carried.read(inputs["restart"])
        hidden, states = self.backbone.run(inputs["token_ids"], states, training=bool(training))
        if carried is not None:
            carried.write(states)
        return hidden if sampled else self.backbone.token_embedding(hidden, reverse=True)

    # === Probabilities ===

    def log_probs(self, texts, prompts=None, end=True, batch_size=32):
        """Return the log-probability of each token of texts, for perplexity and surprisal.

        Each text begins as a prompt does, from the initial states and the start token. The probabilities are
        those of evaluation: of all tokens of the vocabulary, at temperature 1, without the neural cache.
        A text does not depend on the others.

        Args:
            texts: A str or a list of str.
            prompts: A str or a list of str, which the texts continue and which are not scored themselves.
                They are tokenized apart from the texts, as for `generate`. A str is the prompt of all texts.
            end: bool. Whether to score the end token, too.
            batch_size: int. Number of texts that are read together.

        Returns:
            A `textrnn.text_generation.log_probs.LogProbs`, or a list of them.

        Raises:
            InputError: If the model has no preprocessor, if there are not as many prompts as texts, or if
                nothing precedes the first token of a text.

        Example: an untrained model with zero weights gives each of 258 tokens the same probability.

        >>> from textrnn.tokenizers import ByteTokenizer
        >>> backbone = textrnn.RecurrentBackbone(vocabulary_size=258, units=8)
        >>> for weight in backbone.trainable_variables:
        ...     _ = weight.assign(0 * weight)
        >>> lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(ByteTokenizer()))
        >>> found = lm.log_probs("so it is")
        >>> round(float(np.exp(-found.log_probs.mean())), 3)  # perplexity
        258.0
        >>> [(word, round(log_prob, 3)) for word, log_prob in found.words()]
        [('so', -11.106), ('it', -16.659), ('is', -16.659)]
        """
        return log_probs(self, texts, prompts, end, batch_size)

    # === Generation ===

    def generate(self, inputs, max_length=None, stop_token_ids="auto", strip_prompt=False, stop=()):
        r"""Complete prompts; see `keras_hub.models.CausalLM.generate`.

        Args:
            inputs: A prompt, str or bytes, or a list, array, tensor or `tf.data.Dataset` of prompts.
            max_length: Maximum number of tokens, prompt included. Default: the preprocessor's.
            stop_token_ids: Tokens that end a text; `"auto"` is the end token.
            strip_prompt: Whether to return the continuations alone.
            stop: A text, or several, before which a continuation ends, such as a line break.

        Returns:
            A str, or a list of str. What `max_length` leaves of a character of several tokens is removed.

        Raises:
            InputError: If `stop` is given and the model has no preprocessor, or if a stop text is empty.

        Example:

        >>> from textrnn.tokenizers import ByteTokenizer
        >>> backbone = textrnn.RecurrentBackbone(vocabulary_size=258, units=8)
        >>> lm = textrnn.CausalLM(backbone, textrnn.CausalLMPreprocessor(ByteTokenizer()))
        >>> lm.generate("one line", max_length=20, stop="\n").count("\n")
        0
        """
        import tensorflow as tf

        stops = (stop,) if isinstance(stop, str) else tuple(stop or ())
        if self.preprocessor is None:
            expect(
                not stops,
                f"generate got stop={stop!r}, but the model has no preprocessor: pass stop_token_ids instead",
            )
            return super().generate(inputs, max_length, stop_token_ids, strip_prompt)
        if isinstance(inputs, tf.data.Dataset):  # another reading of it may have another order
            arguments = max_length, stop_token_ids, strip_prompt, stops
            return of_batches(lambda batch: self.generate(batch, *arguments), inputs)
        found = super().generate(inputs, max_length, stop_token_ids, strip_prompt)
        texts = [found] if isinstance(found, str) else found
        if not stops and not any(text.endswith(REPLACEMENT) for text in texts):
            return found
        starts = [0] * len(texts) if strip_prompt else self._read_back(inputs)
        texts = [
            cut_at(without_cut_character(text, start), stops, start)
            for text, start in zip(texts, starts, strict=True)
        ]
        return texts[0] if isinstance(found, str) else texts

    def _read_back(self, prompts):
        """The numbers of characters of prompts as the tokenizer reads them."""
        import tensorflow as tf

        tokenizer = self.preprocessor.tokenizer
        read = tokenizer.detokenize(tokenizer(tf.reshape(string_tensor(prompts), [-1])))
        return [len(text.decode("utf-8", "replace")) for text in read.numpy()]

    def decoder(self, inputs, many_tokens=True):
        """The parts of the model that decoding calls, with the neural cache if the model has one.

        Args:
            inputs: A dict of `"token_ids"` and `"padding_mask"`, from which row seeds are derived.
            many_tokens: See `RecurrentBackbone.stepper`.

        Returns:
            A `textrnn.decoding.Decoder`.
        """
        decoder = self._decoder(inputs, many_tokens)
        cache, tokenizer = self.neural_cache, getattr(self.preprocessor, "tokenizer", None)
        return cache.decoder(decoder, getattr(tokenizer, "suppressed_token_ids", ())) if cache else decoder

    def _decoder(self, inputs, many_tokens=False):
        step_backbone = self.backbone.stepper(many_tokens)

        def read(token_ids, padding_mask):
            states = self.backbone.get_initial_states(ops.shape(token_ids)[0])
            hidden, states = read_in_parts(
                self.backbone.run, token_ids, states, padding_mask, self.backbone.compute_dtype
            )
            return hidden, None, states

        def step(token_ids, states):
            hidden, states = step_backbone(token_ids, states)
            return hidden, None, states

        seeds = row_seeds(inputs["token_ids"], inputs["padding_mask"])
        return Decoder(read, step, self.projector(ops.shape(inputs["token_ids"])[0]), seeds)

    def start(self, token_ids, padding_mask):
        """Read prompts; `start` and `step` have no neural cache.

        Args:
            token_ids: Integers, `(batch, time)`, padded on the right.
            padding_mask: Booleans, `(batch, time)`, at least one True per row.

        Returns:
            Logits of the token after each prompt, float32 `(batch, vocabulary_size)`, and the states.
        """
        decoder = self._decoder({"token_ids": token_ids, "padding_mask": padding_mask})
        logits, _, states = decoder.start(token_ids, padding_mask)
        return logits, states

    def step(self, token_ids, states):
        """Read one more token per row, `(batch,)`; return the logits of the next one and the new states."""
        hidden, states = self.backbone.stepper()(token_ids, states)
        return self.project(hidden), states
