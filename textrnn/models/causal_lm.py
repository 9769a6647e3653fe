"""Language models: the backbone, preprocessor and task that generate text from left to right."""

import keras
import keras_hub
from keras import ops

from textrnn import decoding
from textrnn.errors import InputError
from textrnn.layers.activation_regularization import (
    ActivationRegularization,
    TemporalActivationRegularization,
)
from textrnn.layers.dropout import EmbeddingDropout
from textrnn.layers.stack import RecurrentStack
from textrnn.models.cell_options import cell_config, make_cell
from textrnn.models.generative_task import GenerativeTask


@keras.saving.register_keras_serializable(package="textrnn")
class RecurrentBackbone(keras_hub.models.Backbone):
    """Token embedding and a stack of recurrent layers, read from left to right.

    Args:
        vocabulary_size: int. The size of the token vocabulary.
        cell: a cell's name, `"module:attribute"`, a `textrnn.GateSpec`, a subclass of `textrnn.Cell`, or a
            cell layer that stands for all of them: each recurrent layer gets a copy with weights of its own.
        units: int. The width of each recurrent layer; ignored if `cell` is a layer.
        num_layers: int. The number of recurrent layers.
        embedding_dim: int. The width of the embedding; `None` for that of the last layer.
        tie_embeddings: bool. Whether the output projection is the transposed embedding (Press & Wolf 2017;
            Inan et al. 2017). If the last layer is not `embedding_dim` wide, a linear map comes between.
        dropout: float. Fraction of the inputs and outputs of every layer to drop while training.
        recurrent_dropout: float. Fraction of what the recurrent kernels multiply to drop, with one mask
            for a sequence (Gal & Ghahramani 2016).
        weight_drop: float. Fraction of the recurrent kernels' entries to drop, with one mask for a batch
            (Merity et al. 2018).
        zoneout: float, or a list of one for each group of a cell's states. Probability that a unit of the
            state keeps its old value (Krueger et al. 2017); see `textrnn.Recurrent`.
        embedding_dropout: float. Fraction of the vocabulary to drop, everywhere in a batch.
        activation_regularization: float. Weight of the mean square of the last layer's outputs after dropout
            (AR, Merity et al. 2018) in the training loss.
        temporal_activation_regularization: float. Weight of the mean square of their change from step to
            step before dropout (TAR) in the training loss. The loss that `fit` shows includes both; what is
            measured in an evaluation, `val_loss` among it, does not.
        dtype: the dtype or dtype policy of the computation and the weights. A `cell` that is a layer keeps
            its own.

    Call arguments: a dict of `"token_ids"`, integers `(batch, time)`, and `"padding_mask"` of the same
    shape, True for tokens that count. Returns `(batch, time, embedding_dim)`.

    Example:

    >>> backbone = textrnn.RecurrentBackbone(vocabulary_size=10, cell="gru", units=4)
    >>> x = {"token_ids": np.ones((2, 3), "int32"), "padding_mask": np.ones((2, 3), "bool")}
    >>> backbone(x).shape
    TensorShape([2, 3, 4])
    """

    def __init__(
        self,
        vocabulary_size,
        cell="lstm",
        units=256,
        num_layers=1,
        embedding_dim=None,
        tie_embeddings=True,
        dropout=0.0,
        recurrent_dropout=0.0,
        weight_drop=0.0,
        zoneout=0.0,
        embedding_dropout=0.0,
        activation_regularization=0.0,
        temporal_activation_regularization=0.0,
        dtype=None,
        **kwargs,
    ):
        dtype = keras.dtype_policies.get(dtype)
        cells = [make_cell(cell, units, dtype) for _ in range(num_layers)]
        embedding_dim = cells[-1].output_size if embedding_dim is None else embedding_dim

        # === Layers ===
        self.token_embedding = keras.layers.ReversibleEmbedding(
            vocabulary_size,
            embedding_dim,
            tie_weights=tie_embeddings,
            # Of unit length, for the logits; `_embed` gives what the layers read unit variance.
            embeddings_initializer=keras.initializers.RandomNormal(stddev=embedding_dim**-0.5),
            dtype=dtype,
            name="token_embedding",
        )
        # It drops the mask of what it projects back, on purpose; without this Keras warns that it does.
        self.token_embedding.supports_masking = True
        self.word_dropout = EmbeddingDropout(
            embedding_dropout, vocabulary_size, dtype=dtype, name="word_dropout"
        )
        self.input_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="input_dropout")
        self.stack = RecurrentStack(
            cells,
            dropout=dropout,
            recurrent_dropout=recurrent_dropout,
            weight_drop=weight_drop,
            zoneout=zoneout,
            dtype=dtype,
            name="stack",
        )
        self.change_penalty = TemporalActivationRegularization(
            temporal_activation_regularization, dtype=dtype, name="change_penalty"
        )
        self.output_dropout = keras.layers.Dropout(dropout, dtype=dtype, name="output_dropout")
        self.output_penalty = ActivationRegularization(
            activation_regularization, dtype=dtype, name="output_penalty"
        )
        self.output_projection = None
        if cells[-1].output_size != embedding_dim:
            self.output_projection = keras.layers.Dense(
                embedding_dim, use_bias=False, dtype=dtype, name="output_projection"
            )

        # === Functional model ===
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        padding_mask = keras.Input((None,), dtype="bool", name="padding_mask")
        x, _ = self.stack(self._read(token_ids), mask=padding_mask)
        super().__init__(
            inputs={"token_ids": token_ids, "padding_mask": padding_mask},
            outputs=self._write(x, mask=padding_mask),
            dtype=dtype,
            **kwargs,
        )

        # === Config ===
        self.vocabulary_size = vocabulary_size
        self.cell = cell
        self.units = units
        self.num_layers = num_layers
        self.embedding_dim = embedding_dim
        self.tie_embeddings = tie_embeddings
        self.dropout = dropout
        self.recurrent_dropout = recurrent_dropout
        self.weight_drop = weight_drop
        self.zoneout = self.stack.zoneout
        self.embedding_dropout = embedding_dropout
        self.activation_regularization = activation_regularization
        self.temporal_activation_regularization = temporal_activation_regularization

    def _embed(self, token_ids):
        """Token vectors scaled as in Vaswani et al. 2017: small ones leave the gates blind at first."""
        return self.token_embedding(token_ids) * self.token_embedding.output_dim**0.5

    def _read(self, token_ids, training=None):
        """Token ids -> what the lowest layer reads."""
        x = self.word_dropout(self._embed(token_ids), token_ids, training=training)
        return self.input_dropout(x, training=training)

    def _write(self, x, mask=None, training=None):
        """The outputs of the highest layer -> what becomes logits."""
        x = self.change_penalty(x, mask=mask, training=training)
        x = self.output_dropout(x, training=training)
        x = self.output_penalty(x, mask=mask, training=training)
        return self._project(x)

    def _project(self, x):
        return x if self.output_projection is None else self.output_projection(x)

    def get_initial_states(self, batch_size):
        """Returns the states before the first token: a list for each layer of tensors `(batch, n)`."""
        return self.stack.get_initial_states(batch_size)

    def run(self, token_ids, states, padding_mask=None, training=False):
        """Reads tokens from given states, as `call` does from the initial ones.

        Args:
            token_ids: integers, `(batch, time)`.
            states: as `get_initial_states` returns them.
            padding_mask: booleans, `(batch, time)`. At padding the states stay as they are and the output
                is that of the last valid step.
            training: bool, whether to drop, zone out and penalise.

        Returns:
            `(batch, time, embedding_dim)` and the states after the last token.
        """
        x = self._read(token_ids, training=training)
        x, states = self.stack(x, initial_states=states, mask=padding_mask, training=training)
        return self._write(x, mask=padding_mask, training=training), states

    def stepper(self):
        """Returns `step(token_ids, states) -> hidden, states`, one token of each row.

        Tokens are `(batch,)`, what comes out is `(batch, embedding_dim)`. The function has read the weights
        already: make it once before a loop over tokens, not within.
        """
        step_stack = self.stack.stepper()

        def step(token_ids, states):
            x, states = step_stack(self._embed(token_ids), states)
            return self._project(x), states

        return step

    def get_config(self):
        """Returns the arguments of the constructor."""
        config = super().get_config()
        config.update(
            vocabulary_size=self.vocabulary_size,
            cell=cell_config(self.cell, self.stack.cells[0]),
            units=self.units,
            num_layers=self.num_layers,
            embedding_dim=self.embedding_dim,
            tie_embeddings=self.tie_embeddings,
            dropout=self.dropout,
            recurrent_dropout=self.recurrent_dropout,
            weight_drop=self.weight_drop,
            zoneout=self.zoneout,
            embedding_dropout=self.embedding_dropout,
            activation_regularization=self.activation_regularization,
            temporal_activation_regularization=self.temporal_activation_regularization,
        )
        return config


@keras.saving.register_keras_serializable(package="textrnn")
class CausalLMPreprocessor(keras_hub.models.CausalLMPreprocessor):
    """Turns strings into what `textrnn.CausalLM` reads, and back.

    Every text and every prompt starts with the tokenizer's start token, which is also the end-of-text
    token: a prompt is the beginning of a document, and an empty prompt is that token alone.

    Args:
        tokenizer: one of `textrnn.tokenizers`.
        sequence_length: int. Texts given to `fit` are cut and padded to this many tokens; `generate` stops
            there unless it is told a `max_length`.
        add_start_token: bool. Whether to start every text with the start token.
        add_end_token: bool. Whether to end every training text with the end token.
    """

    backbone_cls = RecurrentBackbone

    def generate_preprocess(self, x, sequence_length=None):
        """Turns prompts into padded tokens and refuses one that leaves no room for a new token.

        Args:
            x: a string tensor or list of prompts.
            sequence_length: int. The length to pad to, in tokens.

        Returns:
            A dict of `"token_ids"` and `"padding_mask"`, `(batch, sequence_length)`.

        Raises:
            InputError: if a prompt, with its start token, has `sequence_length` tokens or more.
        """
        limit = sequence_length or self.sequence_length
        import tensorflow as tf

        if not tf.executing_eagerly():  # mapped over a dataset: lengths are not known yet
            return super().generate_preprocess(x, sequence_length=sequence_length)
        tokens = self.tokenizer(x)
        lengths = tokens.row_lengths() if isinstance(tokens, tf.RaggedTensor) else tf.shape(tokens)
        longest = max(lengths.numpy().tolist(), default=0) + int(self.add_start_token)
        if longest >= limit:
            raise InputError(
                f"A prompt of {longest} tokens leaves no room for a new one within max_length={limit}. "
                f"Give max_length={longest + 1} or more, or a shorter prompt."
            )
        return super().generate_preprocess(x, sequence_length=sequence_length)

    @classmethod
    def from_config(cls, config):
        """The preprocessor that `get_config` described."""
        import textrnn.tokenizers  # noqa: F401, a process that loads a preset may not have named them yet

        return super().from_config(config)

    def generate_postprocess(self, x):
        """Turns generated tokens into text.

        Args:
            x: a dict of `"token_ids"` and `"padding_mask"`, `(batch, time)`.

        Returns:
            A list of str. What is no valid UTF-8, as an untrained model of bytes may write, is U+FFFD.
        """
        import tensorflow as tf

        from textrnn.tokenizers import valid_utf8

        token_ids, mask = (ops.convert_to_numpy(x[key]) for key in ("token_ids", "padding_mask"))
        texts = self.tokenizer.detokenize(tf.ragged.boolean_mask(token_ids, mask.astype("bool")))
        return [text.decode("utf-8") for text in valid_utf8(texts).numpy()]


@keras.saving.register_keras_serializable(package="textrnn")
class CarriedStates(keras.layers.Layer):
    """Recurrent states that travel from one batch to the next while training.

    They belong to a pass over a stream, not to the model: nothing is saved or loaded.

    Args:
        initial_states: a nested structure of tensors `(batch, n)`, the states of a fresh start.
    """

    def __init__(self, initial_states, **kwargs):
        super().__init__(**kwargs)
        self.structure = keras.tree.map_structure(lambda _: 0, initial_states)
        self.batch_size = int(keras.tree.flatten(initial_states)[0].shape[0])
        self.initial = keras.tree.flatten(initial_states)
        self.carried = [
            self.add_weight(
                shape=tuple(state.shape),
                initializer="zeros",
                trainable=False,
                dtype=state.dtype,
                name="state",
            )
            for state in self.initial
        ]
        self.built = True

    def read(self, restart):
        """The carried states, fresh ones in the rows where `restart`, `(batch,)`, is True."""
        restart = ops.reshape(restart, (-1, 1))
        states = [
            ops.where(restart, initial, ops.convert_to_tensor(carried))
            for initial, carried in zip(self.initial, self.carried, strict=True)
        ]
        return keras.tree.pack_sequence_as(self.structure, states)

    def write(self, states):
        """Keeps these states for the next batch."""
        for carried, state in zip(self.carried, keras.tree.flatten(states), strict=True):
            carried.assign(state)

    def save_own_variables(self, store):
        """Saves nothing."""

    def load_own_variables(self, store):
        """Loads nothing."""


@keras.saving.register_keras_serializable(package="textrnn")
class CausalLM(GenerativeTask, keras_hub.models.CausalLM):
    """A recurrent language model: strings in, strings out.

    Behaves as every KerasHub `CausalLM`: `fit` on raw strings, `generate` with any KerasHub sampler,
    `save_to_preset` and `from_preset`. Beyond that it trains on a continuous stream by truncated
    backpropagation through time: give `fit` the windows of `textrnn.data.batching`, and the states at the
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
        self.default_sampler = sampler or decoding.RowSampler()
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
        return decoding.suppressed(logits, getattr(tokenizer, "suppressed_token_ids", ()))

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
        seeds = decoding.row_seeds(token_ids, padding_mask) if seed is None else seed

        def choose(logits, index):
            uniforms = decoding.row_uniforms(seeds, index)
            return decoding.sample(logits, uniforms, temperature, top_k, top_p)

        logits, states = self.start(token_ids, padding_mask)
        return decoding.generate(
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
        if isinstance(self.sampler, decoding.RowSampler):
            return self._generate_rows(token_ids, padding_mask, tuple(stop_token_ids or ()))
        return self._generate_in_step(token_ids, padding_mask, stop_token_ids)

    def _generate_rows(self, token_ids, padding_mask, stop_token_ids):
        """Each row goes on from its own end: one pass over the prompts, then as many steps as needed."""
        batch_size, max_length = ops.shape(token_ids)
        prompt_lengths = ops.sum(ops.cast(padding_mask, "int32"), axis=1)
        full = lambda value, dtype: ops.full((batch_size,), value, dtype)  # noqa: E731
        new, new_lengths = self.generate_tokens(
            *decoding.without_padding(token_ids, padding_mask),
            max_new_tokens=max_length - prompt_lengths,
            limit=max_length,
            temperature=full(self.sampler.temperature, "float32"),
            top_k=full(self.sampler.top_k, "int32"),
            top_p=full(self.sampler.top_p, "float32"),
            seed=None if self.sampler.seed is None else full(self.sampler.seed, "int32"),
            stop_token_ids=stop_token_ids,
        )
        return decoding.appended(token_ids, padding_mask, new, new_lengths)

    def _generate_in_step(self, token_ids, padding_mask, stop_token_ids):
        def start(before):
            states = self.backbone.get_initial_states(ops.shape(token_ids)[0])
            return self.backbone.run(token_ids, states, padding_mask=before)

        step_backbone = self.backbone.stepper()

        def step(token_ids, states):
            hidden, states = step_backbone(token_ids, states)
            return self._logits(hidden), hidden, states

        return decoding.generate_in_step(
            self.sampler, self, start, step, token_ids, padding_mask, stop_token_ids
        )
