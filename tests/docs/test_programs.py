"""The Python programs of README.md and docs/client.md run against a gateway."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.gateway import Gateway, serve
from tests.support.pages import programs, run

CONFIG = """\
backends: {dummy: {dialect: dummy}}
models: {gpt-4: {candidates: dummy/echo-1, unsupported: drop}}
"""

PROGRAMS = [
    pytest.param(program, id=f"{page} {number}")
    for page in ("README.md", "docs/client.md")
    for number, program in enumerate(programs(page), 1)
]


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    config = tmp_path_factory.mktemp("pages") / "portico.yaml"
    config.write_text(CONFIG, encoding="utf-8")
    with serve(config) as running:
        yield running


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_the_page_runs(program: str, gateway: Gateway, tmp_path: Path) -> None:
    """With the gateway's ports in place of the page's."""
    here = program.replace("localhost:8000", gateway.http).replace("localhost:50051", gateway.grpc)
    assert here != program
    done = run("-c", here, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
