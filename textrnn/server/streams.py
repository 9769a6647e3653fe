"""Continuous batching: texts that are generated at the same time, which join and leave at any token.

A recurrent state is small and of constant size, so the states of all running texts are rows of a few arrays.
Each iteration reads the prompts of new texts, advances all rows by some tokens in one call of the model, and
drops those that have ended.
"""

import copy
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from textrnn.server.errors import RequestError, invalid
from textrnn.server.metrics import Metrics
from textrnn.server.models import Models
from textrnn.server.servable import Servable
from textrnn.serving.running_text import RunningText, padded

NEEDED = ("read", "advance", "detokenize")
"""The signatures of a model whose texts can be streamed."""

MANY = 16
"""Texts from which on an iteration has up to four times as many tokens, since sending them takes time."""
MANY_ROWS = 32
"""Streams whose steps are computed in several threads."""
LONG_PROMPT = 2**13
"""Characters of a prompt that is read by itself, or the others would be padded to its length."""
LOW_BITS = 2**31 - 1
"""The bits of seeds."""
LONGEST_ITERATION = 0.1
"""Seconds of such an iteration at most, since a new text waits for its end."""


class Piece(NamedTuple):
    """What a text has gained in an iteration.

    Attributes:
        text: The new text.
        tokens: How many tokens the text has so far; at a stop text, those after which it was certain.
        reason: Why the text has ended: `"stop"` or `"length"`; None while it goes on.
        error: Why it cannot go on, a `RequestError`, or None.
    """

    text: str
    tokens: int
    reason: str | None = None
    error: RequestError | None = None


@dataclass
class Prompt:
    """A text to be generated.

    Attributes:
        text: The prompt.
        receiver: Whom its pieces are for; `emit` is told.
        emit: A function of a list of pairs, a receiver and a `Piece`. It is called in another thread, once
            for all texts of an iteration that have the same function, and must not wait.
        max_new_tokens: Maximum number of tokens.
        temperature, top_k, top_p, seed: As for the signature `generate`; negative for the model's own.
        stop: Texts before which the text ends.
        choice: Added to the seed, also to the model's own: the number of a text among several of one prompt.
        tokens: The number of its tokens once it has been read, or None if the model does not count them.
        cancelled: To be set by a client that leaves.
    """

    text: str
    receiver: Any
    emit: Callable[[list[tuple[Any, Piece]]], None]
    max_new_tokens: int = 100
    temperature: float = -1.0
    top_k: int = -1
    top_p: float = -1.0
    seed: int = -1
    stop: tuple[str, ...] = ()
    choice: int = 0
    tokens: int | None = None
    cancelled: bool = False


class _Row:
    """A running text."""

    def __init__(self, prompt: Prompt, last_token: int):
        self.prompt = prompt
        self.text = RunningText(last_token, prompt.stop, prompt.text.endswith(" "))

    @property
    def count(self) -> int:
        """The number of its tokens."""
        return self.text.count

    @property
    def left(self) -> int:
        """The number of tokens that it may still get."""
        return self.prompt.max_new_tokens - self.count


class Streams:
    """The running texts of all models.

    Args:
        models: The `Models`.
        metrics: `Metrics`.
        max_rows: Texts of a model at a time; others wait.
        max_waiting: Texts that may wait; more are refused.
        text_bytes: Maximum size of a prompt.
        tokens_per_iteration: Tokens of each text in an iteration, once it has its first one; up to four times
            as many if many texts run.
    """

    def __init__(
        self, models: Models, metrics: Metrics, max_rows: int = 64, max_waiting: int = 1024,
        text_bytes: int = 2**17, tokens_per_iteration: int = 8,
    ):  # fmt: skip
        self.models, self.metrics = models, metrics
        self.max_rows, self.max_waiting, self.text_bytes = max_rows, max_waiting, text_bytes
        self.tokens_per_iteration = tokens_per_iteration
        self._batches: dict[int, _Batch] = {}
        self._lock = threading.Lock()
        self._stopped = False

    def submit(self, prompt: Prompt, name: str, version: int | None = None, label: str | None = None) -> int:
        """Begin to generate a text.

        Returns:
            The version of the model.

        Raises:
            RequestError: If there is no such model, if it streams no texts, if the prompt is too long, or if
                too many texts wait.
        """
        with self.models.use(name, version, label) as servable:
            missing = [signature for signature in NEEDED if signature not in servable.signatures]
            if missing:
                raise invalid(f"{name} generates no text in parts: it has no signature {missing[0]}")
            size = len(_bytes(prompt.text))
            if size > self.text_bytes:
                raise invalid(f"the prompt has {size} bytes, and the server takes {self.text_bytes}")
            with self._lock:
                if self._stopped:
                    raise RequestError("UNAVAILABLE", "the server is shutting down")
                batch = self._batches.get(id(servable))
                if batch is None:
                    batch = self._batches[id(servable)] = _Batch(self, servable)
                batch.add(prompt)
            return servable.version

    def take(self, batch: "_Batch", most: int) -> list[Prompt]:
        """Take waiting texts from a batch, the first ones; of those with a long prompt, one at a time.

        Those whose clients have left wait no longer.
        """
        taken: list[Prompt] = []
        left: list[Prompt] = []
        with self._lock:
            for prompt in [waiting for waiting in batch.waiting if not waiting.cancelled]:
                first = not (_is_long(prompt) and any(map(_is_long, taken)))
                (taken if len(taken) < most and first else left).append(prompt)
            batch.waiting[:] = left
        return taken

    def ended(self, batch: "_Batch") -> bool:
        """Forget a batch if it has nothing to do; called by its thread."""
        with self._lock:
            if batch.waiting:
                return False
            del self._batches[id(batch.servable)]
            return True

    def failed(self, batch: "_Batch") -> list[Prompt]:
        """Forget a batch that cannot go on, and return the texts that wait; called by its thread."""
        with self._lock:
            del self._batches[id(batch.servable)]
            return batch.waiting

    def stop(self, timeout: float | None = None) -> None:
        """End all texts with an error."""
        with self._lock:
            self._stopped = True
            batches = [*self._batches.values()]
        for batch in batches:
            batch.cancel()
        for batch in batches:
            batch.thread.join(timeout)


class _Batch:
    """The running texts of one version of a model, in a thread of their own while there are any.

    It holds the version from the first text on: the request that has brought it may be over before the thread
    runs, and then the version could be unloaded.
    """

    def __init__(self, streams: Streams, servable: Servable):
        self.streams, self.servable = streams, servable
        servable.hold()
        self.waiting: list[Prompt] = []
        self._joining: list[Prompt] = []
        self._rows: list[_Row] = []
        self._arrays: dict[str, np.ndarray] = {}
        self._step_seconds = 0.0  # of the last iteration with as many texts
        self._carried = [name for name in servable.signature("read").outputs if name.startswith("carried_")]
        self.thread = threading.Thread(target=self._run, name=f"streams-{servable.name}", daemon=True)

    def add(self, prompt: Prompt) -> None:
        """Let a text wait for the next iteration."""
        self.waiting[:] = [waiting for waiting in self.waiting if not waiting.cancelled]
        if len(self.waiting) >= self.streams.max_waiting:
            raise RequestError(
                "RESOURCE_EXHAUSTED", f"{len(self.waiting)} texts wait already: try again later"
            )
        self.waiting.append(prompt)
        if not self.thread.is_alive():
            self.thread.start()

    def cancel(self) -> None:
        """Cancel all texts, and tell their clients."""
        prompts = [*self.waiting, *self._joining, *(row.prompt for row in self._rows)]
        running = [prompt for prompt in prompts if not prompt.cancelled]
        for prompt in running:
            prompt.cancelled = True
        error = RequestError("UNAVAILABLE", "the server is shutting down")
        _emit([(prompt, Piece("", 0, error=error)) for prompt in running])

    def _run(self):
        try:
            while True:
                self._join()
                self._keep([not row.prompt.cancelled for row in self._rows])
                if self._rows:
                    self._iterate()
                elif self.streams.ended(self):
                    break
        except Exception as error:  # without an end, their clients would wait for ever
            failure = RequestError("INTERNAL", f"{type(error).__name__}: {error}")
            prompts = [row.prompt for row in self._rows] + self._joining + self.streams.failed(self)
            _emit([(prompt, Piece("", 0, error=failure)) for prompt in prompts])
            raise
        finally:
            self.streams.metrics.streams(self.servable.name, 0)
            self.servable.release()

    def _join(self):
        """Read the prompts of waiting texts, and make rows of them."""
        self._joining = taken = self.streams.take(self, self.streams.max_rows - len(self._rows))
        if short := [prompt for prompt in taken if not _is_long(prompt)]:
            self._join_all(short)
        for prompt in filter(_is_long, taken):
            self._join_one(prompt)
        self._joining = []

    def _join_all(self, taken):
        try:
            found = self._read(taken)
        except RequestError as error:
            if len(taken) == 1:
                _emit([(taken[0], Piece("", 0, error=error))])
                return
            for prompt in taken:  # the error is that of one of them
                self._join_one(prompt)
            return
        self._append(taken, found)

    def _join_one(self, prompt):
        try:
            self._append([prompt], self._read([prompt]))
        except RequestError as error:
            _emit([(prompt, Piece("", 0, error=error))])

    def _read(self, prompts):
        texts = np.empty(len(prompts), object)
        texts[:] = [_bytes(prompt.text) for prompt in prompts]
        seeds = np.array([prompt.seed for prompt in prompts], np.int64)
        return self.servable.run("read", {"text": texts, "seed": seeds})

    def _append(self, prompts, found):
        new = {name: found[name] for name in ("token_ids", *self._carried)}
        choices = np.array([prompt.choice for prompt in prompts], np.int64)
        seeds = np.where(choices > 0, (found["seed"] + choices) & LOW_BITS, found["seed"])
        new["seed"] = seeds.astype(np.int32)
        if "prompt_tokens" in found:  # exports of earlier versions do not count
            for prompt, count in zip(prompts, found["prompt_tokens"].tolist(), strict=True):
                prompt.tokens = count
        for name, kind in (("temperature", np.float32), ("top_k", np.int32), ("top_p", np.float32)):
            new[name] = np.array([getattr(prompt, name) for prompt in prompts], kind)
        if self._rows:
            new = {name: np.concatenate([self._arrays[name], array]) for name, array in new.items()}
        self._arrays = new
        last_tokens = found["token_ids"].tolist()
        self._rows += [_Row(prompt, token) for prompt, token in zip(prompts, last_tokens, strict=True)]
        self.streams.metrics.streams(self.servable.name, len(self._rows))

    def _keep(self, kept):
        """Drop the rows that are not kept."""
        if all(kept):
            return
        self._rows = [row for row, keep in zip(self._rows, kept, strict=True) if keep]
        self._arrays = {name: array[kept] for name, array in self._arrays.items()}
        self.streams.metrics.streams(self.servable.name, len(self._rows))

    def _iterate(self):
        most = self._most_steps()
        start = time.perf_counter()
        steps = np.array([min(most, row.left) for row in self._rows], np.int32)
        index = np.array([row.count for row in self._rows], np.int32)
        try:
            inputs = self._arrays | {"index": index, "steps": steps}
            found = self.servable.run("advance", inputs, several_threads=len(steps) >= MANY_ROWS)
            for row, tokens, count in zip(self._rows, found["tokens"], found["count"], strict=True):
                row.text.tokens += tokens[:count].tolist()
            pieces = self._pieces(index.tolist(), found["finished"].tolist())
        except RequestError as error:
            _emit([(row.prompt, Piece("", row.count, error=error)) for row in self._rows])
            self._keep([False] * len(self._rows))
            return
        self._step_seconds = (time.perf_counter() - start) / max(1, int(steps.max()))
        self._arrays |= {name: found[name] for name in ("token_ids", *self._carried)}
        self.streams.metrics.tokens(self.servable.name, int(found["count"].sum()))
        pairs = zip(self._rows, pieces, strict=True)
        _emit([(row.prompt, piece) for row, piece in pairs if piece.text or piece.reason])
        self._keep([piece.reason is None for piece in pieces])

    def _pieces(self, counts, finished):
        """What each row has gained since it had so many tokens."""
        decoded = self._decoded([row.text for row in self._rows])
        pieces = []
        for row, count, stopped, (before, text) in zip(self._rows, counts, finished, decoded, strict=True):
            ended = "stop" if stopped else "length" if row.left <= 0 else None
            earlier = copy.copy(row.text)
            sent, reason = row.text.take(before, text, ended)
            stops = reason == "stop" and row.prompt.stop
            tokens = self._count_to_stop(earlier, count) if stops else row.count
            pieces.append(Piece(sent, tokens, reason))
        return pieces

    def _count_to_stop(self, text, count):
        """How many tokens a text needed until a stop text ended it; the iteration may have added more."""
        parts = [text.first(number) for number in range(count + 1, text.count)]
        for part, (before, new) in zip(parts, self._decoded(parts), strict=True):
            if part.take(before, new, None)[1]:
                return part.count
        return text.count

    def _most_steps(self):
        """How many tokens a text gets in an iteration at most."""
        if not all(row.count for row in self._rows):
            return 1  # a text that has just begun gets its first token soon
        usual = self.streams.tokens_per_iteration
        times = (4, 2) if len(self._rows) >= MANY else ()
        return next((n * usual for n in times if n * usual * self._step_seconds <= LONGEST_ITERATION), usual)

    def _decoded(self, texts):
        """For each text, the arguments of its `take`."""
        lists = [tokens for text in texts for tokens in text.undecoded()]
        if not lists:
            return []
        decoded = self.servable.run("detokenize", {"token_ids": padded(lists)})["text"]
        found = [text.decode("utf-8", "replace") for text in decoded]
        return [*zip(found[::2], found[1::2], strict=True)]


def _is_long(prompt):
    return len(prompt.text) > LONG_PROMPT


def _bytes(text):
    return text.encode("utf-8", "surrogatepass")  # as in other requests


def _emit(pieces):
    """Emit pieces of prompts. Each call may wake another thread, which then keeps this one waiting."""
    by_function: dict[Callable, list] = {}
    for prompt, piece in pieces:
        by_function.setdefault(prompt.emit, []).append((prompt.receiver, piece))
    for emit, received in by_function.items():
        emit(received)
