"""Compare a file with the one that a replay wrote: identical, or the first difference and why.

Both files carry manifests. Nodes are compared in the order in which they ran. The first one whose
outputs have other digests made the difference: all before it gave the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from nodegraph.core.context import MAX_IMAGE_PIXELS
from nodegraph.core.digests import Digest
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.manifest import (
    MANIFEST,
    WORKFLOW,
    Manifest,
    ManifestModel,
    ManifestNode,
    is_sidecar,
    manifest_from_texts,
)
from nodegraph.core.text_format import strip_control_characters
from nodegraph.engine.key_parts import Difference
from nodegraph.errors import NodegraphError
from nodegraph.session.content_search import files_below
from nodegraph.session.replay.content_difference import (
    ContentDifference,
    compare_contents,
    content_form,
)
from nodegraph.session.results.files import CARD, HEAD, result_texts

Verdict = Literal["identical", "same-content", "differs"]
ReasonKind = Literal[
    "weights", "version", "code", "numerics", "input", "outside", "nondeterministic", "encoder"
]
UNCOMPARED = frozenset({"preview", "manifest"})
"""Kinds of written files that no result stands for."""
_SHOWN = 4
_LONGEST = 500
"""Characters of the names that a note has."""
_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Reason:
    """A cause of a difference.

    Attributes:
        kind: ``weights``: model files have other bytes; ``version``: of the node type; ``code``:
            pack or nodegraph; ``numerics``: device, libraries, threads; ``input``: an input file;
            ``outside``: something else that the node read; ``nondeterministic``: nothing of these;
            ``encoder``: no node; the file's
            encoding, or a change of the file.
        hint: How to get the same bits; empty if nothing helps.
    """

    kind: ReasonKind
    text: str
    hint: str = ""

    def as_dict(self) -> dict[str, str]:
        """JSON values."""
        hint = {"hint": self.hint} if self.hint else {}
        return {"kind": self.kind, "text": self.text, **hint}


@dataclass(frozen=True, slots=True)
class NodeDifference:
    """The first node that gave other bits.

    Attributes:
        ports: Outputs that differ; empty for the node that wrote the file.
        reasons: What differs about the node, the most likely cause first.
    """

    node: str
    node_type: str
    ports: tuple[str, ...]
    reasons: tuple[Reason, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        reasons = [each.as_dict() for each in self.reasons]
        ports = list(self.ports)
        return {"node": self.node, "type": self.node_type, "outputs": ports, "reasons": reasons}


@dataclass(frozen=True)
class Verification:
    """Result of the comparison of two files.

    Attributes:
        verdict: ``identical``: every byte; ``same-content``: all values, such as pixels, but not
            the texts in the file; ``differs``: the values.
        written: The file that was compared.
        difference: The first node that differs; None if none does or it is not known.
        content: Difference of the values; None for identical files.
        texts: Names of texts in the file that differ.
        changes: What differs between the two runs, also if the values are the same.
        notes: What is not known, and why.
    """

    verdict: Verdict
    written: Path
    difference: NodeDifference | None = None
    content: ContentDifference | None = None
    texts: tuple[str, ...] = ()
    changes: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        content = self.content
        return {
            "verdict": self.verdict,
            "node": None if self.difference is None else self.difference.as_dict(),
            "figures": {} if content is None else dict(content.figures),
            "summary": "" if content is None else content.text,
            "texts": list(self.texts),
            "changes": [each.as_dict() for each in self.changes],
            "notes": list(self.notes),
        }


Ancestors = Callable[[str], Collection[str]]
"""Gives the names of all nodes before a node; none for one that it does not know."""


@dataclass(frozen=True)
class ReplayedFile:
    """A file that a replay wrote, with what it carries."""

    path: Path
    texts: Mapping[str, str] = field(default_factory=dict)
    manifest: Manifest | None = None


def verify_file(
    original: ReplayedFile,
    written: Sequence[Path],
    ancestors: Ancestors,
    *,
    max_pixels: int = MAX_IMAGE_PIXELS,
) -> Verification | None:
    """Compare a file with the one among several that stands for it.

    Args:
        original: The file that was replayed.
        written: Files that the replay wrote.
        ancestors: Of the nodes of the replay; nodes of an expansion may lack.
        max_pixels: Largest width times height of an image.
    Returns:
        None if the replay wrote no file of this kind.
    Raises:
        InvalidFile: A file cannot be read.
    """
    verification = _verify_file(original, written, ancestors, max_pixels)
    if verification is None or original.path.name != CARD or verification.verdict == "differs":
        return verification
    changed = list(_changed_members(original.path.parent, verification.written.parent))
    if not changed:
        return verification
    more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
    note = f"Files of the dataset that differ: {', '.join(changed[:_SHOWN])}{more}."
    return replace(verification, verdict="differs", notes=(*verification.notes, note))


def _changed_members(first: Path, second: Path) -> Iterator[str]:
    """Files of a dataset that are not the same in two folders."""
    folders = first, second
    names = {
        path.relative_to(folder).as_posix()
        for folder in folders
        for path in files_below([folder])
        if path.name != CARD
    }
    for name in sorted(names):
        paths = [folder / name for folder in folders]
        is_there = all(path.is_file() for path in paths)
        if not is_there or len({FILE_DIGESTS.digest(path) for path in paths}) > 1:
            yield name


def _verify_file(
    original: ReplayedFile, written: Sequence[Path], ancestors: Ancestors, max_pixels: int
) -> Verification | None:
    candidates = _candidates(original, written)
    data = original.path.read_bytes()
    for each in candidates:
        if each.path.stat().st_size == len(data) and each.path.read_bytes() == data:
            return Verification("identical", each.path)
    compared = [
        (each, compare_contents(original.path, each.path, max_pixels=max_pixels))
        for each in candidates
    ]
    if not compared:
        return None
    again, content = min(compared, key=lambda pair: _distance(pair[1]))
    notes = []
    if len(candidates) > 1:
        notes.append(
            f"The run wrote {len(candidates)} files that could stand for this one; compared with "
            "the most similar."
        )
    return _verdict(original, again, content, ancestors, notes)


def carried_texts(path: Path) -> Mapping[str, str] | None:
    """Texts that a result carries, or the manifest next to it; None of files that are no results.

    Formats without room for texts, and settings, make nodegraph write a manifest next to a result.

    Raises:
        InvalidFile: It is damaged or cannot be read.
        OSError: It cannot be opened.
    """
    texts = result_texts(path)
    if texts is not None and MANIFEST in texts and WORKFLOW in texts:
        return texts
    sidecar = path.with_name(f"{path.name}.json")
    if not is_manifest_file(sidecar):
        return texts
    return {**(texts or {}), **(result_texts(sidecar) or {})}


def is_manifest_file(path: Path) -> bool:
    """Whether a file is the manifest next to a result."""
    if path.suffix.lower() != ".json" or not path.is_file():
        return False
    with path.open("rb") as file:
        return is_sidecar(file.read(HEAD))


def read_replayed(path: Path) -> ReplayedFile:
    """A file that a run wrote; one that carries nothing has no texts."""
    texts = carried_texts(path) or {}
    try:
        manifest = manifest_from_texts(texts)
    except NodegraphError:
        manifest = None  # that of another tool, or too new: the content can be compared
    return ReplayedFile(path, texts, manifest)


def _candidates(original: ReplayedFile, written: Sequence[Path]) -> list[ReplayedFile]:
    """Files that may stand for the original: of its format, node and position in the batch.

    The format follows from the name, or from the bytes where the file got another ending.
    """
    suffix = original.path.suffix.lower()
    named = [path for path in written if path.suffix.lower() == suffix]
    form = None if named else content_form(original.path)
    of_form = [path for path in written if not named and content_form(path) == form]
    files = [read_replayed(path) for path in named or of_form]
    first = original.manifest
    if first is None:
        return files
    same = [
        each
        for each in files
        if each.manifest is not None
        and (each.manifest.node, each.manifest.index) == (first.node, first.index)
    ]
    exact = [each for each in same if each.manifest and each.manifest.content == first.content]
    return exact or same or files


def _distance(content: ContentDifference) -> tuple[bool, float, float]:
    if content.is_equal:
        return False, 0.0, 0.0
    figures = content.figures
    return not figures, figures.get("share", 1.0), figures.get("max", 1.0)


def _verdict(
    original: ReplayedFile,
    again: ReplayedFile,
    content: ContentDifference,
    ancestors: Ancestors,
    notes: list[str],
) -> Verification:
    first, second = original.manifest, again.manifest
    texts = tuple(_changed(original.texts, again.texts))
    # What a manifest states of the content says nothing of a file that was changed since.
    is_equal = content.is_equal is True
    if first is None or second is None:
        notes.append(
            "The file has no manifest: models, versions and numerics of its run are not known."
            if first is None
            else "The new file has no manifest, so the cause of differences is not known."
        )
        changes: tuple[Reason, ...] = ()
        difference = None
    else:
        if others := _other_prompts(first, second):
            names = f": {others}" if first.omitted_prompts else ""
            notes.append(f"The prompts that --set gives are not those that made the file{names}.")
        if first.truncated:
            notes.append("The manifest was too long for the file, so parts of it are not known.")
        changes = tuple(_changes(first, second))
        if is_equal and not changes and MANIFEST in texts:
            parts = _differing_parts(first.to_document(), second.to_document())
            if shown := ", ".join(islice(parts, _SHOWN)):
                notes.append(f"Parts of the manifest that differ: {shown}.")
        difference = None if is_equal else find_difference(first, second, ancestors)
        if difference is None and not is_equal:
            kind = first.nodes.get(first.node)
            reason = Reason(
                "encoder",
                "all nodes gave the same values: the file was changed since it was saved, or "
                "encoded in another way",
                "If nobody changed it, use the same versions of Pillow and FFmpeg.",
            )
            name = "" if kind is None else kind.type
            difference = NodeDifference(first.node, name, (), (reason,))
    verdict: Verdict = "same-content" if is_equal else "differs"
    return Verification(verdict, again.path, difference, content, texts, changes, tuple(notes))


def _other_prompts(first: Manifest, second: Manifest) -> str:
    """Names of the prompts that are left out in two files and differ; empty if none do."""
    if not first.embedded_digest:
        return ""
    if first.omitted_prompts is None:
        return "all" if first.workflow_digest != second.workflow_digest else ""
    now = second.omitted_prompts or {}
    names = dict.fromkeys((*first.omitted_prompts, *now))
    others = [name for name in names if first.omitted_prompts.get(name) != now.get(name)]
    return strip_control_characters(", ".join(others))[:_LONGEST]


def _differing_parts(first: Any, second: Any, name: str = "") -> Iterator[str]:
    """Names of the values that differ in two JSON documents."""
    if isinstance(first, dict) and isinstance(second, dict):
        for key in dict.fromkeys((*first, *second)):
            yield from _differing_parts(first.get(key), second.get(key), f"{name}.{key}".strip("."))
    elif first != second:
        yield name


def _changed(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[str]:
    for name in dict.fromkeys((*first, *second)):
        if first.get(name) != second.get(name):
            yield name


def find_difference(
    first: Manifest, second: Manifest, ancestors: Ancestors
) -> NodeDifference | None:
    """The first node that gave other outputs, and why; None if all gave the same.

    Args:
        first: Manifest of the original, which counts as the reference.
    """
    for name, node in first.nodes.items():
        now = second.nodes.get(name)
        if now is None:
            text = "the replay did not run this node: nodes before it chose other ones"
            return NodeDifference(name, node.type, (), (Reason("outside", text),))
        ports = tuple(
            port for port, digest in node.outputs.items() if now.outputs.get(port) != digest
        )
        if ports:
            reasons = tuple(_reasons(name, first, second, ancestors))
            return NodeDifference(name, node.type, ports, reasons)
    return None


def _reasons(
    name: str, first: Manifest, second: Manifest, ancestors: Ancestors
) -> Iterator[Reason]:
    node, now = first.nodes[name], second.nodes[name]
    checks: tuple[Callable[[], Iterator[Reason]], ...] = (
        lambda: _weights(first, second, lambda owner: name in (owner, *ancestors(owner))),
        lambda: _code(node, now, first, second),
        lambda: _numerics(node.profile, now.profile),
        lambda: _inputs(first, second, lambda owner: owner == name),
    )
    is_explained = False
    for check in checks:
        for reason in check():
            is_explained = True
            yield reason
    if is_explained:
        return
    if not node.key and now.key and not first.truncated:
        # Only a text that named a folder of the machine has a key here and none in the file.
        yield Reason(
            "outside",
            "its texts named a folder of the machine, such as the home folder, which files of "
            "results leave out: they have `~` or a relative path instead",
            f"Make it again without --verify, and set the text as it was: --set {name}.INPUT='...'",
        )
        return
    if node.key and now.key and node.key != now.key:
        yield Reason("outside", "it reads more than its inputs, and that has changed")
        return
    same = "code, weights, numerics and input files are the same"
    also = "" if node.key else "it reads something else, such as a folder or a service, or "
    yield Reason("nondeterministic", f"{same}: {also}the node type gives other results each time")


def _changes(first: Manifest, second: Manifest) -> Iterator[Reason]:
    """All that differs between two runs, for files whose values may be the same."""
    yield from _weights(first, second, lambda _: True)
    shown: set[str] = set()
    for name, node in first.nodes.items():
        now = second.nodes.get(name)
        for reason in () if now is None else _code(node, now, first, second):
            if reason.text not in shown:
                shown.add(reason.text)
                yield reason
    if first.nodegraph != second.nodegraph:
        yield Reason("code", f"nodegraph {first.nodegraph} → {second.nodegraph}")
    yield from _numerics(first.numerics, second.numerics)
    yield from _inputs(first, second, lambda _: True)


def _weights(first: Manifest, second: Manifest, is_of: Callable[[str], bool]) -> Iterator[Reason]:
    """Model files and adapters whose content differs.

    Args:
        is_of: Whether the node that gives a model belongs to what is explained.
    """
    now = {(each.node, each.port): each for each in second.models}
    changed: dict[str, tuple[Digest, Digest]] = {}
    brought: set[str] = set()
    for model in first.models:
        other = now.get((model.node, model.port))
        if other is None or not is_of(model.node):
            continue
        before, after = _contents(model), _contents(other)
        if not model.port:
            brought.update(name for name, _ in before.values())
        for role, (name, digest) in before.items():
            if role in after and after[role][1] != digest:
                changed[name] = digest, after[role][1]
        if before.keys() != after.keys():
            names = [after[each][0] for each in after if each not in before]
            names += [before[each][0] for each in before if each not in after]
            changed.update(dict.fromkeys(names, ("", "")))
    if changed:
        texts = [
            f"{name} ({old[:_DIGITS]} → {new[:_DIGITS]})" if old else name
            for name, (old, new) in list(changed.items())[:_SHOWN]
        ]
        more = f" and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else ""
        hint = (
            "They come with nodegraph or a pack: use the version that made the file."
            if brought.issuperset(changed)
            else "Put the model with the recorded content into a models folder, under any name."
        )
        yield Reason("weights", f"model files have other content: {', '.join(texts)}{more}", hint)


def _contents(model: ManifestModel) -> dict[tuple[str, int], tuple[str, Digest]]:
    """Names and digests by role and position: a file may have another name."""
    counts: dict[str, int] = {}
    contents: dict[tuple[str, int], tuple[str, Digest]] = {}
    files = [(file.role, file.name, file.digest) for file in model.files]
    files += [(f"adapter {each.kind}", each.name, each.digest) for each in model.adapters]
    for role, name, digest in files:
        at = counts[role] = counts.get(role, -1) + 1
        contents[role, at] = name, digest
    return contents


def _code(
    node: ManifestNode, now: ManifestNode, first: Manifest, second: Manifest
) -> Iterator[Reason]:
    if node.type != now.type:
        yield Reason("version", f"node type: {node.type} → {now.type}")
    elif node.version != now.version:
        yield Reason("version", f"version of {node.type}: {node.version} → {now.version}")
    elif node.code != now.code:
        pack = node.pack or "the script"
        versions = [each.packs[pack].version for each in (first, second) if pack in each.packs]
        if len(versions) == 2 and versions[0] != versions[1]:
            old, new = (each or "no version" for each in versions)
            hint = f"Install version {versions[0]} of {pack}." if versions[0] else ""
            yield Reason("code", f"version of the pack {pack}: {old} → {new}", hint)
        else:
            yield Reason("code", f"code of the pack {pack} changed, and its version did not")


def _numerics(old: str, new: str) -> Iterator[Reason]:
    if old == new:
        return
    hint = ""
    threads = [
        part.split()[0] for part in old.split(", ") if part.endswith((" thread", " threads"))
    ]
    if threads and not {*new.split(", ")} & {f"{threads[0]} thread", f"{threads[0]} threads"}:
        hint = f"Set OMP_NUM_THREADS={threads[0]} to compute with as many threads."
    yield Reason("numerics", str(Difference("profile", old=old, new=new)), hint)


def _threads(profile: str) -> str:
    """Number of threads in a numerics profile; empty if it has none."""
    parts = (part.split() for part in profile.split(", "))
    return next((each[0] for each in parts if each[-1:] in (["thread"], ["threads"])), "")


def _inputs(first: Manifest, second: Manifest, is_of: Callable[[str], bool]) -> Iterator[Reason]:
    now = {(each.node, each.port, each.name): each.digest for each in second.inputs}
    for each in first.inputs:
        digest = now.get((each.node, each.port, each.name))
        if is_of(each.node) and digest is not None and digest != each.digest:
            change = f"{each.digest[:_DIGITS]} → {digest[:_DIGITS]}"
            yield Reason("input", f"the file {each.name} has other content ({change})")
    before = {(each.node, each.port, each.name) for each in first.inputs}
    for missing in before - now.keys():
        if is_of(missing[0]) and missing[2]:
            yield Reason("input", f"the file {missing[2]} is missing")
    # Of a folder: of what names one file, another name has its cause elsewhere.
    folders = {key[:2] for key in before}
    for added in now.keys() - before:
        if is_of(added[0]) and added[2] and added[:2] in folders:
            yield Reason("input", f"the file {added[2]} is new in its folder")
