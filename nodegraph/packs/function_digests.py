"""Digests of functions and classes that scripts and notebooks define.

A node may call methods of an input value without naming its class, so the class counts too. A
pack's class counts with its module, as a node type does. A class of a script or notebook counts
with everything that it can reach, read before a node runs that may create or change it. Libraries'
classes count by name, because their code doesn't enter the digests of nodes either.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Container, Iterable
from dataclasses import is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any
from uuid import uuid4
from weakref import WeakKeyDictionary, WeakSet

from nodegraph.core.digests import Digest, Undigestable, is_named_tuple, type_name
from nodegraph.errors import PackError

if TYPE_CHECKING:
    from nodegraph.packs.code_reader import CodeTrace


class ClassDigests:
    """What stands for the classes of one registry's values. Safe to use from several threads.

    Args:
        of_pack: Digest of the code behind a class that a pack defines, else None.
        named: Classes whose values packs have digested by functions of their own.
    """

    def __init__(
        self, of_pack: Callable[[type], Digest | None], named: Container[type] = ()
    ) -> None:
        self._of_pack = of_pack
        self._named = named
        # Kept until they are read anew, as results of a run that ended may still be compared.
        self._keys: WeakKeyDictionary[type, str] = WeakKeyDictionary()
        self._read_once: WeakSet[type] = WeakSet()
        # Of those that were read since the last look.
        self._codes: WeakKeyDictionary[type, tuple[Digest, CodeTrace]] = WeakKeyDictionary()
        self._is_blind = False

    def class_key(self, kind: type) -> str:
        """A class's name, with a digest of its code if that may be edited.

        Raises:
            Undigestable: Its code can't be told from another.
        """
        known = self._keys.get(kind)
        return known if known is not None else self._looked_up(kind)

    def _looked_up(self, kind: type) -> str:
        from nodegraph.packs.code_reader import is_of_library  # of use only to runs

        if is_of_library(kind):
            digest: Digest | None = None
        else:
            try:
                digest = self._of_pack(kind)
            except PackError as error:
                raise Undigestable(f"{kind.__qualname__} has no content digest: {error}") from error
            if digest is None:
                # What makes its values is no function that was read, and counts without it too.
                return self._read(kind) if self._is_blind else type_name(kind)
        self._keys[kind] = known = _joined(kind, digest)
        return known

    def note_reached(self, kinds: Iterable[type], *, is_all: bool) -> None:
        """Note classes that a function reaches, before it runs.

        Args:
            is_all: Whether it reaches no others; else what isn't known is read as it comes.
        """
        for kind in kinds:
            if kind not in self._codes and (_has_parts(kind) or kind in self._named):
                try:
                    self._read(kind)
                except Undigestable:
                    is_all = False  # whoever asks for it is told
        if not is_all:
            self._is_blind = True
            for kind in list(self._read_once):
                if kind not in self._codes:
                    self._keys.pop(kind, None)

    def _read(self, kind: type) -> str:
        from nodegraph.packs.code_reader import CodeTrace, Unreadable, code_digest

        met = CodeTrace()
        try:
            digest = code_digest(kind, met)
        # Sets and mappings may change while they are read, if nodes run.
        except (Unreadable, RuntimeError) as error:
            raise Undigestable(
                f"{kind.__qualname__} has no content digest: it uses {error}"
            ) from error
        digest = baseline_digest(digest)
        self._codes[kind] = digest, met
        self._read_once.add(kind)
        self._keys[kind] = known = _joined(kind, digest)
        return known

    def refresh(self) -> None:
        """Read classes of scripts once more when a function is read that reaches them."""
        self._codes.clear()
        self._is_blind = False

    def rebaseline(self) -> None:
        """Runs are over: what they changed of what classes reach is no edit of these."""
        from nodegraph.packs.code_reader import Unreadable, code_digest

        for kind, (before, met) in list(self._codes.items()):
            if not met.is_unchanged():
                continue
            try:
                rebaseline_digest(code_digest(kind), before)
            except (Unreadable, RuntimeError):
                continue


def _has_parts(kind: type) -> bool:
    """Whether values of a class are digested by their parts."""
    return is_dataclass(kind) or issubclass(kind, Enum) or is_named_tuple(kind)


def _joined(kind: type, code: Digest | None) -> str:
    return type_name(kind) if code is None else f"{type_name(kind)} {code}"


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
                    f"results of node `{name}` are not kept, because changes of its code cannot "
                    f"be detected: it uses {error}",
                    stacklevel=2,
                )
            return None
