"""gRPC's standard health check, `grpc.health.v1.Health/Check`, which Kubernetes and load balancers ask."""

import grpc
from google.protobuf.wrappers_pb2 import Int32Value, StringValue

from textrnn.server.models import Models

SERVICE, METHOD = "grpc.health.v1.Health", "Check"
SERVING, NOT_SERVING = 1, 2
"""Two values of `HealthCheckResponse.ServingStatus`."""


class HealthService:
    """Whether the server, or one model, answers requests.

    The service that a request names is a model. Without one, it is the server, which answers if it has any
    loaded model. The messages have one field each, as those of protobuf's wrappers.

    Args:
        models: The `Models`.
    """

    def __init__(self, models: Models):
        self.models = models

    def handler(self) -> grpc.GenericRpcHandler:
        """The service as a handler of a `grpc.Server`."""
        method = grpc.unary_unary_rpc_method_handler(
            self.check, StringValue.FromString, Int32Value.SerializeToString
        )
        return grpc.method_handlers_generic_handler(SERVICE, {METHOD: method})

    def check(self, request: StringValue, context: grpc.ServicerContext) -> Int32Value:
        """Answer a request."""
        name, loaded = request.value, self.models.loaded
        if name and name not in self.models:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no model {name}")
        return Int32Value(value=SERVING if name in loaded or (loaded and not name) else NOT_SERVING)
