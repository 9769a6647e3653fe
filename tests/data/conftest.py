"""A web server, and empty folders in place of the user's data and cache."""

import functools
import http.server
import threading
from types import SimpleNamespace

import pytest


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder, and records the paths requested."""

    def log_message(self, format, *args):
        pass

    def do_GET(self):
        self.server.requests.append(self.path)
        super().do_GET()


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """The folders that TEXTRNN_DATA and TEXTRNN_CACHE name; neither exists."""
    data, cache = tmp_path / "data", tmp_path / "cache"
    monkeypatch.setenv("TEXTRNN_DATA", str(data))
    monkeypatch.setenv("TEXTRNN_CACHE", str(cache))
    return SimpleNamespace(data=data, cache=cache)


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """A local web server: its `folder`, its `url`, and the `requests` it has had."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    folder = tmp_path / "remote"
    folder.mkdir()
    handler = functools.partial(QuietHandler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.requests = []
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield SimpleNamespace(
            folder=folder, url=f"http://127.0.0.1:{server.server_port}", requests=server.requests
        )
        server.shutdown()
        thread.join()
