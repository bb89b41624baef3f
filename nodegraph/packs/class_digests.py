"""What stands for a class in digests of its values: its name, and its code where that is edited.

A value's methods are none of its parts, and yet a node that is handed one may call them without
ever naming the class. A pack's class counts with its module, as a node type does. One of a script
or notebook counts with what it can reach, as it is before a node runs that may make or change it.
Libraries' classes count by name, as their code doesn't enter digests of nodes either.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from dataclasses import is_dataclass
from enum import Enum
from weakref import WeakKeyDictionary, WeakSet

from nodegraph.core.digests import Digest, Undigestable, is_named_tuple, type_name
from nodegraph.errors import PackError
from nodegraph.packs.code_reader import CodeTrace, Unreadable, code_digest
from nodegraph.packs.functions import baseline_digest, rebaseline_digest
from nodegraph.packs.libraries import is_of_library


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
        met = CodeTrace()
        try:
            digest = code_digest(kind, met)
        # Sets and mappings may change while they are read, if nodes run.
        except (Unreadable, RuntimeError) as error:
            raise Undigestable(
                f"{kind.__qualname__} has no content digest: it reaches {error}"
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
