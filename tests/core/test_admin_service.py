"""portico.v1.AdminService: who may have a core reload, and what it tells of that."""

import dataclasses
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from grpc import StatusCode, aio

from portico.config import ConfigError
from portico.gateway import CallContext
from portico.remote import channel_options, error_of
from portico.secret import Secret
from portico.v1.admin_pb2 import Changes, ReloadRequest, ReloadResponse
from portico.v1.admin_pb2_grpc import AdminServiceStub
from portico.v1.gateway_pb2 import ChatRequest
from portico.v1.headers_pb2 import Header
from portico_core.changes import changes
from portico_core.config import Config, Grpc, Key
from portico_core.reload import Reloads, reloading
from portico_core.server import Server
from tests.support.core import Upstream, answer, ask, config, direct

if TYPE_CHECKING:
    from portico.v1.admin_pb2_grpc import AdminServiceAsyncStub

CALLERS = (Key("team", Secret("team-key")),)
ADMINS = (Key("operator", Secret("admin-key")),)


def guarded(upstream: Upstream, admins: tuple[Key, ...] = ADMINS) -> Config:
    return dataclasses.replace(config({"a": upstream}), keys=CALLERS, admin_keys=admins)


@asynccontextmanager
async def administered(settings: Config, reloads: Reloads) -> AsyncIterator["AdminServiceAsyncStub"]:
    """Serve a core that reloads; yield a stub for its admin calls."""
    with tempfile.TemporaryDirectory(prefix="portico-") as folder:
        address = f"unix:{Path(folder, 'core.sock')}"
        async with direct(settings) as gateway, reloading(gateway, reloads) as reload:
            server = Server(gateway, reload=reload)
            await server.start([address])
            try:
                async with aio.insecure_channel(address, channel_options()) as channel:
                    stub: AdminServiceAsyncStub = AdminServiceStub(channel)
                    yield stub
            finally:
                await server.stop(0)


def shown(key: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {key}"),)


@pytest.mark.parametrize(
    ("admins", "key", "code", "said"),
    [
        (ADMINS, "team-key", StatusCode.UNAUTHENTICATED, "not one of this gateway's"),
        (ADMINS, "", StatusCode.UNAUTHENTICATED, "needs a key"),
        ((), "team-key", StatusCode.PERMISSION_DENIED, "has no `admin_keys`. Add some, or send it SIGHUP."),
    ],
)
async def test_only_a_key_for_it_reloads(
    admins: tuple[Key, ...], key: str, code: StatusCode, said: str
) -> None:
    """Whoever may only chat may not, and nobody may where there is no such key."""
    loads: list[None] = []
    upstream = Upstream([[answer()]])

    def load() -> Config:
        loads.append(None)
        return guarded(upstream, admins)

    async with administered(guarded(upstream, admins), Reloads(None, load)) as stub:
        with pytest.raises(aio.AioRpcError, match=said) as caught:
            await stub.Reload(ReloadRequest(), metadata=shown(key))
    assert caught.value.code() is code
    assert not loads


async def test_an_admin_key_opens_no_chat_and_reaches_no_backend() -> None:
    upstream = Upstream([[answer()]])
    headers = [Header(name="authorization", value=b"Bearer admin-key")]
    settings = dataclasses.replace(config({"a": upstream}), admin_keys=ADMINS)
    async with direct(settings) as gateway:
        await gateway.chat(ChatRequest(params=ask().params, headers=headers), CallContext(""))
    assert list(upstream.calls[0].headers) == []
    async with direct(guarded(Upstream([[answer()]]))) as gateway:
        with pytest.raises(Exception, match="not one of this gateway's"):
            await gateway.chat(ask(), CallContext("", authorization="Bearer admin-key"))


async def test_a_reload_tells_what_changed_and_has_the_other_processes_follow() -> None:
    spread: list[None] = []
    a, b = Upstream([[answer()]]), Upstream([[answer()]])
    after = dataclasses.replace(config({"b": b}), keys=CALLERS, admin_keys=ADMINS)
    reloads = Reloads(None, lambda: after, lambda: spread.append(None))
    async with administered(guarded(a), reloads) as stub:
        told = await stub.Reload(ReloadRequest(), metadata=shown("admin-key"))
        assert told.backends == Changes(added=["b"], removed=["a"])
        assert not told.sections
        assert len(spread) == 1
        again = await stub.Reload(ReloadRequest(), metadata=shown("admin-key"))
        assert again == ReloadResponse(backends=Changes(), models=Changes())


async def test_a_bad_file_is_refused_with_what_is_wrong_and_nobody_follows() -> None:
    spread: list[None] = []

    def load() -> Config:
        raise ConfigError("portico.yaml:3: models.m: no backend is called nowhere. Did you mean a?")

    async with administered(
        guarded(Upstream([[answer()]])), Reloads(None, load, lambda: spread.append(None))
    ) as stub:
        with pytest.raises(aio.AioRpcError) as caught:
            await stub.Reload(ReloadRequest(), metadata=shown("admin-key"))
    error = error_of(caught.value)
    assert caught.value.code() is StatusCode.INVALID_ARGUMENT
    assert error.code == "invalid_configuration"
    assert error.message == "portico.yaml:3: models.m: no backend is called nowhere. Did you mean a?"
    assert not spread


def test_changes_are_told_by_section_and_what_waits_for_a_restart_apart() -> None:
    """Where something stands in the file makes no difference; how many calls are taken counts at once."""
    upstream = Upstream([[answer()]])
    old = config({"a": upstream}, models={"m": ["a/x"], "n": ["a/y"]})
    moved = dataclasses.replace(old.backends[0], place="portico.yaml:99")
    assert changes(old, dataclasses.replace(old, backends=(moved,))) == ReloadResponse(
        backends=Changes(), models=Changes()
    )
    other = config({"a": Upstream([[answer()]])}, models={"n": ["a/z"], "o": ["a/y"]})
    told = changes(
        old,
        dataclasses.replace(
            other, keys=CALLERS, admin_keys=ADMINS, grpc=Grpc(max_calls=5), admin="127.0.0.1:9090"
        ),
    )
    assert told.backends == Changes(changed=["a"])
    assert told.models == Changes(added=["o"], changed=["n"], removed=["m"])
    assert list(told.sections) == ["grpc.max_calls", "keys", "admin_keys"]
    assert list(told.restart) == ["admin"]
    waiting = changes(old, dataclasses.replace(old, grpc=Grpc(listen="unix:/x", max_calls=5)))
    assert list(waiting.restart) == ["grpc"]
