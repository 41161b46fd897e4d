"""Settings: which layer wins, and that a wrong file is refused with its name and key."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from inpaint.config.load import load_config
from inpaint.config.places import DEFAULT_CONFIGS
from inpaint.config.settings import ENVIRONMENT_NAMES, SECTIONS, AppConfig, PictureLimits, Settings, parse_auth
from inpaint.core.request import resolve_sampling
from inpaint.core.spec import SchedulerName
from inpaint.errors import BadConfig
from inpaint.hub import weights
from inpaint.models.catalog import FAMILIES, Models

BARE = """
name = "mine"
title = "Mine"
family = "patchmatch"
tasks = ["inpaint"]
"""
KANDINSKY = (
    BARE.replace("patchmatch", "kandinsky22")
    + 'working = { multiple = 64, max_pixels = 262_144 }\nsources = { prior = { repo_id = "x/y" }, decoder = { repo_id = "x/z" } }\n'
)
BOTH = KANDINSKY.replace('"inpaint"', '"inpaint", "image-to-image"').replace(
    "sources = {", 'sources = { image_decoder = { repo_id = "x/w" },'
)
SDXL = BARE.replace('"inpaint"', '"generate"').replace("patchmatch", "sdxl") + 'sources = { pipeline = { repo_id = "x/y" } }\n'
SIZE = "[limits]\n" + "".join(f"{name} = {{ default = 512, minimum = 64, maximum = 512, step = 64 }}\n" for name in ("width", "height"))
STRENGTH = "strength = { default = 0.5, minimum = 0.1, maximum = 1.0, step = 0.1 }\n"
MODEL = BARE + "working = { multiple = 1, max_pixels = 262_144 }\n"


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


@pytest.mark.parametrize(
    ("text", "environment", "budget"),
    [
        ("", {}, "auto"),
        ("[memory]\nbudget_gb = 6", {}, 6.0),
        ("[memory]\nbudget_gb = 6", {"INPAINT_MEMORY_GB": "7.5"}, 7.5),
        ("[memory]\nbudget_gb = 6", {"INPAINT_MEMORY_GB": "auto"}, "auto"),
    ],
    ids=["default", "a number", "environment", "back to auto"],
)
def test_the_memory_budget(text: str, environment: dict[str, str], budget: float | str, tmp_path: Path) -> None:
    config = load(with_settings(tmp_path, text), environment)
    assert config.settings.memory.budget_gb == budget
    if budget != "auto":
        assert Models(config).residency.budget == budget * 1e9


@pytest.mark.parametrize("budget", ["0", "-1", "inf", "nan", '"much"'])
def test_a_wrong_memory_budget_is_named(budget: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=r"memory\.budget_gb"):
        load(with_settings(tmp_path, f"[memory]\nbudget_gb = {budget}"))


@pytest.mark.parametrize(
    ("text", "environment", "compiles"),
    [
        ("", {}, False),
        ("[speed]\ncompile = true", {}, True),
        ("", {"INPAINT_COMPILE": "true"}, True),
        ("[speed]\ncompile = true", {"INPAINT_COMPILE": "false"}, False),
    ],
    ids=["default", "a file", "environment", "off again"],
)
def test_compiling_is_asked_for(text: str, environment: dict[str, str], compiles: bool, tmp_path: Path) -> None:
    config = load(with_settings(tmp_path, text), environment)
    assert config.settings.speed.compile is Models(config)._runtime.compiles is compiles


def test_the_environment_may_name_the_folder(tmp_path: Path) -> None:
    with_settings(tmp_path, "port = 1000")
    assert load(None, {"INPAINT_CONFIG": str(tmp_path)}).settings.port == 1000
    assert load(None, {"INPAINT_PORT": ""}).settings.port is None


def test_a_model_is_added_by_one_file(tmp_path: Path) -> None:
    config = load(with_model(tmp_path, MODEL + "prompt = false"))
    assert config.models["mine"].title == "Mine"
    assert "erase" in config.models
    assert "mine" in [described["name"] for described in Models(config).describe()]


def test_a_model_is_replaced_by_name(tmp_path: Path) -> None:
    assert load(with_model(tmp_path, MODEL.replace("mine", "erase"))).models["erase"].title == "Mine"


@pytest.mark.parametrize(
    ("name", "flags", "environment", "more"),
    [
        pytest.param("mine", {}, {}, "", id="none"),
        pytest.param(
            "mine",
            {"data_dir": "d", "cache_dir": "c", "device": "cpu", "dtype": None},
            {},
            " --data-dir d --cache-dir c",
            id="what was given",
        ),
        pytest.param("my model", {"cache_dir": "/my models/c"}, {}, " --cache-dir '/my models/c'", id="quoted"),
        pytest.param("mine", {}, {"INPAINT_DATA_DIR": "d", "INPAINT_CACHE_DIR": "c"}, "", id="variables hold for the next command too"),
    ],
)
def test_the_command_that_gets_a_model_repeats_the_flags(
    name: str, flags: dict[str, Any], environment: dict[str, str], more: str, tmp_path: Path
) -> None:
    spec = load(with_model(tmp_path, MODEL.replace("mine", name)), environment, **flags).models[name]
    quoted = f"'{name}'" if " " in name else name
    assert spec.command == f"python -m inpaint models --download {quoted} --config {tmp_path}{more}"
    assert load(None, environment).models["kandinsky-2.2"].command == "python -m inpaint models --download kandinsky-2.2"


def test_on_a_space_nobody_gives_commands() -> None:
    config = load(None, {"SPACE_ID": "me/inpaint"}, device="cpu")
    assert weights.missing(config.models["kandinsky-2.2"]).hint == "Its owner can add them to this Space (see the README there)"


@pytest.mark.parametrize(
    ("repo_id", "expected"),
    [
        ("owner/name", "owner/name"),
        ("./weights", "{folder}/models/weights"),
        ("../weights", "{folder}/weights"),
        ("/srv/w", "/srv/w"),
    ],
)
def test_a_local_folder_is_relative_to_the_file_that_names_it(repo_id: str, expected: str, tmp_path: Path) -> None:
    folder = with_model(tmp_path, f'{MODEL}\n[sources.pipeline]\nrepo_id = "{repo_id}"\n')
    assert load(folder).models["mine"].sources["pipeline"].repo_id == expected.format(folder=tmp_path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("port = \nshare = true\n", "app.toml cannot be read.*line 1", id="broken TOML"),
        pytest.param("port = 1\nport = 2\nshare = true\n", "app.toml cannot be read.*line 2", id="a key twice"),
        pytest.param("a = " + "[" * 5000, "app.toml cannot be read", id="endless nesting"),
        pytest.param("colour = 3", "app.toml, line 1: colour: there is no such key.$", id="unknown key"),
        pytest.param(
            "device = 'cpu'\ntrusted_proxy = []",
            "line 2: trusted_proxy: there is no such key. Did you mean trusted_proxies",
            id="a mistyped key",
        ),
        pytest.param(
            "[pictures]\nmax_width = 3",
            "app.toml, line 2: pictures.max_width: there is no such key. Did you mean max_side",
            id="unknown key below",
        ),
        pytest.param('port = "eighty"', "app.toml, line 1: port: .* integer", id="wrong type"),
        pytest.param('port = "80"', "line 1: port: .* integer", id="a text for a number"),
        pytest.param("port = 99999", "port: 99999", id="no port"),
        pytest.param("port = -1", "port: -1", id="negative port"),
        pytest.param('dtype = "int8"', "app.toml, line 1: dtype: .*bfloat16", id="no dtype"),
        pytest.param("share = 7", "app.toml, line 1: share", id="not a bool"),
        pytest.param("[speed]\ncompile = 7", "app.toml, line 2: speed.compile", id="nor this"),
        pytest.param("pictures = 3", "app.toml, line 1: pictures", id="not a table"),
        pytest.param("[pictures]\nmax_megapixels = nan", "max_megapixels: nan is not a positive", id="NaN limit"),
        pytest.param("[pictures]\nmax_megapixels = inf", "max_megapixels: inf is not a positive", id="no limit"),
        pytest.param("[pictures]\nmax_side = -5", "max_side: -5 is not a positive", id="negative limit"),
        pytest.param('data_dir = "~nobody-of-this-name/x"', "data_dir: ~nobody", id="nobody's home"),
        pytest.param('data_dir = "a\\u0000b"', "app.toml, line 1: data_dir", id="NUL"),
        pytest.param('device = "gpu"', "app.toml, line 1: device: There is no device 'gpu'", id="no device"),
        pytest.param('auth = "ann"', "app.toml, line 1: auth: must be user:password", id="no password"),
        pytest.param('allowed_hosts = "a.example"', "app.toml, line 1: allowed_hosts", id="a text for a list"),
        pytest.param('allowed_hosts = ["https://a.example/"]', "line 1: allowed_hosts: .* not a host's name", id="an address for a name"),
        pytest.param('allowed_hosts = ["*"]', "line 1: allowed_hosts: .* not a host's name", id="everything"),
        pytest.param('trusted_proxies = ["10.0.0.0/99"]', "line 1: trusted_proxies: .* neither", id="no network"),
    ],
)
def test_wrong_settings(text: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=named) as caught:
        load(with_settings(tmp_path, text))
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        pytest.param("INPAINT_PORT", "eighty", "INPAINT_PORT: .* integer", id="a word for a number"),
        pytest.param("INPAINT_PORT", "99999", "INPAINT_PORT: 99999 is not between", id="no port"),
        pytest.param("GRADIO_SERVER_PORT", "x", "GRADIO_SERVER_PORT: .* integer", id="Gradio's own"),
        pytest.param("INPAINT_SHARE", "perhaps", "INPAINT_SHARE: .* boolean", id="neither yes nor no"),
        pytest.param("INPAINT_DEVICE", "gpu", "INPAINT_DEVICE: There is no device 'gpu'", id="no device"),
        pytest.param("INPAINT_AUTH", "ann", "INPAINT_AUTH must be user:password", id="no password"),
        pytest.param("INPAINT_MAX_SIDE", "-5", "INPAINT_MAX_SIDE: -5 is not a positive", id="negative limit"),
        pytest.param("INPAINT_MEMORY_GB", "much", "INPAINT_MEMORY_GB: ", id="a variable of another name"),
        pytest.param("INPAINT_DATA_DIR", "~nobody-of-this-name/x", "INPAINT_DATA_DIR: ~nobody", id="nobody's home"),
        pytest.param("INPAINT_ALLOWED_HOSTS", "a.example, http://b", "INPAINT_ALLOWED_HOSTS: 'http://b' is not", id="a list"),
        pytest.param("FORWARDED_ALLOW_IPS", "nginx", "FORWARDED_ALLOW_IPS: 'nginx' is neither", id="a proxy's name"),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, said: str) -> None:
    with pytest.raises(BadConfig, match=f"^{said}"):
        load(None, {variable: value})


@pytest.mark.parametrize(
    ("flag", "value", "said"),
    [
        ("port", 99999, "--port: 99999 is not between"),
        ("device", "toaster", "--device: There is no device 'toaster'"),
        ("data_dir", "a\0b", "--data-dir: "),
        ("auth", "nobody", "--auth must be user:password"),
        ("dtype", "int8", "--dtype: "),
        ("trusted_proxies", "nginx", "--trusted-proxies: 'nginx' is neither"),
    ],
)
def test_a_wrong_flag_is_named(flag: str, value: object, said: str) -> None:
    with pytest.raises(BadConfig, match=f"^{said}"):
        load(**{flag: value})


def test_gradios_own_variables_are_the_lowest_layer(tmp_path: Path) -> None:
    gradio = {"GRADIO_SERVER_NAME": "0.0.0.0", "GRADIO_SERVER_PORT": "7900"}
    settings = load(None, gradio).settings
    assert (settings.host, settings.port) == ("0.0.0.0", 7900)
    settings = load(with_settings(tmp_path, "port = 1000"), gradio | {"INPAINT_HOST": "127.0.0.1"}).settings
    assert (settings.host, settings.port) == ("127.0.0.1", 1000)


def test_no_other_programs_variable_makes_a_shared_link() -> None:
    assert load(None, {"GRADIO_SHARE": "True"}).settings.share is False


def test_lists_are_parted_by_commas_where_there_is_only_text() -> None:
    settings = load(None, {"INPAINT_ALLOWED_HOSTS": "a.example, *.b.example:8443,", "FORWARDED_ALLOW_IPS": "127.0.0.1,10.0.0.0/8"}).settings
    assert settings.allowed_hosts == ("a.example", "*.b.example:8443") and settings.trusted_proxies == ("127.0.0.1", "10.0.0.0/8")
    assert load(allowed_hosts="c.example").settings.allowed_hosts == ("c.example",)


def test_settings_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "app.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(BadConfig, match="app.toml cannot be read"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("", "mine.toml: name: it is missing", id="empty"),
        pytest.param("name =\ntitle", "mine.toml cannot be read.*line 1", id="broken TOML"),
        pytest.param(MODEL + "speed = 3", "mine.toml, line 7: speed: there is no such key.$", id="unknown key"),
        pytest.param(
            MODEL.replace("title", "titel"), "mine.toml, line 3: titel: there is no such key, and title is missing", id="a mistyped key"
        ),
        pytest.param(
            MODEL + 'sources = { a = { repo = "x/y" } }',
            "line 7: sources.a.repo: there is no such key, and repo_id is missing",
            id="a mistyped key of a source",
        ),
        pytest.param(MODEL.replace('family = "patchmatch"\n', ""), "mine.toml: family: it is missing", id="no family"),
        pytest.param(MODEL.replace('"mine"', "7"), "mine.toml, line 2: name: .* valid string", id="a number for a text"),
        pytest.param(MODEL.replace('"mine"', '""'), "mine.toml, line 2: name: it is empty", id="no name"),
        pytest.param(MODEL.replace('["inpaint"]', '"inpaint"'), "mine.toml, line 5: tasks: .* valid", id="a text for a list"),
        pytest.param(MODEL.replace('["inpaint"]', "[]"), "mine.toml, line 5: tasks: it is empty", id="no task"),
        pytest.param(MODEL.replace('["inpaint"]', '["fly"]'), "mine.toml, line 5: tasks.0: .*'image-to-image'", id="unknown task"),
        pytest.param(MODEL + "early_stop = 1", "mine.toml, line 7: early_stop: .* boolean", id="a number for a yes"),
        pytest.param(MODEL + 'schedulers = ["euler"]', "mine.toml, line 7: schedulers.0: .*'dpm..'", id="unknown scheduler"),
        pytest.param(MODEL + 'fast_on = ["gpu"]', "mine.toml, line 7: fast_on.0: .*'mps'", id="fast on no device"),
        pytest.param(MODEL + "priority = 1.5", "mine.toml, line 7: priority: .* integer", id="half a priority"),
        pytest.param(MODEL + 'command = "rm"', "mine.toml, line 7: command: it is not set", id="a command of its own"),
        pytest.param(MODEL + 'file = "x"', "mine.toml, line 7: file: it is not set", id="a file of its own"),
        pytest.param(
            MODEL + '[sources.a]\nrepo_id = "x/y"\ncommit = "z"',
            "line 9: sources.a.commit: there is no such key",
            id="unknown key of a source",
        ),
        pytest.param(
            MODEL + 'sources = { a = { revision = "main" } }', "line 7: sources.a.repo_id: it is missing", id="a source that is nowhere"
        ),
        pytest.param(MODEL + '[sources.a]\nrepo_id = ""', "line 8: sources.a.repo_id: it is empty", id="an empty source"),
        pytest.param(MODEL + '[sources.a]\nrepo_id = "x/y"\nrevision = ""', "line 9: sources.a.revision: it is empty", id="no revision"),
        pytest.param(
            MODEL + '[sources.a]\nrepo_id = "not a repo!!"', "line 8: sources.a.repo_id: 'not a repo!!' is neither", id="no repository"
        ),
        pytest.param(MODEL + '[sources.a]\nrepo_id = "a/b/c"', "line 8: sources.a.repo_id: 'a/b/c' is neither", id="a path of three"),
        pytest.param(
            MODEL + '[sources.a]\nrepo_id = "x/y"\nlock = "z"', "line 9: sources.a.lock: only a local folder", id="a lock of its own"
        ),
        pytest.param(MODEL + "[parameters]\nunet = -5", "line 8: parameters.unet: -5 is no count", id="fewer than no parameters"),
        pytest.param(MODEL + "[parameters]\nunet = 1.5", "line 8: parameters.unet: .* integer", id="half a parameter"),
        pytest.param(
            MODEL + "[limits.height]\ndefault = 5\nminimum = 6\nmaximum = 9", "line 7: limits.height: the default 5", id="default below"
        ),
        pytest.param(
            MODEL + '[limits.height]\ndefault = "5"\nminimum = 1\nmaximum = 9',
            "line 8: limits.height.default: .* number",
            id="text for a number",
        ),
        pytest.param(
            MODEL + "[limits.height]\ndefault = 5\nminimum = 1", "line 7: limits.height.maximum: it is missing", id="half a limit"
        ),
        pytest.param(MODEL + "[limits.height]\ndefault = nan\nminimum = 6\nmaximum = 9", "limits.height: .* finite", id="NaN default"),
        pytest.param(MODEL + "[limits.height]\ndefault = 6\nminimum = 6\nmaximum = inf", "limits.height: .* finite", id="endless"),
        pytest.param(MODEL + "[limits.height]\ndefault = 6\nminimum = 6\nmaximum = 9\nstep = 0", "limits.height: .* step", id="no step"),
        pytest.param(
            MODEL + "[limits.height]\ndefault = 6.5\nminimum = 6\nmaximum = 9", "limits.height: the default 6.5", id="off the step"
        ),
        pytest.param(
            MODEL + "[limits.height]\ndefault = 6\nminimum = 6\nmaximum = 9\nstep = 0.5", "limits.height: .* whole", id="half a pixel"
        ),
        pytest.param(
            MODEL + "[limits.num_inference_steps]\ndefault = 0\nminimum = 0\nmaximum = 9", "num_inference_steps lies at 1", id="no steps"
        ),
        pytest.param(MODEL + "[limits.strength]\ndefault = 0.5\nminimum = 0\nmaximum = 2\nstep = 0.1", "between 0 and 1", id="too strong"),
        pytest.param(MODEL + "[limits.guidance_scale]\ndefault = 1\nminimum = -1\nmaximum = 2", "guidance_scale lies at 0", id="misguided"),
        pytest.param(
            MODEL + "[limits]\nspeed = { default = 6, minimum = 6, maximum = 9 }",
            "line 8: limits.speed: there is no such",
            id="no such control",
        ),
        pytest.param(
            MODEL + "[task_limits.inpaint.height]\ndefault = 5\nminimum = 6\nmaximum = 9",
            "line 7: task_limits.inpaint.height: the default",
            id="a wrong limit of a task",
        ),
        pytest.param(
            MODEL + "[task_limits.generate.height]\ndefault = 7\nminimum = 6\nmaximum = 9",
            "line 7: task_limits.generate: the model does not",
            id="a limit of a task that is not its own",
        ),
        pytest.param(
            MODEL + "[task_limits.fly.height]\ndefault = 7\nminimum = 6\nmaximum = 9", "line 7: task_limits.fly", id="a limit of no task"
        ),
        pytest.param(BARE + "[working]\nmultiple = 0\nmax_pixels = 10", "line 6: working: multiple", id="no multiple"),
        pytest.param(BARE + "[working]\nmultiple = 64\nmax_pixels = 10", "working: multiple", id="smaller than one multiple"),
        pytest.param(
            BARE + "[working]\nmultiple = 8\nmax_pixels = 100\nnative_pixels = 200",
            "line 9: working.native_pixels: 200",
            id="native too large",
        ),
        pytest.param(BARE + "[working]\nmultiple = 8\nmax_pixels = 100\ncontext = -1", "working: context", id="negative context"),
        pytest.param(BARE + "[working]\nmultiple = 8\nmax_pixels = 100\nmax_upscale = 0", "working: context", id="no scale"),
    ],
)
def test_wrong_models(text: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=named) as caught:
        load(with_model(tmp_path, text))
    assert str(tmp_path / "models" / "mine.toml") in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.parametrize(("text", "line"), [(MODEL.lstrip(), None), (MODEL.lstrip().replace("name", "nam"), 1)], ids=["sound", "wrong"])
def test_a_file_from_windows_begins_with_a_mark_that_is_no_text(text: str, line: int | None, tmp_path: Path) -> None:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.toml").write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    if line is None:
        assert load(tmp_path).models["mine"].title == "Mine"
    else:
        with pytest.raises(BadConfig, match=f"mine.toml, line {line}: nam: there is no such key, and name is missing"):
            load(tmp_path)


def test_two_files_with_one_name_are_refused(tmp_path: Path) -> None:
    with_model(tmp_path, MODEL)
    (tmp_path / "models" / "yours.toml").write_text(MODEL, encoding="utf-8")
    with pytest.raises(BadConfig, match=r"yours.toml: name: .*mine.toml has a model mine too"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param(
            MODEL.replace("patchmatch", "magic"), "line 4: family: there is no family 'magic'; there are kandinsky22", id="unknown family"
        ),
        pytest.param(
            MODEL.replace('"inpaint"', '"generate"'), "line 5: tasks: patchmatch cannot generate", id="a task that the family lacks"
        ),
        pytest.param(MODEL.replace("patchmatch", "diffusers-inpaint"), "line 4: sources: diffusers-inpaint needs pipeline", id="no source"),
        pytest.param(
            MODEL.replace("patchmatch", "diffusers-inpaint") + '[sources.other]\nrepo_id = "x/y"',
            "line 7: sources: diffusers-inpaint needs pipeline",
            id="another source",
        ),
        pytest.param(
            BARE.replace('"inpaint"', '"generate"').replace("patchmatch", "sdxl") + 'sources = { pipeline = { repo_id = "x/y" } }',
            "line 5: limits: a model that generates needs height, width",
            id="no size",
        ),
        pytest.param(MODEL, "line 4: prompt: patchmatch does not use it for inpaint. Set prompt = false", id="words that nobody reads"),
        pytest.param(
            KANDINSKY + "[limits]\n" + STRENGTH,
            "line 9: limits.strength: kandinsky22 does not use it for inpaint. Take it out",
            id="a strength that inpainting has not",
        ),
        pytest.param(
            BOTH + "[limits]\n" + STRENGTH,
            r"line 9: limits.strength: .* for inpaint. Put it into \[task_limits.image-to-image\]",
            id="a strength of another task",
        ),
        pytest.param(
            BOTH + "[task_limits.inpaint]\n" + STRENGTH, "line 9: task_limits.inpaint.strength: kandinsky22", id="in a task's own table"
        ),
        pytest.param(SDXL + SIZE + STRENGTH, "line 10: limits.strength: sdxl", id="a strength without a picture"),
        pytest.param(SDXL + 'schedulers = ["ddim"]\n' + SIZE, "line 7: schedulers: sdxl does not use it for generate", id="schedulers"),
        pytest.param(
            SDXL + "early_stop = true\n" + SIZE,
            "line 7: early_stop: sdxl does not use it for generate",
            id="an early end that would cancel",
        ),
    ],
)
def test_a_model_that_its_family_cannot_run_is_refused_at_the_start(text: str, named: str, tmp_path: Path) -> None:
    with pytest.raises(BadConfig, match=f"mine.toml, {named}"):
        Models(load(with_model(tmp_path, text)))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            BOTH + 'schedulers = ["ddim"]\nearly_stop = true\nnegative_prompt = true\n[task_limits.image-to-image]\n' + STRENGTH,
            id="kandinsky22",
        ),
        pytest.param(SDXL + "negative_prompt = true\n" + SIZE, id="sdxl"),
    ],
)
def test_controls_that_the_family_reads_are_taken(text: str, tmp_path: Path) -> None:
    assert "mine" in Models(load(with_model(tmp_path, text))).specs


@pytest.mark.parametrize(
    ("text", "multiple"),
    [
        (BARE + "prompt = false", 1),
        (KANDINSKY.replace("working = { multiple = 64, max_pixels = 262_144 }\n", ""), 64),
        (KANDINSKY, 64),
        (BARE.replace("patchmatch", "diffusers-inpaint") + 'sources = { pipeline = { repo_id = "x/y" } }', 16),
        (SDXL + SIZE, None),
    ],
    ids=["patchmatch", "kandinsky22", "its own", "diffusers-inpaint", "sees no picture"],
)
def test_the_working_extents_of_a_file_that_names_none_are_its_familys(text: str, multiple: int | None, tmp_path: Path) -> None:
    models = Models(load(with_model(tmp_path, text), device="cuda"))
    working = models.specs["mine"].working
    assert (working.multiple if working else None) == multiple
    assert text != KANDINSKY or working.max_pixels == 262_144


def test_the_readme_names_variables_that_are_there_and_what_the_page_points_to() -> None:
    readme = (DEFAULT_CONFIGS.parent / "README.md").read_text(encoding="utf-8")
    fields = [field.name for kind in (Settings, *SECTIONS.values()) for field in dataclasses.fields(kind)]
    there = {ENVIRONMENT_NAMES.get(name, f"INPAINT_{name.upper()}") for name in fields} | {"INPAINT_CONFIG"}
    assert set(re.findall(r"INPAINT_[A-Z]\w*", readme)) <= there
    assert "## Hugging Face Space\n" in readme and "INPAINT_PAGE_DOWNLOADS=on" in readme


def test_the_schedulers_that_a_file_may_name_are_those_there_are() -> None:
    from inpaint.engines.runtime.schedulers import SCHEDULERS

    assert set(get_args(SchedulerName)) == set(SCHEDULERS)


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


@pytest.mark.parametrize(
    ("flag", "environment", "expected"),
    [
        ("/srv/data", {"INPAINT_DATA_DIR": "/srv/other"}, "/srv/data"),
        (None, {"INPAINT_DATA_DIR": "/srv/other"}, "/srv/other"),
    ],
)
def test_the_data_folder(flag: str | None, environment: dict[str, str], expected: str) -> None:
    assert load(None, environment, data_dir=flag).data_dir == Path(expected)


def test_loading_makes_no_folder(tmp_path: Path) -> None:
    assert not load(data_dir=str(tmp_path / "data")).data_dir.exists()
