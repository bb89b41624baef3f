"""What differs between what a key is made of now and what another was made of, in plain words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nodegraph.core.digests import Digest
from nodegraph.core.flat import is_value_name
from nodegraph.engine.external_reads import read_label
from nodegraph.engine.key_parts import Parts

DifferenceKind = Literal["input", "link", "code", "version", "profile", "outside"]
_SHOWN = 5
"""Modules named in one sentence."""
_NOTHING = "(not given)"
_VALUE = "a value in memory"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs.

    Attributes:
        port: The input that it is about, or what was read outside.
        old, new: As texts; empty where they say nothing to people.
        source: Of a link, the ``node.port`` that it comes from now.
    """

    kind: DifferenceKind
    port: str = ""
    old: str = ""
    new: str = ""
    source: str = ""
    modules: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.kind == "link":
            moved = f", which was {_named_giver(self.old)}," if self.old else ""
            giver = _named_giver(self.source)
            output = "" if giver == _VALUE else "the output of "
            return f"input {self.port}: {output}{giver}{moved} differs"
        if self.kind == "input":
            return f"input {self.port}: {self.old} → {self.new}"
        if self.kind == "code":
            return f"code changed{_named(self.modules)}"
        if self.kind == "outside":
            change = f": {self.old} → {self.new}" if self.old and self.new else ""
            return f"what it reads outside has changed{f': {self.port}' * bool(self.port)}{change}"
        if self.kind == "profile":
            return f"numerics, which its last bits depend on: {_parted(self.old, self.new)}"
        return f"version of the node type: {self.old} → {self.new}"


def _parted(old: str, new: str) -> str:
    """What differs between two numerics profiles, part by part."""
    before, now = old.split(", "), new.split(", ")
    gone = ", ".join([part for part in before if part not in now])
    come = ", ".join([part for part in now if part not in before])
    return f"{gone or 'as torch is by itself'} → {come or 'as torch is by itself'}"


def _named(modules: tuple[str, ...]) -> str:
    more = f" and {len(modules) - _SHOWN} more" if len(modules) > _SHOWN else ""
    return f": {', '.join(modules[:_SHOWN])}{more}" if modules else ""


def _node_of(source: str) -> str:
    return source.rpartition(".")[0] or source


def _named_giver(source: str) -> str:
    """The node that a link comes from, for a sentence."""
    node = _node_of(source)
    return _VALUE if is_value_name(node) else f"`{node}`"


def compare_parts(
    old: Parts,
    new: Parts,
    unknown: frozenset[str] = frozenset(),
    modules: Callable[[Digest], Mapping[str, Digest] | None] | None = None,
) -> list[Difference]:
    """What differs, inputs first.

    Args:
        unknown: Linked inputs whose digest isn't known now; nothing is said of them.
        modules: Finds the modules behind a code digest, to name those that changed.
    """
    changes = [*_literals(old, new, unknown), *_links(old, new)]
    if old.get("version") != new.get("version"):
        changes.append(
            Difference("version", old=str(old.get("version")), new=str(new.get("version")))
        )
    elif old.get("code") != new.get("code"):
        changed = _changed_modules(old.get("code", ""), new.get("code", ""), modules)
        changes.append(Difference("code", modules=changed))
    if old.get("profile") != new.get("profile"):
        changes.append(Difference("profile", old=str(old["profile"]), new=str(new["profile"])))
    if old.get("fingerprint") != new.get("fingerprint"):
        changes.append(_outside(str(old.get("fingerprint", "")), str(new.get("fingerprint", ""))))
    return [*changes, *_readings(_of(old, "readings"), _of(new, "readings"))]


def _readings(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[Difference]:
    for name, digest in new.items():
        if old.get(name) != digest:
            yield Difference("outside", read_label(name))


def _literals(old: Parts, new: Parts, unknown: frozenset[str]) -> list[Difference]:
    before, now = _of(old, "literals"), _of(new, "literals")
    links_before, links_now = _of(old, "links"), _of(new, "links")
    changes = []
    for port in dict.fromkeys((*now, *before)):
        if before.get(port) == now.get(port):
            continue
        was = before[port] if port in before else _linked(links_before.get(port))
        if port in now:
            becomes = now[port]
        else:
            becomes = "linked" if port in unknown else _linked(links_now.get(port))
        changes.append(Difference("input", port, str(was), str(becomes)))
    return changes


def _linked(link: Any) -> str:
    if link is None:
        return _NOTHING
    return _VALUE if is_value_name(_node_of(link[1])) else f"from `{link[1]}`"


def _links(old: Parts, new: Parts) -> list[Difference]:
    before, now = _of(old, "links"), _of(new, "links")
    changes = []
    for port, (digest, source) in now.items():
        was = before.get(port)
        if was is None and port in _of(old, "literals"):
            continue  # told among the literals
        if was is None:
            changes.append(Difference("input", port, _NOTHING, _linked((digest, source))))
        elif was[0] != digest:
            moved = was[1] if _node_of(was[1]) != _node_of(source) else ""
            changes.append(Difference("link", port, moved, "", source))
    return changes


def _of(parts: Parts, name: str) -> Mapping[str, Any]:
    part = parts.get(name)
    return part if isinstance(part, Mapping) else {}


def _outside(old: str, new: str) -> Difference:
    is_readable = max(len(old), len(new)) <= 40 and not any(map(_is_digest, (old, new)))
    return Difference("outside", old=old, new=new) if is_readable else Difference("outside")


def _is_digest(text: str) -> bool:
    return len(text) >= 32 and all(char in "0123456789abcdef" for char in text)


def _changed_modules(
    old: Digest, new: Digest, modules: Callable[[Digest], Mapping[str, Digest] | None] | None
) -> tuple[str, ...]:
    before, now = (modules(digest) if modules else None for digest in (old, new))
    if before is None or now is None:
        return ()
    return tuple(name for name in sorted({*before, *now}) if before.get(name) != now.get(name))
