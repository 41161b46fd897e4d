"""The name that a browser gets in a cookie. It is signed, so nobody can invent names to avoid the limits per person.

Knows no widgets and no jobs.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from pathlib import Path

from starlette.datastructures import Headers
from starlette.requests import cookie_parser
from starlette.types import Scope

PERSON_COOKIE = "inpaint-person"
KEY_FILE = "identity.key"
KEY_BYTES = 32
SIGNATURE_CHARACTERS = 32
EXCLUSIVE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)

NEW_NAMES, WITHIN_SECONDS = 30, 600.0
"""At most NEW_NAMES browsers behind one address get a name within WITHIN_SECONDS; further ones share the limit of their address.
Otherwise fifty requests for the page would count as fifty people."""

ADDRESSES_KEPT = 4096


def signing_key(data_dir: Path) -> bytes:
    """Returns the key of this data folder. It is created at first use, readable by its owner alone, so that names stay valid
    after a restart.

    If the folder cannot be written or read, the key lasts only as long as this process.
    """
    path = data_dir / KEY_FILE
    with contextlib.suppress(OSError):
        data_dir.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError), os.fdopen(os.open(path, EXCLUSIVE, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
        key = path.read_bytes()
        if len(key) == KEY_BYTES:
            return key
    return secrets.token_bytes(KEY_BYTES)


class Names:
    """Creates signed names and recognises its own. clock: returns seconds that only increase."""

    def __init__(self, key: bytes, clock: Callable[[], float] = time.monotonic) -> None:
        self._key, self._clock = key, clock
        self._given: OrderedDict[str, deque[float]] = OrderedDict()

    def new(self, address: str) -> str | None:
        """Returns a new name for a browser at this address; None if too many were created there recently."""
        given = self._given.setdefault(address, deque(maxlen=NEW_NAMES))
        self._given.move_to_end(address)
        while len(self._given) > ADDRESSES_KEPT:
            self._given.popitem(last=False)
        now = self._clock()
        if len(given) == NEW_NAMES and now - given[0] < WITHIN_SECONDS:
            return None
        given.append(now)
        name = secrets.token_urlsafe(16)
        return f"{name}.{self._signature(name)}"

    def is_own(self, signed: str) -> bool:
        """Returns whether `new` created this name with the same key."""
        name, _, signature = signed.rpartition(".")
        return bool(name) and hmac.compare_digest(signature.encode(), self._signature(name).encode())

    def _signature(self, name: str) -> str:
        return hmac.new(self._key, name.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[:SIGNATURE_CHARACTERS]


def named(scope: Scope, names: Names) -> tuple[Scope, bool]:
    """Returns the request without a name that this server did not sign, and whether it has a valid name."""
    given = cookie_parser(Headers(scope=scope).get("cookie", ""))
    if PERSON_COOKIE not in given:
        return scope, False
    if len(Headers(scope=scope).getlist("cookie")) == 1 and names.is_own(given[PERSON_COOKIE]):
        return scope, True
    cookies = "; ".join(f"{key}={value}" for key, value in given.items() if key != PERSON_COOKIE)
    others = [(key, value) for key, value in scope["headers"] if key.lower() != b"cookie"]
    return {**scope, "headers": [*others, *([(b"cookie", cookies.encode("latin-1", "replace"))] if cookies else [])]}, False
