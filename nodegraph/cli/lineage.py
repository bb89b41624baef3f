"""`nodegraph lineage`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.options import CommonOptions, JsonOption, open_store
from nodegraph.cli.output import FINE, echo, format_path, pluralize, print_json, warn
from nodegraph.core.files import write_file
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.core.digests import Digest
    from nodegraph.store.lineage import Lineage


def lineage(
    common: CommonOptions,
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE|DIGEST", help="A file, or the beginning of the digest of one."
        ),
    ] = None,
    scan: Annotated[
        list[str] | None,
        typer.Option(
            "--scan",
            metavar="DIR",
            help="First learn the results in this folder, such as files from elsewhere; "
            "repeatable.",
        ),
    ] = None,
    dot: Annotated[bool, typer.Option("--dot", help="Print a graph for Graphviz.")] = False,
    html: Annotated[
        str | None, typer.Option("--html", metavar="FILE", help="Write a page with a drawing.")
    ] = None,
    json: JsonOption = False,
) -> int:
    """Show what a result was made from, what was made from it, and what shares a source.

    Results of your runs are known, by the manifests in their files. The file may also be an input
    or a model: the command then lists the results that used it.
    """
    from nodegraph.session.lineage.diagrams import lineage_dot, lineage_html, lineage_lines
    from nodegraph.session.lineage.graph import build_lineage
    from nodegraph.session.lineage.indexing import scan_folder

    if file is None and not scan:
        raise InvalidValue("no file is named", expected="a file, a digest, or --scan FOLDER")
    if file is None and (dot or html is not None):
        raise InvalidValue("--dot and --html draw a file, and none is named")
    if json and dot:
        raise InvalidValue("--json and --dot both write to stdout", hint="Choose one of them.")
    with _open_lineage(common) as known:
        counts = [scan_folder(known, Path(folder).expanduser()) for folder in scan or ()]
        if file is None:
            if json:
                print_json({"scanned": [asdict(each) for each in counts]})
            for each in () if json else counts:
                echo(
                    f"{pluralize(each.results, 'result')} in {pluralize(each.files, 'file')} "
                    "learned."
                )
                if each.damaged:
                    warn(f"{pluralize(each.damaged, 'file')} could not be read")
            return FINE
        graph = build_lineage(known, _digest(known, file))
    if not graph.subject.name:
        graph = replace(graph, subject=replace(graph.subject, name=Path(file).name))
    if html is not None:
        path = Path(html).expanduser()
        write_file(path, lineage_html(graph).encode())
    if json:
        print_json(graph.to_document())
    elif dot:
        echo(lineage_dot(graph).rstrip())
    elif html is not None:
        echo(f"Wrote {format_path(Path(html))}.")
    else:
        for line in lineage_lines(graph):
            echo(line)
    return FINE


@contextmanager
def _open_lineage(common: CommonOptions) -> Iterator[Lineage]:
    from nodegraph.store.lineage import Lineage

    with open_store(common) as store:
        yield Lineage(store.index)


def _digest(known: Lineage, text: str) -> Digest:
    """The digest of a file, which is learned if it is a result, or of what a text names."""
    from nodegraph.core.file_digests import FILE_DIGESTS
    from nodegraph.session.lineage.indexing import index_result

    path = Path(text).expanduser()
    if not path.is_file():
        return known.resolve(text)
    digest = FILE_DIGESTS.digest(path)
    if known.file(digest) is None:
        index_result(known, path)
    return digest
