"""The metrics of several processes as those of one."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from portico_facade.merged import merged, totals


def process(requests: int, *, started: float, seconds: float) -> str:
    """Return what one process tells."""
    registry = CollectorRegistry()
    Counter("requests", "Requests.", ("route",), registry=registry).labels("/v1").inc(requests)
    Gauge("in_flight", "Under way.", registry=registry).set(requests)
    Gauge("process_start_time_seconds", "Start.", registry=registry).set(started)
    Info("portico_build", "Version.", registry=registry).info({"version": "1"})
    Histogram("took_seconds", "Took.", registry=registry, buckets=(1, 10)).observe(seconds)
    return generate_latest(registry).decode()


def test_counts_add_up_and_facts_do_not() -> None:
    registry = merged([process(2, started=100, seconds=0.5), process(3, started=50, seconds=5), ""])
    told = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in family.samples
    }
    assert told["requests_total", ("route", "/v1")] == 5
    assert told["in_flight",] == 5
    assert told["process_start_time_seconds",] == 50
    assert told["portico_build_info", ("version", "1")] == 1
    assert [told["took_seconds_bucket", ("le", bound)] for bound in ("1.0", "10.0", "+Inf")] == [1, 2, 2]
    assert (told["took_seconds_count",], told["took_seconds_sum",]) == (2, 5.5)


def test_of_a_process_that_ended_the_counts_stay() -> None:
    kept = totals(process(2, started=100, seconds=5))
    told = {sample.name for family in text_string_to_metric_families(kept) for sample in family.samples}
    assert {"requests_total", "took_seconds_sum"} <= told
    assert not {"in_flight", "process_start_time_seconds", "portico_build_info"} & told


def test_nothing_told_is_nothing() -> None:
    assert generate_latest(merged(["", ""])) == b""
