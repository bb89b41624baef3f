"""`nodegraph new`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from nodegraph.cli.options import CommonOptions
from nodegraph.cli.output import echo, format_path, print_json, print_table
from nodegraph.core.files import write_file
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.session.examples import template as find_template
from nodegraph.session.examples import templates

DEFAULT = "text_to_image"


def new(
    common: CommonOptions,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE", help="Path to write; - prints it  [default: the template's name]"
        ),
    ] = None,
    template: Annotated[
        str, typer.Option(metavar="NAME", help="Workflow of the gallery")
    ] = DEFAULT,
    example: Annotated[
        str | None,
        typer.Option(metavar="NODE", help="Use the example workflow of this node instead."),
    ] = None,
    list_: Annotated[bool, typer.Option("--list", help="List the gallery.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Overwrite existing files.")] = False,
    json: Annotated[bool, typer.Option("--json", help="With --list: print only JSON.")] = False,
) -> int:
    """Start a workflow from the gallery, or from the example of a node.

    It puts the images and packs that the workflow needs next to it.
    """
    if list_:
        _print_gallery(json)
        return 0
    if example is None:
        name, (workflow, others) = template, find_template(template)
    else:
        name, workflow, others = _example(common, example)
    if file == "-":
        sys.stdout.write(workflow.decode())
        return 0
    path = Path(file or f"{name.removesuffix('.json')}.json")
    contents = {path: workflow, **{path.parent / name: data for name, data in others.items()}}
    _refuse_overwriting(contents, force)
    if path.parent.is_dir():
        for folder in {file_path.parent for file_path in contents} - {path.parent}:
            _make_folder(folder)
    for file_path, data in contents.items():
        write_file(file_path, data)
        echo(f"Wrote {format_path(file_path)}.")
    pack = next((name for name in others if name.endswith(".py")), None)
    more = f" --pack {format_path(path.with_name(pack))}" if pack else ""
    echo(f"Run it: nodegraph run {format_path(path)}{more}")
    return 0


def _example(common: CommonOptions, node: str) -> tuple[str, bytes, dict[str, bytes]]:
    """The workflow that shows what a node type does: its name, its file and files that it reads.

    Raises:
        InvalidValue: There is no such node type, or no example of it.
    """
    from nodegraph.cli.nodes import find_spec
    from nodegraph.session.examples import examples

    registry = common.session().registry
    spec = find_spec(registry, node)
    example = examples(registry.packs).get(spec.type)
    if example is None:
        raise InvalidValue(f"there is no example of `{spec.type}`")
    needed = (*example.needs, *example.needs_within)
    others = {name: (example.inputs / name).read_bytes() for name in needed}
    return example.file.name, example.text, others


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidFile(f"cannot make the folder {folder}: {error.strerror or error}") from error


def _refuse_overwriting(contents: dict[Path, bytes], force: bool) -> None:
    """Raise if files would be lost; one with the same content isn't.

    Raises:
        InvalidFile: There are other files of that name.
    """
    taken = [
        path
        for path, data in contents.items()
        if path.exists() and not (path.is_file() and path.read_bytes() == data)
    ]
    if taken and not force:
        names = ", ".join(map(str, taken))
        raise InvalidFile(
            f"{names} already exists", hint="Choose another name, or use --force to overwrite."
        )


def _print_gallery(json: bool) -> None:
    gallery = templates()
    if json:
        print_json(
            {
                "templates": [
                    {"name": name, "title": item.title, "description": item.description}
                    for name, item in gallery.items()
                ]
            }
        )
        return
    print_table(
        [((name, "bold"), item.description or item.title) for name, item in gallery.items()]
    )
