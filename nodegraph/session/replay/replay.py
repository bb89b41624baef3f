"""Make a result file again from the file alone: its workflow, models found by digest, its node.

`read_result` opens a file, `open_replay` prepares a session in which models and input files have
the names that the file's run had for them, and `Replay.verify` compares what the run wrote with the
file. A verification uses no results of earlier runs: a cached result would only show that the
cache returns what it stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from nodegraph.core.digests import Digest
from nodegraph.core.file_access import uploads_in, with_upload_paths
from nodegraph.core.files import make_folder
from nodegraph.core.manifest import MANIFEST, WORKFLOW, Manifest, manifest_from_texts
from nodegraph.core.text_format import strip_control_characters
from nodegraph.core.weight_files import HEADED, PICKLES, file_suffix, without_ending
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound, Problem
from nodegraph.session.content_search import OnRead
from nodegraph.session.replay.recorded_files import (
    FileMatch,
    PartialFolder,
    link_file,
    link_inputs,
    link_models,
    match_inputs,
    match_models,
    partial_folders,
    recorded_models,
    stored_digests,
)
from nodegraph.session.replay.verification import (
    UNCOMPARED,
    Ancestors,
    ReplayedFile,
    Verification,
    carried_texts,
    is_manifest_file,
    verify_file,
)
from nodegraph.session.results.files import result_texts
from nodegraph.session.session import Session

if TYPE_CHECKING:
    from nodegraph.core.context import MetadataAmount
    from nodegraph.engine.result import RunResult
    from nodegraph.models.remote.declared_models import DeclaredModel
    from nodegraph.packs.pack import Pack
    from nodegraph.session.settings import Settings

_INFOTEXT = "parameters"
"""Name of the text with the settings in A1111's form."""
_MOST_NAMED, _LONGEST_NAMES = 10, 500
"""Missing prompts that a message names, and characters of their names."""
_INPUT = re.compile(r"[\w-]+\.\w+")
_FOREIGN = ("prompt", "parameters", "Comment", "comment", "invokeai_metadata", "sd-metadata")
"""Names of texts by which files of other tools can be imported."""


@dataclass(frozen=True)
class ResultFile:
    """A file that a run wrote, with what it says about this run.

    Attributes:
        texts: All texts in the file, by name.
        document: The embedded workflow as JSON values.
        workflow: The same, in the current format.
        manifest: What the file was made of; None for files of older versions.
    """

    path: Path
    texts: Mapping[str, str]
    document: Mapping[str, Any]
    workflow: Workflow
    manifest: Manifest | None

    @property
    def node(self) -> str:
        """Node that wrote the file, without its position in a list; empty if it is not known."""
        return "" if self.manifest is None else self.manifest.node.partition("[")[0]


def read_result(path: Path) -> ResultFile:
    """Open a file that nodegraph wrote.

    Args:
        path: The file, or the manifest next to it.
    Raises:
        InvalidFile: It is missing or damaged, is no result of nodegraph, or has no workflow.
        InvalidWorkflow: Parts of its workflow have the wrong form.
    """
    try:
        if is_manifest_file(path):
            texts, path = result_texts(path), path.with_suffix("")
        else:
            texts = carried_texts(path)
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
    if texts is None:
        raise InvalidFile(
            f"{path} is not a result file",
            expected="an image, video, audio, mesh, plot or latent that nodegraph saved",
            hint="`nodegraph run` runs a workflow file, and `nodegraph bundle run` a bundle.",
        )
    manifest = manifest_from_texts(texts)
    document = _native_document(path, texts, manifest)
    return ResultFile(path, texts, document, Workflow.from_dict(dict(document)), manifest)


def _native_document(
    path: Path, texts: Mapping[str, str], manifest: Manifest | None
) -> Mapping[str, Any]:
    try:
        document = json.loads(texts.get("workflow", "null"))
    except (ValueError, RecursionError):
        document = None
    if isinstance(document, dict) and isinstance(document.get("format"), str):
        return document
    if manifest is not None:
        raise InvalidFile(
            f"{path} does not contain its workflow, only the manifest of its run",
            hint="The setting `metadata` was `minimal` when it was saved. Run its workflow file.",
        )
    if document is not None or any(name in texts for name in _FOREIGN):
        raise InvalidFile(
            f"{path} was made by another tool, so nothing says how to make it again exactly",
            hint="`nodegraph run` translates its workflow or settings, and `nodegraph import` "
            "saves the translation.",
        )
    raise InvalidFile(
        f"{path} does not contain a workflow",
        hint="Files that nodegraph saves contain one, unless another program has saved them since "
        "or the setting `metadata` was `none`. The manifest next to such a file has it, if there "
        "is one.",
    )


@dataclass(frozen=True, slots=True)
class LackingModel:
    """A model that a replay needs and that is not here.

    Attributes:
        name: As the workflow has it.
        node: Node that needs it.
        kinds: Port types, such as ``DiffusionModel``, or kinds of adapters, such as ``lora``.
        files: blake3 digests of its weight files by their recorded names, as far as known.
        source: Source that the workflow states; otherwise Civitai, which is asked by the digest;
            None if neither is known.
    """

    name: str
    node: str = ""
    kinds: tuple[str, ...] = ()
    files: Mapping[str, Digest] = field(default_factory=dict)
    source: DeclaredModel | None = None

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        document: dict[str, Any] = {"name": self.name, "node": self.node}
        document |= {"kinds": list(self.kinds), "files": dict(self.files)}
        return document | ({} if self.source is None else {"source": self.source.reference})


@dataclass(frozen=True)
class Replay:
    """A file that is about to be made again.

    Attributes:
        session: Session of the run, open until the end of the `with`.
        models, inputs: Recorded files, and where they are now.
        targets: Nodes to run; None for all that write files.
        partial: Folders of inputs that the file does not name in full.
    """

    file: ResultFile
    session: Session
    models: Sequence[FileMatch]
    inputs: Sequence[FileMatch]
    targets: Sequence[str] | None
    partial: Sequence[PartialFolder] = ()

    def warnings(self) -> list[str]:
        """What makes the new file differ, as far as it is known before the run."""
        kinds = ((self.models, "model"), (self.inputs, "input"))
        changed = [
            f"the {kind} file {match.name} has other content than it had (blake3 "
            f"{match.digest[:12]}), and the recorded one is not here"
            for matches, kind in kinds
            for match in matches
            if match.status == "changed"
        ]
        return [*changed, *map(_partial_text, self.partial)]

    def problems(self, workflow: Workflow) -> list[Problem]:
        """All that keeps the workflow from running."""
        return self.session.check(workflow, targets=self.targets)

    def lacking_models(self, problems: Sequence[Problem]) -> list[LackingModel]:
        """The missing models among some problems, with their sources."""
        from nodegraph.models.remote.declared_models import declarations_of

        missing = {
            each.given: each for each in problems if each.code == ModelNotFound.code and each.given
        }
        declared = declarations_of(self.file.document, list(missing))
        return [
            self._lacking(name, problem.node or "", declared.get(name))
            for name, problem in missing.items()
        ]

    def _lacking(self, name: str, node: str, declared: DeclaredModel | None) -> LackingModel:
        manifest = self.file.manifest
        files = {} if manifest is None else _files_of(name, recorded_models(manifest))
        kinds = [] if manifest is None else _kinds(manifest, files)
        if declared is None and len(files) == 1:
            from nodegraph.models.remote.declared_models import DeclaredModel

            declared = DeclaredModel(name, next(iter(files.values())))
        return LackingModel(name, node, tuple(dict.fromkeys(kinds)), files, declared)

    def lacking_inputs(self) -> list[FileMatch]:
        """Input files that are not here."""
        return [match for match in self.inputs if match.status == "missing"]

    def lacking_packs(self) -> dict[str, str]:
        """Versions of the packs that the file was made with and that are not here, by name."""
        if self.file.manifest is None:
            return {}
        here = self.session.registry.pack_versions()
        packs = self.file.manifest.packs
        return {name: pack.version for name, pack in packs.items() if name not in here}

    def verify(self, workflow: Workflow, result: RunResult) -> Verification:
        """Compare the file with what the run wrote.

        Raises:
            InvalidFile: A file cannot be read.
            InvalidValue: The run wrote no file that could stand for it.
        """
        node = self.file.node
        if not self.file.path.is_file():
            raise InvalidFile(f"there is no file {self.file.path} next to its manifest")
        written = [
            each.path
            for each in result.files
            if each.kind not in UNCOMPARED and (not node or each.node.partition("[")[0] == node)
        ]
        original = ReplayedFile(self.file.path, self.file.texts, self.file.manifest)
        verification = verify_file(
            original,
            written,
            self._ancestors(workflow),
            max_pixels=self.session.settings.max_image_pixels,
        )
        if verification is None:
            raise InvalidValue(
                "the run wrote no file that could stand for this one",
                given=self.file.path.name,
                expected="a file of its format" + (f" of the node `{node}`" if node else ""),
            )
        return verification

    def _ancestors(self, workflow: Workflow) -> Ancestors:
        """Nodes before a node of the workflow."""
        import networkx

        dag = self.session.graph(workflow, targets=self.targets).dag
        return lambda name: networkx.ancestors(dag, name) if name in dag else ()


def _partial_text(folder: PartialFolder) -> str:
    name = strip_control_characters(folder.name)[:_LONGEST_NAMES]
    return (
        f"the folder {name} had {folder.named + folder.others:,} files, of which the file names "
        f"{folder.named:,}: the other {folder.others:,} cannot be restored or checked, and are "
        "used as they are now"
    )


def _files_of(name: str, recorded: Mapping[str, Digest]) -> dict[str, Digest]:
    """Weight files of the model that a node names, by their recorded names."""
    wanted = without_ending(name.replace("\\", "/")).split("/")
    files = {}
    for file, digest in recorded.items():
        path = PurePosixPath(file)
        parts = without_ending(file).split("/")
        is_inside = any(parts[at : at + len(wanted)] == wanted for at in (0, 1))
        is_itself = parts[-len(wanted) :] == wanted or list(path.parts[-len(wanted) :]) == wanted
        if (is_inside or is_itself) and file_suffix(path) in HEADED | PICKLES:
            files[file] = digest
    return files


def _kinds(manifest: Manifest, files: Mapping[str, Digest]) -> list[str]:
    """Kinds of the models that some files belong to; adapters have a kind of their own."""
    adapters = [
        each.kind for model in manifest.models for each in model.adapters if each.name in files
    ]
    return adapters + [
        model.kind for model in manifest.models if any(file.name in files for file in model.files)
    ]


def check_prompts(file: ResultFile, assignments: Sequence[str]) -> None:
    """Refuse to make a file again without its prompts.

    Texts that the file does not need may lack.

    Args:
        assignments: Values that are set, as ``node.input=value``.
    Raises:
        InvalidValue: The file was saved without prompts, and not all of them are set.
    """
    manifest = file.manifest
    if manifest is None or not manifest.lacks_prompts:
        return
    omitted = manifest.omitted_prompts
    names = ["NODE.text"] if omitted is None and not assignments else [*(omitted or ())]
    assigned = {assignment.partition("=")[0].strip() for assignment in assignments}
    missing = [name for name in names if name not in assigned]
    if not missing:
        return
    # A hostile file may have anything as a name, and people copy what a hint says.
    settable = [name for name in missing if _INPUT.fullmatch(name)]
    shown = strip_control_characters(", ".join(missing[:_MOST_NAMED]))[:_LONGEST_NAMES]
    sets = " ".join(f"--set {name}='...'" for name in settable[:_MOST_NAMED])
    raise InvalidValue(
        f"{file.path} does not contain its prompts",
        given=None if omitted is None else f"without {shown}",
        hint="The setting `metadata_prompts` was off when it was saved. "
        + (
            f"Give them: {sets}"
            if len(settable) == len(missing)
            else "Some are inside of subgraphs, where --set sets nothing: open its workflow, write "
            "them there, and run it."
        ),
    )


def check_same_workflow(file: ResultFile, workflow: Workflow) -> None:
    """Refuse to verify a file by another workflow than the one that made it.

    Prompts that the file does not contain may be set: their digest is compared after the run.

    Raises:
        InvalidValue: The workflow has other values.
    """
    if file.manifest is not None and file.manifest.embedded_digest:
        return
    if workflow.to_dict() != file.workflow.to_dict():
        raise InvalidValue(
            "--set changes the workflow, so the result is another one and cannot be verified",
            hint="Remove --verify, or --set.",
        )


@contextmanager
def open_replay(
    file: ResultFile,
    settings: Settings,
    *,
    packs: Sequence[str | Path | Pack] = (),
    inputs: Path | None = None,
    outputs: Path | None = None,
    verify: bool = False,
    on_read: OnRead = lambda _: None,
) -> Iterator[Replay]:
    """Prepare a session in which a file can be made again, until the end of the `with`.

    Args:
        packs: Additional packs, see `Session`.
        inputs: Folder of the input files. If None, that of the settings, or the file's own. The
            current folder is searched, too.
        outputs: Folder for the new file. If None, that of the settings; for a verification a
            temporary one.
        verify: Compute all nodes, and read and store no results.
        on_read: Called with each file that is read to find it by its digest.
    Raises:
        OutputError: Links to models that have other names now cannot be made.
    """
    manifest = file.manifest
    base = settings.cache_folder / "temporary"
    make_folder(base)
    with TemporaryDirectory(prefix="replay-", dir=base) as name:
        temporary = Path(name)
        with stored_digests(settings.store_folder):
            models: list[FileMatch] = []
            located: list[FileMatch] = []
            partial: list[PartialFolder] = []
            folders = settings.model_folders
            own = inputs or settings.inputs or file.path.absolute().parent
            if manifest is not None:
                models = match_models(manifest, folders, on_read)
                searched = [*_input_folders(file, own), settings.uploaded_files]
                located = match_inputs(manifest, searched, on_read)
                partial = partial_folders(manifest)
            is_linked = bool(link_models(models, folders, temporary / "models"))
            uploads = _uploads(file, located)
            named = [match for match in located if match not in uploads.values()]
            changes: dict[str, Any] = {
                "inputs": link_inputs(named, own, temporary / "inputs", partial),
                "models": (*([temporary / "models"] if is_linked else ()), *settings.models),
            }
            if outputs is not None or verify:
                changes["outputs"] = outputs or temporary / "output"
            if verify:
                # The new file carries what this one does, whatever the settings are now.
                changes["metadata"] = amount = _amount(file.path)
                changes["sidecar"] = amount != "full"  # the manifest to compare is then there
                changes["metadata_prompts"] = manifest is None or not manifest.embedded_digest
                changes["infotext"] = _INFOTEXT in file.texts
            if uploads:
                changes["uploads"] = folder = temporary / "uploads" / "files"
                file = _with_uploads(file, uploads, folder)
            chosen = replace(settings, **changes)
            with Session(chosen, packs=packs, use_cache=not verify) as session:
                targets = _targets(session, file)
                yield Replay(file, session, models, located, targets, partial)


def _uploads(file: ResultFile, located: Sequence[FileMatch]) -> dict[Digest, FileMatch]:
    """Input files that the workflow names by their digests, as clients of a server brought them."""
    digests = set(uploads_in(file.document))
    return {
        match.digest: match
        for match in located
        if match.digest in digests and PurePosixPath(match.name).stem == match.digest
    }


def _with_uploads(
    file: ResultFile, uploads: Mapping[Digest, FileMatch], folder: Path
) -> ResultFile:
    """The file with a workflow that names uploads by paths in a folder, as a server runs it.

    The new file has their digests again.
    """
    for match in uploads.values():
        if match.path is not None:
            link_file(match.path, folder, PurePosixPath(match.name).name)
    names = {digest: PurePosixPath(match.name).name for digest, match in uploads.items()}
    document = with_upload_paths(
        file.workflow.to_dict(), lambda digest: folder / names.get(digest, f"{digest}.bin")
    )
    return replace(file, workflow=Workflow.from_dict(document))


def _amount(path: Path) -> MetadataAmount:
    """What a file carries itself, besides a manifest next to it."""
    texts = (result_texts(path) if path.is_file() else None) or {}
    if MANIFEST in texts:
        return "full" if WORKFLOW in texts else "minimal"
    return "full" if texts or not is_manifest_file(path.with_name(f"{path.name}.json")) else "none"


def _input_folders(file: ResultFile, first: Path) -> list[Path]:
    """Folders that input files are searched in, as `nodegraph run` of a result does.

    The folder above stands for the one of the workflow, whose outputs folder the file is in. It is
    the third also if the first two are one: all below it, such as a whole disk, is not searched.
    """
    return [first, Path.cwd(), file.path.absolute().parent.parent]


def _targets(session: Session, file: ResultFile) -> Sequence[str] | None:
    """The node that wrote the file; of one inside a loop, the loop.

    Names of nodes inside expansions exist only while they run.
    """
    node = file.node
    while node:
        problems = session.check(file.workflow, targets=[node])
        if not any(each.code == "bad-target" for each in problems):
            return [node]
        node = node.rpartition("/")[0].partition("[")[0]
    return None
