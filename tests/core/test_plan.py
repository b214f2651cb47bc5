"""What follows a failure before the commit: who is tried next, when, and what is told in the end."""

from collections.abc import Sequence
from math import inf
from typing import Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from portico.errors import GatewayError, from_upstream, internal, invalid_request, upstream_unreachable
from portico_core.candidates import Candidate
from portico_core.resilience import plan
from portico_core.resilience.plan import Plan, Step
from portico_core.resilience.symptoms import symptom
from tests.core.cases import BROKEN, BUSY, CALLERS_KEY, KEY, MISTAKE, SILENT

LONG: Final = 1000.0
MISSING: Final = from_upstream(404, "no such model", code="model_not_found")
TOO_LONG: Final = invalid_request("too long", code="context_length_exceeded")
REFUSED: Final = from_upstream(400, "not this", code="content_filter")
SHORTLY: Final = from_upstream(429, "slow down", retry_after=2.0)
BARE: Final = from_upstream(429, "slow down")

ALL: Final = (
    *(BARE, BROKEN, BUSY, CALLERS_KEY, KEY, MISSING, MISTAKE, REFUSED, SHORTLY, SILENT, TOO_LONG),
    *(internal("ours"), upstream_unreachable("nobody")),
)


@pytest.fixture(autouse=True)
def usual_pauses(monkeypatch: pytest.MonkeyPatch, short_pauses: None) -> None:
    """Those that are not shortened for tests that wait for them."""
    monkeypatch.setattr(plan, "_FIRST", 0.1)
    monkeypatch.setattr(plan, "_FIRST_WHEN_BUSY", 0.5)


def planned(*contexts: int | None, repeats: bool = True, chance: float = 0.0) -> Plan:
    """Return the plan for candidates with these contexts."""
    candidates = [Candidate("b", str(number), context=each) for number, each in enumerate(contexts)]
    return Plan(candidates, lambda: repeats, lambda: chance)


def follow(made: Plan, errors: Sequence[GatewayError], patience: float = LONG) -> list[Step | None]:
    """Have the tries of a plan fail, the first candidate's to begin with; return what follows each."""
    steps: list[Step | None] = []
    number = 0
    for error in errors:
        step = made.after(number, error, patience)
        steps.append(step)
        number = number if step is None else step.number
    return steps


@pytest.mark.parametrize(
    ("error", "steps"),
    [
        (BROKEN, [Step(0, 0.1), Step(1)]),
        (BARE, [Step(0, 0.5), Step(0, 1.0), Step(1)]),
        (SHORTLY, [Step(0, 2.0), Step(0, 2.0), Step(1)]),
        (from_upstream(429, "slow down", retry_after=0.0), [Step(0, 0.5), Step(0, 0.5), Step(1)]),
        (from_upstream(500, "broken", retry_after=0.0), [Step(0, 0.1), Step(1)]),
        (BUSY, [Step(1)]),
        (SILENT, [Step(1)]),
        (KEY, [Step(1)]),
        (MISSING, [Step(1)]),
        (upstream_unreachable("nobody"), [Step(1)]),
        (MISTAKE, [None]),
        (REFUSED, [None]),
        (CALLERS_KEY, [None]),
        (TOO_LONG, [None]),
    ],
)
def test_what_follows_a_failure(error: GatewayError, steps: Sequence[Step | None]) -> None:
    """At the same candidate as often as it may help, then at the next one, or nowhere."""
    assert follow(planned(None, None), [error] * len(steps)) == steps


@pytest.mark.parametrize(
    ("contexts", "step"), [((100, 50, 200), Step(2)), ((100, 100, None), None), ((None, 200, 300), None)]
)
def test_a_prompt_that_is_too_long_goes_to_a_larger_context(
    contexts: Sequence[int | None], step: Step | None
) -> None:
    """Which must be known to be larger."""
    assert planned(*contexts).after(0, TOO_LONG, LONG) == step


def test_a_context_that_was_too_small_is_so_for_the_rest_of_the_call() -> None:
    """Whatever else fails later, at a candidate that was large enough."""
    made = planned(8000, 128_000, 4000, repeats=False)
    assert follow(made, [TOO_LONG, BROKEN]) == [Step(1), None]
    assert made.error is BROKEN
    assert follow(planned(8000, 128_000, 4000, 16_000, repeats=False), [TOO_LONG, SILENT])[1] == Step(3)


CONTEXTS: Final = st.lists(st.none() | st.integers(1, 9), min_size=1, max_size=6)


@given(
    CONTEXTS, st.lists(st.sampled_from((*ALL, TOO_LONG, TOO_LONG)), max_size=20), st.sets(st.integers(0, 5))
)
@example([1, None, 2], [TOO_LONG], {1})
def test_nobody_is_asked_whose_context_is_not_larger_than_all_that_were_too_small(
    contexts: list[int | None], errors: list[GatewayError], beside: set[int]
) -> None:
    """Also where some failed for that beside the first; nor is one that was passed."""
    made, number, small = planned(*contexts), 0, list[float]()
    # A race has begun: the first, and some others beside it.
    ran = [each for each in made.beside(LONG) if each in beside]
    for each in ran:
        made.failed_beside(each, TOO_LONG)
    for error in errors:
        if error is TOO_LONG:
            small.append(contexts[number] or inf)
        step = made.after(number, error, LONG)
        if step is None:
            break
        small += [contexts[each] or inf for each in ran if number < each < step.number]
        larger = all((contexts[step.number] or 0) > each for each in small)
        assert larger or (step.number == number and error is not TOO_LONG)
        number = step.number
    assert all((contexts[each] or 0) > max(small) for each in made.still(range(len(contexts)), LONG) if small)


def test_one_that_failed_beside_the_first_counts_when_its_turn_comes() -> None:
    """The first is repeated first; a limit that the other told is respected, its accident tried again."""
    made = planned(None, None, None)
    assert made.beside(LONG) == [1, 2]
    made.failed_beside(1, BUSY)
    assert made.beside(LONG) == [2]
    assert follow(made, [BROKEN, BROKEN]) == [Step(0, 0.1), Step(2)]
    made = planned(None, None)
    made.failed_beside(1, BROKEN)
    assert follow(made, [BUSY, BROKEN]) == [Step(1, 0.1), None]


def test_a_refusal_beside_the_first_ends_a_plan_that_comes_to_it() -> None:
    """It is not asked of anybody else then, nor told where the first was mended before."""
    made = planned(None, None, None)
    made.failed_beside(1, REFUSED)
    assert follow(made, [BROKEN, BROKEN]) == [Step(0, 0.1), None]
    assert made.error is REFUSED
    made = planned(None, None)
    made.failed_beside(1, MISTAKE)
    assert made.after(0, SILENT, 0) is None
    assert made.error is SILENT


def test_without_a_budget_or_time_nothing_is_repeated() -> None:
    """A pause that would take all the time that is left is not begun."""
    assert planned(None, None, repeats=False).after(0, BROKEN, LONG) == Step(1)
    assert planned(None, None).after(0, BARE, 0.4) == Step(1)
    assert planned(None, None).after(0, BARE, 0.0) is None


@given(st.floats(0, 1, exclude_max=True))
def test_pauses_are_jittered(chance: float) -> None:
    """Less by up to a half; more, by up to a tenth of a second, where the backend names the time."""
    step = planned(None, chance=chance).after(0, BROKEN, LONG)
    assert step is not None
    assert 0.05 <= step.pause <= 0.1
    step = planned(None, chance=chance).after(0, SHORTLY, LONG)
    assert step is not None
    assert 2.0 <= step.pause <= 2.1


@pytest.mark.parametrize(
    ("failures", "told"),
    [
        ([BROKEN, MISSING], BROKEN),
        ([MISSING, SILENT], SILENT),
        ([SILENT, KEY], KEY),
        ([MISSING, MISSING], MISSING),
    ],
)
@pytest.mark.parametrize("noted", [False, True])
def test_the_last_failure_is_told_but_for_a_model_that_one_lacks(
    failures: Sequence[GatewayError], told: GatewayError, noted: bool
) -> None:
    """Also of those that ran at once."""
    made = planned(None, None, None, repeats=False)
    made.note(0, failures[0]) if noted else made.after(0, failures[0], LONG)
    made.after(1, failures[1], LONG)
    assert made.error is told


def test_only_those_that_are_able_are_tried() -> None:
    made = planned(None, None, None)
    made.only([2])
    assert made.after(0, BROKEN, LONG) == Step(2)
    assert made.still([0, 1], LONG) == ()


@pytest.mark.parametrize("error", [None, *ALL], ids=lambda each: "nobody" if each is None else each.message)
def test_those_that_were_passed_are_tried_where_nobody_was_that_could_serve(
    error: GatewayError | None,
) -> None:
    """An open breaker is better than one that lacks the model, the context or the key."""
    made = planned(200, 200, 100, repeats=False)
    made.past(LONG)
    assert made.past(LONG) == Step(2)
    while error is not None and made.after(2, error, LONG) is not None:
        pass
    unfit = error is None or error in (MISSING, KEY, TOO_LONG)
    assert list(made.still([0, 1], LONG)) == ([0, 1] if unfit else [])
    assert error is None or not made.still([0, 1], 0)


def test_nobody_follows_one_that_was_tried_at_last_but_such_as_were_passed() -> None:
    made = planned(None, None, None)
    made.past(LONG)
    assert made.after(1, MISSING, LONG) == Step(2)
    assert made.after(2, MISSING, LONG) is None
    assert made.back(0) == Step(0)
    assert made.after(0, MISSING, LONG) is None
    assert not made.beside(LONG)
    assert made.still([1], LONG) == [1]


@given(st.lists(st.sampled_from(ALL), min_size=1, max_size=60), st.integers(1, 5), st.booleans())
def test_every_plan_ends(errors: list[GatewayError], count: int, repeats: bool) -> None:
    """After three tries of each candidate at the most, in order; the caller's own mistakes end it at once."""
    made, tried, step = planned(*[None] * count, repeats=repeats), [0], None
    for error in errors * 20:
        step = made.after(tried[-1], error, LONG)
        if step is None:
            assert not symptom(error).cure.elsewhere or symptom(error).cure.larger or tried[-1] == count - 1
            break
        tried.append(step.number)
    assert step is None
    assert tried == sorted(tried)
    assert max(map(tried.count, tried)) <= 3
