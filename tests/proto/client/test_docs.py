"""Every program in docs/client.md runs."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

from portico.v1.gateway_pb2 import ChatRequest, ChatResponse, StreamRequest
from portico.v1.receipt_pb2 import Receipt
from tests.proto.client.service import Service, chat_stream

PAGE = Path(__file__).parents[3] / "docs/client.md"
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("program", PROGRAMS, ids=range(1, len(PROGRAMS) + 1))
async def test_a_program_runs(program: str, service: Service, target: str) -> None:
    answer = ChatResponse()
    answer.completion.choices.add(finish_reason="stop").message.content = "Hi, I am a model."
    service.scripts = {ChatRequest: [answer], StreamRequest: chat_stream("Hi, I am ", "a model.")}
    service.receipt = Receipt(first_content_ms=5)
    assert "localhost:50051" in program
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "error", "-c", program.replace("localhost:50051", target)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 30)
    assert err == b""
    assert process.returncode == 0
    assert out
    assert service.calls
