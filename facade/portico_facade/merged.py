"""The metrics of several processes as those of one. Pure."""

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

# What does not add up: when the oldest process began, what each may open, and which version runs.
_ALIKE: Final[dict[str, Callable[[float, float], float]]] = {
    "process_start_time_seconds": min,
    "process_max_fds": min,
    "portico_build_info": max,
}


def totals(text: str) -> str:
    """Return what stays true of a process that has ended: its counts, and not its gauges."""
    registry = merged([text], lambda family: family.type in ("counter", "histogram"))
    return generate_latest(registry).decode()


def merged(texts: Iterable[str], wanted: Callable[[Metric], bool] = lambda _: True) -> CollectorRegistry:
    """Return a registry of the sums of what processes told in Prometheus' text format."""
    registry = CollectorRegistry()
    registry.register(_Merged(texts, wanted))
    return registry


class _Merged(Collector):
    def __init__(self, texts: Iterable[str], wanted: Callable[[Metric], bool]) -> None:
        self._families: dict[str, Metric] = {}
        self._values: dict[str, dict[tuple[str, frozenset[tuple[str, str]]], float]] = {}
        for text in texts:
            for family in filter(wanted, text_string_to_metric_families(text)):
                self._add(family)

    def _add(self, family: Metric) -> None:
        self._families.setdefault(family.name, family)
        values = self._values.setdefault(family.name, {})
        combine = _ALIKE.get(family.name, float.__add__)
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            values[key] = combine(values[key], sample.value) if key in values else sample.value

    def collect(self) -> Iterator[Metric]:
        """Yield the sums."""
        for name, family in self._families.items():
            made = Metric(name, family.documentation, family.type, family.unit)
            for (sample, labels), value in self._values[name].items():
                made.add_sample(sample, dict(labels), value)
            yield made
