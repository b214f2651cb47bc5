"""What is counted cheaply is told as prometheus_client would tell it."""

import threading

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from portico.tallies import Spread, Tally

BOUNDS = (0.005, 0.1, 1, 60)
VALUES = (0.0, 0.005, 0.0051, 0.1, 7.25, 60, 61, 600)


def test_the_text_is_the_same_to_the_byte() -> None:
    """Counters, gauges that fall, buckets with their bounds, sums and counts."""
    theirs, ours = CollectorRegistry(), CollectorRegistry()
    counter = Counter("p_calls", "Calls.", ("rpc", "model"), registry=theirs)
    gauge = Gauge("p_running", "Running.", ("rpc",), registry=theirs)
    histogram = Histogram("p_seconds", "Seconds.", ("rpc",), registry=theirs, buckets=BOUNDS)
    calls = Tally("p_calls", "Calls.", ("rpc", "model"), ours)
    running = Tally("p_running", "Running.", ("rpc",), ours, falls=True)
    seconds = Spread("p_seconds", "Seconds.", ("rpc",), BOUNDS, ours)
    for amount in (1, 2.5, 3):
        counter.labels("Chat", 'a"b\n').inc(amount)
        calls.counts[("Chat", 'a"b\n')] += amount
    for amount in (1, 1, -1):
        gauge.labels("Chat").inc(amount)
        running.counts[("Chat",)] += amount
    for value in VALUES:
        histogram.labels("Chat").observe(value)
        seconds.observe(("Chat",), value)
    told = [line for line in generate_latest(theirs).decode().splitlines() if "_created" not in line]
    assert generate_latest(ours).decode().splitlines() == told


def test_what_is_forgotten_is_not_told() -> None:
    """By the labels that are asked about; the others do not count."""
    registry = CollectorRegistry()
    calls, seconds = (
        Tally("calls", "", ("rpc", "backend"), registry),
        Spread("s", "", ("backend",), (1,), registry),
    )
    for backend in ("here", "gone"):
        calls.counts[("Chat", backend)] += 1
        seconds.observe((backend,), 0.5)
    for each in (calls, seconds):
        each.forget({"backend": lambda name: name == "here", "model": lambda _: False})
    assert registry.get_sample_value("calls_total", {"rpc": "Chat", "backend": "here"}) == 1
    assert registry.get_sample_value("s_count", {"backend": "here"}) == 1
    assert "gone" not in generate_latest(registry).decode()


def test_it_may_be_told_while_it_is_counted() -> None:
    """In another thread, as for a scrape."""
    registry = CollectorRegistry()
    calls = Tally("calls", "", ("model",), registry)
    failed: list[Exception] = []
    done = threading.Event()

    def scrape() -> None:
        try:
            while not done.is_set():
                generate_latest(registry)
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=scrape)
    thread.start()
    for number in range(20_000):
        calls.counts[(str(number % 1000),)] += 1
        if number % 1000 == 999:
            calls.forget({"model": lambda _: False})
    done.set()
    thread.join()
    assert not failed
