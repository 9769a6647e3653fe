"""Exporting models in tests."""

import contextlib

import pytest

from textrnn.export import export
from textrnn.tasks.registry import signatures_of


@contextlib.contextmanager
def signatures_alone(*names):
    """Inside, exports have only the signatures of these names: tracing one takes a second or more."""

    def chosen(task, **options):
        made = signatures_of(task, **options)
        return {name: made[name] for name in names}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textrnn.export.saved_model.signatures_of", chosen)
        yield


@contextlib.contextmanager
def unchecked_exports():
    """Inside, exports are not loaded in a fresh process, which takes seconds and has its own tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textrnn.export.saved_model.check_in_fresh_process", lambda path: None)
        yield


def export_unchecked(task, folder, only=(), **options):
    """Exports inside `unchecked_exports`, and inside `signatures_alone` if names are given."""
    with unchecked_exports(), signatures_alone(*only) if only else contextlib.nullcontext():
        return export(task, folder, **options)
