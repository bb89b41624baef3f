"""The node types there are, known without running any pack's code in the server's process."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from nodegraph.core.catalog import OtherNames
from nodegraph.core.digests import digest_bytes
from nodegraph.core.spec import HookName, NodeSpec, to_document
from nodegraph.core.types import TypeInfo, TypeTable
from nodegraph.core.usage import NO_USAGE, Usage
from nodegraph.errors import PackError, Problem
from nodegraph.packs.manifest import Manifest, ManifestCache
from nodegraph.packs.pack import Pack
from nodegraph.packs.registry import Registry
from nodegraph.server.content.frames import NO_FRAMES, FrameDocuments, documents
from nodegraph.server.http.errors import Unavailable
from nodegraph.session.examples import NodeExample, examples


@dataclass(frozen=True)
class DeclaredTypes:
    """What all packs declared when they were last read; a `Catalog` whose hooks say nothing.

    Attributes:
        specs: By node type.
        types: Port types.
        packs: Versions by the names that workflows require them by.
        problems: What is wrong with packs.
        left_out: What of each pack couldn't be read, and why, by its name.
        unread: Names of packs that have yet to be read, or read anew.
        is_current: Whether no pack has changed since it was read, nor failed to be; those that are
            made of what another package holds aside.
        is_unchanged: Whether these are still the packs that there are, and their files what they
            were then; cheap.
        examples: Workflows that show what a node type does, by node type.
        frames: Pages with what packs bring into the editor.
        usage: How often node types occur and are linked in the workflows that come with nodegraph.
        other_names: What other programs' node types are here.
        response_cache: What was made of them for an answer, by a name of it: hundreds take their time.
    """

    specs: Mapping[str, NodeSpec] = field(default_factory=dict)
    types: TypeTable = field(default_factory=TypeTable)
    packs: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()
    is_current: bool = False
    is_unchanged: Callable[[], bool] = lambda: True
    examples: Mapping[str, NodeExample] = field(default_factory=dict)
    frames: FrameDocuments = NO_FRAMES
    usage: Usage = NO_USAGE
    other_names: OtherNames = field(default_factory=dict)
    response_cache: dict[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    def spec(self, node_type: str) -> NodeSpec | None:
        return self.specs.get(node_type)

    def node_types(self) -> list[str]:
        return sorted(self.specs)

    def require_read(self, node_type: str) -> None:
        """Call no node type unknown whose pack is still being read, as on a busy machine.

        Raises:
            Unavailable: It has yet to be read.
        """
        pack = node_type.rpartition(":")[0]
        if pack in self.unread and node_type not in self.specs:
            subject = f"node pack `{pack}` is" if pack else "built-in nodes are"
            raise Unavailable(f"the {subject} still being read")

    def require_read_of(self, problems: Iterable[Problem]) -> None:
        """As `require_read`, of the types that are called unknown."""
        for problem in problems:
            if problem.code == "unknown-node-type":
                self.require_read(problem.node_type or "")

    def hook(self, node_type: str, name: HookName) -> Callable[..., Any] | None:
        return None

    def migrations(self, node_type: str) -> dict[int, Callable[[dict[str, Any]], dict[str, Any]]]:
        return {}

    def faults(self, pack: str) -> Sequence[str]:
        """What of a pack was left out, and why."""
        return self.left_out.get(pack, ())

    def pack_versions(self) -> Mapping[str, str]:
        """Versions of the packs by the name that workflows require them by."""
        return self.packs

    def type_infos(self) -> list[TypeInfo]:
        """The port types, by name."""
        return [self.types.info(name) for name in self.types.names()]

    @cached_property
    def digest(self) -> str:
        """Changes when anything in it does."""
        parts = [json.dumps(to_document(spec)) for spec in self.specs.values()]
        shown = [
            (name, entry.needs, entry.folders, bool(entry.picture))
            for name, entry in self.examples.items()
        ]
        contents = (self.type_infos(), self.problems, sorted(self.unread), shown, self.usage)
        text = "\n".join(
            [
                *sorted(parts),
                *(repr(entry) for entry in contents),
                *(f"{href} {entry.script}" for href, entry in self.frames.by_path.items()),
            ]
        )
        return digest_bytes(text.encode("utf-8", "surrogatepass"))


class _Last(ManifestCache):
    """Manifests as they were last written, by a process that may import packs."""

    are_current = True

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.unread: set[str] = set()

    def manifest(self, pack: Pack) -> Manifest:
        last_manifest = self.last(pack)
        is_unread = last_manifest is None or last_manifest.stamp != pack.stamp(last_manifest.also)
        if last_manifest is None or is_unread or not self.is_valid(last_manifest, pack):
            # One that is made of others may take long to be read: what else there is needn't wait.
            self.are_current = self.are_current and pack.is_generated
            left_out = self.left_out(pack)
            if is_unread and (left_out is None or self.import_timeouts.is_importing(pack)):
                self.unread.add(pack.name)
            if left_out is not None:
                return left_out
        if last_manifest is None:
            name = pack.name or pack.package
            raise PackError(f"pack `{name}`: what it declares isn't known yet")
        return last_manifest


def load_declared_types(
    packs: Sequence[Pack], folder: Path, is_complete: Callable[[], bool] = lambda: True
) -> DeclaredTypes:
    """What packs declared when they were last read; imports none.

    Args:
        folder: Where that is kept.
        is_complete: Whether these are still the packs there are; cheap.
    """
    manifests = _Last(folder)
    registry = Registry(packs, manifests=manifests)
    specs = {name: spec for name in registry.node_types() if (spec := registry.spec(name))}
    frames = documents(registry.scripts())
    return DeclaredTypes(
        specs,
        registry.types,
        registry.pack_versions(),
        (*registry.problems, *frames.problems),
        {pack.name: registry.faults(pack.name) for pack in packs},
        frozenset(manifests.unread),
        manifests.are_current,
        lambda: is_complete() and registry.is_current() and frames.is_unchanged(),
        {name: example for name, example in examples(packs).items() if name in specs},
        frames,
        registry.usage,
        registry.other_names,
    )
