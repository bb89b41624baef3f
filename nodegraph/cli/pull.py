"""`nodegraph pull`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.connecting import ServerOption, open_client
from nodegraph.cli.job_names import LAST, JobArgument, find_job
from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import echo, echo_stderr, format_path, print_json
from nodegraph.cli.watching import bytes_progress

if TYPE_CHECKING:
    from nodegraph.client import Client, Job, Pulled


def pull(
    common: CommonOptions,
    job: JobArgument = LAST,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="DIR", help="Write files here  [default: output]"),
    ] = None,
    node: Annotated[
        list[str] | None,
        typer.Option(metavar="NODE", help="Only what this node wrote; may be repeated."),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace other files of the same names.")
    ] = False,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Download the files of a job.

    A file appears once it is whole and its digest is right. What breaks off is gone on with the
    next time. Other files of the same name stay, unless --overwrite is given.
    """
    folder = out_folder(common, out)
    with open_client(server) as client:
        pulled_job = find_job(client, job)
        files = download_files(client, pulled_job, folder, node or None, overwrite=overwrite)
    if json:
        print_json({"job": pulled_job.id, "files": file_documents(files)})
        return 0
    print_pulled(files)
    if not files:
        echo_stderr("The job gave no files.")
    return 0


def out_folder(common: CommonOptions, out: str | None) -> Path:
    """Where files go: the folder that is given, or the usual one."""
    if out is not None:
        return Path(out).expanduser()
    return common.settings().outputs or Path("output")


def download_files(
    client: Client,
    job: Job,
    folder: Path,
    nodes: Sequence[str] | None = None,
    *,
    overwrite: bool = False,
) -> tuple[Pulled, ...]:
    """The files of a job, downloaded; how far that is shows on a terminal."""
    with bytes_progress("downloading", is_shown=True) as progress:
        return client.pull(job, folder, nodes=nodes, overwrite=overwrite, progress=progress)


def print_pulled(files: Sequence[Pulled]) -> None:
    """Print the files' paths, a line each."""
    for file in files:
        note = ("  (already there, unchanged)", "dim") if file.existed else ""
        echo(format_path(file.path), note)


def file_documents(files: Sequence[Pulled]) -> list[dict[str, Any]]:
    """Files, for JSON output."""
    return [
        {
            "path": str(file.path.absolute()),
            "node": file.file.node,
            "kind": file.file.kind,
            "digest": file.file.digest,
            "existed": file.existed,
        }
        for file in files
    ]
