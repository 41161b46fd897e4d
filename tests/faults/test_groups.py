"""The table of faults is whole and true: every number once, every test that it names is there, and the counts are those of the promises."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.faults.groups import GROUPS, Group
from tests.named import TESTS, exists


def test_every_number_stands_once() -> None:
    assert [group.number for group in GROUPS] == list(range(1, 39))


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: f"{group.number} {group.what}")
def test_a_group_names_what_shows_it(group: Group) -> None:
    assert bool(group.tests) != bool(group.why)
    assert [test for test in group.tests if not exists(test)] == []


def test_the_promises_have_the_counts() -> None:
    kinds = Counter(group.kind for group in GROUPS)
    told = re.search(
        r"38 kinds of faults: (\d+) .*?; (\d+) .*?; (\d+) ", (TESTS.parent / "docs" / "promises.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert told and [int(number) for number in told.groups()] == [kinds["here"], kinds["covered"], kinds["absent"]]
