"""Starting workers on this machine: one process for each GPU."""

import json
import os
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager

from textrnn.cluster import MEMBER
from textrnn.errors import expect


def gpu_count():
    """The number of GPUs that TensorFlow sees.

    Example:

    >>> from textrnn.training.local_workers import gpu_count
    >>> gpu_count() >= 0
    True
    """
    from textrnn.startup import native_messages_hidden

    with native_messages_hidden():
        import tensorflow as tf

        return len(tf.config.list_physical_devices("GPU"))


@contextmanager
def started_workers():
    """Context manager in which one worker for each GPU runs this process's command line.

    It sets `TF_CONFIG` in this process, which is the first worker. In the others it does nothing. At the end
    it waits for them, or ends them after an exception.

    Raises:
        InputError: If this machine does not have two GPUs, or the process has no command line to repeat.
    """
    if MEMBER in os.environ:
        yield
        return
    count = gpu_count()
    expect(
        count > 1,
        f"--distribute mirrored: this machine has {count or 'no'} GPU{'' if count == 1 else 's'} for "
        "TensorFlow, and it takes two or more. Leave the option out",
    )
    command = [sys.executable, *sys.orig_argv[1:]]
    expect(
        len(command) > 1 and not hasattr(sys, "ps1"),
        "distributed('mirrored') repeats the command line of a script: write one, or start the workers "
        "yourself, with TF_CONFIG and 'multi_worker'",
    )
    addresses = [f"localhost:{port}" for port in _free_ports(count)]
    configs = [
        json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}})
        for index in range(count)
    ]
    with ExitStack() as stack:
        for config in configs[1:]:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, env={**os.environ, "TF_CONFIG": config, MEMBER: "1"}
            )
            stack.push(_ended(process))
        os.environ["TF_CONFIG"] = configs[0]
        stack.callback(os.environ.pop, "TF_CONFIG", None)
        yield


def _ended(process):
    """A context manager's `__exit__` that waits for a process, or ends it after an exception."""

    def end(kind, error, traceback):
        if kind is not None:
            process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    return end


def _free_ports(count):
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("localhost", 0))
        return [each.getsockname()[1] for each in sockets]
