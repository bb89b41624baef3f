"""Parts of a cache key that are stored, and the differences between two keys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nodegraph.core.digests import Digest, Undigestable, digest_bytes, digest_value
from nodegraph.core.flat_workflow import is_value_name
from nodegraph.core.graph import GraphNode
from nodegraph.engine.external_reads import read_label

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
            return (
                "external data that it reads has "
                f"changed{f': {self.port}' * bool(self.port)}{change}"
            )
        if self.kind == "profile":
            return f"numerical settings that affect its last bits: {_parted(self.old, self.new)}"
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


LONGEST = 200
"""Characters of a literal, or of what a node reads outside, that are kept."""

Parts = Mapping[str, Any]
"""Plain values: ``version``, ``code``, ``profile``, ``fingerprint``, ``literals`` (texts by port)
and ``links`` (digest and ``node.port`` by port)."""


def key_parts(
    node: GraphNode,
    links: Mapping[str, Digest],
    *,
    code: Digest,
    profile: str = "",
    fingerprint: str = "",
    readings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What a call's key is made of, in a form that people can read.

    Args:
        links: Digests of the linked inputs, the lazy ones that were asked for included.
        code, profile, fingerprint: As they entered the key.
        readings: What it has read outside, with a fingerprint of each.
    """
    sources = {port: f"{source.node}.{source.port}" for port, source in node.links.items()}
    return {
        "version": node.spec.version,
        "code": code,
        "profile": profile,
        "fingerprint": short(fingerprint),
        **({"readings": dict(readings)} if readings else {}),
        "literals": {port: literal_text(value) for port, value in node.literals.items()},
        "links": {port: [digest, sources.get(port, "")] for port, digest in links.items()},
    }


def literal_text(value: Any) -> str:
    """A literal as JSON; of a long one the beginning, and a digest that tells it from others."""
    try:
        text = json.dumps(value, ensure_ascii=False, default=_other)
    except (TypeError, ValueError, RecursionError):
        text = _other(value)
    return short(text)


def short(text: str) -> str:
    """A text; of a long one the beginning, and a digest that tells it from others."""
    # JSON can hold half a surrogate pair, which has no UTF-8.
    data = text.encode("utf-8", "backslashreplace")
    decoded = data.decode()
    if len(decoded) <= LONGEST:
        return decoded
    return f"{decoded[: LONGEST - 20]}… #{digest_bytes(data)[:12]}"


def _other(value: Any) -> str:
    try:
        return f"{type(value).__name__} #{digest_value(value)[:12]}"
    except (Undigestable, RecursionError):
        return type(value).__name__
