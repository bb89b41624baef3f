"""Parameters of a pipeline's call, as its signature, its words and its code tell of them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from nodegraph.interop.pipelines.reading import tables
from nodegraph.interop.pipelines.reading.annotations import SourceAnnotation


@dataclass(slots=True)
class CallParameter:
    """A parameter as its signature, its documentation and the code tell of it.

    Attributes:
        default: Its value; None too where it has one that is no plain value.
        documented: What the docstring says of its type.
        is_read: The call reads it.
        is_prepared: It is handed to a processor, which takes pictures in any form.
        axes: Of its shape, as the code unpacks it.
        allowed: Words that it must be one of, as the code refuses others.
        divisor: What it must be a multiple of, as written.
        popped_keywords: Words that ``**kwargs`` are asked for.
    """

    name: str
    annotation: SourceAnnotation
    has_default: bool = False
    default: Any = None
    documented: str = ""
    help: str = ""
    is_read: bool = True
    is_keywords: bool = False
    is_prepared: bool = False
    axes: str = ""
    allowed: tuple[str, ...] = ()
    divisor: str = ""
    popped_keywords: tuple[str, ...] = ()


@dataclass(slots=True)
class PipelineTraits:
    """What of the whole pipeline decides on one of its parameters.

    Attributes:
        visual: It gives pictures or videos.
        video: It gives videos.
        names: Of all parameters.
        latents_wanted: Its latents are exchanged with another pipeline.
        main: Parameters of which one must be given, if latents are among them.
        videos: What its code prepares as videos.
    """

    visual: bool = True
    video: bool = False
    names: frozenset[str] = frozenset()
    latents_wanted: bool = False
    main: frozenset[str] = frozenset()
    videos: frozenset[str] = frozenset()

    @property
    def adapters(self) -> frozenset[str]:
        """Pictures that an adapter sees. No pipeline gives what it makes of them."""
        return frozenset(name for name in self.names if "ip_adapter_image" in name)


def fix_annotation(parameter: CallParameter) -> CallParameter:
    """With an annotation where there is none, or one that contradicts name and documentation.

    Words by a picture's name, pictures by a prompt's: two parameters are swapped so in diffusers,
    and their documentation has them right.
    """
    name, type_text = parameter.name, parameter.documented
    members = set(parameter.annotation.members)
    kinds = parameter.annotation.kinds
    unknown = {("None", 0), ("Any", 0), ("Any", 1)}
    if kinds == {"PIL"} and tables.PROMPT.search(name):
        members = {("str", depth) for _, depth in members}
    elif kinds == {"str"} and tables.PICTURE.search(name):
        members = {("PIL", depth) for _, depth in members}
    elif not kinds or kinds == {"Any"}:
        members |= _from_documentation(type_text)
        if not members - unknown:
            members |= _from_default(parameter)
        if members - unknown:
            members -= unknown - {("None", 0)}
    elif kinds <= {"Tensor", "ndarray"}:
        if "PIL" in type_text and (tables.PICTURE.search(name) or tables.MASK.search(name)):
            members |= {("PIL", 0), ("PIL", 1)}
        elif re.fullmatch(r"\W*int\W*(optional)?\W*", type_text):
            members = {("int", 0)}
    if members == parameter.annotation.members:
        return parameter
    return replace(parameter, annotation=replace(parameter.annotation, members=members))


def _from_documentation(type_text: str) -> set[tuple[str, int]]:
    """Members out of a documented type, such as ``(`List[PIL.Image.Image]`, *optional*)``."""
    words = {
        "str": r"\bstr\b",
        "float": r"\bfloat\b",
        "int": r"\bint\b",
        "bool": r"\bbool\b",
        "PIL": r"\bPIL\b",
        "Tensor": r"[Tt]ensor\b",
        "ndarray": r"ndarray",
        "dict": r"\b[dD]ict\b",
    }
    members: set[tuple[str, int]] = set()
    for kind, pattern in words.items():
        for match in re.finditer(pattern, type_text):
            before = type_text[: match.start()]
            depth = len(re.findall(r"[Ll]ist\[", before)) - before.count("]")
            members.add((kind, max(depth, 0)))
    return members


def _from_default(parameter: CallParameter) -> set[tuple[str, int]]:
    value, depth = parameter.default, 0
    while isinstance(value, list) and value:
        value, depth = value[0], depth + 1
    return set() if value is None else {(type(value).__name__, depth)}
