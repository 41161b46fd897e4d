"""What all tests share: no network, and property tests that take the same time on a busy machine."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from inpaint.config import AppConfig, PictureLimits, load_config

os.environ["HF_HUB_OFFLINE"] = "1"
# A shell that starts this in the background has Ctrl-C ignored, and every process started from here would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("house", deadline=None, max_examples=60, derandomize=True,
                          suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")

LIMITS = PictureLimits()


@pytest.fixture
def config(tmp_path: Path) -> AppConfig:
    """The shipped settings on a CPU, with a data folder of the test's own and no variable from outside."""
    return load_config(environment={}, flags={"device": "cpu", "data_dir": str(tmp_path / "data")})
