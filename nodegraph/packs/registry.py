"""All node types there are: those of packs, and functions added by hand.

Specs come from the manifests on disk; a pack is imported only when one of its nodes is to run or
one of its hooks is asked.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any

from nodegraph.core.digests import Digest, Digesters, digest_bytes
from nodegraph.core.pack_faults import WATCHDOG
from nodegraph.core.plugins import (
    DeclaredPlugin,
    PackPlugins,
    PluginGroup,
    PluginItem,
    find_declared,
)
from nodegraph.core.spec import HookName, InputSpec, NodeSpec
from nodegraph.core.types import TypeTable
from nodegraph.errors import PackError
from nodegraph.packs.function_digests import FunctionDigests
from nodegraph.packs.importer import (
    OutdatedModules,
    importing,
    is_active,
    is_foreign,
    keep_out,
    retire,
    snapshot_of,
    unload,
)
from nodegraph.packs.manifest import ListedType, ManifestCache, SpecLines, listed_type
from nodegraph.packs.pack import OWN_DISTRIBUTION, Pack
from nodegraph.packs.snapshot import Snapshot, WatchedFolders

if TYPE_CHECKING:
    # Reading signatures takes a while to import, and a listing from manifests needs none of it.
    from nodegraph.core.catalog import OtherNames, PackFinder, Usage
    from nodegraph.core.hints import Panel
    from nodegraph.core.node import NodeDefinition
    from nodegraph.core.ports import PortType, Serializer
    from nodegraph.packs.code_digests import CodeDigests
    from nodegraph.packs.editor_scripts import PackScript
    from nodegraph.packs.function_digests import ClassDigests

SEE_DOCTOR = "`nodegraph doctor` shows why"
"""Message for clients about a pack whose problems contain paths of this machine."""


class Registry:
    """Node types by name; satisfies `core.catalog.Catalog`.

    Args:
        packs: Where node types come from. One that can't be read is left out and told of in
            `problems`; it hurts no other.
        manifests: Cache of what packs declare. Its `host` runs the code of isolated packs.
    """

    def __init__(
        self, packs: Iterable[Pack] = (), *, manifests: ManifestCache | None = None
    ) -> None:
        self.types = TypeTable()
        self.problems: list[str] = []
        self._faults: dict[str, list[str]] = {}
        self.digesters = Digesters(self._class_key)
        self.serializers: dict[type, Serializer] = {}
        self._specs: dict[str, NodeSpec] = {}
        # Of packs that are read when they are asked for: by prefix, and what was read of them.
        self._waiting: dict[str, Pack] = {}
        self._stored: dict[str, SpecLines] = {}
        self._packs: dict[str, Pack] = {}
        self._panels: dict[Pack, Sequence[Panel]] = {}
        self._listed_folders: dict[Pack, WatchedFolders] = {}
        self.plugins = PackPlugins()
        self._plugin_items: dict[tuple[str, str], PluginItem] = {}
        self._definitions: dict[str, NodeDefinition] = {}
        self._functions = FunctionDigests(self._meet_classes)
        self._lock = RLock()
        self._outdated = OutdatedModules(lambda: self._code, self._owner)
        self.pack_finder: PackFinder | None = None
        """Knows how to install packs that are not here."""
        self._kept_modules: dict[str, ModuleType] = {}
        """Those of packs that are never imported anew, which were looked at then."""
        self.manifests = manifests = manifests or ManifestCache(None)
        packs = list(packs)
        # Kept as they are now, as what follows may find an edit made meanwhile; all of them first,
        # as one pack may import another's modules.
        self.snapshots = {pack: pack.snapshot() for pack in packs}
        self._followed_by: dict[str, Snapshot] = {}
        """By node type, of the packs of which an edit counts at once: see `_follow`."""
        self._follow()
        self._roots = roots = dict(pack.code_root() for pack in reversed(self.snapshots))
        with importing(self._followed):
            retire(roots)
            self._outdated.unload(self._followed)
            for pack in packs:
                if pack.is_generated and pack.name not in self._waiting:
                    self._waiting[pack.name] = pack
                else:
                    self._add_pack(pack)
        self._offer_plugins()

    @property
    def packs(self) -> list[Pack]:
        """The packs that could be read, and those that wait to be asked for."""
        return list(dict.fromkeys([*self._panels, *self._waiting.values()]))

    def pack_versions(self) -> dict[str, str]:
        """Versions of the packs by the name that workflows require them by."""
        return {pack.name or OWN_DISTRIBUTION: pack.version for pack in self.packs}

    def _read_waiting(self, name: str) -> None:
        """Read a pack that waits; does nothing if it doesn't, or none is called so."""
        if name not in self._waiting:
            return
        with self._lock:
            pack = self._waiting.get(name)
            if pack is None:
                return
            # Nobody has asked for anything of it, so it may be as it is now.
            self.snapshots[pack] = pack.snapshot()
            self._follow()
            with importing(self._followed):
                self._add_pack(pack)
            del self._waiting[name]

    def _follow(self) -> None:
        snapshots = self.snapshots.items()
        self._followed = [snapshot for pack, snapshot in snapshots if pack.is_reloadable]
        keep_out([snapshot for pack, snapshot in snapshots if pack.isolation is not None])
        self._by_package = {snapshot.package: snapshot for _, snapshot in reversed(snapshots)}

    def _add_pack(self, pack: Pack) -> None:
        try:
            if not pack.root.exists():
                raise PackError(
                    f"pack `{pack.name or pack.package}`: {pack.root} cannot be found",
                    hint="Reinstall or remove the pack.",
                )
            manifest = self.manifests.manifest(pack)
            specs = manifest.by_type()
            taken = [node_type for node_type in specs if node_type in self._packs]
            if taken:
                raise PackError(
                    f"pack `{pack.name or pack.package}` at {pack.root}: node type `{taken[0]}` "
                    f"already comes from {self._packs[taken[0]].root}",
                    hint="Rename or remove one of the packs.",
                )
            for info in manifest.types:
                self.types.add(info)
        except (PackError, ValueError, OSError) as error:
            self.problems.append(str(error))
            # What says where packs lie is for whoever keeps them.
            self._faults[pack.name] = [SEE_DOCTOR]
            return
        self.problems.extend(manifest.problems)
        self._faults[pack.name] = list(manifest.problems)
        self._packs.update(dict.fromkeys(specs, pack))
        self._panels[pack] = manifest.panels
        if pack.isolation is not None:
            self._listed_folders[pack] = WatchedFolders(manifest.also)
        for plugin in manifest.plugins:
            load, release = partial(self._load_plugin, pack), partial(self._plugin_release, pack)
            if not self.plugins.add(pack.package, plugin, load, release):
                self._leave_out(pack, plugin.group, plugin.name)
        if pack.is_reloadable:
            self._followed_by.update(dict.fromkeys(specs, self.snapshots[pack]))
        if isinstance(specs, SpecLines):
            self._stored[pack.name] = specs
        else:
            self._specs.update(specs)

    def _offer_plugins(self) -> None:
        """Have the plugins of packs offered by the inputs of their group, and found by name."""
        for package, *named in self.plugins.drop_taken(self._specs.values(), self._stored.values()):
            pack = next(each for each in self.snapshots if each.package == package)
            self._leave_out(pack, *named)
        self._specs = {name: self.plugins.extend(spec) for name, spec in self._specs.items()}
        self.plugins.offer()

    def _leave_out(self, pack: Pack, group: str, name: str) -> None:
        word = PluginGroup.word_of(group)
        problem = PackError(
            f"pack `{pack.name}`: its {word} `{name}` is left out: there is one of that name",
            hint=f"Give the {word} another name.",
        )
        self.problems.append(str(problem))
        self._faults.setdefault(pack.name, []).append(str(problem))

    def _load_plugin(self, pack: Pack, declared: DeclaredPlugin) -> PluginItem:
        """A plugin as it was when its pack was read.

        Raises:
            PackError: Its module fails to import, or no longer declares it.
        """
        key = declared.group, declared.name
        with self._lock:
            if key not in self._plugin_items:
                module = self._module(pack, declared.module)
                self._plugin_items[key] = find_declared(module, declared)
            return self._plugin_items[key]

    def _plugin_release(self, pack: Pack, declared: DeclaredPlugin) -> str:
        digest = self._code.digest(declared.module)
        return " ".join(filter(None, (pack.name, pack.version, f"#{digest[:12]}")))

    def faults(self, pack: str) -> Sequence[str]:
        """What of a pack was left out, and why."""
        return self._faults.get(pack, ())

    def add(self, *functions: Callable[..., Any]) -> None:
        """Add node functions of this process, for scripts, notebooks and tests.

        Raises:
            PackError: A node type of that name is there already, or a function is no node.
        """
        from nodegraph.core.node import definition_of

        for function in functions:
            definition = definition_of(function)
            node_type = definition.spec.type
            if self.spec(node_type) is not None:
                raise PackError(f"there is already a node type `{node_type}`")
            self._specs[node_type] = self.plugins.extend(definition.spec)
            self._take(node_type, definition)

    def spec(self, node_type: str) -> NodeSpec | None:
        if (known_spec := self._specs.get(node_type)) is not None:
            return known_spec
        pack = node_type.partition(":")[0] if ":" in node_type else ""  # of the built-in pack
        self._read_waiting(pack)
        if node_type in self._stored.get(pack, ()):
            self._specs[node_type] = self.plugins.extend(self._stored[pack][node_type])
        return self._specs.get(node_type)

    def _known(self, node_type: str) -> NodeSpec:
        """The spec of a node type that there is, or KeyError."""
        spec = self.spec(node_type)
        if spec is None:
            raise KeyError(node_type)
        return spec

    def node_types(self) -> list[str]:
        for pack in list(self._waiting):
            self._read_waiting(pack)
        return self.loaded_node_types()

    def loaded_node_types(self) -> list[str]:
        """Names of the node types that are known without reading a pack that waits for it."""
        return sorted({*self._packs, *self._specs})

    def pack_of(self, node_type: str) -> Pack | None:
        """The pack that a node type comes from; None for a function that was added by hand."""
        return self._packs.get(node_type)

    def types_of(self, pack: str) -> list[str]:
        """The node types of one pack, by its name; those of the built-in one have none."""
        self._read_waiting(pack)
        return sorted(name for name, of in self._packs.items() if of.name == pack)

    def listing(self) -> list[ListedType]:
        """What a list shows of all node types; by name."""
        names = self.node_types()
        stored = {row.type: row for specs in self._stored.values() for row in specs.rows}
        return [stored.get(name) or listed_type(self._known(name)) for name in names]

    @cached_property
    def usage(self) -> Usage:
        """How often node types occur and are linked in the workflows that come with nodegraph."""
        from nodegraph.core.catalog import NO_USAGE, USAGE_FILE, Usage  # see `usage_of`

        own = next((pack for pack in self.packs if not pack.name), None)
        return NO_USAGE if own is None else Usage.load(own.root / USAGE_FILE)

    @cached_property
    def other_names(self) -> OtherNames:
        """What other programs' node types are here, which the built-in pack tells."""
        from nodegraph.core.suggestions import OTHER_NAMES  # see `usage_of`

        own = next((pack for pack in self.packs if not pack.name), None)
        if own is None:
            return {}
        names: OtherNames = json.loads((own.root / OTHER_NAMES).read_bytes())
        return names

    def hook(self, node_type: str, name: HookName) -> Callable[..., Any] | None:
        spec = self._known(node_type)
        ref = spec.hooks.get(name)
        if ref is None:
            return None
        pack = self._packs.get(node_type)
        if pack is not None and pack.isolation is not None:
            return self.manifests.host_of(pack).hook(pack, self.snapshots[pack], spec, name)
        if node_type in self._definitions or ref.module == spec.module or "<" in ref.name:
            return self.definition(node_type).hooks.get(name)
        resolved: Any = self._module(self._packs[node_type], ref.module)
        for part in ref.name.split("."):
            resolved = getattr(resolved, part)
        hook: Callable[..., Any] = resolved
        return hook

    def migrations(self, node_type: str) -> dict[int, Callable[[dict[str, Any]], dict[str, Any]]]:
        return dict(self.definition(node_type).migrations)

    def scripts(self) -> list[PackScript]:
        """What packs bring into the editor: widgets of their nodes' inputs, and panels.

        nodegraph's own packs bring none.
        """
        from nodegraph.packs.editor_scripts import scripts_of  # of use only to servers and checks

        inputs: dict[Pack, list[InputSpec]] = {pack: [] for pack in self._panels}
        for node_type, pack in self._packs.items():
            if pack.is_reloadable:
                inputs[pack] += self._known(node_type).inputs
        return [
            script
            for pack, panels in self._panels.items()
            if pack.is_reloadable
            for script in scripts_of(pack, inputs[pack], panels)
        ]

    # What running needs

    def definition(self, node_type: str) -> NodeDefinition:
        """A node type with its code; imports the module that defines it.

        Raises:
            PackError: There is no such type, or its module fails to import.
        """
        with self._lock:
            self._functions.runs()
            known = self._definitions.get(node_type)
            if known is None:
                known = self._import(node_type)
            return known

    def import_types(self, node_type: str) -> None:
        """See to it that the port types of a node type are known, as far as its pack allows."""
        try:
            self.definition(node_type)
        except PackError:
            return  # values of other types than its own can be read all the same

    def _import(self, node_type: str) -> NodeDefinition:
        from nodegraph.packs.declarations import definition_in  # of no use to a listing

        spec = self.spec(node_type)
        if spec is None or node_type not in self._packs:
            raise PackError(f"there is no node type `{node_type}`")
        pack = self._packs[node_type]
        if pack.isolation is not None:
            host = self.manifests.host_of(pack)
            return self._take(node_type, host.definition(pack, self.snapshots[pack], spec))
        module = self._module(pack, spec.module)
        definition = definition_in(module, spec)
        if definition is not None:
            return self._take(node_type, definition)
        raise PackError(
            f"{module.__name__} no longer declares `{node_type}`",
            hint="The pack changed while it was in use. Restart nodegraph.",
        )

    def _module(self, pack: Pack, name: str) -> ModuleType:
        """A module of a pack, as it was when the pack was read."""
        known = self._kept_modules.get(name)
        if known is not None:
            return known
        activity = f"pack `{pack.name or pack.package}`: importing {name}"
        with WATCHDOG.watch_import(activity, pack.root), importing(self._followed):
            self._outdated.unload(self._followed)
            module = pack.import_module(name, self.snapshots[pack])
        if not pack.is_reloadable and not self._is_code_current():
            raise PackError(
                f"the files of nodegraph have changed since {name} was read",
                hint="Restart nodegraph to run the current code.",
            )
        if not pack.is_reloadable:
            self._kept_modules[name] = module
        return module

    @cached_property
    def _code(self) -> CodeDigests:
        from nodegraph.packs.code_digests import CodeDigests  # a check of what is known needs none

        with self._lock:
            return CodeDigests(self._roots, self.manifests.sources, self._owner)

    def _is_code_current(self) -> bool:
        return "_code" not in vars(self) or self._code.is_current()

    # Edits of packs

    def _owner(self, path: Path) -> Snapshot | None:
        snapshot = snapshot_of(path)
        if snapshot is None:
            return None
        return None if is_foreign(snapshot) else self._by_package.get(snapshot.package, snapshot)

    def is_current(self) -> bool:
        """Whether all packs are still as they were when they were read; cheap."""
        is_same = all(map(Snapshot.is_current, self._followed)) and self._is_code_current()
        is_same = is_same and all(map(WatchedFolders.is_current, self._listed_folders.values()))
        return is_same and self.manifests.import_timeouts.is_current()

    def activate(self) -> None:
        """Have packs imported as they were when they were read, whatever other sessions use."""
        with importing(self._followed):
            self.plugins.offer()

    def unload_changed(self) -> None:
        """Have what has changed, and what depends on it, imported anew when it is needed next.

        A registry of the packs as they are now does that.
        """
        followed = {
            pack: snapshot for pack, snapshot in self.snapshots.items() if pack.is_reloadable
        }
        changed = {
            id(snapshot) for pack, snapshot in followed.items() if pack.snapshot() is not snapshot
        }
        variables = self._code.changed_variables()
        modules: dict[Pack, set[str]] = {pack: set() for pack in followed}
        for node_type, pack in self._packs.items():
            if pack in modules:
                modules[pack].add(self._known(node_type).module)
        for pack, names in modules.items():
            names.update(self.plugins.modules.get(pack.package, ()))
        unload(
            {
                followed[pack]
                for pack, names in modules.items()
                if any(self._outdated.depends(name, changed, variables) for name in names)
            }
        )

    def is_as_digested(self, node_type: str) -> bool:
        """Whether what a node has read and imported is what its digest tells of.

        Files may have changed since, and another session of the process may have taken up an edit,
        so that an import within the node's function gave its modules. A cell of a notebook may have
        been run again.
        """
        used = self._followed_by.get(node_type)
        if used is None:
            return self._functions.is_as_digested(node_type)
        if self._packs[node_type].isolation is not None:
            return True  # its host runs no other files than those of the snapshot
        if not all(map(is_active, self._followed)):
            files = self._code.files(self._known(node_type).module)
            owners = {
                id(snapshot): snapshot
                for snapshot in map(self._owner, files)
                if snapshot is not None
            }
            if not all(map(is_active, [used, *owners.values()])):
                return False
        return used.has_data_as_digested()

    def _take(self, node_type: str, definition: NodeDefinition) -> NodeDefinition:
        for port in definition.ports:
            self._take_port(port)
        self._definitions[node_type] = definition
        return definition

    def _take_port(self, port: PortType) -> None:
        self.types.add(port.info)
        if port.digest is not None:
            self.digesters[port.python] = port.digest
        if port.serializer is not None:
            self.serializers[port.python] = port.serializer

    def code_digest(self, node_type: str) -> Digest:
        """Digest of the code behind a node type.

        A function that was added by hand counts with all that it can reach, as it is now. Node
        types that it may add to a run count too: what these give is kept as the node's own.
        """
        codes = self._codes_of(node_type)
        if len(codes) == 1:
            return codes[node_type]
        text = " ".join(f"{name} {codes[name]}" for name in [node_type, *sorted(codes)])
        return digest_bytes(text.encode())

    def _codes_of(self, node_type: str) -> dict[str, Digest]:
        """Code digests of a node type and of those that stand by name in the code behind it."""
        digests = {node_type: self._own_code(node_type)}
        waiting = [node_type]
        while waiting:
            for text in self._expandable_types(waiting.pop()):
                if text in digests or self.spec(text) is None:
                    continue
                try:
                    digests[text] = self._own_code(text)
                except PackError:
                    continue  # it can't be added to a run
                waiting.append(text)
        return digests

    def _is_native(self, node_type: str) -> bool:
        """Whether the imports of the code behind a node type can be followed."""
        isolation = self._packs[node_type].isolation
        return isolation is None or isolation.kind == "native"

    def _expandable_types(self, node_type: str) -> Collection[str]:
        """Texts that may name node types that one adds to a run."""
        if node_type in self._packs and not self._is_native(node_type):
            return ()  # the whole pack counts anyway
        if node_type in self._followed_by:
            return self._code.expandable_types(self._known(node_type).module)
        return () if node_type in self._packs else self._functions.expandable_types(node_type)

    def _own_code(self, node_type: str) -> Digest:
        if node_type in self._packs:
            pack, module = self._packs[node_type], self._known(node_type).module
            if pack.isolation is None:
                return self._code.digest(module)
            # What is installed counts for isolated packs: it is known exactly, and nobody updates
            # it in passing. Imports of packs of other tools cannot be followed: all files count.
            is_followed = self._is_native(node_type)
            code = self._code.digest(module) if is_followed else self.snapshots[pack].digest()
            return digest_bytes(f"{code} {pack.isolation.lock} {pack.isolation.kind}".encode())
        digest = self._functions.digest(node_type, self._definitions[node_type].function)
        from nodegraph.packs.code_digests import API_VERSION

        return digest_bytes(f"{API_VERSION} {digest}".encode())

    def digest_added_functions(self, *, is_growing: bool) -> None:
        """Look at the functions added by hand that a run may come to as it goes on.

        Others may have changed what they reach by then.

        Args:
            is_growing: Whether nodes that aren't there yet will be added to the run; else whether
                functions that were looked at may add some.
        """
        if is_growing or self._functions.may_expand:
            for node_type, definition in list(self._definitions.items()):
                if node_type not in self._packs:
                    self._functions.digest(node_type, definition.function)

    def refresh_functions(self) -> None:
        """Notice where functions that were added by hand have changed, and classes with them."""
        self._functions.refresh()
        if "_classes" in vars(self):
            self._classes.refresh()

    def rebaseline(self) -> None:
        """No run goes on: take what functions changed of what they reach for no edit of them."""
        if self._functions.rebaseline():
            self._classes.rebaseline()

    @cached_property
    def _classes(self) -> ClassDigests:
        from nodegraph.packs.function_digests import ClassDigests  # of use only to runs

        return ClassDigests(self._class_code, self.digesters)

    def _class_key(self, kind: type) -> str:
        return self._classes.class_key(kind)

    def _meet_classes(self, kinds: list[type], is_all: bool) -> None:
        self._classes.note_reached(kinds, is_all=is_all)

    def _class_code(self, kind: type) -> Digest | None:
        """Digest of the code behind a class of a pack's values; None if it is of none."""
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        if file is None or self._owner(Path(file)) is None:
            return None
        module = self._code.module_at(Path(file))
        return None if module is None else self._code.digest(module)

    def code_modules(self, node_type: str) -> Mapping[str, Digest]:
        """Digests of the modules behind a node type's code digest, by name, to tell what changed.

        A function that was added by hand stands for itself.
        """
        spec = self._known(node_type)
        if node_type in self._packs and self._is_native(node_type):
            return self._code.parts(spec.module)
        return {f"{spec.module}.{spec.qualname}": self.code_digest(node_type)}
