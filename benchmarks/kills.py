"""Kill training runs at random moments, resume them, and compare them with runs that were not killed.

    python benchmarks/kills.py --recipe text_generation sentiment translation --kills 100

Each recipe first trains once without a kill. Then it is started again and again, and `kill -9` ends it after
a random time, up to ten times within one run, until it is left to finish. All files of the model that
hold no times are then compared, byte for byte: weights, scores of each epoch, metrics, samples and
evaluations. The runs are small and have all kinds of noise.

Recipes start from a process that has imported TensorFlow already, which saves most of the time.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import re
import runpy
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOISE = {"dropout": 0.1, "recurrent_dropout": 0.1, "weight_drop": 0.1, "embedding_dropout": 0.05}
SMALL = {"checkpoint_minutes": 0.005, "units": 32} | NOISE
RECIPES = {
    "text_generation": SMALL
    | {"epochs": 15, "tokenizer": "byte", "sequence_length": 32, "batch_size": 8, "zoneout": 0.1},
    "sentiment": SMALL | {"epochs": 10, "patience": 10, "max_tokens": 60, "ngram_buckets": 1000},
    "translation": SMALL | {"epochs": 5, "max_tokens": 20, "num_beams": 2, "average": 2},
}
TIMES = ("seconds", "per_second", "resumed", "memory_bytes")
"""Ends of the names of metrics that may differ."""


def train(recipe, folder):
    """Run a recipe in this process."""
    os.setpgrp()  # so that its own processes are killed with it
    log = os.open(folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    options = RECIPES[recipe] | {"output": folder, "name": "model"}
    if recipe == "text_generation":
        options |= {"data": folder.parent / "text.txt"}
    arguments = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    from textrnn.cli.recipes import run_recipe

    defined = runpy.run_path(str(ROOT / "recipes" / f"{recipe}.py"))
    run_recipe(defined["main"], defined["Options"], defined["__doc__"], recipe, arguments)


def start(context, recipe, folder):
    """Start a recipe in a process of its own."""
    process = context.Process(target=train, args=(recipe, folder))
    process.start()
    return process


def content(folder):
    """What a training has made: the bytes of its files, and its metrics without times."""
    model = folder / "model"
    found = {
        str(path.relative_to(model)): path.read_bytes()
        for part in ("preset", "report")
        for path in sorted((model / part).rglob("*"))
        # The others hold times, or options and pictures of what is compared here.
        if path.is_file()
        and path.suffix not in (".png", ".yaml")
        and path.name not in ("metadata.json", "log.txt")
    }
    metrics = json.loads(found.pop("report/metrics.json"))["metrics"]
    found["metrics"] = {name: value for name, value in metrics.items() if not name.endswith(TIMES)}
    return found


def measure(context, recipe, kills, rng, place):
    """Kill runs of a recipe.

    Returns:
        The number of runs, of kills, of those after which training went on from within an epoch, and of
        runs that differ from the uninterrupted one.
    """
    whole = place / "uninterrupted"
    whole.mkdir()
    began = time.monotonic()
    process = start(context, recipe, whole)
    process.join()
    seconds = time.monotonic() - began
    if process.exitcode:
        raise SystemExit((whole / "log.txt").read_text())
    expected = content(whole)
    runs = killed = within = different = 0
    while killed < kills:
        runs += 1
        folder = place / f"killed-{runs}"
        folder.mkdir()
        for _ in range(min(rng.randint(1, 10), kills - killed)):
            process = start(context, recipe, folder)
            process.join(rng.uniform(0, 0.7 * seconds))
            if process.exitcode is not None:  # it has finished before the kill
                break
            process.kill()
            with contextlib.suppress(ProcessLookupError):  # it has no group yet
                os.killpg(process.pid, signal.SIGKILL)
            process.join()
            killed += 1
        else:
            process = start(context, recipe, folder)
            process.join()
        within += len(re.findall(r"Resuming from epoch \d+, batch (?!1\.)", (folder / "log.txt").read_text()))
        found = content(folder) if process.exitcode == 0 else {}
        names = [name for name in expected.keys() | found if expected.get(name) != found.get(name)]
        if names:
            different += 1
            print(f"{recipe} {folder}: status {process.exitcode}, differs in {', '.join(sorted(names))}")
        else:
            shutil.rmtree(folder)
        print(f"{recipe}: {runs} runs, {killed} kills, {within}, {different} different", flush=True)
    return runs, killed, within, different


WORDS = "the cat dog sat ran on mat and then a bird sang of it while river hills were still"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--recipe", nargs="+", choices=RECIPES, default=list(RECIPES))
    parser.add_argument("--kills", type=int, default=100, help="Kills of each recipe")
    parser.add_argument("--seed", type=int, default=0, help="Seed of the times of kills")
    given = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tensorflow", "keras", "keras_hub", "sklearn", "textrnn.training"])
    rng = random.Random(given.seed)
    rows = []
    place = Path(tempfile.mkdtemp(prefix="kills-"))
    for recipe in given.recipe:
        folder = place / recipe
        folder.mkdir()
        lines = (" ".join(rng.choice(WORDS.split()) for _ in range(9)) for _ in range(900))
        (folder / "text.txt").write_text("\n".join(lines))
        rows.append((recipe, *measure(context, recipe, given.kills, rng, folder)))
    print("\n| recipe | runs | kills | resumed within an epoch | different |\n|---|---:|---:|---:|---:|")
    for row in rows:
        print("| " + " | ".join(map(str, row)) + " |")
    if any(different for *_, different in rows):
        sys.exit(1)
    shutil.rmtree(place)


if __name__ == "__main__":
    main()
