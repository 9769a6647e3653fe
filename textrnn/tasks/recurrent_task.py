# mypy: disable-error-code="misc, attr-defined"
"""The common parts of all tasks."""

import keras

from textrnn.private import load_preset_json
from textrnn.tasks.arguments import KnownArguments


class RecurrentTask(KnownArguments):
    """Mixin of tasks; it stands before KerasHub's task among the bases.

    Attributes:
        token_key: The key of a batch by which it is known to be tokenised.
    """

    token_key = "token_ids"

    @classmethod
    def from_preset(cls, preset, load_weights=True, **kwargs):
        """Load a task; see `keras_hub.models.Task.from_preset`.

        As for all KerasHub models, the weights are converted to Keras's current dtype policy, or to `dtype`.
        """
        saved = load_preset_json(preset, "config.json")["config"].get("dtype") or {}
        mixed = (saved.get("config", {}).get("name") or "").startswith("mixed_")
        if mixed and kwargs.get("dtype") is None:  # KerasHub fails on policies that are not dtypes
            kwargs["dtype"] = keras.config.dtype_policy()
        return super().from_preset(preset, load_weights=load_weights, **kwargs)

    def compile(self, optimizer="auto", *, jit_compile="auto", **kwargs):
        """Configure training; see `keras.Model.compile`.

        Args:
            optimizer: `"auto"` is Adam with learning rate 1e-3 and gradients clipped to a global norm of 1,
                without which recurrent networks diverge (Pascanu et al. 2013).
            jit_compile: bool. Whether to compile with XLA; `"auto"` does not on TensorFlow, where XLA would
                compile for each length of a batch.
            **kwargs: See `keras.Model.compile`.
        """
        if jit_compile == "auto" and keras.backend.backend() == "tensorflow":
            jit_compile = False
        if optimizer == "auto":
            optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=1.0)
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Pass strings to the preprocessor; tokenised batches are returned unchanged."""
        if isinstance(x, dict) and self.token_key in x:
            return keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
        return super().preprocess_samples(x, y=y, sample_weight=sample_weight)

    def fit(self, x=None, *args, **kwargs):
        """Train on strings or on tokenised batches; see `keras.Model.fit`."""
        # KerasHub passes a dataset to Keras, which warns that it cannot shuffle it.
        kwargs.setdefault("shuffle", False)
        return super().fit(x, *args, **kwargs)
