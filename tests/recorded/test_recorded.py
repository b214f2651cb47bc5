"""Every recorded exchange of a kind that Portico serves: adapter and official SDK tell the same of it."""

import functools
from collections.abc import Mapping

import pytest

from tests.recorded.conftest import CHUNKINGS
from tests.recorded.kinds import Kind, read_by
from tests.recorded.outcome import Outcome
from tests.recorded.providers import PROVIDERS
from tests.support.corpus import Case, cases, parametrize


def _kind(case: Case) -> Kind | None:
    provider = PROVIDERS.get(case.provider)
    return provider.kind_of(case) if provider else None


@functools.cache
def _judged(url: str, name: str) -> Outcome:
    """Return the judge's reading; the chunkings share it."""
    case = next(case for case in cases() if case.name == name)
    judge, kind = PROVIDERS[case.provider].judge, _kind(case)
    assert judge is not None
    assert kind is not None
    return judge(f"{url}/@{name}", case, kind)


@pytest.mark.parametrize("chunking", CHUNKINGS)
@parametrize(lambda case: _kind(case) is not None)
async def test_adapter_and_sdk_tell_the_same(case: Case, chunking: str, servers: Mapping[str, str]) -> None:
    """Text, reasoning, tool calls, finish reasons, usage, vectors, errors; known differences still differ."""
    provider, kind = PROVIDERS[case.provider], _kind(case)
    assert provider.adapter is not None
    assert kind is not None
    adapter = provider.adapter(f"{servers[chunking]}/@{case.name}", case)
    try:
        found = await read_by(adapter, case, kind)
    finally:
        await adapter.aclose()
    judged = _judged(servers["all"], case.name)
    if case.name in provider.differs:
        assert found != judged, "no longer differs: take it out of the provider's row"
    else:
        assert found == judged


@parametrize(lambda _: True)
def test_every_case_is_served_or_said_not_to_be(case: Case) -> None:
    """By its provider's row; a new folder or path is noticed here."""
    provider = PROVIDERS[case.provider]
    assert (provider.kind_of(case) is None) != (provider.why_not(case) is None), case.path


def test_known_differences_are_of_the_corpus() -> None:
    """Each names a case of its provider."""
    known = {(name, case) for name, provider in PROVIDERS.items() for case in provider.differs}
    if cases():
        assert known <= {(case.provider, case.name) for case in cases()}
