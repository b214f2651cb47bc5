"""Where logs go. Logging belongs to the process, so each test has processes of its own."""

import subprocess
import sys
from pathlib import Path

import pytest

from portico_facade.cli import logs
from portico_facade.cli.common import UsageError


def command(role: str, code: str, before: str = "") -> list[str]:
    """Return a command that sets logging up for a role, and goes on with ``code``."""
    begin = "import os, sys; from logging import getLogger; from portico_facade.cli import logs"
    return [sys.executable, "-c", f"{begin}\n{before}\nlogs.configure(os.environ, {role!r})\n{code}"]


def run(role: str, code: str, before: str = "", **environ: str) -> str:
    """Run it to its end; return what it wrote to stderr."""
    done = subprocess.run(
        command(role, code, before), env=environ, stderr=subprocess.PIPE, text=True, timeout=30, check=True
    )
    return done.stderr


def told(file: Path) -> list[str]:
    """Return the messages in a log file."""
    return [line.split(maxsplit=4)[-1] for line in file.read_text(encoding="utf-8").splitlines()]


def test_lines_of_calls_have_a_file_of_their_own(tmp_path: Path) -> None:
    """In the folder of the process's role, which is made."""
    code = """
getLogger("portico.calls").info("call")
getLogger("portico.access").info("request")
getLogger("portico.server").info("began")
getLogger("portico.server").debug("not asked for")
"""
    assert run("core", code, LOG_DIR=str(tmp_path / "new")) == ""
    assert told(tmp_path / "new/core/access.log") == ["call", "request"]
    assert told(tmp_path / "new/core/portico.log") == ["began"]


def test_files_are_rotated_and_old_ones_go(tmp_path: Path) -> None:
    """By size; no line is cut in two."""
    code = "for number in range(50): getLogger('portico.access').info('line-%d', number)"
    run("facade", code, before="logs.FILE_BYTES, logs.OLDER_FILES = 200, 2", LOG_DIR=str(tmp_path))
    files = sorted(each.name for each in (tmp_path / "facade").glob("access.log*"))
    assert files == ["access.log", "access.log.1", "access.log.2"]
    assert all((tmp_path / "facade" / name).stat().st_size <= 200 for name in files)
    lines = [line for name in reversed(files) for line in told(tmp_path / "facade" / name)]
    assert lines == [f"line-{number}" for number in range(50 - len(lines), 50)]


def test_two_processes_never_write_one_file(tmp_path: Path) -> None:
    """The second takes a folder with a number; the first is free again when its process ends."""
    environ = {"LOG_DIR": str(tmp_path)}
    waits = "getLogger().warning('first'); print(flush=True); sys.stdin.read()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command("facade", waits), env=environ, **pipes) as other:  # type: ignore[call-overload]
        assert other.stdout.readline() == b"\n"
        run("facade", "getLogger().warning('second')", **environ)
    run("facade", "getLogger().warning('third')", **environ)
    assert told(tmp_path / "facade/portico.log") == ["first", "third"]
    assert told(tmp_path / "facade-2/portico.log") == ["second"]


@pytest.mark.parametrize(("role", "folder"), [("", "LOG_DIR"), ("core", "")])
def test_the_rest_goes_to_stderr(tmp_path: Path, role: str, folder: str) -> None:
    """Without LOG_DIR, and for commands that people run."""
    environ = {folder: str(tmp_path)} if folder else {}
    assert "INFO    portico.access line\n" in run(role, "getLogger('portico.access').info('line')", **environ)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("environ", "word"),
    [({"LOG_LEVEL": "loud"}, "LOG_LEVEL"), ({"LOG_DIR": "/dev/null/x"}, "/dev/null/x")],
)
def test_what_cannot_be_followed_is_told(environ: dict[str, str], word: str) -> None:
    """With the variable to mend."""
    with pytest.raises(UsageError, match=word):
        logs.configure(environ, "core")
