"""How many CPUs a process may use, as its cgroups tell."""

from pathlib import Path

import pytest

from portico_facade.cli.cpus import cpus, quotas


def write(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


@pytest.mark.parametrize(
    ("quota", "found"),
    [("200000 100000\n", [2]), ("150000 100000\n", [2]), ("1000 100000\n", [1]), ("max 100000\n", [])],
)
def test_a_container_sees_its_quota_at_the_root(quota: str, found: list[int], tmp_path: Path) -> None:
    write(tmp_path, self="0::/\n")
    write(tmp_path / "fs", cpu__max=quota)
    assert list(quotas(tmp_path / "self", tmp_path / "fs")) == found


def test_every_cgroup_around_a_process_counts(tmp_path: Path) -> None:
    write(tmp_path, self="0::/system.slice/portico.service\n")
    write(tmp_path / "fs" / "system.slice", cpu__max="300000 100000\n")
    write(tmp_path / "fs" / "system.slice" / "portico.service", cpu__max="max 100000\n")
    assert list(quotas(tmp_path / "self", tmp_path / "fs")) == [3]


def test_the_first_version_has_two_files(tmp_path: Path) -> None:
    write(tmp_path, self="4:cpu,cpuacct:/docker/1\n")
    write(tmp_path / "fs" / "cpu", cpu__cfs_quota_us="250000\n", cpu__cfs_period_us="100000\n")
    assert list(quotas(tmp_path / "self", tmp_path / "fs")) == [3]
    write(tmp_path / "fs" / "cpu", cpu__cfs_quota_us="-1\n")
    assert list(quotas(tmp_path / "self", tmp_path / "fs")) == []


def test_where_nothing_is_told_there_is_no_limit(tmp_path: Path) -> None:
    assert list(quotas(tmp_path / "self", tmp_path / "fs")) == []
    assert cpus() >= 1
