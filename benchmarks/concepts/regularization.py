"""Measure what each kind of regularization does to a language model of a small text.

    python benchmarks/concepts/regularization.py --output docs/concepts
    python benchmarks/concepts/regularization.py --output docs/concepts --draw

The text is the beginning of the starter text, in subword tokens, and the validation text follows it. An LSTM
with many more weights than the text has tokens learns it with Adam at a constant rate. After each epoch both
texts are scored in the same way, without noise and without penalties. `KINDS` has the rates, which are usual
ones and not searched for.

The lowest validation loss is where early stopping would stop. The last one, relative to it, is the price of
not stopping.
"""

import io
import itertools
import math
import statistics
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness

AWD = {
    "dropout": 0.4, "weight_drop": 0.4, "embedding_dropout": 0.1,
    "activation_regularization": 2.0, "temporal_activation_regularization": 1.0,
}  # fmt: skip
KINDS = {
    "none": {},
    "dropout 0.4": {"dropout": 0.4},
    "recurrent dropout 0.4": {"recurrent_dropout": 0.4},
    "weight drop 0.5": {"weight_drop": 0.5},
    "zoneout 0.2": {"zoneout": 0.2},
    "embedding dropout 0.2": {"embedding_dropout": 0.2},
    "AR 2, TAR 1": {"activation_regularization": 2.0, "temporal_activation_regularization": 1.0},
    "weight decay 0.1": {"weight_decay": 0.1},
    "averaged weights": {"average": 0.99},
    "five of these together": AWD,
}
"""Arguments of `RecurrentBackbone`; `weight_decay` of `AdamW`, and the `decay` of `AverageSteps`."""
ROWS, STEPS = 16, 32
"""Of a training window."""
SCORED = (16, 128)
"""Rows and steps of the windows that are scored. Both texts need so many tokens."""


def load_streams(given):
    """The tokens of the training and of the validation text, and the size of the vocabulary."""
    from textrnn.data.sources import load_texts
    from textrnn.data.token_streams import token_stream
    from textrnn.tokenizers import train_tokenizer

    text = "\n".join(document.text for document in load_texts().train)
    ends = (0, given.characters, given.characters * 3 // 2)
    parts = [text[start:end] for start, end in itertools.pairwise(ends)]
    tokenizer = train_tokenizer("sentencepiece", parts[:1], given.vocabulary)
    streams = [token_stream(tokenizer, [part]) for part in parts]
    if len(streams[1]) <= math.prod(SCORED):
        raise SystemExit(f"the validation text has {len(streams[1])} tokens: give more --characters")
    return streams, tokenizer.vocabulary_size()


class Learner:
    """A language model with a kind of regularization, with one graph for all seeds.

    Args:
        kind: A key of `KINDS`.
        vocabulary_size: The number of tokens of the vocabulary.
        given: The options.
    """

    def __init__(self, kind, vocabulary_size, given):
        import keras

        from textrnn.text_generation.evaluation import LanguageModelEvaluator

        self.arguments = dict(KINDS[kind])
        decay = self.arguments.pop("weight_decay", None)
        self.average = self.arguments.pop("average", None)
        self.vocabulary_size, self.given = vocabulary_size, given
        self.lm = self._new_model()
        self.lm.compile(keras.optimizers.AdamW(given.rate, weight_decay=decay or 0.0, global_clipnorm=1.0))
        self.lm.optimizer.build(self.lm.trainable_variables)
        self.beginning = [variable.numpy() for variable in self.lm.optimizer.variables]
        self.evaluator = LanguageModelEvaluator(self.lm)

    def _new_model(self):
        import textrnn

        backbone = textrnn.RecurrentBackbone(
            self.vocabulary_size, "lstm", self.given.units, embedding_dim=self.given.units // 2,
            **self.arguments,
        )  # fmt: skip
        return textrnn.CausalLM(backbone)

    def train(self, streams, seed):
        """Train new weights, and return the losses of both texts after each epoch, in nats per token."""
        import keras

        from textrnn import training
        from textrnn.data.windows import evaluation_windows, windows

        keras.utils.set_random_seed(seed)
        fresh = self._new_model().trainable_variables
        for variable, new in zip(self.lm.trainable_variables, fresh, strict=True):
            variable.assign(new)
        for variable, value in zip(self.lm.optimizer.variables, self.beginning, strict=True):
            variable.assign(value)
        scored = {
            name: evaluation_windows(stream, *SCORED)
            for name, stream in zip(("train", "validation"), streams, strict=True)
        }
        losses = {name: [] for name in scored}
        self.evaluator.prepare(scored["train"])

        def evaluate():
            for name, batches in scored.items():
                score = self.evaluator(batches, characters=1)
                losses[name].append(round(math.log(score.perplexity), 4))
            return {"val_loss": losses["validation"][-1]}

        training.fit(
            self.lm,
            windows(streams[0], ROWS, STEPS, seed=seed),
            epochs=self.given.epochs,
            callbacks=[training.Evaluate(evaluate)],
            average=training.AverageSteps(decay=self.average) if self.average else None,
            progress=training.ProgressBar(file=io.StringIO()),
        )
        return losses


def measure(given):
    """All numbers."""
    import keras

    streams, vocabulary_size = load_streams(given)
    results = {"tokens": [len(stream) for stream in streams], "curves": {}}
    for kind in KINDS:
        learner = Learner(kind, vocabulary_size, given)
        results["weights"] = learner.lm.count_params()
        results["curves"][kind] = [learner.train(streams, seed) for seed in given.seeds]
        harness.log(f"{kind}: {[min(run['validation']) for run in results['curves'][kind]]}")
        keras.backend.clear_session()
    return results


# === Report ===


def summary(runs):
    """The figures of a kind, `{name: [one for each seed]}`.

    Lowest and last validation loss, the epoch of the lowest, and the training loss at that epoch.
    """
    best = [int(np.argmin(run["validation"])) for run in runs]
    return {
        "lowest": [run["validation"][epoch] for run, epoch in zip(runs, best, strict=True)],
        "epoch": [epoch + 1 for epoch in best],
        "train": [run["train"][epoch] for run, epoch in zip(runs, best, strict=True)],
        "last": [run["validation"][-1] for run in runs],
    }


def spread(values, form="{:.2f}"):
    """The median with the range."""
    low, high = form.format(min(values)), form.format(max(values))
    return form.format(statistics.median(values)) + (f" ({low}–{high})" if low != high else "")


def table(results):
    """The table in Markdown."""
    lines = [
        "| | lowest validation loss | at epoch | training loss there | last validation loss |",
        "|---|---:|---:|---:|---:|",
    ]
    for kind, runs in results["curves"].items():
        figures = summary(runs)
        cells = [
            spread(figures["lowest"]), spread(figures["epoch"], "{:.0f}"), spread(figures["train"]),
            spread(figures["last"]),
        ]  # fmt: skip
        lines.append(f"| {kind} | {' | '.join(cells)} |")
    return "\n".join(lines)


def draw(results, path):
    """Draw the curves of each kind in a panel of its own, with those of no regularization behind."""
    from textrnn.reporting.figures import make_figure, save_figure

    curves = results["curves"]
    columns = 5
    figure = make_figure(11, 5)
    panels = figure.subplots(
        math.ceil(len(curves) / columns), columns, sharex=True, sharey=True, squeeze=False
    )

    def median(runs, part):
        return np.median([run[part] for run in runs], axis=0)

    for panel, (kind, runs) in zip(panels.flat, curves.items(), strict=False):
        epochs = np.arange(1, len(runs[0]["train"]) + 1)
        for part, color in (("train", "#0072B2"), ("validation", "#D55E00")):
            values = [run[part] for run in runs]
            if kind != "none":
                panel.plot(epochs, median(curves["none"], part), color=color, linestyle=":", linewidth=1)
            panel.plot(epochs, np.median(values, axis=0), color=color)
            panel.fill_between(
                epochs, np.min(values, axis=0), np.max(values, axis=0), color=color, alpha=0.2, linewidth=0
            )
        panel.set_title(kind, fontsize=9)
        harness.style(panel)
    for row in panels:
        row[0].set_ylabel("loss (nats per token)")
    for panel in panels[-1]:
        panel.set_xlabel("epoch")
    lines = [*panels[0, 1].lines[1::2], *panels[0, 1].lines[:1]]
    figure.legend(
        [lines[0], lines[1], lines[2]], ["training text", "validation text", "without regularization"],
        loc="outside lower center", ncols=3, frameon=False,
    )  # fmt: skip
    save_figure(figure, path)


def main(arguments=None):
    options = {
        "characters": (30_000, "characters of the training text; the validation text has half as many"),
        "vocabulary": (500, "tokens of the vocabulary"),
        "units": (128, "units of the LSTM"),
        "epochs": (20, "epochs"),
        "rate": (0.005, "learning rate"),
        "seeds": ([0, 1, 2], "seeds"),
    }
    quick = {"characters": 14000, "vocabulary": 350, "units": 4, "epochs": 1, "seeds": [0]}
    harness.run_study(__file__, __doc__, options, measure, table, draw, quick, arguments)


if __name__ == "__main__":
    main()
