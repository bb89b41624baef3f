"""The whole table: what comes along, and what packs bring for nodes of their own.

An installed pack names a module, or its entries, in the entry-point group ``nodegraph.comfyui``; a
pack that is a folder has a module ``comfyui.py``. A module has its entries in ``ENTRIES``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry
from nodegraph.interop.comfyui.signatures import Signature
from nodegraph.interop.comfyui.table import built_in
from nodegraph.packs.pack import Pack

GROUP = "nodegraph.comfyui"
MODULE = "comfyui"
_ENTRIES = "ENTRIES"


@dataclass(frozen=True)
class NodeTable:
    """Entries by ComfyUI's type.

    Attributes:
        problems: What packs bring and can't be used.
    """

    entries: Mapping[str, TableEntry]
    problems: tuple[str, ...] = ()

    @property
    def signatures(self) -> dict[str, Signature]:
        return {name: entry.signature for name, entry in self.entries.items()}


def node_table(packs: Iterable[Pack] = ()) -> NodeTable:
    """What stands for ComfyUI's node types.

    An entry for a type that is there already is left out and told of, and so is what can't be
    imported; it hurts nothing else.

    Args:
        packs: Of which those that aren't installed are looked into.
    """
    entries: dict[str, TableEntry] = {}
    for entry in built_in():
        entries.setdefault(entry.type, entry)
    owners: dict[str, str] = {}
    problems: list[str] = []
    for owner, source in [*_installed(), *_loose(packs)]:
        try:
            brought = source() if callable(source) else source
            for entry in _checked(brought):
                if entry.type in entries:
                    taken = owners.get(entry.type, "nodegraph itself")
                    problems.append(f"{owner}: {taken} has an entry for `{entry.type}` already")
                    continue
                entries[entry.type] = entry
                owners[entry.type] = owner
        except (Exception, SystemExit) as error:  # noqa: BLE001 - importing runs the pack's code
            problems.append(f"{owner}: its entries for ComfyUI can't be used: {error}")
    return NodeTable(entries, tuple(problems))


def _installed() -> Iterator[tuple[str, Any]]:
    from nodegraph.core.entry_points import entry_points

    for point in entry_points(GROUP):
        yield f"pack `{point.name}`", point.load


def _loose(packs: Iterable[Pack]) -> Iterator[tuple[str, Any]]:
    for pack in packs:
        if pack.is_loose and (pack.root / f"{MODULE}.py").is_file():
            module = f"{pack.package}.{MODULE}"
            yield f"pack `{pack.name}`", lambda pack=pack, module=module: pack.import_module(module)


def _checked(brought: Any) -> tuple[TableEntry, ...]:
    """The entries that a pack brings.

    Raises:
        TypeError: It brings something else.
    """
    entries = getattr(brought, _ENTRIES, brought)
    if not isinstance(entries, (list, tuple)) or not all(
        isinstance(entry, TableEntry) for entry in entries
    ):
        raise TypeError(f"`{_ENTRIES}` has to be a tuple of `TableEntry`")
    return tuple(entries)
