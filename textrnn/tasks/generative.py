# mypy: disable-error-code="misc, attr-defined"
"""What all our tasks that generate do in another way than KerasHub's."""

import keras

from textrnn.training.losses import TokenCrossentropy


class GenerativeTask:
    """The part of `textrnn.CausalLM` and `textrnn.Seq2SeqLM` that is the same.

    It stands before KerasHub's task among the bases of a class that has a `default_sampler`, which generates
    unless `compile` is given another one.
    """

    generate_function = None

    def compile(
        self,
        optimizer="auto",
        loss="auto",
        *,
        weighted_metrics=None,
        sampler="auto",
        jit_compile="auto",
        **kwargs,
    ):
        """Configures training and generation, as `keras_hub.models.CausalLM.compile` does.

        Args:
            optimizer: `"auto"` is Adam with a learning rate of 1e-3 and the gradients clipped to a global
                norm of 1, without which recurrent networks diverge (Pascanu et al. 2013).
            loss: `"auto"` is the cross-entropy in nats per token that counts.
            weighted_metrics: metrics to follow; none by default, since each costs another pass over the
                logits.
            sampler: a KerasHub sampler or its name; `"auto"` is the sampler saved with the model.
            jit_compile: bool. Whether to compile the training step with XLA; `"auto"` does not on TensorFlow,
                where it was slower on the CPUs measured.
            **kwargs: see `keras.Model.compile`.
        """
        if jit_compile == "auto" and keras.backend.backend() == "tensorflow":
            jit_compile = False
        if optimizer == "auto":
            optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=1.0)
        if loss == "auto":
            loss = TokenCrossentropy(reduction="mean_with_sample_weight")
        super().compile(
            optimizer=optimizer,
            loss=loss,
            weighted_metrics=weighted_metrics,
            sampler=self.default_sampler if sampler == "auto" else sampler,
            jit_compile=jit_compile,
            **kwargs,
        )

    def has_task_weights(self):
        """All weights are the backbone's; carried states and the optimizer's are not part of a preset."""
        return False

    def make_generate_function(self):
        """Returns the compiled `generate_step`; without XLA, which would compile for every length."""
        if (
            self.generate_function is None
            and keras.backend.backend() == "tensorflow"
            and not self.run_eagerly
        ):
            import tensorflow as tf

            self.generate_function = tf.function(self.generate_step, reduce_retracing=True)
        return super().make_generate_function()

    def get_config(self):
        """Returns the arguments of the constructor."""
        config = super().get_config()
        config["sampler"] = keras.saving.serialize_keras_object(self.default_sampler)
        return config
