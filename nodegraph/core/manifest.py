"""Manifest of a result file: everything that its content depends on, so that it can be made again.

A manifest is deterministic: equal content has equal bytes. It has no times, job ids, hosts, users
or paths of the machine. Those are in the record of the run, which is found by the digest of a file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from nodegraph.core.digests import digest_bytes
from nodegraph.core.parts import in_words
from nodegraph.core.text_format import strip_control_characters
from nodegraph.errors import InvalidFile

FORMAT = "nodegraph-manifest/1"
MANIFEST, WORKFLOW, VERSION_KEY = "manifest", "workflow", "nodegraph"
"""Names of the texts in a file: manifest and workflow as JSON, and nodegraph's version."""
LONGEST = 1 << 20
"""Characters of a manifest without its workflow, when it is written and when it is read."""
MOST_WORKFLOW = 16 << 20
"""Characters of a workflow that a file carries."""
MOST = 20_000
"""Entries of one list or object that is read."""
LONGEST_TEXT = 10_000
"""Characters of one text that is read."""

T = TypeVar("T")
_Reader = Callable[[Any, str], T]


@dataclass(frozen=True, slots=True)
class ManifestNode:
    """A node that the result was computed from.

    Attributes:
        type, version: Node type, and its version.
        pack: Name of the pack; empty for a function of a script.
        code: Digest of the code behind the node type.
        key: Cache key of its call. Empty if it was mapped over a list, runs a subgraph, or reads or
            names files, because their paths on the machine are part of the key.
        profile: Numerics profile, if the result depends on it; else empty.
        outputs: Digests of its outputs, by port.
    """

    type: str
    version: int = 1
    pack: str = ""
    code: str = ""
    key: str = ""
    profile: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ManifestPack:
    """A pack of these nodes.

    Attributes:
        version: Version of its distribution; empty without one.
        digest: Digest of the code behind its node types in `Manifest.nodes`.
    """

    version: str = ""
    digest: str = ""


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """A file of a model component.

    Attributes:
        role: See `core.values.RecipeFile`.
        name: Relative to the models folder; only the name if the file is outside of all.
        digest: blake3 digest of its content, hexadecimal.
    """

    role: str
    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class ManifestAdapter:
    """An adapter that is applied to a model, such as a LoRA; see `core.values.Adapter`."""

    kind: str
    name: str
    digest: str
    strength: float = 1.0
    modules: tuple[str, ...] = ()
    token: str = ""


@dataclass(frozen=True, slots=True)
class ManifestModel:
    """A model component as it was used: its files and the recipe.

    Attributes:
        node, port: Output that gives the component. The port is empty for weights that the node
            brings itself: they come with its pack.
        kind: Port type, such as ``DiffusionModel``.
        digest: Digest of the contents of its files, see `core.values.Recipe.digest`.
        family, dtype, options, adapters, files: See `core.values.Recipe`.
    """

    node: str
    port: str
    kind: str
    digest: str
    family: str = ""
    dtype: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    adapters: tuple[ManifestAdapter, ...] = ()
    files: tuple[ManifestFile, ...] = ()


@dataclass(frozen=True, slots=True)
class ManifestInput:
    """An input file, such as a photo.

    Attributes:
        node, port: Input that names it.
        name: Relative to the inputs folder; only the name if the file is outside.
        digest: blake3 digest of its content, hexadecimal.
        manifest: blake3 digest of the text of the manifest that the file carries; empty without
            one. So a result names the results that it was made of.
        others: Files of the same folder that the node read and that are not listed: the last entry
            of a folder of more than 1,000 files counts them.
    """

    node: str
    port: str
    name: str
    digest: str
    manifest: str = ""
    others: int = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a result file was made of.

    Attributes:
        nodegraph: Version of nodegraph.
        node: Name of the node that wrote the file.
        index: Which item of a batch the file holds, from 0; None for a file of its whole input.
        content: Digest of the linked value that was saved; empty if several inputs are linked.
        numerics: Numerics profile of the run: device, library versions, threads.
        nodes: `node` and all nodes before it, in an order in which each comes after what it needs.
        packs: Packs of these nodes, by name.
        models: Model components that nodes use.
        inputs: Input files.
        seeds: Seeds, by ``node.port``.
        workflow_digest: Digest of the workflow without paths of the machine, also if the file does
            not carry it.
        embedded_digest: Digest of `workflow`, if prompts are left out there; else empty.
        omitted_prompts: Digests of the prompts that are left out there and that the file needs, by
            ``node.input``; None if none are, or if a version wrote it that did not note them.
        truncated: Whether parts are left out because the manifest was too long.
        workflow: The workflow as it ran; None if the file does not carry it.
    """

    nodegraph: str
    node: str
    index: int | None = None
    content: str = ""
    numerics: str = ""
    nodes: Mapping[str, ManifestNode] = field(default_factory=dict)
    packs: Mapping[str, ManifestPack] = field(default_factory=dict)
    models: tuple[ManifestModel, ...] = ()
    inputs: tuple[ManifestInput, ...] = ()
    seeds: Mapping[str, int] = field(default_factory=dict)
    workflow_digest: str = ""
    embedded_digest: str = ""
    omitted_prompts: Mapping[str, str] | None = None
    truncated: bool = False
    workflow: Mapping[str, Any] | None = None

    @property
    def lacks_prompts(self) -> bool:
        """Whether `workflow` lacks prompts that the file needs."""
        return bool(self.embedded_digest) and self.omitted_prompts != {}

    def to_document(self, *, with_workflow: bool = True) -> dict[str, Any]:
        """JSON values.

        Args:
            with_workflow: Include the workflow. A result file has it in a text of its own.
        """
        document = {"format": FORMAT, **asdict(replace(self, workflow=None))}
        del document["workflow"]
        if with_workflow and self.workflow is not None:
            document["workflow"] = dict(self.workflow)
        return document

    def to_text(self) -> str:
        """JSON without the workflow, at most `LONGEST` characters, ASCII only.

        A longer one leaves out code digests and keys, then the outputs of all nodes except the
        last.
        """
        text = _encode(self)
        if len(text) <= LONGEST:
            return text
        cut = replace(self, truncated=True)
        short = {
            name: replace(node, code="", key="", profile="") for name, node in self.nodes.items()
        }
        last = {name: node for name, node in self.nodes.items() if name == self.node}
        for smaller in (
            replace(cut, nodes=short),
            replace(cut, nodes=last),
            replace(cut, nodes={}, seeds={}),
        ):
            text = _encode(smaller)
            if len(text) <= LONGEST:
                return text
        least = replace(cut, nodes={}, seeds={}, packs={}, models=(), inputs=())
        return _encode(replace(least, omitted_prompts=None))

    @classmethod
    def from_document(cls, document: Any, workflow: Mapping[str, Any] | None = None) -> Manifest:
        """Read a manifest strictly.

        Args:
            document: JSON values.
            workflow: The workflow, if it is not in the document.
        Raises:
            InvalidFile: It is not a manifest, is too large, or is not that of this workflow.
        """
        entry = _object(document, "the manifest")
        if entry.get("format") != FORMAT:
            raise InvalidFile(
                "this is not a manifest that this version reads",
                given=in_words(entry.get("format"))[:100],
                expected=FORMAT,
                hint="Use a newer version of nodegraph, if the file comes from one.",
            )
        written = entry.get("workflow")
        carried = workflow if written is None else written
        if carried is not None and not isinstance(carried, Mapping):
            raise _refusal("workflow", carried, "an object")
        manifest = cls(
            nodegraph=_text(entry.get("nodegraph"), "nodegraph"),
            node=_text(entry.get("node"), "node"),
            index=None if entry.get("index") is None else _whole(entry["index"], "index"),
            content=_text(entry.get("content", ""), "content"),
            numerics=_text(entry.get("numerics", ""), "numerics"),
            nodes=_mapping(entry, "nodes", _node),
            packs=_mapping(entry, "packs", _pack),
            models=_items(entry, "models", read_model),
            inputs=_items(entry, "inputs", _input),
            seeds=_mapping(entry, "seeds", _whole),
            workflow_digest=_text(entry.get("workflow_digest", ""), "workflow_digest"),
            embedded_digest=_text(entry.get("embedded_digest", ""), "embedded_digest"),
            omitted_prompts=None
            if entry.get("omitted_prompts") is None
            else _mapping(entry, "omitted_prompts", _text),
            truncated=entry.get("truncated") is True,
            workflow=carried,
        )
        expected = manifest.embedded_digest or manifest.workflow_digest
        if carried is not None and expected != digest_workflow(carried):
            raise InvalidFile(
                "the workflow in this file is not the one that made it",
                given=f"digest {digest_workflow(carried)[:12]}",
                expected=f"digest {expected[:12]}",
                hint="The texts of the file were changed. `nodegraph run` still runs its workflow.",
            )
        return manifest


def manifest_from_texts(texts: Mapping[str, str]) -> Manifest | None:
    """The manifest in the texts of a file; None without one.

    Args:
        texts: Texts by name, see `session.results.files.result_texts`.
    Raises:
        InvalidFile: It is damaged, see `Manifest.from_document`.
    """
    text = texts.get(MANIFEST)
    if text is None:
        return None
    workflow = texts.get(WORKFLOW)
    return Manifest.from_document(
        _decode(text, MANIFEST), None if workflow is None else _decode(workflow, WORKFLOW)
    )


def file_texts(manifest: Manifest) -> dict[str, str]:
    """The texts of a file by name: the manifest, the workflow if it has one, and the version.

    A workflow of more than `MOST_WORKFLOW` characters is left out. All characters are ASCII, which
    every reader of PNG texts and EXIF understands.
    """
    workflow = json.dumps(dict(manifest.workflow)) if manifest.workflow else ""
    carried = {WORKFLOW: workflow} if 0 < len(workflow) <= MOST_WORKFLOW else {}
    return {**carried, MANIFEST: manifest.to_text(), VERSION_KEY: manifest.nodegraph}


def sidecar_text(manifest: Manifest) -> str:
    """The JSON file next to a result: the whole manifest, with the workflow."""
    return json.dumps(manifest.to_document(), indent=1) + "\n"


def is_sidecar(start: bytes) -> bool:
    """Whether a JSON file is a manifest, by its first bytes."""
    return start.lstrip()[:1] == b"{" and f'"{FORMAT}"'.encode() in start


def digest_workflow(workflow: Mapping[str, Any]) -> str:
    """Digest of a workflow's JSON, whatever its spaces.

    Raises:
        InvalidFile: It is nested too deep for JSON.
    """
    try:
        text = json.dumps(dict(workflow), separators=(",", ":"))
    except RecursionError as error:
        raise InvalidFile("the workflow in this file is nested too deep") from error
    return digest_bytes(text.encode())


def _encode(manifest: Manifest) -> str:
    # ASCII with escapes, which every reader of PNG texts and EXIF understands.
    return json.dumps(manifest.to_document(with_workflow=False), separators=(",", ":"))


def _decode(text: str, what: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidFile(f"the {what} in this file is damaged") from error


def _refusal(what: str, value: Any, expected: str) -> InvalidFile:
    # A hostile file may have megabytes here, or characters that control a terminal.
    name = strip_control_characters(what)[:100]
    return InvalidFile(
        f"the manifest is damaged: {name}", given=in_words(value)[:100], expected=expected
    )


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > MOST:
        raise _refusal(what, value, f"an object of at most {MOST:,} entries")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise _refusal(what, value, f"a text of at most {LONGEST_TEXT:,} characters")
    return value


def _whole(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 64:
        raise _refusal(what, value, "a whole number of at most 64 bits")
    return value


def _number(value: Any, what: str) -> float:
    # NaN is no number of JSON, and is unequal to itself.
    if not isinstance(value, (int, float)) or isinstance(value, bool) or value != value:
        raise _refusal(what, value, "a number")
    return float(value)


def _mapping(entry: Mapping[str, Any], key: str, read: _Reader[T]) -> dict[str, T]:
    values = _object(entry.get(key, {}), key)
    return {_text(name, key): read(value, f"{key}.{name}"[:200]) for name, value in values.items()}


def _items(entry: Mapping[str, Any], key: str, read: _Reader[T]) -> tuple[T, ...]:
    values: Sequence[Any] = entry.get(key, [])
    if not isinstance(values, (list, tuple)) or len(values) > MOST:
        raise _refusal(key, values, f"a list of at most {MOST:,} items")
    return tuple([read(value, f"{key}[{at}]") for at, value in enumerate(values)])


def _texts(value: Any, what: str, *names: str) -> dict[str, str]:
    """Fields of an object that are texts; those that are missing are empty."""
    entry = _object(value, what)
    return {name: _text(entry.get(name, ""), f"{what}.{name}") for name in names}


def _node(value: Any, what: str) -> ManifestNode:
    return ManifestNode(
        **_texts(value, what, "type", "pack", "code", "key", "profile"),
        version=_whole(value.get("version", 1), what),
        outputs=_mapping(value, "outputs", _text),
    )


def _pack(value: Any, what: str) -> ManifestPack:
    return ManifestPack(**_texts(value, what, "version", "digest"))


def read_model(value: Any, what: str) -> ManifestModel:
    """An entry of `Manifest.models`.

    Args:
        value: JSON values.
        what: Name of the entry, for messages.
    Raises:
        InvalidFile: It is damaged.
    """
    return ManifestModel(
        **_texts(value, what, "node", "port", "kind", "digest", "family", "dtype"),
        options=_mapping(value, "options", _text),
        adapters=_items(value, "adapters", _adapter),
        files=_items(value, "files", _file),
    )


def _adapter(value: Any, what: str) -> ManifestAdapter:
    return ManifestAdapter(
        **_texts(value, what, "kind", "name", "digest", "token"),
        strength=_number(value.get("strength", 1.0), what),
        modules=_items(value, "modules", _text),
    )


def _file(value: Any, what: str) -> ManifestFile:
    return ManifestFile(**_texts(value, what, "role", "name", "digest"))


def _input(value: Any, what: str) -> ManifestInput:
    texts = _texts(value, what, "node", "port", "name", "digest", "manifest")
    return ManifestInput(**texts, others=_whole(value.get("others", 0), what))
