"""A browser's name is given by the server: an invented one is none, and one address does not get as many as it likes."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.testclient import TestClient

from inpaint.ui.security.guard import Guard
from inpaint.ui.security.signed_names import (
    ADDRESSES_KEPT,
    KEY_BYTES,
    NEW_NAMES,
    PERSON_COOKIE,
    WITHIN_SECONDS,
    Names,
    signing_key,
)

KEY = bytes(KEY_BYTES)


def page(address: str, names: Names) -> TestClient:
    """A browser at an address; the page shows the cookies that reached it."""

    async def app(scope: object, receive: object, send: object) -> None:
        await HTMLResponse(Request(scope).headers.get("cookie", ""))(scope, receive, send)  # pyright: ignore

    return TestClient(Guard(app, names=names), base_url="http://127.0.0.1:7860", client=(address, 1))


def given(names: Names) -> str:
    name = names.new("somewhere")
    assert name
    return name


@pytest.mark.parametrize(
    "cookie",
    [
        pytest.param("{name}=invented", id="invented"),
        pytest.param("{name}=", id="empty"),
        pytest.param("{name}=.", id="a point"),
        pytest.param("{name}=a.b.c", id="points"),
        pytest.param("{name}={own}x", id="longer"),
        pytest.param("{name}=x{own}", id="another name's signature"),
        pytest.param("{name}={foreign}", id="another server's"),
        pytest.param("{name}=\xff\xfe.\xff", id="odd bytes"),
        pytest.param('{name}="{own}', id="half a quote"),
        pytest.param("{name}={own}; {name}=invented", id="two, the second invented"),
    ],
)
def test_an_invented_name_reaches_nobody(cookie: str) -> None:
    names = Names(KEY)
    written = cookie.format(name=PERSON_COOKIE, own=given(names), foreign=given(Names(b"x" * KEY_BYTES)))
    answer = page("10.0.0.1", names).get("/", headers={"cookie": f"a=1; {written}; b=2".encode("latin-1")})
    assert PERSON_COOKIE not in answer.text and "a=1" in answer.text
    assert names.is_own(answer.cookies[PERSON_COOKIE]), "a browser gets a new one in its place"


def test_a_name_outlives_a_restart_of_the_server(tmp_path: Path) -> None:
    browser = page("10.0.0.1", Names(signing_key(tmp_path)))
    first = browser.get("/").cookies[PERSON_COOKIE]
    again = page("10.0.0.1", Names(signing_key(tmp_path))).get("/", headers={"cookie": f"{PERSON_COOKIE}={first}"})
    assert first in again.text and PERSON_COOKIE not in again.cookies


def test_one_address_gets_so_many_names_and_no_more() -> None:
    now = [0.0]
    names = Names(KEY, lambda: now[0])

    def got(address: str) -> int:
        return sum(PERSON_COOKIE in page(address, names).get("/").cookies for _ in range(2 * NEW_NAMES))

    assert (got("10.0.0.1"), got("10.0.0.2")) == (NEW_NAMES, NEW_NAMES)
    now[0] = WITHIN_SECONDS + 1
    assert got("10.0.0.1") == NEW_NAMES


def test_many_addresses_take_no_more_memory() -> None:
    names = Names(KEY)
    for number in range(ADDRESSES_KEPT + 100):
        names.new(f"address {number}")
    assert len(names._given) == ADDRESSES_KEPT


@pytest.mark.parametrize("broken", ["a file in the folder's place", "half a key", "a folder in the key's place"])
def test_a_key_that_cannot_be_kept_lasts_as_long_as_the_process(broken: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    if broken == "a file in the folder's place":
        folder.touch()
    else:
        folder.mkdir()
        (folder / "identity.key").write_bytes(b"half") if broken == "half a key" else (folder / "identity.key").mkdir()
    assert len(signing_key(folder)) == KEY_BYTES and signing_key(folder) != signing_key(folder)


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    signing_key(tmp_path)
    assert stat.S_IMODE((tmp_path / "identity.key").stat().st_mode) == 0o600
