"""Settings from outside: the TOML file and the ``NODEGRAPH_*`` variables."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
    TomlConfigSettingsSource,
)

from nodegraph.errors import InvalidFile
from nodegraph.settings import PREFIX, Settings

if sys.version_info >= (3, 11):
    from tomllib import TOMLDecodeError
else:
    from tomli import TOMLDecodeError


class _Outside(Settings, BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))


def outside(file: Path, home: Path | None) -> dict[str, Any]:
    """What the file and the variables set.

    Raises:
        InvalidFile: One of them can't be read.
    """

    class Here(_Outside):
        model_config = SettingsConfigDict(toml_file=file)

    try:
        found = Here(home=home)
    except ValidationError as error:
        lines = [
            f"setting `{'.'.join(map(str, item['loc']))}`: {item['msg']}"
            for item in error.errors(include_url=False)
        ]
        raise InvalidFile("\n".join([f"in {file} or a {PREFIX}* variable:", *lines])) from None
    except (SettingsError, TOMLDecodeError) as error:
        raise InvalidFile(f"can't read the settings ({file}, {PREFIX}*): {error}") from error
    return {name: getattr(found, name) for name in found.model_fields_set}
