"""`nodegraph restore`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from nodegraph.cli.backup import named, warn_of_database
from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import counted, print_json, say, shown_path, shown_size, warn
from nodegraph.cli.times import shown_time
from nodegraph.cli.watching import bytes_progress


def restore(
    common: Common,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `backup` has written.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace what is in the home folder.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only read the file, and tell whether it is whole.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Put a backup back into the home folder.

    All of it or nothing, whatever happens meanwhile. No server may run in that folder. What the
    backup doesn't hold stays: the cache, and models and tokens unless they were taken along.
    Restore only what you trust: packs are programs.
    """
    source = Path(file).expanduser()
    return _check(source, json) if check else _restore(common, source, force, json)


def _check(source: Path, json: bool) -> int:
    from nodegraph.server.operations.backup import check

    with bytes_progress("reading", is_shown=not json) as progress:
        found = check(source, progress)
    if json:
        about = found.model_dump(exclude={"files"})
        print_json({**about, "files": len(found.files), "bytes": found.bytes})
    else:
        say(
            f"{shown_path(source)} is whole: {counted(found.jobs, 'job')} and "
            f"{counted(len(found.files), 'file')} of {shown_size(found.bytes)}, packed "
            f"{shown_time(found.created)} by nodegraph {found.program} from {found.home}."
        )
    return 0


def _restore(common: Common, source: Path, force: bool, json: bool) -> int:
    from nodegraph.server.operations.backup import restore as put_back

    settings = common.settings()
    with bytes_progress("restoring", is_shown=not json) as progress:
        found = put_back(settings, source, force=force, progress=progress)
    home = settings.data_folder.absolute()
    warn_of_database(common)
    if json:
        print_json({"home": str(home), **asdict(found)})
        return 0
    say(
        f"{counted(found.jobs, 'job')} and {counted(found.files, 'file')} of "
        f"{shown_size(found.bytes)} restored to {home}."
    )
    if found.missing:
        warn(f"they were gone when the backup was made: {named(found.missing)}")
    return 0
