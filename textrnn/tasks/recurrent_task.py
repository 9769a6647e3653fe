# mypy: disable-error-code="misc, attr-defined"
"""The common parts of all tasks."""

import contextlib
from pathlib import Path

import keras

from textrnn.errors import InputError, expect
from textrnn.private import load_preset_json
from textrnn.starters.finding import missing_model, preset_at
from textrnn.tasks.arguments import KnownArguments
from textrnn.tasks.execution import execution_of
from textrnn.tasks.registry import registered_name, task_of_preset
from textrnn.tokenizers.text import valid_strings
from textrnn.training.distributed_steps import DistributedSteps


class RecurrentTask(DistributedSteps, KnownArguments):
    """Mixin of tasks; it stands before KerasHub's task among the bases.

    Attributes:
        token_key: The key of a batch by which it is known to be tokenized.
        trained_arguments: Arguments of the constructor on which the meaning of trained weights depends.
        retraining: How to get a task with others of these, for an error of `from_preset`.
    """

    token_key = "token_ids"
    trained_arguments: tuple[str, ...] = ()
    retraining = ""

    @classmethod
    def from_preset(cls, preset, load_weights=True, **kwargs):
        """Load a task from a preset; see `keras_hub.models.Task.from_preset`.

        As for all KerasHub models, the weights are converted to Keras's current dtype policy, or to `dtype`.

        Args:
            preset: The folder of a preset or of a model that has one, the name of a starter model, or a
                handle that KerasHub knows, such as `hf://user/model`.
            load_weights: bool. Whether to load the weights.
            **kwargs: `dtype`, and arguments of the constructor to replace the saved ones, such as `sampler`.

        Raises:
            InputError: If there is no such preset, if it is one of another task, or if an argument does not
                fit its weights.
        """
        preset = _find_preset(cls, preset)
        if load_weights and (Path(preset) / "task.json").is_file():
            _check_fits(cls, preset, kwargs)
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
            jit_compile: bool. Whether to compile with XLA. On TensorFlow, `"auto"` does on a GPU, unless a
                layer runs a fused kernel; see `textrnn.tasks.execution`.
            **kwargs: See `keras.Model.compile`.
        """
        self._given_jit_compile = jit_compile
        if jit_compile == "auto" and keras.backend.backend() == "tensorflow":
            jit_compile = execution_of(self).xla and not kwargs.get("run_eagerly")
        if optimizer == "auto":
            # In bfloat16, 0.999 is 1, and with that Adam changes no weight.
            beta_2 = 0.99 if self.backbone.variable_dtype == "bfloat16" else 0.999
            optimizer = keras.optimizers.Adam(1e-3, beta_2=beta_2, global_clipnorm=1.0)
        super().compile(optimizer=optimizer, jit_compile=jit_compile, **kwargs)

    def get_compile_config(self):
        """Return what `compile_from_config` needs; None for a task that is not compiled."""
        config = super().get_compile_config()
        if not config:
            return config
        # As it was given, since a loaded model may run beside other devices.
        return config | {"optimizer_built": self.optimizer.built, "jit_compile": self._given_jit_compile}

    def compile_from_config(self, config):
        """Compile a loaded model as it was compiled before; see `keras.Model.compile_from_config`."""
        config = keras.saving.deserialize_keras_object(config)
        optimizer_built = config.pop("optimizer_built", True)
        self.compile(**config)
        if optimizer_built:
            self.optimizer.build(self.trainable_variables)

    def preprocess_samples(self, x, y=None, sample_weight=None):
        """Pass strings to the preprocessor; tokenized batches are returned unchanged."""
        if isinstance(x, dict) and self.token_key in x:
            samples = keras.utils.pack_x_y_sample_weight(x, y, sample_weight)
        else:
            samples = super().preprocess_samples(x, y=y, sample_weight=sample_weight)
        # Of several replicas, Keras adds up the first batches, to see their shapes. It cannot add booleans.
        return keras.tree.map_structure(_integers, samples) if self._replicas > 1 else samples

    @property
    def _replicas(self):
        strategy = getattr(self, "distribute_strategy", None)  # on TensorFlow
        return strategy.num_replicas_in_sync if strategy else 1

    def save_to_preset(self, preset_dir, **kwargs):
        """Save the model and its preprocessor; see `keras_hub.models.Task.save_to_preset`."""
        with self._without_optimizer():
            super().save_to_preset(preset_dir, **kwargs)

    def load_task_weights(self, filepath):
        """Load the weights outside the backbone; see `keras_hub.models.Task.load_task_weights`."""
        with self._without_optimizer():
            super().load_task_weights(filepath)

    @contextlib.contextmanager
    def _without_optimizer(self):
        """Inside, the optimizer is a new one, so that its state is neither saved nor loaded."""
        optimizer = getattr(self, "optimizer", None)
        self.optimizer = keras.optimizers.Adam()
        try:
            yield
        finally:
            self.optimizer = optimizer

    def quantize(self, mode=None, config=None, **kwargs):
        """Quantize embeddings and projections of the backbone; see `keras.Model.quantize`.

        Cells stay as they are, since Keras quantizes none. So does the output layer of a classifier, whose
        quantization a preset does not store.
        """
        self.backbone.quantize(mode, config=config, **kwargs)
        self.train_function = self.test_function = self.predict_function = self.generate_function = None

    def fit(self, x=None, *args, **kwargs):
        """Train on strings or on tokenized batches; see `keras.Model.fit`."""
        # KerasHub passes a dataset to Keras, which warns that it cannot shuffle it.
        kwargs.setdefault("shuffle", False)
        validation = kwargs.get("validation_data")
        if validation and isinstance(validation, list) and isinstance(validation[0], str | bytes):
            kwargs["validation_data"] = (validation,)  # Keras would take its items for x, y and weights
        self._build_optimizer()
        return super().fit(valid_strings(x), *args, **kwargs)

    def _build_optimizer(self):
        """Create the optimizer's variables. A step that creates them is traced twice by TensorFlow."""
        optimizer = getattr(self, "optimizer", None)  # Keras says what a task lacks that is not compiled
        if optimizer is not None:
            strategy = getattr(self, "distribute_strategy", None)  # on TensorFlow
            with strategy.scope() if strategy else contextlib.nullcontext():
                optimizer.build(self.trainable_variables)

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluate on strings or on tokenized batches; see `keras.Model.evaluate`."""
        return super().evaluate(valid_strings(x), *args, **kwargs)

    def predict(self, x=None, *args, **kwargs):
        """Predict from strings or from tokenized batches; see `keras.Model.predict`."""
        return super().predict(valid_strings(x), *args, **kwargs)


def _find_preset(cls, given):
    """Return the folder of a preset, or the handle that was given."""
    found = preset_at(given)
    if found is None:
        return _find_backbone(cls, given)
    own = keras.saving.get_registered_object(registered_name(found))  # it may be of a class of one's own
    task = own or task_of_preset(found, given)
    expect(
        issubclass(task, cls) or issubclass(cls, task),
        f"{given} is a preset of a {task.__name__}: load it with {task.__name__}.from_preset",
    )
    return str(found)


def _find_backbone(cls, given):
    """Return the folder of a preset that is that of a backbone alone, or the handle that was given."""
    for folder in (Path(given), Path(given) / "preset"):
        if (folder / "config.json").is_file():
            return str(folder)
    if "://" in str(given):
        return str(given)
    raise missing_model(given, preset_at, cls.__name__, "preset")


def _check_fits(cls, preset, arguments):
    """Refuse arguments of `from_preset` that the weights of a preset do not fit."""
    saved = load_preset_json(preset, "task.json")["config"]
    for name, value in arguments.items():
        if name in cls.trained_arguments and name in saved and _plain(value) != _plain(saved[name]):
            raise InputError(
                f"the preset {preset} was trained with {name}={saved[name]!r}, not with {value!r}: leave it "
                f"out{cls.retraining}"
            )
    if "backbone" in arguments:
        trained = cls.backbone_cls.from_preset(preset, load_weights=False, dtype="float32")
        if _shapes(arguments["backbone"]) != _shapes(trained):
            raise InputError(
                f"the weights of the preset {preset} do not fit the backbone: give one that differs in "
                "regularization alone, or leave it out"
            )


def _plain(value):
    """Return a number or str as it is, and a sequence as a list of str."""
    return value if isinstance(value, (int, float, str)) else [str(part) for part in value]


def _shapes(model):
    return [tuple(weight.shape) for weight in model.weights]


def _integers(x):
    return keras.ops.cast(x, "int32") if keras.backend.standardize_dtype(x.dtype) == "bool" else x
