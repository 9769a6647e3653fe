"""A loaded version of a model: a SavedModel in a session of TensorFlow's runtime, as TF Serving runs it."""

import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from textrnn.private import session_callable
from textrnn.server.config_files import PARALLEL_CALLS
from textrnn.server.errors import RequestError, invalid, of_tensorflow
from textrnn.server.examples import as_input, serialized
from textrnn.server.json_tensors import Spec
from textrnn.serving.origin import is_exported
from textrnn.startup import native_messages_hidden

INIT = "__saved_model_init_op"
"""The signature of Keras's and TensorFlow's exports that initializes tables. It is none of the model's."""

WARMUP = Path("assets.extra", "tf_serving_warmup_requests")
MOST_WARMUP_REQUESTS = 1000


class Signature(NamedTuple):
    """A signature of a SavedModel.

    Attributes:
        inputs, outputs: Dicts from names to `Spec`.
        method: Its method name, such as `tensorflow/serving/predict`.
        feeds, fetches: Dicts from names of inputs and outputs to names of tensors of the graph.
    """

    inputs: dict[str, Spec]
    outputs: dict[str, Spec]
    method: str
    feeds: dict[str, str]
    fetches: dict[str, str]


class Servable:
    """A loaded version of a model.

    Requests `hold` it until they `release` it, so that it is unloaded only when the last one has its answer.

    Args:
        name: The name of the model.
        version: The number of the version.
        path: The folder of the SavedModel.
        timeout: Seconds after which a call is cancelled, such as a loop without end; None for no limit. The
            calls of models that textrnn exported end by themselves.

    Attributes:
        signatures: A dict from names to `Signature`.
        signature_defs: The same as protos of TensorFlow.
        loaded_at: When it was loaded, in seconds since 1970.

    Raises:
        Exception: Whatever TensorFlow raises for a damaged SavedModel.
    """

    def __init__(self, name: str, version: int, path: Path, timeout: float | None = None):
        self._unloaded = False
        self.name, self.version, self.path = name, version, Path(path)
        graph = tf.Graph()
        # Two long loops would keep the two threads that TensorFlow has on two processors.
        threads = tf.compat.v1.ConfigProto(inter_op_parallelism_threads=PARALLEL_CALLS)
        self._session = tf.compat.v1.Session(graph=graph, config=threads)
        with native_messages_hidden(), graph.as_default():
            loaded = tf.compat.v1.saved_model.load(self._session, ["serve"], str(path))
        self._ends, self._timeout = is_exported(loaded), timeout
        self.signature_defs = {key: value for key, value in loaded.signature_def.items() if key != INIT}
        self.signatures = {key: _signature(value) for key, value in self.signature_defs.items()}
        self.loaded_at = int(time.time())
        self._callables: dict[tuple[str, tuple[str, ...], bool], Any] = {}
        self._changed = threading.Condition()
        self._requests = 0

    def signature(self, name: str) -> Signature:
        """Return a signature.

        Raises:
            RequestError: If there is none of that name.
        """
        try:
            return self.signatures[name]
        except KeyError:
            raise invalid(f'Serving signature name: "{name}" not found in signature def') from None

    def run(
        self,
        signature_name: str,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str] | None = None,
        several_threads: bool = False,
    ) -> dict[str, np.ndarray]:
        """Run a signature.

        Args:
            signature_name: Its name.
            inputs: Arrays by the names of the inputs.
            outputs: Names of the outputs to compute; None for all.
            several_threads: Whether operations run side by side, in the threads of TensorFlow. That is faster
                for many rows, unless as many calls run at a time as there are processors. Models that textrnn
                did not export always run so.

        Returns:
            A dict from names to arrays.

        Raises:
            RequestError: For an unknown signature, and for what TensorFlow raises.
        """
        signature = self.signature(signature_name)
        names = tuple(signature.outputs if outputs is None else outputs)
        key = signature_name, names, several_threads or not self._ends
        try:
            call = self._callables.get(key) or self._make_callable(*key)
            values = call(*(inputs[name] for name in signature.feeds))
        except (tf.errors.OpError, ValueError, TypeError) as error:
            if self._unloaded:
                raise self._gone() from None
            raise of_tensorflow(error) from None
        except RuntimeError:
            raise self._gone() from None
        # TensorFlow gives a single string as bytes.
        arrays = (np.array(value, object) if isinstance(value, bytes) else value for value in values)
        return dict(zip(names, arrays, strict=True))

    def _make_callable(self, signature_name, names, several_threads):
        signature, options = self.signatures[signature_name], _run_options(several_threads, self._timeout)
        feeds, fetches = [*signature.feeds.values()], [signature.fetches[name] for name in names]
        if len({*feeds, *fetches}) == len(feeds) + len(fetches):
            call = session_callable(self._session, feeds, fetches, options)
        else:  # an output is an input, or another output
            call = partial(self._session.make_callable(fetches, feeds), options=options)
        self._callables[signature_name, names, several_threads] = call
        return call

    def _gone(self):
        return RequestError("UNAVAILABLE", f"version {self.version} of {self.name} is unloaded")

    def hold(self) -> None:
        """Keep the version loaded while a request runs."""
        with self._changed:
            self._requests += 1

    def release(self) -> None:
        """End what `hold` began."""
        with self._changed:
            self._requests -= 1
            if not self._requests:
                self._changed.notify_all()

    def unload(self, timeout: float | None = None) -> None:
        """Wait for the requests in flight, and free the memory."""
        with self._changed:
            self._changed.wait_for(lambda: not self._requests, timeout)
        self._unloaded = True
        self._callables.clear()
        self._session.close()

    def warm_up(self) -> int:
        """Replay the warm-up requests of the SavedModel.

        Returns:
            Their number.

        Raises:
            RequestError: If one fails, as TF Serving then refuses the version.
        """
        path, count = self.path / WARMUP, 0
        if not path.is_file():
            return 0
        from tensorflow_serving.apis import prediction_log_pb2

        for record in tf.data.TFRecordDataset(str(path)).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record)
            kind = log.WhichOneof("log_type")
            if kind == "predict_log":
                request = log.predict_log.request
                inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
            elif kind == "classify_log":
                request = log.classify_log.request
                inputs = as_input(serialized(request.input))
            else:
                continue
            self.run(request.model_spec.signature_name or "serving_default", inputs)
            count += 1
            if count == MOST_WARMUP_REQUESTS:
                break
        return count


def _run_options(several_threads, timeout):
    """TensorFlow's options of a call, which cannot be cancelled in the thread of its request."""
    if several_threads:
        return tf.compat.v1.RunOptions(timeout_in_ms=int(1000 * (timeout or 0)))
    return tf.compat.v1.RunOptions(inter_op_thread_pool=-1)


def _signature(proto) -> Signature:
    inputs, outputs = (
        {name: _spec(info) for name, info in sorted(part.items())} for part in (proto.inputs, proto.outputs)
    )
    feeds, fetches = (
        {name: info.name for name, info in sorted(part.items())} for part in (proto.inputs, proto.outputs)
    )
    return Signature(inputs, outputs, proto.method_name, feeds, fetches)


def _spec(info) -> Spec:
    dtype = np.dtype(tf.dtypes.as_dtype(info.dtype).as_numpy_dtype)
    if info.tensor_shape.unknown_rank:
        return Spec(dtype, None)
    return Spec(dtype, tuple(None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim))
