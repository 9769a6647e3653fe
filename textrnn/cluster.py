"""The workers that train a model together, as the environment variable `TF_CONFIG` names them."""

import json
import os
from dataclasses import dataclass
from typing import Literal

from textrnn.errors import InputError, expect

Distribution = Literal["none", "mirrored", "multi_worker"]
"""How training is distributed: not at all, over the GPUs of this machine, or over those of `TF_CONFIG`."""

MEMBER = "TEXTRNN_LOCAL_WORKER"
"""The environment variable by which a worker is known that `mirrored` has started."""

_EXAMPLE = '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The workers of `TF_CONFIG`.

    Attributes:
        tasks: A pair of job and index for each worker, the chief first: `("worker", 0), ("worker", 1)`.
        addresses: `host:port` of each worker.
        rank: The number of this worker.
    """

    tasks: tuple[tuple[str, int], ...]
    addresses: tuple[str, ...]
    rank: int

    @classmethod
    def of_environment(cls) -> "Cluster":
        """Read `TF_CONFIG`, which has TensorFlow's format; a first job `"chief"` is allowed.

        Raises:
            InputError: If it is missing or malformed.

        Example:

        >>> import json
        >>> from unittest import mock
        >>> from textrnn.cluster import Cluster
        >>> config = {"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 1}}
        >>> with mock.patch.dict("os.environ", TF_CONFIG=json.dumps(config)):
        ...     Cluster.of_environment().rank
        1
        """
        text = os.environ.get("TF_CONFIG", "")
        expect(
            text,
            "--distribute multi_worker: set the environment variable TF_CONFIG of each worker. "
            f"Expected, for the first of two: {_EXAMPLE}",
        )
        try:
            config = json.loads(text)
            jobs, task = config.get("cluster") or {}, config.get("task") or {}
            tasks = [(job, i) for job in ("chief", "worker") for i in range(len(jobs.get(job, ())))]
            unknown = sorted(set(jobs) - {"chief", "worker"})
            addresses = [str(jobs[job][i]) for job, i in tasks]
            this = (task.get("type", "worker"), int(task.get("index", 0)))
        except (ValueError, AttributeError, TypeError, KeyError) as error:
            raise InputError(f"TF_CONFIG is {text!r}: expected JSON such as {_EXAMPLE} ({error})") from None
        expect(not unknown, f"TF_CONFIG has the jobs {', '.join(unknown)}: give chief and worker alone")
        for address in addresses:
            host, _, port = address.rpartition(":")
            expect(host and port.isdecimal(), f"TF_CONFIG has the address {address!r}: give HOST:PORT")
        twice = len(set(addresses)) < len(addresses)
        expect(not twice, "TF_CONFIG has an address twice: give each worker its own port")
        expect(
            this in tasks,
            f"TF_CONFIG says that this is {this[0]} {this[1]}, but its cluster has "
            f"{', '.join(f'{job} {index}' for job, index in tasks) or 'no workers'}: give one of them",
        )
        return cls(tuple(tasks), tuple(addresses), tasks.index(this))


def check_distribution(kind: Distribution) -> None:
    """Refuse a `TF_CONFIG` that does not fit.

    Raises:
        InputError: Says what is wrong with it.

    Example:

    >>> from textrnn.cluster import check_distribution
    >>> check_distribution("none")
    """
    given = "TF_CONFIG" in os.environ
    if kind == "multi_worker":
        size = len(Cluster.of_environment().addresses)
        expect(size > 1, f"TF_CONFIG names {size} worker: give two or more, or leave out --distribute")
    elif kind == "none":
        expect(
            not given or len(Cluster.of_environment().addresses) < 2,
            "TF_CONFIG names several workers: give --distribute multi_worker, or unset TF_CONFIG",
        )
    elif kind == "mirrored":
        expect(
            not given or MEMBER in os.environ,
            "TF_CONFIG is set: give --distribute multi_worker, or unset it for the GPUs of this machine",
        )
    else:
        raise InputError(f"distribute is {kind!r}: give none, mirrored or multi_worker")


def is_chief(kind: Distribution) -> bool:
    """Whether this process will be the chief, which alone prints and writes.

    Raises:
        InputError: If `TF_CONFIG` does not fit.

    Example:

    >>> from textrnn.cluster import is_chief
    >>> is_chief("none")
    True
    """
    check_distribution(kind)
    starts_others = kind == "mirrored" and MEMBER not in os.environ
    return kind == "none" or starts_others or Cluster.of_environment().rank == 0
