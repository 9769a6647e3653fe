"""The ports of a server: bound before models are loaded, so that one in use is an error at once."""

import socket
from collections.abc import Mapping
from contextlib import ExitStack

from textrnn.errors import InputError


def bind(host: str, ports: Mapping[str, int]) -> dict[str, socket.socket]:
    """Return sockets that are bound to ports, and do not listen yet.

    Args:
        host: Address, such as `127.0.0.1`.
        ports: The ports by the options that they are from; 0 for any.

    Raises:
        InputError: If a port is in use.

    Example:

    >>> from textrnn.server.ports import bind
    >>> with bind("127.0.0.1", {"--port": 0})["--port"] as bound:
    ...     bound.getsockname()[1] > 0
    True
    """
    with ExitStack() as opened:
        bound = {}
        for flag, port in ports.items():
            one = opened.enter_context(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET))
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                one.bind((host, port))
            except OSError:
                raise in_use(flag, host, port) from None
            bound[flag] = one
        opened.pop_all()
    return bound


def address(host: str, port: int) -> str:
    """Return host and port in one.

    Example:

    >>> from textrnn.server.ports import address
    >>> address("127.0.0.1", 8500), address("::1", 8500)
    ('127.0.0.1:8500', '[::1]:8500')
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def in_use(flag: str, host: str, port: int) -> InputError:
    """Return the error about a port that cannot be listened on."""
    where = address(host, port)
    return InputError(
        f"{flag} {port}: cannot listen on {where}; another server may use it. Give another port"
    )
