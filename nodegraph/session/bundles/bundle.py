"""The description in a bundle: what the archive holds, and what a run of it must give.

A bundle is deterministic: equal content has equal bytes. It has no times, hosts, users or paths of
the machine that made it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypeVar, cast

from nodegraph.core.manifest import ManifestModel, read_model
from nodegraph.errors import InvalidFile
from nodegraph.store.zip_reader import is_safe

FORMAT = "nodegraph-bundle/1"
SUFFIX = ".ngbundle.zip"
DESCRIPTION, WORKFLOW, REQUIREMENTS = "bundle.json", "workflow.json", "requirements.txt"
"""Files of every bundle."""
INPUTS, MODELS, RESULTS, PACKS = "inputs", "models", "results", "packs"
"""Folders of a bundle: files by digest, and packs by their own names."""
LONGEST = 16 << 20
"""Bytes of a description."""
_MOST = 100_000
"""Entries of one list or object that is read."""
_LONGEST_TEXT = 10_000
_LARGEST_NUMBER = 1 << 62
_DIGEST = re.compile(r"[0-9a-f]{64}")

PackForm = Literal["own", "package", "installed", "source"]
"""How a pack gets elsewhere: ``own`` ships with nodegraph, ``package`` is installed by pip,
``installed`` is fetched by its lock, ``source`` is in the bundle."""
_FORMS = ("own", "package", "installed", "source")
ModelForm = Literal["embedded", "file", "folder"]
_MODEL_FORMS = ("embedded", "file", "folder")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BundleFile:
    """A file that a run reads.

    Attributes:
        name: Where the run expects it, below the folder of inputs, of models, or of a pack.
        digest: blake3 of its content, hexadecimal.
        bytes: Its size.
    """

    name: str
    digest: str
    bytes: int


@dataclass(frozen=True, slots=True)
class BundleModel:
    """A model that the workflow names.

    Attributes:
        name: As the workflow names it.
        form: ``embedded`` models ship with nodegraph.
        files: Its files, by their names below the models folder.
        included: Whether the bundle has the files.
        source: Reference for `nodegraph models add`; empty if it is not known.
        title, page, license: As its source states them.
    """

    name: str
    form: ModelForm
    files: tuple[BundleFile, ...] = ()
    included: bool = False
    source: str = ""
    title: str = ""
    page: str = ""
    license: str = ""


@dataclass(frozen=True, slots=True)
class BundlePack:
    """A pack that the workflow has nodes of.

    Attributes:
        name: Prefix of its node types; ``nodegraph`` for the built-in pack.
        form: See `PackForm`.
        version: Of its distribution; empty without one.
        distribution: Name for pip, of a ``package``.
        digest: Of the names and contents of its files; of a ``source``.
        license: As its project states it; empty if it does not.
        is_file: Whether a ``source`` is a single file instead of a folder.
        project: Kind of a ``source`` that was installed by `nodegraph pack add`, and is installed
            so again: ``native`` or ``comfyui``. Empty for a folder or file that is used as it is.
        files: Of a ``source``.
        lock: Of an ``installed`` pack, as `nodegraph pack lock` writes it.
    """

    name: str
    form: PackForm
    version: str = ""
    distribution: str = ""
    digest: str = ""
    license: str = ""
    is_file: bool = False
    project: str = ""
    files: tuple[BundleFile, ...] = ()
    lock: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ExpectedNode:
    """What a node gave where the bundle was made.

    Attributes:
        type, pack: Its node type and the pack of that.
        code: Digest of the code behind the node type; empty if it is not known.
        outputs: Digests by port.
    """

    type: str
    pack: str = ""
    code: str = ""
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BundleResult:
    """A file that the run wrote where the bundle was made.

    Attributes:
        node: The node that wrote it.
        name: Its name below the folder of outputs.
        kind: Such as ``image``.
        digest, bytes: Of the file.
    """

    node: str
    name: str
    kind: str
    digest: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What results depend on besides the workflow.

    Attributes:
        nodegraph, python: Versions.
        platform: System and processor, such as ``linux-x86_64``.
        numerics: Numerics profile: device, library versions, threads.
        libraries: Versions by name.
    """

    nodegraph: str = ""
    python: str = ""
    platform: str = ""
    numerics: str = ""
    libraries: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The description of a bundle.

    Attributes:
        title: Of the workflow.
        workflow_digest: blake3 of `WORKFLOW`; empty in bundles of earlier versions.
        surroundings: Of the results, as far as they are known; else of the bundle's author.
        requirements: Packages for pip with their versions, as lines of ``requirements.txt``.
        parameters: Values of the workflow's parameters, by name.
        components: Model components as the nodes of a run used them: family, precision, options
            and adapters; empty if no run is known, or its results name none.
        nodes: Nodes of a run in its order, by name; empty if no run is known.
        results: Files of that run.
        notes: What the bundle could not take along, as text.
    """

    title: str = ""
    workflow_digest: str = ""
    surroundings: Surroundings = field(default_factory=Surroundings)
    requirements: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[BundleFile, ...] = ()
    models: tuple[BundleModel, ...] = ()
    components: tuple[ManifestModel, ...] = ()
    packs: tuple[BundlePack, ...] = ()
    nodes: Mapping[str, ExpectedNode] = field(default_factory=dict)
    results: tuple[BundleResult, ...] = ()
    notes: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """JSON values."""
        return {"format": FORMAT, **asdict(self)}

    def encode(self) -> bytes:
        """JSON with a fixed order and form."""
        return json.dumps(self.to_document(), indent=1, ensure_ascii=False).encode()

    def members(self) -> dict[str, BundleFile]:
        """Every file in the archive besides `DESCRIPTION` and `WORKFLOW`, by its path there."""
        members = {f"{INPUTS}/{each.digest}": each for each in self.inputs}
        for model in self.models:
            if model.included:
                members |= {f"{MODELS}/{each.digest}": each for each in model.files}
        for result in self.results:
            file = BundleFile(result.name, result.digest, result.bytes)
            members[f"{RESULTS}/{result.digest}"] = file
        for pack in self.packs:
            members |= {f"{PACKS}/{pack.name}/{each.name}": each for each in pack.files}
        return members

    @property
    def source_packs(self) -> list[BundlePack]:
        """Packs whose code is not on every machine: from the bundle, or fetched by a lock."""
        return [pack for pack in self.packs if pack.form in ("source", "installed")]

    @classmethod
    def decode(cls, data: bytes) -> Bundle:
        """Read a description strictly: it may come from anybody.

        Raises:
            InvalidFile: It is none, or has what no bundle may have.
        """
        try:
            document = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise InvalidFile(f"the {DESCRIPTION} of this bundle is not valid JSON") from error
        entry = _object(document, DESCRIPTION)
        if entry.get("format") != FORMAT:
            raise InvalidFile(
                "this is not a bundle that this version reads",
                given=str(entry.get("format"))[:80],
                expected=FORMAT,
                hint="Use a newer version of nodegraph, if the bundle comes from one.",
            )
        bundle = cls(
            title=_text(entry.get("title", ""), "title"),
            workflow_digest=_text(entry.get("workflow_digest", ""), "workflow_digest"),
            surroundings=_surroundings(entry.get("surroundings", {}), "surroundings"),
            requirements=_items(entry, "requirements", _text),
            parameters=_object(entry.get("parameters", {}), "parameters"),
            inputs=_items(entry, "inputs", _file),
            models=_items(entry, "models", _model),
            components=_items(entry, "components", read_model),
            packs=_items(entry, "packs", _pack),
            nodes=_mapping(entry, "nodes", _node),
            results=_items(entry, "results", _result),
            notes=_items(entry, "notes", _text),
        )
        _check_distinct("inputs", [each.name for each in bundle.inputs])
        _check_distinct("results", [each.name for each in bundle.results])
        _check_distinct("packs", [each.name for each in bundle.packs])
        _check_models(bundle.models)
        for pack in bundle.packs:
            _check_distinct(f"files of the pack {pack.name}", [each.name for each in pack.files])
        return bundle


def _check_models(models: tuple[BundleModel, ...]) -> None:
    """Models may share a file, but no name may stand for two."""
    digests: dict[str, str] = {}
    for model in models:
        if not model.files and model.form != "embedded":
            digests[_name(model.name, "models")] = ""
    for file in (file for model in models for file in model.files):
        if digests.setdefault(file.name, file.digest) != file.digest:
            raise _refusal("two models have a file of one name", file.name, "one content")
    _check_distinct("models", list(digests))


def _check_distinct(what: str, names: list[str]) -> None:
    """Refuse names that are equal, or that a file system takes for equal."""
    known: set[str] = set()
    for name in names:
        folded = name.casefold()
        if folded in known:
            raise _refusal(f"a name stands twice among the {what}", name, "each name once")
        known.add(folded)
    for name in known:
        parts = name.split("/")
        if any("/".join(parts[:at]) in known for at in range(1, len(parts))):
            raise _refusal(f"among the {what}, a file is a folder, too", name, "one of both")


def _refusal(what: str, value: Any, expected: str) -> InvalidFile:
    return InvalidFile(
        f"the bundle is refused: {what}", given=ascii(str(value)[:200]), expected=expected
    )


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) > _MOST:
        raise _refusal(what, value, f"an object of at most {_MOST:,} entries")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise _refusal(what, value, f"a text of at most {_LONGEST_TEXT:,} characters")
    return value


def _texts(value: Any, what: str, *names: str) -> dict[str, str]:
    """Fields of an object that are texts; those that are missing are empty."""
    entry = _object(value, what)
    return {name: _text(entry.get(name, ""), f"{what}.{name}") for name in names}


def _flag(value: Any, what: str) -> bool:
    if not isinstance(value, bool):
        raise _refusal(what, value, "true or false")
    return value


def _size(value: Any, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < _LARGEST_NUMBER:
        raise _refusal(what, value, "a number of bytes")
    return value


def _digest(value: Any, what: str) -> str:
    if not isinstance(value, str) or _DIGEST.fullmatch(value) is None:
        raise _refusal(what, value, "a blake3 digest of 64 hexadecimal digits")
    return value


def is_portable_name(name: str) -> bool:
    """Whether a name with slashes stays below its folder, on every system."""
    has_mark = any(mark in name for mark in '\\:*?"<>|')
    return bool(name) and not has_mark and name.isprintable() and is_safe(name)


def _name(value: Any, what: str) -> str:
    name = _text(value, what)
    if not is_portable_name(name):
        raise _refusal(what, name, "a file name that leads nowhere else")
    return name


def _choice(value: Any, what: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise _refusal(what, value, " or ".join(known))
    return str(value)


def _mapping(entry: Mapping[str, Any], key: str, read: Callable[[Any, str], T]) -> dict[str, T]:
    values = _object(entry.get(key, {}), key)
    return {_text(name, key): read(value, f"{key}.{name}"[:200]) for name, value in values.items()}


def _items(entry: Mapping[str, Any], key: str, read: Callable[[Any, str], T]) -> tuple[T, ...]:
    values = entry.get(key, [])
    if not isinstance(values, list) or len(values) > _MOST:
        raise _refusal(key, values, f"a list of at most {_MOST:,} items")
    return tuple([read(value, f"{key}[{at}]") for at, value in enumerate(values)])


def _file(value: Any, what: str) -> BundleFile:
    entry = _object(value, what)
    return BundleFile(
        _name(entry.get("name"), f"{what}.name"),
        _digest(entry.get("digest"), f"{what}.digest"),
        _size(entry.get("bytes"), f"{what}.bytes"),
    )


def _result(value: Any, what: str) -> BundleResult:
    file = _file(value, what)
    texts = _texts(value, what, "node", "kind")
    return BundleResult(texts["node"], file.name, texts["kind"], file.digest, file.bytes)


def _model(value: Any, what: str) -> BundleModel:
    entry = _object(value, what)
    return BundleModel(
        **_texts(value, what, "name", "source", "title", "page", "license"),
        form=cast("ModelForm", _choice(entry.get("form"), f"{what}.form", _MODEL_FORMS)),
        files=_items(entry, "files", _file),
        included=_flag(entry.get("included", False), f"{what}.included"),
    )


def _pack(value: Any, what: str) -> BundlePack:
    entry = _object(value, what)
    lock = entry.get("lock")
    pack = BundlePack(
        **_texts(value, what, "name", "version", "distribution", "digest", "license"),
        form=cast("PackForm", _choice(entry.get("form"), f"{what}.form", _FORMS)),
        is_file=_flag(entry.get("is_file", False), f"{what}.is_file"),
        project=_choice(entry.get("project", ""), f"{what}.project", ("", "native", "comfyui")),
        files=_items(entry, "files", _file),
        lock=None if lock is None else _object(lock, f"{what}.lock"),
    )
    if not pack.name.isidentifier():
        raise _refusal(f"{what}.name", pack.name, "letters, digits and underscores")
    if pack.is_file and [file.name for file in pack.files] != [f"{pack.name}.py"]:
        raise _refusal(f"{what}.files", len(pack.files), f"one file {pack.name}.py")
    if (pack.form == "installed") != (lock is not None) or (pack.form != "source" and pack.files):
        raise _refusal(what, pack.form, "what a pack of its form has")
    return pack


def _node(value: Any, what: str) -> ExpectedNode:
    return ExpectedNode(
        **_texts(value, what, "type", "pack", "code"), outputs=_mapping(value, "outputs", _text)
    )


def _surroundings(value: Any, what: str) -> Surroundings:
    return Surroundings(
        **_texts(value, what, "nodegraph", "python", "platform", "numerics"),
        libraries=_mapping(value, "libraries", _text),
    )
