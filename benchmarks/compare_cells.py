"""Which cell should I use? All named cells, with as many weights and on the same data: a table and a picture.

    make compare
    python benchmarks/compare_cells.py --cells lstm gru min_gru --seeds 0 1 2 --jobs 4
    python benchmarks/compare_cells.py --data my_texts/ --tasks text speed

Every model is a map of the input to `--width` features, one recurrent layer, and a linear map of its output.
A cell gets the largest number of units, a multiple of 4, with which the recurrent layer and the map from its
output back to `--width` have no more weights than `--budget`: cells that need few weights a unit are wider,
and pay for what reads them. The units are the same in all tasks.

- text: a language model of characters, `textrnn.CausalLM` with tied embeddings, trained by truncated
  backpropagation through time. Bits per character of the last tenth of the text, which training never sees.
  Without memory: the same text scored by how often a character follows another in the rest of it.
- copy: ten symbols, to be recalled after `--copy_blanks` steps (`benchmarks.synthetic.copy_problem`). The
  share of the symbols recalled, of new examples. Without memory: one in eight.
- adding: the sum of the two numbers in a list of `--adding_steps` that are marked
  (`benchmarks.synthetic.adding_problem`). The mean squared error on new examples. Without memory: 1/6.
- speed: tokens per second of training the text model, and of generating text with it one token at a time
  (one row, temperature 1). It is measured last and alone. All cells take turns: in each round every cell runs
  once, in an order that shifts from round to round. The median over the rounds (lowest to highest).

Everything is trained by Adam with the gradients clipped to a global norm of 1, and a learning rate that warms
up and falls along a cosine to zero. All cells get the same learning rate, or with several `--learning_rates`
each cell gets the one with the best score in that task.

A run is one task, cell, learning rate and seed, and depends on nothing else. The runs of a cell have a
process of their own. Results go to `runs.jsonl` in the `--output` folder as they come: what is there already,
with the same settings, is not done again, unless it failed. Diverging is a result.
"""

import contextlib
import dataclasses
import functools
import json
import math
import multiprocessing
import os
import shlex
import statistics
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from pathlib import Path

import language_model  # the benchmark beside this one

from benchmarks import synthetic
from textrnn import startup
from textrnn.cli import process

UNITS_STEP = 4
TEST_EXAMPLES = 1000
# Some tenths of a second: shorter ones measure how a busy machine shares its processors out.
SPEED_WINDOWS = 32
SPEED_NEW_TOKENS = 2000


@dataclasses.dataclass(frozen=True)
class Settings:
    """What all runs have in common; results with other settings are not compared.

    Args:
        data: A text file or a folder of them. Default: tiny Shakespeare.
        budget: The weights of a recurrent layer and the map behind it, at the most.
        width: The features that a recurrent layer reads, and the width of the embedding.
        batch_size: Rows of a batch.
        sequence_length: Characters of a window.
        text_passes: How often the text is read.
        copy_blanks: How long to remember the symbols.
        copy_batches: Batches of the copy problem.
        adding_steps: The length of the lists.
        adding_batches: Batches of the adding problem.
    """

    data: str | None = None
    budget: int = 80_000
    width: int = 64
    batch_size: int = 32
    sequence_length: int = 64
    text_passes: int = 2
    copy_blanks: int = 30
    copy_batches: int = 1000
    adding_steps: int = 100
    adding_batches: int = 1000


@dataclasses.dataclass(frozen=True)
class Run:
    """What can be done on its own."""

    task: str
    cell: str
    learning_rate: float
    seed: int

    def __str__(self):
        return f"{self.task}, {self.cell}, learning rate {self.learning_rate:g}, seed {self.seed}"


# === The cells ===


def largest_units(weights_of, budget, step=UNITS_STEP):
    """The largest multiple of `step` with which a cell stays within the budget.

    Args:
        weights_of: units -> weights, which grow with the units.
        budget: the most weights allowed.
        step: what the units are a multiple of.

    Raises:
        InputError: where `step` units are too many already.
    """
    from textrnn.errors import InputError

    if weights_of(step) > budget:
        raise InputError(
            f"{step} units have {weights_of(step):,} weights already: give a --budget of that or more"
        )
    fits, too_many = 1, 2
    while weights_of(too_many * step) <= budget:
        fits, too_many = too_many, 2 * too_many
    while too_many - fits > 1:
        middle = (fits + too_many) // 2
        fits, too_many = (middle, too_many) if weights_of(middle * step) <= budget else (fits, middle)
    return fits * step


@functools.cache
def sized(name, settings):
    """The units that the budget buys a cell, their weights, and the kind of the cell."""
    import textrnn

    def built(units):
        cell = textrnn.GatedCell(units, name)
        cell.build((None, settings.width))
        return cell

    def weights_of(units):
        return built(units).count_params() + units * settings.width

    units = largest_units(weights_of, settings.budget)
    return {"units": units, "weights": weights_of(units), "kind": built(units).kind}


def make_cell(name, settings):
    """The cell at the size that the budget buys."""
    import textrnn

    return textrnn.GatedCell(sized(name, settings)["units"], name)


# === The tasks: what each trains and what it scores ===


@dataclasses.dataclass(frozen=True)
class Score:
    """A task's column in the table.

    Attributes:
        title: above the column.
        form: how to write a value.
        lower_is_better: whether it is an error rather than a success.
        train: (run, settings) -> the value, a float.
        baseline: settings -> the value of a model without memory.
        log: whether the picture's axis is logarithmic.
    """

    title: str
    form: str
    lower_is_better: bool
    train: Callable
    baseline: Callable
    log: bool = False


def train_text(run, settings):
    """Bits per character of the held-out text."""
    from textrnn.data.windows import evaluation_windows, windows
    from textrnn.text_generation import evaluation

    train, held_out, _ = text_streams(settings.data)
    lm = text_model(run.cell, settings)
    batches = windows(train, settings.batch_size, settings.sequence_length)
    lm.compile(optimizer(run.learning_rate, len(batches) * settings.text_passes))
    lm.fit(batches, epochs=settings.text_passes, verbose=0, callbacks=[stop_when_not_finite()])
    scored = evaluation_windows(held_out, settings.batch_size, settings.sequence_length)
    return evaluation.language_model(lm, scored, characters=len(held_out) - 1).bits_per_character


def train_copy(run, settings):
    """The share of the symbols that are recalled."""
    import keras

    import textrnn

    make = functools.partial(synthetic.copy_problem, blanks=settings.copy_blanks)
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(10, settings.width, keras.initializers.RandomNormal(stddev=1.0)),
            textrnn.Recurrent(make_cell(run.cell, settings), return_sequences=True),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    answers, targets = fitted_on_fresh(model, loss, make, settings.copy_batches, run, settings)
    return float((answers[:, -10:].argmax(axis=-1) == targets[:, -10:]).mean())


def train_adding(run, settings):
    """The mean squared error of the sum."""
    import keras

    import textrnn

    make = functools.partial(synthetic.adding_problem, steps=settings.adding_steps)
    model = keras.Sequential(
        [
            keras.Input((None, 2)),
            keras.layers.Dense(settings.width),
            textrnn.Recurrent(make_cell(run.cell, settings)),
            keras.layers.Dense(1),
        ]
    )
    answers, targets = fitted_on_fresh(model, "mse", make, settings.adding_batches, run, settings)
    return float(((answers - targets) ** 2).mean())


def fitted_on_fresh(model, loss, make, batches, run, settings):
    """Fits a model, every batch new, and lets it answer new examples: its answers and the targets."""
    import numpy as np

    training, test = np.random.default_rng(run.seed).spawn(2)
    model.compile(optimizer(run.learning_rate, batches), loss)
    x, y = make(batches * settings.batch_size, seed=training)
    model.fit(
        x, y, batch_size=settings.batch_size, shuffle=False, verbose=0, callbacks=[stop_when_not_finite()]
    )
    x, y = make(TEST_EXAMPLES, seed=test)
    answers = model.predict(x, batch_size=100, verbose=0)
    if not np.isfinite(answers).all():  # NaN has a largest class too, so this must not become an accuracy
        raise FloatingPointError("the answers are not finite")
    return answers, y


def optimizer(learning_rate, steps):
    """Adam with clipped gradients and a falling learning rate."""
    import keras

    from textrnn.training import schedules

    return keras.optimizers.Adam(schedules.warmup_cosine(learning_rate, steps), global_clipnorm=1.0)


def stop_when_not_finite():
    import keras

    return keras.callbacks.TerminateOnNaN()


@functools.cache
def text_streams(data):
    """The characters to train on and those held out, as ids, and the number of different ones.

    The held-out stream begins with the last character before it, so that all of its own are predicted.
    """
    import numpy as np

    from textrnn.data import datasets
    from textrnn.data.documents import read_documents, split_documents

    documents = datasets.load_text("shakespeare").train if data is None else read_documents(data)
    train, held_out = split_documents(documents, 0.1)
    text = "".join(document.text for document in [*train, *held_out])
    vocabulary, token_ids = np.unique(np.frombuffer(text.encode("utf-32-le"), np.uint32), return_inverse=True)
    cut = sum(len(document.text) for document in train)
    token_ids = token_ids.astype(np.int32)
    return token_ids[:cut], token_ids[cut - 1 :], len(vocabulary)


def bigram_bits(settings):
    """Bits per character of the held-out text, from how often a character follows another in the rest."""
    import numpy as np

    train, held_out, vocabulary_size = text_streams(settings.data)
    counts = np.ones((vocabulary_size, vocabulary_size))
    np.add.at(counts, (train[:-1], train[1:]), 1)
    probabilities = counts / counts.sum(axis=1, keepdims=True)
    return float(-np.log2(probabilities[held_out[:-1], held_out[1:]]).mean())


def text_model(name, settings):
    """A language model of characters with a cell of that name."""
    import textrnn

    return textrnn.CausalLM(
        textrnn.RecurrentBackbone(
            text_streams(settings.data)[2], make_cell(name, settings), embedding_dim=settings.width
        )
    )


SCORES = {
    "text": Score("bits per character", "{:.3f}", True, train_text, bigram_bits),
    "copy": Score("copy: recalled", "{:.1%}", False, train_copy, lambda settings: 1 / 8),
    "adding": Score(
        "adding: squared error",
        "{:.2g}",
        True,
        train_adding,
        lambda settings: synthetic.ADDING_BASELINE,
        log=True,
    ),
}
SPEED = "speed"


# === Running ===


def perform(run, settings):
    """Does a run. Whatever goes wrong in it is its result.

    Returns:
        A record for `runs.jsonl`: the run, its settings, `status` (`"ok"`, `"diverged"` or `"failed"`), and
        `value`, or `reason`.
    """
    import keras

    start = time.perf_counter()
    size = {}
    try:
        size = sized(run.cell, settings)
        keras.utils.set_random_seed(run.seed)  # after the search for the size, which draws weights too
        value = SCORES[run.task].train(run, settings)
        outcome = {"status": "ok", "value": value}
        if not math.isfinite(value):
            outcome = {"status": "diverged", "reason": f"the score is {value}"}
    except FloatingPointError as error:
        outcome = {"status": "diverged", "reason": str(error)}
    except Exception as error:  # a cell of anyone's may raise anything
        outcome = {"status": "failed", "reason": f"{type(error).__name__}: {error}"[:500]}
    keras.backend.clear_session()
    return record(run, settings, **outcome, **size, seconds=round(time.perf_counter() - start, 1))


def record(run, settings, **outcome):
    """What `runs.jsonl` keeps of a run."""
    return {
        **dataclasses.asdict(run),
        **outcome,
        "settings": dataclasses.asdict(settings),
        "commit": commit(),
    }


def perform_all(runs, settings, threads, connection):
    """What a process does: its runs one after another, sending each record as it comes."""
    # TensorFlow reads these once, when it starts.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
    startup.load_tensorflow()
    for run in runs:
        connection.send(perform(run, settings))


def distribute(runs, settings, jobs, threads, keep, target=perform_all):
    """Lets processes do the runs, `jobs` at a time, one for each cell.

    A process that dies takes the run with it that it was doing, and no other.

    Args:
        runs: a list of `Run`.
        settings: the `Settings`.
        jobs: how many processes at a time.
        threads: of each process.
        keep: called with every record as it comes.
        target: what a process does, as `perform_all`.
    """
    context = multiprocessing.get_context("spawn")
    waiting = [[run for run in runs if run.cell == cell] for cell in dict.fromkeys(run.cell for run in runs)]
    active = {}
    while waiting or active:
        while waiting and len(active) < jobs:
            receiver, sender = context.Pipe(duplex=False)
            left = waiting.pop(0)
            process = context.Process(
                target=target, args=(tuple(left), settings, threads, sender), daemon=True
            )
            process.start()
            sender.close()  # the process has the only other one, so its end ends the connection
            active[receiver] = process, left
        for receiver in wait(active):
            process, left = active[receiver]
            with contextlib.suppress(EOFError):
                keep(receiver.recv())
                left.pop(0)
                continue
            process.join()
            del active[receiver]
            if left:
                reason = f"its process ended with exit code {process.exitcode}"
                keep(record(left.pop(0), settings, status="failed", reason=reason))
            if left:
                waiting.insert(0, left)


def measure_speed(cells, settings, rounds, seed):
    """Lets all cells take turns in training and in generation.

    Returns:
        A dict of each cell to `{"training": [tokens per second of each round], "generation": [...]}` and its
        size, or to `{"reason": ...}` where it failed.
    """
    import keras

    keras.utils.set_random_seed(seed)
    runs, speeds = {}, {}
    for name in cells:
        try:
            kinds = {"training": training_run(name, settings), "generation": generation_run(name, settings)}
            for run in kinds.values():
                run()  # traces
        except Exception as error:  # a cell of anyone's may raise anything
            speeds[name] = {"reason": f"{type(error).__name__}: {error}"[:500]}
            continue
        runs |= {(name, kind): run for kind, run in kinds.items()}
        speeds[name] = {kind: [] for kind in kinds} | sized(name, settings)
    turns = [*runs]
    for first in range(rounds):
        shift = first * len(turns) // rounds
        for name, kind in turns[shift:] + turns[:shift]:
            start = time.perf_counter()
            tokens = runs[name, kind]()
            speeds[name][kind].append(round(tokens / (time.perf_counter() - start), 1))
        print(f"  round {first + 1} of {rounds}", file=sys.stderr, flush=True)
    keras.backend.clear_session()
    return speeds


def training_run(name, settings):
    """A function that trains on a few windows and returns the number of tokens."""
    from textrnn.data.windows import windows

    lm = text_model(name, settings)
    lm.compile()
    tokens = min(
        SPEED_WINDOWS * settings.batch_size * settings.sequence_length,
        len(text_streams(settings.data)[0]) - 1,
    )
    batches = windows(
        text_streams(settings.data)[0][: tokens + 1], settings.batch_size, settings.sequence_length
    )

    def run():
        lm.fit(batches, verbose=0)
        return len(batches) * settings.batch_size * settings.sequence_length

    return run


def generation_run(name, settings):
    """A function that generates a text from one character and returns the number of tokens."""
    import tensorflow as tf

    lm = text_model(name, settings)

    @functools.partial(tf.function, autograph=False)
    def generate(token_ids):
        new, _ = lm.generate_tokens(
            token_ids,
            tf.ones_like(token_ids, tf.bool),
            max_new_tokens=tf.constant([SPEED_NEW_TOKENS]),
            limit=SPEED_NEW_TOKENS,
            temperature=tf.constant([1.0]),
            top_k=tf.constant([0]),
            top_p=tf.constant([1.0]),
        )
        return new

    start = tf.constant(text_streams(settings.data)[0][None, :1])
    return lambda: generate(start).numpy().size


# === What there is already ===


def read_records(path):
    """The records of a file, if it is there; a line that was cut off is none."""
    records = []
    for line in path.read_text("utf-8").splitlines() if path.is_file() else []:
        with contextlib.suppress(json.JSONDecodeError):
            records.append(json.loads(line))
    return records


def append(path, entry):
    """Adds a record to the file, on a line of its own even where the last one was cut off."""
    with path.open("a+b") as file:
        if file.tell():
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(json.dumps(entry, ensure_ascii=False).encode() + b"\n")


def run_records(records, settings):
    """The last record of each run with these settings."""
    ours = dataclasses.asdict(settings)
    return {
        Run(*(entry[field.name] for field in dataclasses.fields(Run))): entry
        for entry in records
        if entry["task"] in SCORES and entry["settings"] == ours
    }


def speed_record(records, settings, cells):
    """The last measurement with these settings that had all these cells, or None."""
    ours = dataclasses.asdict(settings)
    return next(
        (
            entry
            for entry in reversed(records)
            if entry["task"] == SPEED and entry["settings"] == ours and {*cells} <= {*entry["speeds"]}
        ),
        None,
    )


# === The table ===


@dataclasses.dataclass(frozen=True)
class Result:
    """What a cell scored in a task: the values of its seeds, and what went wrong.

    Attributes:
        values: of the runs that have one.
        problems: of the others, such as `"diverged"` or `"failed"`.
        learning_rate: with which these were reached.
    """

    values: tuple[float, ...] = ()
    problems: tuple[str, ...] = ()
    learning_rate: float | None = None

    @property
    def mean(self):
        return statistics.fmean(self.values) if self.values else math.nan


@dataclasses.dataclass(frozen=True)
class Row:
    """A cell: its size, its results by task, and its speeds by kind."""

    cell: str
    size: dict
    results: dict
    speeds: dict


def make_rows(cells, tasks, runs, speeds):
    """The rows of the table, the best language model first.

    Args:
        cells: the names.
        tasks: those of `SCORES` to show.
        runs: `Run` -> record.
        speeds: cell -> its speeds, from `measure_speed`.
    """

    def row(cell):
        ours = [entry for run, entry in runs.items() if run.cell == cell]
        sizes = [entry for entry in [*ours, speeds.get(cell, {})] if "units" in entry]
        size = {key: sizes[0][key] for key in ("units", "weights", "kind")} if sizes else {}
        results = {task: best_result([e for e in ours if e["task"] == task], SCORES[task]) for task in tasks}
        return Row(cell, size, results, speeds.get(cell, {}))

    def order(row):
        means = [
            row.results[task].mean * (1 if SCORES[task].lower_is_better else -1)
            for task in SCORES
            if task in tasks
        ]
        return [(math.isnan(mean), mean) for mean in means]

    return sorted((row(cell) for cell in cells), key=order)


def best_result(records, score):
    """The result at the learning rate that had the fewest problems, and among those the best score."""
    results = []
    for learning_rate in dict.fromkeys(entry["learning_rate"] for entry in records):
        ours = [entry for entry in records if entry["learning_rate"] == learning_rate]
        values = tuple(entry["value"] for entry in ours if entry["status"] == "ok")
        problems = tuple(entry["status"] for entry in ours if entry["status"] != "ok")
        results.append(Result(values, problems, learning_rate))
    sign = 1 if score.lower_is_better else -1
    return min(results, key=lambda r: (len(r.problems), sign * r.mean), default=Result(problems=("not run",)))


def write_result(result, score, rates):
    """A cell of the table."""
    text = ", ".join(f"**{problem}**" for problem in result.problems)
    if result.values:
        mean = score.form.format(result.mean)
        low, high = (score.form.format(f(result.values)) for f in (min, max))
        text = ", ".join(filter(None, [mean + (f" ({low}–{high})" if len(result.values) > 1 else ""), text]))
        if rates > 1:
            text += f" @ {result.learning_rate:g}"
    return text


def write_speed(speeds, kind):
    """A cell of the table."""
    if kind not in speeds:
        return "**failed**" if "reason" in speeds else "not measured"
    values = speeds[kind]
    return f"{statistics.median(values):,.0f} ({min(values):,.0f}–{max(values):,.0f})"


def markdown(rows, tasks, settings, facts, problems, rates):
    """The table, with what it depends on before, and below it what went wrong."""
    titles = [f"{SCORES[task].title}{' ↓' if SCORES[task].lower_is_better else ' ↑'}" for task in tasks]
    speed_titles = ["training, tokens/s (range)", "generation, tokens/s (range)"]
    lines = [
        "# Cells compared",
        "",
        *(f"- {key}: {value}" for key, value in facts.items()),
        "",
        f"| cell | kind | units | weights | {' | '.join(titles + speed_titles)} |",
        "|---|:-:|--:|--:|" + "--:|" * (len(titles) + len(speed_titles)),
    ]
    for row in rows:
        units, weights = (f"{row.size[key]:,}" if row.size else "" for key in ("units", "weights"))
        scores = [write_result(row.results[task], SCORES[task], rates) for task in tasks]
        speeds = [write_speed(row.speeds, kind) for kind in ("training", "generation")]
        cells = [f"`{row.cell}`", row.size.get("kind", ""), units, weights, *scores, *speeds]
        lines.append(f"| {' | '.join(cells)} |")
    baselines = [SCORES[task].form.format(SCORES[task].baseline(settings)) for task in tasks]
    lines.append(f"| {' | '.join(['*without memory*', '', '', '', *baselines, '', ''])} |")
    lines += [
        "",
        "Kind: S reads its state through a matrix, D elementwise, P is linear in it.",
    ]
    lines += ["", *(f"- {problem}" for problem in problems)] if problems else []
    return "\n".join([*lines, ""])


# === The picture ===

# From the palette of Okabe and Ito, which people with any kind of colour vision can tell apart.
STYLES = {"S": ("#0072B2", "o"), "D": ("#D55E00", "s"), "P": ("#009E73", "^")}
KINDS = {"S": "S: state through a matrix", "D": "D: state elementwise", "P": "P: linear in the state"}
GREY = "#555555"


def draw(rows, tasks, settings, path):
    """Draws bits per character against the speed of training, and a column of dots for each other task.

    Without the text or its speed, every task has a column of dots.

    Args:
        rows: from `make_rows`.
        tasks: those of `SCORES` to show.
        settings: the `Settings`, for the baselines.
        path: the PNG file to write.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    baselines = {task: SCORES[task].baseline(settings) for task in tasks}
    scatters = "text" in tasks and bool(scatter_points(rows, baselines["text"]))
    columns = [task for task in tasks if not (scatters and task == "text")]
    widths = [2.4] * scatters + [1.0] * len(columns)
    figure = Figure(
        figsize=(1.2 + 3.3 * sum(widths), 2.4 + 0.23 * max(len(rows), 12)), dpi=120, layout="constrained"
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(widths), squeeze=False, width_ratios=widths)[0]
    if scatters:
        draw_scatter(panels[0], rows, baselines["text"])
    for i, (axis, task) in enumerate(zip(panels[scatters:], columns, strict=True)):
        draw_dots(axis, rows, task, baselines[task], named=i == 0)
    used = [kind for kind in STYLES if any(row.size.get("kind") == kind for row in rows)]
    handles = [panels[0].plot([], [], **point_style(kind), label=KINDS[kind])[0] for kind in used]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False)
    if scatters:
        figure.draw_without_rendering()  # places the panels, and with them the points
        figure.set_layout_engine("none")
        label_points(panels[0], scatter_points(rows, baselines["text"]))
    figure.savefig(path, format="png")


def point_style(kind):
    color, marker = STYLES.get(kind, (GREY, "x"))
    return {"color": color, "marker": marker, "linestyle": "none", "markersize": 7}


def scatter_points(rows, baseline):
    """(cell, speed, bits per character) of those that have both and learnt something.

    One that is worse than without memory would leave no room for the differences between the others.
    """
    return [
        (row.cell, statistics.median(row.speeds["training"]), row.results["text"].mean)
        for row in rows
        if row.results["text"].mean <= baseline and row.speeds.get("training")
    ]


def why_not_shown(row, baseline):
    """The reason for which a cell is not among the points."""
    result = row.results["text"]
    if result.mean > baseline:
        return f"{SCORES['text'].form.format(result.mean)}, worse than without memory"
    return ", ".join(dict.fromkeys(result.problems)) or "no speed"


def draw_scatter(axis, rows, baseline):
    """Better to the bottom, faster to the right."""
    points, kinds = scatter_points(rows, baseline), {row.cell: row.size.get("kind") for row in rows}
    for cell, speed, bits in points:
        axis.plot([speed], [bits], **point_style(kinds[cell]), zorder=3)
    shown = [cell for cell, _, _ in points]
    missing = [f"{row.cell} ({why_not_shown(row, baseline)})" for row in rows if row.cell not in shown]
    # Speeds that differ by a percent or two should look alike: the axis spans a factor of two at the least.
    speeds = [speed for _, speed, _ in points]
    middle, half = math.sqrt(min(speeds) * max(speeds)), max(math.sqrt(max(speeds) / min(speeds)), 2**0.5)
    axis.set_xscale("log")
    axis.set_xlim(middle / half**1.2, middle * half**1.2)
    thousands(axis.xaxis)
    note = textwrap.wrap(f"not shown: {', '.join(missing)}", 90) if missing else []
    axis.set_xlabel("\n".join(["training, tokens per second →", *note]))
    axis.set_ylabel("← bits per character, held out")
    axis.set_title("text: better is lower, faster is further right", fontsize=10)
    axis.margins(y=0.1)
    finish(axis)


def draw_dots(axis, rows, task, baseline, named):
    """A row for each cell; what has no value says why."""
    score = SCORES[task]
    for y, row in enumerate(rows):
        result = row.results[task]
        style = point_style(row.size.get("kind"))
        notes = list(dict.fromkeys(result.problems))
        if task == "text" and result.values and result.mean > 1.2 * baseline:
            # It would leave no room for the differences between the others.
            notes.insert(0, f"{score.form.format(result.mean)}, worse than without memory")
        elif result.values:
            axis.plot([min(result.values), max(result.values)], [y, y], color=style["color"], linewidth=2)
            axis.plot([result.mean], [y], **style)
        if notes:
            axis.text(
                0.5, y, ", ".join(notes), transform=axis.get_yaxis_transform(),
                ha="center", va="center", color=GREY, fontsize=8, style="italic",
            )  # fmt: skip
    axis.axvline(baseline, color=GREY, linewidth=1.2, linestyle="--", zorder=0)
    side = -1 if score.lower_is_better else 1
    axis.annotate(
        "without memory", (baseline, -0.75), xytext=(4 * side, 0), textcoords="offset points",
        ha="left" if side > 0 else "right", va="center", fontsize=8, color=GREY,
    )  # fmt: skip
    if score.log:
        axis.set_xscale("log")
    elif task == "copy":
        axis.set_xlim(-0.03, 1.03)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    axis.set_ylim(len(rows) - 0.5, -1.2)
    axis.set_yticks(range(len(rows)), [row.cell for row in rows] if named else [])
    axis.set_title(f"{score.title}{' ←' if score.lower_is_better else ' →'}", fontsize=10)
    finish(axis)
    axis.tick_params(axis="y", length=0)


def thousands(axis):
    """Ticks of a logarithmic axis as people write them: 20k, 50k, 100k."""
    from matplotlib.ticker import LogLocator, NullFormatter

    axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 5, 6, 8)))
    axis.set_major_formatter(lambda value, _: f"{value / 1000:g}k")
    axis.set_minor_formatter(NullFormatter())


def finish(axis):
    axis.grid(True, color="#DDDDDD", linewidth=0.8)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def label_points(axis, points):
    """Writes a name beside each point, where it covers neither a point nor another name, with a line to it.

    Names are placed one by one, the points in the thick of others first, each as near as there is room.

    Args:
        axis: with its limits and its place in the figure settled.
        points: (name, x, y).

    Returns:
        The boxes of the names, in pixels, as matplotlib's `Bbox`.
    """
    from matplotlib.transforms import Bbox

    at = [tuple(axis.transData.transform((x, y))) for _, x, y in points]
    size = 6 * axis.figure.dpi / 72
    taken = [Bbox.from_bounds(x - size, y - size, 2 * size, 2 * size) for x, y in at]
    frame, renderer, boxes = axis.get_window_extent(), axis.figure.canvas.get_renderer(), []

    def crowd(i):
        return sorted(math.dist(at[i], other) for other in at)[: min(5, len(at))]

    for i in sorted(range(len(points)), key=crowd):
        text = axis.text(0, 0, points[i][0], fontsize=8, transform=None, ha="left", va="bottom")
        extent = text.get_window_extent(renderer)
        places = [place_beside(at[i], extent.width, extent.height, *place) for place in PLACES]
        inside = [box for box in places if frame.containsx(box.x0) and frame.containsx(box.x1)] or places
        box = next((box for box in inside if not box.count_overlaps(taken)), inside[0])
        text.set_position((box.x0, box.y0))
        nearest = (min(max(at[i][0], box.x0), box.x1), min(max(at[i][1], box.y0), box.y1))
        if math.dist(nearest, at[i]) > 1.5 * size:
            ends = axis.transData.inverted().transform([at[i], nearest])
            axis.plot(*ends.T, color=GREY, linewidth=0.6, zorder=1, scalex=False, scaley=False)
        taken.append(box)
        boxes.append(box)
    return boxes


def place_beside(point, width, height, distance, angle):
    """The box of that size whose edge is at a distance, in pixels, from a point, in that direction."""
    from matplotlib.transforms import Bbox

    dx, dy = math.cos(angle), math.sin(angle)
    x = point[0] + dx * (distance + width / 2) - width / 2
    y = point[1] + dy * (distance + height / 2) - height / 2
    return Bbox.from_bounds(x, y, width, height)


PLACES = [
    (distance, math.radians(angle))
    for distance in (11, 16, 22, 30, 40, 52, 66, 82, 100)
    for angle in (0, 180, 90, 270, 30, 330, 150, 210, 60, 300, 120, 240)
]
"""Where a name may go, in the order of trying: pixels from the point, and the direction."""


# === The command ===


@functools.cache
def commit():
    """The commit of the code, `-dirty` where files differ from it."""
    describe = ["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    command = ["git", "--no-optional-locks", "-C", Path(__file__).parent, *describe]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def make_parser():
    """The flags: those of `Settings`, and how to run."""
    from jsonargparse import ArgumentParser
    from jsonargparse.typing import PositiveInt

    parser = ArgumentParser(
        description=__doc__.splitlines()[0],
        epilog=f"What is compared, and how: see the top of {Path(__file__).name}.",
    )
    add = parser.add_argument
    add("--cells", nargs="+", help="which ones (default: all that `textrnn cells` lists)")
    add("--tasks", nargs="+", choices=[*SCORES, SPEED], default=[*SCORES, SPEED], help="which ones")
    add("--seeds", nargs="+", type=int, default=[0], help="a run for each")
    add("--learning_rates", nargs="+", type=float, default=[5e-3], help="the best of these for each cell")
    add("--jobs", type=PositiveInt, default=2, help="how many processes train at a time")
    add("--rounds", type=PositiveInt, default=5, help="of measuring speeds")
    add("--output", type=Path, default=Path("build/compare_cells"), help="the folder of the results")
    parser.add_class_arguments(Settings)
    return parser


def main():
    """Reads the options, does what is missing, and reports all."""
    given = make_parser().parse_args()
    settings = Settings(**{field.name: given[field.name] for field in dataclasses.fields(Settings)})
    process.run(lambda: compare(given, settings))


def compare(given, settings):
    """Does what is missing, and reports all."""
    startup.load_tensorflow()
    from textrnn import cells

    names = list(dict.fromkeys(given.cells or cells.cell_names()))
    for name in names:
        cells.find_cell(name)  # a name that is none ends the comparison here, and not every run of it
    tasks = [task for task in SCORES if task in given.tasks]
    if {"text", SPEED} & {*given.tasks}:
        text_streams(settings.data)  # likewise
    given.output.mkdir(parents=True, exist_ok=True)
    log = given.output / "runs.jsonl"

    wanted = [
        Run(task, cell, learning_rate, seed)
        for cell in names
        for task in tasks
        for learning_rate in given.learning_rates
        for seed in given.seeds
    ]
    done = run_records(read_records(log), settings)
    missing = [run for run in wanted if run not in done or done[run]["status"] == "failed"]
    print(f"{len(wanted)} runs, {len(missing)} to do", file=sys.stderr, flush=True)
    finished = 0

    def keep(entry):
        nonlocal finished
        finished += 1
        append(log, entry)
        outcome = entry.get("value", f"{entry['status']}, {entry.get('reason')}")
        run = Run(*(entry[field.name] for field in dataclasses.fields(Run)))
        time_taken = f" ({entry['seconds']:.0f} s)" if "seconds" in entry else ""
        print(f"  {finished} of {len(missing)}: {run}: {outcome}{time_taken}", file=sys.stderr, flush=True)

    distribute(missing, settings, given.jobs, max(1, (os.cpu_count() or 1) // given.jobs), keep)

    if SPEED in given.tasks and speed_record(read_records(log), settings, names) is None:
        print(f"speed: {len(names)} cells, {given.rounds} rounds", file=sys.stderr, flush=True)
        environment = language_model.environment(given.seeds[0], given.rounds)
        speeds = measure_speed(names, settings, given.rounds, given.seeds[0])
        settings_of = {"settings": dataclasses.asdict(settings), "commit": commit()}
        append(log, {"task": SPEED, "speeds": speeds, "environment": environment, **settings_of})

    records = read_records(log)
    runs = {run: entry for run, entry in run_records(records, settings).items() if run in {*wanted}}
    speed = speed_record(records, settings, names) or {}
    speeds = speed.get("speeds", {})
    rows = make_rows(names, tasks, runs, speeds)
    problems = [
        f"{run}: {entry['status']}, {entry['reason']}" for run, entry in runs.items() if "reason" in entry
    ]
    problems += [f"speed, {name}: failed, {s['reason']}" for name, s in speeds.items() if "reason" in s]
    report = markdown(
        rows, tasks, settings, facts(given, settings, runs, speed), problems, len(given.learning_rates)
    )
    (given.output / "compare_cells.md").write_text(report, encoding="utf-8")
    if tasks:
        draw(rows, tasks, settings, given.output / "compare_cells.png")
    print(report, end="")
    print(f"{given.output}/: compare_cells.md, compare_cells.png, runs.jsonl", file=sys.stderr)


def facts(given, settings, runs, speed):
    """What the numbers depend on."""
    environment = speed.get("environment") or language_model.environment(given.seeds[0], given.rounds)
    commits = dict.fromkeys(entry["commit"] for entry in [*runs.values(), *([speed] if speed else [])])
    seconds = sum(entry.get("seconds", 0) for entry in runs.values())

    def listed(mapping):
        return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in mapping.items())

    return {
        "command": shlex.join(["python", *sys.argv]),
        "commit": ", ".join(commits) or commit(),
        "settings": listed({**dataclasses.asdict(settings), "data": settings.data or "tiny Shakespeare"}),
        "learning rates": ", ".join(f"{rate:g}" for rate in given.learning_rates),
        "seeds": ", ".join(map(str, given.seeds)),
        "training": f"{seconds / 60:.0f} minutes of all runs together",
        "speeds measured on" if speed else "environment": listed(environment),
    }


if __name__ == "__main__":
    main()
