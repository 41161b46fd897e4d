"""Turns between people, and what is learned of how long a job takes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inpaint.fairness import FairQueue, Pace

ARRIVALS = st.lists(st.sampled_from("abcd"), max_size=40)


def filled(people: list[str]) -> FairQueue[tuple[str, int]]:
    queue: FairQueue[tuple[str, int]] = FairQueue()
    for number, person in enumerate(people):
        queue.push(person, (person, number))
    return queue


def drained(queue: FairQueue[tuple[str, int]]) -> list[tuple[str, int]]:
    return [queue.pop() for _ in range(len(queue))]


@pytest.mark.parametrize(("arrivals", "served"), [
    pytest.param("", "", id="nobody"),
    pytest.param("aaa", "aaa", id="one person"),
    pytest.param("aaabc", "abcaa", id="one who queues many waits for those who queue one"),
    pytest.param("abab", "abab", id="in turn"),
])
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
        following = served[index + 1:index + 1 + sum(1 for other in left if other != person and left[other])]
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


def test_pace_is_unknown_until_a_job_of_that_kind_ran() -> None:
    pace = Pace()
    assert pace.estimate("mini 256 x 256", 20) is None
    pace.learn("mini 256 x 256", 10, 5.0)
    assert pace.estimate("mini 256 x 256", 20) == pytest.approx(10.0)
    assert pace.estimate("mini 512 x 512", 20) is None


@given(st.lists(st.floats(0.1, 10.0), min_size=1, max_size=20))
def test_pace_stays_between_the_fastest_and_the_slowest(seconds: list[float]) -> None:
    pace = Pace()
    for each in seconds:
        pace.learn("kind", 1, each)
    estimate = pace.estimate("kind", 1)
    assert estimate is not None and min(seconds) - 1e-9 <= estimate <= max(seconds) + 1e-9
