"""Metrics that cost an entry of a dictionary to count, and are told in Prometheus' terms when it asks.

prometheus_client's own take ten times as long, for locks and checks that one event loop does not need.
What is told may be read in another thread.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

#: Values of labels, in their order.
Labels = tuple[str, ...]

#: For each label, whether a value of it is still to be told.
Known = Mapping[str, Callable[[str], bool]]


def encoder(accept: str) -> tuple[Callable[[Collector], bytes], str]:
    """Return what writes metrics as a scraper's ``Accept`` asks, and the content type of that."""
    try:
        return choose_encoder(accept)
    except TypeError:
        # It compares a version's numbers with what is no number.
        return choose_encoder("")


class Tally(Collector):
    """A counter; or a gauge, which may fall. Registers itself."""

    def __init__(
        self, name: str, text: str, labels: Sequence[str], registry: CollectorRegistry, *, falls: bool = False
    ) -> None:
        self._name = name
        self._text = text
        self._labels: Final = tuple(labels)
        self._falls = falls
        #: To count is to add to one: no call is needed.
        self.counts: Final[defaultdict[Labels, float]] = defaultdict(int)
        registry.register(self)

    def forget(self, known: Known) -> None:
        """Tell no more what stands under values of labels that are not known."""
        _forget(self.counts, self._labels, known)

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """Tell all."""
        kind = GaugeMetricFamily if self._falls else CounterMetricFamily
        family = kind(self._name, self._text, labels=self._labels)
        for labels, count in list(self.counts.items()):
            family.add_metric(labels, count)
        yield family


class Spread(Collector):
    """A histogram. Registers itself. ``bounds``: of its buckets, rising."""

    def __init__(
        self,
        name: str,
        text: str,
        labels: Sequence[str],
        bounds: Sequence[float],
        registry: CollectorRegistry,
    ) -> None:
        self._name = name
        self._text = text
        self._labels: Final = tuple(labels)
        self._bounds: Final = tuple(bounds)
        self._names: Final = [*map(floatToGoString, bounds), "+Inf"]
        # Of each bucket by itself, and last the sum of all values.
        self._counts: dict[Labels, list[float]] = {}
        registry.register(self)

    def observe(self, labels: Labels, value: float) -> None:
        """Count a value."""
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._names) + 1)
        counts[bisect_left(self._bounds, value)] += 1
        counts[-1] += value

    def forget(self, known: Known) -> None:
        """Tell no more what stands under values of labels that are not known."""
        _forget(self._counts, self._labels, known)

    def collect(self) -> Iterable[HistogramMetricFamily]:
        """Tell all."""
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        for labels, counts in list(self._counts.items()):
            *each, total = counts
            sums = [sum(each[: number + 1]) for number in range(len(each))]
            family.add_metric(labels, list(zip(self._names, sums, strict=True)), total)
        yield family


def _forget(counts: dict[Labels, float] | dict[Labels, list[float]], names: Labels, known: Known) -> None:
    for labels in list(counts):
        if not all(known[name](value) for name, value in zip(names, labels, strict=True) if name in known):
            del counts[labels]
