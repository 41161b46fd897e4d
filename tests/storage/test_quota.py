"""What grows by use stays within its quota, the oldest leaves first, and nothing that is in use or not ours ever does."""

from __future__ import annotations

import logging
import os
import shutil
import threading
from pathlib import Path

import pytest

from inpaint.config.settings import StorageLimits
from inpaint.storage import quota
from inpaint.storage.quota import DAY, FRESH_SECONDS, RUN_NAME, UPLOAD_NAME, Housekeeper, Quota, sweep_one
from inpaint.storage.results import new_results

NOW = 1_800_000_000.0
KB = 1_000
HOUR = 3600.0


def run_of(data: Path, hours_old: float, kilobytes: int = 1, count: int = 1, now: float = NOW) -> Path:
    """A finished run's folder."""
    paths = new_results(data, "photo", range(count))
    for path in paths:
        path.write_bytes(b"x" * kilobytes * KB)
        os.utime(path, (now - hours_old * HOUR,) * 2)
    return paths[0].parent


def results_quota(data: Path, kilobytes: float = 1e9, days: float = 365) -> Quota:
    return Quota("results", data / "results", RUN_NAME, kilobytes * KB, days * DAY)


def swept(quota_: Quota, *in_use: Path) -> set[str]:
    """The names that are left."""
    sweep_one(quota_, {os.path.realpath(path) for path in in_use}, NOW)
    return {path.name for path in quota_.folder.iterdir()}


def test_the_oldest_leave_until_the_rest_fits(tmp_path: Path) -> None:
    runs = [run_of(tmp_path, hours, 10, count=2) for hours in (50, 2, 30, 1)]
    assert swept(results_quota(tmp_path, 45)) == {runs[1].name, runs[3].name}


def test_what_fits_stays_whatever_its_age(tmp_path: Path) -> None:
    runs = [run_of(tmp_path, days * 24, 10) for days in (300, 1)]
    assert swept(results_quota(tmp_path, 20)) == {run.name for run in runs}


def test_what_is_too_old_leaves_though_it_fits(tmp_path: Path) -> None:
    run_of(tmp_path, 24 * 8)
    kept = run_of(tmp_path, 24 * 6)
    assert swept(results_quota(tmp_path, days=7)) == {kept.name}


@pytest.mark.parametrize("hours_old", [0, FRESH_SECONDS / HOUR / 2, -FRESH_SECONDS / HOUR / 2])
def test_what_was_just_made_stays(hours_old: float, tmp_path: Path) -> None:
    fresh = run_of(tmp_path, hours_old, 100)
    run_of(tmp_path, 1, 100)
    assert swept(results_quota(tmp_path, 1)) == {fresh.name}


def test_what_is_open_stays_and_the_next_oldest_leaves(tmp_path: Path) -> None:
    open_, other, newest = (run_of(tmp_path, hours, 10) for hours in (24 * 400, 20, 10))
    assert swept(results_quota(tmp_path, 20), open_) == {open_.name, newest.name}
    assert not other.exists()


def test_what_this_app_did_not_make_is_neither_counted_nor_removed(tmp_path: Path) -> None:
    run_of(tmp_path, 1)
    mine = tmp_path / "results" / "my holidays"
    mine.mkdir()
    (mine / "a.png").write_bytes(b"x" * 100 * KB)
    (tmp_path / "results" / "notes.txt").write_bytes(b"mine")
    outside = run_of(tmp_path / "elsewhere", 24 * 400)
    (tmp_path / "results" / "20200101-000000-abcdefgh").symlink_to(outside)
    os.utime(mine / "a.png", (0, 0))
    left = swept(results_quota(tmp_path, 50))
    assert {"my holidays", "notes.txt", "20200101-000000-abcdefgh"} < left and len(left) == 4 and outside.exists()


def test_uploads_lie_where_gradio_puts_them(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    for name in ("a" * 64, "b" * 64):
        (folder / name).mkdir(parents=True)
        (folder / name / "photo.jpg").write_bytes(b"x" * KB)
    (folder / "tmpabc123").write_bytes(b"half an upload")
    (folder / "other").mkdir()
    for path in (folder / ("a" * 64) / "photo.jpg", folder / "tmpabc123"):
        os.utime(path, (NOW - 2 * DAY,) * 2)
    os.utime(folder / ("b" * 64) / "photo.jpg", (NOW - HOUR,) * 2)
    assert swept(Quota("uploads", folder, UPLOAD_NAME, 1e9, DAY)) == {"b" * 64, "other"}


def test_a_missing_folder_is_an_empty_one(tmp_path: Path) -> None:
    sweep_one(results_quota(tmp_path), (), NOW)
    assert not (tmp_path / "results").exists()


def test_the_log_tells_how_many_and_how_much_but_no_names(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "inpaint")
    gone, kept = run_of(tmp_path, 24 * 400, 1500), run_of(tmp_path, 1, 500)
    swept(results_quota(tmp_path))
    assert caplog.messages == ["1 old results were removed (1.5 MB); 0.5 MB are left"]
    assert gone.name not in caplog.text and not gone.exists() and kept.exists()
    swept(results_quota(tmp_path))
    assert len(caplog.messages) == 1, "nothing was removed, so nothing is said"


class TestHousekeeper:
    """For one server."""

    def test_the_settings_are_its_limits(self, tmp_path: Path) -> None:
        first, second = Housekeeper(tmp_path, StorageLimits(3, 4, 5, 6))._quotas  # pyright: ignore[reportPrivateUsage]
        assert (first.most_bytes, first.most_seconds, second.most_bytes, second.most_seconds) == (3e9, 4 * DAY, 5e9, 6 * DAY)

    @pytest.mark.parametrize("fault", ["in_use", "sweep_one"])
    def test_whatever_fails_is_logged_and_goes_no_farther(
        self, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(*_: object) -> set[Path]:
            raise OSError("the disk is on fire")

        keeper = Housekeeper(tmp_path, StorageLimits())
        if fault == "in_use":
            keeper.watch(broken)
        else:
            monkeypatch.setattr(quota, "sweep_one", broken)
        kept = run_of(tmp_path, 24 * 400)
        keeper.sweep()
        assert "the disk is on fire" in caplog.text and kept.exists()

    def test_a_system_without_a_thread_to_give_costs_a_sweep_and_no_result(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def none_left(thread: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        keeper = Housekeeper(tmp_path, StorageLimits())
        monkeypatch.setattr(threading.Thread, "start", none_left)
        keeper.sweep_soon()
        keeper.sweep_soon()
        assert caplog.messages == ["no sweep could be begun"] * 2

    def test_a_folder_that_another_server_removes_meanwhile_is_no_fault(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        gone, old = run_of(tmp_path, 24 * 500), run_of(tmp_path, 24 * 400)
        look = quota._thing  # pyright: ignore[reportPrivateUsage]

        def late(path: Path) -> object:
            shutil.rmtree(gone, ignore_errors=True)
            return look(path)

        monkeypatch.setattr(quota, "_thing", late)
        assert swept(results_quota(tmp_path)) == set() and not old.exists()

    def test_nobody_waits_and_what_is_written_during_a_sweep_gets_one_of_its_own(self, tmp_path: Path) -> None:
        begun, go_on, sweeps = threading.Semaphore(0), threading.Event(), []

        def in_use() -> list[Path]:
            sweeps.append(threading.current_thread())
            begun.release()
            assert go_on.wait(30)
            return []

        keeper = Housekeeper(tmp_path, StorageLimits())
        keeper.watch(in_use)
        keeper.sweep_soon()
        assert begun.acquire(timeout=30)
        for _ in range(50):
            keeper.sweep_soon()
        assert len(sweeps) == 1
        go_on.set()
        assert begun.acquire(timeout=30)
        for thread in list(sweeps):
            thread.join(30)
        assert len(sweeps) == 2 and threading.current_thread() not in sweeps
