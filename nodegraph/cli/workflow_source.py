"""Open a workflow: a JSON file, standard input, a result that embeds one, or one of another tool.

A ComfyUI workflow is translated, and one is made of the settings in images of other tools;
`print_translation` reports what differs.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from nodegraph.cli.output import echo, echo_stderr, pluralize
from nodegraph.core.json_text import read_json
from nodegraph.core.workflow import Workflow, read_document
from nodegraph.errors import InvalidFile

if TYPE_CHECKING:
    from nodegraph.cli.options import CommonOptions
    from nodegraph.interop.comfyui.importer import ImportedWorkflow
    from nodegraph.interop.comfyui.report import ImportReport, MissingModel, MissingNodeType
    from nodegraph.interop.image_metadata import Generation
    from nodegraph.session.settings import Settings

_MOST = 20
_MOST_SEARCHED, _MOST_BYTES = 20_000, 4 << 30
"""Files that are searched for an upload, and bytes of them that are read."""


def print_translation(imported: ImportedWorkflow, name: str) -> None:
    """Say that a workflow was translated on the way, and what differs, a line each."""
    lost = len(imported.placeholders)
    lost_text = f", except {pluralize(lost, 'node')}" if lost else ""
    origin = (
        f"was made with {imported.tool}, and its settings became a workflow"
        if imported.tool
        else f"is a ComfyUI workflow and was translated{lost_text}"
    )
    echo_stderr(f"{name} {origin}. `nodegraph import` saves the result.")
    lines = [_difference_text(*each) for each in imported.differences]
    for line in lines[:_MOST]:
        echo_stderr(f"  differs: {line}")
    if len(lines) > _MOST:
        echo_stderr(
            f"  differs: and {len(lines) - _MOST} more; `nodegraph import --json` lists all"
        )


def print_report(report: ImportReport, written: str) -> None:
    """Print what came of one file."""
    if report.error:
        echo((report.file, "bold"), ": ", ("not imported", "red"), f": {report.error}")
        return
    done = report.nodes - len(report.types)
    target = f" → {written}" if written else ""
    echo((report.file, "bold"), f"{target}: {done} of {pluralize(report.nodes, 'node')} translated")
    _print_some([_type(lacking) for lacking in report.types], "placeholder")
    _print_some([_model(model) for model in report.models], "missing model")
    _print_some(list(report.files), "missing file")
    _print_some(list(report.families), "unknown model family")
    _print_some([str(problem) for problem in report.problems], "problem")
    _print_some([_difference_text(*each) for each in report.differences], "differs")


def _print_some(lines: list[str], kind: str) -> None:
    for line in lines[:_MOST]:
        echo("  ", (f"{kind}: ", "yellow"), line)
    if len(lines) > _MOST:
        echo("  ", (f"{kind}: ", "yellow"), f"and {len(lines) - _MOST} more; --json lists all")


def _type(lacking: MissingNodeType) -> str:
    pack = f" of the pack `{lacking.pack}`" if lacking.pack else ""
    names = " or ".join(f"`{name}`" for name in lacking.alternatives)
    instead = f". Possible replacements: {names}" if names else ""
    return f"`{lacking.node}` ({lacking.type}{pack}): {lacking.reason}{instead}"


def _model(model: MissingModel) -> str:
    folder = f", into the models folder `{model.folder}`" if model.folder else ""
    url = f", from {model.url}" if model.url else ""
    return f"{model.name}{folder}{url}"


def _difference_text(node: str, message: str) -> str:
    return f"`{node}`: {message}" if node else message


STDIN = "-"
BUNDLE_SUFFIX = ".ngbundle.zip"
"""End of the names of bundles; see `nodegraph.session.bundles`."""
_HEAD = 64
_CARRIERS = (b"nodegraph/plot/", b"nodegraph-manifest/")
"""Formats of other JSON files, by the beginning: plots and manifests carry workflows."""


@dataclass(frozen=True)
class OpenedWorkflow:
    """A workflow and where it comes from.

    Attributes:
        name: As it was given.
        folder: Where its relative paths start; None for the current folder.
    """

    workflow: Workflow
    name: str
    folder: Path | None


def open_workflow(name: str, common: CommonOptions | None = None) -> OpenedWorkflow:
    """The workflow in a JSON file, in a result or an image of another tool, or at ``-`` on stdin.

    Args:
        common: Options with the packs and models folders in use; if not given, those of the
            settings.
    Raises:
        InvalidFile: There is no such file, or no workflow in it.
        InvalidWorkflow: Parts of it have the wrong form; lists all of them.
    """
    path = None if name == STDIN else Path(name)
    document = workflow_document(name)
    folder = path.absolute().parent if path else None
    if not is_foreign(document):
        if path is not None and not _is_plain(path):
            folder = _inputs_folder(path, common)
            document = _with_uploads(document, path, common)
        return OpenedWorkflow(Workflow.from_dict(document), name, folder)
    imported = translate_workflow(document, name, common)
    print_translation(imported, name)
    return OpenedWorkflow(imported.workflow, name, folder)


def workflow_document(name: str) -> Any:
    """What the workflow's JSON says, be it of nodegraph or of ComfyUI; raises as `open_workflow`.

    Of an image of another tool, its settings: a `Generation`.

    Args:
        name: A JSON file, a result that carries a workflow, or ``-`` for stdin.
    """
    if name == STDIN:
        return _read(_standard_input(), "standard input")
    path = Path(name)
    if not path.exists():
        raise _missing(path)
    return _document_in(path)


def is_comfyui(document: Any) -> bool:
    """Whether a document is a workflow of ComfyUI's."""
    if not isinstance(document, dict) or "format" in document:
        return False  # without importing anything that knows of it
    from nodegraph.interop.comfyui.reading import is_foreign

    return is_foreign(document)


def is_foreign(document: Any) -> bool:
    """Whether a document is a workflow of ComfyUI's, or the settings of another tool's image."""
    return is_comfyui(document) or is_generation(document)


def is_generation(document: Any) -> TypeGuard[Generation]:
    """Whether a document is the settings of an image."""
    if isinstance(document, (dict, list)):
        return False  # without importing anything that knows of it
    from nodegraph.interop.image_metadata import Generation

    return isinstance(document, Generation)


def translate_workflow(
    document: Any, name: str, common: CommonOptions | None = None
) -> ImportedWorkflow:
    """A workflow of another tool's as a native one; raises as `importing.import_document` does."""
    from nodegraph.cli.options import CommonOptions
    from nodegraph.cli.output import print_warnings

    common = common or CommonOptions()
    if is_generation(document):
        return import_image_settings(document, common.settings())
    from nodegraph.interop.comfyui.importer import import_document, node_table

    table = node_table(common.pack_list(), common.session().registry)
    print_warnings(table.problems)
    return import_document(document, table, name="" if name == STDIN else name)


def import_image_settings(generation: Generation, settings: Settings) -> ImportedWorkflow:
    """The workflow that makes an image with some settings; models are found by hash or name."""
    from nodegraph.interop.image_metadata.generation_workflow import import_generation
    from nodegraph.interop.image_metadata.model_finder import ModelFinder

    def announce(path: Path) -> None:
        echo_stderr(f"Looking for a model by its hash: reading {path}")

    folders = settings.environment().models
    return import_generation(
        generation, ModelFinder(folders, settings.cache_folder, on_read=announce)
    )


def _standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidFile(f"standard input is not UTF-8 text (byte {error.start})") from error


def _missing(path: Path) -> InvalidFile:
    from nodegraph.core.suggest import nearest

    folder = path.parent
    near = nearest(path.name, (item.name for item in folder.glob("*.json")))
    hint = f"Did you mean `{folder / near}`?" if near else None
    return InvalidFile(f"there is no file {path}", hint=hint)


def is_bundle_name(name: str) -> bool:
    """Whether a command's argument names a bundle."""
    return name.endswith(BUNDLE_SUFFIX)


def _inputs_folder(path: Path, common: CommonOptions | None) -> Path:
    """The folder from which the input files of a result are found.

    Results name them by their path within the inputs folder, which is rarely that of the result:
    the current folder and the one above the result are tried, too.
    """
    from nodegraph.core.manifest import manifest_from_texts

    own_folder = path.absolute().parent
    try:
        manifest = manifest_from_texts(_texts_in(path) or {})
    except InvalidFile:
        return own_folder  # the workflow can be read all the same
    inputs = () if manifest is None else manifest.inputs
    # What a client brought to a server is found by its digest.
    names = [file.name for file in inputs if file.name and Path(file.name).stem != file.digest]
    folders = [own_folder, Path.cwd(), own_folder.parent]
    for folder in folders:
        if all(_exists(folder / name) for name in names):
            return folder
    settings = None if common is None else common.settings()
    if settings is None or settings.inputs is None:
        listed = ", ".join(names[:_MOST])
        echo_stderr(
            f"{path} does not say in which folder its input files are: {listed}. Run the command "
            "in that folder, copy them next to the file, or set NODEGRAPH_INPUTS."
        )
    return own_folder


def _with_uploads(document: Any, path: Path, common: CommonOptions | None) -> Any:
    """The workflow of a result, with paths in place of what clients brought to a server."""
    from nodegraph.core.file_access import upload_reference, uploads_in, with_upload_paths
    from nodegraph.session.content_search import files_below, find_by_digest

    wanted = dict.fromkeys(uploads_in(document))
    if not wanted:
        return document
    own_folder = path.absolute().parent
    files = [*files_below([own_folder, Path.cwd()], most=_MOST_SEARCHED)]
    if common is not None:
        files += files_below([common.settings().uploaded_files])
    located = find_by_digest(wanted, files, budget=_MOST_BYTES)
    return with_upload_paths(
        document, lambda digest: located.get(digest, Path(upload_reference(digest)))
    )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False  # a name that no file can have


def _is_plain(path: Path) -> bool:
    """Whether a file can only be a workflow, known without what reads the other files."""
    with path.open("rb") as file:
        start = file.read(_HEAD)
    is_json = path.suffix.lower() == ".json" and start.startswith(b"{")
    return (
        is_json
        and not any(carrier in start for carrier in _CARRIERS)
        and path.name != "dataset.json"
    )


def _document_in(path: Path) -> Any:
    if is_bundle_name(path.name):
        from nodegraph.session.bundles.archive import opened_bundle

        with opened_bundle(path) as reader:
            return reader.workflow_document()
    try:
        texts = None if _is_plain(path) else _texts_in(path)
    except OSError:
        return read_document(path)  # tells why
    if texts is not None:
        return _embedded_workflow(path, texts)
    try:
        return read_document(path)
    except InvalidFile as error:
        return _parse_loosely(path.read_bytes(), error)


def _read(text: str, name: str) -> Any:
    try:
        return read_json(text, name=name)
    except InvalidFile as error:
        return _parse_loosely(text.encode("utf-8", "surrogatepass"), error)


def _parse_loosely(content: bytes, error: InvalidFile) -> Any:
    """A document of ComfyUI's that isn't strictly JSON, as what Python writes may be.

    Raises:
        InvalidFile: The error that there was: it is none, or no text.
    """
    from nodegraph.interop.comfyui.reading import loose_document

    is_loose = b"NaN" in content or b"Infinity" in content
    document = loose_document(content.decode("utf-8-sig", "replace")) if is_loose else None
    if document is None:
        raise error
    return document


def _texts_in(path: Path) -> Mapping[str, str] | None:
    """The texts that a result carries; None of files that are no results."""
    from nodegraph.session.results.files import result_texts

    return result_texts(path)


def _embedded_workflow(path: Path, texts: Mapping[str, str]) -> Any:
    """The workflow that a file carries: nodegraph's own, ComfyUI's, or another tool's settings."""
    text = texts.get("workflow")
    if texts and (text is None or not _is_native(text)):
        from nodegraph.interop.comfyui.reading import find_embedded_workflow

        carried = find_embedded_workflow(texts)
        if carried is None:
            from nodegraph.interop.image_metadata import find_generation

            carried = find_generation(texts)
        if carried is not None:
            return carried
    if text is None:
        raise InvalidFile(
            f"{path} does not contain a workflow",
            hint="Files saved by nodegraph, ComfyUI, A1111 and others contain one, unless another "
            "program has saved them since.",
        )
    return read_json(text, name=str(path))


def _is_native(text: str) -> bool:
    """Whether a text is a workflow of nodegraph's: it says its format, as a rule first of all."""
    if text.lstrip().removeprefix("{").lstrip().startswith('"format"'):
        return True
    try:
        document = read_json(text) if '"format"' in text else None
    except InvalidFile:
        return False
    return isinstance(document, dict) and isinstance(document.get("format"), str)
