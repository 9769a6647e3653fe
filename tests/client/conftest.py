"""Clients of a server of small models, and a transport that pretends."""

import asyncio

import httpx
import pytest

import textrnn
from textrnn.client.rest_transports import AsyncRestTransport, RestTransport


class Awaited:
    """An `AsyncClient` whose answers are waited for, so that one test is for both clients."""

    def __init__(self, client):
        self.client, self._runner = client, asyncio.Runner()

    def __getattr__(self, name):
        method = getattr(self.client, name)
        return lambda *args, **options: self._runner.run(_answer(method(*args, **options)))

    def __exit__(self, *_):
        self.close()
        self._runner.close()

    def __enter__(self):
        return self


async def _answer(found):
    return [piece async for piece in found] if hasattr(found, "__aiter__") else await found


@pytest.fixture(params=["sync", "async"])
def make_client(request):
    """A function that makes a client of either kind; its argument `answer` stands for a server."""
    made = []

    def make(*args, answer=None, **options):
        sync = request.param == "sync"
        client = (textrnn.Client if sync else textrnn.AsyncClient)(*args, **options)
        if answer is not None:
            kind = RestTransport if sync else AsyncRestTransport
            fake = httpx.MockTransport(answer)
            client.transport = kind(client.address, client.headers, transport=fake)
        made.append(client if sync else Awaited(client))
        return made[-1]

    yield make
    for client in made:
        with client:
            pass
