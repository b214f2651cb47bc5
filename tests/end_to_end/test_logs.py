"""Log files of a running gateway."""

from pathlib import Path

from tests.support.gateway import serve


def test_each_process_logs_into_its_own_folder(tmp_path: Path) -> None:
    """A request stands in the access logs of both halves under one id; stderr stays empty of it."""
    with serve(env={"LOG_DIR": str(tmp_path / "logs"), "WORKERS": "0"}, cwd=tmp_path) as gateway:
        answer = gateway.sdk().chat.completions.with_raw_response.create(
            model="dummy/echo-1", messages=[{"role": "user", "content": "a secret"}]
        )
        assert gateway.process.stop() == 0
        request_id = answer.headers["x-request-id"]
    for role in ("facade", "core"):
        [line] = (tmp_path / "logs" / role / "access.log").read_text(encoding="utf-8").splitlines()
        assert f"request_id={request_id}" in line
    assert request_id not in gateway.process.output
    everything = "".join(
        file.read_text(encoding="utf-8") for file in (tmp_path / "logs").rglob("*") if file.is_file()
    )
    assert "a secret" not in everything
    assert {each.name for each in (tmp_path / "logs").iterdir()} == {"serve", "core", "facade"}


def test_a_worker_logs_requests_and_calls_in_one_file(tmp_path: Path) -> None:
    with serve(env={"LOG_DIR": str(tmp_path / "logs"), "WORKERS": "2"}, cwd=tmp_path) as gateway:
        gateway.sdk().chat.completions.create(
            model="dummy/echo-1", messages=[{"role": "user", "content": "hello"}]
        )
        assert gateway.process.stop() == 0
    folders = {each.name: each / "access.log" for each in (tmp_path / "logs").iterdir()}
    assert set(folders) == {"serve", "worker", "worker-2"}
    lines = "".join(folders[name].read_text(encoding="utf-8") for name in ("worker", "worker-2")).splitlines()
    assert sorted(line.split()[3] for line in lines) == ["portico.access", "portico.calls"]


def test_messages_are_logged_at_debug_only(tmp_path: Path) -> None:
    for level, logged in (("info", False), ("debug", True)):
        with serve(env={"LOG_LEVEL": level}, cwd=tmp_path) as gateway:
            gateway.sdk().chat.completions.create(
                model="dummy/echo-1", messages=[{"role": "user", "content": "a secret"}]
            )
            assert gateway.process.stop() == 0
        assert ("a secret" in gateway.process.output) is logged, level
