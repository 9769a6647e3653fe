"""Exporting tasks as versioned SavedModels that a stock TF Serving runs."""

from textrnn.export.models_config import write_models_config
from textrnn.export.publishing import publish
from textrnn.export.saved_model import export

__all__ = ["export", "publish", "write_models_config"]
