"""Whose page it is, and whose limits a call counts for: a browser by its name, a program by its login and address."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from inpaint.ui.runs.identity import account_of, person_of
from inpaint.ui.security.signed_names import PERSON_COOKIE


def asking(cookie: str = "", session: str = "s1", host: str = "192.0.2.1", login: str | None = None) -> Any:
    """A request as Gradio hands it to a handler."""
    cookies = {PERSON_COOKIE: cookie} if cookie else {}
    return SimpleNamespace(cookies=cookies, session_hash=session, username=login, client=SimpleNamespace(host=host) if host else None)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(asking(), asking(session="s2"), True, id="one address, two sessions"),
        pytest.param(asking(), asking(host="192.0.2.2"), False, id="two addresses"),
        pytest.param(asking(login="ann"), asking(login="bob"), False, id="one address, two logins"),
        pytest.param(asking(cookie="a"), asking(cookie="a", host="192.0.2.2"), True, id="one browser, two addresses"),
        pytest.param(asking(cookie="a"), asking(cookie="b"), False, id="two browsers, one address"),
        pytest.param(asking(host=""), asking(host="", session="s2"), True, id="no address"),
        pytest.param(asking(), asking(cookie=account_of(asking())), False, id="a cookie that looks like an address"),
    ],
)
def test_whose_limit_a_call_counts_for(one: Any, other: Any, same: bool) -> None:
    assert (account_of(one) == account_of(other)) is same


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param(asking(cookie="a"), asking(cookie="a", session="s2"), True, id="a browser's two pages"),
        pytest.param(asking(), asking(session="s2"), False, id="two pages that block cookies, one address"),
        pytest.param(asking(), asking(cookie="page s1"), False, id="a cookie that looks like a page"),
    ],
)
def test_whose_a_page_is(one: Any, other: Any, same: bool) -> None:
    assert (person_of(one) == person_of(other)) is same
