# mypy: disable-error-code="assignment"
"""Options of a classifier: its texts, the model and its training.

Unlike in `textrnn.options`, None stands for a default that depends on the texts.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from textrnn.classification.defaults import defaults_for
from textrnn.errors import expect
from textrnn.options import DataOptions, ModelOptions, OptionGroup, OutputOptions, TrainingOptions, option
from textrnn.types import Fraction, HeldOutFraction, NonNegativeInt, PositiveInt, PositiveNumber


@dataclass(frozen=True, kw_only=True)
class LabelledTextOptions(DataOptions):
    """Data: labelled texts, the arguments of `textrnn.data.sources.load_labelled_texts`."""

    data: Path | None = option(
        None, "Your texts: a table, such as reviews.csv, or a folder with one per class"
    )
    dataset: Literal["sst2", "imdb"] | None = option(None, "Public texts instead of --data")
    held_out: HeldOutFraction | None = option(
        None,
        "Fraction for validation, and for the test if there is none (default: 0.1; of 100 to 300 texts, 30)",
    )
    test_data: Path | None = option(None, "Texts of the test set, as --data (default: from --data)")
    text_column: str = option("text", "Column with the texts: its name, or its number from 1")
    label_column: str = option("label", "Column with the labels")
    no_header: bool = option(False, "The first row of the table has no names of columns")
    document: Literal["file", "line", "blank_line"] = option(
        "file", "A text of a folder is a file, a line, or a part between blank lines"
    )
    include: str | None = option(None, "Names of the files to read in a folder, such as '*.txt'")


KEPT = ("max_tokens", "dropout", "embedding_dropout")
"""Options whose defaults, where a classifier is trained further, are what it has."""


@dataclass(frozen=True, kw_only=True)
class ClassifierOptions(ModelOptions):
    """Model: what a classifier starts from, or the parts of a new one."""

    new_model_parts: ClassVar = (*ModelOptions.new_model_parts, "lowercase", "pooling")
    from_preset: Path | None = option(
        None,
        "Start from a trained classifier or language model, whose tokenizer, cell and sizes are kept "
        "(default: a starter model if there are few texts)",
    )
    from_scratch: bool = option(False, "Start from random weights, not from a starter model")
    lowercase: bool = option(True, "Ignore case")
    max_tokens: PositiveInt | None = option(
        None, "Maximum number of tokens of a text; the rest is cut (default: 512, or as saved)"
    )
    units: PositiveInt = option(64, "Units of each direction of a recurrent layer")
    embedding_dim: PositiveInt = option(64, "Size of a token vector")
    pooling: Literal["max", "mean", "last", "attention", "concat"] = option("max", "Pooling over the steps")
    ngrams: NonNegativeInt = option(2, "Longest word n-grams of the linear part; 0 for no linear part")
    ngram_buckets: PositiveInt = option(2**18, "Maximum number of n-grams with a weight")
    dropout: Fraction | None = option(
        None,
        "Dropout of layers' inputs and pooled features (default: 0.5, or 0.1 from a language model)",
    )
    embedding_dropout: Fraction | None = option(
        None,
        "Fraction of token types zeroed, per batch (default: 0.2, or 0 from a language model)",
    )

    def __post_init__(self):
        super().__post_init__()
        expect(
            not (self.from_preset and self.from_scratch), "--from_preset, --from_scratch: give one of them"
        )

    def of_new_models(self) -> list[str]:
        """With the rates of dropout, which a trained classifier keeps; see `ModelOptions.of_new_models`."""
        from textrnn.classification.start import starts_from_classifier

        keeps_rates = self.from_preset and starts_from_classifier(self.from_preset)
        return super().of_new_models() + (self.given(self.regularization()) if keeps_rates else [])

    def check(self):
        """Check the preset, also that a classifier can start from it; see `ModelOptions.check`."""
        from textrnn.classification.start import cell_of, starts_from_classifier

        super().check()
        if self.from_preset and not starts_from_classifier(self.from_preset):
            self.check_rates(cell_of(self.from_preset))

    def classifier_arguments(self) -> dict[str, Any]:
        """The arguments of `textrnn.classification.new_classifier.new_classifier`."""
        names = ("tokenizer", "vocabulary_size", "lowercase", "max_tokens", "pooling")
        return {name: getattr(self, name) for name in names} | self.backbone_arguments()


@dataclass(frozen=True, kw_only=True)
class ClassifierTrainingOptions(TrainingOptions):
    """Training: those that are None depend on the number of texts; see `textrnn.classification.defaults`."""

    class_weights: Literal["balanced", "none"] = option("none", "Weights of the classes")
    label_smoothing: Fraction = option(0.0, "Probability spread over all classes")
    batch_size: PositiveInt | None = option(None, "Texts per batch (default: by the number of texts)")
    epochs: PositiveInt | None = option(None, "Maximum number of epochs (default: by the number of texts)")
    patience: PositiveInt | None = option(
        None, "Epochs to wait for a lower validation loss (default: by the number of texts)"
    )
    learning_rate: PositiveNumber | None = option(
        None, "Peak learning rate (default: 0.002, or 0.004 from a language model)"
    )
    layer_rate_factor: PositiveNumber | None = option(
        None,
        "By how much a layer's rate is below the next one's (default: 1, or 2.6 from a language model)",
    )
    unfreeze_epochs: NonNegativeInt | None = option(
        None,
        "Train the last layer first, one more after so many epochs (default: 0, or 1 from a language model)",
    )

    def __post_init__(self):
        super().__post_init__()
        factor = self.layer_rate_factor
        expect(
            factor is None or factor >= 1, f"--layer_rate_factor {factor}: expected a number of at least 1"
        )

    def sample_weight(self, targets):
        """Return the weights of texts of these classes, float32 `(texts,)`, or None for equal ones."""
        from sklearn.utils.class_weight import compute_sample_weight

        if self.class_weights == "none":
            return None
        return compute_sample_weight(self.class_weights, targets).astype("float32")


@dataclass(frozen=True, kw_only=True)
class AdaptationOptions(OptionGroup):
    """Training: of the language model that a classifier starts from, on the texts of the task."""

    unlabelled: Path | None = option(
        None, "More texts without labels, for the language model: lines, a table or a folder", "Data"
    )
    adapt_epochs: NonNegativeInt | None = option(
        None,
        "Epochs of adapting the language model to the texts first (default: by the number of texts)",
    )


@dataclass(frozen=True, kw_only=True)
class ClassificationOptions(
    OutputOptions, AdaptationOptions, ClassifierTrainingOptions, ClassifierOptions, LabelledTextOptions
):
    """All options of training a classifier."""

    def start_arguments(self) -> dict[str, Any]:
        """The arguments of `textrnn.classification.start.find_start`."""
        return {
            "preset": self.from_preset,
            "from_scratch": self.from_scratch,
            # A classifier has n-grams and its rates of dropout, and reads no texts without labels.
            "classifiers": self.ngrams > 0
            and not self.unlabelled
            and self.adapt_epochs is None
            and not self.given(self.regularization()),
            "parts": self.of_new_models(),
        }

    def starting_from(self, preset, is_language_model: bool, texts: int) -> Self:
        """Return the options with what depends on the texts; see `textrnn.classification.defaults`.

        Args:
            preset: What the classifier starts from; None for random weights.
            is_language_model: Whether that is a language model.
            texts: Number of training texts.

        Raises:
            InputError: If there are texts or epochs for a language model, but no language model.

        Example:

        >>> from textrnn.classification.options import ClassificationOptions
        >>> options = ClassificationOptions(epochs=3).starting_from("english", True, texts=500)
        >>> options.from_preset, options.epochs, options.patience
        ('english', 3, 5)
        """
        expect(
            is_language_model or not self.unlabelled,
            "--unlabelled: texts without labels are for a language model: give one with --from_preset",
        )
        expect(
            is_language_model or not self.adapt_epochs,
            f"--adapt_epochs {self.adapt_epochs}: there is no language model to adapt: give one with "
            "--from_preset, or leave it out",
        )
        defaults: dict[str, Any] = {"from_preset": preset, "max_tokens": 512}
        defaults |= defaults_for(texts, is_language_model)._asdict()
        if preset is not None and not is_language_model:  # a classifier keeps its own
            defaults = {name: x for name, x in defaults.items() if name not in KEPT}
        return self.filled(defaults)
