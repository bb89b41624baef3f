"""Models that a manifest names: components as nodes used them, and files that nodes name.

Nothing is declared for this. A component is known by its value, which holds the digests of its
files. A file is known by the input that names it, also if a node returns no component of it. So a
new loader is in every manifest. Weights that no input names are known by the fingerprint of their
node, which lists them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.digests import Digest
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.hooks import HookInputs
from nodegraph.core.manifest import ManifestAdapter, ManifestFile, ManifestModel
from nodegraph.core.types import BUILT_IN
from nodegraph.core.values import Adapter, Recipe, RecipeFile
from nodegraph.core.weight_files import HEADED, PICKLES, file_suffix
from nodegraph.engine.call_records import RECIPES
from nodegraph.errors import NodegraphError
from nodegraph.packs.pack import OWN_DISTRIBUTION
from nodegraph.store.entries import OutputGone

if TYPE_CHECKING:
    from nodegraph.engine.product import Product
    from nodegraph.engine.runtime import RunScheduler
    from nodegraph.engine.states import NodeState

_EMBEDDED = "embedded"
"""Folder of the models that ship with nodegraph."""
_BROUGHT = "weights"
"""Kind and role of weights that come with a pack and are no component."""
_WEIGHTS = HEADED | PICKLES | {".onnx"}
_MOST_FILES = 1000
"""Files of a folder that a node names; a folder with more is no model."""
_NO_MODELS = frozenset(info.name for info in BUILT_IN) - RECIPES
"""Port types whose values hold no components, or large tensors with them."""


def manifest_models(run: RunScheduler, path: Sequence[NodeState]) -> Iterator[ManifestModel]:
    """Components in the form in which they are used, then the other model files that nodes name.

    Args:
        path: The nodes that the result was computed from.
    """
    named = set[Path]()
    for model in _components(run, path):
        named.update(model.paths)
        yield model.entry
    for state in path:
        for port, file in _named_files(run, state):
            if not any(each == file or each.is_relative_to(file) for each in named):
                named.add(file)
                yield _file_entry(run, state.node.name, port, file)
        if state.brought_weights is None:  # each file of a large batch has a manifest of its own
            state.brought_weights = tuple(_brought_files(run, state))
        if state.brought_weights:
            yield _brought_entry(run, state.node.name, state.brought_weights)


def linked_value(state: NodeState, port: str) -> Any:
    """The value of an output; None if it is not computed, or is gone."""
    if not state.has_outputs:
        return None
    try:
        return state.output(port).value
    except OutputGone:
        return None


def _name_within(file: Path, folders: Sequence[Path]) -> str:
    """Name of a file relative to the first folder that it is in; else only its name."""
    for folder in folders:
        try:
            return file.relative_to(folder.absolute()).as_posix()
        except ValueError:
            continue  # in another folder
    return file.name


@dataclass(frozen=True)
class _Component:
    """An entry of the manifest, and where the files in it are."""

    entry: ManifestModel
    paths: tuple[Path, ...] = ()


@dataclass
class _Weights:
    """What a value names of model files, wherever it stands in the value."""

    recipes: list[Recipe] = field(default_factory=list)
    adapters: list[Adapter] = field(default_factory=list)
    files: list[RecipeFile] = field(default_factory=list)

    def add(self, value: Any) -> None:
        """Add what a value and its parts name."""
        if isinstance(value, (list, tuple)):
            for item in value:
                self.add(item)
        elif isinstance(value, Mapping):
            self.add(tuple(value.values()))
        elif isinstance(value, Recipe):
            self.recipes.append(value)
            self.files += value.files
            self.add(value.adapters)
        elif is_dataclass(value):
            if isinstance(value, Adapter):
                self.adapters.append(value)
            elif (file := _file_of(value)) is not None:
                self.files.append(file)
            self.add(tuple(getattr(value, each.name) for each in fields(value)))


def _file_of(value: Any) -> RecipeFile | None:
    """The file that a value stands for: it has a digest, and a path that is not content."""
    paths = [each.name for each in fields(value) if not each.metadata.get("content", True)]
    digest = getattr(value, "digest", None)
    if len(paths) != 1 or not isinstance(digest, str):
        return None
    return RecipeFile("", getattr(value, paths[0]), digest)


def _components(run: RunScheduler, path: Sequence[NodeState]) -> Iterator[_Component]:
    """Components after the last node that changes them."""
    states, used = run.states, set[tuple[str, str]]()
    kinds = RECIPES | {
        port.type for state in path if _is_loader(run, state) for port in state.node.spec.outputs
    }
    for state in path:
        returned = {port.type for port in state.node.spec.outputs}
        for source in state.node.links.values():
            upstream = states.get(source.node)
            if upstream is None or not upstream.has_outputs:
                continue
            kind = upstream.node.spec.outputs_by_name[source.port].type
            output = (source.node, source.port)
            if kind in kinds - _NO_MODELS - returned and output not in used:
                used.add(output)
                yield from _component(run, *output, kind, upstream.output(source.port))


def _is_loader(run: RunScheduler, state: NodeState) -> bool:
    """Whether values of a node's outputs name model files; those of other packs are not read."""
    spec = state.node.spec
    if not any(port.is_model_file for port in spec.inputs):
        return False
    pack = run.shared.registry.pack_of(spec.type)
    return pack is not None and (pack.name or OWN_DISTRIBUTION) == OWN_DISTRIBUTION


def _component(
    run: RunScheduler, node: str, port: str, kind: str, product: Product
) -> Iterator[_Component]:
    try:
        value = product.value
    except OutputGone:
        yield _Component(ManifestModel(node, port, kind, product.digest))
        return
    folders = run.shared.environment.models
    for item in value if isinstance(value, list) else [value]:
        weights = _Weights()
        weights.add(item)
        if weights.files or weights.adapters:  # a hosted model has none
            entry = _component_entry(node, port, kind, weights, folders)
            paths = [
                *(file.path for file in weights.files),
                *(each.source for each in weights.adapters),
            ]
            yield _Component(entry, tuple(Path(path) for path in paths))
        elif kind in RECIPES:
            yield _Component(ManifestModel(node, port, kind, product.digest))


def _component_entry(
    node: str, port: str, kind: str, weights: _Weights, folders: Sequence[Path]
) -> ManifestModel:
    first = weights.recipes[0] if weights.recipes else Recipe("", (), "")
    files = tuple(dict.fromkeys(weights.files))
    return ManifestModel(
        node,
        port,
        kind,
        _digest_of(files),
        first.family,
        first.dtype,
        {name: value for name, value in first.options if not Path(value).is_absolute()},
        tuple(_adapter(adapter, folders) for adapter in weights.adapters),
        _files(files, folders),
    )


def _files(files: Sequence[RecipeFile], folders: Sequence[Path]) -> tuple[ManifestFile, ...]:
    return tuple(
        ManifestFile(file.role, _model_name(file.path, folders), file.digest) for file in files
    )


def _digest_of(files: Sequence[RecipeFile]) -> Digest:
    return Recipe("", tuple(files)).digest  # that of its only file, as everywhere


def _named_files(run: RunScheduler, state: NodeState) -> Iterator[tuple[str, Path]]:
    """Inputs of a node that name model files, and the file or folder that each means."""
    find, folders = run.shared.model_path, run.shared.environment.models
    if find is None:
        return
    for port in state.node.spec.inputs:
        if not port.is_model_file:
            continue
        value = state.node.literals.get(port.name)
        source = state.node.links.get(port.name)
        if source is not None and source.node in run.states:
            value = linked_value(run.states[source.node], source.port)
        for name in value if isinstance(value, list) else [value]:
            if isinstance(name, (str, Path)) and str(name):
                # Such as `auto`, which names no file, or a file that is gone since it was read.
                with suppress(NodegraphError, OSError):
                    yield port.name, find(str(name), folders).absolute()


def _file_entry(run: RunScheduler, node: str, port: str, path: Path) -> ManifestModel:
    """The entry of a file or folder that a node names and of which no component is in use."""
    folders = run.shared.environment.models
    spec = run.states[node].node.spec
    kinds = [each.type for each in spec.outputs if each.type not in _NO_MODELS]
    kind = kinds[0] if kinds else spec.inputs_by_name[port].widget.removeprefix("file:")
    files = []
    for each in [path] if path.is_file() else _files_in(path):
        with suppress(NodegraphError, OSError):
            files.append(RecipeFile(port, str(each), FILE_DIGESTS.digest(each)))
    return ManifestModel(node, port, kind, _digest_of(files), files=_files(files, folders))


def _brought_files(run: RunScheduler, state: NodeState) -> list[Path]:
    """Weights that a node reads and that none of its inputs names, by its own word."""
    spec = state.node.spec
    hook = None if spec.file_ports else run.shared.registry.hook(spec.type, "fingerprint")
    if hook is None:
        return []
    linked = {
        port: linked_value(run.states[source.node], source.port)
        for port, source in state.node.links.items()
        if source.node in run.states
    }
    literals = {**state.node.literals, **linked}
    inputs = HookInputs(literals, {}, run.shared.environment)
    with suppress(Exception):  # the border with pack code: a hook may raise anything
        hook(inputs)
    return [path.absolute() for path in inputs.files if file_suffix(path) in _WEIGHTS]


def _brought_entry(run: RunScheduler, node: str, paths: Sequence[Path]) -> ManifestModel:
    files = []
    for path in paths:
        with suppress(NodegraphError, OSError):
            files.append(RecipeFile(_BROUGHT, str(path), FILE_DIGESTS.digest(path)))
    folders = run.shared.environment.models
    return ManifestModel(node, "", _BROUGHT, _digest_of(files), files=_files(files, folders))


def _files_in(folder: Path) -> list[Path]:
    files = sorted(path for path in folder.rglob("[!.]*") if path.is_file())
    return files if len(files) <= _MOST_FILES else []


def _adapter(adapter: Adapter, folders: Sequence[Path]) -> ManifestAdapter:
    return ManifestAdapter(
        adapter.kind,
        _model_name(adapter.source, folders),
        adapter.digest,
        adapter.strength,
        adapter.modules,
        adapter.token,
    )


def _model_name(path: str, folders: Sequence[Path]) -> str:
    """A file's name in a models folder, or from the models that ship with nodegraph."""
    file = Path(path)
    name = _name_within(file, folders)
    if name == file.name and _EMBEDDED in file.parts:
        at = len(file.parts) - 1 - file.parts[::-1].index(_EMBEDDED)
        return "/".join(file.parts[at:])
    return name
