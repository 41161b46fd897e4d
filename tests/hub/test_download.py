"""Downloads against a stand-in of the hub: what is asked for, what is kept, and every way in which it may go wrong."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from inpaint.cli import main
from inpaint.config.load import load_config
from inpaint.config.places import DEFAULT_CONFIGS
from inpaint.core.spec import ModelSpec
from inpaint.errors import EditCancelled, ModelUnavailable, StorageFull
from inpaint.hub import lockfile, weights
from inpaint.hub.download import RESERVE, download
from inpaint.hub.lockfile import lock_of
from inpaint.hub.order import order_download, size_text
from inpaint.hub.transfer import Transfer
from tests.hub_stand_in import Hub, commit_of, environment, point_at, running_hub, sha256

ROOT = Path(__file__).resolve().parents[2]
Usage = namedtuple("Usage", "total used free")

MODEL = """
name = "tiny"
title = "Tiny"
family = "sdxl"
tasks = ["generate"]
licence = "MIT"
licence_url = "https://example.org/licence"
[sources]
pipeline = { repo_id = "someone/tiny" }
extra = { repo_id = "someone/extra", variant = "fp16" }
[limits]
width = { default = 64, minimum = 64, maximum = 64 }
height = { default = 64, minimum = 64, maximum = 64 }
"""
UNET = "unet/diffusion_pytorch_model.safetensors"
WEIGHTS = bytes(range(256)) * 40
TINY: Mapping[str, bytes] = {
    "model_index.json": json.dumps({"unet": ["diffusers", "UNet"], "tokenizer": ["transformers", "CLIP"], "vae": [None, None]}).encode(),
    "unet/config.json": b"{}",
    UNET: WEIGHTS,
    "tokenizer/vocab.json": b'{"a": 1}',
    "tokenizer/merges.txt": b"#version",
}
NEVER: Mapping[str, bytes] = {
    "unet/diffusion_pytorch_model.bin": b"pickle",
    "unet/diffusion_pytorch_model.fp16.safetensors": b"half",
    "tiny.safetensors": b"whole",
    "tiny.ckpt": b"pickle",
    "unet/model.onnx": b"onnx",
    "unet/flax_model.msgpack": b"flax",
    "pipeline.py": b"import os",
    "unet/modeling.py": b"import os",
    "vae/config.json": b"{}",
    "README.md": b"# Tiny",
    "picture.png": b"png",
}
EXTRA: Mapping[str, bytes] = {
    "model_index.json": json.dumps({"vae": ["diffusers", "VAE"]}).encode(),
    "vae/config.json": b"{}",
    "vae/diffusion_pytorch_model.safetensors": b"full",
    "vae/diffusion_pytorch_model.fp16.safetensors": b"half",
}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    with running_hub() as running:
        running.add("someone/tiny", {**TINY, **NEVER})
        running.add("someone/extra", EXTRA)
        point_at(running, tmp_path / "home", monkeypatch)
        (tmp_path / "config" / "models").mkdir(parents=True)
        (tmp_path / "config" / "models" / "tiny.toml").write_text(MODEL, encoding="utf-8")
        yield running


@pytest.fixture
def run(hub: Hub, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    return Run(tmp_path, capsys)


class Run:
    """`models ARGUMENTS` with the test's own folders: its exit code, output and messages."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.out, self.lines = "", list[str]()

    def __call__(self, *arguments: str) -> int:
        code = main(["models", *self.options, *arguments])
        self.out, shown = self._capsys.readouterr()
        assert "Traceback" not in shown
        self.lines = shown.splitlines()
        return code

    def fails(self, *arguments: str) -> str:
        """The last line of one that cannot."""
        assert self(*arguments) == 1
        assert self.lines[-1].startswith("inpaint: ")
        return self.lines[-1]

    @property
    def options(self) -> list[str]:
        return ["--config", str(self.folder / "config"), "--data-dir", str(self.folder / "data")]

    @property
    def command(self) -> str:
        """What is told to download it: with the flags that were given here, else it would not be found."""
        return " ".join(["python -m inpaint models --download tiny", *self.options])

    @property
    def spec(self) -> ModelSpec:
        return load_config(self.folder / "config", {"data_dir": str(self.folder / "data"), "device": "cpu"}, {}).models["tiny"]

    @property
    def snapshot(self) -> Path:
        return self.folder / "home" / "hub" / "models--someone--tiny" / "snapshots" / commit_of(1)

    @property
    def lock(self) -> Path:
        return self.folder / "data" / "locks" / "tiny.json"

    def edit_model(self, old: str, new: str) -> None:
        path = self.folder / "config" / "models" / "tiny.toml"
        path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")

    def state(self) -> str:
        assert self() == 0
        return next(line for line in self.out.splitlines() if line.startswith("tiny "))

    def leftovers(self) -> list[Path]:
        return list((self.folder / "home").rglob("*.incomplete"))


def damage(path: Path) -> None:
    """One bit of the blob behind the link, its size unchanged."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.resolve().write_bytes(content)


def test_a_first_download_says_what_it_fetches_and_fetches_only_that(run: Run, hub: Hub) -> None:
    assert run("--download", "tiny") == 0
    assert run.lines[0] == (
        f"inpaint: Tiny: 11 kB of 11 kB to fetch (someone/tiny at {commit_of(1)[:12]}, someone/extra at "
        f"{commit_of(1)[:12]}, {run.folder / 'home' / 'hub'}). Licence: MIT (https://example.org/licence)."
    )
    assert run.lines[-1] == "inpaint: Tiny is complete, and every file is as it should be."
    assert [line for line in run.lines if "(100 %)" in line]
    assert hub.fetched() == {
        *(f"someone/tiny:{name}" for name in TINY),
        "someone/extra:model_index.json",
        "someone/extra:vae/config.json",
        "someone/extra:vae/diffusion_pytorch_model.fp16.safetensors",
    }
    assert all("/resolve/" in request or request.startswith("GET /api/models/someone/") for request in hub.requests)
    assert "here" in run.state().split() and "11 kB on the disk" in run.state()


def test_the_lock_holds_commit_sizes_and_hashes(run: Run) -> None:
    assert run("--download", "tiny") == 0
    entry = json.loads(run.lock.read_text(encoding="utf-8"))["sources"]["pipeline"]
    assert (entry["repo_id"], entry["revision"], entry["commit"]) == ("someone/tiny", "main", commit_of(1))
    assert entry["files"] == {name: {"size": len(content), "sha256": sha256(content)} for name, content in TINY.items()}
    assert [path.name for path in run.lock.parent.iterdir() if not path.name.startswith(".")] == ["tiny.json"]


def test_what_is_complete_is_not_asked_for_again_not_even_with_a_request(run: Run, hub: Hub) -> None:
    assert run("--download", "tiny") == 0
    hub.requests.clear()
    assert run("--download", "tiny") == 0
    assert run.lines[-1] == "inpaint: Tiny is complete, and every file is as it should be. Nothing was fetched."
    assert hub.requests == []


def test_the_lock_keeps_its_commit_though_main_has_moved_on(run: Run, hub: Hub) -> None:
    assert run("--download", "tiny") == 0
    hub.repositories["someone/tiny"].push({**TINY, UNET: b"newer"})
    assert run("--download", "tiny") == 0 and weights.find(run.spec.sources["pipeline"]) == run.snapshot
    (run.snapshot / UNET).unlink()
    assert weights.find(run.spec.sources["pipeline"]) is None
    assert run("--download", "tiny") == 0 and (run.snapshot / UNET).read_bytes() == WEIGHTS
    run.lock.unlink()
    assert run("--download", "tiny") == 0 and lock_of(run.spec.sources["pipeline"]).commit == commit_of(2)


@pytest.mark.parametrize("lose", [lambda lock: lock.unlink(), lambda lock: lock.write_text("{")], ids=["another data folder", "damaged"])
def test_what_is_complete_is_found_though_its_lock_is_lost(lose: Callable[[Path], object], run: Run) -> None:
    """Gigabytes that are all there are not fetched again, which offline could not even be done."""
    assert run("--download", "tiny") == 0
    lose(run.lock)
    assert weights.find(run.spec.sources["pipeline"]) == run.snapshot and "here" in run.state().split()


def test_an_older_commit_that_is_locked_does_not_take_the_name_from_a_newer_one(run: Run) -> None:
    """Other programs share the cache."""
    assert run("--download", "tiny") == 0
    name = run.snapshot.parents[1] / "refs" / "main"
    assert name.read_text() == commit_of(1)
    name.write_text(commit_of(2))
    assert run("--download", "tiny") == 0 and name.read_text() == commit_of(2)
    name.unlink()
    assert run("--download", "tiny") == 0 and name.read_text() == commit_of(1)


def test_two_that_lock_at_the_same_time_both_stay(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each would read the file before the other has written; the barrier breaks where one lets the other finish first."""
    both, path = threading.Barrier(2), run.folder / "locks" / "tiny.json"
    read = lockfile.read_locks

    def together(where: Path) -> dict[str, lockfile.Lock]:
        found = read(where)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return found

    monkeypatch.setattr(lockfile, "read_locks", together)
    threads = [
        threading.Thread(target=lockfile.write_lock, args=(path, part, lockfile.Lock("a/b", "main", None, "c", {}))) for part in ("x", "y")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(read(path)) == {"x", "y"}


def test_another_revision_in_the_models_file_is_another_download(run: Run, hub: Hub) -> None:
    assert run("--download", "tiny") == 0
    second = hub.repositories["someone/tiny"].push({**TINY, UNET: b"newer"})
    run.edit_model('"someone/tiny"', f'"someone/tiny", revision = "{second}"')
    assert weights.find(run.spec.sources["pipeline"]) is None
    assert run("--download", "tiny") == 0 and weights.find(run.spec.sources["pipeline"]).name == second


def test_a_task_narrows_what_is_fetched(run: Run, hub: Hub) -> None:
    assert run("--download", "tiny", "--task", "generate") == 0
    assert not [request for request in hub.requests if "someone/extra" in request]
    assert "here" in run.state().split()
    assert run("--download", "tiny") == 0 and set(json.loads(run.lock.read_text())["sources"]) == {"pipeline", "extra"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--download", "tiny", "--task", "inpaint"], "Tiny cannot inpaint"),
        (["--task", "inpaint"], "narrows a download"),
        (["--download", "none"], "no model"),
        (["--verify", "none"], "no model"),
        (["--download", "tiny", "--task", "fly"], "invalid choice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_arguments_ask_nothing(arguments: list[str], message: str, run: Run, hub: Hub) -> None:
    assert run(*arguments) == 2 and message in run.lines[-1] and not hub.requests


def test_a_broken_connection_is_resumed_where_it_broke(run: Run, hub: Hub) -> None:
    hub.faults.drop[UNET] = [4096, 2048]
    assert run("--download", "tiny") == 0
    assert hub.ranges == ["bytes=4096-", "bytes=6144-"]
    assert (run.snapshot / UNET).read_bytes() == WEIGHTS


def test_a_connection_that_breaks_for_good_leaves_what_is_complete(run: Run, hub: Hub) -> None:
    hub.faults.drop[UNET] = [0] * 30
    assert "could not be reached" in run.fails("--download", "tiny")
    assert not run.leftovers() and not run.lock.exists() and "not downloaded" in run.state()
    hub.faults.drop.clear()
    hub.requests.clear()
    assert run("--download", "tiny") == 0
    assert f"someone/tiny:{UNET}" in hub.fetched() and "someone/tiny:unet/config.json" not in hub.fetched()


def test_a_file_that_is_too_short_is_not_kept(run: Run, hub: Hub) -> None:
    hub.faults.short.add(UNET)
    assert "incomplete" in run.fails("--download", "tiny")
    assert not (run.snapshot / UNET).exists() and not run.leftovers()
    hub.faults.short.clear()
    assert run("--download", "tiny") == 0


@pytest.mark.parametrize("name", [UNET, "tokenizer/vocab.json"], ids=["sha256 of the list", "hash of git"])
def test_wrong_bytes_are_fetched_once_more_and_then_refused(name: str, run: Run, hub: Hub) -> None:
    rotten = bytes(len(TINY[name]))
    hub.faults.wrong[name] = [rotten]
    assert run("--download", "tiny") == 0 and (run.snapshot / name).read_bytes() == TINY[name]
    shutil.rmtree(run.folder / "home")
    run.lock.unlink()
    hub.faults.wrong[name] = [rotten, rotten]
    assert f"{name} of someone/tiny came damaged twice" in run.fails("--download", "tiny")
    assert not (run.snapshot / name).exists() and not run.lock.exists()


def test_files_that_rot_are_found_and_only_those_are_fetched_anew(run: Run, hub: Hub) -> None:
    assert run("--download", "tiny") == 0
    assert run("--verify") == 0 and "tiny" in run.out and "ok: 8 files" in run.out
    damage(run.snapshot / UNET)
    (run.snapshot / "tokenizer" / "merges.txt").unlink()
    line = run.fails("--verify", "tiny")
    assert line == f"inpaint: Damaged or missing files: tiny. Mend with: {run.command}"
    assert f"{UNET} of someone/tiny is damaged" in run.out and "tokenizer/merges.txt of someone/tiny is missing" in run.out
    hub.requests.clear()
    assert run("--download", "tiny") == 0
    assert hub.fetched() == {f"someone/tiny:{UNET}"} and "Nothing" not in run.lines[-1]  # the bytes of merges.txt were still in the cache
    assert run("--verify", "tiny") == 0


def test_a_file_cut_short_on_the_disk_makes_the_model_incomplete(run: Run) -> None:
    assert run("--download", "tiny") == 0
    (run.snapshot / "tokenizer" / "vocab.json").resolve().write_bytes(b"{")
    assert "not downloaded" in run.state()
    assert run("--verify", "tiny", "--json") == 1
    [verdict] = json.loads(run.out)["models"]
    assert verdict == {
        "name": "tiny",
        "ok": False,
        "files": 7,
        "damage": ["tokenizer/vocab.json of someone/tiny is damaged"],
        "mend": f"Mend with: {run.command}",
        "notes": [],
    }
    assert run("--download", "tiny") == 0 and "here" in run.state().split()


def test_files_that_are_gone_are_said_to_be_gone(run: Run, tmp_path: Path) -> None:
    """The cache was emptied, the data folder was not."""
    assert "not downloaded" in run.state() and "to download" not in run.state(), "its size is not stated"
    assert run("--download", "tiny") == 0
    shutil.rmtree(tmp_path / "home")
    assert "its files are gone" in run.state() and "about 11 kB to download" in run.state()
    for arguments in (["--verify"], ["--verify", "tiny"]):
        assert run.fails(*arguments) == f"inpaint: Damaged or missing files: tiny. Mend with: {run.command}"
        folder = tmp_path / "home" / "hub" / "models--someone--tiny"
        assert f"pipeline: its files are gone from {folder}; extra: its files are gone" in run.out
    assert run("--download", "tiny") == 0 and "here" in run.state().split()


def test_sizes_are_told_in_a_unit_that_fits(run: Run) -> None:
    assert run() == 0
    rows = {line.split()[0]: line for line in run.out.splitlines()}
    assert "34 MB on the disk" in rows["kandinsky-mini"] and "nothing to download" in rows["erase"]


def test_verify_says_what_it_could_not_check(run: Run, tmp_path: Path) -> None:
    assert "not on this machine" in run.fails("--verify", "tiny")
    assert run("--download", "tiny", "--task", "generate") == 0
    assert run("--verify", "tiny") == 0 and "extra is not downloaded" in run.out
    run.lock.unlink()
    run.edit_model('"someone/tiny"', f'"someone/tiny", revision = "{commit_of(1)}"')
    assert run("--verify", "tiny") == 0 and "not locked: --download" in run.out


def test_a_local_folder_is_neither_fetched_nor_locked(run: Run, hub: Hub, tmp_path: Path) -> None:
    for name, content in TINY.items():
        (tmp_path / "config" / "models" / "mine" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "config" / "models" / "mine" / name).write_bytes(content)
    run.edit_model(
        'pipeline = { repo_id = "someone/tiny" }\nextra = { repo_id = "someone/extra", variant = "fp16" }',
        'pipeline = { repo_id = "./mine" }',
    )
    assert run("--download", "tiny") == 0 and "needs no download" in run.lines[0]
    assert run("--verify", "tiny") == 0 and "local folder and complete; nothing is locked" in run.out
    (tmp_path / "config" / "models" / "mine" / UNET).unlink()
    assert "Put the files of Tiny back into their folder" in run.fails("--verify", "tiny") and "not complete in" in run.out
    assert "not complete in" in run.fails("--download", "tiny")
    assert not run.lock.exists() and not hub.requests


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        pytest.param(
            "missing",
            "There is no repository someone/tiny on the hub, or it is private. If it has moved, set its new repo_id in {file};",
            id="missing repository",
        ),
        pytest.param("gated", "someone/tiny asks for its licence to be accepted first. Accept it on http://127.0.0.1", id="gated"),
        pytest.param(
            "revision",
            f'The hub has no revision {"e" * 40} of someone/tiny. To take the present revision, set revision = "main" in {{file}}.',
            id="unknown revision",
        ),
        pytest.param("hidden", "someone/tiny lists a file that it does not serve.", id="a listed file is 404"),
        pytest.param("pickled", "The part unet of someone/tiny is there only as a pickle file", id="pickle only"),
        pytest.param("variant", "The part unet of someone/tiny has no safetensors of the variant bf16.", id="no such variant"),
        pytest.param("folder", "The part unet of someone/tiny is named in its model_index.json, but is not there.", id="a part is missing"),
        pytest.param("index", "someone/tiny is no repository of diffusers", id="no index"),
        pytest.param("garbled", "The hub's answer for someone/tiny could not be read.", id="a garbled index"),
        pytest.param("shard", f"someone/tiny at {commit_of(1)[:12]} is not complete on the hub.", id="a shard is missing"),
        pytest.param("tired", "The hub answered 503 for someone/tiny.", id="the hub is down"),
        pytest.param("refused", "The hub answered 403 for someone/tiny. Log in anew with: hf auth login", id="refused"),
        pytest.param("hurried", "The hub answered 429 for someone/tiny. It was asked too often: wait some minutes", id="too often"),
        pytest.param("offline", "Offline mode is set (HF_HUB_OFFLINE), so someone/tiny cannot be fetched.", id="offline mode"),
        pytest.param("unplugged", "The hub could not be reached for someone/tiny (ConnectError).", id="no route"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_nothing_is_locked(
    fault: str, message: str, run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    inflict(fault, run, hub, monkeypatch)
    said = message.replace("{file}", str(run.folder / "config" / "models" / "tiny.toml"))
    assert run.fails("--download", "tiny").startswith(f"inpaint: {said}")
    assert not run.lock.exists() and "not downloaded" in run.state()


def inflict(fault: str, run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    shards = {
        "unet/model.safetensors.index.json": b'{"weight_map": {"a": "model-00002-of-00002.safetensors"}}',
        "unet/model-00001-of-00002.safetensors": b"one",
    }
    without = {name: content for name, content in TINY.items() if name != UNET}
    files = {
        "pickled": {**without, "unet/diffusion_pytorch_model.bin": b"pickle"},
        "shard": {**without, **shards},
        "folder": {name: content for name, content in TINY.items() if not name.startswith("unet/")},
        "index": {"tiny.safetensors": b"whole"},
        "garbled": {**TINY, "model_index.json": b"<html>"},
    }
    if fault in files:
        hub.add("someone/tiny", files[fault])
    hub.repositories["someone/tiny"].gated = fault == "gated"
    hub.faults.hidden = {UNET} if fault == "hidden" else set()
    hub.faults.status = {"tired": 503, "refused": 403, "hurried": 429}.get(fault)
    changes = {
        "missing": "someone/moved",
        "revision": f'someone/tiny", revision = "{"e" * 40}',
        "variant": 'someone/tiny", variant = "bf16',
    }
    if fault == "missing":
        del hub.repositories["someone/tiny"]
    elif fault in changes:
        run.edit_model("someone/tiny", changes[fault])
    elif fault == "offline":
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    elif fault == "unplugged":
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")


def test_a_file_that_came_with_the_app_is_copied_before_it_is_changed(hub: Hub, capsys: pytest.CaptureFixture[str]) -> None:
    hub.add("stabilityai/sdxl-turbo", TINY)
    assert main(["models", "--download", "sdxl-turbo"]) == 1
    file = DEFAULT_CONFIGS / "models" / "sdxl-turbo.toml"
    assert f'set revision = "main" in a copy of {file} in models/ of a folder DIR, and add --config DIR.' in capsys.readouterr().err


def test_what_is_not_there_is_asked_for_once(run: Run, hub: Hub) -> None:
    hub.faults.hidden = {UNET}
    assert "does not serve" in run.fails("--download", "tiny")
    assert len([request for request in hub.requests if request.endswith(UNET)]) == 1


def test_a_lock_whose_commit_is_gone_says_how_to_lift_it(run: Run, hub: Hub) -> None:
    assert run("--download", "tiny") == 0
    hub.add("someone/tiny", TINY).commits = {commit_of(7): TINY}
    damage(run.snapshot / UNET)
    assert f"delete {run.lock}" in run.fails("--download", "tiny")


def test_a_damaged_lock_counts_as_none(run: Run) -> None:
    assert run("--download", "tiny") == 0
    run.lock.write_text('{"sources": {"pipeline": {"files": []}}}', encoding="utf-8")
    assert lock_of(run.spec.sources["pipeline"]) is None
    assert run("--download", "tiny") == 0 and lock_of(run.spec.sources["pipeline"]).commit == commit_of(1)


def test_a_login_opens_what_is_gated(run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories["someone/tiny"].gated = True
    assert "hf auth login" in run.fails("--download", "tiny")
    monkeypatch.setenv("HF_TOKEN", "hf_mine")
    assert run("--download", "tiny") == 0


def test_a_disk_that_is_too_small_is_told_before_any_weights_are_fetched(run: Run, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: Usage(0, 0, RESERVE + 5_000))
    assert run.fails("--download", "tiny") == (
        f"inpaint: Tiny needs 11 kB more and 1.1 GB to spare in {run.folder / 'home' / 'hub'}, where 1.1 GB are free. "
        "Make room there, or choose another folder with --cache-dir or INPAINT_CACHE_DIR."
    )
    assert {name.partition(":")[2] for name in hub.fetched()} == {"model_index.json"}


def test_another_cache_folder(run: Run, hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("--download", "tiny", "--cache-dir", str(tmp_path / "elsewhere")) == 0
    assert (tmp_path / "elsewhere" / "models--someone--tiny" / "snapshots" / commit_of(1) / UNET).exists()
    assert "its files are gone" in run.state()
    monkeypatch.setenv("INPAINT_CACHE_DIR", str(tmp_path / "elsewhere"))
    assert "here" in run.state().split()


@pytest.mark.parametrize("below", ["", "deeper"])
def test_a_cache_folder_that_is_a_file_is_named(below: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file")
    folder = tmp_path / "file" / below
    assert run.fails("--download", "tiny", "--cache-dir", str(folder)) == (
        f"inpaint: The folder {folder} cannot be used: Not a directory. Choose another one with --cache-dir or INPAINT_CACHE_DIR."
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [
        pytest.param(OSError(errno.EROFS, "Read-only file system"), "/home/hub cannot be used: Read-only file system.", id="read-only"),
        pytest.param(
            PermissionError(errno.EACCES, "Permission denied"), "/home/hub cannot be used: Permission denied.", id="somebody else's"
        ),
        pytest.param(OSError(errno.EIO, "Input/output error"), "/home/hub cannot be used: Input/output error.", id="a broken disk"),
        pytest.param(OSError(errno.ENOSPC, "No space left on device"), "/home/hub is full.", id="full"),
        pytest.param(
            ConnectionResetError(errno.ECONNRESET, "Connection reset"),
            "could not be reached for someone/tiny (ConnectionResetError).",
            id="cut",
        ),
        pytest.param(OSError("Consistency check failed"), "someone/tiny could not be fetched: a file came incomplete.", id="too short"),
    ],
)
def test_what_the_disk_refuses_is_not_the_networks_fault(error: OSError, said: str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> Path:
        raise error

    monkeypatch.setattr("inpaint.hub.order.fetch", fail)
    line = run.fails("--download", "tiny")
    assert said in line and ("network" in line) is ("folder" not in line and "disk" not in line)


def test_who_watches_may_cancel(run: Run, hub: Hub) -> None:
    def stop(transfer: Transfer) -> None:
        if transfer.done_bytes > len(WEIGHTS) // 2:
            raise EditCancelled

    order = order_download(run.spec, ["pipeline"])
    with pytest.raises(EditCancelled):
        download(order, stop)
    assert not run.leftovers() and not run.lock.exists()
    heard: list[Transfer] = []
    download(order, heard.append)
    assert [t.done_bytes for t in heard] == sorted(t.done_bytes for t in heard)
    assert heard[-1].done_bytes == heard[-1].all_bytes == order.all_bytes == sum(map(len, TINY.values()))


def test_what_was_here_is_not_counted_as_fetched(run: Run, hub: Hub) -> None:
    order = order_download(run.spec, ["pipeline"])
    hub.faults.hidden = {"tokenizer/vocab.json"}
    with pytest.raises(ModelUnavailable):
        download(order, lambda transfer: None)
    hub.faults.hidden.clear()
    heard: list[Transfer] = []
    rest = order_download(run.spec, ["pipeline"]).missing_bytes
    download(order, heard.append)
    assert [t.fetched_bytes for t in heard if t.file == UNET] and not any(t.fetched_bytes for t in heard if t.file == UNET)
    assert heard[-1].fetched_bytes == rest and heard[-1].done_bytes == order.all_bytes
    assert [t.fetched_bytes for t in heard] == sorted(t.fetched_bytes for t in heard)


def test_the_folder_of_locks_may_be_full(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("inpaint.hub.download.write_lock", full)
    with pytest.raises(StorageFull, match="lock file"):
        download(order_download(run.spec, ["pipeline"]), lambda _: None)


@pytest.mark.parametrize("part", ["pipeline", "extra"])
def test_an_order_is_plain_data_and_fetches_no_weights(part: str, run: Run, hub: Hub) -> None:
    order = order_download(run.spec, [part])
    assert (order.model, order.licence, order.missing_bytes > 0, len(order.origins)) == ("tiny", "MIT", True, 1)
    assert {name.partition(":")[2] for name in hub.fetched()} == {"model_index.json"}


@pytest.mark.parametrize("key", ['cache_dir = "/tmp"', 'lock = "/tmp/x"'])
def test_a_models_file_sets_neither_cache_nor_lock(key: str, run: Run) -> None:
    run.edit_model('repo_id = "someone/tiny"', f'repo_id = "someone/tiny", {key}')
    assert run() == 2 and "sources.pipeline" in run.lines[-1]


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 kB"), (1, "1 kB"), (1_000, "1 kB"), (999_999, "1000 kB"), (1_500_000, "2 MB"), (10_123_000_000, "10.1 GB")]
)
def test_sizes_in_words(count: int, text: str) -> None:
    assert size_text(count) == text


class TestAsAProcess:
    """Signals, the environment as huggingface_hub reads it at its import, and what a second process finds."""

    @staticmethod
    def start(run: Run, hub: Hub, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "inpaint", "models", *run.options, *arguments],
            cwd=ROOT,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | environment(hub, run.folder / "home"),
        )

    @pytest.mark.parametrize(("stop", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)], ids=["Ctrl-C", "kill -9"])
    def test_an_interrupted_download_is_whole_after_the_next_one(self, stop: signal.Signals, code: int, run: Run, hub: Hub) -> None:
        held = hub.faults.hold[UNET] = Pause()
        process = self.start(run, hub, "--download", "tiny")
        assert held.reached.wait(60)
        process.send_signal(stop)
        _, shown = process.communicate(timeout=60)
        held.set()
        assert process.returncode == code and "Traceback" not in shown
        if stop == signal.SIGINT:
            assert shown.splitlines()[-1] == (
                f"inpaint: The download was stopped; files that are complete are kept. Go on with: {run.command}"
            )
        assert bool(run.leftovers()) is (stop == signal.SIGKILL) and "not downloaded" in run.state()
        hub.faults.hold.clear()
        hub.requests.clear()
        assert run("--download", "tiny") == 0 and not run.leftovers()
        assert "someone/tiny:unet/config.json" not in hub.fetched() and run("--verify", "tiny") == 0

    def test_nothing_but_the_repository_is_asked_for(self, run: Run, hub: Hub) -> None:
        process = self.start(run, hub, "--download", "tiny", "--task", "generate")
        _, shown = process.communicate(timeout=60)
        assert process.returncode == 0, shown
        assert hub.requests[0] == "GET /api/models/someone/tiny/revision/main"
        assert all(request.partition(" ")[2].startswith(f"/someone/tiny/resolve/{commit_of(1)}/") for request in hub.requests[1:])


class Pause(threading.Event):
    """Tells that somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.reached.set()
        return super().wait(timeout)


def test_a_models_that_is_not_here_names_the_command(run: Run) -> None:
    with pytest.raises(ModelUnavailable) as caught:
        weights.locate(run.spec, ["pipeline"])
    assert caught.value.hint == f"Get them with: {run.command}"
