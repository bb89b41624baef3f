"""The node types of packs and functions, as they are now: an edit of a pack is taken up."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from operator import is_not
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from nodegraph.core.plugins import PackPlugins, PluginScope
from nodegraph.packs.manifest import ManifestCache
from nodegraph.packs.pack import Pack, outside_processes, packs_in, remembered_packs
from nodegraph.packs.registry import Registry
from nodegraph.packs.snapshot import stamp_of
from nodegraph.session.settings import Settings

if TYPE_CHECKING:
    from nodegraph.core.catalog import PackFinder
    from nodegraph.isolation.proxies import IsolatedPacks

INSTALLED = "installed.json"
"""List of installed packs in the home's folder of packs; see `nodegraph.packs.installation`."""


def specs_folder(settings: Settings) -> Path:
    """Where it is kept what packs declare."""
    return settings.cache_folder / "specs"


def all_packs(settings: Settings, more: Sequence[Pack] = ()) -> list[Pack]:
    """The packs that are installed and not left out, those in the settings' folders, and more.

    Raises:
        PackError: Two installed ones have one name, or the list of installed ones is damaged.
    """
    installed, isolated = _installed_packs(settings)
    everything = [*remembered_packs(specs_folder(settings) / "installed.json"), *installed]
    everything = [pack for pack in everything if pack.name not in settings.leave_out]
    others = outside_processes([*packs_in(settings.pack_folders), *more], isolated)
    return list(dict.fromkeys([*everything, *others]))


def _installed_packs(settings: Settings) -> tuple[Sequence[Pack], Sequence[Path]]:
    """See `read_installed`."""
    try:
        (settings.data_folder / "packs" / INSTALLED).stat()
    except FileNotFoundError:
        return (), ()
    except OSError:
        pass  # to read it tells why
    from nodegraph.packs.installation.installed import read_installed  # most homes have none

    return read_installed(settings.data_folder)


def pack_finder(settings: Settings) -> PackFinder | None:
    """Finds packs that are missing; None without an index and installed packs."""
    folder = settings.data_folder / "packs"
    if not settings.pack_index and not (folder / INSTALLED).exists():
        return None
    from nodegraph.packs.installation.index import PackCommands, PackIndexes
    from nodegraph.packs.installation.installed import PackFolder

    return PackCommands(PackIndexes(settings.pack_index, PackFolder(folder)))


class PackFolders:
    """The settings' folders of packs as they are now, to see later whether packs came or went."""

    def __init__(self, settings: Settings) -> None:
        paths = [*settings.pack_folders, settings.data_folder / "packs" / INSTALLED]
        self._stamps = {path: stamp_of(path) for path in paths}

    def is_unchanged(self) -> bool:
        """Whether none has come or gone since, and none was installed or removed; cheap."""
        return all(stamp_of(path) == stamp for path, stamp in self._stamps.items())


class _ComfyServices(Mapping[str, Callable[..., Any]]):
    """Services for ComfyUI's packs. Imported on first use: most sessions have no such pack.

    Args:
        registry: Gives the registry of the session.
    """

    def __init__(self, registry: Callable[[], Registry]) -> None:
        self._registry = registry

    def __getitem__(self, name: str) -> Callable[..., Any]:
        return self._services[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._services

    def __len__(self) -> int:
        return len(self._services)

    @cached_property
    def _services(self) -> Mapping[str, Callable[..., Any]]:
        from nodegraph.interop.comfyui.packs.services import COMFY_SERVICES, other_classes

        return {**COMFY_SERVICES, "classes": partial(other_classes, self._registry)}


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
        specs = specs_folder(settings)
        self._manifests = ManifestCache(specs, lambda: self.isolated, settings.import_seconds)
        self._registry: Registry | None = None
        self._offered: WeakSet[PackPlugins] = WeakSet()
        self.scope = PluginScope()
        self._folders = PackFolders(settings)
        self._has_other_functions = False

    @cached_property
    def isolated(self) -> IsolatedPacks:
        """Host of the packs with processes of their own, with the services that they may call."""
        from nodegraph.isolation.proxies import IsolatedPacks  # most sessions have no such pack

        return IsolatedPacks(
            self._settings.environment,
            _ComfyServices(lambda: self.registry),
            idle_seconds=self._settings.pack_idle_seconds,
            import_seconds=self._settings.import_seconds,
            call_seconds=self._settings.untrusted_call_seconds,
        )

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
        registry.pack_finder = pack_finder(self._settings)
        if self.functions:
            registry.add(*self.functions)
        self._registry = registry
        self._offered.add(registry.plugins)
        self.scope.plugins = registry.plugins
        self._has_other_functions = False

    def close(self) -> None:
        """End the processes of packs, and have no plugins of packs found any more."""
        if "isolated" in vars(self):
            self.isolated.close()
        for plugins in self._offered:
            plugins.withdraw()
        self.scope.plugins = None
