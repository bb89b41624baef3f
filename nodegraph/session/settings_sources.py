"""Settings from outside: a table of the TOML file, and variables."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile

if sys.version_info >= (3, 11):
    from tomllib import TOMLDecodeError
else:
    from tomli import TOMLDecodeError

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
            return (init_settings, env_settings, _File(settings_cls, table, others))

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


class _File(TomlConfigSettingsSource):
    """What of the file is for some settings: a table, or what is in none of the others'."""

    def __init__(
        self, settings: type[BaseSettings], table: str | None, others: Collection[str]
    ) -> None:
        self._table = table
        self._others = others
        super().__init__(settings)

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        document = super()._read_file(file_path)
        if self._table is None:
            return {name: value for name, value in document.items() if name not in self._others}
        part = document.get(self._table, {})
        if not isinstance(part, dict):
            message = f"`{self._table}` in {file_path} is not a table"
            raise InvalidFile(message, hint=f"Write [{self._table}].")
        return part
