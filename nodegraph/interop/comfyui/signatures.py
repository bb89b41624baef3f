"""What a node type of ComfyUI takes and gives, written as one line of text.

``KSampler(model: MODEL, seed: INT = 0 @control, cfg: FLOAT = 8.0, vae: VAE?) -> LATENT``

An input is ``name: TYPE``; ``= value`` (JSON) is its default, ``?`` says that it may be missing.
``@control`` stands behind a widget that is followed by one more, which says what happens to a seed
after a run; ``@upload`` behind one that is followed by a button, which is written as a value, too;
``@prompt`` behind a text of which the page takes out comments and draws from ``{a|b}``.
``resize.width: INT = 512 @when(scale dimensions|scale width)`` is there only while ``resize`` has
one of these values. The inputs of a node that grows, ``images.image0``, ``images.image1`` and so
on, stand as ``images.*: IMAGE?``.
An output is ``TYPE`` or ``name: TYPE``. Widgets are the inputs of the types in `WIDGETS`; in older
files their values stand in this order and without names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

WIDGETS = frozenset(("INT", "FLOAT", "STRING", "BOOLEAN", "COMBO", "COLOR"))
"""Types of inputs that have a value of their own where nothing is linked."""

_LINE = re.compile(r"(?P<type>[^(]+)\((?P<inputs>.*)\)\s*(?:->\s*(?P<outputs>.*))?", re.DOTALL)
_INPUT = re.compile(
    r"(?P<name>[^:]+):\s*(?P<type>[A-Z0-9_*|]+)(?P<optional>\?)?"
    r"(?:\s*=\s*(?P<default>.*?))?(?:\s*@(?P<extra>control|upload|prompt))?"
    r"(?:\s*@when\((?P<when>[^)]*)\))?",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class InputSignature:
    """One input.

    Attributes:
        default: Of a widget; None where there is none.
        extra: ``control`` or ``upload`` if one more value follows in lists of widgets' values;
            ``prompt`` of a text that ComfyUI's page reads for comments and choices.
        when: Values of what stands before the last dot of its name, of which one lets it be there;
            empty for an input that is always there.
    """

    name: str
    type: str
    default: Any = None
    is_optional: bool = False
    extra: str = ""
    when: tuple[str, ...] = ()

    @property
    def is_widget(self) -> bool:
        return self.type in WIDGETS

    @property
    def parent(self) -> str:
        """The input whose value decides whether this one is there."""
        return self.name.rpartition(".")[0]

    @property
    def is_autogrow(self) -> bool:
        """Whether it stands for as many inputs as are connected."""
        return self.name.endswith(".*")


@dataclass(frozen=True)
class Signature:
    """A node type's inputs and outputs, in order.

    Attributes:
        outputs: Name and type of each; of those without a name, the type is the name.
    """

    type: str
    inputs: tuple[InputSignature, ...] = ()
    outputs: tuple[tuple[str, str], ...] = ()

    @cached_property
    def by_name(self) -> dict[str, InputSignature]:
        return {taken.name: taken for taken in self.inputs}

    @cached_property
    def widgets(self) -> tuple[InputSignature, ...]:
        return tuple(taken for taken in self.inputs if taken.is_widget)

    def find_input(self, name: str) -> InputSignature | None:
        """The input of a name, be it one of those that stand for as many as are connected."""
        return self.by_name.get(name) or self.by_name.get(f"{name.rpartition('.')[0]}.*")

    def active_widgets(self, values: Mapping[str, Any]) -> Iterator[InputSignature]:
        """Widgets that are there with some values, in order.

        Values may be added on the way: what decides stands before what depends on it.
        """
        for taken in self.widgets:
            deciding = self.by_name.get(taken.parent, taken)
            if not taken.when or values.get(deciding.name, deciding.default) in taken.when:
                yield taken

    def slot(self, output: str) -> int:
        """Which output has a name.

        Raises:
            ValueError: None has.
        """
        return [name for name, _ in self.outputs].index(output)


def parse_signature(line: str) -> Signature:
    """Read a signature.

    Raises:
        ValueError: It isn't written as above.
    """
    matched = _LINE.fullmatch(line.strip())
    if matched is None:
        raise ValueError(f"{line!r} is no signature")
    outputs = [part.strip() for part in (matched["outputs"] or "").split(",")]
    return Signature(
        matched["type"].strip(),
        tuple(_input(part) for part in _parts(matched["inputs"])),
        tuple(_output(part) for part in outputs if part),
    )


def _parts(text: str) -> list[str]:
    """Parts between commas, but for those within quotes, brackets and braces."""
    matches = re.findall(r'(?:"(?:\\.|[^"\\])*"|\[[^\]]*\]|\{[^}]*\}|[^,"\[{])+', text)
    return [part.strip() for part in matches if part.strip()]


def _input(text: str) -> InputSignature:
    matched = _INPUT.fullmatch(text)
    if matched is None:
        raise ValueError(f"{text!r} is no input of a signature")
    default = matched["default"]
    return InputSignature(
        matched["name"].strip(),
        matched["type"],
        None if default is None else json.loads(default),
        matched["optional"] is not None,
        matched["extra"] or "",
        tuple((matched["when"] or "").split("|")) if matched["when"] else (),
    )


def _output(text: str) -> tuple[str, str]:
    name, _, type_name = (part.strip() for part in text.partition(":"))
    return name, type_name or name
