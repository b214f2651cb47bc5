"""compose.yml fits Compose's schema, and its parts fit one another."""

import functools
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import portico_core.config
import portico_facade.config
from tests.deployment.dockerfile import DOCKER, stages

COMPOSE: Any = yaml.safe_load((DOCKER / "compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]


@functools.cache
def _core() -> portico_core.config.Config:
    return portico_core.config.load(DOCKER / "portico.yaml", {})


@functools.cache
def _facade() -> portico_facade.config.Settings:
    return portico_facade.config.load(DOCKER / "portico.yaml", {})


def _seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


def test_it_fits_the_schema_of_the_compose_specification() -> None:
    command = (sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec")
    checked = subprocess.run(
        (*command, str(DOCKER / "compose.yml")), check=False, capture_output=True, text=True, timeout=60
    )
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("name", ["core", "facade"])
def test_it_builds_our_images_and_lets_them_write_nothing(name: str) -> None:
    service = SERVICES[name]
    build = service["build"]
    assert (DOCKER / build["context"] / build["dockerfile"]).resolve() == DOCKER / f"{name}.Dockerfile"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]


def test_networks_volumes_and_mounted_files_exist() -> None:
    for service in SERVICES.values():
        assert set(service["networks"]) <= set(COMPOSE["networks"])
        for volume in service.get("volumes", ()):
            source, target, *_ = volume.split(":")
            if source.startswith("."):
                assert (DOCKER / source).is_file()
                assert Path(target).name == "portico.yaml"
            else:
                assert source in COMPOSE["volumes"]


def test_whoever_is_waited_for_has_a_health_check() -> None:
    waited_for = {
        needed
        for service in SERVICES.values()
        for needed, how in service.get("depends_on", {}).items()
        if how["condition"] == "service_healthy"
    }
    assert waited_for == {"core", "engine"}
    for name in waited_for:
        in_image = "build" in SERVICES[name] and any(
            each.name == "HEALTHCHECK" for each in stages(DOCKER / f"{name}.Dockerfile")[-1]
        )
        assert in_image or "healthcheck" in SERVICES[name]


def test_the_facade_is_pointed_at_the_core_over_a_network_they_share() -> None:
    command = SERVICES["facade"]["command"]
    port = _core().grpc.listen.rpartition(":")[2]
    assert command == ["--core", f"dns:///core:{port}"]
    assert set(SERVICES["facade"]["networks"]) & set(SERVICES["core"]["networks"])
    # Only the core gets through to the engine.
    assert not set(SERVICES["facade"]["networks"]) & set(SERVICES["engine"]["networks"])


def test_published_ports_are_those_that_the_halves_listen_on() -> None:
    for name, listen in (("core", _core().grpc.listen), ("facade", _facade().listen)):
        (published,) = SERVICES[name]["ports"]
        host, _, port = listen.rpartition(":")
        assert published.split(":")[-1] == port
        assert host == "0.0.0.0"


def test_the_configuration_routes_to_the_engines_model() -> None:
    command = SERVICES["engine"]["command"]
    model = command[command.index("--alias") + 1]
    text = (DOCKER / "portico.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text)["default"] == f"engine/{model}"


def test_nothing_is_killed_while_it_drains() -> None:
    for name in ("core", "facade"):
        assert _seconds(SERVICES[name]["stop_grace_period"]) >= _core().grpc.drain + 5
