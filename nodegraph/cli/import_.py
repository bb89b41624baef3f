"""`nodegraph import`."""

from __future__ import annotations

import json as json_text
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    BAD_INPUT,
    FINE,
    echo,
    format_path,
    pluralize,
    print_json,
    print_warnings,
)
from nodegraph.cli.workflow_source import (
    STDIN,
    import_image_settings,
    is_comfyui,
    is_foreign,
    is_generation,
    print_report,
    workflow_document,
)
from nodegraph.core.files import make_folder, write_file
from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError, OutputError

if TYPE_CHECKING:
    from nodegraph.core.workflow import Workflow
    from nodegraph.interop.comfyui.importer import NodeTable
    from nodegraph.interop.comfyui.report import ImportReport
    from nodegraph.session.session import Session

_ENDINGS = (".json", ".png", ".webp", ".jpg", ".jpeg", ".avif", ".mp4")


def import_(
    common: CommonOptions,
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="FILE",
            help="JSON or MP4 files of ComfyUI, images of ComfyUI, A1111, Forge, Fooocus, SwarmUI, "
            "InvokeAI, NovelAI, Draw Things or Civitai, folders of these, or -. Default: the "
            "FOLDER.",
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="OUT", help="Write to this folder or .json file."),
    ] = None,
    report: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER",
            help="Write a report on the files in this folder, without importing them.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
    json: JsonOption = False,
) -> int:
    """Import ComfyUI workflows, and images of other tools.

    Each becomes a workflow of the same name, next to it or in OUT. A node that cannot be
    translated becomes a placeholder that keeps all its data. The report names these nodes,
    their packs, possible replacements, and missing models.
    """
    from nodegraph.interop.comfyui.importer import node_table

    wanted = files or ([] if report is None else [report])
    if not wanted:
        raise InvalidValue("there is no file to import", hint="Name files, or --report FOLDER.")
    names = list(_expand_files(wanted))
    targets = {} if report is not None else _targets(names, out, force=force)
    session = common.session()
    table = node_table(common.pack_list(), session.registry)
    if not json:
        print_warnings((*session.registry.problems, *table.problems))
    reports: list[ImportReport] = []
    written: dict[str, str] = {}
    for name in names:
        file_report, workflow = _import_file(name, session, table)
        if workflow is not None and name in targets:
            file_report = _save(file_report, workflow, targets[name], is_only=len(names) == 1)
            if not file_report.error:
                written[name] = str(targets[name])
        reports.append(file_report)
        if not json:
            print_report(file_report, format_path(Path(written[name])) if name in written else "")
    if report is not None:
        _write_report(Path(report).expanduser(), reports)
    if json:
        print_json(_document(reports, written, table.problems))
    elif report is not None or len(reports) > 1:
        _print_totals(reports)
    return BAD_INPUT if any(file_report.error for file_report in reports) else FINE


def _expand_files(files: Sequence[str]) -> Iterator[str]:
    """The files, those in folders in place of these.

    Raises:
        InvalidFile: A folder holds none.
    """
    for name in files:
        path = Path(name).expanduser()
        if name == STDIN or not path.is_dir():
            yield name if name == STDIN else str(path)
            continue
        inside = sorted(
            item
            for item in path.iterdir()
            if item.suffix.lower() in _ENDINGS and item.is_file() and _may_be_workflow(item)
        )
        if not inside:
            raise InvalidFile(f"no file in {path} looks like a workflow of another tool")
        yield from map(str, inside)


def _may_be_workflow(path: Path) -> bool:
    """Whether a file of a folder is another tool's, or broken in a way that is to be told."""
    try:
        return is_foreign(workflow_document(str(path)))
    except NodegraphError:
        return path.suffix.lower() == ".json"


def _targets(names: Sequence[str], out: str | None, *, force: bool) -> dict[str, Path]:
    """Where each file's workflow is written.

    Raises:
        InvalidValue: Two go to one place, or to a file that is there.
    """
    single = out is not None and out.lower().endswith(".json")
    if single and len(names) > 1:
        raise InvalidValue(
            "--out names one file, and there are several to write", hint="Name a folder."
        )
    targets: dict[str, Path] = {}
    for name in names:
        target = Path(out).expanduser() if single and out else _target(name, out)
        if target in targets.values():
            # Images of one name, such as 00042.png and 00042.jpg.
            target = target.with_name(f"{Path(name).name}.json")
        if target in targets.values():
            raise InvalidValue(f"two files would be written to {target}")
        if target.exists() and not force:
            raise OutputError(
                f"{target} already exists", hint="Write to another path with --out, or use --force."
            )
        targets[name] = target
    return targets


def _target(name: str, out: str | None) -> Path:
    source = Path("workflow" if name == STDIN else name)
    folder = Path(out).expanduser() if out is not None else source.parent
    target = folder / f"{source.stem}.json"
    # Beside ComfyUI's own file of that name.
    is_own = name != STDIN and target.absolute() == source.absolute()
    return target.with_name(f"{source.stem}.nodegraph.json") if is_own else target


def _import_file(
    name: str, session: Session, table: NodeTable
) -> tuple[ImportReport, Workflow | None]:
    """A file's report, and its workflow if it could be read."""
    from nodegraph.interop.comfyui.importer import import_document
    from nodegraph.interop.comfyui.report import ImportReport, import_report
    from nodegraph.models.model_sources import find_path

    folders = session.environment.models

    def is_there(model: str) -> bool:
        try:
            return bool(find_path(model, folders))
        except NodegraphError:
            return False  # the place of remote ones may not answer

    try:
        document = workflow_document(name)
        if is_comfyui(document):
            imported = import_document(document, table)
        elif is_generation(document):
            imported = import_image_settings(document, session.settings)
        else:
            raise InvalidFile("this is not a workflow of ComfyUI, nor an image of another tool")
        inputs = None if name == STDIN else Path(name).absolute().parent
        environment = session.settings.environment(inputs=inputs)
        report = import_report(name, imported, session.registry, environment, is_there)
    except NodegraphError as error:
        return ImportReport(name, error=str(error)), None
    return report, imported.workflow


def _save(report: ImportReport, workflow: Workflow, target: Path, *, is_only: bool) -> ImportReport:
    """Write a workflow; of several, its report says so where it can't be, and the next goes on.

    Raises:
        OutputError: The only one can't be written.
    """
    try:
        make_folder(target.parent)
        workflow.save(target)
    except OutputError as error:
        if is_only:
            raise
        return replace(report, error=str(error))
    return report


def _document(
    reports: Sequence[ImportReport], written: dict[str, str], problems: Sequence[str]
) -> dict[str, Any]:
    from nodegraph.interop.comfyui.report import totals

    return {
        "files": [{**report.as_dict(), "written": written.get(report.file)} for report in reports],
        "totals": totals(reports).as_dict(),
        "pack_problems": list(problems),
    }


def _write_report(folder: Path, reports: Sequence[ImportReport]) -> None:
    from nodegraph.interop.comfyui.report import as_markdown

    document = json_text.dumps(_document(reports, {}, ()), indent=1, ensure_ascii=False)
    make_folder(folder)
    write_file(folder / "import.json", f"{document}\n".encode("utf-8", "backslashreplace"))
    write_file(folder / "import.md", as_markdown(reports).encode("utf-8", "backslashreplace"))


def _print_totals(reports: Sequence[ImportReport]) -> None:
    from nodegraph.interop.comfyui.report import totals

    total = totals(reports)
    echo()
    echo(
        f"{pluralize(total.files, 'file')}: {total.whole} without a placeholder "
        f"({total.whole_share:.1%}), {total.valid} "
        f"that lack only missing files, {total.complete} complete, {total.unreadable} not "
        f"imported. {total.nodes[1]} of {total.nodes[0]} nodes are translated "
        f"({total.translated_share:.1%})."
    )
    for name, count in list(total.types.items())[:20]:
        pack, command = total.packs.get(name), total.commands.get(name)
        echo(
            f"  {count:4d}  {name}"
            + (f", of the pack `{pack}`" if pack else "")
            + (f": `{command}`" if command else "")
        )
