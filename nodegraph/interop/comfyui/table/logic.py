"""What chooses between values, and lists of them."""

from __future__ import annotations

from typing import Any

from nodegraph.interop.comfyui.entries import TableEntry, entry, same
from nodegraph.interop.comfyui.table.parts import add_list, autogrow_inputs
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable

_SIDES = ("on_true", "on_false")


def _switch(node: Passage) -> None:
    signals = {side: node.inputs[side] for side in _SIDES if side in node.inputs}
    carried = [signal.carried for signal in signals.values()]
    if any(each != carried[0] for each in carried):
        _choose(node, signals)
        return
    name = node.add("Switch", condition=node.inputs["switch"], **signals)
    node.give("output", Signal(MadeOutput(name, "output"), carried[0] if carried else {}))


def _switch_back(node: Passage) -> None:
    """There, both values are linked: one that is written here is a node's there."""
    sides: dict[str, Any] = {side: node.inputs[side] for side in _SIDES if side in node.inputs}
    for side, signal in sides.items():
        if not signal.is_link:
            sides[side] = _written(node, side, signal)
    if len(sides) < len(_SIDES):
        sides = _both(node, sides)
    name = node.add("ComfySwitchNode", switch=node.inputs["condition"], **sides)
    node.give("output", MadeOutput(name, "output"))


def _both(node: Passage, sides: dict[str, Any]) -> dict[str, Any]:
    """Both sides of a switch that is given one here: that one, which is the chosen one."""
    chosen = _SIDES[0] if node.literal("condition") else _SIDES[1]
    if chosen not in sides:
        raise Untranslatable(f"`{chosen}` has to be given there")
    return dict.fromkeys(_SIDES, sides[chosen])


_THERE: tuple[tuple[type, str, str], ...] = (
    (bool, "PrimitiveBoolean", "BOOLEAN"),
    (int, "PrimitiveInt", "INT"),
    (float, "PrimitiveFloat", "FLOAT"),
    (str, "PrimitiveStringMultiline", "STRING"),
)
"""What gives a written value there, by the first type that it is of, and its output."""


def _written(node: Passage, side: str, signal: Signal) -> MadeOutput:
    for kind, there, output in _THERE:
        if isinstance(signal.given, kind):
            return MadeOutput(node.imply(there, value=signal), output)
    raise Untranslatable(f"`{side}` has to be linked there")


def _choose(node: Passage, signals: dict[str, Signal]) -> None:
    """Of values that are sampled in different ways, the one that is chosen.

    Raises:
        Untranslatable: Which one it is will be known when it runs.
    """
    side = _SIDES[0] if node.literal("switch") else _SIDES[1]
    if side not in signals:
        raise Untranslatable(f"its input `{side}` isn't connected")
    node.tell(f"stays at `{side}`: its two values differ in how they are to be sampled")
    node.give("output", signals[side])


_CONSTANTS: dict[type, str] = {bool: "Boolean", int: "Integer", float: "Number"}


def _primitive(node: Passage) -> None:
    value = node.inputs["value"]
    native = next(
        (name for kind, name in _CONSTANTS.items() if isinstance(value.given, kind)), None
    )
    if native is None:
        # Of texts, most are one of an input's choices, which a link can't give.
        node.give("*", Signal(value.given))
        return
    port = "value" if native == "Boolean" else "number"
    node.give("*", MadeOutput(node.add(native, value=value), port))


def _create_list(node: Passage) -> None:
    node.give("list", Signal(add_list(node, autogrow_inputs(node, "inputs"))))


def _list_back(node: Passage) -> None:
    items = [node.inputs[name] for name in sorted(node.inputs)]
    name = node.add("CreateList", **{f"inputs.input{at}": item for at, item in enumerate(items)})
    node.give("output", MadeOutput(name, "list"))


def _no_loop(node: Passage) -> None:
    raise Untranslatable("a loop is a block of its own here, such as Repeat's or ForEach's")


LOGIC_ENTRIES: tuple[TableEntry, ...] = (
    entry(
        "ComfySwitchNode(on_false: *, on_true: *, switch: BOOLEAN = false) -> output: *",
        _switch,
        "Switch",
        _switch_back,
    ),
    entry('PrimitiveNode(value: COMBO = "") -> *', _primitive),
    entry("CreateList(inputs.*: *?) -> list: *", _create_list, "List", _list_back),
    same(
        "GetItemFromList(list: *, index: INT = 0) -> *",
        "Item",
        {"list": "items"},
        {"*": "output"},
    ),
    entry(
        'StartLoop(parent_iteration: INT?, initial_iteration_value: *?, mode: COMBO = "simple", '
        "mode.num_iterations: INT = 1 @when(simple), "
        "mode.start_iteration_index: INT = 0 @when(For), mode.max_iteration: INT = 1 @when(For), "
        "mode.step: INT = 1 @when(For), cache_iterations: BOOLEAN = false) -> "
        "iteration_index: INT, is_first: BOOLEAN, is_last: BOOLEAN, list_item: *, "
        "current_iteration_value: *",
        _no_loop,
    ),
    entry(
        "EndLoop(output_value: *?, next_iteration_value: *?, terminations.*: *?, "
        "accumulate: BOOLEAN = false) -> outputs: *",
        _no_loop,
    ),
)
