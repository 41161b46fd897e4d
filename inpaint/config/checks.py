"""Checks settings beyond their types. Each error names the place of the value as a person wrote it."""

from __future__ import annotations

import ipaddress
import math
import re

from inpaint.config.layers import Layer
from inpaint.config.places import folder_of
from inpaint.config.settings import SECTIONS, Settings, is_login

MAX_PORT = 65_535
DEVICE = re.compile(r"auto|(cpu|cuda|mps)(:\d{1,3})?")
HOST_NAME = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*(:\d{1,5})?", re.IGNORECASE)


def check_settings(layer: Layer) -> None:
    """Raises BadConfig for the first value of this layer that cannot be used."""
    settings = layer.validated(Settings)
    if settings.port is not None and not 0 <= settings.port <= MAX_PORT:
        raise layer.wrong("port", f"{settings.port} is not between 0 and {MAX_PORT}")
    if not DEVICE.fullmatch(settings.device):
        raise layer.wrong("device", f"There is no device {settings.device!r}; choose auto, cuda, mps or cpu")
    for name in ("data_dir", "cache_dir"):
        _check_folder(layer, name, getattr(settings, name))
    _check_reach(layer, settings)
    for section in SECTIONS:
        for name, value in vars(getattr(settings, section)).items():
            if value != "auto" and not isinstance(value, bool) and not 0 < value < math.inf:
                raise layer.wrong(f"{section}.{name}", f"{value:g} is not a positive number")


def _check_reach(layer: Layer, settings: Settings) -> None:
    """Checks the settings that decide who can reach the server and under which names. Raises BadConfig."""
    if settings.auth is not None and not is_login(settings.auth):
        raise layer.wrong("auth", "must be user:password")
    for name in settings.allowed_hosts:
        if not HOST_NAME.fullmatch(name):
            raise layer.wrong("allowed_hosts", f"{name!a} is not a host's name", "Give the name alone, as inpaint.example.")
    for proxy in settings.trusted_proxies:
        if proxy != "*" and not _is_network(proxy):
            raise layer.wrong("trusted_proxies", f"{proxy!a} is neither an address nor a network", "Give 127.0.0.1, 10.0.0.0/8 or *.")


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _check_folder(layer: Layer, name: str, chosen: str | None) -> None:
    """Raises BadConfig if no folder can have this name, or if it names the home of a user that does not exist."""
    try:
        folder_of(chosen)
    except (RuntimeError, ValueError, OSError) as error:
        raise layer.wrong(name, f"{chosen} cannot be used: {error}") from None
