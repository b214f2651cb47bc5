"""portico.v1.AdminService: what operators ask of a core, for whom the configuration has keys of their own."""

# ruff: noqa: N802 - names and arguments are the contract's

from typing import Final

from grpc import aio

from portico.config import ConfigError
from portico.errors import PERMISSION, ErrorClass, GatewayError, invalid_request
from portico.gateway import CallContext
from portico.v1 import admin_pb2 as pb
from portico.v1.admin_pb2_grpc import AdminServiceServicer
from portico_core.gateway import RoutingGateway
from portico_core.reload import Reload
from portico_core.service import Context, Rpc, add_service

#: Full name of the service.
ADMIN: Final = pb.DESCRIPTOR.services_by_name["AdminService"].full_name

_SHUT: Final = (
    "This gateway takes no admin calls: its configuration has no `admin_keys`. Add some, or send it SIGHUP."
)


def add_admin(gateway: RoutingGateway, reload: Reload, server: aio.Server) -> None:
    """Let a server take admin calls."""
    add_service(AdminServicer(gateway, reload), pb.DESCRIPTOR.services_by_name["AdminService"], server)


class AdminServicer(AdminServiceServicer):
    """Reloads for whoever shows one of the keys for it, those of the configuration that serves now."""

    def __init__(self, gateway: RoutingGateway, reload: Reload) -> None:
        self._gateway = gateway
        self._reload = reload

    async def Reload(self, request: pb.ReloadRequest, context: Context) -> pb.ReloadResponse:
        async with Rpc(request, context) as call:
            self._admit(call)
            try:
                return await self._reload()
            except ConfigError as error:
                raise invalid_request(str(error), code="invalid_configuration") from error

    def _admit(self, call: CallContext) -> None:
        keys = self._gateway.admin_keys
        if not keys:
            raise GatewayError(ErrorClass.CREDENTIAL, 403, _SHUT, PERMISSION, "admin_disabled")
        keys.authenticate(call)
