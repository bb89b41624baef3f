"""A merge whose changes are chosen one by one.

Each side's changes since the base can be left out. A conflict is settled by leaving out the
changes of one side that take part in it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from nodegraph.core.comparison.changes import WorkflowChange, diff, names_of
from nodegraph.core.comparison.fields import Path
from nodegraph.core.comparison.references import PartNames, renamed_path
from nodegraph.core.comparison.reversal import with_dependent, without_changes
from nodegraph.core.comparison.three_way_merge import Merge, MergeConflict, merge


@dataclass(frozen=True)
class MergeReview:
    """Both sides' changes, which of them are left out, and the merge of the others.

    Attributes:
        ours, theirs: The changes of each side since the base.
        skipped_ours, skipped_theirs: Indices of those that are left out, with those that need
            them.
        merge: The merge of the other changes.
        sides: For each conflict, the indices of ours and of theirs that take part in it.
    """

    ours: list[WorkflowChange]
    theirs: list[WorkflowChange]
    skipped_ours: list[int]
    skipped_theirs: list[int]
    merge: Merge
    sides: list[tuple[list[int], list[int]]]


def review_merge(
    base: Any,
    ours: Any,
    theirs: Any,
    skipped_ours: Collection[int] = (),
    skipped_theirs: Collection[int] = (),
) -> MergeReview:
    """Merge two workflows without some of their changes.

    Args:
        base, ours, theirs: Workflows or their documents.
        skipped_ours, skipped_theirs: Indices of changes to leave out, in the order of `diff`.

    Raises:
        InvalidFile: One is no workflow.
        InvalidWorkflow: Parts of one have the wrong form.
    """
    sides = []
    for document, skipped in ((ours, skipped_ours), (theirs, skipped_theirs)):
        changes = diff(base, document)
        left_out = with_dependent(changes, skipped)
        kept = without_changes(base, document, changes, left_out) if left_out else document
        sides.append((changes, left_out, kept))
    merged = merge(base, sides[0][2], sides[1][2])
    takers = [
        _Takers(changes, skipped, merged.names[0], merged.names[at])
        for at, (changes, skipped, _) in enumerate(sides, start=1)
    ]
    return MergeReview(
        sides[0][0],
        sides[1][0],
        sides[0][1],
        sides[1][1],
        merged,
        [(takers[0].of(each), takers[1].of(each)) for each in merged.conflicts],
    )


class _Takers:
    """Which changes of a side take part in a conflict."""

    def __init__(
        self,
        changes: Sequence[WorkflowChange],
        skipped: Collection[int],
        base: PartNames,
        side: PartNames,
    ) -> None:
        own = names_of(changes)
        self._at: dict[Path, set[int]] = {}
        self._below: dict[Path, set[int]] = {}
        for at, change in enumerate(changes):
            for path in () if at in skipped else set(_shared_paths(change, base, side, own)):
                self._at.setdefault(path, set()).add(at)
                for length in range(len(path)):
                    self._below.setdefault(path[:length], set()).add(at)

    def of(self, conflict: MergeConflict) -> list[int]:
        """Return the indices of the changes at, above and below the places of a conflict."""
        indices: set[int] = set()
        for shared in (conflict.path, *conflict.causes):
            indices |= self._below.get(shared, set())
            for length in range(len(shared) + 1):
                indices |= self._at.get(shared[:length], set())
        return sorted(indices)


def _shared_paths(
    change: WorkflowChange, base: PartNames, side: PartNames, own: PartNames
) -> Iterator[Path]:
    """The places of a change by the names in the merged workflow."""
    if change.verb == "removed":
        yield renamed_path(change.path, base)
        for path in change.moved if change.kind in ("node", "subgraph") else ():
            yield renamed_path(path, base)
    elif change.verb == "renamed":
        yield renamed_path(change.path, base)
        yield renamed_path(renamed_path(change.path, own), side)
    else:
        yield renamed_path(change.path, side)
