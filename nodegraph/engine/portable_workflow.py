"""Workflows as files of results carry them: without paths of the machine, and without prompts.

Both functions change a copy of the workflow's document. What they do not know, such as the data of
an editor, they keep.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple

from nodegraph.core.context import Environment
from nodegraph.core.digests import Digest, digest_bytes
from nodegraph.core.links import is_link
from nodegraph.core.spec import InputSpec, NodeSpec
from nodegraph.core.types import TypeExpr

SpecOf = Callable[[str], NodeSpec | None]
"""Returns the spec of a node type; None for a type that does not exist."""
_CLIENT = "metadata"
"""Key of a workflow with what a client sent, which belongs to the client."""
_ORIGINAL = "comfyui"
"""Key of an editor's data with the document that a workflow was imported from."""
_PROMPT_NAME = re.compile(r"prompt|lyrics|phrases|caption|^messages$", re.IGNORECASE)
"""Names of inputs for prompts, also of packs that do not declare them as such."""
_PROMPT_FIELD = re.compile(rf"{_PROMPT_NAME.pattern}|^text$|^content$|^system$|instruction", re.I)
"""Names of fields for prompts, in options that are JSON."""
_TEXTS = frozenset({"str", "Any", "AnyItem"})


class _Input(NamedTuple):
    """An input in a document: name of the subgraph (empty for the workflow), node and port."""

    block: str
    node: str
    port: str


def without_paths(
    document: Mapping[str, Any], environment: Environment, spec_of: SpecOf
) -> dict[str, Any]:
    """A workflow that names no folder of the machine and no user.

    Paths in the folders of inputs, outputs and models become relative to these. Other paths that
    lead elsewhere become the file's name, at inputs that name files and in the texts that these are
    linked to. Elsewhere, the folder of the user becomes ``~``.
    """
    whole = _Document(document, spec_of)
    replace_in = PathReplacer(environment)
    names = _FileNames(whole, replace_in)
    cleaned = {
        key: value if key == _CLIENT else replace_in.all_texts(value)
        for key, value in document.items()
    }
    for at in whole.files():
        values = _node(cleaned, at).get("inputs", {})
        if at.port in values:
            values[at.port] = _each_text(values[at.port], names.portable)
    return cleaned


def portable_file_name(
    document: Mapping[str, Any], environment: Environment, spec_of: SpecOf
) -> Callable[[str], str]:
    """Returns a function that gives the name of a file as `without_paths` writes it.

    Args:
        document: The workflow with the paths of the machine.
    """
    replace_in = PathReplacer(environment)
    names = _FileNames(_Document(document, spec_of), replace_in)
    return lambda path: names.portable(replace_in.in_text(path))


class PromptRemoval(NamedTuple):
    """A workflow without its prompts.

    Attributes:
        workflow: The workflow.
        omitted: Digests of the values that a result needs and that are left out, by ``node.input``;
            of a node in a subgraph, by ``subgraph/node.input``.
    """

    workflow: dict[str, Any]
    omitted: Mapping[str, Digest]


def without_prompts(
    document: Mapping[str, Any], spec_of: SpecOf, path: Collection[str] | None = None
) -> PromptRemoval:
    """A workflow in which prompts are empty.

    These are the literals of inputs that are declared as prompts, all texts of the nodes that such
    an input is linked to, prompts in options that are JSON, and all texts of nodes that the result
    does not need. What a client sent is left out, as it may repeat them.

    Args:
        path: Names of the nodes that the result was computed from, as a run has them; None if it
            may be any of them.
    """
    cleaned = {key: _copied(value) for key, value in document.items() if key != _CLIENT}
    if isinstance(cleaned.get("ui"), dict):
        cleaned["ui"].pop(_ORIGINAL, None)
    whole = _Document(cleaned, spec_of)
    omitted: dict[str, Digest] = {}
    prompts, unused = whole.prompts(), whole.unused(path)
    for at in list(whole.inputs()):
        values = _node(cleaned, at)["inputs"]
        before = values[at.port]
        if (at.block, at.node) in unused:
            values[at.port] = _unused_value(before, whole.port(at))
        elif at in prompts:
            values[at.port] = _each_text(before, lambda _: "")
        else:
            values[at.port] = _without_prompt_fields(before)
        if (at.block, at.node) not in unused and values[at.port] != before:
            name = f"{at.block}/{at.node}.{at.port}" if at.block else f"{at.node}.{at.port}"
            omitted[name] = digest_bytes(json.dumps(before).encode())
    for declared in whole.block_defaults(unused):
        declared["default"] = _each_text(declared["default"], lambda _: "")
    return PromptRemoval(cleaned, omitted)


def _unused_value(value: Any, port: InputSpec | None) -> Any:
    """The literal of a node that the result does not need: what is a text is its default."""
    if port is not None and not _may_be_words(port):
        return _without_prompt_fields(value)
    if port is not None and isinstance(value, str) and isinstance(port.default, str):
        return port.default
    return _each_text(value, lambda _: "")


def _without_prompt_fields(value: Any) -> Any:
    """Options as JSON values, or as the text of such, in which fields for prompts are empty."""
    if isinstance(value, str):
        if value.lstrip()[:1] not in ("{", "["):
            return value
        try:
            options = json.loads(value)
        except (ValueError, RecursionError):
            return value
        cleaned = _without_prompt_fields(options)
        return value if cleaned == options else json.dumps(cleaned)
    if isinstance(value, Mapping) and not is_link(value):
        return {
            key: _each_text(item, lambda _: "")
            if _PROMPT_FIELD.search(str(key)) and _is_text(item)
            else _without_prompt_fields(item)
            for key, item in value.items()
        }
    return [_without_prompt_fields(item) for item in value] if isinstance(value, list) else value


def names_file(port: InputSpec | None) -> bool:
    """Whether an input names files."""
    return port is not None and (port.widget.startswith("file:") or "Path" in port.type)


class _FileNames:
    """Names that stand for the paths of a workflow's files: two files never get the same."""

    def __init__(self, whole: _Document, replace_in: PathReplacer) -> None:
        self._names: dict[str, str] = {}
        texts = [
            replace_in.in_text(line)
            for at in whole.files()
            for text in whole.texts(at)
            for line in text.split("\n")
        ]
        kept = {text for text in texts if _file_name(text) == text}
        for text in dict.fromkeys(texts):
            plain = name = _file_name(text)
            number = 2
            while text not in kept and name in kept:
                path = PurePosixPath(plain)
                name = f"{path.stem}-{number}{path.suffix}"
                number += 1
            kept.add(name)
            self._names[text] = name

    def portable(self, text: str) -> str:
        """The name of a path, or of each line of a text: nodes make lists of paths of them.

        A path that only the run knows has its file's name.
        """
        return "\n".join(self._names.get(line) or _file_name(line) for line in text.split("\n"))


class _Document:
    """A workflow's document: its inputs, and what they are linked to, through subgraphs.

    It may be damaged in any way that the check of a workflow lets pass: what has another form than
    expected is skipped.
    """

    def __init__(self, document: Mapping[str, Any], spec_of: SpecOf) -> None:
        blocks = document.get("subgraphs")
        self._blocks: dict[str, Mapping[str, Any]] = {
            name: block
            for name, block in (blocks.items() if isinstance(blocks, Mapping) else ())
            if isinstance(block, Mapping)
        }
        self._spec_of = spec_of
        self._nodes = {
            "": _entries(document),
            **{name: _entries(block) for name, block in self._blocks.items()},
        }
        self._prompts: set[_Input] | None = None
        self._files: list[_Input] | None = None

    def texts(self, at: _Input) -> Iterator[str]:
        """All texts of an input's literal."""
        yield from _texts_in(_inputs(self._nodes.get(at.block, {}).get(at.node, {})).get(at.port))

    def inputs(self) -> Iterator[_Input]:
        """All inputs that are set."""
        for block, nodes in self._nodes.items():
            for name, entry in nodes.items():
                for port in _inputs(entry):
                    yield _Input(block, name, port)

    def port(self, at: _Input) -> InputSpec | None:
        """The declaration of an input, or of the first that it leads to in subgraphs."""
        return next((spec for spec in self._leads_to(at, set())), None)

    def _leads_to(self, at: _Input, visited: set[_Input]) -> Iterator[InputSpec]:
        entry = self._nodes.get(at.block, {}).get(at.node)
        if entry is None or at in visited:
            return
        visited.add(at)
        spec = self._spec(entry)
        if spec is not None and at.port in spec.inputs_by_name:
            yield spec.inputs_by_name[at.port]
            if not _passed(spec, at.port):
                return
        for block in self._run_blocks(entry, spec):
            for name in _passed(spec, at.port):
                for inner in self._targets(block, name):
                    yield from self._leads_to(inner, visited)

    def _spec(self, entry: Mapping[str, Any]) -> NodeSpec | None:
        kind = entry.get("type")
        return None if not isinstance(kind, str) or kind in self._blocks else self._spec_of(kind)

    def _run_blocks(self, entry: Mapping[str, Any], spec: NodeSpec | None) -> Iterator[str]:
        """Names of the subgraphs that a node stands for or runs."""
        kind = entry.get("type")
        if isinstance(kind, str) and kind in self._blocks:
            yield kind
        body = None if spec is None else spec.body
        named = None if body is None else _inputs(entry).get(body.name)
        if isinstance(named, str) and named in self._blocks:
            yield named

    def _block_inputs(self, block: str) -> Mapping[str, Any]:
        inputs = self._blocks[block].get("inputs")
        return inputs if isinstance(inputs, Mapping) else {}

    def _targets(self, block: str, name: str) -> Iterator[_Input]:
        """Inner inputs that an input of a subgraph leads to."""
        declared = self._block_inputs(block).get(name)
        leads = declared.get("to") if isinstance(declared, Mapping) else None
        for target in leads if isinstance(leads, (list, tuple)) else ():
            node, dot, port = target.rpartition(".") if isinstance(target, str) else ("", "", "")
            if dot:
                yield _Input(block, node, port)

    def files(self) -> list[_Input]:
        """Inputs that name files, or whose texts become part of such a name."""
        if self._files is None:
            self._files = list(
                self._with_sources(at for at in self.inputs() if names_file(self.port(at)))
            )
        return self._files

    def prompts(self) -> set[_Input]:
        """Inputs that are prompts, or whose texts become part of one."""
        if self._prompts is None:
            declared = (at for at in self.inputs() if self._is_declared(at))
            self._prompts = set(self._with_sources(declared))
        return self._prompts

    def unused(self, path: Collection[str] | None) -> set[tuple[str, str]]:
        """Subgraph (empty for the workflow) and name of the nodes that are on no path.

        The nodes of a subgraph that a loop runs count as used with the loop, as do all nodes of a
        workflow of which no path is known.

        Args:
            path: See `without_prompts`.
        """
        if path is None:
            return set()
        names = {part.partition("[")[0] for name in path for part in name.split("/")}
        used = {("", name.partition("/")[0].partition("[")[0]) for name in path}
        waiting = [(at, True) for at in used]
        while waiting:
            (block, name), is_exact = waiting.pop()
            entry = self._nodes.get(block, {}).get(name, {})
            spec = self._spec(entry)
            is_exact = is_exact and spec is None  # nodes inside of loops may have no names here
            for inner in self._run_blocks(entry, spec):
                nodes = [each for each in self._nodes[inner] if not is_exact or each in names]
                reached = {(inner, each) for each in nodes} - used
                used |= reached
                waiting.extend((at, is_exact) for at in reached)
        every = {(block, name) for block, nodes in self._nodes.items() for name in nodes}
        return every - used

    def _with_sources(self, inputs: Iterable[_Input]) -> dict[_Input, None]:
        """Inputs, and those whose texts become part of their values, in a fixed order."""
        reached: dict[_Input, None] = {}
        waiting = list(inputs)
        while waiting:
            at = waiting.pop()
            if at in reached:
                continue
            reached[at] = None
            waiting.extend(self._sources(at))
            # Within a subgraph: what nodes outside pass to it.
            waiting.extend(self._outer(at))
        return reached

    def block_defaults(self, unused: Collection[tuple[str, str]]) -> Iterator[dict[str, Any]]:
        """Inputs of subgraphs that have a default and lead to a prompt, or to texts of no use."""
        for name in self._blocks:
            for port, declared in self._block_inputs(name).items():
                if not isinstance(declared, dict) or "default" not in declared:
                    continue
                leads = set(self._targets(name, port))
                idle = [at for at in leads if (at.block, at.node) in unused]
                is_unused = bool(idle) and len(idle) == len(leads)
                ports = [self.port(at) for at in idle] if is_unused else []
                is_text = any(each is None or _may_be_words(each) for each in ports)
                if leads & self.prompts() or is_text:
                    yield declared

    def _is_declared(self, at: _Input) -> bool:
        return any(
            spec.prompt or (_PROMPT_NAME.search(spec.name) and _may_be_words(spec))
            for spec in self._leads_to(at, set())
        )

    def _sources(self, at: _Input) -> Iterator[_Input]:
        """Texts of the node that an input is linked to."""
        written = _inputs(self._nodes[at.block].get(at.node, {})).get(at.port)
        links = written if isinstance(written, list) else [written]
        for link in links:
            source = link["from"] if isinstance(link, dict) and is_link(link) else None
            if isinstance(source, str):
                name, _, port = source.partition(".")
                yield from self._texts_of(at.block, name, port, set())

    def _texts_of(
        self, block: str, name: str, output: str, visited: set[tuple[str, str]]
    ) -> Iterator[_Input]:
        entry = self._nodes.get(block, {}).get(name)
        if entry is None or (block, name) in visited:
            return
        visited.add((block, name))
        spec = self._spec(entry)
        # Also those that are not set here: a subgraph's inputs may lead to them.
        ports = dict.fromkeys(_inputs(entry))
        ports |= dict.fromkeys(() if spec is None else spec.inputs_by_name)
        for inner in self._run_blocks(entry, spec):
            ports |= dict.fromkeys(self._block_inputs(inner))
        for port in ports:
            known = None if spec is None else spec.inputs_by_name.get(port)
            # Of an unknown type or a subgraph, any text may become part of the prompt.
            if known is None or _may_be_words(known):
                yield _Input(block, name, port)
        for inner in self._run_blocks(entry, spec):
            outputs = self._blocks[inner].get("outputs")
            listed = outputs if isinstance(outputs, Mapping) else {}
            for key, source in listed.items():
                is_passed = output in ("", key) or spec is not None  # a loop names its own
                if isinstance(source, str) and is_passed:
                    node, _, port = source.partition(".")
                    yield from self._texts_of(inner, node, port, visited)

    def _outer(self, at: _Input) -> Iterator[_Input]:
        """Inputs of nodes that pass on to an input within a subgraph."""
        if not at.block:
            return
        names = [
            name
            for name in self._block_inputs(at.block)
            if at in set(self._targets(at.block, name))
        ]
        for block, nodes in self._nodes.items() if names else ():
            for node, entry in nodes.items():
                spec = self._spec(entry)
                if at.block in self._run_blocks(entry, spec):
                    ports = dict.fromkeys(_passing(spec, name) for name in names)
                    yield from (_Input(block, node, port) for port in ports if port)
        # A loop passes what its subgraph returned to the next turn.
        outputs = self._blocks[at.block].get("outputs")
        listed: Mapping[str, Any] = outputs if isinstance(outputs, Mapping) else {}
        for name in names:
            source = listed.get(name)
            if isinstance(source, str):
                inner, _, port = source.partition(".")
                yield from self._texts_of(at.block, inner, port, set())


def _passed(spec: NodeSpec | None, port: str) -> list[str]:
    """Inputs of a subgraph that get an input of the node that stands for it or runs it."""
    if spec is None:
        return [port]
    body = None if spec.body is None else spec.body.body
    named = [] if body is None else [name for name, own in body.inputs.items() if own == port]
    # Other inputs of a subgraph become inputs of the node that runs it.
    return named if named or port in spec.inputs_by_name else [port]


def _passing(spec: NodeSpec | None, name: str) -> str:
    """The input of a node that an input of its subgraph gets; empty if the node computes it."""
    body = None if spec is None or spec.body is None else spec.body.body
    return name if body is None else body.inputs.get(name, name)


def _texts_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts_in(item)
    elif isinstance(value, Mapping) and not is_link(value):
        for item in value.values():
            yield from _texts_in(item)


def _may_be_words(port: InputSpec) -> bool:
    is_choice = "enum" in port.choice_schema
    return _has_texts(port.expr) and not is_choice and not port.widget.startswith("file:")


def _has_texts(kind: TypeExpr) -> bool:
    if kind.kind == "union":
        return any(map(_has_texts, kind.members))
    return _has_texts(kind.item) if kind.is_list else kind.name in _TEXTS


def _is_text(value: Any) -> bool:
    is_list = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return is_list or isinstance(value, str)


def _entries(holder: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    nodes = holder.get("nodes")
    return {
        name: entry
        for name, entry in (nodes.items() if isinstance(nodes, Mapping) else ())
        if isinstance(entry, Mapping)
    }


def _inputs(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    inputs = entry.get("inputs")
    return inputs if isinstance(inputs, Mapping) else {}


def _node(document: Mapping[str, Any], at: _Input) -> dict[str, Any]:
    holder = document["subgraphs"][at.block] if at.block else document
    entry: dict[str, Any] = holder["nodes"].get(at.node, {})
    return entry


def _copied(value: Any) -> Any:
    return _each_text(value, lambda text: text)


def _each_text(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of JSON values with each text changed; links stay, as they are no literals."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        if is_link(value) and len(value) == 1:
            return dict(value)
        return {key: _each_text(item, change) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_each_text(item, change) for item in value]
    return value


def _file_name(path: str) -> str:
    """The file's name of a path that leads out of the inputs folder; other paths as they are."""
    is_windows = bool(PureWindowsPath(path).drive)
    pure: PurePosixPath | PureWindowsPath = (
        PureWindowsPath(path) if is_windows or "\\" in path else PurePosixPath(path)
    )
    if pure.is_absolute() or is_windows or path.startswith("~") or _leads_up(pure.parts):
        return path if pure.name in ("", "..") else pure.name
    return path


def _leads_up(parts: Iterable[str]) -> bool:
    depth = 0
    for part in parts:
        depth += -1 if part == ".." else 1
        if depth < 0:
            return True
    return False


class PathReplacer:
    """Replaces folders of an environment in texts."""

    def __init__(self, environment: Environment) -> None:
        inner = _spellings([environment.inputs, environment.outputs, *environment.models])
        folders = "|".join(map(re.escape, inner))
        # Not within a longer path, where it is another folder.
        self._within = re.compile(rf"(?<![\w./\\~-])(?:{folders})([/\\]+|$)") if inner else None
        homes = "|".join(map(re.escape, _spellings(_homes())))
        self._home = re.compile(rf"(?:{homes})(?![\w.-])") if homes else None

    def all_texts(self, value: Any) -> Any:
        """A copy of JSON values with each text changed."""
        return _each_text(value, self.in_text)

    def is_local(self, spec: NodeSpec, literals: Mapping[str, Any]) -> bool:
        """Whether a node's literals may name a place of the machine.

        Names of input files count in any form, so that a workflow and its portable form are alike.
        """
        files = [name for name in spec.file_ports if not spec.inputs_by_name[name].is_model_file]
        if any(literals.get(name) for name in files):
            return True
        return any(
            self.all_texts(value) != value
            or (names_file(port) and _each_text(value, _file_name) != value)
            for name, value in literals.items()
            if isinstance(value, (str, list, Mapping))
            for port in [spec.inputs_by_name.get(name)]
        )

    def in_text(self, text: str) -> str:
        """A text in which folders are replaced."""
        if "/" not in text and "\\" not in text:
            return text
        if self._within is not None:
            text = self._within.sub(lambda match: "" if match[1] else ".", text)
        return text if self._home is None else self._home.sub("~", text)


def _homes() -> Iterator[Path]:
    try:
        yield Path("~").expanduser()
    except RuntimeError:
        return  # not known, so no path names it


def _spellings(folders: Iterable[Path]) -> list[str]:
    """Texts of folders as a workflow may write them; none for a root, which names nothing."""
    texts = {
        text
        for folder in folders
        for path in (folder.absolute(), folder.resolve())
        if len(path.parts) > 1
        for text in (str(path), path.as_posix())
    }
    return sorted(texts, key=len, reverse=True)
