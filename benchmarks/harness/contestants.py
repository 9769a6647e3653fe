"""The contestants of a benchmark, and the libraries that they need."""

import dataclasses
import importlib.util
import os
import sys
import time
from collections.abc import Callable

from harness.log import log

OURS = "textrnn"


@dataclasses.dataclass(frozen=True)
class Contestant:
    """An implementation to measure.

    Attributes:
        peer: Its name in the table.
        form: What distinguishes it from other forms of the same peer, or "".
        needs: The library that it needs. "tensorflow" requires TensorFlow as the backend of Keras.
        tasks: The tasks that it takes part in, or None for all.
        prepare: A function of a work and its inputs that returns the function to measure, or None if there
            is nothing to measure. A measured function blocks until its work is done.
    """

    peer: str
    form: str
    needs: str
    tasks: tuple[str, ...] | None
    prepare: Callable

    @property
    def label(self):
        return f"{self.peer}, {self.form}" if self.form else self.peer

    def joins(self, task):
        """Whether it takes part in a task and its library is available."""
        return (self.tasks is None or task in self.tasks) and available(self.needs)


class Contestants(list[Contestant]):
    """The contestants of a benchmark, in the order of its table.

    Example:

    >>> from harness import Contestants
    >>> contestants = Contestants()
    >>> @contestants.add("Keras", "XLA")
    ... def run_keras(work):
    ...     return lambda: 2 * work
    >>> contestants[0].label, contestants[0].prepare(4)()
    ('Keras, XLA', 8)
    """

    def add(self, peer, form="", needs="keras", tasks=None):
        """Return a decorator that registers a `prepare` function. See `Contestant` for the arguments."""

        def register(prepare):
            self.append(Contestant(peer, form, needs, tasks, prepare))
            return prepare

        return register

    def of(self, task):
        """The contestants that take part in a task and whose library is available."""
        return [contestant for contestant in self if contestant.joins(task)]

    def prepare(self, work, *inputs, seed=0, without=()):
        """Prepare and warm up the contestants of a work.

        Args:
            work: A dataclass with an attribute `task`.
            *inputs: Further arguments of every `prepare` function.
            seed: Seeds the weights of each contestant.
            without: Labels of contestants to leave out.

        Returns:
            A dict of labels to functions to measure.
        """
        import keras

        runs = {}
        for contestant in self.of(work.task):
            if contestant.label in without:
                continue
            start = time.perf_counter()
            keras.utils.set_random_seed(seed)
            if contestant.needs == "torch":
                import torch

                torch.manual_seed(seed)
            if (run := contestant.prepare(work, *inputs)) is None:
                continue
            run(), run()
            runs[contestant.label] = run
            log(f"  {contestant.label} ready after {time.perf_counter() - start:.0f} s")
        return runs


def available(library):
    """Whether a library is installed; for "tensorflow", whether it is the backend of Keras."""
    if library == "tensorflow":
        return os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow"
    return importlib.util.find_spec(library) is not None


def load_backend():
    """Load TensorFlow without its messages if it is the backend of Keras, so that PyTorch runs beside it."""
    if available("tensorflow"):
        from textrnn import startup

        startup.load_tensorflow()
        # PyTorch's optimizers load Triton, and the process crashes if that happens after TensorFlow. Without
        # Triton, whose kernels are for GPUs, PyTorch does the same on a CPU.
        sys.modules.setdefault("triton", None)  # type: ignore[arg-type]


def as_exported(function, specs, model):
    """A TensorFlow function that reads the weights of a model as an exported signature does.

    The weights of cells are those at this call, and the graph is that for a CPU.
    """
    from textrnn.export.module import traced_module

    module, _ = traced_module({"run": (function, specs)}, [], model.weights)

    def run(*inputs):  # the function works only as long as the module lives
        return module.run(*inputs)

    return run


def torch_device():
    """The device that PyTorch runs on."""
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
