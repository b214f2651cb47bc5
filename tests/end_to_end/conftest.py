"""Fixtures for tests that run the gateway as its users do: processes, sockets and official SDKs."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.engine import Engine, engine, make_model
from tests.support.gateway import LAYOUTS, Gateway, serve


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a tiny model."""
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def running_engine(tiny_model: Path) -> Iterator[Engine]:
    """A real engine for the module's tests."""
    with engine(tiny_model) as started:
        yield started


@pytest.fixture(scope="module", params=LAYOUTS)
def default_gateway(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """A gateway without any configuration, in each layout: callers see the same."""
    with serve(env=LAYOUTS[request.param]) as started:
        yield started


@pytest.fixture(scope="module", params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> Mapping[str, str]:
    """The environment of each layout. Of workers there is one: what is learnt of backends is learnt once."""
    return {"WORKERS": "0" if request.param == "halves" else "1"}


@pytest.fixture
def gateways(layout: Mapping[str, str], tmp_path: Path) -> Iterator[Callable[[str], Gateway]]:
    """Run gateways with the configurations given as YAML text, until the test ends; in each layout."""
    with ExitStack() as stack:

        def run(config: str) -> Gateway:
            file = tmp_path / "portico.yaml"
            file.write_text(config, encoding="utf-8")
            return stack.enter_context(serve(file, env=layout))

        yield run
