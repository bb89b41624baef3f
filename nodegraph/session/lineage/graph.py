"""The lineage of one file: what it was made from, what was made from it, and what shares a source.

An input of a result may be a result itself, so both directions are followed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Literal

from nodegraph.core.digests import Digest
from nodegraph.packs.pack import OWN_DISTRIBUTION
from nodegraph.store.lineage import Lineage, LineageFile, LineageSource, SourceRole

EntryRole = Literal["result", "input", "model", "adapter", "pack", "seed"]
SHARED_ROLES: tuple[SourceRole, ...] = ("input", "model", "adapter", "seed")
"""Sources by which results are related. Most results share a pack, so it says little."""
MOST = 500
"""Entries in each direction."""
DEEPEST = 32
"""Steps in each direction."""
_MOST_LOOKED_AT = 10_000
"""Results of which it is asked whether they may be shown: others may have made most of them."""
_MOST_RELATED = 24
"""Results that are listed for each shared source."""

IsVisible = Callable[[LineageFile], bool]


@dataclass(frozen=True, slots=True)
class LineageEntry:
    """A file, or something else that a result was made from.

    Attributes:
        role: What it is to the entry above it; ``result`` for a file that nodegraph wrote.
        key: Digest of a file or of a pack's code; of a seed, the number.
        name: Name of the file, pack or input.
        detail: Kind of the model component, or version of the pack.
        file: What is known of a result; None for everything else.
        children: Entries of the next step: in `LineageGraph.made_from` what it was made from, in
            `LineageGraph.used_in` what was made from it.
        is_repeated: Whether its children stand at another entry of the same key.
    """

    role: EntryRole
    key: str
    name: str = ""
    detail: str = ""
    file: LineageFile | None = None
    children: tuple[LineageEntry, ...] = ()
    is_repeated: bool = False

    def to_document(self) -> dict[str, Any]:
        """JSON values."""
        file = self.file
        return {
            "role": self.role,
            "key": self.key,
            "name": self.name,
            "detail": self.detail,
            "node": "" if file is None else file.node,
            "title": "" if file is None else file.title,
            "kind": "" if file is None else file.kind,
            "created": None if file is None else file.created,
            "is_result": file is not None,
            "is_repeated": self.is_repeated,
            "children": [each.to_document() for each in self.children],
        }


@dataclass(frozen=True, slots=True)
class RelatedResults:
    """Results that share a source with the subject.

    Attributes:
        source: What they share.
        results: The newest of them, without the subject.
        has_more: Whether there are more.
    """

    source: LineageSource
    results: tuple[LineageFile, ...]
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class LineageGraph:
    """The lineage of one file.

    Attributes:
        subject: The file.
        made_from: What it was made from, recursively.
        used_in: Results that were made from it, recursively.
        related: Results that share a source with it.
        is_complete: Whether nothing was left out.
    """

    subject: LineageEntry
    made_from: tuple[LineageEntry, ...] = ()
    used_in: tuple[LineageEntry, ...] = ()
    related: tuple[RelatedResults, ...] = ()
    is_complete: bool = True

    def to_document(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "subject": self.subject.to_document(),
            "made_from": [each.to_document() for each in self.made_from],
            "used_in": [each.to_document() for each in self.used_in],
            "related": [
                {
                    "role": each.source.role,
                    "key": each.source.key,
                    "name": each.source.name,
                    "detail": each.source.detail,
                    "has_more": each.has_more,
                    "results": [_result_entry(file).to_document() for file in each.results],
                }
                for each in self.related
            ],
            "is_complete": self.is_complete,
        }

    def edges(self) -> Iterator[tuple[LineageEntry, LineageEntry]]:
        """Each source with what was made from it, once."""
        known: set[tuple[str, str]] = set()
        for source, result in (
            *_up(self.subject, self.made_from),
            *_down(self.subject, self.used_in),
        ):
            if (source.key, result.key) not in known:
                known.add((source.key, result.key))
                yield source, result


def _up(
    entry: LineageEntry, sources: Iterable[LineageEntry]
) -> Iterator[tuple[LineageEntry, LineageEntry]]:
    for source in sources:
        yield source, entry
        yield from _up(source, source.children)


def _down(
    entry: LineageEntry, results: Iterable[LineageEntry]
) -> Iterator[tuple[LineageEntry, LineageEntry]]:
    for result in results:
        yield entry, result
        yield from _down(result, result.children)


def build_lineage(
    lineage: Lineage, digest: Digest, is_visible: IsVisible = lambda file: True
) -> LineageGraph:
    """The lineage of a file.

    Args:
        digest: Of a result, or of a file that results were made from.
        is_visible: Whether a result may be shown; others are left out with what only they lead to.
    """
    return _Builder(lineage, is_visible).build(digest)


@dataclass
class _Builder:
    """Follows the index in both directions, each file once."""

    lineage: Lineage
    is_visible: IsVisible
    _count: int = field(default=0, init=False)
    _is_complete: bool = field(default=True, init=False)
    _visible: dict[Digest, bool] = field(default_factory=dict, init=False)

    def build(self, digest: Digest) -> LineageGraph:
        file = self._file(digest)
        if file is not None:
            subject = _result_entry(file)
        else:
            source = self.lineage.source(digest)
            subject = _source_entry(source) if source else LineageEntry("input", digest)
        made_from = self._made_from(digest, {digest}, 0) if file is not None else ()
        self._count = 0
        used_in = self._used_in(subject, {digest}, 0)
        related = tuple(self._related(digest)) if file is not None else ()
        return LineageGraph(subject, made_from, used_in, related, self._is_complete)

    def _file(self, digest: Digest) -> LineageFile | None:
        file = self.lineage.file(digest)
        return file if file is not None and self._may_show(file) else None

    def _may_show(self, file: LineageFile) -> bool:
        if file.digest not in self._visible:
            self._visible[file.digest] = self.is_visible(file)
        return self._visible[file.digest]

    def _is_full(self, depth: int) -> bool:
        """Whether one more entry would be too many."""
        self._count += 1
        is_full = self._count > MOST or depth >= DEEPEST
        if is_full:
            self._is_complete = False
        return is_full

    def _made_from(
        self, digest: Digest, passed: set[Digest], depth: int
    ) -> tuple[LineageEntry, ...]:
        entries = []
        for source in self.lineage.sources(digest):
            if source.key == digest:
                continue  # a copy: its bytes are those of the input
            if self._is_full(depth):
                break
            file = self._file(source.key) if source.role == "input" else None
            if file is None:
                entries.append(_source_entry(source))
                continue
            is_repeated = source.key in passed
            passed.add(source.key)
            children = () if is_repeated else self._made_from(source.key, passed, depth + 1)
            entries.append(_result_entry(file, children, is_repeated=is_repeated))
        return tuple(entries)

    def _used_in(
        self, entry: LineageEntry, passed: set[Digest], depth: int
    ) -> tuple[LineageEntry, ...]:
        role: SourceRole = "input"
        if entry.role in ("model", "adapter"):
            role = "model" if entry.role == "model" else "adapter"
        entries = []
        for file in self._users(role, entry.key, entry.key, MOST + 1):
            if self._is_full(depth):
                break
            result = _result_entry(file)
            is_repeated = file.digest in passed
            passed.add(file.digest)
            children = () if is_repeated else self._used_in(result, passed, depth + 1)
            entries.append(_result_entry(file, children, is_repeated=is_repeated))
        return tuple(entries)

    def _users(self, role: SourceRole, key: str, but: Digest, most: int) -> list[LineageFile]:
        """The newest results that were made from something and may be shown.

        Args:
            but: A result that is left out.
            most: How many at the most.
        """
        looked_at = self.lineage.users(role, key, _MOST_LOOKED_AT)
        shown = (file for file in looked_at if file.digest != but and self._may_show(file))
        users = list(islice(shown, most))
        if len(users) < most and len(looked_at) == _MOST_LOOKED_AT:
            self._is_complete = False
        return users

    def _related(self, digest: Digest) -> Iterator[RelatedResults]:
        known: set[tuple[str, str]] = set()
        for source in self.lineage.sources(digest):
            if source.role not in SHARED_ROLES or (source.role, source.key) in known:
                continue
            known.add((source.role, source.key))
            others = self._users(source.role, source.key, digest, _MOST_RELATED + 1)
            if others:
                shown = tuple(others[:_MOST_RELATED])
                yield RelatedResults(source, shown, len(others) > _MOST_RELATED)


def _result_entry(
    file: LineageFile, children: tuple[LineageEntry, ...] = (), *, is_repeated: bool = False
) -> LineageEntry:
    return LineageEntry("result", file.digest, file.name, "", file, children, is_repeated)


def _source_entry(source: LineageSource) -> LineageEntry:
    return LineageEntry(source.role, source.key, source.name, source.detail)


def is_notable(entry: LineageEntry) -> bool:
    """Whether people want to see an entry: not the built-in pack, of which every result is made."""
    return not (entry.role == "pack" and entry.name == OWN_DISTRIBUTION)
