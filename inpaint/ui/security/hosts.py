"""Decides which host names the server answers to, and whose forwarded headers it believes. Knows no routes and no widgets.

Another site's name can be pointed at this machine's address (DNS rebinding). The browser then sends that name as Host. This
cannot be done with an address in place of a name, so addresses are trusted and names have to be listed.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from inpaint.config.settings import Settings
from inpaint.errors import BadConfig
from inpaint.startup.address import LOOPBACK, bare_host

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
AUTHORITY = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(:(?P<port>\d{1,5}))?", re.IGNORECASE)
"""A Host header, or the part of a URL between // and the path."""

USUAL_PORTS = {"http": "80", "https": "443"}
SPACE_NAMES = "*.hf.space"
TUNNEL_PROXIES = ("127.0.0.1", "::1")
"""Addresses of a share link's program, which runs on this machine and forwards the visitor's address."""


@dataclass(frozen=True)
class Name:
    """A host name of the list. host: lower case, without a trailing dot; "*.example.org" stands for all names below. port: "" = any."""

    host: str
    port: str

    def covers(self, host: str, port: str) -> bool:
        fits = host.endswith(self.host[1:]) if self.host.startswith("*.") else host == self.host
        return fits and self.port in ("", port)


@dataclass
class Hosts:
    """The hosts that a server answers to.

    names: listed names. takes_addresses: whether any address is accepted, as when the server listens on more than loopback.
    proxies: networks whose forwarded headers are believed. is_space: True behind the hub's proxy, which alone reaches a Space
    and whose address is unknown. share: the name of the share link, once there is one.
    """

    names: Sequence[Name] = ()
    takes_addresses: bool = False
    proxies: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network] = ()
    is_space: bool = False
    share: str = ""

    def answers_to(self, authority: str) -> bool:
        """Returns whether the server answers to a Host header, or to the host that a trusted proxy forwards."""
        host, port = parted(authority)
        if not host:
            return False
        if is_loopback(host) or (self.share and host == self.share):
            return True
        return (self.takes_addresses and address_of(host) is not None) or any(name.covers(host, port) for name in self.names)

    def is_listed(self, origin: str) -> bool:
        """Returns whether an Origin is a site whose full name was listed. It is then this server, whatever Host a proxy sends.

        Another port is another site. A name with "*." does not count, since other people's sites lie below it, as on the hub.
        """
        scheme, _, authority = origin.partition("://")
        host, port = parted(authority, scheme)
        return any(name.host == host and (name.port or USUAL_PORTS.get(scheme)) == port for name in self.names)

    def is_own(self, origin: str, authority: str) -> bool:
        """Returns whether an Origin is a page of this server, for a request to the host `authority`."""
        scheme, _, of_origin = origin.partition("://")
        asked = parted(authority, scheme)
        return (bool(asked[0]) and parted(of_origin, scheme) == asked) or self.is_listed(origin)

    def trusts(self, peer: str | None) -> bool:
        """Returns whether forwarded headers from this peer are believed."""
        address = address_of(peer or "")
        return self.is_space or (address is not None and any(address in network for network in self.proxies))


def hosts_of(settings: Settings, environment: Mapping[str, str]) -> Hosts:
    """Returns the hosts of a server. settings: as the page is served, with the host and share that Gradio was given."""
    is_space = bool(environment.get("SPACE_ID"))
    of_space = [SPACE_NAMES, environment.get("SPACE_HOST", "")] if is_space else []
    own = settings.host if settings.host and address_of(settings.host) is None else ""
    names = [name for name in (own, *of_space, *settings.allowed_hosts) if name]
    proxies = settings.trusted_proxies or (TUNNEL_PROXIES if settings.share else ())
    return Hosts(
        [_name(name) for name in names],
        takes_addresses=_reaches_others(settings.host or LOOPBACK),
        is_space=is_space,
        proxies=[network for proxy in proxies for network in _networks(proxy)],
    )


def parted(authority: str, scheme: str = "http") -> tuple[str, str]:
    """Splits "host:port" into (host, port) in one spelling; ("", "") for what is no host. A missing port becomes the scheme's
    usual one.
    """
    match = AUTHORITY.fullmatch(authority)
    if match is None:
        return "", ""
    return _spelled(match["host"]), match["port"] or USUAL_PORTS.get(scheme, "")


def address_of(host: str) -> Address | None:
    """Returns the IP address that a host is written as, or None for a name. Old spellings count too (127.1, 0x7f000001, 2130706433)."""
    bare = bare_host(host)
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return _old_spelling(bare)
    return getattr(address, "ipv4_mapped", None) or address


def is_loopback(host: str) -> bool:
    """Returns whether a host means this machine itself: localhost, names below it, loopback addresses, and 0.0.0.0, which
    systems treat alike.
    """
    address = address_of(host)
    if address is None:
        return _spelled(host) == "localhost" or _spelled(host).endswith(".localhost")
    return address.is_loopback or address.is_unspecified


def is_private(settings: Settings, environment: Mapping[str, str]) -> bool:
    """Returns whether nobody but this machine reaches the server, according to the settings and Gradio's own variables."""
    if settings.share or settings.allowed_hosts or settings.trusted_proxies or environment.get("SPACE_ID"):
        return False
    return not _reaches_others(settings.host or environment.get("GRADIO_SERVER_NAME") or LOOPBACK)


def exposure(settings: Settings, environment: Mapping[str, str]) -> str:
    """Returns how other machines reach a server that asks for no login, as "a shared link"; "" if they do not.

    It is "" on a Space too, whose owner decides on the hub whether it is public.
    """
    if settings.auth is not None or environment.get("SPACE_ID"):
        return ""
    if settings.share:
        return "a shared link"
    return f"the address {settings.host}" if settings.host and _reaches_others(settings.host) else ""


def check_open(settings: Settings, environment: Mapping[str, str]) -> None:
    """Raises BadConfig if others could reach a server without a login and the settings do not allow that."""
    if (reached_by := exposure(settings, environment)) and not settings.open:
        raise BadConfig(
            f"Others would reach this server by {reached_by}, and it asks for no login.",
            "Ask for one with --auth USER:PASSWORD, or say with --open that everybody may use it.",
        )


def _reaches_others(host: str) -> bool:
    """Returns whether other machines can reach a server that listens at `host`."""
    address = address_of(host)
    return not is_loopback(host) or (address is not None and address.is_unspecified)


def _name(text: str) -> Name:
    host, _, port = text.rpartition(":") if re.search(r":\d+$", text) else (text, "", "")
    return Name(_spelled(host), port)


def _spelled(host: str) -> str:
    return host.lower().removesuffix(".")


def _old_spelling(host: str) -> Address | None:
    if not re.fullmatch(r"[0-9a-fx.]+", host, re.IGNORECASE):
        return None
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _networks(proxy: str) -> Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    everybody = ("0.0.0.0/0", "::/0")
    return [ipaddress.ip_network(text, strict=False) for text in (everybody if proxy == "*" else (proxy,))]
