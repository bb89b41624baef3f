"""How settings from outside are read, and what is wrong with them."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from nodegraph.core.context import CpuPrecision  # noqa: F401 - a kind, by its name
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import parse_size, split_names, validation_text
from nodegraph.errors import InvalidValue


def _no_boolean(value: Any) -> Any:
    """A number or its text; Python takes ``true`` for a 1."""
    if isinstance(value, bool):
        raise ValueError(f"a number is expected here, not {str(value).lower()}")
    return value


NUMBER = BeforeValidator(_no_boolean)
"""For a field that takes a number."""


def _bytes(value: Any) -> Any:
    """Bytes of a size as people write it, such as ``20GB``."""
    if not isinstance(value, str):
        return _no_boolean(value)
    try:
        return parse_size(value, "it")
    except InvalidValue as error:
        raise ValueError(f"not a size such as {2 << 30}, 500MB, 2GB or 1.5GiB") from error


def _parse_folders(value: Any) -> Any:
    """Folders of a text as variables have it: parted as in ``PATH``, or a JSON list."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return json.loads(value)
    return [part for part in value.split(os.pathsep) if part]


FolderPath = Path
FilePath = Path
Folders = Annotated[tuple[Path, ...], BeforeValidator(_parse_folders)]
Names = Annotated[tuple[str, ...], BeforeValidator(split_names)]
Bytes = Annotated[int, BeforeValidator(_bytes), Field(ge=0)]
Count = Annotated[int, NUMBER, Field(ge=1)]
Seconds = Annotated[float, NUMBER, Field(gt=0)]
Interval = Annotated[float, NUMBER, Field(ge=0)]
MergeSteps = Literal["off", "exact", "tolerance"]
Margin = Annotated[float, NUMBER, Field(lt=1)]


@cache
def pydantic_model(settings: type) -> type[BaseModel]:
    """What checks settings that are a dataclass, whose annotations are names of the kinds above."""
    kinds = get_type_hints(settings, localns=globals(), include_extras=True)
    definitions: dict[str, Any] = {
        item.name: (
            kinds[item.name],
            Field(default_factory=item.default_factory)
            if item.default_factory is not MISSING
            else item.default,
        )
        for item in fields(settings)
    }
    return create_model(
        settings.__name__, __config__=ConfigDict(frozen=True, extra="forbid"), **definitions
    )


def validate_settings(settings: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of settings that a program has given, read as those from outside.

    Raises:
        InvalidValue: See `Settings`.
    """
    model = pydantic_model(settings)
    try:
        return vars(model.model_validate(dict(values)))
    except ValidationError as error:
        raise InvalidValue("\n".join(error_lines(error, model.model_fields))) from None


def error_lines(error: ValidationError, known: Collection[str]) -> list[str]:
    """What is wrong with which setting, a line each.

    Args:
        known: The settings there are.
    """
    lines = []
    for item in error.errors(include_url=False):
        name = ".".join(map(str, item["loc"]))
        if item["type"] == "extra_forbidden":
            lines.append(f"there is no setting `{name}`. {did_you_mean(name, known)}".rstrip())
        else:
            text = validation_text(item["msg"])
            lines.append(f"setting `{name}`: {text} (given: {item['input']!r})")
    return lines
