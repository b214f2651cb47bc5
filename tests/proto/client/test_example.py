"""examples/python_service, run as its users run it, against a hand-made core."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portico.errors import RATE_LIMIT, ErrorClass, GatewayError, unknown_model
from portico.v1.gateway_pb2 import ChatRequest, ChatResponse, StreamRequest
from portico.v1.receipt_pb2 import Receipt, Served
from tests.proto.client.service import Service, chat_stream

SCRIPT = Path(__file__).parents[3] / "examples/python_service/summarise.py"

LONG = "".join(f"line {number} of a long text\n" for number in range(2_000))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("A short text.\n")
    return path


@pytest.fixture
def long_file(tmp_path: Path) -> Path:
    path = tmp_path / "long.txt"
    path.write_text(LONG)
    return path


@contextlib.asynccontextmanager
async def command(file: Path, target: str, *more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *(str(SCRIPT), str(file), "--model", "gpt-4", "--core", target, *more),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PORTICO_API_KEY": "sk-1"},
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def finished(file: Path, target: str, *more: str) -> tuple[int | None, str, str]:
    async with command(file, target, *more) as process, asyncio.timeout(30):
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_a_short_text_is_summarised_at_once(service: Service, target: str, file: Path) -> None:
    """In one call with the key and a deadline; who served is told beside it."""
    service.script = chat_stream("In ", "short.")
    service.receipt = Receipt(served=Served(backend="local", model="qwen"))
    service.receipt.usage.total_tokens = 9
    status, out, err = await finished(file, target, "--timeout", "50")
    assert (status, out) == (0, "In short.\n")
    assert err == "written by local/qwen, 9 tokens\n"
    call = service.calls[0]
    assert call.request.params.messages[-1].content == "A short text.\n"
    assert call.metadata["authorization"] == "Bearer sk-1"
    assert call.remaining is not None
    assert call.remaining < 51


async def test_a_long_text_is_summarised_in_parts(service: Service, target: str, long_file: Path) -> None:
    """The parts make the text again, end with a line, and their summaries are summarised."""
    note = ChatResponse()
    note.completion.choices.add().message.content = "A note."
    service.scripts = {ChatRequest: [note], StreamRequest: chat_stream("In short.")}
    status, out, _ = await finished(long_file, target)
    assert (status, out) == (0, "In short.\n")
    calls = sorted(service.calls[:-1], key=lambda call: call.metadata["x-request-id"])
    parts = [call.request.params.messages[-1].content for call in calls]
    assert "".join(parts) == LONG
    assert len(parts) == 5
    assert all(len(part) <= 12_000 and part.endswith("\n") for part in parts)
    assert service.calls[-1].request.params.messages[-1].content == "\n\n".join(["A note."] * 5)


async def test_a_failed_part_stops_the_others(service: Service, target: str, long_file: Path) -> None:
    service.scripts = {ChatRequest: [unknown_model("gpt-4")]}
    status, out, err = await finished(long_file, target)
    assert (status, out) == (1, "")
    assert "does not exist" in err
    assert "404 model_not_found, request " in err
    assert not any(isinstance(call.request, StreamRequest) for call in service.calls)


async def test_a_rate_limit_is_worth_a_repeat(service: Service, target: str, file: Path) -> None:
    service.script = [GatewayError(ErrorClass.CAPACITY, 429, "Slow down.", RATE_LIMIT, retry_after=2)]
    status, _, err = await finished(file, target)
    assert status == os.EX_TEMPFAIL
    assert err.startswith("summarise: Slow down.")
    assert err.endswith("Try again in 2 s.\n")


async def test_a_gateway_that_is_away_is_worth_a_repeat(folder: Path, file: Path) -> None:
    status, _, err = await finished(file, f"unix:{folder}/nobody.sock")
    assert status == os.EX_TEMPFAIL
    assert "cannot be reached" in err


async def test_time_runs_out_for_the_job(service: Service, target: str, file: Path) -> None:
    """And for the server with it."""
    service.script = [asyncio.Event()]
    status, _, err = await finished(file, target, "--timeout", "0.3")
    assert status == 1
    assert "deadline_exceeded" in err
    assert (await service.ended()).cancelled


async def test_an_interrupt_stops_the_model(service: Service, target: str, file: Path) -> None:
    """What came stays on the screen."""
    service.script = [*chat_stream("In "), asyncio.Event()]
    async with command(file, target) as process, asyncio.timeout(30):
        assert process.stdout is not None
        assert await process.stdout.read(3) == b"In "
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
    assert (await service.ended()).cancelled


async def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    status, _, err = await finished(folder / "absent.txt", "unix:/nowhere")
    assert status == 1
    assert "absent.txt" in err
