"""Errors of requests, with TF Serving's codes and their HTTP statuses."""

import re

from textrnn.serving.codes import HTTP_STATUSES

RETRY_AFTER = {429: 1, 503: 1}
"""Seconds after which a client may try again, by HTTP status."""


class RequestError(Exception):
    """An error of one request, which its client is told.

    Args:
        code: A name of `grpc.StatusCode`, such as `"INVALID_ARGUMENT"`.
        message: What was wrong.

    Example:

    >>> from textrnn.server.errors import RequestError
    >>> error = RequestError("NOT_FOUND", "Servable not found for request: Latest(novel)")
    >>> error.http_status, str(error)
    (404, 'Servable not found for request: Latest(novel)')
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code

    @property
    def http_status(self) -> int:
        """The status of a REST response."""
        return HTTP_STATUSES.get(self.code, 500)


def invalid(message: str) -> RequestError:
    """The error of a request that is not as it should be."""
    return RequestError("INVALID_ARGUMENT", message)


def of_tensorflow(error: Exception) -> RequestError:
    """The error of a request for one that TensorFlow raised while it ran a model.

    Example:

    >>> import tensorflow as tf
    >>> from textrnn.server.errors import of_tensorflow
    >>> of_tensorflow(tf.errors.InvalidArgumentError(None, None, "indices out of range")).code
    'INVALID_ARGUMENT'
    """
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(error).__name__.removesuffix("Error")).upper()
    code = name if name in HTTP_STATUSES else "INTERNAL"
    return RequestError(code, getattr(error, "message", None) or str(error) or type(error).__name__)
