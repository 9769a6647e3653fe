"""Checkpoints of a training run, from which a killed run is resumed."""

import copy
import math
import os
import shutil
import signal
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import keras

from textrnn.errors import InputError, expect
from textrnn.files import disk_problem, replacing
from textrnn.private import build_for_training
from textrnn.training.distribution import workers
from textrnn.training.messages import print_message
from textrnn.training.state import (
    callback_state,
    pack,
    random_state,
    set_callback_state,
    set_random_state,
    unpack,
)

FORMAT = 1
"""To be increased when the state in a checkpoint changes."""

TERMINATED = 143
"""Exit status of a run that SIGTERM has stopped: 128 + 15, as shells report it."""


class Checkpoint(keras.callbacks.Callback):
    """Saves all of a training run every few minutes and after each epoch, for `training.fit(checkpoint=...)`.

    A run that was killed resumes from the last checkpoint, and ends as it would have ended: with the same
    weights, bit for bit, on the same machine. A checkpoint has the variables of the model, its optimizer and
    metrics, carried states and the states of random generators; the position in the data; and the states of
    all callbacks, such as scores, the best weights and the patience of early stopping. A callback may have
    methods `get_state` and `set_state`. Otherwise its state is what has changed in training of its attributes
    that are numbers, strings, arrays, or lists and dicts of them.

    `tf.train.CheckpointManager` writes the files: beside the earlier ones, with checksums. The last two are
    kept, and if the last is damaged, the one before is used.

    SIGTERM saves a checkpoint before the next batch and ends the process with the status `TERMINATED`. A
    second SIGTERM ends it at once.

    Of several workers, the chief writes and reads the files, and tells the others. Every worker saves at the
    same batch, when one of them finds that it is time; they ask each other every `ask_every` batches.

    Args:
        folder: The folder of the checkpoints of this run. It must be used for nothing else.
        minutes: Minutes between checkpoints within an epoch, a number above 0.
        run: Whatever identifies the run, name -> JSON value: its options, and as `"data"` a hash of its data.
        fresh: Whether to discard an earlier checkpoint.
        by_data: Names in `run` whose values may follow from the data. Where the data differ, the error does
            not list them.

    Attributes:
        found: Whether there was a checkpoint, from which `training.fit` resumes.
        resumed: How often the run has been resumed.

    Raises:
        InputError: If the folder has a checkpoint of another run; the message says what differs. Also if no
            checkpoint in the folder can be read, if `minutes` is not above 0, on a backend other than
            TensorFlow, and for an optimizer with `use_ema` or a model with `steps_per_execution`.

    Example:

    >>> import keras, numpy as np, tempfile, tensorflow as tf
    >>> from pathlib import Path
    >>> from textrnn import training
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> data = tf.data.Dataset.from_tensor_slices((np.ones((4, 1)), np.zeros((4, 1)))).batch(2)
    >>> folder = Path(tempfile.mkdtemp()) / "checkpoint"
    >>> checkpoint = training.Checkpoint(folder, run={"epochs": 2})
    >>> result = training.fit(model, data, epochs=2, checkpoint=checkpoint)
    >>> training.Checkpoint(folder, run={"epochs": 2}).found
    True
    >>> checkpoint.remove()  # when nothing remains to be done with the model
    >>> folder.exists()
    False
    """

    ask_every = 16

    def __init__(
        self,
        folder,
        minutes=5.0,
        run: Mapping[str, Any] | None = None,
        fresh=False,
        by_data: Collection[str] = (),
    ):
        super().__init__()
        expect(
            keras.backend.backend() == "tensorflow",
            f"checkpoints of training need TensorFlow, and Keras runs on {keras.backend.backend()}: set "
            "KERAS_BACKEND=tensorflow, or train without a checkpoint",
        )
        expect(minutes > 0, f"minutes is {minutes}: give a number above 0")
        expect(not Path(folder).is_file(), f"{folder} is a file: give a folder for the checkpoints")
        self.folder = Path(folder)
        self.minutes = minutes
        self.run = dict(run or {})
        self.seconds_before = 0.0
        if fresh:
            self.remove()
        found = self._newest() if workers().chief else None
        self._found = unpack(workers().tell(pack(found)))
        self._terminated = False
        if self._found is not None and workers().chief:
            expect(
                self._found[1].get("format") == FORMAT,
                f"the checkpoint in {self.folder} is of another version of textrnn: resume with that one, "
                "or give --fresh (fresh=True) to start over",
            )
            self._check_run(self._found[1]["run"], by_data)

    @property
    def found(self) -> bool:
        """Whether there is a checkpoint to resume from."""
        return self._found is not None

    @property
    def resumed(self) -> int:
        """How often the run has been resumed."""
        path = self.folder / "resumed"
        number = path.read_text() if path.is_file() else ""
        return int(number) if number.isdigit() else 0  # empty after a power cut

    @property
    def position(self) -> tuple[int, int]:
        """The epoch and the batch to begin with, both counted from 0."""
        return (0, 0) if self._found is None else (self._found[1]["epoch"], self._found[1]["batch"])

    @property
    def finished(self) -> bool:
        """Whether training had ended, after its last epoch or by early stopping."""
        return self._found is not None and self._found[1]["stopped"]

    def attach(self, data, listeners: Sequence[keras.callbacks.Callback]):
        """Tell what to save; `training.fit` calls this.

        Args:
            data: The `tf.data.Dataset` of the run.
            listeners: The callbacks with states.

        Raises:
            InputError: If the data is no `tf.data.Dataset`.
        """
        expect(hasattr(data, "element_spec"), "fit(checkpoint=...) needs a tf.data.Dataset, to resume it")
        self._data, self._listeners = data, listeners
        self._initial: list[dict] = []
        if self._found is not None:
            self._saved_states()

    def note_initial_states(self):
        """Note the states of the callbacks before the run changes them."""
        self._initial = [copy.deepcopy(callback_state(each)) for each in self._listeners]

    def remove(self):
        """Remove the folder, when the run and all that follows it have finished."""
        if workers().chief and self.folder.exists():
            # Renamed first: a kill must not leave a part of it.
            removed = self.folder.with_name(f".{self.folder.name}.{os.getpid()}")
            self.folder.rename(removed)
            shutil.rmtree(removed, ignore_errors=True)
        self._found = None

    # === Called by Keras ===

    def on_train_begin(self, logs=None):
        """Restore the run from its checkpoint, or save the first one."""
        self._start = self._saved_at = time.monotonic()
        self._check_model()
        self._manager = self._make_manager()
        if not self._initial:
            self.note_initial_states()
        if self._found is None:
            self._save(0, 0, {})
            return
        self._restore()
        if workers().chief:
            with replacing(self.folder / "resumed") as path:
                path.write_text(str(self.resumed + 1))
        epoch, batch = self.position
        where = "after the last epoch" if self.finished else f"from epoch {epoch + 1}, batch {batch + 1}"
        print_message(f"Resuming {where}.")

    def on_epoch_begin(self, epoch, logs=None):
        """Restore once more in the middle of an epoch, since metrics and callbacks have begun a new one."""
        if self._found is not None and (epoch, 0) < self.position:
            self._restore()
        self._found, self._epoch = None, epoch

    def on_train_batch_begin(self, batch, logs=None):
        """Save a checkpoint if it is time, or after SIGTERM."""
        if workers().size > 1 and batch % self.ask_every:
            return
        due = time.monotonic() - self._saved_at >= 60 * self.minutes
        due, terminated = workers().any(due, self._terminated)
        if (due or terminated) and batch > 0:
            self._save(self._epoch, batch, self.model.get_metrics_result())
        _exit_if(terminated)

    def on_epoch_end(self, epoch, logs=None):
        """Save a checkpoint."""
        self._save(epoch + 1, 0, logs or {})
        _exit_if(*workers().any(self._terminated))

    # === Signals ===

    @contextmanager
    def handling_sigterm(self):
        """Context manager in which SIGTERM leads to a checkpoint and the end of the process."""
        if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
            yield
            return

        def handle(number, frame):
            signal.signal(number, signal.SIG_DFL)  # for a second one
            self._terminated = True

        before = signal.signal(signal.SIGTERM, handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    # === Files ===

    def _save(self, epoch, batch, metrics):
        if not math.isfinite(metrics.get("loss", 0.0)):
            return  # the checkpoint before it is better
        now = time.monotonic()
        self._saved_at = now
        for variable, whole in self._rows:
            whole.assign(workers().gather(variable, whole.shape[0]))
        if not workers().chief:
            return
        self._state.value = {
            "format": FORMAT,
            "run": self.run,
            "epoch": epoch,
            "batch": batch,
            "stopped": self.model.stop_training or epoch >= self.params["epochs"],
            "seconds": self.seconds_before + now - self._start,
            "random": random_state(),
            "callbacks": [
                (type(each).__name__, callback_state(each, initial))
                for each, initial in zip(self._listeners, self._initial, strict=True)
            ],
        }
        try:
            self._manager.save()
        except Exception as error:  # of TensorFlow or of the system
            problem = disk_problem(error, self.folder)
            if problem is None:
                raise
            earlier = "the checkpoint before it is kept" if self._manager.checkpoints else "there is none yet"
            print_message(
                f"warning: no checkpoint was written after {epoch} epochs and {batch} batches. {problem}. "
                f"Training continues; {earlier}."
            )
        self._remove_unfinished()

    def _remove_unfinished(self):
        """Remove what a save has left that was killed or that failed."""
        known = {Path(path).name for path in self._manager.checkpoints}
        for path in self.folder.glob("checkpoint-*"):
            if path.name.partition(".")[0].partition("_")[0] not in known:
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()

    def _restore(self):
        import tensorflow as tf

        path, state = self._found
        try:
            if workers().chief:
                self._checkpoint.restore(path).assert_consumed()
        except (ValueError, AssertionError, tf.errors.InvalidArgumentError) as error:
            raise InputError(
                f"the checkpoint in {self.folder} does not fit this model: give --fresh "
                "(fresh=True) to start over"
            ) from error
        workers().broadcast(self._variables)
        for variable, whole in self._rows:
            first, _ = workers().share(whole.shape[0])
            variable.assign(whole[first : first + variable.shape[0]])
        self.seconds_before = state["seconds"]
        set_random_state(state["random"])
        for callback, saved in self._saved_states():
            set_callback_state(callback, saved)
        if state["stopped"]:
            self.model.stop_training = True

    def _saved_states(self):
        """The callbacks that have a state in the checkpoint, each with it. Others start without one."""
        now = list(self._listeners)
        found = []
        for name, saved in self._found[1]["callbacks"]:
            callback = next((each for each in now if type(each).__name__ == name), None)
            if callback is not None:
                now.remove(callback)
                found.append((callback, saved))
            else:
                expect(not saved, f"the run in {self.folder} had a callback {name}: pass one to resume it")
        return found

    def _check_model(self):
        """Refuse what Keras does at the end of `fit`, which is called twice to resume."""
        expect(
            not getattr(self.model.optimizer, "use_ema", False),
            "the optimizer has use_ema=True, which a checkpoint does not support: give "
            "fit(average=AverageSteps(decay=0.999)) instead",
        )
        expect(
            self.model.steps_per_execution == 1,
            f"steps_per_execution is {self.model.steps_per_execution}: with a checkpoint, it must be 1",
        )

    def _make_manager(self):
        import tensorflow as tf

        model = self.model
        build_for_training(model, _shapes(model, self._data))
        # Of variables of which each worker has some rows, all rows are saved.
        rows = getattr(model, "row_variables", []) if workers().size > 1 else []
        self._rows = [(v.value, tf.Variable(tf.zeros([count, *v.shape[1:]], v.dtype))) for v, count in rows]
        wholes = {id(own): whole for own, whole in self._rows}
        variables = [*model.variables, *model.optimizer.variables, *model.metrics_variables]
        self._variables = [wholes.get(id(v.value), v.value) for v in variables]
        if not workers().chief:
            return None

        class State(tf.train.experimental.PythonState):
            value: Any = None

            def serialize(self):
                return pack(self.value)

            def deserialize(self, data):
                self.value = unpack(data)

        self._state = State()
        self._checkpoint = tf.train.Checkpoint(variables=self._variables, state=self._state)
        return tf.train.CheckpointManager(
            self._checkpoint, self.folder, max_to_keep=2, checkpoint_name="checkpoint"
        )

    def _newest(self):
        """The path and the state of the newest checkpoint that can be read, or None if there is none."""
        import tensorflow as tf

        numbers = [path.stem.rpartition("-")[2] for path in self.folder.glob("checkpoint-*.index")]
        for number in sorted(map(int, filter(str.isdigit, numbers)), reverse=True):
            path = str(self.folder / f"checkpoint-{number}")
            try:
                reader = tf.train.load_checkpoint(path)
                # Reading compares checksums.
                values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
                [state] = [value for name, value in values.items() if name.startswith("state/")]
                return path, unpack(state)
            except Exception as error:  # TensorFlow raises many kinds
                print_message(f"warning: the checkpoint {path} cannot be read ({type(error).__name__}).")
        expect(
            not numbers,
            f"no checkpoint in {self.folder} can be read: give --fresh (fresh=True) to start over",
        )
        return None

    def _check_run(self, saved, by_data):
        names = [name for name in {**saved, **self.run} if saved.get(name) != self.run.get(name)]
        if "data" in names:
            names = [name for name in names if name not in by_data]
        differences = [
            "the data have changed"
            if name == "data"
            else f"{name} was {saved.get(name)!r} and is {self.run.get(name)!r}"
            for name in names
        ]
        expect(
            not names,
            f"{self.folder} has an unfinished run that is not this one: {'; '.join(differences)}. Give the "
            "same data and options to resume it, another --name (another folder) to keep it, or --fresh "
            "(fresh=True) to start over",
        )


def _exit_if(terminated):
    if terminated:
        print_message("Terminated. Give the same command again to resume.")
        raise SystemExit(TERMINATED)


def _shapes(model, data):
    """The shapes of a batch that reaches the model, as `keras.KerasTensor`s."""
    if hasattr(model, "preprocess_samples"):  # a task, which tokenizes strings
        data = data.map(model.preprocess_samples)

    def shape(spec):
        rows, *others = spec.shape
        return keras.KerasTensor((rows and workers().local_rows(rows), *others), spec.dtype.name)

    return keras.tree.map_structure(shape, data.element_spec)
