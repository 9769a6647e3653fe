"""Exporting models in tests."""

import pytest

from textrnn.export import export


def export_unchecked(task, folder, **options):
    """Exports without loading the result in a fresh process, which takes seconds and has its own tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("textrnn.export.saved_model.check_in_fresh_process", lambda path: None)
        return export(task, folder, **options)
