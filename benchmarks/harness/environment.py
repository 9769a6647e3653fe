"""What figures depend on: versions, processor, threads and load."""

import functools
import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from harness.contestants import available

CHECKOUT = Path(__file__).resolve().parents[2]


@functools.cache
def commit(folder=CHECKOUT, without=None):
    """The commit of a checkout, with `-dirty` if files differ from it, or "unknown".

    Args:
        folder: The checkout.
        without: A folder in it whose files may differ.
    """
    git = ["git", "--no-optional-locks", "-C", str(folder)]
    excluded = [f":(top,exclude){without}"] if without else []
    name = ["describe", "--always", "--abbrev=12", "--exclude=*"]
    changes = ["status", "--porcelain", "--untracked-files=no", "--", ":(top)", *excluded]
    try:
        found, changed = (
            subprocess.run([*git, *command], capture_output=True, text=True, check=True).stdout.strip()
            for command in (name, changes)
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found + ("-dirty" if changed else "")


def backend():
    """The name of Keras's backend, without loading it."""
    return os.environ.get("KERAS_BACKEND", "tensorflow")


def environment(seed, rounds, peers=()):
    """What the figures depend on, as a dict: versions, processor, threads, load, seed and rounds.

    Args:
        seed: The seed of weights and inputs.
        rounds: The number of rounds.
        peers: Packages to list besides those that textrnn uses.
    """
    packages = ("textrnn", "keras", "keras-hub", "tensorflow", "numpy", *peers)
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "python": platform.python_version(),
        "backend": backend(),
        **{package: _version(package) for package in packages},
        "system": f"{platform.system()} {platform.machine()}",
        "cpu": cpu_name(),
        "cpus": os.cpu_count(),
        **(_tensorflow_devices() if backend() == "tensorflow" else {}),
        **(_jax_device() if backend() == "jax" else {}),
        **(_torch_threads() if "torch" in peers and available("torch") else {}),
        "load_average_before": load_average(),
        "seed": seed,
        "rounds": rounds,
    }


def _version(package):
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _tensorflow_devices():
    import tensorflow as tf

    threading = tf.config.threading
    return {
        # TensorFlow returns 0 for its default, one thread per CPU.
        "intra_op_threads": threading.get_intra_op_parallelism_threads() or os.cpu_count(),
        "inter_op_threads": threading.get_inter_op_parallelism_threads() or os.cpu_count(),
        "gpus": len(tf.config.list_physical_devices("GPU")),
    }


def _jax_device():
    import jax

    return {"jax": jax.__version__, "device": jax.devices()[0].device_kind}


def _torch_threads():
    import torch

    return {"torch_threads": torch.get_num_threads()}


def cpu_name():
    """The model name of the processor."""
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


def load_average():
    """The load average of the last minute."""
    return round(os.getloadavg()[0], 1)
