"""Exporting tasks as versioned SavedModels that a stock TF Serving runs."""

from textrnn.export.models_config import write_models_config
from textrnn.export.publishing import publish
from textrnn.export.saved_model import export
from textrnn.export.server_files import write_server_files

__all__ = ["export", "publish", "write_models_config", "write_server_files"]
