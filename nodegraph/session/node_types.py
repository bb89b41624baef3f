"""The node types of packs and functions, as they are now: an edit of a pack is taken up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import is_not
from pathlib import Path
from typing import Any
from weakref import WeakSet

from nodegraph.core.plugins import PackPlugins, PluginScope
from nodegraph.packs.manifest import ManifestCache
from nodegraph.packs.pack import Pack, packs_in, remembered_packs
from nodegraph.packs.registry import Registry
from nodegraph.packs.snapshot import stamp_of
from nodegraph.session.settings import Settings


def specs_folder(settings: Settings) -> Path:
    """Where it is kept what packs declare."""
    return settings.cache_folder / "specs"


def all_packs(settings: Settings, more: Sequence[Pack] = ()) -> list[Pack]:
    """The packs that are installed and not left out, those in the settings' folders, and more.

    Raises:
        PackError: Two installed ones have one name.
    """
    installed = remembered_packs(specs_folder(settings) / "installed.json")
    installed = [pack for pack in installed if pack.name not in settings.leave_out]
    return list(dict.fromkeys([*installed, *packs_in(settings.pack_folders), *more]))


class PackFolders:
    """The settings' folders of packs as they are now, to see later whether packs came or went."""

    def __init__(self, settings: Settings) -> None:
        self._stamps = {folder: stamp_of(folder) for folder in settings.pack_folders}

    def is_unchanged(self) -> bool:
        """Whether none has come or gone since; cheap."""
        return all(stamp_of(folder) == stamp for folder, stamp in self._stamps.items())


class NodeTypes:
    """The node types of all packs, read when they are first asked for.

    Args:
        packs: More than the settings have.
        functions: Decorated with `@node`.
    """

    def __init__(
        self,
        settings: Settings,
        packs: Sequence[Pack] = (),
        functions: Sequence[Callable[..., Any]] = (),
    ) -> None:
        self._settings = settings
        self._packs = packs
        self.functions = functions
        self._manifests = ManifestCache(specs_folder(settings))
        self._registry: Registry | None = None
        self._offered: WeakSet[PackPlugins] = WeakSet()
        self.scope = PluginScope()
        self._folders = PackFolders(settings)
        self._has_other_functions = False

    @property
    def registry(self) -> Registry:
        """As they were when they were last looked at."""
        if self._registry is None:
            self._read()
        assert self._registry is not None
        return self._registry

    def refresh(self) -> bool:
        """Take up packs that have changed; whether any has since they were read."""
        if self._registry is None:
            return False
        is_same = self._folders.is_unchanged() and not self._has_other_functions
        if is_same and self._registry.is_current():
            self._registry.activate()
            return False
        self._registry.unload_changed()
        self._read()
        return True

    def set_functions(self, functions: Sequence[Callable[..., Any]]) -> None:
        """Have other functions among them from the next look on."""
        if len(functions) != len(self.functions) or any(map(is_not, functions, self.functions)):
            self.functions = functions
            self._has_other_functions = True

    def _read(self) -> None:
        self._folders = PackFolders(self._settings)
        registry = Registry(all_packs(self._settings, self._packs), manifests=self._manifests)
        if self.functions:
            registry.add(*self.functions)
        self._registry = registry
        self._offered.add(registry.plugins)
        self.scope.plugins = registry.plugins
        self._has_other_functions = False

    def close(self) -> None:
        """Have the plugins of the packs found no more, also those of earlier looks."""
        for plugins in self._offered:
            plugins.withdraw()
        self.scope.plugins = None
