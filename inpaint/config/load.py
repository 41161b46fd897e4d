"""Reads the settings: configs/, then --config DIR, then INPAINT_* variables, then flags. Each overrides the ones before.

An error names the place of a wrong value: file, line and key, or the variable, or the flag. This module knows no models' code
and no page.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from inpaint.config.checks import check_settings
from inpaint.config.layers import FileLayer, Layer, NamedLayer, merged
from inpaint.config.model_files import read_models
from inpaint.config.places import DEFAULT_CONFIGS, ModelPlace, data_dir_of, folder_of, repeated_flags
from inpaint.config.settings import GRADIO_NAMES, LISTS, SECTIONS, AppConfig, Settings, variable_of
from inpaint.errors import BadConfig


def load_config(
    config_dir: Path | None = None, flags: Mapping[str, object] | None = None, environment: Mapping[str, str] | None = None
) -> AppConfig:
    """Reads all layers into one AppConfig. flags: by the names of the fields of Settings; None = not given. Raises BadConfig."""
    environment = os.environ if environment is None else environment
    chosen = config_dir or (Path(environment["INPAINT_CONFIG"]) if environment.get("INPAINT_CONFIG") else None)
    folders = [DEFAULT_CONFIGS, *([_existing(chosen)] if chosen else [])]
    layers: list[Layer] = [
        _gradio_layer(environment),
        *(FileLayer(folder / "app.toml") for folder in folders),
        _environment_layer(environment),
        _flags_layer(flags or {}),
    ]
    for layer in layers:
        check_settings(layer)
    settings = NamedLayer(merged(layers), lambda key: f"settings: {key}").validated(Settings)
    place = ModelPlace(
        data_dir_of(settings, environment),
        folder_of(settings.cache_dir),
        repeated_flags(config_dir, flags or {}),
        has_shell=not environment.get("SPACE_ID"),
    )
    models = {spec.name: place.of(spec) for folder in folders for spec in read_models(folder / "models")}
    return AppConfig(settings, models, place.data_dir)


def _existing(folder: Path) -> Path:
    if not folder.is_dir():
        raise BadConfig(f"The settings folder {folder} does not exist.")
    return folder


def _gradio_layer(environment: Mapping[str, str]) -> NamedLayer:
    values = {name: environment[variable] for name, variable in GRADIO_NAMES.items() if environment.get(variable)}
    return NamedLayer(values, lambda key: GRADIO_NAMES[key])


def _environment_layer(environment: Mapping[str, str]) -> NamedLayer:
    """Returns the layer of environment variables: INPAINT_DEVICE, INPAINT_DATA_DIR and so on.

    A setting within a table has no prefix for the table: max_side in [pictures] is INPAINT_MAX_SIDE.
    """

    def given(kind: type[Any]) -> dict[str, Any]:
        names = (field.name for field in dataclasses.fields(kind) if field.name not in SECTIONS)
        return {name: _listed(name, value) for name in names if (value := environment.get(variable_of(name)))}

    sections = {section: given(kind) for section, kind in SECTIONS.items()}
    return NamedLayer(given(Settings) | {section: values for section, values in sections.items() if values}, variable_of)


def _flags_layer(flags: Mapping[str, object]) -> NamedLayer:
    values = {name: _listed(name, value) for name, value in flags.items() if value is not None}
    return NamedLayer(values, lambda key: f"--{key.replace('_', '-')}")


def _listed(name: str, value: object) -> object:
    """Returns the value of a variable or flag, split at commas if the setting is a list."""
    if name not in LISTS or not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())
