"""Exporting models in tests."""

import contextlib

import pytest

from textrnn.export import export


@contextlib.contextmanager
def unchecked_exports():
    """Inside, exports are not loaded in a fresh process, which takes seconds and has its own tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textrnn.export.saved_model.check_in_fresh_process", lambda path: None)
        yield


def export_unchecked(task, folder, **options):
    """Exports inside `unchecked_exports`."""
    with unchecked_exports():
        return export(task, folder, **options)
