"""The client of programs that wait for each answer."""

from collections.abc import Iterator
from contextlib import closing
from functools import cached_property
from time import sleep
from typing import Any

from textrnn.client.calls import missing_signature_named
from textrnn.client.methods import ClientMethods
from textrnn.client.prompt import Prompt, next_step
from textrnn.client.retries import Attempts
from textrnn.errors import ServerError


class Client(ClientMethods):
    """A client of TF Serving or `textrnn serve`. Several threads may use it.

    Its methods and arguments are those of `textrnn.client.ClientMethods`.

    Example:

    >>> with textrnn.Client("http://localhost:8501", model="novel") as client:
    ...     text = client.generate("It was a")
    >>> text.startswith("It was a")
    True
    >>> with textrnn.Client("grpc://localhost:8500", model="reviews") as client:
    ...     len(client.classify(["Dull.", "A joy."]))
    2
    """

    @cached_property
    def transport(self) -> Any:
        """How requests are sent."""
        if self.address.target is None:
            from textrnn.client.rest_transports import RestTransport

            return RestTransport(self.address, self.headers)
        from textrnn.client.grpc_transports import GrpcTransport

        return GrpcTransport(self.address, self.headers)

    def _ask(self, model, question):
        name = self._name(model)
        if question.is_empty:
            return []
        attempts = self._attempts()
        if question.check is not None and name not in self._checked:
            self._predict(name, question.check, attempts)
            self._checked.add(name)
        return question.answer(self._predict(name, question.call, attempts))

    def _attempts(self):
        _ = self.transport  # it may load TensorFlow, which the time limit does not count
        return Attempts(self.retries, self.timeout)

    def _predict(self, model, call, attempts):
        with missing_signature_named(model, call):
            return self._retried(lambda seconds: self.transport.predict(model, call, seconds), attempts)

    def _retried(self, request, attempts):
        while True:
            try:
                return request(attempts.remaining())
            except ServerError as error:
                sleep(attempts.pause(error))

    def _pieces(self, model: str, prompt: Prompt) -> Iterator[str]:
        attempts = self._attempts()
        try:
            events = self._retried(
                lambda _: self.transport.stream(model, prompt.body(), self.timeout), attempts
            )
        except ServerError as error:
            if error.code != "UNIMPLEMENTED":
                raise
            yield from self._advanced(model, prompt)
        else:
            with closing(events):
                for event in events:
                    if event["text"]:
                        yield event["text"]

    def _advanced(self, model, prompt):
        steps, found = prompt.steps(), None
        while (step := next_step(steps, found)) is not None:
            found = None
            if isinstance(step, str):
                yield step
            else:
                found = self._predict(model, step, self._attempts())

    def close(self) -> None:
        """Close the connections."""
        if "transport" in vars(self):
            self.transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
