"""Container health check of the core: exit status 0 while it takes calls.

Asks grpc.health.v1 at the address given, or at the default port of this container.
"""

import sys

import grpc
from grpc_health.v1.health_pb2 import HealthCheckRequest, HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub


def main(target: str = "localhost:50051") -> str | None:
    """Return None for a healthy core, else what is wrong."""
    # HTTP_PROXY in the environment is for the way to the backends, not for this.
    with grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            answer = HealthStub(channel).Check(HealthCheckRequest(), timeout=3)
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"
    serving = answer.status == HealthCheckResponse.SERVING
    return None if serving else HealthCheckResponse.ServingStatus.Name(answer.status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
