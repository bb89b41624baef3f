"""Workflows and messages that are nearly right, or nothing at all; the same ones for a seed."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from random import Random
from typing import Any

import msgpack

GALLERY = Path(__file__).parents[2] / "workflows"
WORDS = (
    *("", "a", "save", "load.model", "sample", "load.", ".", "..", "../../etc/passwd", "/dev/zero"),
    *("C:\\x", "con", "null", "NaN", "true", "0", "1e999", "upload:", "upload:" + "0" * 64, "%2e"),
    *(
        "é",
        "\u202edesrever",
        "\0",
        "a\nb",
        "\ud800",
        "😀" * 50,
        "z" * 5_000,
        "<script>",
        "a/b",
        "$.x",
    ),
    *("tiny", "KSampler", "sums:Sum", "Fold", "body", "__class__", "from", "value", "nodegraph/2"),
)
NUMBERS = (
    *(0, 1, -1, 2, 7, 65_537, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63), 10**40, 10**300),
    *(0.0, -0.0, 0.5, -1.5, 1e-320, 1e308, float("nan"), float("inf"), float("-inf")),
)
TYPES = (
    *("KSampler", "LoadModel", "EncodePrompt", "VAEDecode", "SaveImage", "ImageGrid", "Lines"),
    *("Range", "Item", "Length", "Calculate", "Compare", "Round", "ForEach", "Fold", "Repeat"),
    *("While", "Switch", "Select", "Gate", "sums:Number", "sums:Sum", "sums:Show", "sums:Checked"),
    *("repaint", "double", "nothing", "sums:Nothing", "PreviewImage", "LoadImage", "SeedRange"),
)


def _looped() -> dict[str, Any]:
    """All kinds of loops, on numbers: it runs without a library."""
    block = {
        "inputs": {"item": {"type": "int", "to": ["sum.a"]}, "b": {"to": ["sum.b"]}},
        "outputs": {"result": "sum"},
        "nodes": {"sum": {"type": "sums:Sum"}},
    }
    folded = {
        "inputs": {"accumulated": {"type": "int", "to": ["sum.a"]}, "item": {"to": ["sum.b"]}},
        "outputs": {"accumulated": "sum"},
        "nodes": {"sum": {"type": "sums:Sum"}},
    }
    repeated = {
        "inputs": {"state": {"type": "int", "to": ["sum.a"]}},
        "outputs": {"state": "sum"},
        "nodes": {"sum": {"type": "sums:Sum", "inputs": {"b": 1}}},
    }
    items = {"from": "items"}
    nodes = {
        "items": {"type": "Range", "inputs": {"start": 0, "stop": 4}},
        "each": {"type": "ForEach", "inputs": {"items": items, "body": "add", "b": 2}},
        "fold": {"type": "Fold", "inputs": {"items": items, "initial": 1, "body": "folded"}},
        "again": {"type": "Repeat", "inputs": {"state": 1, "body": "double", "times": 3}},
        "mapped": {"type": "sums:Sum", "inputs": {"a": {"from": "each.results"}, "b": 1}},
        "one": {"type": "add", "inputs": {"item": {"from": "fold.result"}, "b": 3}},
        "show": {"type": "sums:Show", "inputs": {"value": {"from": "one"}}},
        "also": {"type": "sums:Show", "inputs": {"value": {"from": "mapped"}}},
        "last": {"type": "sums:Show", "inputs": {"value": {"from": "again.state"}}},
    }
    return {
        "format": "nodegraph/1",
        "title": "Loops",
        "parameters": {"b": "each.b", "times": {"input": "again.times", "label": "Times"}},
        "nodes": nodes,
        "subgraphs": {"add": block, "folded": folded, "double": repeated},
    }


def _summed() -> dict[str, Any]:
    nodes = {
        "two": {"type": "sums:Number", "version": 1, "inputs": {"value": 2}},
        "sum": {"type": "sums:Sum", "inputs": {"a": {"from": "two"}, "b": 3}, "always": True},
        "show": {"type": "sums:Show", "inputs": {"value": {"from": "sum"}}},
        "look": {"type": "sums:Checked", "inputs": {"path": "good"}, "label": "Looks"},
    }
    return {"format": "nodegraph/1", "parameters": {"b": "sum.b"}, "nodes": nodes, "ui": {"x": 1}}


QUICK = (_looped(), _summed())
"""Workflows that run in milliseconds."""
DRAWN = tuple(json.loads(path.read_text("utf-8")) for path in sorted(GALLERY.glob("*.json")))
"""Those of the gallery: they need models and minutes, and so are never run here."""


class Fuzzer:
    """Makes them.

    Args:
        seed: Of the random numbers.
    """

    def __init__(self, seed: int | str) -> None:
        self.random = Random(seed)

    def workflow(self, seeds: Sequence[Any] = (*DRAWN, *QUICK)) -> Any:
        """A workflow with up to four faults; one in eight has none."""
        found = deepcopy(self.random.choice(seeds))
        changes = 0 if self.random.random() < 0.125 else self.random.randint(1, 4)
        for _ in range(changes):
            found = self.random.choice(_CHANGES)(self, found)
        return found

    def wish(self, workflow: Any) -> dict[str, Any]:
        """What is asked about a workflow, now and then with parameters and targets."""
        found = {"workflow": workflow}
        if self.random.random() < 0.2:
            name = self.random.choice(["b", "seed", "prompt", "times", self.word()])
            found["parameters"] = {name: self.value()}
        if self.random.random() < 0.1:
            found["targets"] = [self.random.choice(["show", "save", self.word()])]
        return self.anywhere(found) if self.random.random() < 0.05 else found

    def text(self, document: Any) -> bytes:
        """JSON of a document, now and then damaged."""
        try:
            data = json.dumps(document, ensure_ascii=self.random.random() < 0.9).encode()
        except (UnicodeEncodeError, ValueError, RecursionError):
            data = json.dumps(document, skipkeys=True).encode()
        return self.damaged(data) if self.random.random() < 0.05 else data

    def message(self) -> Any:
        """A message for the websocket, right or nearly so. None of its jobs runs."""
        kind = self.random.choice(sorted(_MESSAGES))
        found = {"type": kind, "id": self.random.randint(1, 1 << 30), **_MESSAGES[kind](self)}
        changes = 0 if self.random.random() < 0.3 else self.random.randint(1, 3)
        for _ in range(changes):
            found = self.anywhere(found)
            if kind == "submit" and isinstance(found, dict):
                found["held"] = found.get("held") or True
        return found

    def frame(self, form: str) -> bytes | str:
        """A message as it is sent: packed or as JSON, whole or damaged, or bytes of no meaning."""
        if self.random.random() < 0.1:
            data = self.random.randbytes(self.random.choice([0, 1, 7, 64, 3_000]))
        elif form.endswith("json"):
            data = self.text(self.message())
        else:
            data = self.packed(self.message())
        if self.random.random() < 0.15:
            data = self.damaged(data)
        is_text = form.endswith("json") != (self.random.random() < 0.01)
        return data.decode(errors="replace") if is_text else data

    def packed(self, message: Any) -> bytes:
        """Msgpack of a message; numbers that it can't hold become what it can't be."""
        try:
            found: bytes = msgpack.packb(message, unicode_errors="surrogatepass")
        except (OverflowError, ValueError, TypeError):
            found = b"\xdd\xff\xff\xff\xff" + self.random.randbytes(20)
        return found

    def raw_frame(self) -> bytes:
        """Bytes below messages: a frame with wrong bits, a huge length, no mask, or half of it."""
        first = self.random.choice([0x81, 0x82, 0x80, 0x01, 0x88, 0x89, 0x8A, 0xF1, 0x83, 0x0F])
        mask = self.random.choice([0x80, 0x80, 0x80, 0])
        length = self.random.choice([0, 5, 125, 126, 127])
        size = {126: struct.pack("!H", self.random.choice([1, 300, 65_535]))}.get(length, b"")
        if length == 127:
            size = struct.pack("!Q", self.random.choice([70_000, 1 << 31, (1 << 63) - 1, 1 << 63]))
        body = self.random.randbytes(self.random.choice([0, 3, 200]))
        return bytes([first, mask | length]) + size + b"\1\2\3\4" * bool(mask) + body

    def damaged(self, data: bytes) -> bytes:
        """Bytes that were cut, changed, doubled, or have a huge length put into them."""
        found, at = bytearray(data), self.random.randrange(len(data) + 1)
        match self.random.randrange(5):
            case 0:
                del found[at:]
            case 1:
                found[at : at + 4] = self.random.randbytes(4)
            case 2:
                found[at:at] = found[at : at + 40]
            case 3:
                found[at:at] = self.random.choice(
                    [b"\xdd\xff\xff\xff\xff", b"\xdb\x7f\xff\xff\xff"]
                )
            case _:
                found += self.random.choice([b"\xc1", b"}", b"\0", b"[" * 2_000, b"\x91" * 2_000])
        return bytes(found)

    # Parts.

    def word(self) -> str:
        return self.random.choice(WORDS)

    def value(self) -> Any:
        """Some value of JSON, or of what passes for it."""
        match self.random.randrange(9):
            case 0 | 1:
                return self.random.choice(NUMBERS)
            case 2 | 3:
                return self.word()
            case 4:
                return self.random.choice([None, True, False, [], {}])
            case 5:
                return _nested(self.random.choice([3, 30, 70, 150]), self.random.random() < 0.5)
            case 6:
                return {self.random.choice(["from", "value", self.word()]): self.word()}
            case 7:
                return [self.word()] * self.random.choice([1, 3, 2_000])
            case _:
                return {self.word(): self.random.choice(NUMBERS) for _ in range(3)}

    def anywhere(self, document: Any) -> Any:
        """A document with one value in it replaced, taken away, doubled or moved."""
        places = list(_places(document))
        if not places:
            return self.value()
        holder, key = self.random.choice(places)
        match self.random.randrange(6):
            case 0 | 1 | 2:
                holder[key] = self.value()
            case 3:
                del holder[key]
            case 4:
                other, name = self.random.choice(places)
                holder[key] = deepcopy(other[name])
            case _ if isinstance(holder, dict):
                holder[self.word()] = holder[key]
            case _:
                holder.append(holder[key])
        return document


def _nested(levels: int, is_list: bool) -> Any:
    found: Any = 1
    for _ in range(levels):
        found = [found] if is_list else {"a": found}
    return found


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inner:
        yield value, key
        if isinstance(item, (dict, list)):
            yield from _places(item)


def _nodes(fuzzer: Fuzzer, document: Any) -> dict[str, Any]:
    """The nodes of a workflow or of one of its blocks that still have their form."""
    blocks = document.get("subgraphs") if isinstance(document, dict) else None
    parts = [document, *(blocks.values() if isinstance(blocks, dict) else ())]
    found = [part.get("nodes") for part in parts if isinstance(part, dict)]
    good = [
        {name: node for name, node in each.items() if isinstance(node, dict)}
        for each in found
        if isinstance(each, dict)
    ]
    return fuzzer.random.choice(good) if good else {}


def _entry(change: Callable[[Fuzzer, dict[str, Any], dict[str, Any]], None]) -> Any:
    """A change of one node: it is given all nodes around, and the one."""

    def changed(fuzzer: Fuzzer, document: Any) -> Any:
        nodes = _nodes(fuzzer, document)
        if nodes:
            change(fuzzer, nodes, fuzzer.random.choice(list(nodes.values())))
        return document

    return changed


def _linked(fuzzer: Fuzzer, nodes: dict[str, Any], node: dict[str, Any]) -> None:
    """A link somewhere else: to itself, in a circle, to no port, to nothing."""
    inputs = node.get("inputs")
    if isinstance(inputs, dict):
        port = fuzzer.random.choice([*inputs, "value", "items", "image", fuzzer.word()])
        end = fuzzer.random.choice([*nodes, fuzzer.word()])
        more = fuzzer.random.choice(["", ".", ".image", ".result", ".model", f".{fuzzer.word()}"])
        inputs[port] = {"from": f"{end}{more}"}


def _given(fuzzer: Fuzzer, nodes: dict[str, Any], node: dict[str, Any]) -> None:
    inputs = node.get("inputs")
    if isinstance(inputs, dict):
        inputs[fuzzer.random.choice([*inputs, fuzzer.word()])] = fuzzer.value()


def _typed(fuzzer: Fuzzer, nodes: dict[str, Any], node: dict[str, Any]) -> None:
    node["type"] = fuzzer.random.choice([*TYPES, fuzzer.word()])


def _set(fuzzer: Fuzzer, nodes: dict[str, Any], node: dict[str, Any]) -> None:
    field = fuzzer.random.choice(["version", "mode", "always", "label", "note", "inputs", "type"])
    node[field] = fuzzer.random.choice(["mute", "bypass", 0, 2, 10**9, True, fuzzer.value()])


def _multiplied(fuzzer: Fuzzer, document: Any) -> Any:
    """The same node many times: wide, or as a long chain."""
    nodes = document.get("nodes") if isinstance(document, dict) else None
    if isinstance(nodes, dict):
        link = fuzzer.random.random() < 0.5
        for at in range(fuzzer.random.choice([3, 50, 300])):
            value: Any = {"from": f"n{at - 1}"} if link and at else at
            nodes[f"n{at}"] = {"type": "sums:Sum", "inputs": {"a": value}}
    return document


def _blocked(fuzzer: Fuzzer, document: Any) -> Any:
    """Blocks within blocks, two in each; maybe the last one holds the first."""
    if not isinstance(document, dict):
        return document
    levels, is_circle = fuzzer.random.choice([2, 5, 30, 80]), fuzzer.random.random() < 0.3
    blocks = {
        f"b{at}": {
            "inputs": {"x": {"type": "int", "to": ["p.x", "q.x"]}},
            "outputs": {"y": "p.y"},
            "nodes": {"p": {"type": f"b{at + 1}"}, "q": {"type": f"b{at + 1}"}},
        }
        for at in range(levels)
    }
    last = blocks[f"b{levels - 1}"]["nodes"]
    last["p"] = last["q"] = {"type": "b0" if is_circle else "sums:Sum"}
    held = document.get("subgraphs")
    document["subgraphs"] = {**(held if isinstance(held, dict) else {}), **blocks}
    if isinstance(document.get("nodes"), dict):
        document["nodes"]["blocks"] = {"type": "b0", "inputs": {"x": 1}}
    return document


_CHANGES: tuple[Callable[[Fuzzer, Any], Any], ...] = (
    *(lambda fuzzer, document: fuzzer.anywhere(document),) * 4,
    *(_entry(_linked), _entry(_linked), _entry(_given), _entry(_given), _entry(_typed)),
    *(_entry(_set), _multiplied, _blocked),
)
_JOBS = ("job_nothing", "job_01hzy3m7q8r9s0t1v2w3x4y5z6", "", "job_" + "0" * 60)
_MESSAGES: dict[str, Callable[[Fuzzer], dict[str, Any]]] = {
    "ping": lambda fuzzer: {},
    "heartbeat": lambda fuzzer: {},
    "subscribe": lambda fuzzer: {
        "jobs": fuzzer.random.choice([None, [fuzzer.random.choice(_JOBS)]]),
        "after": fuzzer.random.choice([None, 0, 5, (1 << 63) - 1]),
        "previews": False,
    },
    "unsubscribe": lambda fuzzer: {"subscription": fuzzer.random.choice(["1", "2", "x"])},
    "submit": lambda fuzzer: {"held": True, "key": None, **fuzzer.wish(fuzzer.workflow())},
    "cancel": lambda fuzzer: {"job": fuzzer.random.choice(_JOBS)},
    "retry": lambda fuzzer: {"job": fuzzer.random.choice(_JOBS)},
    "validate": lambda fuzzer: fuzzer.wish(fuzzer.workflow()),
    "plan": lambda fuzzer: fuzzer.wish(fuzzer.workflow()),
}
