"""The handler that a person writes without a server of models: FastAPI, one worker, one call per request.

python benchmarks/served/fastapi_app.py PORT FOLDER ...
"""

import sys
from pathlib import Path

import tensorflow as tf
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from textrnn.serving.saved_model import load_text_ops

app = FastAPI()
models = {}


class Rows(BaseModel):
    """The body of a request."""

    instances: list[dict]
    signature_name: str = "serving_default"


@app.post("/v1/models/{name}:predict")
def predict(name: str, rows: Rows):
    """Run a signature of a model."""
    signature = models[name].signatures[rows.signature_name]
    inputs = {
        key: tf.constant([row[key] for row in rows.instances], spec.dtype)
        for key, spec in signature.structured_input_signature[1].items()
    }
    answer = {key: value.numpy().tolist() for key, value in signature(**inputs).items()}
    columns = {key: _strings(values) for key, values in answer.items()}
    return {
        "predictions": [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    }


def _strings(value):
    """Nested lists with strings in place of bytes."""
    if isinstance(value, list):
        return [_strings(one) for one in value]
    return value.decode() if isinstance(value, bytes) else value


if __name__ == "__main__":
    port, *folders = sys.argv[1:]
    load_text_ops()
    for folder in map(Path, folders):
        newest = max(
            (child for child in folder.iterdir() if child.name.isdecimal()), key=lambda c: int(c.name)
        )
        models[folder.name] = tf.saved_model.load(str(newest))
    uvicorn.run(app, port=int(port), log_level="error", access_log=False)
