"""Checks whether the server can listen at its address, before anything heavy is loaded."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from inpaint.errors import AddressTaken, BadConfig

LOOPBACK = "127.0.0.1"


def check_address(host: str | None, port: int | None) -> None:
    """Raises an error if the server could not listen at this host and port.

    host: None = 127.0.0.1. port: None = any free port, so only the host is tested. Raises BadConfig for a host that this
    machine does not have, AddressTaken for a port that is not available.
    """
    name = bare_host(host or LOOPBACK)
    try:
        found = socket.getaddrinfo(name, port or 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        raise BadConfig(f"There is no address of the name {name!a} to listen on.", "Give --host an address of this machine.") from None
    for family, kind, protocol, _, address in found:
        _try(family, kind, protocol, address, name, port)


def bare_host(host: str) -> str:
    """Returns the host without the brackets that an IPv6 address has in a URL: "[::1]" -> "::1"."""
    return host[1:-1] if host.startswith("[") and host.endswith("]") else host


def in_url(host: str) -> str:
    """Returns the host as it appears in a URL, with an IPv6 address in brackets: "::1" -> "[::1]"."""
    bare = bare_host(host)
    return f"[{bare}]" if ":" in bare else bare


def _try(family: int, kind: int, protocol: int, address: tuple[Any, ...], name: str, port: int | None) -> None:
    with socket.socket(family, kind, protocol) as probe:
        if os.name == "posix":  # frees a port whose last connections have just ended; elsewhere the option would let two programs listen
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            raise _refusal(error, name, port) from None


def _refusal(error: OSError, name: str, port: int | None) -> BadConfig | AddressTaken:
    if error.errno == errno.EADDRNOTAVAIL:
        return BadConfig(f"This machine has no address {name}.", "Give --host one of its own, or 0.0.0.0 for all of them.")
    if error.errno in (errno.EACCES, errno.EPERM):
        return AddressTaken(f"Port {port} may not be opened by this user.", "Choose one above 1023 with --port.")
    if error.errno == errno.EADDRINUSE:
        return AddressTaken(f"Port {port} is taken: another program listens at {name}.", "Stop that one, or choose another with --port.")
    return AddressTaken(f"The server cannot listen at {name}, port {port}: {error.strerror}.", "Choose others with --host and --port.")
