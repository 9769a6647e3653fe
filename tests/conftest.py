"""Settings of all tests: no TensorFlow messages, seeded random numbers, hypothesis profiles, speed."""

import gc
import os
import random
import signal
import threading

import numpy as np
import pytest
import xdist
from hypothesis import settings

from textrnn.startup import native_messages_hidden

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# The first example of a test may compile, so there is no deadline. On JAX every example compiles.
examples = 3 if os.environ.get("KERAS_BACKEND") == "jax" else 12
settings.register_profile("textrnn", deadline=None, derandomize=True, max_examples=examples)
settings.load_profile("textrnn")

# Some tests press Ctrl-C, and a shell ignores it in whatever it starts in the background.
if threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)


REPRESENTATIVE = {"simple", "lstm", "gru", "slstm", "qrnn", "rg_lru"}
"""Cells of all kinds: with and without a memory, linear, a class."""

ON_JAX = REPRESENTATIVE - {"simple", "gru"}
"""Those that differ in how a backend runs them: on JAX each cell compiles for seconds."""


def pytest_sessionstart(session):
    """Load TensorFlow before warnings are errors, but not in a process that leaves the tests to others."""
    if not xdist.is_xdist_controller(session):
        with native_messages_hidden():
            import keras  # noqa: F401


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Leave tests with other cells to `make test-slow`: those marked `some_cells`, and all on JAX."""
    import keras

    from textrnn.cells.published import PUBLISHED

    on_jax = keras.backend.backend() == "jax"
    quick = ON_JAX if on_jax else REPRESENTATIVE
    for item in items:
        params = item.callspec.params if hasattr(item, "callspec") else {}
        cells = {params.get("name"), params.get("cell")} & set(PUBLISHED)
        if cells - quick and (on_jax or item.get_closest_marker("some_cells")):
            item.add_marker(pytest.mark.slow)


def pytest_collection_finish(session):
    """Collect less garbage, and do not optimize graphs that run a few times: both took a fifth of the time.

    Programs that tests start, and `make test-slow`, optimize graphs as TensorFlow does by default.
    """
    gc.collect()
    gc.freeze()  # the objects of TensorFlow and Keras, which are many and stay
    gc.set_threshold(100_000, 20, 100)
    _optimize_graphs(_is_slow_run(session.config))


def _is_slow_run(config):
    return config.option.markexpr == "slow"


def _optimize_graphs(yes):
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": not yes})


def pytest_configure(config):
    """Add to the warning filters in pyproject.toml."""
    # Keras's variables do not know the `copy` argument that NumPy 2 passes to `__array__`.
    config.addinivalue_line(
        "filterwarnings", "ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning"
    )


@pytest.fixture(scope="session")
def small_server(tmp_path_factory):
    """A running server of small models: `novel`, `reviews` and `en_de`."""
    from builders import serving

    folder = tmp_path_factory.mktemp("small_models")
    serving.save_models(folder)
    with serving.make_server(folder) as running:
        serving.warm_up(running)
        yield running


@pytest.fixture(scope="module")
def without_compilation():
    """Run the loops of JAX step by step. Otherwise JAX compiles each loop that is called eagerly."""
    from references.gradients import interpreted

    with interpreted():
        yield


@pytest.fixture(scope="module")
def optimized_graphs(pytestconfig):
    """Let TensorFlow optimize graphs, for tests of what it makes of them."""
    _optimize_graphs(True)
    yield
    _optimize_graphs(_is_slow_run(pytestconfig))


@pytest.fixture(autouse=True)
def _same_random_numbers():
    _seed()


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef):
    """Make what several tests share from the same random numbers, whichever of them needs it first."""
    if fixturedef.scope != "function":
        _seed()


def _seed():
    # Keras draws the seeds of layers from Python's generator. `keras.utils.set_random_seed` would also make
    # TensorFlow forget the kernels of all operations, which takes longer than most tests.
    random.seed(0)
    np.random.seed(0)
