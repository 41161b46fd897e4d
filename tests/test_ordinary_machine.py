"""Ordinary machines, one a row: a whole erase and a whole edit by Kandinsky Mini from the command line, in an environment that is stated in full.

A build machine has variables that a person's has not, and the other way round; each row starts from nothing but PATH and HOME. What comes
out is compared with the plain row's pixels, so a row can fail by its result too, not only by an error.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from gradio_client import Client, handle_file
from PIL import Image
from scipy.ndimage import gaussian_filter

from tests.fakes import block, noise

ROOT = Path(__file__).resolve().parent.parent
PATIENCE_SECONDS = 300
PHOTO, MASK, OUTPUT = "Фото é 1.png", "маска.png", "結果.png"
EDITS = {
    "erase": ["--model", "erase"],
    "kandinsky-mini": ["--model", "kandinsky-mini", "--prompt", "a red apple", "--steps", "2", "--prior-steps", "2", "--work-area", "full"],
}
NOBODY = (
    "exec setpriv --reuid 4242 --regid 4242 --clear-groups --inh-caps=+dac_override,+dac_read_search "
    '--ambient-caps=+dac_override,+dac_read_search "$@"'
)
"""Another user, who may still read and write everything: where the files of a test lie is not what is tried."""

NO_OVERRIDE = "-dac_override,-dac_read_search"
"""Without these root is held by the rights of files as everybody is."""


@dataclass(frozen=True)
class Machine:
    """How a command is started. variables: besides PATH and HOME; None removes one. shell: what stands around "$@". checkout: what Python
    imports the app from. same_bits: whether the pixels must equal the plain row's."""

    variables: dict[str, str | None] = field(default_factory=dict)
    shell: str = 'exec "$@"'
    folder: str = "work"
    checkout: Path = ROOT
    same_bits: bool = True

    def start(self, home: Path, arguments: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        plain = {"PATH": os.defpath.strip(":") + ":/usr/local/bin:/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": str(self.checkout)}
        environment = {name: value for name, value in {**plain, **self.variables}.items() if value is not None}
        return subprocess.Popen(
            ["sh", "-c", self.shell, "sh", sys.executable, *arguments],
            cwd=home / self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            **options,
        )


OTHER_APPS: dict[str, str | None] = {
    "MPLBACKEND": "module://nowhere",
    "GRADIO_SERVER_PORT": "seven",
    "GRADIO_NUM_PORTS": "x",
    "GRADIO_SHARE": "True",
    "GRADIO_ALLOWED_PATHS": "/",
    "GRADIO_ANALYTICS_ENABLED": "True",
    "GRADIO_SSR_MODE": "True",
    "GRADIO_MCP_SERVER": "True",
    "GRADIO_NODE_SERVER_PORT": "y",
    "GRADIO_DEFAULT_CONCURRENCY_LIMIT": "many",
    "GRADIO_DEBUG": "z",
    "GRADIO_WATCH_DIRS": "/",
    "GRADIO_NUM_WORKERS": "w",
    "GRADIO_THEME": "none",
    "HF_HUB_DOWNLOAD_TIMEOUT": "soon",
    "HF_HUB_ETAG_TIMEOUT": "",
    "HF_HUB_DISABLE_TELEMETRY": "0",
    "HF_HUB_DISABLE_XET": "0",
    "HF_HUB_VERBOSITY": "loud",
    "HF_TOKEN": "not a token",
    "HF_HOME": "/nowhere/hub",
    "HF_ENDPOINT": "https://nowhere.invalid",
    "HF_HUB_ENABLE_HF_TRANSFER": "1",
    "TRANSFORMERS_VERBOSITY": "loud",
    "DIFFUSERS_VERBOSITY": "loud",
    "DIFFUSERS_GGUF_CUDA_KERNELS": "?",
    "TQDM_POSITION": "first",
    "TQDM_MININTERVAL": "now",
    "CUDA_VISIBLE_DEVICES": "none of them",
    "OPENCV_LOG_LEVEL": "loud",
    "NUMEXPR_MAX_THREADS": "many",
    "TOKENIZERS_PARALLELISM": "perhaps",
}
"""Variables that other programs read, with values that nobody can."""

MACHINES = {
    "no HOME": Machine({"HOME": None}),
    "no HOME, and a user whom nobody knows": Machine({"HOME": None, "INPAINT_DATA_DIR": "data"}, NOBODY),
    "LANG=C without UTF-8 mode": Machine({"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "PYTHONIOENCODING=cp1252": Machine({"PYTHONIOENCODING": "cp1252"}),
    "variables of a build machine": Machine(
        {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONOPTIMIZE": "2", "PYTHONSAFEPATH": "1"}
    ),
    "switches of Python's for debugging": Machine({"PYTHONWARNINGS": "default", "PYTHONDEVMODE": "1", "PYTHONFAULTHANDLER": "1"}),
    "stdout closed": Machine(shell='exec "$@" >&-'),
    "stdin closed": Machine(shell='exec "$@" <&-'),
    "all three closed": Machine(shell='exec "$@" <&- >&- 2>&-'),
    "nobody reads stdout": Machine(shell='"$@" | true'),
    "a folder with spaces and non-ASCII letters": Machine(folder="мой стол/a b"),
    "a read-only checkout": Machine(
        shell=f'exec setpriv --bounding-set={NO_OVERRIDE} --inh-caps={NO_OVERRIDE} "$@"', checkout=Path("copied")
    ),
    "TMPDIR on another file system": Machine({"TMPDIR": "/dev/shm"}),
    "TMPDIR missing": Machine({"TMPDIR": "/nowhere/at/all"}),
    "TMPDIR full": Machine(
        {"TMPDIR": "/mnt"},
        'exec unshare --mount sh -c \'mount -t tmpfs -o size=4k,nr_inodes=2 none /mnt && touch /mnt/a; exec "$@"\' sh "$@"',
    ),
    "umask 077": Machine(shell='umask 077 && exec "$@"'),
    "one core": Machine({"OMP_NUM_THREADS": "1"}, 'exec taskset -c 0 "$@"', same_bits=False),
    "variables of other apps set to nonsense": Machine(OTHER_APPS),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


def furnish(home: Path, folder: str) -> Path:
    """A folder with a photo and a mask, whose names are not ASCII."""
    place = home / folder
    if not place.exists():
        place.mkdir(parents=True)
        smooth = gaussian_filter(noise(96, 112).astype(np.float32), (3, 3, 0))
        Image.fromarray(np.clip((smooth - 128) * 6 + 128, 0, 255).astype(np.uint8)).save(place / PHOTO)
        Image.fromarray(block(96, 112, 30, 40, 62, 74)).save(place / MASK)
    return place


def edited(machine: Machine, home: Path, model: str) -> np.ndarray[Any, Any]:
    """The pixels of a whole edit."""
    place = furnish(home, machine.folder)
    output = f"{model}-{OUTPUT}"
    (place / output).unlink(missing_ok=True)
    done = machine.start(
        home,
        [
            "-m",
            "inpaint",
            "edit",
            PHOTO,
            "--mask",
            MASK,
            "--output",
            output,
            "--seed",
            "5",
            "--feather",
            "2",
            "--device",
            "cpu",
            *EDITS[model],
        ],
    )
    out, err = done.communicate(timeout=PATIENCE_SECONDS)
    assert done.returncode == 0 and b"Traceback" not in err, (out + err).decode(errors="replace")
    with Image.open(place / output) as image:
        return np.array(image)


@pytest.fixture(scope="module")
def plain(home: Path) -> dict[str, np.ndarray[Any, Any]]:
    """Nothing but PATH and HOME: what the other rows are compared with."""
    return {model: edited(Machine(), home, model) for model in EDITS}


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The app in a folder that nothing can be written to."""
    place = tmp_path_factory.mktemp("checkout") / "inpaint app"
    for name in ("inpaint", "configs", "models"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    for path in (place, *place.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    return place


def needs(machine: Machine) -> None:
    """Skips, by name, what this system or user cannot be made into."""
    for tool in ("setpriv", "unshare", "taskset"):
        if tool in machine.shell and not shutil.which(tool):
            pytest.skip(f"no {tool} here")
    if ("unshare" in machine.shell or "reuid" in machine.shell) and os.geteuid() != 0:
        pytest.skip("only root can arrange that")


@pytest.mark.parametrize("model", EDITS)
@pytest.mark.parametrize("machine", [pytest.param(machine, id=name) for name, machine in MACHINES.items()])
def test_an_edit_on(machine: Machine, model: str, home: Path, plain: dict[str, np.ndarray[Any, Any]], copied: Path) -> None:
    needs(machine)
    if machine.checkout == Path("copied"):
        machine = Machine(machine.variables, machine.shell if os.geteuid() == 0 else 'exec "$@"', machine.folder, copied)
    result = edited(machine, home, model)
    assert result.shape == plain[model].shape
    if machine.same_bits:
        assert np.array_equal(result, plain[model])
    else:
        assert np.abs(result.astype(int) - plain[model]).max() <= 3


def test_a_user_without_a_home_is_told_what_to_name(home: Path) -> None:
    machine = Machine({"HOME": None}, NOBODY)
    needs(machine)
    furnish(home, machine.folder)
    done = machine.start(home, ["-m", "inpaint", "edit", PHOTO, "--mask", MASK, "--output", "o.png"])
    _, err = done.communicate(timeout=PATIENCE_SECONDS)
    assert (done.returncode, err.decode()) == (
        2,
        "inpaint: This user has no home folder to keep data in. Name a folder with --data-dir DIR or INPAINT_DATA_DIR.\n",
    )


@pytest.fixture
def asked() -> Iterator[tuple[str, list[object]]]:
    """A proxy that answers nothing: its address, and who asked it."""
    calls: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            try:
                while True:
                    connection, address = server.accept()
                    calls.append(address)
                    connection.close()
            except OSError:
                return

        threading.Thread(target=accept, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}", calls
        server.shutdown(socket.SHUT_RDWR)


def through(proxy: str) -> dict[str, str | None]:
    return {name: proxy for lower in ("http_proxy", "https_proxy", "all_proxy") for name in (lower, lower.upper())}


@pytest.mark.parametrize("model", EDITS)
def test_nothing_asks_a_proxy(model: str, home: Path, plain: dict[str, np.ndarray[Any, Any]], asked: tuple[str, list[object]]) -> None:
    proxy, calls = asked
    assert np.array_equal(edited(Machine(through(proxy)), home, model), plain[model]) and calls == []


@pytest.mark.parametrize("row", ["plain", "other apps", "a proxy", "stdout and stderr closed"])
def test_a_server_on(row: str, home: Path, plain: dict[str, np.ndarray[Any, Any]], asked: tuple[str, list[object]], tmp_path: Path) -> None:
    """Both edits over HTTP, from a server that is started as a person would start it, and ended in order. GRADIO_SERVER_PORT alone of the
    other apps' variables is heeded: where it is no number the start says so (tests/config/test_settings.py)."""
    machine = {
        "plain": Machine(),
        "other apps": Machine({name: value for name, value in OTHER_APPS.items() if name != "GRADIO_SERVER_PORT"}),
        "a proxy": Machine(through(asked[0])),
        "stdout and stderr closed": Machine(shell='exec "$@" >&- 2>&-'),
    }[row]
    place = furnish(home, machine.folder)
    port = free_port()
    server = machine.start(home, [str(ROOT / "app.py"), "--port", str(port), "--data-dir", str(tmp_path / "data"), "--device", "cpu"])
    drained = [threading.Thread(target=stream.read, daemon=True) for stream in (server.stdout, server.stderr) if stream]
    for thread in drained:
        thread.start()
    try:
        answers(server, f"http://127.0.0.1:{port}/readyz")
        client = Client(f"http://127.0.0.1:{port}", verbose=False, httpx_kwargs={"timeout": PATIENCE_SECONDS, "trust_env": False})
        for model, more in {
            "erase": {},
            "kandinsky-mini": {"prompt": "a red apple", "num_inference_steps": 2, "prior_num_inference_steps": 2, "work_area": "full"},
        }.items():
            files, report = client.predict(
                handle_file(str(place / PHOTO)),
                handle_file(str(place / MASK)),
                model=model,
                seed=5,
                feather=2,
                api_name="/edit",
                **{"prompt": "", **more},
            )
            with Image.open(files[0]) as image:
                assert np.array_equal(np.array(image), plain[model])
            assert report["changed_outside"] == 0
    finally:
        server.terminate()
        assert server.wait(30) == 0
    assert asked[1] == []


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def answers(server: subprocess.Popen[bytes], address: str) -> None:
    """Waits until the address answers; fails where the server has ended."""
    for _ in range(10 * PATIENCE_SECONDS):
        assert server.poll() is None, "the server has ended"
        try:
            if httpx.get(address, trust_env=False, timeout=PATIENCE_SECONDS).status_code == httpx.codes.OK:
                return
        except httpx.HTTPError:
            threading.Event().wait(0.1)
    raise AssertionError("it never answered")
