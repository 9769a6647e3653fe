"""Waiting until all workers have started, before TensorFlow connects them.

TensorFlow waits too, but it cannot be interrupted meanwhile, and does not say for whom it waits.
"""

import contextlib
import socket
import sys
import time

from textrnn.errors import WorkerLost

_PAUSE = 0.2  # seconds between attempts to reach the chief


def meet(rank, addresses, patience=600.0):
    """Wait until every worker is here. The chief listens at its address, and the others call it.

    Args:
        rank: The number of this worker. The chief is worker 0.
        addresses: `host:port` of each worker.
        patience: Maximum number of seconds to wait.

    Raises:
        WorkerLost: If a worker has not come by then, or if the chief cannot listen at its port.

    Example:

    >>> from textrnn.training.rendezvous import meet
    >>> meet(0, ["localhost:0"])
    """
    until = time.monotonic() + patience
    if rank == 0:
        _welcome(addresses, until)
    else:
        _arrive(rank, addresses, until)


def _welcome(addresses, until):
    """Wait for a call of each other worker, and answer all of them."""
    port = int(addresses[0].rpartition(":")[2])
    missing, calls = set(range(1, len(addresses))), contextlib.ExitStack()
    with calls:
        try:
            listener = calls.enter_context(socket.create_server(("", port)))
        except OSError as error:
            raise WorkerLost(f"worker 0 cannot listen at port {port}: {error.strerror}") from error
        listener.settimeout(1)
        announce, arrived = time.monotonic() + 5, {}
        while missing:
            names = ", ".join(f"worker {rank} ({addresses[rank]})" for rank in sorted(missing))
            if time.monotonic() > until:
                raise WorkerLost(f"{names} has not come: start all workers, at the addresses of TF_CONFIG")
            if time.monotonic() > announce:
                announce = until
                print(f"waiting for {names}", file=sys.stderr, flush=True)
            with contextlib.suppress(TimeoutError):
                call, _ = listener.accept()
                call.settimeout(5)
                with contextlib.suppress(OSError, ValueError):
                    rank = int(call.makefile().readline())
                    arrived[rank] = calls.enter_context(call)
                    missing.discard(rank)
        for call in arrived.values():
            with contextlib.suppress(OSError):  # it has ended meanwhile, which TensorFlow will find
                call.sendall(b"go\n")


def _arrive(rank, addresses, until):
    """Call the chief, again and again, until it answers."""
    host, _, port = addresses[0].rpartition(":")
    while time.monotonic() < until:
        with contextlib.suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), 5) as call:
            call.sendall(f"{rank}\n".encode())
            call.settimeout(max(until - time.monotonic(), 0.1))
            if call.makefile().readline() == "go\n":
                return
        time.sleep(_PAUSE)
    raise WorkerLost(
        f"worker 0 ({addresses[0]}) has not come: start all workers, at the addresses of TF_CONFIG"
    )
