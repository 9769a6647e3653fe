"""Fixtures for tests of layers."""

import pytest
from references.gradients import interpreted


@pytest.fixture(scope="module")
def without_compilation():
    """Run the loops of JAX step by step. Otherwise JAX compiles a loop whenever it is called eagerly."""
    with interpreted():
        yield
