"""Settings from outside, the TOML file and variables: kinds of values, sources, and errors."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar, get_type_hints

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model

from nodegraph.core.context import CpuPrecision  # noqa: F401 - a kind, by its name
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.text_format import parse_size, split_names, validation_text
from nodegraph.errors import InvalidFile, InvalidValue

if TYPE_CHECKING:
    from pydantic_settings import BaseSettings, TomlConfigSettingsSource


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
Signing = Literal["off", "export"]
TrainingUse = Literal["notAllowed", "allowed", "constrained"]


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


M = TypeVar("M", bound=BaseModel)
SettingPath = tuple[str, ...]
"""Of a setting: ``("port",)``, ``("limits", "body")``."""


def iter_setting_paths(model: type[BaseModel], above: SettingPath = ()) -> Iterator[SettingPath]:
    """Every setting there is."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from iter_setting_paths(kind, (*above, name))
        else:
            yield (*above, name)


def read_settings(
    model: type[M],
    flags: Mapping[str, Any],
    file: Path,
    variables: Collection[str],
    prefix: str,
    *,
    table: str | None = None,
    others: Collection[str] = (),
) -> M:
    """Settings out of the file, the variables and what was given explicitly; later ones win.

    Args:
        model: The settings there are, some of them in parts.
        file: In TOML; it need not exist.
        variables: Names of those that are set and meant for these settings.
        prefix: Of their names. ``<prefix>LIMITS_BODY`` is ``body`` of the part ``limits``.
        table: Of the file, if not what is outside of tables.
        others: Tables of the file that aren't for these settings.
    Raises:
        InvalidFile: The file can't be read, or a variable is no setting.
        ValidationError: A value is none of the setting's.
    """
    # Most settings need none of it: neither a file nor variables.
    from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

    if sys.version_info >= (3, 11):
        from tomllib import TOMLDecodeError
    else:
        from tomli import TOMLDecodeError

    _check_names(variables, {prefix + "_".join(at).upper() for at in iter_setting_paths(model)})

    class Here(model, BaseSettings):  # type: ignore[misc, valid-type]  # known only here
        model_config = SettingsConfigDict(
            env_prefix=prefix,
            env_nested_delimiter="_",
            env_nested_max_split=1,
            enable_decoding=False,
            toml_file=file,
            extra="forbid",
        )

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (init_settings, env_settings, _file_source(settings_cls, table, others))

    try:
        loaded = Here(**flags)
    except (OSError, UnicodeDecodeError, TOMLDecodeError) as error:
        raise InvalidFile(f"cannot read the settings in {file}: {error}") from error
    return model.model_construct(
        loaded.model_fields_set, **{name: getattr(loaded, name) for name in model.model_fields}
    )


def _check_names(variables: Collection[str], known: Collection[str]) -> None:
    for name in sorted(variables):
        if name.upper() not in known:
            hint = did_you_mean(name, sorted(known))
            raise InvalidFile(f"the variable {name} is not a setting", hint=hint)


def _file_source(
    settings: type[BaseSettings], table: str | None, others: Collection[str]
) -> TomlConfigSettingsSource:
    """What of the file is for some settings: a table, or what is in none of the others'."""
    from pydantic_settings import TomlConfigSettingsSource

    class File(TomlConfigSettingsSource):
        def _read_file(self, file_path: Any) -> dict[str, Any]:
            document = super()._read_file(file_path)
            if table is None:
                return {name: value for name, value in document.items() if name not in others}
            part = document.get(table, {})
            if not isinstance(part, dict):
                message = f"`{table}` in {file_path} is not a table"
                raise InvalidFile(message, hint=f"Write [{table}].")
            return part

    return File(settings)
