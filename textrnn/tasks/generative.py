# mypy: disable-error-code="misc, attr-defined"
"""The common parts of tasks that generate text."""

import keras
import keras_hub
from keras import ops

from textrnn.decoding.samplers import complete
from textrnn.decoding.sampling import suppressed
from textrnn.tasks.embedding import logit_projector
from textrnn.tasks.recurrent_task import RecurrentTask
from textrnn.tokenizers.text import string_tensor
from textrnn.training.losses import TokenCrossentropy


class GenerativeTask(RecurrentTask):
    """Mixin of tasks that generate text; it stands before KerasHub's task among the bases.

    A subclass sets `default_sampler` in its constructor and implements `decoder`.

    Attributes:
        prompt_prefix: Prefix of the inputs that hold prompts.
        embedding_name: The attribute of the backbone that projects to logits.
        tokenizer_name: The attribute of the preprocessor that detokenizes.
        default_sampler: The sampler of `generate`, of exports and of presets: the one last set, here or by
            `compile`.
    """

    prompt_prefix = ""
    embedding_name = "token_embedding"
    tokenizer_name = "tokenizer"
    generate_function = None

    def compile(self, optimizer="auto", loss="auto", *, weighted_metrics=None, sampler="auto", **kwargs):
        """Configure training and generation, as `keras_hub.models.CausalLM.compile` does.

        Args:
            optimizer: `"auto"` is Adam with learning rate 1e-3 and gradients clipped to a global norm of 1,
                without which recurrent networks diverge (Pascanu et al. 2013).
            loss: `"auto"` is the cross-entropy in nats per unmasked token.
            weighted_metrics: list of metrics; none by default, since each costs a pass over the logits.
            sampler: A KerasHub sampler or its name, which becomes the default sampler; `"auto"` keeps it.
            **kwargs: See `RecurrentTask.compile`.
        """
        if loss == "auto":
            loss = TokenCrossentropy(reduction="mean_with_sample_weight")
        super().compile(
            optimizer=optimizer,
            loss=loss,
            weighted_metrics=weighted_metrics,
            sampler=self.sampler if sampler == "auto" else sampler,
            **kwargs,
        )

    @property
    def default_sampler(self):
        """The sampler of `generate`, of exports and of presets."""
        return self.sampler

    @default_sampler.setter
    def default_sampler(self, sampler):
        self.sampler = keras_hub.samplers.get(sampler)
        self.generate_function = None  # it is traced with the earlier sampler

    def has_task_weights(self):
        """Return False: all weights to save belong to the backbone."""
        return False

    def decoder(self, inputs):
        """The parts of the model that decoding calls.

        Args:
            inputs: A dict of the inputs of a batch.

        Returns:
            A `textrnn.decoding.Decoder`.
        """
        raise NotImplementedError

    def project(self, hidden):
        """Logits in float32; minus infinity for tokens that are never generated.

        Args:
            hidden: `(..., embedding_dim)`, outputs of the backbone.

        Returns:
            `(..., vocabulary_size)`.
        """
        return self.projector(1)(hidden)

    def projector(self, rows):
        """`project` as a function that has already read the weights, for a loop over tokens.

        Args:
            rows: The number of rows that generate, an int, or on TensorFlow a scalar tensor.
        """
        project = logit_projector(getattr(self.backbone, self.embedding_name), rows)
        tokenizer = getattr(self.preprocessor, self.tokenizer_name, None)
        excluded = getattr(tokenizer, "suppressed_token_ids", ())
        return lambda hidden: suppressed(project(hidden), excluded)

    def generate(self, inputs, *arguments, **options):
        """Complete prompts, as KerasHub's task does; no prompts give no texts.

        KerasHub's preprocessing takes no bytes, and its loops need a row.
        """
        if self.preprocessor is None:  # the inputs are token ids
            none = isinstance(inputs, list | tuple) and not inputs
            return [] if none else super().generate(inputs, *arguments, **options)
        import tensorflow as tf

        complete = super().generate

        def texts_of(batch):
            strings = _string_tensors(batch)
            empty = any(0 in each.shape for each in tf.nest.flatten(strings))
            return [] if empty else complete(strings, *arguments, **options)

        return of_batches(texts_of, inputs) if isinstance(inputs, tf.data.Dataset) else texts_of(inputs)

    def generate_step(self, inputs, stop_token_ids=None):
        """Complete a batch of prompts up to the length that they are padded to; `generate` calls this.

        Args:
            inputs: A dict of inputs, as the preprocessor's `generate_preprocess` returns them.
            stop_token_ids: Tokens that end a text, or None.

        Returns:
            A dict of the token ids and the padding mask of the prompts followed by the new tokens.
        """
        names = [f"{self.prompt_prefix}{name}" for name in ("token_ids", "padding_mask")]
        token_ids, padding_mask = (
            ops.cast(inputs[name], dtype) for name, dtype in zip(names, ("int32", "bool"), strict=True)
        )
        made = complete(
            self.sampler,
            self.decoder(inputs),
            token_ids,
            padding_mask,
            stop_token_ids=stop_token_ids,
            model=self,
        )
        return dict(zip(names, made, strict=True))

    def make_generate_function(self):
        """Compile `generate_step`, without XLA, which would compile for each length."""
        if (
            self.generate_function is None
            and keras.backend.backend() == "tensorflow"
            and not self.run_eagerly
        ):
            import tensorflow as tf

            self.generate_function = tf.function(self.generate_step, reduce_retracing=True, autograph=False)
        return super().make_generate_function()

    def get_config(self):
        """Return the arguments of the constructor."""
        config = super().get_config()
        config["sampler"] = keras.saving.serialize_keras_object(self.default_sampler)
        return config


def of_batches(generate, dataset):
    """Return the texts that `generate` makes of the batches of a data set, which is read once.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.tasks.generative import of_batches
    >>> dataset = tf.data.Dataset.from_tensor_slices(["a", "b", "c"]).batch(2)
    >>> of_batches(lambda batch: [text.decode() + "!" for text in batch], dataset)
    ['a!', 'b!', 'c!']
    """
    made = [generate(batch) for batch in dataset.as_numpy_iterator()]
    return [text for texts in made for text in ([texts] if isinstance(texts, str) else texts)]


def _string_tensors(inputs):
    """The inputs of `generate` as a string tensor, or as a dict of them."""
    if isinstance(inputs, dict):
        return {name: string_tensor(texts) for name, texts in inputs.items()}
    return string_tensor(inputs)
