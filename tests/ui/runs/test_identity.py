"""Whose run is whose: a reload gets its run back, a second page of the same person takes nothing, a program is its address."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from inpaint.ui.runs import identity
from inpaint.ui.runs.identity import DESKS_KEPT, Desk, Desks, account_of, person_of
from inpaint.ui.security.signed_names import PERSON_COOKIE
from tests.fakes import run_apart


def desk(*, watched: bool = False, abandoned: bool = False, finished: bool = False) -> Desk:
    job: Any = SimpleNamespace(is_watched=watched, is_abandoned=abandoned, is_finished=finished)
    return Desk(job, {})


def kept(*, watched: bool = False, abandoned: bool = False, person: str = "ann") -> tuple[Desks[Desk], Desk]:
    desks, left = Desks[Desk](), desk(watched=watched, abandoned=abandoned)
    desks.leave(person, "first page", left)
    return desks, left


def asking(cookie: str = "", session: str = "s1", host: str = "192.0.2.1", login: str | None = None) -> Any:
    """A request as Gradio hands it to a handler."""
    cookies = {PERSON_COOKIE: cookie} if cookie else {}
    return SimpleNamespace(cookies=cookies, session_hash=session, username=login, client=SimpleNamespace(host=host) if host else None)


@pytest.mark.parametrize(("one", "other", "same"), [
    pytest.param(asking(), asking(session="s2"), True, id="one address, two sessions"),
    pytest.param(asking(), asking(host="192.0.2.2"), False, id="two addresses"),
    pytest.param(asking(login="ann"), asking(login="bob"), False, id="one address, two logins"),
    pytest.param(asking(cookie="a"), asking(cookie="a", host="192.0.2.2"), True, id="one browser, two addresses"),
    pytest.param(asking(cookie="a"), asking(cookie="b"), False, id="two browsers, one address"),
    pytest.param(asking(host=""), asking(host="", session="s2"), True, id="no address"),
    pytest.param(asking(), asking(cookie=account_of(asking())), False, id="a cookie that looks like an address"),
])
def test_whose_limit_a_call_counts_for(one: Any, other: Any, same: bool) -> None:
    assert (account_of(one) == account_of(other)) is same


@pytest.mark.parametrize(("one", "other", "same"), [
    pytest.param(asking(cookie="a"), asking(cookie="a", session="s2"), True, id="a browser's two pages"),
    pytest.param(asking(), asking(session="s2"), False, id="two pages that block cookies, one address"),
    pytest.param(asking(), asking(cookie="page s1"), False, id="a cookie that looks like a page"),
])
def test_whose_a_page_is(one: Any, other: Any, same: bool) -> None:
    assert (person_of(one) == person_of(other)) is same


@pytest.fixture(autouse=True)
def _no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(identity, "RELOAD_SECONDS", 0.02)


def test_a_new_page_takes_over_what_a_closed_one_left() -> None:
    desks, left = kept()
    assert run_apart(desks.left_alone("ann", "second page")) is left
    assert desks.of("ann", "second page") is left and desks.of("ann", "first page") is None


@pytest.mark.parametrize("case", ["still watched", "another person", "nobody came back", "busy itself", "runs one itself"])
def test_what_is_not_its_own_stays_where_it_is(case: str) -> None:
    desks, left = kept(watched=case == "still watched", abandoned=case == "nobody came back",
                       person="bob" if case == "another person" else "ann")
    if case == "busy itself":
        desks.occupy("ann", "second page")
    if case == "runs one itself":
        desks.leave("ann", "second page", desk())
    assert run_apart(desks.left_alone("ann", "second page")) is None
    assert case in ("nobody came back", "another person") or desks.of("ann", "first page") is left


def test_a_page_that_begins_something_while_it_waits_takes_nothing_over() -> None:
    desks, left = kept(watched=True)

    async def waits() -> Desk | None:
        waiting = asyncio.create_task(desks.left_alone("ann", "second page"))
        await asyncio.sleep(0)
        desks.occupy("ann", "second page")
        left.job.is_watched = False  # pyright: ignore[reportAttributeAccessIssue]
        return await waiting

    assert run_apart(waits()) is None and desks.of("ann", "first page") is left


def test_only_an_unfinished_job_is_this_pages_job() -> None:
    desks = Desks[Desk]()
    desks.leave("ann", "page", desk(finished=True))
    assert desks.unfinished("ann", "page") is None
    running = desk()
    desks.leave("ann", "page", running)
    assert desks.unfinished("ann", "page") is running.job
    desks.clear("ann", "page")
    assert desks.unfinished("ann", "page") is None


def test_desks_are_bounded() -> None:
    desks = Desks[Desk]()
    for number in range(DESKS_KEPT + 5):
        desks.leave("ann", str(number), desk())
        desks.occupy("ann", str(number))
    assert desks.of("ann", "4") is None and desks.of("ann", "5") is not None
