"""When a request is sent again."""

import random
import time
from collections.abc import Callable

from textrnn.errors import ServerError

RETRIED = ("RESOURCE_EXHAUSTED", "UNAVAILABLE")
"""Codes of errors that pass: 429 and 503 of REST."""
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 8.0
"""Seconds; each pause is twice as long as the one before."""


class Attempts:
    """The attempts of one request.

    Signatures change nothing on a server, so any request can be sent again.

    Args:
        retries: How often it is sent again.
        seconds: When it has to be answered, all attempts and pauses included.
        clock, jitter: Functions that give the time and a random factor from 0 to 1.

    Example:

    >>> from textrnn.client.retries import Attempts
    >>> from textrnn.errors import ServerError
    >>> attempts = Attempts(retries=2, seconds=60, jitter=lambda: 1.0)
    >>> busy = ServerError("too many requests", "RESOURCE_EXHAUSTED", retry_after=3.0)
    >>> attempts.pause(busy), attempts.pause(busy)
    (3.25, 3.5)
    >>> attempts.pause(busy)
    Traceback (most recent call last):
    ...
    textrnn.errors.ServerError: too many requests
    """

    def __init__(
        self,
        retries: int,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ):
        self._left, self._clock, self._jitter = retries, clock, jitter
        self._end = clock() + seconds
        self._pause = FIRST_PAUSE

    def remaining(self) -> float:
        """The seconds that are left, more than 0."""
        return max(self._end - self._clock(), 0.001)

    def pause(self, error: ServerError) -> float:
        """The seconds after which to try again.

        Raises:
            ServerError: The error, if it does not pass, or if no attempts or too few seconds are left.
        """
        # Clients that were refused together come back at different times.
        pause = (error.retry_after or 0.0) + self._pause * (0.5 + 0.5 * self._jitter())
        if error.code not in RETRIED or self._left <= 0 or pause >= self._end - self._clock():
            raise error
        self._left -= 1
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        return pause
