"""Options of a translator: its pairs of texts, the model and its training."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from textrnn.errors import InputError, expect
from textrnn.options import DataOptions, ModelOptions, OutputOptions, TrainingOptions, option, small_cell
from textrnn.types import (
    Beams,
    Fraction,
    HeldOutFraction,
    LengthPenalty,
    NonNegativeInt,
    NonNegativeNumber,
    PositiveInt,
    PositiveNumber,
)

Dataset = Literal["multi30k-en-de", "multi30k-en-fr", "tatoeba-en-fr", "tatoeba-en-es"]
Score = Literal["scaled_general", "general", "scaled_dot", "dot", "additive"]


@dataclass(frozen=True, kw_only=True)
class PairOptions(DataOptions):
    """Data: texts with their translations, the arguments of `textrnn.data.sources.load_pairs`."""

    data: Path | None = option(
        None, "Your pairs: a file with a source, a tab and a target per line, another table, or TMX"
    )
    source: Path | None = option(None, "File with one source per line, instead of --data")
    target: Path | None = option(None, "File with the translation of each line of --source")
    source_column: str | None = option(
        None, "Column with the sources: its name, or its number from 1 (default: source, or the first)"
    )
    target_column: str | None = option(None, "Column with the targets (default: target, or the second)")
    no_header: bool = option(False, "The first row of the table has no names of columns")
    dataset: Dataset | None = option(None, "Public pairs instead of --data")
    reverse: bool = option(False, "Swap source and target")
    held_out: HeldOutFraction = option(0.05, "Fraction for validation, and for the test; at most 2,000 pairs")

    def __post_init__(self):
        super().__post_init__()
        given = [f"--{name}" for name in ("data", "source", "dataset") if getattr(self, name)]
        expect(len(given) <= 1, f"{' and '.join(given)}: give one of them")
        expect(bool(self.source) == bool(self.target), "--source and --target: give both, or --data")


@dataclass(frozen=True, kw_only=True)
class TranslatorOptions(ModelOptions):
    """Model: what a translator starts from, or the parts of a new one, and its search."""

    preset_task: ClassVar = "Seq2SeqLM"
    new_model_parts: ClassVar = (
        *(*ModelOptions.new_model_parts, "shared_vocabulary", "decoder_cell", "decoder_units"),
        *("attention", "input_feeding", "dropout", "recurrent_dropout", "weight_drop", "zoneout"),
        "embedding_dropout",
    )
    encoder_from: Path | None = option(None, "Start the encoder from this language model")
    decoder_from: Path | None = option(None, "Start the decoder from this language model")
    shared_vocabulary: bool = option(True, "One vocabulary for both languages")
    max_tokens: PositiveInt | None = option(
        None, "Maximum number of tokens of a source or a target (default: 100, or as saved)"
    )
    split_sentences: bool | None = option(
        None, "Translate sentence by sentence (default: if most sources are single sentences)"
    )
    units: PositiveInt = option(128, "Units of each direction of an encoder layer")
    layers: PositiveInt = option(1, "Number of recurrent layers of the encoder, and of the decoder")
    embedding_dim: PositiveInt | None = option(None, "Size of a token vector (default: as decoder_units)")
    decoder_cell: str | None = option(None, "Recurrent cell of the decoder (default: as cell)")
    decoder_units: PositiveInt | None = option(None, "Units of a decoder layer (default: as units)")
    attention: Score = option("scaled_general", "Attention score")
    input_feeding: bool = option(False, "Feed the attention output into the next step; slower")
    num_beams: Beams | None = option(None, "Number of beams; 1 is greedy (default: 5, or as saved)")
    length_penalty: LengthPenalty | None = option(
        None, "Length penalty; higher favours longer translations (default: 1, or as saved)"
    )
    coverage_penalty: NonNegativeNumber | None = option(
        None, "Penalty for source tokens without attention (default: 0, or as saved)"
    )
    shortlist: NonNegativeInt | None = option(
        None, "Candidate translations of each source token; 0 for all tokens (default: all, or as saved)"
    )

    def __post_init__(self):
        super().__post_init__()
        expect(
            not (self.from_preset and (self.encoder_from or self.decoder_from)),
            "--from_preset is a translator: leave out --encoder_from and --decoder_from",
        )

    def check(self):
        """Check the presets, or the cells of the encoder and of the decoder; see `ModelOptions.check`."""
        from textrnn.presets import find_preset
        from textrnn.translation.attention_decoder import AttentionDecoder

        super().check()
        for name in ("encoder_from", "decoder_from"):
            if preset := getattr(self, name):
                try:
                    find_preset(preset, "CausalLM")
                except InputError as error:
                    raise InputError(f"--{name}: {error}") from None
        if not self.from_preset:
            AttentionDecoder(
                [small_cell(self.decoder_cell or self.cell, self.decoder_units or self.units)], 4,
                self.attention, self.input_feeding,
                recurrent_dropout=self.recurrent_dropout, weight_drop=self.weight_drop, zoneout=self.zoneout,
            )  # fmt: skip

    def backbone_arguments(self) -> dict[str, Any]:
        """The arguments of `textrnn.RecurrentSeq2Seq`."""
        names = ("decoder_cell", "decoder_units", "attention", "input_feeding")
        return super().backbone_arguments() | {name: getattr(self, name) for name in names}

    def search(self) -> dict[str, float | None]:
        """The settings of `textrnn.BeamSearchSampler`, None for those that are not given."""
        names = ("num_beams", "length_penalty", "coverage_penalty")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, kw_only=True)
class TranslatorTrainingOptions(TrainingOptions):
    """Training: of a translator."""

    batch_size: PositiveInt = 64
    epochs: PositiveInt = option(12, "Maximum number of epochs")
    learning_rate: PositiveNumber = 4e-3
    label_smoothing: Fraction = option(0.1, "Probability spread over all tokens")
    patience: PositiveInt = option(4, "Epochs to wait for a lower validation loss")
    average: PositiveInt = option(5, "Average the weights of this many epochs; 1 for none")
    average_of: Literal["last", "best"] = option("last", "Epochs to average")


@dataclass(frozen=True, kw_only=True)
class TranslationOptions(OutputOptions, TranslatorTrainingOptions, TranslatorOptions, PairOptions):
    """All options of training a translator."""
