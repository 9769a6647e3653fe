"""textrnn: declare a gate, get a fast recurrent model that is served as text in, text out.

Public names load on first use, so that `textrnn.cells` and `textrnn.layers` pull in neither
TensorFlow (on the JAX backend) nor KerasHub, and `--help` stays instant.
"""

import os as _os
from importlib import import_module as _import_module

from textrnn.startup import native_messages_hidden as _native_messages_hidden

# TensorFlow's start-up messages tell a user nothing. TF_CPP_MIN_LOG_LEVEL=0 shows them.
_os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

__version__ = "0.1.0"

_PUBLIC = {
    "GateSpec": "cells.spec",
    "Gate": "cells.spec",
    "GatedCell": "cells.gated",
    "Cell": "cells.base",
    "register_cell": "cells.registry",
    "gate_spec": "cells.registry",
    "Recurrent": "layers.recurrent",
    "RecurrentStack": "layers.stack",
    "RecurrentBackbone": "text_generation.backbone",
    "CausalLM": "text_generation.causal_lm",
    "CausalLMPreprocessor": "text_generation.preprocessor",
    "RecurrentEncoder": "classification.backbone",
    "TextClassifier": "classification.text_classifier",
    "TextClassifierPreprocessor": "classification.preprocessor",
    "RecurrentSeq2Seq": "translation.backbone",
    "Seq2SeqLM": "translation.seq2seq_lm",
    "Seq2SeqLMPreprocessor": "translation.preprocessor",
    "RowSampler": "decoding.row_sampler",
    "BeamSearchSampler": "decoding.beam_search_sampler",
    "RecurrentTextClassifier": "classification.estimator",
    "Client": "client.client",
    "AsyncClient": "client.async_client",
    "load_model": "loading",
    "InputError": "errors",
    "ServerError": "errors",
}

__all__ = ["__version__"]
__all__ += list(_PUBLIC)


def __getattr__(name):
    if name in _PUBLIC:
        with _native_messages_hidden():  # the first import loads TensorFlow
            module = _import_module(f"{__name__}.{_PUBLIC[name]}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted(__all__)
