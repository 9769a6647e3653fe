"""Servers in processes of their own: when they answer, and the memory that they take."""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import harness
from served.client import run_load

FASTAPI = Path(__file__).with_name("fastapi_app.py")


def textrnn_serve(folders, *flags):
    """The command of `textrnn serve` over folders of models, with `PORT` for its port."""
    return [sys.executable, "-m", "textrnn", "serve", *map(str, folders),
            "--rest_api_port", "PORT", "--port", "0", *flags]  # fmt: skip


class Served:
    """A server that has answered a request.

    Args:
        command: Its command, a list in which `PORT` is its port.
        request: The bytes of a request that it can answer.

    Attributes:
        port: Its port.
        seconds: Seconds from the command to the first answer.

    Raises:
        RuntimeError: If it ends, or does not answer within five minutes.
    """

    def __init__(self, command, request):
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [str(self.port) if part == "PORT" else part for part in command]
        environment = os.environ | {"PYTHONPATH": str(harness.CHECKOUT), "CUDA_VISIBLE_DEVICES": "-1"}
        self._log = tempfile.TemporaryFile("w+")  # noqa: SIM115, it is open while the server runs
        start = time.perf_counter()
        self.process = subprocess.Popen(command, stdout=self._log, stderr=self._log, env=environment)
        try:
            while not self._answers(request):
                if self.process.poll() is not None or time.perf_counter() > start + 300:
                    self._log.seek(0)
                    log = self._log.read()[-2000:]
                    raise RuntimeError(f"{' '.join(command)} does not answer:\n{log}")
                time.sleep(0.02)
        except BaseException:
            self.stop()
            raise
        self.seconds = time.perf_counter() - start

    def _answers(self, request):
        try:
            return bool(run_load(self.port, iter([request]), 1, 0).latencies)
        except OSError:
            return False

    @property
    def memory(self):
        """Its resident memory in megabytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text("ascii")
        return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) / 1024

    def stop(self):
        """End it."""
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._log.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
