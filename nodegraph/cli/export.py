"""`nodegraph export`."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated

import typer

from nodegraph.cli.options import CommonOptions
from nodegraph.cli.output import echo, format_path, pluralize
from nodegraph.cli.workflow_source import STDIN, OpenedWorkflow, open_workflow
from nodegraph.core.files import make_folder, write_file
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidValue, OutputError

_ENDINGS = {"ui": ".comfyui.json", "api": ".comfyui-api.json"}


def export(
    common: CommonOptions,
    workflow: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW", help="A JSON file, an output file of nodegraph, or - for stdin."
        ),
    ],
    comfyui: Annotated[bool, typer.Option("--comfyui", help="Export for ComfyUI.")] = False,
    python: Annotated[bool, typer.Option("--python", help="Export as a Python script.")] = False,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FOLDER",
            help="Write to this path instead of next to the input; for a script also a .py file.",
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace existing files.")] = False,
) -> int:
    """Write a workflow for another program: ComfyUI, or Python.

    For ComfyUI it writes two files: NAME.comfyui.json for its page, and
    NAME.comfyui-api.json for its server. It reports what has no counterpart there, and
    keeps that in the files, so that `nodegraph import` restores everything.

    For Python it writes NAME.py, which builds the same workflow with a Graph and runs it.
    """
    if not (comfyui or python):
        raise InvalidValue("the target program is not given", hint="Use --comfyui or --python.")
    opened = open_workflow(workflow)
    folder = Path(out).expanduser() if out is not None else opened.folder or Path.cwd()
    stem = "workflow" if workflow == STDIN else Path(workflow).stem
    if python and not comfyui and folder.suffix == ".py" and not folder.is_dir():
        folder, stem = folder.parent, folder.stem
    texts: dict[Path, str] = {}
    messages: list[str] = []
    if python:
        texts[folder / f"{stem}.py"] = _script(common, opened, folder)
    if comfyui:
        texts |= _for_comfyui(common, opened.workflow, folder / stem, messages)
    there = [str(path) for path in texts if path.exists()]
    if there and not force:
        raise OutputError(f"{', '.join(there)} already exists", hint="Use --force to replace it.")
    make_folder(folder)
    for path, text in texts.items():
        write_file(path, text.encode())
    for message in [*messages, *(f"wrote {format_path(path)}" for path in texts)]:
        echo(message)
    return 0


def _script(common: CommonOptions, opened: OpenedWorkflow, folder: Path) -> str:
    from nodegraph.python.builder.script import python_script

    inputs = "Path(__file__).parent"
    if opened.folder is not None and folder.absolute() != opened.folder.absolute():
        inputs = f"Path({str(opened.folder.absolute())!r})"
    return python_script(opened.workflow, common.session(), inputs=inputs, packs=common.packs)


def _for_comfyui(
    common: CommonOptions, workflow: Workflow, target: Path, messages: list[str]
) -> dict[Path, str]:
    """The texts of its files; what is to be said of them goes into a list."""
    from nodegraph.interop.comfyui.exporter import export_documents
    from nodegraph.interop.comfyui.importer import node_table

    table = node_table(common.pack_list(), common.session().registry)
    exported, written = export_documents(
        workflow, table.entries.values(), common.session().registry
    )
    messages += exported.messages
    if exported.unknown:
        messages.append(
            f"{pluralize(len(exported.unknown), 'node')} cannot run there: ComfyUI shows unknown "
            "nodes in red and keeps them"
        )
    return {
        target.with_name(f"{target.name}{ending}"): json_text.dumps(
            written[kind], indent=2, ensure_ascii=False
        )
        for kind, ending in _ENDINGS.items()
    }
