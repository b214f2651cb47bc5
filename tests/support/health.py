"""grpc.health.v1, as clients on an event loop ask it."""

from typing import Any

from grpc import aio
from grpc_health.v1 import health_pb2_grpc


def health_stub(channel: aio.Channel) -> Any:
    """Return a stub; the types that are published for it know no asyncio."""
    return health_pb2_grpc.HealthStub(channel)
