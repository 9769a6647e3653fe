"""Requests of any bytes: each has an answer of HTTP or none, and the server lives.

Hypothesis makes them. Schemathesis sends only what a schema of the API allows or nearly allows, and atheris
needs longer runs than a test has.
"""

import contextlib
import re
import socket

from hypothesis import given, settings
from hypothesis import strategies as st

STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
verbs = st.sampled_from([b"POST", b"GET", b"HEAD", b"PUT", b"OPTIONS", b"post", b"", b"\x00"])
paths = st.sampled_from(
    [
        b"/v1/models/half_plus_two:predict",
        b"/v1/models/half_plus_two/versions/123:predict",
        b"/v1/models/half_plus_two/labels/stable:classify",
        b"/v1/models/half_plus_two",
        b"/v1/models/%00:predict",
        b"/v1/models/half_plus_two/versions/" + b"9" * 5000,
        b"/v1/completions",
        b"/monitoring/prometheus/metrics",
        b"/v1/models/half_plus_two:stream",
        b"//v1/../v1/models/half_plus_two/metadata",
        b"*",
        b"/?a=%ff",
        b"",
    ]
) | st.binary(max_size=30)
headers = st.lists(
    st.sampled_from(
        [
            b"Host: a",
            b"Content-Length: 2",
            b"Content-Length: -1",
            b"Content-Length: 99999999999999999999",
            b"Transfer-Encoding: chunked",
            b"Expect: 100-continue",
            b"Connection: close",
            b"Connection: Upgrade",
            b"Upgrade: websocket",
            b"Content-Encoding: gzip",
            b"Host",
            b": a",
            b"A: \xff\x00",
        ]
    )
    | st.binary(max_size=20),
    max_size=4,
)
bodies = st.sampled_from(
    [
        b"",
        b"{}",
        b'{"instances": [2]}',
        b'{"instances": [',
        b"2\r\n{}\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\n{}",
        b"-1\r\n",
        b'{"text": "a"}',
        b'{"model": "half_plus_two", "prompt": "a"}',
        b"[" * 3000,
    ]
) | st.binary(max_size=60)
whole = st.tuples(
    verbs, paths, st.sampled_from([b"HTTP/1.1", b"HTTP/1.0", b"HTTP/9.9", b""]), headers, bodies
)


def written(parts):
    """The bytes of a request."""
    verb, path, version, lines, body = parts
    return b"\r\n".join([b" ".join([verb, path, version]), *lines, b"", body])


@settings(max_examples=150, deadline=None)
@given(
    data=st.binary(max_size=100) | whole.map(written) | st.lists(whole.map(written), max_size=3).map(b"".join)
)
def test_any_bytes_do_no_harm(server, rest, data):
    answer = b""
    with (
        contextlib.suppress(ConnectionError),
        socket.create_connection(("127.0.0.1", server.rest_port), timeout=20) as connection,
    ):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            answer += part
    statuses = [int(status) for status in STATUS.findall(answer)]
    assert bool(answer) == bool(statuses)
    assert not [status for status in statuses if status >= 500], answer
    assert rest.predict(instances=[2]) == (200, {"predictions": [3.0]})
