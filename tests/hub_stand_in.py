"""A stand-in of the model hub on loopback: the few requests that a download makes, a log of them, and faults on demand.

Answers as the hub does (huggingface_hub 2.4): /api/models/REPO/revision/REV with sizes and hashes, /REPO/resolve/REV/FILE with
ETag, X-Repo-Commit and ranges, and X-Error-Code where something is not there.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

LARGE = (".safetensors", ".bin", ".ckpt", ".onnx", ".msgpack")
"""Kept in LFS on the hub: there its list states a sha256, of other files only git's hash."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def commit_of(number: int) -> str:
    return f"{number:040x}"


@dataclass
class Repository:
    """Commits and what names point at them. gated: asks for a licence to be accepted; its list is public all the same."""

    commits: dict[str, Mapping[str, bytes]]
    refs: dict[str, str]
    gated: bool = False

    def resolve(self, revision: str) -> str | None:
        return self.refs.get(revision, revision if revision in self.commits else None)

    def push(self, files: Mapping[str, bytes]) -> str:
        """A new commit, and main at it."""
        commit = commit_of(len(self.commits) + 1)
        self.commits[commit] = files
        self.refs["main"] = commit
        return commit


@dataclass
class Faults:
    """By file name. drop: close the connection after so many bytes, once for each entry. short: serve fewer bytes and say so.
    wrong: serve other bytes, once for each entry. hidden: listed, but 404. status: answer this to the list of any repository.
    hold: an event that is waited for in the middle of a file.
    """

    drop: dict[str, list[int]] = field(default_factory=dict)
    short: set[str] = field(default_factory=set)
    wrong: dict[str, list[bytes]] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    status: int | None = None
    hold: dict[str, threading.Event] = field(default_factory=dict)


class Hub(ThreadingHTTPServer):
    """repositories by name; requests: what was asked, as "GET /path", in order; sent: bytes of files that left."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.repositories: dict[str, Repository] = {}
        self.faults = Faults()
        self.requests: list[str] = []
        self.ranges: list[str] = []
        self.sent = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def add(self, repo_id: str, files: Mapping[str, bytes]) -> Repository:
        self.repositories[repo_id] = Repository({commit_of(1): files}, {"main": commit_of(1)})
        return self.repositories[repo_id]

    def add_folder(self, repo_id: str, folder: Path) -> Repository:
        return self.add(
            repo_id, {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        )

    def fetched(self) -> set[str]:
        """The files that were asked for with GET, by repository and name."""
        gets = [request.partition(" ")[2] for request in self.requests if request.startswith("GET ") and "/resolve/" in request]
        return {f"{path.split('/resolve/')[0].lstrip('/')}:{path.split('/resolve/')[1].partition('/')[2]}" for path in gets}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of the tests."""


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """The log is the server's list."""

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.server.requests.append(f"{self.command} {path}")
        if path.startswith("/api/models/") and "/revision/" in path:
            repo_id, _, revision = path.removeprefix("/api/models/").partition("/revision/")
            self._list(repo_id, revision)
        elif "/resolve/" in path:
            repo_id, _, rest = path.lstrip("/").partition("/resolve/")
            self._file(repo_id, *rest.split("/", 1))
        else:
            self._refuse(404, "")

    def _open(self, repo_id: str, revision: str) -> tuple[str, Mapping[str, bytes]] | None:
        repository = self.server.repositories.get(repo_id)
        if repository is None:
            self._refuse(404, "RepoNotFound")
            return None
        commit = repository.resolve(revision)
        if commit is None:
            self._refuse(404, "RevisionNotFound")
            return None
        return commit, repository.commits[commit]

    def _list(self, repo_id: str, revision: str) -> None:
        if self.server.faults.status:
            self._refuse(self.server.faults.status, "")
        elif found := self._open(repo_id, revision):
            commit, files = found
            siblings = [_sibling(name, content) for name, content in files.items()]
            body = json.dumps({"id": repo_id, "sha": commit, "private": False, "tags": [], "siblings": siblings}).encode()
            self._send(200, body, {"Content-Type": "application/json"})

    def _file(self, repo_id: str, revision: str, name: str) -> None:
        if (found := self._open(repo_id, revision)) is None:
            return
        if self.server.repositories[repo_id].gated and "authorization" not in self.headers:
            self._refuse(401, "GatedRepo")
            return
        commit, files = found
        if name not in files or name in self.server.faults.hidden:
            self._refuse(404, "EntryNotFound")
            return
        content = files[name]
        headers = {
            "ETag": f'"{sha256(content) if name.endswith(LARGE) else git_hash(content)}"',
            "X-Repo-Commit": commit,
            "Accept-Ranges": "bytes",
        }
        if self.command == "HEAD":
            self._send(200, content, headers)
        else:
            self._body(name, content, headers)

    def _body(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        faults, start = self.server.faults, 0
        if faults.wrong.get(name):
            content = faults.wrong[name].pop(0)
        if name in faults.short:
            content = content[:-1]
        if wanted := self.headers.get("Range"):
            self.server.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").partition("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if faults.drop.get(name):
            self._half(content[start:], faults.drop[name].pop(0), headers, 206 if start else 200)
        elif name in faults.hold:
            self._half(content[start:], len(content) // 2, headers, 206 if start else 200, faults.hold[name])
        else:
            self._send(206 if start else 200, content[start:], headers)

    def _half(self, content: bytes, count: int, headers: Mapping[str, str], status: int, until: threading.Event | None = None) -> None:
        self._head(status, len(content), headers)
        self.wfile.write(content[:count])
        self.wfile.flush()
        if until is not None:
            until.wait(60)
        self.close_connection = True

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self._head(status, len(body), headers)
        if self.command == "GET":
            self.wfile.write(body)
            self.server.sent += len(body) if "ETag" in headers else 0

    def _head(self, status: int, length: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _refuse(self, status: int, code: str) -> None:
        self._send(status, b"", {"X-Error-Code": code} if code else {})


def _sibling(name: str, content: bytes) -> dict[str, object]:
    large = {"lfs": {"sha256": sha256(content), "size": len(content), "pointerSize": 134}} if name.endswith(LARGE) else {}
    return {"rfilename": name, "size": len(content), "blobId": git_hash(content), **large}


@contextmanager
def running_hub() -> Iterator[Hub]:
    with Hub() as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()


def environment(hub: Hub, home: Path) -> dict[str, str]:
    """For a process of its own: this hub and no other, a hub cache of the test's own, and no login."""
    return {"HF_ENDPOINT": hub.url, "HF_HOME": str(home), "HF_HUB_CACHE": str(home / "hub"), "HF_HUB_OFFLINE": "0", "HF_TOKEN": ""}


def point_at(hub: Hub, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for this process, where huggingface_hub is imported already. Small chunks, so that small files can break off."""
    here = {
        "ENDPOINT": hub.url,
        "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_OFFLINE": False,
        "HF_HUB_CACHE": str(home / "hub"),
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_DISABLE_TELEMETRY": True,
        "HF_TOKEN_PATH": str(home / "token"),
        "AGENT_HARNESSES_PATH": str(home / "agents.json"),
        "DOWNLOAD_CHUNK_SIZE": 1024,
    }
    for name, value in here.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("time.sleep", lambda _: None)
