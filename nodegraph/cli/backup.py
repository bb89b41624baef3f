"""`nodegraph backup` and `nodegraph restore`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    echo,
    format_path,
    format_size,
    format_time,
    pluralize,
    print_json,
    warn,
)
from nodegraph.cli.progress import bytes_progress

if TYPE_CHECKING:
    from nodegraph.server.operations.backup import WrittenBackup


def restore(
    common: CommonOptions,
    file: Annotated[str, typer.Argument(metavar="FILE", help="A file that `backup` wrote.")],
    force: Annotated[
        bool, typer.Option("--force", help="Replace what is in the home folder.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only check whether the file is complete.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Restore a backup into the home folder.

    It restores everything or nothing, even if it is interrupted. No server may run in that
    folder. Parts that are not in the backup stay: the cache, and models and tokens unless they
    are included. Restore only what you trust: packs are programs.
    """
    source = Path(file).expanduser()
    return _check(source, json) if check else _restore(common, source, force, json)


def _check(source: Path, json: bool) -> int:
    from nodegraph.server.operations.backup import check

    with bytes_progress("reading", is_shown=not json) as progress:
        manifest = check(source, progress)
    if json:
        about = manifest.model_dump(exclude={"files"})
        print_json({**about, "files": len(manifest.files), "bytes": manifest.bytes})
    else:
        echo(
            f"{format_path(source)} is complete: {pluralize(manifest.jobs, 'job')} and "
            f"{pluralize(len(manifest.files), 'file')} of {format_size(manifest.bytes)}, packed "
            f"{format_time(manifest.created)} by nodegraph {manifest.program} from "
            f"{manifest.home}."
        )
    return 0


def _restore(common: CommonOptions, source: Path, force: bool, json: bool) -> int:
    from nodegraph.server.operations.backup import restore as put_back

    settings = common.settings()
    with bytes_progress("restoring", is_shown=not json) as progress:
        restored = put_back(settings, source, force=force, progress=progress)
    home = settings.data_folder.absolute()
    warn_of_database(common)
    if json:
        print_json({"home": str(home), **asdict(restored)})
        return 0
    echo(
        f"{pluralize(restored.jobs, 'job')} and {pluralize(restored.files, 'file')} of "
        f"{format_size(restored.bytes)} restored to {home}."
    )
    if restored.missing:
        warn(
            "these files were missing when the backup was made: "
            f"{file_names_text(restored.missing)}"
        )
    return 0


_MOST = 5
"""Files that are named."""


def backup(
    common: CommonOptions,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="The file to write; it replaces an earlier backup."),
    ],
    with_tokens: Annotated[
        bool,
        typer.Option(
            "--with-tokens",
            help="Include the tokens (their digests) and a config file with a password in it.",
        ),
    ] = False,
    with_models: Annotated[
        bool, typer.Option("--with-models", help="Include the models in the home folder.")
    ] = False,
    without_outputs: Annotated[
        bool, typer.Option("--without-outputs", help="Leave out the files that jobs have written.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Back up the home folder into one file, also while a server runs.

    The file holds the queue with its history, saved workflows, uploads, inputs, outputs,
    packs and the config file, but nothing that can be made again. It is read back and
    checked before it replaces an earlier one.
    """
    from nodegraph.server.operations.backup import Options
    from nodegraph.server.operations.backup import backup as pack

    target = Path(file).expanduser()
    options = Options(outputs=not without_outputs, models=with_models, tokens=with_tokens)
    with bytes_progress("packing", is_shown=not json) as progress:
        written = pack(common.settings(), target, options, progress)
    if json:
        print_json({"file": str(target.absolute()), **asdict(written)})
    else:
        _print(target, written)
    warn_of_database(common)
    return 0


def warn_of_database(common: CommonOptions) -> None:
    """Say where the queue is, if it isn't in the home folder."""
    from nodegraph.server.settings import load_server_settings

    queue = load_server_settings(common.settings()).queue
    if queue is not None:
        warn(f"the jobs are not in the home folder but in {queue}: use pg_dump and pg_restore")


def _print(target: Path, written: WrittenBackup) -> None:
    echo(
        f"{pluralize(written.jobs, 'job')} and {pluralize(written.files, 'file')} of "
        f"{format_size(written.bytes)} packed into {format_path(target)}, "
        f"{format_size(written.size)}."
    )
    if written.missing:
        warn(
            "jobs or uploads refer to files that are missing or changed: "
            f"{file_names_text(written.missing)}"
        )
    if written.left_out:
        warn(
            "left out, because they are links or cannot be read: "
            f"{file_names_text(written.left_out)}"
        )
    for path in written.secret:
        warn(f"{path} has a password in it, so the backup includes it only with --with-tokens")
    for folder in written.elsewhere:
        warn(f"{folder} is outside the home folder, so it is not in the backup")


def file_names_text(files: list[str]) -> str:
    """Some files by name, and how many more there are."""
    more = f" and {len(files) - _MOST} more" if len(files) > _MOST else ""
    return ", ".join(files[:_MOST]) + more
