"""Manifest of a file that a node is about to write, from the states of its run.

Only what the node's inputs were computed from counts. So the manifest is the same whether these
nodes ran or came from the cache, and whatever else the run computes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, TypeVar

from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.flat_workflow import VALUE
from nodegraph.core.hooks import HookInputs
from nodegraph.core.manifest import (
    MANIFEST,
    Manifest,
    ManifestInput,
    ManifestNode,
    ManifestPack,
    digest_workflow,
)
from nodegraph.core.version import VERSION
from nodegraph.engine.manifest_models import linked_value, manifest_models
from nodegraph.engine.portable_workflow import (
    PathReplacer,
    portable_file_name,
    without_paths,
    without_prompts,
)
from nodegraph.errors import InvalidFile
from nodegraph.packs.pack import OWN_DISTRIBUTION

if TYPE_CHECKING:
    from nodegraph.core.context import MetadataAmount
    from nodegraph.engine.runtime import RunScheduler
    from nodegraph.engine.states import Call, NodeState

_PATTERN = re.compile(r"[*?\[]")
PathT = TypeVar("PathT", bound=PurePath)
_MOST_INGREDIENTS = 10_000
_MOST_OF_FOLDER = 1000
"""Files of one folder that a manifest names; the others are counted."""


class ManifestSource:
    """Manifests of the files that a call writes."""

    def __init__(self, run: RunScheduler, call: Call) -> None:
        self._run, self._call = run, call

    def manifest(self, workflow: Mapping[str, Any]) -> Manifest:
        """The whole manifest; see `build_manifest`."""
        shared = self._run.shared
        portable = without_paths(workflow, shared.environment, shared.registry.spec)
        names = portable_file_name(workflow, shared.environment, shared.registry.spec)
        return build_manifest(self._run, self._call, portable, names)

    def reduced(self, manifest: Manifest, amount: MetadataAmount) -> Manifest:
        """A manifest with what the settings leave in files.

        Args:
            amount: ``minimal`` or ``full``.
        """
        shared = self._run.shared
        if amount == "minimal":
            inputs = tuple(replace(file, name="") for file in manifest.inputs)
            return replace(manifest, workflow=None, seeds={}, inputs=inputs)
        if shared.environment.metadata_prompts or not manifest.workflow:
            return manifest
        path = [state.node.name for state in _path(self._run, self._call.state)]
        removal = without_prompts(manifest.workflow, shared.registry.spec, path)
        digest = digest_workflow(removal.workflow)
        embedded = "" if digest == manifest.workflow_digest else digest
        return replace(
            manifest,
            workflow=removal.workflow,
            embedded_digest=embedded,
            omitted_prompts=removal.omitted,
        )


def build_manifest(
    run: RunScheduler, call: Call, workflow: Mapping[str, Any], file_name: Callable[[str], str]
) -> Manifest:
    """The manifest of a file that a call writes; see `core.manifest.Manifest`.

    Args:
        workflow: As it ran, without paths of the machine.
        file_name: Returns the name of an input file as `workflow` has it.
    """
    path = _path(run, call.state)
    replacer = PathReplacer(run.shared.environment)
    nodes = {state.node.name: _node(run, state, replacer) for state in path}
    contents = {product.digest for product in call.inputs.values()}
    return Manifest(
        VERSION,
        call.state.node.name,
        content=contents.pop() if len(contents) == 1 else "",
        numerics=_numerics(run),
        nodes=nodes,
        packs=_packs(run, nodes),
        models=tuple(manifest_models(run, path)),
        inputs=tuple(_inputs(run, path, file_name)),
        seeds=dict(_seeds(run, path)),
        workflow_digest=digest_workflow(workflow),
        workflow=workflow,
    )


def _path(run: RunScheduler, last: NodeState) -> list[NodeState]:
    """A node and all before it, each after what it needs.

    Of a node that stands in an expansion, also those before the node that expanded into it.
    """
    states = run.states
    ordered: dict[str, NodeState] = {}
    waiting: list[tuple[NodeState, bool]] = [(last, False)]
    while waiting:
        state, is_done = waiting.pop()
        name = state.node.name
        if is_done:
            ordered.setdefault(name, state)
        elif name not in ordered:
            waiting.append((state, True))
            sources = [states[source] for source in _used_sources(state) if source in states]
            if state.within is not None:
                sources.append(state.within)
            waiting.extend((source, False) for source in reversed(sources))
    # A live value is passed to a node by one that stands for it, whose type no pack has.
    return [state for state in ordered.values() if state.node.spec.category != VALUE]


def _used_sources(state: NodeState) -> list[str]:
    """Names of the nodes whose outputs a node received; a lazy input counts if it was requested."""
    names = [
        source.node
        for port, source in state.node.links.items()
        if port not in state.lazy_ports or port in state.requested
    ]
    return list(dict.fromkeys(names))


def _node(run: RunScheduler, state: NodeState, replacer: PathReplacer) -> ManifestNode:
    spec = state.node.spec
    identity = run.shared.identity(spec)
    pack = run.shared.registry.pack_of(spec.type)
    ports = [port.name for port in spec.outputs]
    products = state.products or ()
    return ManifestNode(
        spec.type,
        spec.version,
        "" if pack is None else pack.name or OWN_DISTRIBUTION,
        identity.code,
        state.key if _is_key_portable(state, replacer) else "",
        identity.profile,
        {port: product.digest for port, product in zip(ports, products, strict=False)},
    )


def _is_key_portable(state: NodeState, replacer: PathReplacer) -> bool:
    """Whether a run of the embedded workflow on another machine gives the node the same key.

    Paths are part of keys of what names or reads files. A loop's key has the text of its body, in
    which the embedded workflow states the versions of nodes.
    """
    spec, literals = state.node.spec, state.node.literals
    return not (state.reads_outside or spec.body or replacer.is_local(spec, literals))


def _numerics(run: RunScheduler) -> str:
    shared = run.shared
    return "" if shared.numerics is None else shared.numerics.profile(shared.lanes.device)


def _packs(run: RunScheduler, nodes: Mapping[str, ManifestNode]) -> dict[str, ManifestPack]:
    versions = run.shared.registry.pack_versions()
    codes: dict[str, dict[str, str]] = {}
    for node in nodes.values():
        codes.setdefault(node.pack, {})[node.type] = node.code
    return {
        pack: ManifestPack(
            versions.get(pack, ""),
            digest_bytes("\n".join(f"{kind} {of[kind]}" for kind in sorted(of)).encode()),
        )
        for pack, of in sorted(codes.items())
        if pack
    }


def _inputs(
    run: RunScheduler, path: list[NodeState], file_name: Callable[[str], str]
) -> Iterator[ManifestInput]:
    folder = run.shared.environment.inputs
    for state in path:
        for port in state.node.spec.file_ports:
            if state.node.spec.inputs_by_name[port].is_model_file:
                continue
            for value in _file_values(run, state, port):
                try:
                    file = (folder / Path(value).expanduser()).absolute()
                    if file.is_file():
                        name = file_name(value)
                        digest = FILE_DIGESTS.digest(file)
                        carried = _ingredient(run, file, digest)
                        yield ManifestInput(state.node.name, port, name, digest, carried)
                except (OSError, ValueError, RuntimeError, InvalidFile):
                    continue  # gone since it was read: what was made of it says its content
        if state.folder_inputs is None:  # each file of a large batch has a manifest of its own
            state.folder_inputs = tuple(_folder_inputs(run, state, file_name))
        yield from state.folder_inputs


def _folder_inputs(
    run: RunScheduler, state: NodeState, file_name: Callable[[str], str]
) -> Iterator[ManifestInput]:
    """The files that a node reads from folders that its inputs name, by its own word."""
    spec, registry = state.node.spec, run.shared.registry
    ports = [port for port in spec.file_ports if spec.inputs_by_name[port].widget == "file:folder"]
    hook = registry.hook(spec.type, "fingerprint") if ports else None
    if hook is None:
        return
    for port in ports:
        for value in _file_values(run, state, port):
            literals = {**state.node.literals, port: value}
            hook_inputs = HookInputs(literals, {}, run.shared.environment)
            with suppress(Exception):  # the border with pack code: a hook may raise anything
                hook(hook_inputs)
            files = hook_inputs.files
            yield from _listed(run, files, state.node.name, port, value, file_name(value))


def _listed(
    run: RunScheduler, files: list[Path], node: str, port: str, value: str, name: str
) -> Iterator[ManifestInput]:
    """Entries of the files of a folder.

    Args:
        value: The folder, or a pattern, as the node has it.
        name: The same as the workflow in the file has it.
    """
    inputs = run.shared.environment.inputs
    whole = (inputs / Path(value).expanduser()).absolute()
    base, shown = _plain_part(whole), _plain_part(PurePosixPath(name.replace("\\", "/")))
    if base.is_file():
        base, shown = base.parent, shown.parent
    entries: list[ManifestInput] = []
    for file in dict.fromkeys(files):
        path = file.absolute()
        if path == whole or not path.is_relative_to(base):
            continue  # the file that the input names is listed already
        if len(entries) == _MOST_OF_FOLDER:
            break
        try:
            digest = FILE_DIGESTS.digest(path)
        except (OSError, InvalidFile):
            continue  # gone since it was read
        listed = (shown / path.relative_to(base).as_posix()).as_posix()
        entries.append(ManifestInput(node, port, listed, digest, _ingredient(run, path, digest)))
    if len(entries) == _MOST_OF_FOLDER:
        others = len(set(files)) - _MOST_OF_FOLDER
        entries[-1] = replace(entries[-1], others=others)
    yield from entries


def _plain_part(path: PathT) -> PathT:
    """A path up to its first part that is a pattern."""
    parts = path.parts
    end = next((at for at, part in enumerate(parts) if _PATTERN.search(part)), len(parts))
    return type(path)(*parts[:end])


def _file_values(run: RunScheduler, state: NodeState, port: str) -> list[str]:
    """Names of the files of an input, also computed ones and those that a node is mapped over."""
    value = state.node.literals.get(port)
    source = state.node.links.get(port)
    if source is not None and source.node in run.states:
        value = linked_value(run.states[source.node], source.port)
    values = value if isinstance(value, (list, tuple)) else [value]
    return list(dict.fromkeys(each for each in values if isinstance(each, str) and each))


def _ingredient(run: RunScheduler, file: Path, digest: Digest) -> Digest:
    """Digest of the manifest that an input file carries; empty without one."""
    known = run.shared.ingredients
    if run.shared.texts_of is None or digest in known:
        return known.get(digest, "")
    try:
        text = (run.shared.texts_of(file) or {}).get(MANIFEST, "")
    except (OSError, InvalidFile):
        text = ""  # of no form that is read, or damaged: the node that reads it reports that
    if len(known) >= _MOST_INGREDIENTS:
        known.clear()
    known[digest] = digest_bytes(text.encode("utf-8", "surrogatepass")) if text else ""
    return known[digest]


def _seeds(run: RunScheduler, path: list[NodeState]) -> Iterator[tuple[str, int]]:
    for state in path:
        for port in state.node.spec.inputs:
            if port.widget != "seed":
                continue
            value = state.node.literals.get(port.name)
            source = state.node.links.get(port.name)
            if source is not None and source.node in run.states:
                value = linked_value(run.states[source.node], source.port)
            if isinstance(value, int) and not isinstance(value, bool):
                yield f"{state.node.name}.{port.name}", value
