"""The server's settings from outside: the ``[server]`` table, ``NODEGRAPH_SERVER_*``, flags.

Later ones win.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile
from nodegraph.server.settings import ServerSettings
from nodegraph.session.settings import SERVER_PREFIX, SERVER_TABLE, Settings, config_file

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Place = tuple[str, ...]
"""Of a setting: ``("port",)``, ``("limits", "body")``."""


def load_server_settings(
    settings: Settings, flags: Mapping[str, Any] | None = None
) -> ServerSettings:
    """The server's settings in force.

    Args:
        settings: Of the installation: they say where the config file is.
        flags: What was given explicitly; wins over everything else.
    Raises:
        InvalidFile: The file or a variable has a wrong name or value; all are listed.
    """
    file = config_file(settings.home)
    given = _table(file)
    for place, value in _variables():
        part = given
        for name in place[:-1]:
            found = part.setdefault(name, {})
            part = found if isinstance(found, dict) else {}
        part[place[-1]] = value
    given |= {name: value for name, value in (flags or {}).items() if value is not None}
    try:
        return ServerSettings.model_validate(given)
    except ValidationError as error:
        text = "\n".join([*_faults(error), f"They come from {file}, [{SERVER_TABLE}], and "])
        raise InvalidFile(f"{text}{SERVER_PREFIX}* variables.") from None


def _table(file: Path) -> dict[str, Any]:
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8")).get(SERVER_TABLE, {})
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidFile(f"can't read the settings in {file}: {error}") from error
    if not isinstance(found, dict):
        raise InvalidFile(
            f"`{SERVER_TABLE}` in {file} is no table", hint=f"Write [{SERVER_TABLE}]."
        )
    return found


def _variables() -> Iterator[tuple[Place, str]]:
    known = {SERVER_PREFIX + "_".join(place).upper(): place for place in setting_places()}
    for name, value in sorted(os.environ.items()):
        if not name.startswith(SERVER_PREFIX):
            continue
        if name.upper() not in known:
            raise InvalidFile(
                f"the variable {name} is no setting of the server", hint=did_you_mean(name, known)
            )
        yield known[name.upper()], value


def setting_places(model: type[BaseModel] = ServerSettings, above: Place = ()) -> Iterator[Place]:
    """Every setting there is."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from setting_places(kind, (*above, name))
        else:
            yield (*above, name)


def _faults(error: ValidationError) -> list[str]:
    lines = []
    for item in error.errors(include_url=False):
        name = ".".join(map(str, item["loc"]))
        if item["type"] == "extra_forbidden":
            known = [".".join(place) for place in setting_places()]
            hint = did_you_mean(name, known)
            lines.append(f"the server has no setting `{name}`. {hint}".rstrip())
        else:
            given = item["input"]
            lines.append(f"setting `{name}` of the server: {item['msg']} (given: {given!r})")
    return lines
