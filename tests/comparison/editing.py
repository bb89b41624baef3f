"""Random workflows, and random edits as people make them in an editor."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from random import Random
from typing import Any

Document = dict[str, Any]
Edit = Callable[[Document, Random, int], int]
"""Changes a document, and returns how many changes it made."""
TYPES = ("Load", "Encode", "Sample", "Decode", "Save")
PORTS = ("model", "text", "steps", "seed", "image")
"""Inputs of all nodes; blocks have some of them, too."""


LOOP = "body"
"""The input of a loop that names its subgraph."""


def random_workflow(random: Random) -> Document:
    """A workflow with links, parameters, subgraphs and a layout."""
    blocks = {
        f"Block{at}": random_block(random, f"b{at}_") for at in range(random.choice((0, 0, 1, 2)))
    }
    nodes = random_nodes(random, random.randint(1, 9), "n", [*TYPES, *blocks])
    document: Document = {
        "format": "nodegraph/1",
        "title": random.choice(("", "Title")),
        "parameters": {},
        "nodes": nodes,
        "subgraphs": blocks,
        "ui": {
            "positions": {name: [random.randint(0, 99), 0] for name in nodes},
            "collapsed": [name for name in nodes if random.random() < 0.3],
            "groups": [
                {"id": f"group_{at}", "title": "G", "box": [at, 0, 1, 1]} for at in range(2)
            ],
            "seeds": {f"{name}.steps": "random" for name in nodes if random.random() < 0.2},
            "notes": [{"id": "note_0", "text": "hello", "box": [0, 0, 1, 1]}],
        },
    }
    for node in nodes.values():
        if blocks and random.random() < 0.3:
            node["inputs"][LOOP] = random.choice([*blocks])
    for at, (name, node) in enumerate(nodes.items()):
        if node.get("inputs") and random.random() < 0.3:
            port = random.choice([*node["inputs"]])
            document["parameters"][f"p{at}"] = f"{name}.{port}"
    return document


def random_nodes(random: Random, count: int, prefix: str, types: list[str]) -> Document:
    nodes: Document = {}
    for at in range(count):
        inputs: Document = {}
        for port in random.sample(PORTS, random.randint(0, 4)):
            if nodes and random.random() < 0.5:
                source = random.choice([*nodes])
                output = "image" if nodes[source]["type"].startswith("Block") else "out"
                inputs[port] = {"from": f"{source}.{output}"}
            else:
                inputs[port] = random_value(random)
        nodes[f"{prefix}{at}"] = {"type": random.choice(types), "inputs": inputs}
    return nodes


def random_block(random: Random, prefix: str) -> Document:
    nodes = random_nodes(random, random.randint(1, 4), prefix, [*TYPES])
    first, *_ = nodes
    last = [*nodes][-1]
    return {
        "inputs": {
            "text": {"to": [f"{first}.text"], "default": "x"},
            "steps": {"to": [f"{first}.steps", f"{last}.steps"]},
        },
        "outputs": {"image": f"{last}.out", "mask": f"{first}.out"},
        "nodes": nodes,
    }


def random_value(random: Random) -> Any:
    return random.choice((0, 1, 1.0, True, None, "a", "b", [1, 2], {"x": 1}, random.random()))


def edited(document: Document, random: Random, count: int) -> tuple[Document, int]:
    """The document after random edits, and how many were done."""
    now = copy.deepcopy(document)
    done = 0
    for at in range(count):
        done += random.choice(EDITS)(now, random, at)
    return now, done


def _graph(document: Document, random: Random) -> tuple[Document, Document | None]:
    """The nodes of a random graph, and its block."""
    blocks = [*document.get("subgraphs", {}).values()]
    if blocks and random.random() < 0.3:
        block = random.choice(blocks)
        return block["nodes"], block
    return document["nodes"], None


def _is_new(old: Any, new: Any) -> bool:
    return (type(old), old) != (type(new), new)


def set_input(document: Document, random: Random, at: int) -> bool:
    nodes, _ = _graph(document, random)
    if not nodes:
        return False
    node = nodes[random.choice([*nodes])]
    node.setdefault("inputs", {})[random.choice(PORTS)] = f"value {at} {random.random()}"
    return True


def remove_input(document: Document, random: Random, at: int) -> bool:
    nodes, _ = _graph(document, random)
    node = nodes[random.choice([*nodes])] if nodes else {}
    if not node.get("inputs"):
        return False
    del node["inputs"][random.choice([*node["inputs"]])]
    return True


def set_link(document: Document, random: Random, at: int) -> bool:
    nodes, _ = _graph(document, random)
    if not nodes:
        return False
    node = nodes[random.choice([*nodes])]
    node.setdefault("inputs", {})[random.choice(PORTS)] = {"from": f"{random.choice([*nodes])}.out"}
    return True


def set_mode(document: Document, random: Random, at: int) -> bool:
    nodes, _ = _graph(document, random)
    if not nodes:
        return False
    node = nodes[random.choice([*nodes])]
    key, value = random.choice(
        (("mode", "mute"), ("note", f"note {at}"), ("label", f"label {at}"), ("version", at + 2))
    )
    node[key] = value
    return True


def set_type(document: Document, random: Random, at: int) -> bool:
    nodes, _ = _graph(document, random)
    if not nodes:
        return False
    nodes[random.choice([*nodes])]["type"] = random.choice(TYPES)
    return True


def add_node(document: Document, random: Random, at: int) -> bool:
    nodes, block = _graph(document, random)
    inputs: Document = {"steps": random.randint(0, 9)}
    if nodes:
        inputs["model"] = {"from": f"{random.choice([*nodes])}.out"}
    name = f"new{at}_{random.randint(0, 10**9)}"
    nodes[name] = {"type": random.choice(TYPES), "inputs": inputs}
    if block is None:
        document["ui"]["positions"][name] = [at, 7]
    return True


def remove_node(document: Document, random: Random, at: int) -> bool:
    """Removes a node with the links to it, as the editor does."""
    nodes, block = _graph(document, random)
    if not nodes:
        return False
    name = random.choice([*nodes])
    outputs = {} if block is None else block["outputs"]
    if any(port.startswith("port") and outputs[port].split(".")[0] == name for port in outputs):
        return False  # links would keep a name that neither workflow has
    del nodes[name]
    for node in nodes.values():
        for port, value in [*node.get("inputs", {}).items()]:
            if isinstance(value, dict) and str(value.get("from")).split(".")[0] == name:
                del node["inputs"][port]
    if block is not None:
        for port in block["inputs"].values():
            port["to"] = [text for text in port["to"] if text.split(".")[0] != name]
        for output, text in [*block["outputs"].items()]:
            if text.split(".")[0] == name:
                del block["outputs"][output]
        return True
    for parameter, target in [*document["parameters"].items()]:
        if target.split(".")[0] == name:
            del document["parameters"][parameter]
    document["ui"]["positions"].pop(name, None)
    seeds = document["ui"]["seeds"]
    document["ui"]["seeds"] = {
        key: item for key, item in seeds.items() if key.split(".")[0] != name
    }
    if name in document["ui"]["collapsed"]:
        document["ui"]["collapsed"].remove(name)
    return True


def rename_node(document: Document, random: Random, at: int) -> bool:
    nodes, block = _graph(document, random)
    if not nodes:
        return False
    old, new = random.choice([*nodes]), f"renamed{at}_{random.randint(0, 10**9)}"

    def follow(text: str) -> str:
        node, dot, port = text.partition(".")
        return new + dot + port if node == old else text

    items = [*nodes.items()]
    nodes.clear()
    nodes.update({new if name == old else name: node for name, node in items})
    for node in nodes.values():
        for value in node.get("inputs", {}).values():
            if isinstance(value, dict) and "from" in value:
                value["from"] = follow(value["from"])
    if block is not None:
        for port in block["inputs"].values():
            port["to"] = [follow(text) for text in port["to"]]
        block["outputs"] = {name: follow(text) for name, text in block["outputs"].items()}
        return True
    document["parameters"] = {name: follow(text) for name, text in document["parameters"].items()}
    layout = document["ui"]
    layout["positions"] = {follow(name): item for name, item in layout["positions"].items()}
    layout["collapsed"] = [follow(name) for name in layout["collapsed"]]
    layout["seeds"] = {follow(name): item for name, item in layout["seeds"].items()}
    return True


def rename_block(document: Document, random: Random, at: int) -> bool:
    blocks = document["subgraphs"]
    if not blocks:
        return False
    old, new = random.choice([*blocks]), f"Renamed{at}_{random.randint(0, 10**9)}"
    items = [*blocks.items()]
    blocks.clear()
    blocks.update({new if name == old else name: block for name, block in items})
    for node in document["nodes"].values():
        if node["type"] == old:
            node["type"] = new
        if node.get("inputs", {}).get(LOOP) == old:
            node["inputs"][LOOP] = new
    return True


def add_use(document: Document, random: Random, at: int) -> bool:
    """Adds a node of a block, or a loop with the block as its body."""
    if not document["subgraphs"]:
        return False
    block = random.choice([*document["subgraphs"]])
    node = {"type": block} if random.random() < 0.5 else {"type": "Loop", "inputs": {LOOP: block}}
    document["nodes"][f"use{at}_{random.randint(0, 10**9)}"] = node
    return True


def remove_block(document: Document, random: Random, at: int) -> int:
    """Removes a block that no node is made of, and lets loops do without it."""
    nodes = document["nodes"].values()
    unused = [*document["subgraphs"].keys() - {node["type"] for node in nodes}]
    if not unused:
        return 0
    block = random.choice(sorted(unused))
    del document["subgraphs"][block]
    loops = [node for node in nodes if node.get("inputs", {}).get(LOOP) == block]
    for node in loops:
        del node["inputs"][LOOP]
    return 1 + len(loops)


def rename_port(document: Document, random: Random, at: int) -> bool:
    """Renames a port of a block, and what names it at the nodes that use it."""
    blocks = document["subgraphs"]
    if not blocks:
        return False
    name = random.choice([*blocks])
    side = random.choice(("inputs", "outputs"))
    ports = blocks[name][side]
    if not ports:
        return False
    old, new = random.choice([*ports]), f"port{at}_{random.randint(0, 10**9)}"
    blocks[name][side] = {new if port == old else port: item for port, item in ports.items()}
    uses = {node for node, entry in document["nodes"].items() if entry["type"] == name}

    def follow(text: str) -> str:
        node, _, port = text.partition(".")
        return f"{node}.{new}" if node in uses and port == old else text

    for node, entry in document["nodes"].items():
        inputs = entry.get("inputs", {})
        if side == "inputs" and node in uses and old in inputs:
            inputs[new] = inputs.pop(old)
        for value in inputs.values() if side == "outputs" else ():
            if isinstance(value, dict) and "from" in value:
                value["from"] = follow(value["from"])
    if side == "inputs":
        parameters = document["parameters"]
        document["parameters"] = {key: follow(text) for key, text in parameters.items()}
        seeds = document["ui"]["seeds"]
        document["ui"]["seeds"] = {follow(key): item for key, item in seeds.items()}
    return True


def rename_parameter(document: Document, random: Random, at: int) -> bool:
    parameters = document["parameters"]
    if not parameters:
        return False
    old = random.choice([*parameters])
    parameters[f"parameter{at}_{random.randint(0, 10**9)}"] = parameters.pop(old)
    return True


def move(document: Document, random: Random, at: int) -> bool:
    layout = document["ui"]
    if random.random() < 0.5 and layout["positions"]:
        layout["positions"][random.choice([*layout["positions"]])] = [
            at,
            random.randint(100, 10**9),
        ]
    else:
        layout["groups"][0]["title"] = f"title {at}"
    return True


def set_title(document: Document, random: Random, at: int) -> bool:
    document["title"] = f"title {at}"
    return True


EDITS: tuple[Edit, ...] = (
    *(set_input, remove_input, set_link, set_mode, set_type, add_node, remove_node, rename_node),
    *(rename_block, rename_port, rename_parameter, move, set_title, add_use, remove_block),
)


def with_other_names(document: Document, names: dict[str, str]) -> Document:
    """The document with other names of its nodes, all at once."""
    now = copy.deepcopy(document)

    def follow(text: str) -> str:
        node, dot, port = text.partition(".")
        return names.get(node, node) + dot + port

    now["nodes"] = {follow(name): node for name, node in now["nodes"].items()}
    for node in now["nodes"].values():
        for value in node.get("inputs", {}).values():
            if isinstance(value, dict) and "from" in value:
                value["from"] = follow(value["from"])
    parameters = now.get("parameters", {})
    now["parameters"] = {name: follow(text) for name, text in parameters.items()}
    layout = now.get("ui", {})
    for key in layout.keys() & {"positions", "seeds"}:
        layout[key] = {follow(name): item for name, item in layout[key].items()}
    if "collapsed" in layout:
        layout["collapsed"] = [follow(name) for name in layout["collapsed"]]
    return now


def calls_of(function: Callable[[], object]) -> int:
    """How many function calls a function makes: its time, on any machine."""
    count = 0

    def add(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += 1

    before = sys.getprofile()
    sys.setprofile(add)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count
