"""Turns between people, and what is learned of how long a job takes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint.core.geometry import Extent
from inpaint.core.progress import Progress, Stage
from inpaint.jobs.eta import KINDS_KEPT, Cost, Pace, StepRate
from inpaint.jobs.queue import FairQueue

ARRIVALS = st.lists(st.sampled_from("abcd"), max_size=40)


def filled(people: list[str]) -> FairQueue[tuple[str, int]]:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for number, person in enumerate(people):
        queue.push(person, (person, number))
    return queue


def drained(queue: FairQueue[tuple[str, int]]) -> list[tuple[str, int]]:
    return [queue.pop() for _ in range(len(queue))]


@pytest.mark.parametrize(
    ("arrivals", "served"),
    [
        pytest.param("", "", id="nobody"),
        pytest.param("aaa", "aaa", id="one person"),
        pytest.param("aaabc", "abcaa", id="one who queues many waits for those who queue one"),
        pytest.param("abab", "abab", id="in turn"),
    ],
)
def test_people_take_turns(arrivals: str, served: str) -> None:
    assert "".join(person for person, _ in drained(filled(list(arrivals)))) == served


@given(ARRIVALS)
def test_everyone_is_served_once_and_in_their_own_order(people: list[str]) -> None:
    served = drained(filled(people))
    assert sorted(served, key=lambda item: item[1]) == [(person, number) for number, person in enumerate(people)]
    for person in set(people):
        mine = [number for who, number in served if who == person]
        assert mine == sorted(mine)


@given(ARRIVALS)
def test_the_order_that_is_told_is_the_order_that_comes(people: list[str]) -> None:
    queue = filled(people)
    assert queue.in_order() == drained(queue)


@given(ARRIVALS)
def test_nobody_is_served_twice_while_another_waits(people: list[str]) -> None:
    """Between two turns of one person, everyone who waited all that time had a turn."""
    served = [person for person, _ in drained(filled(people))]
    left = {person: people.count(person) for person in set(people)}
    for index, person in enumerate(served):
        left[person] -= 1
        following = served[index + 1 : index + 1 + sum(1 for other in left if other != person and left[other])]
        assert person not in following


@given(ARRIVALS, st.integers(0, 39))
def test_removing_one_leaves_the_others(people: list[str], which: int) -> None:
    queue = filled(people)
    if which < len(people):
        queue.remove(people[which], (people[which], which))
    queue.remove("nobody", ("nobody", 0))
    assert {number for _, number in drained(queue)} == set(range(len(people))) - {which}


def test_an_empty_queue_has_nothing_to_serve() -> None:
    with pytest.raises(IndexError):
        FairQueue[str]().pop()


SQUARE = Cost("mini", "inpaint", Extent(256, 256), 20)


@pytest.mark.parametrize(
    ("other", "seconds"),
    [
        pytest.param(SQUARE, 10.0, id="the same"),
        pytest.param(replace(SQUARE, steps=40), 20.0, id="twice the steps"),
        pytest.param(replace(SQUARE, extent=Extent(240, 272)), 10.0 * 240 * 272 / 256**2, id="about that size, by its pixels"),
        pytest.param(replace(SQUARE, extent=Extent(512, 512)), None, id="another size"),
        pytest.param(replace(SQUARE, model="erase"), None, id="another model"),
        pytest.param(replace(SQUARE, task="image-to-image"), None, id="another task"),
    ],
)
def test_pace_is_known_of_what_is_like_a_job_that_ran(other: Cost, seconds: float | None) -> None:
    pace = Pace()
    assert pace.estimate(other) is None
    pace.learn(SQUARE, 10.0)
    assert pace.estimate(other) == (None if seconds is None else pytest.approx(seconds))


@given(st.integers(1, 16_000), st.integers(1, 16_000))
def test_sizes_that_share_a_pace_differ_by_no_more_than_the_root_of_two(width: int, height: int) -> None:
    size = replace(SQUARE, extent=Extent(width, height))
    assert replace(size, extent=Extent(width * 3, height)).kind != size.kind
    bucket = 2 ** (int(size.kind.rsplit(maxsplit=1)[1]) / 2)
    assert 2**-0.25 * 0.999 <= width * height / bucket <= 2**0.25 * 1.001


@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=20))
def test_pace_stays_between_the_fastest_and_the_slowest(seconds: list[float]) -> None:
    pace = Pace()
    for each in seconds:
        pace.learn(SQUARE, each)
    estimate = pace.estimate(SQUARE)
    assert estimate is not None and min(seconds) * 0.999 <= estimate <= max(seconds) * 1.001


def test_the_pace_of_what_ran_last_is_kept_and_the_rest_forgotten() -> None:
    pace = Pace()
    kinds = [replace(SQUARE, model=f"model {number}") for number in range(KINDS_KEPT)]
    for kind in kinds:
        pace.learn(kind, 1.0)
    pace.learn(kinds[0], 1.0)
    pace.learn(SQUARE, 1.0)
    assert pace.estimate(kinds[0]) is not None and pace.estimate(SQUARE) is not None
    assert pace.estimate(kinds[1]) is None and pace.estimate(kinds[2]) is not None


def test_the_pace_may_be_asked_while_it_learns() -> None:
    """By the thread that lends a GPU, and by whoever waits."""
    pace, cost, told = Pace(), Cost("model"), list[float | None]()

    class Meanwhile(float):
        def __truediv__(self, other: float) -> float:
            return Meanwhile(float(self) / other)

        def __sub__(self, other: float) -> float:
            told.append(pace.estimate(cost))
            return float(self) - other

    pace.learn(cost, 2.0)
    pace.learn(cost, Meanwhile(4.0))
    assert told == [2.0]


def test_loading_and_what_follows_the_steps_are_learned_beside_the_pace() -> None:
    pace = Pace()
    assert (pace.loading(SQUARE), pace.after_steps(SQUARE)) == (0.0, 0.0)
    pace.learn(SQUARE, 10.0, 30.0, 2.0)
    pace.learn(SQUARE, 10.0)
    assert (pace.loading(SQUARE), pace.after_steps(SQUARE)) == (30.0, 2.0), "a job that loaded nothing says nothing of loading"
    large = replace(SQUARE, extent=Extent(512, 512))
    assert (pace.loading(large), pace.after_steps(large)) == (30.0, 0.0), "loading does not depend on the extent"


def stride(*heard: tuple[float, int] | tuple[float, int, int], candidates: int = 1, stage: Stage = "denoising") -> StepRate | None:
    """heard: second, step of 50 and candidate."""
    known: StepRate | None = None
    for second, step, *candidate in heard:
        known = StepRate.updated(known, Progress(stage, step, 50, None, *(candidate or [1]), candidates), second)
    return known


@pytest.mark.parametrize(
    ("known", "now", "seconds"),
    [
        pytest.param(stride((3, 1)), 4.0, None, id="one step says nothing"),
        pytest.param(stride((3, 0)), 4.0, None, id="nor does the beginning"),
        pytest.param(stride((3, 0), (5, 1)), 5.0, 98 + 7, id="the first step, where the beginning was told"),
        pytest.param(stride((3, 1), (5, 2)), 5.0, 96 + 7, id="the second step, where it was not"),
        pytest.param(stride((0, 0), (80, 40)), 80.0, 20 + 7, id="step 40 of 50"),
        pytest.param(stride((0, 0), (80, 40)), 81.5, 18.5 + 7, id="within the next one"),
        pytest.param(stride((0, 0), (80, 40)), 99.0, 18 + 7, id="a step that takes long ends no other"),
        pytest.param(stride((0, 0), (100, 50)), 103.0, 4, id="after the last step"),
        pytest.param(stride((0, 0), (100, 50)), 120.0, 0, id="long after it"),
        pytest.param(stride((0, 0), (80, 40), candidates=3), 80.0, 20 + 7 + 2 * (100 + 7), id="two more candidates"),
        pytest.param(
            stride((0, 0, 1), (100, 50, 1), (120, 0, 2), candidates=2), 120.0, 100 + 7, id="the next one begins at the pace of the last"
        ),
        pytest.param(stride((0, 0, 1), (100, 50, 1), (120, 0, 2), (124, 1, 2), candidates=2), 124.0, 49 * 4 + 7, id="and finds its own"),
        pytest.param(stride((0, 0), (80, 40), (90, 0), (91, 1)), 91.0, 49 + 7, id="again, with less memory"),
    ],
)
def test_what_is_left_of_a_run_by_its_own_steps(known: StepRate | None, now: float, seconds: float | None) -> None:
    assert known is not None
    assert known.left(now, after_steps=7.0) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize("stage", ["loading", "prior", "decoding"])
def test_other_stages_say_nothing_of_the_steps(stage: Stage) -> None:
    assert stride((0, 0), (9, 1), stage=stage) is None


@pytest.mark.parametrize(
    ("known", "seconds"),
    [(stride((0, 0), (100, 50)), 8.0), (stride((0, 0), (98, 49)), None), (stride((0, 0), (100, 50), candidates=2), None)],
    ids=["the last step was heard of", "an early end", "another candidate to come"],
)
def test_what_follows_the_last_step_of_all(known: StepRate | None, seconds: float | None) -> None:
    assert known is not None and known.after_steps(108.0) == seconds
