"""gRPC's codes of errors, and the HTTP statuses that TF Serving answers for them."""

HTTP_STATUSES = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "ABORTED": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
"""HTTP status of each code of gRPC; 500 for all others."""
HTTP_ONLY = {408: "DEADLINE_EXCEEDED", 413: "INVALID_ARGUMENT"}
"""Codes of statuses that stand for none: the request arrives too slowly, or is too large."""


def code_of(status: int) -> str:
    """The code of an HTTP status, the most general one if there are several.

    Example:

    >>> from textrnn.serving.codes import code_of
    >>> code_of(400), code_of(404), code_of(413), code_of(418)
    ('INVALID_ARGUMENT', 'NOT_FOUND', 'INVALID_ARGUMENT', 'UNKNOWN')
    """
    codes = (code for code, of_code in HTTP_STATUSES.items() if of_code == status)
    return next(codes, HTTP_ONLY.get(status, "UNKNOWN"))
