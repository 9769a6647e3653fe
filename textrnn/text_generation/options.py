# mypy: disable-error-code="assignment"
"""Options of a language model: its text, the model, its training and its evaluation.

Unlike in `textrnn.options`, None stands for a default that depends on the text.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from textrnn.errors import expect, warn
from textrnn.options import (
    DataOptions,
    ModelOptions,
    OptionGroup,
    OutputOptions,
    TokenizerKind,
    TrainingOptions,
    option,
)
from textrnn.text_generation.defaults import defaults_for, small_text_warning
from textrnn.types import (
    Fraction,
    NonNegativeInt,
    NonNegativeNumber,
    PositiveInt,
    PositiveNumber,
    Probability,
    SplitFraction,
)


@dataclass(frozen=True, kw_only=True)
class TextOptions(DataOptions):
    """Data: running text, the arguments of `textrnn.data.sources.load_texts`."""

    data: dict[str, PositiveInt] | Path | None = option(
        None, "Your text: a file, or a folder; in a YAML file also several, each with how often to read it"
    )
    dataset: Literal["shakespeare", "wikitext-2", "ptb"] | None = option(None, "Public text instead")
    include: str | None = option(None, "Names of the files to read in a folder, such as '*.txt'")
    document: Literal["file", "line", "blank_line", "form_feed"] = option(
        "file", "A text is a file, a line (names), or a part between blank lines or form feeds"
    )
    held_out: SplitFraction = option(
        0.1, "Fraction for validation: the end of the text, or some documents of ten or more"
    )


@dataclass(frozen=True, kw_only=True)
class LanguageModelOptions(ModelOptions):
    """Model: a trained one, or the parts of a new one, and how it samples."""

    preset_task: ClassVar = "CausalLM"
    new_model_parts: ClassVar = (
        *(*ModelOptions.new_model_parts, "last_units", "output_projection", "ar", "tar"),
        *("recurrent_dropout", "weight_drop", "zoneout"),
        *("input_dropout", "output_dropout", "embedding_dropout"),
    )
    from_preset: Path | None = option(
        None,
        "Continue with a trained model, saved_models/NAME or a starter model (`textrnn models` lists them); "
        "keeps its tokenizer, cell and sizes",
    )
    tokenizer: TokenizerKind | None = option(None, "Kind of token (default: by the size of the text)")
    extend_vocabulary: NonNegativeInt = option(
        0, "Subwords of the text to add to the vocabulary of a trained model"
    )
    dropout: Fraction | None = option(
        None, "Dropout on the inputs and outputs of layers (default: 0.2, or 0.1 for --from_preset)"
    )
    ar: NonNegativeNumber = option(0.0, "Activation regularization; 2 in AWD-LSTM (alpha)")
    tar: NonNegativeNumber = option(0.0, "Temporal activation regularization; 1 in AWD-LSTM (beta)")
    last_units: PositiveInt | None = option(None, "Units of the last layer (default: as units)")
    output_projection: bool = option(
        True, "Linear layer after the last one; always if embedding_dim is not its size"
    )
    input_dropout: Fraction | None = option(None, "Dropout on the inputs (default: as dropout)")
    output_dropout: Fraction | None = option(None, "Dropout on the outputs (default: as dropout)")
    temperature: NonNegativeNumber | None = option(None, "Temperature (default: 0.8, or as saved)")
    top_k: NonNegativeInt | None = option(None, "Sample from the top k tokens (default: 0, all)")
    top_p: Probability | None = option(None, "Nucleus sampling probability (default: 1, all)")
    max_new_tokens: NonNegativeInt = option(100, "Maximum number of tokens in a sample")

    def __post_init__(self):
        super().__post_init__()
        expect(self.from_preset or not self.extend_vocabulary, "--extend_vocabulary: give --from_preset")
        expect(
            not self.residual or self.last_units in (None, self.units),
            f"--residual with --units {self.units} and --last_units {self.last_units}: inputs are added to "
            "outputs, so give layers of the same width",
        )

    def backbone_arguments(self) -> dict[str, Any]:
        """The arguments of `textrnn.RecurrentBackbone`."""
        return super().backbone_arguments() | {
            "units": [self.units] * (self.layers - 1) + [self.last_units or self.units],
            "project_outputs": self.output_projection,
            "activation_regularization": self.ar,
            "temporal_activation_regularization": self.tar,
            "input_dropout": self.input_dropout,
            "output_dropout": self.output_dropout,
        }

    def sampling(self) -> dict[str, float | None]:
        """The settings of `textrnn.RowSampler`, None for those that are not given."""
        return {name: getattr(self, name) for name in ("temperature", "top_k", "top_p")}


@dataclass(frozen=True, kw_only=True)
class LanguageModelTrainingOptions(TrainingOptions):
    """Training: those that are None depend on the size of the text; see `defaults`."""

    batch_size: PositiveInt | None = option(None, "Sequences per batch (default: by the size of the text)")
    epochs: PositiveInt | None = option(None, "Number of epochs (default: by the size of the text)")
    learning_rate: PositiveNumber | None = option(
        None, "Peak learning rate (default: 0.003, or by size for --from_preset)"
    )
    sequence_length: PositiveInt = option(64, "Steps of truncated backpropagation")
    variable_length: bool = option(False, "Draw the length of each window, as AWD-LSTM does")
    optimizer: Literal["adam", "sgd"] = option("adam", "Optimizer")
    schedule: Literal["cosine", "slanted_triangular", "constant"] = option(
        "cosine", "Learning rate: warm-up and cosine decay, that of ULMFiT, or constant"
    )
    layer_rate_factor: PositiveNumber = option(
        1.0, "By how much lower the rate of a layer is than that of the next one; 2.6 in ULMFiT"
    )
    unfreeze_epochs: NonNegativeInt = option(
        0, "Train the last layer first, and one more after so many epochs; 0 for all at once"
    )
    patience: PositiveInt | None = option(
        None, "Epochs to wait for a lower validation loss (default: 2 for --from_preset)"
    )
    compare_with_scratch: bool = option(False, "Also train a new model for as long as adapting took")
    sampled_softmax: NonNegativeInt | None = option(
        None, "Tokens of the vocabulary in the training loss; 0 for all (default: 4096 if it has over 20,000)"
    )
    weight_decay: NonNegativeNumber = option(0.0, "Weight decay, times the learning rate")
    average_steps: Literal["none", "ema", "nt_asgd"] = option(
        "none", "Average the weights of steps, always or when the loss stops improving"
    )
    restart_probability: Fraction = option(
        0.05, "Fraction of windows that begin a passage; 0 to read in order"
    )
    sample_prompt: str | None = option(None, "Prompt of samples (default: from the validation text)")


@dataclass(frozen=True, kw_only=True)
class AdaptiveEvaluationOptions(OptionGroup):
    """Output: scores of a model that adapts to the text while it is evaluated."""

    cache: NonNegativeInt = option(0, "Also evaluate with a neural cache of so many tokens")
    cached_generation: bool = option(False, "Generate with this cache, when served too")
    dynamic_evaluation: bool = option(False, "Also evaluate while learning from the text")

    def __post_init__(self):
        super().__post_init__()
        expect(self.cache or not self.cached_generation, "--cached_generation: give the --cache, such as 500")


@dataclass(frozen=True, kw_only=True)
class TextGenerationOptions(
    AdaptiveEvaluationOptions, OutputOptions, LanguageModelTrainingOptions, LanguageModelOptions, TextOptions
):
    """All options of training a language model."""

    def __post_init__(self):
        super().__post_init__()
        expect(
            self.from_preset or not self.compare_with_scratch, "--compare_with_scratch: give --from_preset"
        )

    def of_new_models(self) -> list[str]:
        """Empty with `compare_with_scratch`, whose new model has them; see `textrnn.options.ModelOptions`."""
        return [] if self.compare_with_scratch else super().of_new_models()

    def by_size(self, characters: int, documents: Iterable = ()) -> Self:
        """Return the options with defaults by the size of the training text, and print these.

        Of a text too small for a new or a trained model, a warning goes to stderr. It names the starter model
        of the language of `documents`, the training text.

        Example:

        >>> from textrnn.text_generation.options import TextGenerationOptions
        >>> options = TextGenerationOptions(epochs=3, tokenizer="byte").by_size(characters=30_000)
        for 30,000 characters: --batch_size 8, --learning_rate 0.003, --dropout 0.2
        """
        defaults = defaults_for(characters, continued=self.from_preset is not None)._asdict()
        chosen = {name: value for name, value in defaults.items() if value and getattr(self, name) is None}
        if chosen:
            listed = ", ".join(f"--{name} {value}" for name, value in chosen.items())
            print(f"for {characters:,} characters: {listed}")
        for warning in small_text_warning(characters, self.from_preset is not None, documents):
            warn(warning)
        return self.filled(chosen | ({"patience": 2} if self.from_preset else {}))
