"""Digests of functions that were added by hand, as nodes of scripts and notebooks are."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from nodegraph.core.digests import Digest

if TYPE_CHECKING:
    from nodegraph.packs.code_reader import CodeTrace

_SAME: dict[Digest, Digest] = {}
"""Of code that has changed what it reaches while it ran: its digests before that.

Those of the process, as a function is the same in its next session.
"""
_MOST_SAME = 10_000


def baseline_digest(digest: Digest) -> Digest:
    """The digest that code had before it ran, if running has changed it to this one."""
    return _SAME.get(digest, digest)


def rebaseline_digest(after: Digest, before: Digest) -> None:
    """Take what running has changed of what code reaches for no edit of it."""
    if after != before:
        _SAME[after] = before
        if len(_SAME) > _MOST_SAME:
            del _SAME[next(iter(_SAME))]


class FunctionDigests:
    """Digests of the functions that were added to one registry, as they are when first asked for.

    They are asked for before a run, as it may change what they reach.

    Args:
        met: Takes the classes that a function reaches, and whether these are all.

    Attributes:
        may_expand: Whether one of them may add nodes to a run.
    """

    def __init__(self, met: Callable[[list[type], bool], None] | None = None) -> None:
        self._met = met or (lambda kinds, is_all: None)
        self.may_expand = False
        self._now: dict[str, tuple[Callable[..., Any], Digest, CodeTrace]] = {}
        self._warned: set[str] = set()
        self._has_run = False

    def runs(self) -> None:
        """One of them is about to run."""
        self._has_run = True

    def digest(self, name: str, function: Callable[..., Any]) -> Digest:
        """Digest of a function; where it can't be told from others, another one each time.

        Args:
            name: Of its node type.
        """
        if name not in self._now:
            from nodegraph.packs.code_reader import CodeTrace

            met = CodeTrace()
            code_digest = self._read(name, function, met)
            self._met(met.classes, code_digest is not None)
            self.may_expand |= met.uses_expand or code_digest is None
            self._now[name] = function, baseline_digest(code_digest or uuid4().hex), met
        return self._now[name][1]

    def expandable_types(self, name: str) -> Collection[str]:
        """Texts that may name the node types of what a node's function adds to a run."""
        known = self._now.get(name)
        return known[2].texts if known is not None and known[2].uses_expand else ()

    def is_as_digested(self, name: str) -> bool:
        """Whether no function or class that a node's function names was defined anew since then."""
        known = self._now.get(name)
        return known is None or known[2].is_unchanged()

    def refresh(self) -> None:
        """Look at the functions once more when they are asked for next."""
        self._now.clear()

    def rebaseline(self) -> bool:
        """Runs are over: what the functions changed of what they can reach is no edit of them.

        Such as a list in which one notes that it was called, or its own cache. What was defined
        anew meanwhile is one: the cell of a notebook, or a module.

        Returns:
            Whether one of them may have run.
        """
        if not self._has_run:
            return False
        self._has_run = False
        for name, (function, before, met) in self._now.items():
            after = self._read(name, function) if met.is_unchanged() else None
            if after is not None:
                rebaseline_digest(after, before)
        self._now.clear()
        return True

    def _read(
        self, name: str, function: Callable[..., Any], trace: CodeTrace | None = None
    ) -> Digest | None:
        from nodegraph.packs.code_reader import Unreadable, code_digest  # of use only to runs

        try:
            return code_digest(function, trace)
        except Unreadable as error:
            if name not in self._warned:
                self._warned.add(name)
                warnings.warn(
                    f"results of node `{name}` aren't kept, as it can't be told whether it has "
                    f"changed: it reaches {error}",
                    stacklevel=2,
                )
            return None
