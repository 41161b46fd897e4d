"""The table is whole and true: every number once, every test that it names is there, and the counts are those of the promises."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.abuse import test_masks, test_pictures, test_requests, test_values
from tests.abuse.rows import ROWS, Row
from tests.named import TESTS, exists

TABLES = {
    "test_pictures.py::test_a_picture": test_pictures.CASES,
    "test_masks.py::test_a_mask": test_masks.CASES,
    "test_values.py::test_a_value": test_values.CASES,
    "test_requests.py::test_a_request": test_requests.CASES,
}


def test_every_number_stands_once() -> None:
    assert [row.number for row in ROWS] == list(range(1, 105))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.number} {row.what}")
def test_a_row_names_what_shows_it(row: Row) -> None:
    assert bool(row.tests) != bool(row.why) and (row.kind == "absent") == bool(row.why)
    assert [test for test in row.tests if not exists(test)] == []
    assert {test.startswith("abuse/") for test in row.tests} <= {row.kind == "run"}


@pytest.mark.parametrize("table", TABLES)
def test_the_rows_of_a_table_are_its_cases(table: str) -> None:
    assert {row.number for row in ROWS if f"abuse/{table}" in row.tests} == {case.row for case in TABLES[table]}


def test_the_promises_have_the_counts() -> None:
    kinds = Counter(row.kind for row in ROWS)
    told = re.search(
        r"104 rows: (\d+) .*?; (\d+) .*?; (\d+) ", (TESTS.parent / "docs" / "promises.md").read_text(encoding="utf-8"), re.DOTALL
    )
    assert told and [int(number) for number in told.groups()] == [kinds["run"], kinds["covered"], kinds["absent"]]
