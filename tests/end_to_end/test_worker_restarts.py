"""Workers that die, hang or are replaced: no call is lost that could be served, and no count falls."""

import http.client
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from grpc import RpcError, insecure_channel

from portico.v1.gateway_pb2 import ListModelsRequest
from portico.v1.gateway_pb2_grpc import GatewayServiceStub
from portico_facade.cli.cpus import cpus
from tests.end_to_end.test_workers import asked, sums, workers
from tests.support.gateway import LAYOUTS, Gateway, serve
from tests.support.processes import portico

CONFIG = """
backends:
  dummy: {dialect: dummy}
  slow: {dialect: dummy, pace: 0.02}
"""
WORDS = "one two three four five six seven eight"


def until(holds: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end, what
        time.sleep(0.01)


def body(model: str, *, stream: bool = False) -> bytes:
    return json.dumps(
        {"model": model, "messages": [{"role": "user", "content": WORDS}], "stream": stream}
    ).encode()


@contextmanager
def load(gateway: Gateway, *, goes: bool = False) -> Iterator[list[int]]:
    """Have clients call all the time, none of which tries HTTP twice; yield what counts the calls.

    Each call on a connection of its own, calls that share one, streams, and calls over one channel of gRPC.
    Raises what one of them met. ``goes``: the gateway may, so that there is no connection to be had any more.
    """
    over, failures, done = threading.Event(), list[Exception](), [0, 0, 0, 0]
    host, port = gateway.http.split(":")

    def connect() -> http.client.HTTPConnection:
        return http.client.HTTPConnection(host, int(port), timeout=30)

    def fresh() -> None:
        connection = connect()
        connection.request("POST", "/v1/chat/completions", body("dummy/echo-1"), {"Connection": "close"})
        answer = connection.getresponse()
        assert (answer.status, WORDS in answer.read().decode()) == (200, True)
        connection.close()

    kept = connect()

    def shared() -> None:
        kept.request("POST", "/v1/chat/completions", body("dummy/echo-1"))
        answer = kept.getresponse()
        assert (answer.status, WORDS in answer.read().decode()) == (200, True)

    def streamed() -> None:
        connection = connect()
        connection.request("POST", "/v1/chat/completions", body("slow/echo-1", stream=True))
        assert connection.getresponse().read().decode().rstrip().endswith("data: [DONE]")
        connection.close()

    channel = insecure_channel(gateway.grpc)

    def by_grpc() -> None:
        ask = GatewayServiceStub(channel).ListModels
        for worker in range(3):
            try:
                assert ask(ListModelsRequest(), timeout=30, wait_for_ready=bool(worker) and not goes).models
            except RpcError:
                # gRPC's library ends calls that cross with its word that the server leaves: of each of two.
                if worker == 2:
                    raise
            else:
                return

    def again(number: int, call: Callable[[], None]) -> None:
        while not over.is_set() and not failures:
            try:
                call()
                done[number] += 1
            except ConnectionRefusedError as error:
                failures.extend([] if goes else [error])
                return
            except RpcError as error:
                refused = goes and "connect to all addresses" in str(error)
                failures.extend([] if refused else [error])
                return
            except Exception as error:
                failures.append(error)

    calls = (fresh, shared, streamed, by_grpc)
    threads = [threading.Thread(target=again, args=each) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    try:
        yield done
    finally:
        over.set()
        for thread in threads:
            thread.join()
        kept.close()
        channel.close()
        if failures:
            raise failures[0]


def test_fresh_workers_take_over_one_by_one_without_a_lost_call(tmp_path: Path) -> None:
    """On SIGUSR2, under load; and what the old ones counted stays counted."""
    config = tmp_path / "portico.yaml"
    config.write_text(CONFIG)
    with serve(config, env={"WORKERS": "2"}) as gateway, load(gateway) as done:
        until(lambda: min(done) > 3, "no load")
        told: list[float] = []
        for _ in range(2):
            old = set(workers(gateway))
            os.kill(gateway.process.popen.pid, signal.SIGUSR2)
            while old & set(workers(gateway)):
                told.append(sums(gateway.http)["portico_http_requests_total"])
        assert told == sorted(told)
        assert len(workers(gateway)) == 2
        count = sum(done[:3])
        assert sums(gateway.http)["portico_http_requests_total"] >= count
        before = tuple(done)
        until(lambda: all(now > then for now, then in zip(done, before, strict=True)), "the load stopped")


@pytest.mark.parametrize("env", LAYOUTS.values(), ids=LAYOUTS)
def test_a_gateway_that_is_told_to_stop_loses_no_call(env: Mapping[str, str], tmp_path: Path) -> None:
    """Who has a connection is answered; who comes later is refused one."""
    config = tmp_path / "portico.yaml"
    config.write_text(CONFIG)
    with serve(config, env=env) as gateway, load(gateway, goes=True) as done:
        until(lambda: min(done) > 3, "no load")
        assert gateway.process.stop(timeout=30) == 0


def test_a_new_worker_that_does_not_start_replaces_nobody(tmp_path: Path) -> None:
    config = tmp_path / "portico.yaml"
    config.write_text(CONFIG)
    with serve(config, env={"WORKERS": "2"}) as gateway:
        old = workers(gateway)
        config.write_text("backends: nonsense\n")
        os.kill(gateway.process.popen.pid, signal.SIGUSR2)
        gateway.process.wait_for("is not replaced")
        assert set(old) <= set(workers(gateway))
        assert asked(gateway) == "hello"


def test_connections_wait_for_the_next_worker_when_the_only_one_dies(tmp_path: Path) -> None:
    with serve(env={"WORKERS": "1"}, cwd=tmp_path) as gateway:
        assert asked(gateway) == "hello"
        os.kill(workers(gateway)[0], signal.SIGKILL)
        gateway.process.wait_for("starting it again")
        assert asked(gateway) == "hello"


def test_workers_that_cannot_start_again_end_the_gateway_with_their_status(tmp_path: Path) -> None:
    """After a while: it does not spin, and whoever runs it learns of it."""
    config = tmp_path / "portico.yaml"
    config.write_text(CONFIG)
    with serve(config) as gateway:
        config.write_text("backends: nonsense\n")
        os.kill(workers(gateway)[0], signal.SIGKILL)
        assert gateway.process.popen.wait(60) == 2
        assert 5 <= gateway.process.output.count("starting it again") <= 6


def test_a_worker_that_hangs_holds_up_no_scrape(tmp_path: Path) -> None:
    """It counts as when it was last asked, and the health of the others is told."""
    with serve(env={"WORKERS": "2"}, cwd=tmp_path) as gateway:
        for _ in range(20):
            asked(gateway)
        before = sums(gateway.http)["portico_http_requests_total"]
        stuck, well = workers(gateway)
        os.kill(stuck, signal.SIGSTOP)
        try:
            # The kernel gives connections to the one that hangs as well: ask until another answers.
            started = time.monotonic()
            told = _of_who_answers(gateway, "/metrics")
            health = json.loads(_of_who_answers(gateway, "/health"))
            assert time.monotonic() - started < 20
        finally:
            os.kill(stuck, signal.SIGCONT)
        assert well in workers(gateway)
        assert "portico_http_requests_total" in told
        assert health["status"] == "ok"
        until(
            lambda: sums(gateway.http)["portico_http_requests_total"] >= before, "what it counted is not told"
        )


def _of_who_answers(gateway: Gateway, path: str) -> str:
    host, port = gateway.http.split(":")
    for _ in range(50):
        connection = http.client.HTTPConnection(host, int(port), timeout=2.5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200
            return answer.read().decode()
        except TimeoutError:
            continue
        finally:
            connection.close()
    raise AssertionError("nobody answers")


def test_by_default_there_is_a_worker_for_each_cpu(tmp_path: Path) -> None:
    with serve(env={"WORKERS": ""}, cwd=tmp_path) as gateway:
        assert len(workers(gateway)) == cpus()


def test_workers_share_a_unix_socket_too(tmp_path: Path) -> None:
    """It is there until they are told to stop."""
    socket = tmp_path / "http.sock"
    command = ("serve", "--workers", "2", "--listen", f"unix:{socket}", "--grpc", "127.0.0.1:0")
    with (
        portico(*command, cwd=tmp_path) as process,
        httpx.Client(transport=httpx.HTTPTransport(uds=str(socket)), base_url="http://localhost") as client,
    ):
        process.wait_for("OpenAI API")
        assert client.get("/v1/models").status_code == 200
        assert process.stop() == 0
        assert not socket.exists()


def test_workers_cannot_share_a_unix_socket_of_grpc(tmp_path: Path) -> None:
    """Facade and core can, which is what runs where nobody asked for workers."""
    command = ("serve", "--listen", "127.0.0.1:0", "--grpc", f"unix:{tmp_path}/grpc.sock")
    with portico(*command, "--workers", "2", cwd=tmp_path) as process:
        process.wait_for("workers cannot share unix:")
        assert process.popen.wait(20) == 2
    with portico(*command, cwd=tmp_path) as process:
        process.wait_for("gRPC")
        assert process.stop() == 0
