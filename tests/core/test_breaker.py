"""When calls are kept away from a candidate, and how it comes back."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portico.errors import (
    GatewayError,
    deadline_exceeded,
    from_upstream,
    internal,
    invalid_request,
    upstream_failed,
    upstream_silent,
    upstream_unreachable,
)
from portico_core.resilience.breaker import FAILURE, Breaker, State, Verdict, verdict


def fail(breaker: Breaker, now: float, says: Verdict = FAILURE, times: int = 1) -> None:
    for _ in range(times):
        breaker.ended(breaker.began(now), says, now, well=False)


def succeed(breaker: Breaker, now: float) -> None:
    ticket = breaker.began(now)
    breaker.answered(ticket, now)
    breaker.ended(ticket, None, now, well=True)


def never() -> float:
    return 0.999


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (upstream_failed("broke"), FAILURE),
        (upstream_silent("slow"), FAILURE),
        (upstream_unreachable("nobody"), FAILURE),
        (from_upstream(500, ""), FAILURE),
        (from_upstream(429, ""), Verdict(1, passes=True)),
        (from_upstream(503, "", retry_after=7), Verdict(7, passes=True, named=True)),
        (from_upstream(529, "", retry_after=1e9), Verdict(300, passes=True, named=True)),
        (from_upstream(429, "", retry_after=0.0), Verdict(0, passes=True)),
        (from_upstream(429, "", code="insufficient_quota"), Verdict(60)),
        (from_upstream(402, "", retry_after=90), Verdict(90)),
        (from_upstream(401, ""), Verdict(inf)),
        (from_upstream(403, ""), Verdict(60)),
        (from_upstream(400, ""), None),
        (from_upstream(404, ""), None),
        (invalid_request("wrong", code="context_length_exceeded"), None),
        (invalid_request("no", code="content_filter"), None),
        (deadline_exceeded(), None),
        (internal("ours"), None),
    ],
)
def test_what_an_error_says_of_the_candidate(error: GatewayError, expected: Verdict | None) -> None:
    """Failures count; limits last as long as the backend says; the caller's mistakes and ours say nothing."""
    assert verdict(error) == expected


@pytest.mark.parametrize("status", [401, 403, 429])
def test_one_callers_key_and_limits_say_nothing_of_the_others(status: int) -> None:
    """An overload does."""
    assert verdict(from_upstream(status, "", callers_key=True), by_caller=True) is None
    assert verdict(from_upstream(503, ""), by_caller=True) == Verdict(1, passes=True)


def test_five_failures_on_end_open_it() -> None:
    """A success between them does not let it come to that."""
    breaker = Breaker()
    fail(breaker, 0, times=4)
    succeed(breaker, 0)
    fail(breaker, 0, times=4)
    assert breaker.state(0) is State.CLOSED
    fail(breaker, 0)
    assert breaker.state(0) is State.OPEN
    assert breaker.state(14.9) is State.OPEN
    assert breaker.state(15) is State.HALF_OPEN


def test_half_of_the_last_twenty_open_it() -> None:
    """Once twenty are known."""
    breaker = Breaker()
    for _ in range(9):
        fail(breaker, 0)
        succeed(breaker, 0)
    fail(breaker, 0)
    assert breaker.state(0) is State.CLOSED
    fail(breaker, 0)
    assert breaker.state(0) is State.OPEN


def test_half_open_lets_one_through_at_a_time() -> None:
    """One that says nothing, as its caller left, makes room for the next."""
    breaker = Breaker()
    fail(breaker, 0, times=5)
    assert breaker.admits(15, never)
    probe = breaker.began(15)
    assert not breaker.admits(15, never)
    breaker.ended(probe, None, 16, well=False)
    assert breaker.admits(16, never)
    fail(breaker, 16)
    # Not twice as long.
    assert breaker.due == 31


def test_what_began_before_it_opened_does_not_count_after() -> None:
    """Neither for it nor against it."""
    breaker = Breaker()
    old = [breaker.began(0) for _ in range(50)]
    for ticket in old[:10]:
        breaker.ended(ticket, FAILURE, 0, well=False)
    assert breaker.due == 15
    breaker.answered(old[10], 1)
    assert breaker.state(1) is State.OPEN
    succeed(breaker, 20)
    for ticket in old[11:]:
        breaker.ended(ticket, FAILURE, 21, well=False)
    assert breaker.state(21) is State.RETURNING


def test_it_opens_again_at_the_first_failure_of_the_return() -> None:
    """A flapping candidate gets few calls."""
    breaker = Breaker()
    fail(breaker, 0, times=5)
    succeed(breaker, 15)
    fail(breaker, 16)
    assert breaker.due == 31


def test_a_limit_passes_by_itself() -> None:
    """All calls come at once when it is over, none before."""
    breaker = Breaker()
    fail(breaker, 0, Verdict(7, passes=True))
    assert not breaker.admits(6.9, lambda: 0.0)
    assert breaker.state(7) is State.CLOSED
    tickets = [breaker.began(7) for _ in range(9) if breaker.admits(7, never)]
    assert len(tickets) == 9


LIMIT = Verdict(7, passes=True, named=True)


def test_a_pause_that_the_backend_asked_for_is_kept_by_all_and_ended_by_one() -> None:
    """The first goes alone until it is answered."""
    breaker = Breaker()
    fail(breaker, 0, LIMIT)
    assert breaker.rest(6) == 1
    assert (breaker.rest(7), breaker.admits(7, never)) == (0, True)
    first = breaker.began(7)
    assert breaker.rest(7.25) == 0.75
    assert not breaker.admits(7.25, never)
    breaker.answered(first, 7.5)
    assert (breaker.rest(7.5), breaker.admits(7.5, never), breaker.due) == (0, True, -inf)


def test_who_has_not_been_refused_within_a_second_ends_the_pause() -> None:
    """Limits refuse at once, and answers may take long."""
    breaker = Breaker()
    fail(breaker, 0, LIMIT)
    breaker.began(7)
    assert (breaker.rest(8), breaker.admits(8, never)) == (0, True)
    breaker.began(8)
    assert (breaker.rest(8), breaker.admits(8, never)) == (0, True)


@pytest.mark.parametrize(
    ("says", "rest", "admits"),
    [(LIMIT, 7, False), (None, 0, True), (FAILURE, 0, True), (Verdict(60), 0, False)],
)
def test_what_comes_of_the_first_after_a_pause_tells_what_follows(
    says: Verdict | None, rest: float, admits: bool
) -> None:
    """A new pause; or the next one finds out; any other failure says that the limit is over."""
    breaker = Breaker()
    fail(breaker, 0, LIMIT)
    breaker.ended(breaker.began(7), says, 7, well=False)
    assert (breaker.rest(7), breaker.admits(7, never)) == (rest, admits)


def test_a_pause_of_hours_is_tried_each_minute_where_nobody_else_is_left() -> None:
    """By one call."""
    breaker, limit = Breaker(), Verdict(300, passes=True, named=True)
    fail(breaker, 0, limit)
    assert (breaker.rest(59), breaker.rest(60), breaker.admits(60, never)) == (1, 0, False)
    first = breaker.began(60)
    assert breaker.rest(60) == 1
    breaker.ended(first, limit, 60.5, well=False)
    assert (breaker.rest(60.5), breaker.due) == (60, 360.5)


@given(st.lists(st.tuples(st.floats(0, 3), st.sampled_from(["limit", "broken", "answer", "leave", "run"]))))
def test_nobody_goes_in_a_pause_and_one_at_a_time_at_its_end(steps: list[tuple[float, str]]) -> None:
    """Of calls that nobody else could serve; whatever comes of those before."""
    breaker, now, until, alone = Breaker(), 0.0, 0.0, -1.0
    for seconds, outcome in steps:
        now += seconds
        assert (now < max(until, alone)) == (breaker.rest(now) > 0)
        if breaker.rest(now):
            continue
        ticket = breaker.began(now)
        assert ticket.first == (until > 0 and alone < until)
        # Who goes first after a pause goes alone for a second.
        alone = now + 1 if ticket.first else -1.0
        until = until if ticket.first else 0.0
        if outcome == "answer":
            breaker.answered(ticket, now)
            until, alone = 0.0, -1.0
        if outcome == "leave":
            alone = -1.0
        says = {"limit": Verdict(2, passes=True, named=True), "broken": FAILURE}.get(outcome)
        if outcome == "limit":
            until, alone = now + 2, -1.0
        elif outcome == "broken":
            until, alone = 0.0, -1.0
        if outcome != "run":
            breaker.ended(ticket, says, now, well=outcome == "answer")


def test_limits_that_never_end_are_a_failure() -> None:
    """Five of them without an answer between them; an answer starts afresh."""
    breaker = Breaker()
    limit = Verdict(1, passes=True)
    for now in range(0, 8, 2):
        fail(breaker, now, limit)
    succeed(breaker, 8)
    for now in range(10, 18, 2):
        fail(breaker, now, limit)
        assert breaker.due == now + 1
    fail(breaker, 18, limit)
    assert (breaker.due, breaker.state(33)) == (33, State.HALF_OPEN)


def test_one_whose_key_was_refused_is_open_for_good_unless_it_answers() -> None:
    """When nobody else is left it is tried all the same, and may have been mended."""
    breaker = Breaker()
    fail(breaker, 0, Verdict(inf))
    assert breaker.state(1e9) is State.OPEN
    succeed(breaker, 1e9)
    assert breaker.state(1e9) is State.RETURNING


def test_openings_and_closings_are_told() -> None:
    """Each once."""
    told: list[State] = []
    breaker = Breaker(lambda: told.append(breaker.state(15)))
    fail(breaker, 0, times=7)
    succeed(breaker, 15)
    assert told == [State.HALF_OPEN, State.RETURNING]


@given(st.lists(st.floats(0, 10), min_size=2))
def test_the_share_of_one_that_returns_grows(moments: list[float]) -> None:
    """From a little to all, and never falls."""
    breaker = Breaker()
    fail(breaker, 0, times=5)
    succeed(breaker, 20)
    shares = [breaker.share(20 + each) for each in sorted(moments)]
    assert shares == sorted(shares)
    assert all(0 < each <= 1 for each in shares)
    assert breaker.share(25) == 1


ERRORS = st.sampled_from([FAILURE, Verdict(3, passes=True), Verdict(60), Verdict(inf), None])


@given(st.lists(st.tuples(st.floats(0, 30), ERRORS, st.booleans(), st.booleans()), max_size=80))
def test_whatever_comes_half_open_has_one_probe_at_a_time(
    steps: list[tuple[float, Verdict | None, bool, bool]],
) -> None:
    """Attempts begin at any moment, and end in any order, well, badly or cancelled."""
    breaker, now, running = Breaker(), 0.0, []
    for seconds, says, ends, well in steps:
        now += seconds
        if breaker.admits(now, lambda: 0.0):
            running.append(breaker.began(now))
        probes = [each for each in running if each.probe and each.epoch == running[-1].epoch]
        assert len(probes) <= 1
        if probes and breaker.state(now) is State.HALF_OPEN:
            assert not breaker.admits(now, lambda: 0.0)
        if ends and running:
            ticket = running.pop(0)
            if says is None and well:
                breaker.answered(ticket, now)
            breaker.ended(ticket, says, now, well=well)
