"""Parameters of a pipeline call, from signature, docstring and code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from inspect import cleandoc
from typing import Any

from nodegraph.interop.pipelines.reading import tables
from nodegraph.interop.pipelines.reading.annotations import SourceAnnotation

_SECTION = re.compile(
    r"^(Args|Arguments|Parameters|Params|Attributes|Returns?|Examples?|Yields?|Raises|Notes?)"
    r"\s*:?\s*$"
)
_LISTED = frozenset({"args", "arguments", "parameters", "params", "attributes"})
_HEAD = re.compile(
    r"^(?P<names>\*{0,2}`?\w+`?(?:\s*[,/]\s*`?\w+`?)*)\s*(?:\((?P<type>.*?)\))?\s*:\s*(?P<rest>.*)$"
)
_TYPE_ON_MORE_LINES = re.compile(r"^(?P<name>`?\w+`?)\s*\((?P<type>[^)]*)$")
_TYPE_AFTER_COLON = re.compile(r"^\((?P<type>`.*?)\)\s*:\s*(?P<rest>.*)$")
_RULE = re.compile(r"^\s*<?[-=~]{3,}>?\s*$")
_LONGEST = 320


@dataclass(slots=True)
class ParsedDocstring:
    """What a docstring says.

    Attributes:
        summary: Its first sentence.
        text: What comes before its sections, as plain text.
        types: What it says of the type of a parameter, by its name.
        helps: What it says of a parameter, by its name, in one line.
        returns: What it says of the result.
    """

    summary: str = ""
    text: str = ""
    types: dict[str, str] = field(default_factory=dict)
    helps: dict[str, str] = field(default_factory=dict)
    returns: str = ""


def read_docstring(doc: str | None) -> ParsedDocstring:
    """A docstring taken apart: its first text, its parameters, its result.

    In many of diffusers an example of another indentation is pasted in, and with it the common
    margin is lost; so a section may begin at any depth, and ends where one begins that stands no
    deeper.
    """
    documented = ParsedDocstring()
    section, margin, indent = "", 0, -1
    current: list[str] = []
    opening: list[str] = []
    returns: list[str] = []
    for line in cleandoc(doc or "").splitlines():
        text = line.strip()
        at = len(line) - len(line.lstrip())
        start = _SECTION.match(text)
        if start and (not section or at <= margin):
            section, margin, indent, current = start[1].lower(), at, -1, []
        elif not section:
            opening.append(line)
        elif not text or _RULE.match(text):
            continue
        elif section.startswith("return"):
            returns.append(text)
        elif section in _LISTED:
            indent = at if indent < 0 else indent
            current = _parameter_line(documented, text, at <= indent, current)
    for name, text in documented.helps.items():
        late = _TYPE_AFTER_COLON.match(text)
        if late:
            documented.types[name] = documented.types[name] or late["type"]
        documented.helps[name] = plain(late["rest"] if late else text)
    documented.text = "\n\n".join(filter(None, map(plain, "\n".join(opening).split("\n\n"))))
    documented.summary = first_sentences(documented.text.split("\n\n")[0], 1)
    documented.returns = " ".join(returns)
    return documented


def plain(text: str) -> str:
    """Without the marks of Markdown and cross-references, in one line."""
    text = re.sub(r"<!--.*?-->|</?(?:Tip|br)[^>]*>", " ", text, flags=re.DOTALL)
    text = re.sub(r"!\[[^\]]*\]\([^)]*\)", " ", text)
    text = re.sub(
        r"\[`~?\.?([\w.]+)(?:\(\))?`\](?:\([^)]*\))?", lambda m: m[1].split(".")[-1], text
    )
    text = re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text)
    text = re.sub(r":\w+:`~?([^`]*)`", r"\1", text)
    return " ".join(text.replace("``", "`").split())


def first_sentences(text: str, count: int, longest: int = _LONGEST) -> str:
    """The first sentences of a text, cut at a word if they are long."""
    sentences = re.split(r"(?<=[.!?])\s+(?=[A-Z`\"'(0-9])", text)
    kept = " ".join(sentences[:count])
    if len(kept) <= longest:
        return kept
    return kept[:longest].rsplit(" ", 1)[0].rstrip(",;:") + " …"


def _parameter_line(
    documented: ParsedDocstring, text: str, at_margin: bool, current: list[str]
) -> list[str]:
    """One line of a list of parameters; gives the names that the next line goes on about."""
    head = _HEAD.match(text) if at_margin else None
    if head:
        names = [name.strip("`* ") for name in re.split(r"[,/]", head["names"])]
        for name in names:
            documented.types[name] = head["type"] or ""
            documented.helps[name] = head["rest"]
        return names
    if at_margin and (head := _TYPE_ON_MORE_LINES.match(text)):
        name = head["name"].strip("`")
        documented.types[name], documented.helps[name] = head["type"], ""
        return [name]
    for name in current:
        documented.helps[name] = f"{documented.helps[name]} {text}".strip()
    return current


@dataclass(slots=True)
class CallParameter:
    """A parameter as its signature, its documentation and the code tell of it.

    Attributes:
        default: Its value; None too where it has one that is no plain value.
        documented: What the docstring says of its type.
        is_read: The call reads it.
        is_prepared: It is handed to a processor, which takes images in any form.
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
        visual: It gives images or videos.
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
        """Images that an adapter sees. No pipeline gives what it makes of them."""
        return frozenset(name for name in self.names if "ip_adapter_image" in name)


def fix_annotation(parameter: CallParameter) -> CallParameter:
    """With an annotation where there is none, or one that contradicts name and documentation.

    Words by an image's name, images by a prompt's: two parameters are swapped so in diffusers,
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
