"""Settings: which layer wins, and that a wrong file is refused with its name and key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from inpaint.config import DEFAULT_CONFIGS, AppConfig, PictureLimits, load_config, parse_auth
from inpaint.core.request import resolve_sampling
from inpaint.engines.registry import FAMILIES, Models
from inpaint.errors import BadConfig

MODEL = """
name = "mine"
title = "Mine"
family = "patchmatch"
tasks = ["inpaint"]
"""


def load(folder: Path | None = None, environment: Mapping[str, str] | None = None, **flags: object) -> AppConfig:
    return load_config(folder, flags, environment or {})


def with_model(folder: Path, text: str) -> Path:
    (folder / "models").mkdir(exist_ok=True)
    (folder / "models" / "mine.toml").write_text(text, encoding="utf-8")
    return folder


def with_settings(folder: Path, text: str) -> Path:
    (folder / "app.toml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("path", sorted((DEFAULT_CONFIGS / "models").glob("*.toml")), ids=lambda path: path.stem)
def test_every_shipped_model_is_sound(path: Path, config: AppConfig) -> None:
    spec = config.models[path.stem]
    assert spec.family in FAMILIES and spec.licence and spec.summary
    sampling = resolve_sampling(spec, 0, {})
    assert all(getattr(sampling, name) == limit.default for name, limit in spec.limits.items())
    assert (spec.working is not None) == spec.can("inpaint")


def test_flags_over_environment_over_folder_over_defaults(tmp_path: Path) -> None:
    folder = with_settings(tmp_path, 'port = 1000\nhost = "folder"\ndevice = "mps"\n[pictures]\nmax_side = 99\n')
    environment = {"INPAINT_PORT": "2000", "INPAINT_HOST": "environment", "INPAINT_MAX_MEGAPIXELS": "3.5"}
    settings = load(folder, environment, port=3000, host=None).settings
    assert (settings.port, settings.host, settings.device) == (3000, "environment", "mps")
    assert settings.pictures == PictureLimits(max_megapixels=3.5, max_side=99, max_file_megabytes=100)


def test_the_environment_may_name_the_folder(tmp_path: Path) -> None:
    with_settings(tmp_path, "port = 1000")
    assert load(None, {"INPAINT_CONFIG": str(tmp_path)}).settings.port == 1000
    assert load(None, {"INPAINT_PORT": ""}).settings.port is None


def test_a_model_is_added_by_one_file(tmp_path: Path) -> None:
    config = load(with_model(tmp_path, MODEL))
    assert config.models["mine"].title == "Mine"
    assert "erase" in config.models
    assert "mine" in [described["name"] for described in Models(config).describe()]


def test_a_model_is_replaced_by_name(tmp_path: Path) -> None:
    assert load(with_model(tmp_path, MODEL.replace("mine", "erase"))).models["erase"].title == "Mine"


@pytest.mark.parametrize(("repo_id", "expected"), [
    ("owner/name", "owner/name"), ("./weights", "{folder}/models/weights"), ("../weights", "{folder}/weights"), ("/srv/w", "/srv/w"),
])
def test_a_local_folder_is_relative_to_the_file_that_names_it(repo_id: str, expected: str, tmp_path: Path) -> None:
    folder = with_model(tmp_path, f'{MODEL}\n[sources.pipeline]\nrepo_id = "{repo_id}"\n')
    assert load(folder).models["mine"].sources["pipeline"].repo_id == expected.format(folder=tmp_path)


@pytest.mark.parametrize(("text", "named"), [
    pytest.param("port = \nshare = true\n", "app.toml cannot be read.*line 1", id="broken TOML"),
    pytest.param("port = 1\nport = 2\nshare = true\n", "app.toml cannot be read.*line 2", id="a key twice"),
    pytest.param("a = " + "[" * 5000, "app.toml cannot be read", id="endless nesting"),
    pytest.param("colour = 3", "settings: colour", id="unknown key"),
    pytest.param("[pictures]\nmax_width = 3", "settings: pictures.max_width", id="unknown key below"),
    pytest.param('port = "eighty"', "settings: port", id="wrong type"), pytest.param("port = 99999", "port: 99999", id="no port"),
    pytest.param("port = -1", "port: -1", id="negative port"), pytest.param('dtype = "int8"', "settings: dtype", id="no dtype"),
    pytest.param("share = 7", "settings: share", id="not a bool"), pytest.param("pictures = 3", "settings: pictures", id="not a table"),
    pytest.param("[pictures]\nmax_megapixels = nan", "max_megapixels: nan is not a positive", id="NaN limit"),
    pytest.param("[pictures]\nmax_megapixels = inf", "max_megapixels: inf is not a positive", id="no limit"),
    pytest.param("[pictures]\nmax_side = -5", "max_side: -5 is not a positive", id="negative limit"),
    pytest.param('data_dir = "~nobody-of-this-name/x"', "data_dir: ~nobody", id="nobody's home"),
    pytest.param('data_dir = "a\\u0000b"', "data_dir", id="NUL"),
])
def test_wrong_settings(text: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=named) as caught:
        load(with_settings(tmp_path, text))
    assert str(caught.value).isprintable()


def test_settings_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "app.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadConfig, match="app.toml cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize(("text", "named"), [
    pytest.param("", "mine.toml: name", id="empty"), pytest.param(MODEL + "speed = 3", "mine.toml: speed", id="unknown key"),
    pytest.param(MODEL.replace('["inpaint"]', '["fly"]'), "mine.toml: tasks", id="unknown task"),
    pytest.param(MODEL + '[sources.a]\nrepo_id = "x/y"\ncommit = "z"', "mine.toml: sources.a.commit", id="unknown key of a source"),
    pytest.param(MODEL + "[limits.height]\ndefault = 5\nminimum = 6\nmaximum = 9", "limits.height: the default 5", id="default below"),
    pytest.param(MODEL + "[limits.height]\ndefault = nan\nminimum = 6\nmaximum = 9", "limits.height: .* finite", id="NaN default"),
    pytest.param(MODEL + "[limits.height]\ndefault = 6\nminimum = 6\nmaximum = inf", "limits.height: .* finite", id="endless"),
    pytest.param(MODEL + "[limits.height]\ndefault = 6\nminimum = 6\nmaximum = 9\nstep = 0", "limits.height: .* step", id="no step"),
    pytest.param(MODEL + "[limits.height]\ndefault = 6.5\nminimum = 6\nmaximum = 9", "limits.height: the default 6.5", id="off the step"),
    pytest.param(MODEL + "[limits.speed]\ndefault = 6\nminimum = 6\nmaximum = 9", "limits.speed: there is no such", id="no such control"),
    pytest.param(MODEL + "[working]\nmultiple = 0\nmax_pixels = 10", "working: multiple", id="no multiple"),
    pytest.param(MODEL + "[working]\nmultiple = 64\nmax_pixels = 10", "working: multiple", id="smaller than one multiple"),
    pytest.param(MODEL + "[working]\nmultiple = 8\nmax_pixels = 100\nnative_pixels = 200", "native_pixels: 200", id="native too large"),
    pytest.param(MODEL + "[working]\nmultiple = 8\nmax_pixels = 100\ncontext = -1", "working: context", id="negative context"),
    pytest.param(MODEL + "[working]\nmultiple = 8\nmax_pixels = 100\nmax_upscale = 0", "working: context", id="no scale"),
])
def test_wrong_models(text: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=named):
        load(with_model(tmp_path, text))


def test_an_unknown_family_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="mine: family: there is no family 'magic'; there are kandinsky22"):
        Models(load(with_model(tmp_path, MODEL.replace("patchmatch", "magic"))))


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:x", "CUDA", "cuda:-1", ""])
def test_an_unknown_device_is_named(device: str) -> None:
    with pytest.raises(BadConfig, match="There is no device"):
        Models(load(device=device))


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match="settings folder .*nowhere does not exist"):
        load(tmp_path / "nowhere")


def test_a_password_never_shows() -> None:
    assert parse_auth("ann:se:cret") == ("ann", "se:cret") and parse_auth(None) is None
    assert "cret" not in repr(load(auth="ann:secret").settings)
    for wrong in ("secret", ":secret", "secret:", ""):
        with pytest.raises(BadConfig) as caught:
            parse_auth(wrong)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("flag", "environment", "expected"), [
    ("/srv/data", {"INPAINT_DATA_DIR": "/srv/other"}, "/srv/data"), (None, {"INPAINT_DATA_DIR": "/srv/other"}, "/srv/other"),
])
def test_the_data_folder(flag: str | None, environment: dict[str, str], expected: str) -> None:
    assert load(None, environment, data_dir=flag).data_dir == Path(expected)


def test_loading_makes_no_folder(tmp_path: Path) -> None:
    assert not load(data_dir=str(tmp_path / "data")).data_dir.exists()
