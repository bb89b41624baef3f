"""The parts of a workflow file as dataclasses: nodes, parameters, and subgraphs with their inputs.

They are read strictly, and written as they were read.
A file's values are not converted, so it means what it says; keys that aren't known are kept, and
all faults come at once. There is no pydantic in it: importing that takes longer than all else
of a check.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, get_args

from nodegraph.core.digests import LEAVES
from nodegraph.core.links import plain_leaf, to_written
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidWorkflow, Problem

if TYPE_CHECKING:
    from typing_extensions import Self

KeyPath = tuple[str, ...]
"""Of a value in the file: ``("nodes", "sample", "inputs")``."""
Reader = Callable[[Any, KeyPath, list[Problem]], Any]
"""Gives what a value says; what is wrong with it goes into the list."""


@dataclass(kw_only=True)
class WorkflowPart:
    """An object of the file. Fields of its subclasses that are keys say so by `key`.

    Attributes:
        extra: What stands under keys that aren't known.
    """

    extra: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, document: Any) -> Self:
        """What JSON says.

        Raises:
            InvalidWorkflow: It has another form; lists all that is wrong.
        """
        problems: list[Problem] = []
        part: Self | None = read_part(cls, document, (), problems)
        if part is None:
            raise InvalidWorkflow(problems)
        return part

    def to_dict(self) -> dict[str, Any]:
        """What the file says: known keys in a fixed order, then unknown ones by name.

        It is the caller's own.
        """
        document = {
            name: metadata["write"](value)
            for name, metadata in _keys(type(self)).items()
            if (value := getattr(self, name)) or metadata["always"]
        }
        return document | {name: own(self.extra[name]) for name in sorted(self.extra)}


def read_part(
    kind: type[WorkflowPart], document: Any, path: KeyPath, problems: list[Problem]
) -> Any:
    """A part, as a `Reader` reads; None if anything is wrong so far."""
    if not isinstance(document, dict):
        problems.append(malformed(path, "must be an object", document))
        return None
    keys = _keys(kind)
    arguments: dict[str, Any] = {}
    for name, metadata in keys.items():
        if name in document:
            arguments[name] = metadata["read"](document[name], (*path, name), problems)
        elif metadata["is_required"]:
            problems.append(malformed((*path, name), "is missing"))
    extra = {name: value for name, value in document.items() if name not in keys}
    problems += [malformed(path, _no_name(name), name) for name in extra if not is_name(name)]
    return None if problems else kind(**arguments, extra=extra)


def _field_metadata(kind: Any) -> dict[str, dict[str, Any]]:
    return {
        item.name: {
            **item.metadata,
            "is_required": item.default is MISSING and item.default_factory is MISSING,
        }
        for item in fields(kind)
        if item.metadata
    }


_keys: Callable[[Any], dict[str, dict[str, Any]]] = lru_cache(_field_metadata)
"""What the fields of a part say of the keys that they are."""


def own(value: Any) -> Any:
    """A JSON value whose lists and objects nobody else holds: a run may last, and they change.

    Paths and numbers of other libraries, which a script's dictionary may have, become plain.
    """
    try:
        return _owned(value, {})
    except RecursionError:  # of what holds itself, which is reported where it is checked
        return value


def _owned(value: Any, known: dict[int, Any]) -> Any:
    if type(value) is list and LEAVES.issuperset(map(type, value)):
        # Long lists are mostly of numbers: those are looked over at the speed of C.
        return list(value)
    if type(value) not in (list, dict):
        return plain_leaf(value)
    if id(value) not in known:  # One that stands in it twice is copied once.
        known[id(value)] = (
            [_owned(item, known) for item in value]
            if type(value) is list
            else {
                name: item if type(item) in LEAVES else _owned(item, known)
                for name, item in value.items()
            }
        )
    return known[id(value)]


def key(
    read: Reader, write: Callable[[Any], Any] = own, *, always: bool = False
) -> Mapping[str, Any]:
    """What a field says, as its metadata, of the key that it is.

    Args:
        always: It is written whatever it says.
    """
    return {"read": read, "write": write, "always": always}


def is_name(value: Any) -> bool:
    """Whether a key that isn't known, or a node, may be called so; other texts may hold halves."""
    if not isinstance(value, str):
        return False
    try:
        return value.isascii() or bool(value.encode())
    except UnicodeEncodeError:
        return False


def _no_name(value: Any) -> str:
    if not isinstance(value, str):
        return "has a key that is not text"
    return "has a name with half of a surrogate pair, which is not a character"


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def text(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
    """Reads a text."""
    if not isinstance(value, str):
        problems.append(malformed(path, "must be text", value))
        return value
    # A member of an enumeration that is text, too, shows as its name.
    return value if type(value) is str else str.__str__(value)


def truth(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
    """Reads true or false."""
    if not isinstance(value, bool):
        problems.append(malformed(path, "must be true or false", value))
    return value


def texts(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
    """Reads a list of texts."""
    if not isinstance(value, list):
        problems.append(malformed(path, "must be a list", value))
        return value
    return [text(item, (*path, str(at)), problems) for at, item in enumerate(value)]


def anything(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
    """Reads any value."""
    return value


def named(read: Reader, may_be_name: Callable[[Any], bool] = _is_text) -> Reader:
    """What reads an object of values by names.

    Args:
        read: Reads a value.
        may_be_name: Of what stands as a key.
    """

    def read_named(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
        if not isinstance(value, dict):
            problems.append(malformed(path, "must be an object", value))
            return value
        values = {}
        for name, item in value.items():
            if not may_be_name(name):
                problems.append(bad_name(name))
            at = name if isinstance(name, str) else in_words(name)
            values[name] = read(item, (*path, at), problems)
        return values

    return read_named


def parts_by_name(
    kind: type[WorkflowPart],
    may_be_name: Callable[[Any], bool] = _is_text,
    *,
    short: str | None = None,
    always: bool = False,
) -> Mapping[str, Any]:
    """What a field says, as its metadata, of a key that holds parts by names.

    Args:
        short: Key whose text may stand for a part that says nothing else.
        always: See `key`.
    """

    def read(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
        if short is not None and isinstance(value, str):
            value = {short: value}
        return read_part(kind, value, path, problems)

    def written(part: WorkflowPart) -> Any:
        document = part.to_dict()
        return document[short] if short is not None and document.keys() == {short} else document

    def write(parts: Mapping[str, WorkflowPart]) -> dict[str, Any]:
        return {name: written(part) for name, part in parts.items()}

    return key(named(read, may_be_name), write, always=always)


def malformed(path: KeyPath, says: str, *value: Any) -> Problem:
    """What is wrong with what stands in a place of the file.

    Args:
        value: What stands there; nothing where nothing does.
    """
    node = path[1] if len(path) > 1 and path[0] == "nodes" else None
    key = ".".join(path[2:] if node else path)
    return Problem(
        "malformed",
        f"`{key}` {says}" if key else f"it {says}",
        node=node,
        given=in_words(*value) if value else None,
    )


def bad_name(name: Any) -> Problem:
    """That of a node, or of something else, is none."""
    return Problem(
        "bad-node-name",
        f"{repr(name) if isinstance(name, str) else in_words(name)} cannot be the name of a node",
        expected="any text without `.` and `/`, at least one character",
    )


def in_words(value: Any) -> str:
    """What a JSON value is."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    try:
        text = repr(value) if value is not None else "null"
    except (ValueError, RecursionError):  # of a whole number of thousands of digits
        return f"of type {type(value).__name__}"
    return text if len(text) <= 60 else f"{text[:59]}…"


Mode = Literal["mute", "bypass"]
"""Of a node that doesn't run: it leaves out what depends on it, or its inputs stand for it."""
MODES: tuple[Mode, ...] = get_args(Mode)


def is_node_name(name: Any) -> bool:
    """Of a node: any text without ``.`` (parts node and port) and ``/`` (parts block and node)."""
    return bool(name) and is_name(name) and "." not in name and "/" not in name


def _version(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        problems.append(malformed(path, "must be a whole number", value))
    elif value is not None and value < 1:
        problems.append(malformed(path, "must be at least 1", value))
    return value


def _mode(value: Any, path: KeyPath, problems: list[Problem]) -> Any:
    if value is not None and not (isinstance(value, str) and value in MODES):
        node = path[1] if path[0] == "nodes" else None
        problem = bad_mode(value, node)
        inside = f"`{'.'.join(path)}` " if node is None else ""
        problems.append(replace(problem, message=inside + problem.message))
    return value


PLACEHOLDER = "comfyui:"
"""What types of nodes begin with that stand for ComfyUI's and keep what its file says of them."""


@dataclass(kw_only=True)
class NodeEntry(WorkflowPart):
    """One node of a workflow.

    Attributes:
        type: Node type, or the name of one of the file's subgraphs.
        version: Version of the type that the inputs were written for; None means today's.
        inputs: As written: literals and links, see `core.links`; in memory also `Value`s.
        label: Shown instead of the name.
        note: The author's remark.
        always: Run in any case, never from the cache.
        mode: ``mute``: it isn't run, and what depends on it is left out. ``bypass``: it isn't run,
            and its inputs stand for its outputs. None for nodes that run.
        pack: What brings the type, as far as its author knows; told where there is no such type.
        unread: Inputs whose values couldn't be read of another program's file. They have to be
            given, though the type may have defaults.
        unread_as: What the other program calls these inputs, as far as that is known.
    """

    type: str = field(metadata=key(text, always=True))
    version: int | None = field(default=None, metadata=key(_version))
    inputs: dict[str, Any] = field(default_factory=dict, metadata=key(named(anything)))
    label: str = field(default="", metadata=key(text))
    note: str = field(default="", metadata=key(text))
    always: bool = field(default=False, metadata=key(truth))
    mode: Mode | None = field(default=None, metadata=key(_mode))
    pack: str = field(default="", metadata=key(text))
    unread: list[str] = field(default_factory=list, metadata=key(texts))
    unread_as: dict[str, str] = field(default_factory=dict, metadata=key(named(text)))

    def __post_init__(self) -> None:
        self.inputs = own(self.inputs)
        if written := to_written(self.inputs):
            self.inputs |= written


@dataclass(kw_only=True)
class Parameter(WorkflowPart):
    """An input that people vary; in the file just ``"node.input"`` if nothing else is said.

    Attributes:
        required: The input must be given, though the node has a default for it.
    """

    input: str = field(metadata=key(text, always=True))
    label: str = field(default="", metadata=key(text))
    help: str = field(default="", metadata=key(text))
    required: bool = field(default=False, metadata=key(truth))


@dataclass(kw_only=True)
class SubgraphInput(WorkflowPart):
    """A typed input of a subgraph.

    Attributes:
        type: Type expression; empty for that of the first inner input it leads to.
        to: The inner inputs, each as ``node.input``.
        help: One sentence.
    """

    type: str = field(default="", metadata=key(text))
    to: list[str] = field(default_factory=list, metadata=key(texts))
    help: str = field(default="", metadata=key(text))

    def __post_init__(self) -> None:
        self.extra = own(self.extra)
        self.extra |= to_written(self.extra)

    # `default` is no field: as an unknown key it tells "null" and "none given" apart.
    @property
    def has_default(self) -> bool:
        return "default" in self.extra

    @property
    def default(self) -> Any:
        """Value where nothing is given, as written; None without one."""
        return self.extra.get("default")


@dataclass(kw_only=True)
class Subgraph(WorkflowPart):
    """A reusable block, used like a node type.

    Attributes:
        outputs: Inner outputs, ``node.port``, by the block's output name.
    """

    inputs: dict[str, SubgraphInput] = field(
        default_factory=dict, metadata=parts_by_name(SubgraphInput)
    )
    outputs: dict[str, str] = field(default_factory=dict, metadata=key(named(text)))
    nodes: dict[str, NodeEntry] = field(
        default_factory=dict, metadata=parts_by_name(NodeEntry, is_node_name)
    )


def bad_mode(mode: Any, node: str | None) -> Problem:
    hint = did_you_mean(mode, MODES) if isinstance(mode, str) else ""
    return Problem(
        "malformed",
        "is not a mode of a node",
        node,
        given=in_words(mode),
        expected=" or ".join(f'"{known}"' for known in MODES),
        hint=hint if hint.startswith("Did") else "Omit `mode` for a node that runs.",
    )
