"""Conversions shared by table entries: colors, numbers, lists and file names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nodegraph.interop.comfyui.entries import Choice
from nodegraph.interop.comfyui.foreign_workflow import BLOCK
from nodegraph.interop.comfyui.translating import MadeOutput, Passage, Signal, Untranslatable


def file_input(node: Passage, name: str) -> Any:
    """What an input that names a file is given, for a native one."""
    signal = node.inputs[name]
    if isinstance(signal.content, str) and "\\" in signal.content:
        return signal.content.replace("\\", "/")
    return signal


def known_literal(node: Passage, name: str) -> Any:
    """An input's value; None if that isn't known before a run."""
    value = node.inputs[name].content
    if isinstance(value, MadeOutput) and value.node != BLOCK:
        return None
    try:
        return node.literal(name)
    except Untranslatable:
        return None


def model_file_name(node: Passage, name: str) -> str:
    """The file that an input names; empty if that isn't known before a run."""
    return str(known_literal(node, name) or "").replace("\\", "/")


METHODS = Choice({"nearest-exact": "nearest"})
"""Ways of scaling."""

CROP = {"crop": True}
"""How images are encoded there that don't fill whole cells of the VAE."""

_HEX = re.compile(r"#?([0-9a-fA-F]{6})")


@dataclass(frozen=True)
class Turned(Choice):
    """Values of an input that are worked out from the other program's."""

    to: Callable[[Any], Any] = lambda value: value
    back: Callable[[Any], Any] = lambda value: value

    def ours(self, value: Any) -> Any:
        return self.to(value)

    def theirs(self, value: Any) -> Any:
        return self.back(value)


def color_text(number: Any) -> str:
    """A color that is written as 0xRRGGBB, as text."""
    return number if isinstance(number, str) else f"#{int(number) & 0xFFFFFF:06x}"


def color_number(text: Any) -> int:
    """A color that is written as text, as 0xRRGGBB.

    Raises:
        Untranslatable: It isn't opaque.
    """
    from nodegraph.media.images.colors import parse_color

    red, green, blue, alpha = (round(level * 255) for level in parse_color(str(text)))
    if alpha != 255:
        raise Untranslatable(f"ComfyUI's colors have no transparency, and {text} has")
    return (red << 16) + (green << 8) + blue


COLORS = Turned(to=color_text, back=color_number)


def color_of(node: Passage, name: str) -> Any:
    """A color's text; of a number that is linked, what a node makes of it."""
    if node.inputs[name].is_link:
        try:
            return color_text(node.literal(name))
        except Untranslatable:
            made = node.add("FormatText", template="#{a:06x}", a=node.inputs[name])
            return MadeOutput(made, "text")
    return color_text(node.inputs[name].content)


def compute_number(
    node: Passage, expression: str, function: Callable[..., float], **numbers: Any
) -> Any:
    """What an expression of numbers gives: a literal if all are known, else a node's output.

    Args:
        expression: As Formula takes it, of the letters that `numbers` names.
        function: The same; what gives a whole number is one.
    """
    arguments = {name: _plain_value(value) for name, value in numbers.items()}
    if not any(isinstance(value, MadeOutput) for value in arguments.values()):
        return function(**arguments)
    name = node.add("Formula", expression=expression, **arguments)
    is_whole = isinstance(function(**dict.fromkeys(arguments, 1)), int)
    return MadeOutput(name, "integer" if is_whole else "number")


def _plain_value(value: Any) -> Any:
    return value.content if isinstance(value, Signal) else value


def without_image(node: Passage, negative: Any) -> Any:
    """The negative prompt of a guider by two prompts, without the image that the others have.

    Here, prompts without an image get that of the first one. There, the second prompt often is the
    negative one with the image: then it is the same prompt here.
    """
    if node.inputs["cond2"].content != node.inputs["negative"].content:
        return negative
    try:
        kind, inputs = node.behind("cond1")
    except Untranslatable:
        return negative
    if kind != "ImageConditioning":
        return negative
    hidden = {**inputs, "conditioning": negative, "shown": False}
    return MadeOutput(node.add("ImageConditioning", **hidden), "conditioning")


def autogrow_inputs(node: Passage, prefix: str) -> list[Signal]:
    """What the inputs ``prefix.…`` are given, in their order."""
    names = [name for name in node.inputs if name.startswith(f"{prefix}.")]
    return [node.inputs[name] for name in sorted(names, key=_numbered)]


def _numbered(name: str) -> tuple[int, str]:
    digits = re.search(r"\d+$", name)
    return (int(digits[0]) if digits else 0, name)


def add_list(node: Passage, values: Sequence[Any]) -> Any:
    """Several values as a list.

    Raises:
        Untranslatable: They are more than a list takes.
    """
    if len(values) > 8:
        raise Untranslatable(f"a list takes 8 items, and there are {len(values)}")
    items = {f"item_{number}": value for number, value in enumerate(values, 1)}
    return MadeOutput(node.add("List", **items), "output")


def refuse_others(node: Passage, expected: Mapping[str, Any]) -> None:
    """Check, on the way back, that inputs which can't be said there have these values.

    Raises:
        Untranslatable: One has another.
    """
    for name, value in expected.items():
        if name in node.inputs and node.inputs[name].content != value:
            raise Untranslatable(f"ComfyUI has no value {node.inputs[name].content!r} for `{name}`")


def file_path(name: Any) -> Any:
    """Where a file of ComfyUI's input folder lies, as our nodes that read take it."""
    if not isinstance(name, str):
        return name
    path, _, folder = name.strip().partition(" [")
    path = path.replace("\\", "/")
    return f"../outputs/{path}" if folder == "output]" else path


def file_name(path: Any) -> Any:
    """The reverse of `file_path`."""
    if isinstance(path, str) and path.startswith("../outputs/"):
        return f"{path.removeprefix('../outputs/')} [output]"
    return path


FILES = Turned(to=file_path, back=file_name)


_ON = ("enable", "enabled", "True", "true", "bbox", "mask bbox", "masked only")


def flag(node: Passage, name: str) -> Any:
    """A truth value; older files name its two choices."""
    signal = node.inputs[name]
    return signal.content in _ON if isinstance(signal.content, str) else signal


def literal_flag(node: Passage, name: str) -> bool:
    """A truth value that has to be known."""
    value = flag(node, name)
    return bool(node.literal(name)) if isinstance(value, Signal) else bool(value)
