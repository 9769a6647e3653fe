"""The files beside exported models with which a stock TF Serving starts."""

from pathlib import Path

from textrnn.export.models_config import write_models_config
from textrnn.files import replacing

SERVER_FILES = {
    "batching.config": """\
# How requests are batched. The answer to a row is the same alone and in any batch.

# Most rows of a batch; TF Serving refuses a request with more.
max_batch_size { value: 128 }

# A free thread takes the requests that are waiting, so none waits for others to come.
batch_timeout_micros { value: 0 }
max_enqueued_batches { value: 100 }

# There is a thread for each CPU core by default.
# num_batch_threads { value: 4 }

# Leave this at false: TF Serving pads a row with its first value, which would be one more token. Only the
# signature `detokenize` has rows of any length; its clients pad them with zeros to one length.
pad_variable_length_inputs: false
""",
    "monitoring.config": """\
# Metrics for Prometheus, on the port of REST
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
""",
    "compose.yaml": """\
# docker compose -f compose.yaml up, for this machine alone; "8501:8501" instead would let others in.
name: textrnn
services:
  serving:
    image: tensorflow/serving:latest # in production, a fixed version
    ports:
      - "127.0.0.1:8500:8500" # gRPC
      - "127.0.0.1:8501:8501" # REST
    volumes:
      - .:/models:ro
    command:
      - --model_config_file=/models/models.config
      - --model_config_file_poll_wait_seconds=60
      - --enable_batching=true
      - --batching_parameters_file=/models/batching.config
      - --monitoring_config_file=/models/monitoring.config
    restart: unless-stopped
""",
}
"""Files that are written where there are none. They are then for a person to change."""


def write_server_files(base):
    """Write `models.config`, and the other `SERVER_FILES` where there are none.

    Args:
        base: The folder with one folder per model.

    Returns:
        The names of the files that are new.

    Example:

    >>> import tempfile
    >>> from textrnn.export import write_server_files
    >>> folder = tempfile.mkdtemp()
    >>> write_server_files(folder), write_server_files(folder)
    (['models.config', 'batching.config', 'monitoring.config', 'compose.yaml'], [])
    """
    base = Path(base)
    new = [name for name in ("models.config", *SERVER_FILES) if not (base / name).exists()]
    write_models_config(base)
    for name, text in SERVER_FILES.items():
        if name in new:
            with replacing(base / name) as unfinished:
                unfinished.write_text(text, encoding="utf-8")
    return new
