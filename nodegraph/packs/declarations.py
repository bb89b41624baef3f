"""Import a pack's modules and collect what they declare."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from nodegraph.core.hints import Panel
from nodegraph.core.node import NODE_ATTRIBUTE, NodeDefinition
from nodegraph.core.pack_faults import faults_in
from nodegraph.core.plugins import DeclaredPlugin, PluginItem, declare_plugin, plugins_in
from nodegraph.core.spec import NodeSpec
from nodegraph.core.types import TypeInfo
from nodegraph.errors import NodegraphError, PackError
from nodegraph.packs.code_digests import CodeDigests, is_contract
from nodegraph.packs.importer import roots, snapshot_of
from nodegraph.packs.pack import Pack
from nodegraph.packs.snapshot import Snapshot
from nodegraph.packs.source_files import SourceFiles

_DECLARATIONS = "__node_declarations__"
_MAPPINGS = "NODE_CLASS_MAPPINGS"
"""Where a module lists what ComfyUI takes for nodes."""


class Declarations(NamedTuple):
    """What a pack's modules declare; see `PackManifest`."""

    specs: tuple[NodeSpec, ...]
    types: tuple[TypeInfo, ...]
    panels: tuple[Panel, ...]
    plugins: tuple[DeclaredPlugin, ...]
    problems: tuple[str, ...]


def read_pack(pack: Pack, snapshot: Snapshot) -> Declarations:
    """Import a pack's modules and collect what they declare.

    Args:
        snapshot: Its files as they are to be read.
    """
    definitions: dict[str, NodeDefinition] = {}
    twice: set[str] = set()
    panels: dict[str, Panel] = {}
    plugins: list[DeclaredPlugin] = []
    items: list[PluginItem] = []
    specs: list[NodeSpec] = []
    infos: list[TypeInfo] = []
    problems = []
    has_mappings = False
    for name in pack.modules():
        try:
            module = pack.import_module(name, snapshot)
        except PackError as error:
            problems.append(str(error))
            continue
        panels.update((panel.name, panel) for panel in _panels_in(module))
        for item in plugins_in(module):
            if any(item is each for each in items):
                continue  # imported from the module that made it
            items.append(item)
            try:
                plugins.append(declare_plugin(item, name))
            except PackError as error:
                problems.append(f"pack `{pack.name or pack.package}`: {error}")
        has_mappings = has_mappings or isinstance(vars(module).get(_MAPPINGS), Mapping)
        known = _known_in(module)
        if known is not None:
            specs += [replace(spec, type=_qualified(pack, spec.type)) for spec in known[0]]
            infos += known[1]
        made, faults = _made_in(module) if known is None else ([], [])
        for fault in (*faults_in(module), *faults):
            problems.append(f"pack `{pack.name or pack.package}`: {fault}")
        for definition in (*_definitions_in(module), *made):
            node_type = _qualified(pack, definition.spec.type)
            if definitions.get(node_type) is definition:
                continue  # the same function under a second name
            if node_type in definitions:
                twice.add(node_type)
                problems.append(_declared_twice(pack, definitions[node_type], definition))
            definitions[node_type] = definition
    if has_mappings or not (definitions or specs or panels or plugins or problems):
        problems.append(_no_nodes_problem(pack, has_mappings))
    # Which of them a workflow means can't be told.
    for node_type in twice:
        del definitions[node_type]
    specs += [
        replace(definition.spec, type=node_type) for node_type, definition in definitions.items()
    ]
    infos += [port.info for definition in definitions.values() for port in definition.ports]
    return Declarations(
        tuple(replace(spec, pack=pack.name) for spec in specs),
        tuple(dict.fromkeys(infos)),
        tuple(panels.values()),
        tuple(plugins),
        tuple(problems),
    )


def _no_nodes_problem(pack: Pack, has_mappings: bool) -> str:
    message = f"pack `{pack.name or pack.package}`"
    if has_mappings:
        message += f": its {_MAPPINGS} are ComfyUI nodes, which nodegraph does not run"
        return str(PackError(message, hint="Write each as a function with `@node`: docs/nodes.md."))
    return str(
        PackError(
            f"{message} declares no nodes", hint="Put `@node` before a function: docs/nodes.md."
        )
    )


def _declared_twice(pack: Pack, first: NodeDefinition, second: NodeDefinition) -> str:
    places = [
        f"{Path(code.co_filename).name}, line {code.co_firstlineno}"
        for code in (first.function.__code__, second.function.__code__)
    ]
    return str(
        PackError(
            f"pack `{pack.name or pack.package}`: node type `{first.spec.type}` is declared in "
            f"{' and in '.join(places)}; neither is used",
            hint="Rename one of them.",
        )
    )


def external_files(
    pack: Pack, snapshot: Snapshot, modules: Collection[str], sources: SourceFiles
) -> tuple[str, ...]:
    """Files outside a pack that its modules import, such as a list of choices.

    Args:
        modules: Those that declare something.
        sources: Reads what its modules import.
    """
    package, root = pack.code_root()
    inside = snapshot.listing.files
    if not pack.is_reloadable:
        # They import only nodegraph, whose hundreds of files take a second to parse. What isn't
        # imported by now has declared nothing.
        loaded = [vars(module).get("__file__") for module in _loaded_of_nodegraph()]
        return tuple(sorted(file for file in {*loaded} if file and file not in inside))
    code = CodeDigests({package: root, **roots()}, sources, snapshot_of)
    files = {path for module in modules for path in code.files(module)}
    sources.save()
    return tuple(sorted(str(path) for path in files if str(path) not in inside))


def _loaded_of_nodegraph() -> list[ModuleType]:
    """Its modules that are imported, without those that `API_VERSION` stands for."""
    names = [name for name in sys.modules.copy() if name.startswith("nodegraph.")]
    return [sys.modules[name] for name in names if not is_contract(name)]


def _definitions_in(module: ModuleType) -> Iterator[NodeDefinition]:
    """The node types that a module defines itself; imported ones belong elsewhere."""
    for value in list(vars(module).values()):
        definition = _definition(value, module)
        if definition is not None:
            yield definition


def _panels_in(module: ModuleType) -> Iterator[Panel]:
    return (value for value in list(vars(module).values()) if isinstance(value, Panel))


def definition_in(module: ModuleType, spec: NodeSpec) -> NodeDefinition | None:
    """The node type of a module that has this spec; None if it declares none of its name."""
    definition = _definition(getattr(module, spec.qualname, None), module)
    own = spec.type.rpartition(":")[2]
    if definition is not None and definition.spec.type == own:
        return definition
    return next((each for each in _definitions_in(module) if each.spec.type == own), None)


def _definition(value: object, module: ModuleType) -> NodeDefinition | None:
    definition = getattr(value, NODE_ATTRIBUTE, None)
    is_own = isinstance(definition, NodeDefinition) and definition.spec.module == module.__name__
    return definition if is_own else None


def _known_in(module: ModuleType) -> tuple[list[NodeSpec], list[TypeInfo]] | None:
    """What a module that makes its node types as they are asked for knows of all of them."""
    tell = vars(module).get(_DECLARATIONS)
    return None if tell is None else tell()


def _made_in(module: ModuleType) -> tuple[list[NodeDefinition], list[str]]:
    """The node types that a module makes as they are asked for, and what is wrong with others.

    It has a function `__getattr__` that makes them, and `__dir__` that names them: see PEP 562.
    """
    definitions: list[NodeDefinition] = []
    faults: list[str] = []
    tell = vars(module).get("__dir__")
    for name in [] if tell is None else tell():
        if name in vars(module):
            continue
        try:
            definition = _definition(getattr(module, name), module)
        except Exception as error:  # noqa: BLE001 - the border with pack code: it may raise anything
            is_told = isinstance(error, NodegraphError)
            faults.append(str(error) if is_told else f"{name}: {type(error).__name__}: {error}")
            continue
        if definition is not None:
            definitions.append(definition)
    return definitions, faults


def _qualified(pack: Pack, name: str) -> str:
    """A node type's name in workflows."""
    return f"{pack.name}:{name}" if pack.name else name
