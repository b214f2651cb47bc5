"""examples/embedded and the programs of docs/library.md run."""

from pathlib import Path

import pytest

from tests.support.pages import ROOT, programs, run

SCRIPT = ROOT / "examples/embedded/answer_all.py"
PROGRAMS = programs("docs/library.md")

CONFIG = "backends: {dummy: {dialect: dummy}}\nmodels: {gpt-4: dummy/echo-1}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "portico.yaml").write_text(CONFIG, encoding="utf-8")
    return tmp_path


def test_the_script_answers_every_question(folder: Path) -> None:
    command = (str(SCRIPT), "--config", "portico.yaml", "--model", "gpt-4")
    done = run(*command, cwd=folder, said="how are you\n\nwho are you\n")
    assert done.stdout.splitlines() == ["how are you: how are you", "who are you: who are you"]
    assert (done.returncode, done.stderr) == (0, "")


def test_the_script_tells_what_failed(folder: Path) -> None:
    failed = run(str(SCRIPT), "--model", "nobody/knows", cwd=folder, said="hello\n")
    assert failed.returncode == 1
    assert failed.stderr.startswith("hello: failed: ")
    none = run(str(SCRIPT), "--config", "absent.yaml", cwd=folder)
    assert (none.returncode, none.stderr) == (
        2,
        "no gateway: absent.yaml: cannot be read: No such file or directory\n",
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=range(1, len(PROGRAMS) + 1))
def test_a_program_of_the_page_runs(program: str, folder: Path) -> None:
    done = run("-c", program, cwd=folder, env={"PORT": "0", "HOST": "127.0.0.1"})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
