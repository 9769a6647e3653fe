"""Options that all recipes share: small dataclasses, from which a recipe inherits.

Each option is a field with a type that jsonargparse checks. Flags and keys of YAML files have the names of
the fields, so no two groups of a recipe share one, unless a subclass changes its default. What one task alone
has is in the `options.py` of its folder.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from textrnn.errors import InputError, expect, warn
from textrnn.types import (
    Fraction,
    HeldOutFraction,
    ModelName,
    NonNegativeNumber,
    PositiveInt,
    PositiveNumber,
    Seed,
)
from textrnn.unicode import encoding_of

Precision = Literal["float32", "mixed_bfloat16", "mixed_float16"]
TokenizerKind = Literal["sentencepiece", "word", "character", "byte"]


def option(default: Any, help: str, group: str | None = None) -> Any:
    """Make a dataclass field with a help text.

    Args:
        default: The default.
        help: One clause for `--help`.
        group: The group of `--help`. Default: the title of the class, the first word of its docstring.

    Example:

    >>> from dataclasses import dataclass
    >>> from textrnn.options import OutputOptions, option
    >>> @dataclass(frozen=True, kw_only=True)
    ... class Options(OutputOptions):
    ...     copies: int = option(1, "Number of copies", group="Output")
    ...     name: str = "poems"
    >>> Options(copies=2).folder.as_posix()
    'saved_models/poems'
    """
    return field(default=default, metadata={"help": help, "group": group})


def check_cell_name(cell: str):
    """Refuse an unknown name of a cell, without importing Keras; a MODULE:ATTRIBUTE is not looked up.

    Raises:
        InputError: If there is no such cell. The message suggests names.

    Example:

    >>> from textrnn.options import check_cell_name
    >>> check_cell_name("lstm")
    """
    from textrnn.cells.registry import look_up

    if ":" not in cell:
        look_up(cell)


def small_cell(cell: str, units: int):
    """Make a cell of few units to check options with, or of `units` if it has a rule for its units.

    Example:

    >>> from textrnn.options import small_cell
    >>> small_cell("gru", 256).units
    4
    """
    from textrnn.cells.gated import GatedCell

    try:
        return GatedCell(4, cell)
    except InputError:
        return GatedCell(units, cell)


@dataclass(frozen=True, kw_only=True)
class OptionGroup:
    """Base class of options. Subclasses check relations between options in `__post_init__`."""

    def __post_init__(self):
        pass

    def only(self, group: "type[OptionGroup]") -> dict[str, Any]:
        """Return the options of a group by name, as arguments of the function that they are made for.

        Args:
            group: A class from which this one inherits.

        Example:

        >>> from dataclasses import dataclass
        >>> from textrnn.options import DataOptions, ModelOptions
        >>> @dataclass(frozen=True, kw_only=True)
        ... class Options(ModelOptions, DataOptions):
        ...     pass
        >>> Options(dataset="ptb", units=4).only(DataOptions)
        {'data': None, 'dataset': 'ptb', 'encoding': None, 'held_out': 0.1}
        """
        return {each.name: getattr(self, each.name) for each in fields(group)}

    def filled(self, defaults: Mapping[str, Any]) -> Self:
        """Return the options with defaults that depend on the data, in place of those that are None.

        Args:
            defaults: Their values by name.

        Example:

        >>> from textrnn.options import ModelOptions
        >>> options = ModelOptions(embedding_dim=64).filled({"embedding_dim": 99, "vocabulary_size": 500})
        >>> options.embedding_dim, options.vocabulary_size
        (64, 500)
        """
        return replace(
            self, **{name: value for name, value in defaults.items() if getattr(self, name) is None}
        )


@dataclass(frozen=True, kw_only=True)
class DataOptions(OptionGroup):
    """Data: sources and splits."""

    data: Path | None = option(None, "Your data")
    dataset: str | None = option(None, "Public data set instead of --data")
    encoding: str | None = option(
        None, "Encoding of your files, such as cp1252 (default: UTF-8, or as marked)"
    )
    held_out: HeldOutFraction = option(0.1, "Fraction of the data for validation")

    def __post_init__(self):
        super().__post_init__()
        expect(not (self.data and self.dataset), "--data and --dataset: give one of them")
        encoding_of(b"", self.encoding)  # refuses an unknown name


@dataclass(frozen=True, kw_only=True)
class ModelOptions(OptionGroup):
    """Model: a preset, or the tokenizer, cell, sizes and regularization of a new model.

    Attributes:
        preset_task: Name of the class that a preset has to be of; None for several.
        new_model_parts: Names of the options that a trained model does not take, since it has its own.
    """

    preset_task: ClassVar[str | None] = None
    new_model_parts: ClassVar[tuple[str, ...]] = (
        *("tokenizer", "vocabulary_size", "cell", "units", "layers", "residual", "embedding_dim"),
    )
    from_preset: Path | None = option(
        None,
        "Continue with a trained model, saved_models/NAME; keeps its tokenizer, cell and sizes",
    )
    tokenizer: TokenizerKind = option("sentencepiece", "Kind of token")
    vocabulary_size: PositiveInt | None = option(
        None, "Maximum number of different tokens (default: by the amount of text)"
    )
    cell: str = option("lstm", "Recurrent cell: a name from `textrnn cells`, or MODULE:ATTRIBUTE")
    units: PositiveInt = option(256, "Units of a recurrent layer")
    layers: PositiveInt = option(1, "Number of recurrent layers")
    residual: bool = option(False, "Add the inputs of each layer but the first to its outputs")
    embedding_dim: PositiveInt | None = option(None, "Size of a token vector (default: as units)")
    dropout: Fraction = option(0.2, "Dropout on the inputs and outputs of layers")
    recurrent_dropout: Fraction = option(0.0, "Dropout on the recurrent state")
    weight_drop: Fraction = option(0.0, "Dropout on the recurrent weights (DropConnect)")
    zoneout: Fraction = option(0.0, "Probability that a unit keeps its previous state")
    embedding_dropout: Fraction = option(0.0, "Fraction of token types whose vector is zeroed, per batch")

    def __post_init__(self):
        super().__post_init__()
        check_cell_name(self.cell)

    def of_new_models(self) -> list[str]:
        """The flags that were given for the parts of a new model, which a trained model has already.

        Example:

        >>> from textrnn.options import ModelOptions
        >>> ModelOptions(cell="gru", units=32, dropout=0.1).of_new_models()
        ['--cell', '--units']
        """
        return self.given(self.new_model_parts)

    def given(self, names: Iterable[str]) -> list[str]:
        """The flags of those options, by their names, that differ from the defaults."""
        defaults = {each.name: each.default for each in fields(self)}
        return [f"--{name}" for name in names if getattr(self, name) != defaults[name]]

    def check(self):
        """Find the preset, or build a small layer with the cell and its regularization.

        This also registers a custom cell class, which a preset may need. A warning names options that the
        preset does not take.

        Raises:
            InputError: If the preset or the cell does not exist, or the cell does not support an option.
        """
        from textrnn.cells import find_cell
        from textrnn.presets import find_preset

        if self.from_preset:
            find_cell(self.cell)
            find_preset(self.from_preset, self.preset_task)
            if given := self.of_new_models():
                without_effect = f"{', '.join(given)} {'has' if len(given) == 1 else 'have'} no effect"
                warn(f"--from_preset {self.from_preset}: the model keeps its own parts, so {without_effect}")
            return
        self.check_rates(small_cell(self.cell, self.units))

    def check_rates(self, cell):
        """Refuse rates of dropout and zoneout that a cell, a layer of Keras, does not support."""
        import textrnn

        layer = textrnn.Recurrent(
            cell,
            recurrent_dropout=self.recurrent_dropout,
            weight_drop=self.weight_drop,
            zoneout=self.zoneout,
        )
        layer.build((None, None, 4))

    def backbone_arguments(self) -> dict[str, Any]:
        """The arguments that all backbones share."""
        return {
            "cell": self.cell,
            "units": self.units,
            "num_layers": self.layers,
            "embedding_dim": self.embedding_dim,
            "residual": self.residual,
            **self.regularization(),
        }

    def regularization(self) -> dict[str, float]:
        """The rates of dropout and zoneout, which may differ from those of a trained model."""
        names = ("dropout", "recurrent_dropout", "weight_drop", "zoneout", "embedding_dropout")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(OptionGroup):
    """Training: batches, epochs and the optimizer."""

    batch_size: PositiveInt = option(32, "Sequences per batch")
    epochs: PositiveInt = option(10, "Number of epochs")
    learning_rate: PositiveNumber = option(
        3e-3, "Peak learning rate, after a warm-up and before a cosine decay"
    )
    precision: Precision = option(
        "float32", "Precision of training; mixed is for hardware with half precision"
    )
    clipnorm: NonNegativeNumber = option(1.0, "Maximum global norm of the gradients; 0 for none")
    distribute: Literal["none", "mirrored", "multi_worker"] = option(
        "none", "Train on all GPUs of this machine (mirrored), or with the workers of TF_CONFIG"
    )
    seed: Seed = option(0, "Seed of splits, initial weights and dropout")
    checkpoint_minutes: PositiveNumber = option(5.0, "Minutes between checkpoints, to resume after a kill")
    fresh: bool = option(False, "Start over instead of resuming an unfinished run with this name")


@dataclass(frozen=True, kw_only=True)
class OutputOptions(OptionGroup):
    """Output: the folder of the model and its report."""

    name: ModelName = option("model", "Name of the model: its folder, and its name in TF Serving")
    output: Path = option(Path("saved_models"), "Folder of all models")
    export_dtype: Literal["float32", "float16"] = option(
        "float32", "Type of the exported weights; float16 halves their size"
    )
    tensorboard: Path | None = option(None, "Folder of events for TensorBoard")

    def __post_init__(self):
        super().__post_init__()
        expect(
            self.tensorboard is None or find_spec("tensorboard") is not None,
            "--tensorboard: TensorBoard is not installed: pip install 'textrnn[tensorboard]'",
        )

    @property
    def folder(self) -> Path:
        """The folder of the model, with its versions, preset and report."""
        return self.output / self.name
