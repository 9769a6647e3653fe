"""The address of a server, and the name of a model."""

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from textrnn.errors import InputError, expect

GRPC_PORT = 8500
"""The port of TF Serving's Docker image."""
MODEL = re.compile(r"(?P<name>[^/:]+)(?:/versions/(?P<version>[0-9]{1,18})|/labels/(?P<label>[^/:]+))?")


class Address(NamedTuple):
    """The address of a server.

    Attributes:
        url: As it was given, for messages and for REST; without a `/v1` at its end.
        target: Host and port, for gRPC; None for REST.
        secure: Whether the connection is encrypted.
    """

    url: str
    target: str | None
    secure: bool


def parse_url(url: str) -> Address:
    """Parse the address of a server.

    Raises:
        InputError: If it is none.

    Example:

    >>> from textrnn.client.address import parse_url
    >>> parse_url("grpc://localhost").target, parse_url("http://server:8501/").target
    ('localhost:8500', None)
    >>> parse_url("http://server:8501/v1").url
    'http://server:8501'
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except (AttributeError, TypeError, ValueError):
        raise _not_a_url(url) from None
    if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.hostname:
        raise _not_a_url(url)
    secure = parts.scheme in ("https", "grpcs")
    if parts.scheme in ("http", "https"):
        base = url.rstrip("/").removesuffix("/v1")  # which is the address for clients of OpenAI
        return Address(base.rstrip("/"), None, secure)
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Address(url, f"{host}:{port or GRPC_PORT}", secure)


def parse_model(model: str | None) -> re.Match:
    """Parse the name of a model, which may name a version or a label.

    Raises:
        InputError: If it is none.

    Example:

    >>> from textrnn.client.address import parse_model
    >>> parse_model("novel/versions/2").groupdict()
    {'name': 'novel', 'version': '2', 'label': None}
    """
    expect(model is not None, "no model is named: give model=NAME to the client, or to this call")
    found = MODEL.fullmatch(model) if isinstance(model, str) else None
    if found is None:
        raise InputError(
            f"model is {model!r:.80}: expected NAME, NAME/versions/NUMBER or NAME/labels/LABEL, such as "
            "'novel' or 'novel/versions/2'"
        )
    return found


def _not_a_url(url):
    return InputError(
        f"url is {url!r:.80}: expected http://HOST:PORT for REST, such as http://localhost:8501, or "
        "grpc://HOST:PORT for gRPC, such as grpc://localhost:8500"
    )
