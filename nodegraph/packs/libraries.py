"""Which code is one's own, and which a library's: of that, name and version say all."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any


def import_own_module(name: str, level: int, scope: Mapping[str, Any]) -> ModuleType | None:
    """A module of one's own that a function imports when it runs; it is imported now.

    Python would take its byte code for current by whole seconds: what is read must be what runs.
    """
    try:
        full = importlib.util.resolve_name("." * level + name, scope.get("__package__") or "")
        top = full.partition(".")[0]
        if top in sys.stdlib_module_names or is_library(full, sys.modules.get(full)):
            return None
        if full not in sys.modules:
            spec = importlib.util.find_spec(top)
            if spec is None or spec.origin is None or _is_foreign(spec.origin):
                return None
        return importlib.import_module(full)
    except Exception:  # noqa: BLE001 - it says so when it runs, if it gets there
        return None


def is_library(name: str | None, module: ModuleType | None = None) -> bool:
    """Whether a module is no code of one's own."""
    top = (name or "").partition(".")[0]
    if top in sys.stdlib_module_names and top != "__main__":
        return True
    module = module or sys.modules.get(name or "")
    spec = getattr(module, "__spec__", None)
    file = getattr(module, "__file__", None) or getattr(spec, "origin", None)
    if file is None:
        return False
    return _is_foreign(str(file))


@lru_cache(maxsize=4096)
def _is_foreign(file: str) -> bool:
    """Whether a file belongs to a library, to Python or to nodegraph."""
    path = Path(file)
    if {"site-packages", "dist-packages"} & set(path.parts) or file in ("built-in", "frozen"):
        return True
    import sysconfig

    places = (sysconfig.get_path("stdlib"), str(Path(__file__).parents[1]))
    return any(path.is_relative_to(folder) for folder in places)


def is_of_library(value: Any) -> bool:
    """Whether something is a library's, and what its name there stands for."""
    name = getattr(value, "__module__", None) or type(getattr(value, "__self__", None)).__module__
    module: Any = sys.modules.get(name)
    if module is None or not is_library(name, module):
        return False
    resolved = module
    for part in getattr(value, "__qualname__", "").split("."):
        resolved = getattr(resolved, part, None)
    # Of a method that a module offers as a function, such as those of `random`.
    return resolved is value or bool(getattr(module, value.__name__, None) == value)


def library_name(value: Any) -> tuple[str, ...]:
    """What says which of a library's things something is: module, version and name."""
    module = getattr(value, "__module__", None) or ""
    return (*library_version(module), getattr(value, "__qualname__", repr(type(value))))


def library_version(name: str) -> tuple[str, str]:
    """A module's name with the version of its library, empty if that tells none."""
    top = name.partition(".")[0]
    version = getattr(sys.modules.get(top), "__version__", "")
    return name, version if isinstance(version, str) else ""
