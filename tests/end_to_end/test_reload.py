"""``portico serve`` goes over to another configuration without losing a call."""

import json
import os
import signal
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from tests.support.gateway import LAYOUTS, Gateway, core, facade, serve
from tests.support.processes import portico

ONE = "backends: {one: {dialect: dummy}}\nmodels: {m: one/echo-1}\n"
OTHER = "backends: {other: {dialect: dummy}}\nmodels: {m: other/echo-1}\n"
BAD = "backends: {one: {dialect: dummy}}\nmodels: {m: nowhere/echo-1}\n"


def served_by(gateway: Gateway) -> str:
    """Return who answers, told by a header; raise where the call fails."""
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    with urlopen(Request(f"{gateway.url}/chat/completions", json.dumps(body).encode()), timeout=20) as told:
        return str(told.headers["x-portico-model"])


@pytest.mark.parametrize("env", LAYOUTS.values(), ids=LAYOUTS)
def test_a_changed_file_takes_over_and_no_call_is_lost(env: Mapping[str, str], tmp_path: Path) -> None:
    """Calls go on all the time; a file with a mistake changes nothing, and SIGHUP reads it at once."""
    config = tmp_path / "portico.yaml"
    config.write_text(ONE)
    with serve(config, env=env) as gateway:
        seen: list[str] = []
        failures: list[Exception] = []
        over = threading.Event()

        def ask() -> None:
            while not over.is_set():
                try:
                    seen.append(served_by(gateway))
                except Exception as error:
                    failures.append(error)

        def wait_for(name: str) -> None:
            end = time.monotonic() + 20
            while set(seen[-10:]) != {name}:
                assert time.monotonic() < end, f"calls go to {set(seen[-10:])}"
                time.sleep(0.01)

        asking = threading.Thread(target=ask)
        asking.start()
        try:
            wait_for("one/echo-1")
            config.write_text(OTHER)
            wait_for("other/echo-1")
            config.write_text(BAD)
            gateway.process.wait_for("no backend is called nowhere")
            assert served_by(gateway) == "other/echo-1"
            config.write_text(ONE)
            os.kill(gateway.process.popen.pid, signal.SIGHUP)
            wait_for("one/echo-1")
        finally:
            over.set()
            asking.join()
        assert failures == []


def unnoticed(path: Path, text: str) -> None:
    """Change a file so that nobody who watches it sees that: same size, same time."""
    before = path.stat()
    assert len(text) == before.st_size
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("env", LAYOUTS.values(), ids=LAYOUTS)
def test_the_command_has_every_process_reload(env: Mapping[str, str], tmp_path: Path) -> None:
    """It prints what changed; a file with a mistake and a caller's key change nothing."""
    config = tmp_path / "portico.yaml"
    keys = "admin_keys: [operator-key]\n"
    config.write_text(ONE + keys)
    with serve(config, env=env) as gateway:

        def reload(status: int, key: str = "operator-key") -> str:
            with portico("reload", "--grpc", gateway.grpc, env={"PORTICO_ADMIN_KEY": key}) as process:
                assert process.popen.wait(30) == status, process.output
            return process.output

        assert served_by(gateway) == "one/echo-1"
        unnoticed(config, ONE.replace("one", "two") + keys)
        assert "not one of this gateway's" in reload(1, "callers-key")
        assert served_by(gateway) == "one/echo-1"
        assert reload(0).splitlines() == [
            "The configuration is reloaded.",
            "backends: + two, - one",
            "models: ~ m",
        ]
        # Each call is a connection of its own, and the kernel chooses among the workers by chance.
        end = time.monotonic() + 20
        while {served_by(gateway) for _ in range(40)} != {"two/echo-1"}:
            assert time.monotonic() < end, gateway.process.output
        unnoticed(config, ONE.replace("one/", "two/") + keys)
        assert f"{config}:2: models.m: no backend is called two" in reload(1)
        assert served_by(gateway) == "two/echo-1"


def test_a_facade_takes_no_harm_from_a_hangup(tmp_path: Path) -> None:
    """It has nothing to read again; who signals all processes of a gateway means the core."""
    config = tmp_path / "portico.yaml"
    config.write_text(ONE)
    with core("127.0.0.1:0", config) as behind, facade(behind.address, config) as front:
        front.process.popen.send_signal(signal.SIGHUP)
        with urlopen(f"http://{front.address}/readyz", timeout=20) as told:
            assert told.status == 200
        assert front.process.stop() == 0
