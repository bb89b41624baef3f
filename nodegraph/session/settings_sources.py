"""Settings from outside: the TOML file and the ``NODEGRAPH_*`` variables."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from nodegraph.errors import InvalidFile
from nodegraph.session.settings import SERVER_TABLE, faults

if sys.version_info >= (3, 11):
    from tomllib import TOMLDecodeError
else:
    from tomli import TOMLDecodeError


class _File(TomlConfigSettingsSource):
    """The file, without what isn't the engine's."""

    def _read_file(self, file_path: Any) -> dict[str, Any]:
        found = super()._read_file(file_path)
        return {name: value for name, value in found.items() if name != SERVER_TABLE}


class _Variables(EnvSettingsSource):
    """Variables; several folders in one stand as in ``PATH``, or as a JSON list."""

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:
        if isinstance(value, str) and not value.lstrip().startswith("["):
            return [part for part in value.split(os.pathsep) if part]
        return super().decode_complex_value(field_name, field, value)


def outside(model: type[BaseModel], prefix: str, file: Path, home: Path | None) -> dict[str, Any]:
    """What the file and the variables set.

    Args:
        model: The settings there are.
        prefix: Of the variables' names.
    Raises:
        InvalidFile: One of them can't be read.
    """

    class Here(model, BaseSettings):  # type: ignore[misc, valid-type]  # known only here
        model_config = SettingsConfigDict(env_prefix=prefix, toml_file=file, extra="forbid")

        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (init_settings, _Variables(settings_cls), _File(settings_cls))

    # Where home is known it is given; where not, the variable is empty and says nothing.
    given: dict[str, Any] = {"home": home}
    try:
        found = Here(**given)
    except ValidationError as error:
        text = "\n".join([f"in {file} or a {prefix}* variable:", *faults(error)])
        raise InvalidFile(text) from None
    except (SettingsError, TOMLDecodeError) as error:
        raise InvalidFile(f"can't read the settings ({file}, {prefix}*): {error}") from error
    return {name: getattr(found, name) for name in found.model_fields_set - {"home"}}
