"""Packs by what people call them: a name, a folder, a file, or the project that one is made in."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.packs.pack import GROUP, OWN_DISTRIBUTION, Pack, installed_packs, pack_at

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_PROJECT = "pyproject.toml"


def find_packs(name: str) -> list[Pack]:
    """The packs that are meant.

    A project's packs needn't be installed: what it would install is put where imports find it.

    Args:
        name: Of an installed pack, or a path: a project, a folder of modules, a Python file.
    Raises:
        InvalidValue: There is none.
        InvalidFile: A project's `pyproject.toml` can't be read.
        PackError: What lies there can't be a pack.
    """
    installed = {pack.name or OWN_DISTRIBUTION: pack for pack in installed_packs()}
    if name == OWN_DISTRIBUTION:  # also where its sources lie, whose folder of that name is no pack
        return [installed[name]]
    path = Path(name)
    if (path / _PROJECT).is_file():
        packs = list(_project_packs(path.absolute()))
        if packs:
            return packs
    # In the folder of a project that is called as its pack, the pack's name means that folder.
    if path.exists() and (path.is_file() or any(path.glob("*.py"))):
        return [pack_at(path)]
    if name in installed:
        return [installed[name]]
    hint = did_you_mean(name, installed)
    raise InvalidValue(
        f"there is no pack `{name}`",
        expected="an installed pack, a project with a pyproject.toml, a folder or a .py file",
        hint=hint or f'A project names its packs under [project.entry-points."{GROUP}"].',
    )


def _project_packs(folder: Path) -> Iterator[Pack]:
    """What the entry points of a project lead to, in its folder or in ``src``."""
    for name, package in _entry_points(folder / _PROJECT).items():
        installed = [pack for pack in installed_packs() if pack.name == name]
        if installed and installed[0].root.is_relative_to(folder):
            yield installed[0]
            continue
        base = next((at for at in (folder / "src", folder) if _package_path(at, package)), None)
        root = None if base is None else _package_path(base, package)
        if base is None or root is None:
            raise InvalidFile(
                f"{folder / _PROJECT} names the pack `{name}`, which isn't there",
                given=package,
                expected=f"a package or module in {folder / 'src'} or {folder}",
            )
        sys.path.insert(0, str(base))
        yield Pack(name, package, root)


def _entry_points(file: Path) -> dict[str, str]:
    try:
        document: Any = tomllib.loads(file.read_text(encoding="utf-8"))
        entries = document.get("project", {}).get("entry-points", {}).get(GROUP, {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, AttributeError) as error:
        raise InvalidFile(f"{file} can't be read: {error}") from error
    return {str(name): str(package) for name, package in entries.items()}


def _package_path(base: Path, package: str) -> Path | None:
    folder = base.joinpath(*package.split("."))
    if (folder / "__init__.py").is_file():
        return folder
    file = folder.with_suffix(".py")
    return file if file.is_file() else None
