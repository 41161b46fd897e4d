"""One server for all rows. Each row leaves it able to serve the next person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.calling import still_serves, visitor
from tests.serving import BARE, Served, Servers

SECRET = "hf_what_nobody_may_read"


@pytest.fixture(scope="session")
def abused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The shipped app with a secret in its environment. At the end its log holds neither a fault nor the secret."""
    folder = tmp_path_factory.mktemp("abused")
    servers = Servers(folder)
    try:
        yield servers.start(environment=BARE | {"HOME": str(folder), "HF_TOKEN": SECRET, "INPAINT_PAGE_DOWNLOADS": "off"})
        log = servers.log.read_text()
        assert "Traceback" not in log and SECRET not in log
    finally:
        servers.close()


@pytest.fixture
def client(abused: Served, tmp_path: Path) -> Iterator[httpx.Client]:
    """A visitor; after the test another one is served an edit."""
    with visitor(abused) as client:
        yield client
    with visitor(abused) as other:
        still_serves(other, tmp_path)
