"""The client of asynchronous programs."""

import asyncio
from asyncio import sleep
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import cached_property
from importlib import import_module
from typing import Any

from textrnn.client.calls import missing_signature_named
from textrnn.client.methods import ClientMethods
from textrnn.client.prompt import Prompt, next_step
from textrnn.client.retries import Attempts
from textrnn.errors import ServerError


class AsyncClient(ClientMethods):
    """An asynchronous client of TF Serving or `textrnn serve`, for one event loop.

    Its methods and arguments are those of `textrnn.client.ClientMethods`.

    Example:

    >>> import asyncio
    >>> async def classify(texts):
    ...     async with textrnn.AsyncClient("http://localhost:8501", model="reviews") as client:
    ...         return await asyncio.gather(*map(client.classify, texts))
    >>> len(asyncio.run(classify(["Dull.", "A joy."])))
    2
    """

    @cached_property
    def transport(self) -> Any:
        """How requests are sent."""
        if self.address.target is None:
            from textrnn.client.rest_transports import AsyncRestTransport

            return AsyncRestTransport(self.address, self.headers)
        from textrnn.client.grpc_transports import AsyncGrpcTransport

        return AsyncGrpcTransport(self.address, self.headers)

    @cached_property
    def _grpc_loaded(self) -> asyncio.Future:
        """The import of gRPC and TensorFlow, in a thread, so that the event loop goes on."""
        return asyncio.ensure_future(asyncio.to_thread(import_module, "textrnn.client.grpc_transports"))

    async def _load(self, seconds):
        if self.address.target is None or "transport" in vars(self):
            return
        try:
            async with asyncio.timeout(seconds):
                await asyncio.shield(self._grpc_loaded)  # other requests wait for it too
        except TimeoutError:
            raise ServerError(
                f"{self.address.url} was not asked: loading TensorFlow, which gRPC needs, took longer than "
                f"{seconds:.3g} s. Give a larger timeout, or an address of REST",
                "DEADLINE_EXCEEDED",
            ) from None

    async def _ask(self, model, question):
        name = self._name(model)
        if question.is_empty:
            return []
        attempts = await self._attempts()
        if question.check is not None and name not in self._checked:
            await self._predict(name, question.check, attempts)
            self._checked.add(name)
        return question.answer(await self._predict(name, question.call, attempts))

    async def _attempts(self):
        attempts = Attempts(self.retries, self.timeout)
        await self._load(attempts.remaining())
        return attempts

    async def _predict(self, model, call, attempts):
        with missing_signature_named(model, call):
            return await self._retried(lambda seconds: self.transport.predict(model, call, seconds), attempts)

    async def _retried(self, request, attempts):
        while True:
            try:
                return await request(attempts.remaining())
            except ServerError as error:
                await sleep(attempts.pause(error))

    async def _pieces(self, model: str, prompt: Prompt) -> AsyncIterator[str]:
        attempts = await self._attempts()
        try:
            events = await self._retried(
                lambda _: self.transport.stream(model, prompt.body(), self.timeout), attempts
            )
        except ServerError as error:
            if error.code != "UNIMPLEMENTED":
                raise
            async for piece in self._advanced(model, prompt):
                yield piece
        else:
            async with aclosing(events):
                async for event in events:
                    if event["text"]:
                        yield event["text"]

    async def _advanced(self, model, prompt):
        steps, found = prompt.steps(), None
        while (step := next_step(steps, found)) is not None:
            found = None
            if isinstance(step, str):
                yield step
            else:
                found = await self._predict(model, step, await self._attempts())

    async def close(self) -> None:
        """Close the connections."""
        if "transport" in vars(self):
            await self.transport.close()

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()
