"""The client of programs that wait for each answer."""

from collections.abc import Iterator
from contextlib import closing
from functools import cached_property
from time import sleep
from typing import Any

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
        return [] if question.is_empty else question.answer(self._predict(name, question.call))

    def _predict(self, model, call):
        return self._retried(lambda transport, seconds: transport.predict(model, call, seconds))

    def _retried(self, request):
        transport = self.transport  # it may load TensorFlow, which the time limit does not count
        attempts = Attempts(self.retries, self.timeout)
        while True:
            try:
                return request(transport, attempts.remaining())
            except ServerError as error:
                sleep(attempts.pause(error))

    def _pieces(self, model: str, prompt: Prompt) -> Iterator[str]:
        try:
            events = self._retried(lambda transport, seconds: transport.stream(model, prompt.body(), seconds))
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
                found = self._predict(model, step)

    def close(self) -> None:
        """Close the connections."""
        if "transport" in vars(self):
            self.transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
