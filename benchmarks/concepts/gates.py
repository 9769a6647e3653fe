"""Watch the gates of a trained LSTM on sentences, and measure what each gate is for.

    python benchmarks/concepts/gates.py --output docs/concepts
    python benchmarks/concepts/gates.py --output docs/concepts --draw

The model is the starter model `english`, an LSTM of 1,024 units that reads subwords. It never saw the starter
reviews of sentiment analysis, which it reads here.

- Sentence ends: how well the value of one unit of a gate separates `.`, `!` and `?` from all other tokens, as
  the area under the ROC curve (AUC). The best unit of each gate is chosen on training reviews and measured on
  test reviews. The AUC by chance is that of the best unit for labels in a random order.
- Fixed gates: bits per character of the test reviews when a gate has, in every unit, its mean over the
  training reviews.
- The picture shows the first test review of at least three sentences and at most `--longest` tokens.
"""

import dataclasses
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import harness

GATES = ("forget", "input", "output")
ENDS = (".", "!", "?")
BATCH = 64
SHOWN = 12


@dataclasses.dataclass(frozen=True)
class Reading:
    """What an LSTM does with some texts.

    Attributes:
        gates: `{gate: (tokens, units)}` of all tokens of all texts in their order.
        states: The states h and c after the last token of each text, `(texts, units)` each.
        nats: The loss of each next token, `(tokens,)`.
    """

    gates: dict
    states: list
    nats: np.ndarray


def read(lm, texts, fixed=(), where=None, keep=True):
    """Run the LSTM of a language model, gate by gate.

    Args:
        lm: A `textrnn.CausalLM` with one layer of `lstm`.
        texts: Token ids, a list of int arrays, each with the end token first and last.
        fixed: `{gate: (units,)}`, values that replace those of a gate.
        where: Where to replace them, bools `(tokens,)` in the order of all tokens; None for everywhere.
        keep: Whether to keep the values of the gates.

    Returns:
        A `Reading`. The last token of a text is predicted and not read.
    """
    import tensorflow as tf
    from keras import ops

    from textrnn.tasks.embedding import embed

    cell, fixed = lm.backbone.stack.cells[0], dict(fixed)
    kernels, roles = cell.recurrent_kernels, cell.spec.learned
    bounds = np.cumsum([0] + [len(text) - 1 for text in texts])
    gates = {gate: np.zeros((bounds[-1], cell.units), np.float32) for gate in GATES if keep}
    nats, last = np.zeros(bounds[-1]), [np.zeros((len(texts), cell.units), np.float32) for _ in "hc"]
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    for begin in range(0, len(texts), BATCH):
        rows = order[begin : begin + BATCH]
        lengths = np.array([len(texts[i]) - 1 for i in rows])
        tokens = np.zeros((len(rows), lengths.max() + 1), np.int32)
        for row, i in enumerate(rows):
            tokens[row, : len(texts[i])] = texts[i]
        projected = dict(
            zip(roles, cell.project_inputs(embed(lm.backbone.token_embedding, tokens[:, :-1])), strict=True)
        )
        h, c = cell.get_initial_state(len(rows))
        hidden = []
        for step in range(lengths.max()):
            valid = step < lengths
            at = np.where(valid, bounds[rows] + step, 0)
            sums = {role: projected[role][:, step] + ops.matmul(h, kernels[role]) for role in roles}
            values = {gate: ops.sigmoid(sums[gate]) for gate in GATES}
            for gate, mean in fixed.items():
                chosen = np.ones(len(rows), bool) if where is None else where[at]
                values[gate] = ops.where(chosen[:, None], mean, values[gate])
            c = values["forget"] * c + values["input"] * ops.tanh(sums["candidate"])
            h = values["output"] * ops.tanh(c)
            hidden.append(h)
            for gate, kept in gates.items():
                kept[at[valid]] = values[gate].numpy()[valid]
            for kept, state in zip(last, (h, c), strict=True):
                ending = np.flatnonzero(lengths == step + 1)
                kept[np.array(rows)[ending]] = state.numpy()[ending]
        logits = lm.project(lm.backbone.output_projection(ops.stack(hidden, axis=1)))
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, 1:], logits).numpy()
        for row, i in enumerate(rows):
            nats[bounds[i] : bounds[i + 1]] = losses[row, : lengths[row]]
    return Reading(gates, last, nats)


def auc(values, labels):
    """The area under the ROC curve of each column: how often a labelled value is the higher one of a pair.

    Args:
        values: `(tokens, units)`, without ties.
        labels: Bools, `(tokens,)`.
    """
    order = np.argsort(values, axis=0)
    ranks = np.empty(values.shape)
    np.put_along_axis(ranks, order, np.arange(1.0, len(values) + 1)[:, None], axis=0)
    positive = labels.sum()
    lowest = positive * (positive + 1) / 2
    return (ranks[labels].sum(axis=0) - lowest) / (positive * (len(values) - positive))


def separation(values, labels):
    """How far each AUC is from chance, in either direction: 0.5 to 1."""
    return 0.5 + np.abs(auc(values, labels) - 0.5)


def coupling(reading):
    """The correlation of the input gate with one minus the forget gate over tokens, for each unit."""
    both = [reading.gates["input"], 1 - reading.gates["forget"]]
    both = [(part - part.mean(axis=0)) / part.std(axis=0) for part in both]
    return (both[0] * both[1]).mean(axis=0)


# === The study ===


def encode(lm, texts):
    """Token ids of texts, each with the end token first and last."""
    tokenizer = lm.preprocessor.tokenizer
    end = np.array([tokenizer.end_token_id], np.int32)
    return [np.concatenate([end, ids, end]) for ids in map(np.asarray, tokenizer.tokenize(texts))]


def is_end(lm, texts):
    """Whether each token that is read ends a sentence."""
    tokenizer = lm.preprocessor.tokenizer
    ends = np.array([tokenizer.token_to_id(token) for token in ENDS])
    return np.isin(np.concatenate([ids[:-1] for ids in texts]), ends)


def quantiles(values):
    return [float(value) for value in np.quantile(values, (0.05, 0.5, 0.95))]


def measure(given):
    """All numbers."""
    from textrnn.data.starter import starter_reviews
    from textrnn.presets import load_preset

    lm = load_preset("english")
    train, test = ([example.text for example in part[: given.texts]] for part in starter_reviews())
    chosen_on, measured_on = encode(lm, train), encode(lm, test)
    ends = [is_end(lm, part) for part in (chosen_on, measured_on)]
    random = np.random.default_rng(given.seed)
    seen, other = read(lm, chosen_on), read(lm, measured_on)
    harness.log(f"{len(ends[0])} and {len(ends[1])} tokens, {ends[0].sum()} and {ends[1].sum()} ends")
    results = {"tokens": [len(part) for part in ends], "ends": [int(part.sum()) for part in ends]}
    results["separation"], best = {}, {}
    for gate in GATES:
        found = separation(seen.gates[gate], ends[0])
        best[gate] = np.argsort(-found)[:SHOWN]
        unit, values = int(best[gate][0]), other.gates[gate]
        results["separation"][gate] = {
            "unit": unit,
            "chosen": float(found[unit]),
            "test": float(separation(values, ends[1])[unit]),
            "chance": float(separation(seen.gates[gate], random.permutation(ends[0])).max()),
            "above 0.9": float((separation(values, ends[1]) > 0.9).mean()),
            "mean at ends": float(values[ends[1]].mean()),
            "mean elsewhere": float(values[~ends[1]].mean()),
            "units lower at ends": float((auc(values, ends[1]) < 0.5).mean()),
        }
    forget = seen.gates["forget"].mean(axis=0)
    results["mean forget gate"] = quantiles(forget)
    results["correlation of input and 1 − forget"] = quantiles(coupling(other))
    characters = sum(map(len, test))
    means = {gate: seen.gates[gate].mean(axis=0) for gate in GATES}
    anywhere = random.permutation(ends[1])
    cases = {
        "as trained": ({}, None),
        **{f"{gate} gate fixed": ({gate: means[gate]}, None) for gate in GATES},
        "all three fixed": (means, None),
        "forget gate fixed after sentence ends": ({"forget": means["forget"]}, ends[1]),
        "forget gate fixed after as many random tokens": ({"forget": means["forget"]}, anywhere),
    }
    results["bits"] = {}
    for name, (fixed, where) in cases.items():
        nats = read(lm, measured_on, fixed, where, keep=False).nats if fixed else other.nats
        results["bits"][name] = float(nats.sum() / np.log(2) / characters)
        harness.log(f"{name}: {results['bits'][name]:.3f}")
    results["example"] = example(lm, other, measured_on, best["forget"], given, random)
    return results


def example(lm, reading, texts, best, given, random):
    """The forget gates of a review: of the units that separate best, and of random ones."""
    begin = 0
    for ids in texts:
        if is_end(lm, [ids]).sum() >= 3 and len(ids) <= given.longest:
            break
        begin += len(ids) - 1
    else:
        raise SystemExit("no test review has three sentences: give more --texts, or a larger --longest")
    place = slice(begin, begin + len(ids) - 1)
    tokenizer = lm.preprocessor.tokenizer
    rows = [*map(int, best), *map(int, random.choice(reading.gates["forget"].shape[1], SHOWN, replace=False))]
    return {
        "tokens": [tokenizer.id_to_token(int(token)) for token in ids[:-1]],
        "units": rows,
        "forget": [[round(float(v), 2) for v in reading.gates["forget"][place, row]] for row in rows],
        "means": {
            gate: [round(float(v), 3) for v in reading.gates[gate][place].mean(axis=1)] for gate in GATES
        },
    }


# === Report ===


def table(results):
    """The tables in Markdown."""
    titles = ["gate", "unit", "AUC, chosen on", "AUC, test", "AUC by chance", "units above 0.9",
              "mean at ends", "elsewhere", "units lower at ends"]  # fmt: skip
    lines = [f"| {' | '.join(titles)} |", "|---|" + "---:|" * 8]
    for gate, found in results["separation"].items():
        figures = [f"{found[key]:.3f}" for key in ("chosen", "test", "chance")]
        figures += [f"{found['above 0.9']:.0%}"]
        figures += [f"{found[key]:.3f}" for key in ("mean at ends", "mean elsewhere")]
        figures += [f"{found['units lower at ends']:.0%}"]
        lines.append(f"| {gate} | {found['unit']} | {' | '.join(figures)} |")
    lines += ["", "| | bits per character |", "|---|---:|"]
    lines += [f"| {name} | {bits:.3f} |" for name, bits in results["bits"].items()]
    lines += ["", "| quantile of the units | 5 % | 50 % | 95 % |", "|---|---:|---:|---:|"]
    for name in ("mean forget gate", "correlation of input and 1 − forget"):
        lines.append(f"| {name} | {' | '.join(f'{value:.3f}' for value in results[name])} |")
    lines += ["", f"tokens {results['tokens']}, sentence ends {results['ends']}"]
    return "\n".join(lines)


def draw(results, path):
    """Draw the forget gates over a review, and the means of all gates."""
    from textrnn.reporting.figures import make_figure, save_figure

    shown = results["example"]
    tokens = [token.replace("▁", " ").strip(" ") or "␣" for token in shown["tokens"]]
    tokens[0] = "start"
    figure = make_figure(8.8, 4.9)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[2.2, 1])
    values = np.array(shown["forget"])
    image = top.imshow(values, aspect="auto", cmap="cividis", vmin=0, vmax=1, interpolation="nearest")
    top.axhline(SHOWN - 0.5, color="white", linewidth=2)
    top.set_yticks(
        [(SHOWN - 1) / 2, SHOWN + (SHOWN - 1) / 2],
        [f"{SHOWN} units chosen\nby sentence ends", f"{SHOWN} units drawn\nat random"],
    )
    top.tick_params(axis="both", length=0)
    top.tick_params(axis="x", labelbottom=False)
    bar = figure.colorbar(image, ax=top, pad=0.01)
    bar.set_label("forget gate\n(1 keeps, 0 clears)")
    colors = {"forget": "#0072B2", "input": "#D55E00", "output": "#009E73"}
    for gate, means in shown["means"].items():
        bottom.plot(means, color=colors[gate], marker="o", markersize=3, label=gate)
    bottom.set_ylabel("mean of all units")
    bottom.set_ylim(0, 1)
    bottom.legend(frameon=False, fontsize=8, ncols=3, loc="upper right")
    harness.style(bottom)
    bottom.set_xticks(range(len(tokens)), tokens, rotation=90, fontsize=8)
    for place, token in enumerate(tokens):
        if token in ENDS:
            for axis in (top, bottom):
                axis.axvline(place, color="#E69F00", linewidth=1, linestyle=":")
    save_figure(figure, path)


def main(arguments=None):
    options = {
        "texts": (100, "reviews of each part"),
        "longest": (60, "most tokens of the review in the picture"),
        "seed": (0, "seed of the random units and labels"),
    }
    harness.run_study(__file__, __doc__, options, measure, table, draw, {"texts": 32}, arguments)


if __name__ == "__main__":
    main()
