"""`nodegraph export`."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated

import typer

from nodegraph.cli.opening import STDIN, open_workflow
from nodegraph.cli.options import Common
from nodegraph.cli.output import counted, say, shown_path
from nodegraph.core.files import make_folder, write_file
from nodegraph.errors import InvalidValue, OutputError

_ENDINGS = {"ui": ".comfyui.json", "api": ".comfyui-api.json"}


def export(
    common: Common,
    workflow: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW", help="A JSON file, a result by nodegraph, or - (stdin)."
        ),
    ],
    comfyui: Annotated[bool, typer.Option("--comfyui", help="For ComfyUI.")] = False,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FOLDER", help="Write here, and not beside it."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> int:
    """Write a workflow for another program: ComfyUI.

    Two files are written: NAME.comfyui.json, which its page opens, and NAME.comfyui-api.json, which
    its server is sent. What has no counterpart there is told; it stays in the files, so that
    `nodegraph import` brings everything back.
    """
    from nodegraph.compat.comfyui.exporting import documents
    from nodegraph.compat.comfyui.packs import node_table

    if not comfyui:
        raise InvalidValue("for which program?", hint="Say --comfyui; others aren't known yet.")
    opened = open_workflow(workflow)
    session = common.session()
    table = node_table(common.pack_list())
    found, written = documents(opened.workflow, table.entries.values(), session.registry)
    folder = Path(out).expanduser() if out is not None else opened.folder or Path.cwd()
    stem = "workflow" if workflow == STDIN else Path(workflow).stem
    targets = {kind: folder / f"{stem}{ending}" for kind, ending in _ENDINGS.items()}
    there = [str(path) for path in targets.values() if path.exists()]
    if there and not force:
        raise OutputError(f"there is {', '.join(there)} already", hint="Say --force to replace it.")
    make_folder(folder)
    for kind, path in targets.items():
        write_file(path, json_text.dumps(written[kind], indent=2, ensure_ascii=False).encode())
    for message in found.told:
        say(message)
    if found.unknown:
        say(
            f"{counted(len(found.unknown), 'node')} can't run there: ComfyUI shows what it doesn't "
            "know in red, and keeps it"
        )
    for path in targets.values():
        say(f"wrote {shown_path(path)}")
    return 0
