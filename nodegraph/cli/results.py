"""The commands of `nodegraph results`: the library of a server."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from nodegraph.cli.options import CommonOptions, JsonOption, ServerOption, open_client
from nodegraph.cli.output import (
    StyledText,
    echo,
    echo_stderr,
    format_size,
    format_time,
    pluralize,
    print_json,
    print_table,
)
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.client import Artifact, ArtifactFilter, Board, Client

_DIGEST = re.compile(r"[0-9a-f]{64}")
_START = re.compile(r"[0-9a-f]{6,63}")
_SHOWN = 12
"""Characters of a digest."""
_MOST = 10_000
"""Results that are looked through."""

ResultsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="RESULT", help="A result's digest, the start of a digest, or last."),
]
FindOption = Annotated[
    str | None,
    typer.Option(
        metavar="TEXT",
        help="All results that this finds, such as 'red cat stars:3'.",
    ),
]


def list_(
    common: CommonOptions,
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="Words and terms, such as stars:3 or seed:5.")
    ] = "",
    tag: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Results with this tag; repeatable.")
    ] = None,
    board: Annotated[
        str | None, typer.Option(metavar="NAME", help="Results on this board.")
    ] = None,
    stars: Annotated[
        int | None, typer.Option(metavar="N", help="Results with at least so many.", min=0, max=5)
    ] = None,
    trashed: Annotated[bool, typer.Option("--trashed", help="Results in the trash.")] = False,
    limit: Annotated[int, typer.Option(metavar="N", help="List at most this many", min=1)] = 20,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """List the results of a server, the newest first.

    TEXT may have words of the prompt or the file's name, "several words" in quotes, and the
    terms model: seed: steps: sampler: size: width: height: stars: tag: board: type: after:
    before:, each with a value.
    """
    which: ArtifactFilter = {"text": text or None, "stars": stars, "tag": tag, "distinct": True}
    which["trashed"] = trashed or None
    with open_client(server) as client:
        boards = client.library.boards()
        if board is not None:
            which["board"] = _board(boards, board).id
        listed = list(islice(client.artifacts(**which), limit))
    if json:
        print_json({"results": [asdict(each) for each in listed]})
        return 0
    if not listed:
        echo("No results.")
        return 0
    names = {each.id: each.name for each in boards}
    heads = [(head, "bold") for head in ("digest", "created", "stars", "size", "name", "notes")]
    print_table([heads, *(_row(each, names) for each in listed)])
    return 0


def _row(result: Artifact, boards: dict[str, str]) -> list[StyledText]:
    notes = [f"#{tag}" for tag in result.tags]
    if result.board is not None:
        notes.append(f"[{boards.get(result.board, result.board)}]")
    if result.note:
        notes.append(" ".join(result.note.split()))
    pixels = f"{result.width} x {result.height}" if result.width and result.height else ""
    return [
        result.digest[:_SHOWN],
        format_time(result.created),
        result.stars * "*",
        pixels or format_size(result.size),
        result.name,
        " ".join(notes),
    ]


def star(
    common: CommonOptions,
    stars: Annotated[str, typer.Argument(metavar="STARS", help="0 to 5.")],
    results: ResultsArgument = None,
    find: FindOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Give results stars."""
    if stars not in ("0", "1", "2", "3", "4", "5"):
        raise InvalidValue("this is no number of stars", given=stars, expected="0 to 5")
    with open_client(server) as client:
        chosen = _chosen(client, results, find)
        return _tell("changed", client.library.change(chosen, stars=int(stars)), json=json)


def tag(
    common: CommonOptions,
    results: ResultsArgument = None,
    add: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Add this tag; may be repeated.")
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option(metavar="TAG", help="Remove this tag; may be repeated.")
    ] = None,
    find: FindOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Add or remove tags of results, or list all tags."""
    with open_client(server) as client:
        if not results and find is None and not add and not remove:
            tags = client.library.tags()
            if json:
                print_json({"tags": [asdict(each) for each in tags]})
            else:
                print_table([(each.tag, str(each.count)) for each in tags])
            return 0
        if not add and not remove:
            raise InvalidValue("no tag is given", expected="--add TAG or --remove TAG")
        chosen = _chosen(client, results, find)
        changed = client.library.change(chosen, add_tags=add or [], remove_tags=remove or [])
    return _tell("changed", changed, json=json)


def board(
    common: CommonOptions,
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Name of a board.")] = None,
    results: ResultsArgument = None,
    off: Annotated[bool, typer.Option("--off", help="Take the results off the board.")] = False,
    rename: Annotated[
        str | None, typer.Option(metavar="NAME", help="Give the board another name.")
    ] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Delete the board. Its results stay.")
    ] = False,
    find: FindOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Put results on a board, or list, make, rename or delete boards.

    A board that is not there is made.
    """
    if sum((bool(results or find is not None), rename is not None, delete)) > 1:
        raise InvalidValue("--rename, --delete and results exclude each other", hint="Choose one.")
    with open_client(server) as client:
        boards = client.library.boards()
        if name is None:
            return _print_boards(boards, json=json)
        if delete:
            client.library.delete_board(_board(boards, name))
            return _tell("deleted", 1, json=json, what="board")
        if rename is not None:
            renamed = client.library.rename_board(_board(boards, name), rename)
            return _print_boards([renamed], json=json)
        if off:
            known = _board(boards, name)
            on_board = {each.digest for each in client.artifacts(board=known.id)}
            chosen = [each for each in _chosen(client, results, find) if each in on_board]
            return _tell("changed", client.library.change(chosen, board=None), json=json)
        is_there = any(each.name.casefold() == name.casefold() for each in boards)
        if not results and find is None:
            made = _board(boards, name) if is_there else client.library.add_board(name)
            return _print_boards([made], json=json)
        chosen = _chosen(client, results, find)
        target = _board(boards, name) if is_there else client.library.add_board(name)
        return _tell("changed", client.library.change(chosen, board=target.id), json=json)


def note(
    common: CommonOptions,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Any text; '' removes the note.")],
    results: ResultsArgument = None,
    find: FindOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Note something about results."""
    with open_client(server) as client:
        chosen = _chosen(client, results, find)
        return _tell("changed", client.library.change(chosen, note=text or None), json=json)


def trash(
    common: CommonOptions,
    results: ResultsArgument = None,
    find: FindOption = None,
    empty: Annotated[
        bool, typer.Option("--empty", help="Delete all results in the trash for good.")
    ] = False,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Put results into the trash, or empty it.

    The server deletes them after 30 days, or as its setting trash_days says. Until then
    `nodegraph results restore` brings them back.
    """
    if empty and (results or find is not None):
        raise InvalidValue("--empty and results exclude each other", hint="Choose one.")
    with open_client(server) as client:
        if empty:
            return _tell("deleted", client.library.empty_trash(), json=json)
        chosen = _chosen(client, results, find)
        return _tell("trashed", client.library.trash(chosen), json=json)


def restore(
    common: CommonOptions,
    results: ResultsArgument = None,
    find: FindOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Take results out of the trash, with their stars, tags, notes and boards."""
    with open_client(server) as client:
        chosen = _chosen(client, results, find, trashed=True)
        return _tell("restored", client.library.restore(chosen), json=json)


def _chosen(
    client: Client, results: Sequence[str] | None, find: str | None, *, trashed: bool = False
) -> list[str]:
    """Digests of the results that are named or found.

    Raises:
        InvalidValue: There are none.
    """
    if bool(results) == (find is not None):
        raise InvalidValue("give either results or --find", expected="RESULT... or --find TEXT")
    if find is not None:
        matching = client.artifacts(text=find, distinct=True, trashed=trashed or None)
        digests = [each.digest for each in islice(matching, _MOST)]
        if not digests:
            raise InvalidValue("no result is found", given=find)
        return digests
    names = list(dict.fromkeys(results or ()))
    starts = [name for name in names if not _DIGEST.fullmatch(name)]
    known: list[str] = []
    if starts:
        listed = client.artifacts(distinct=True, trashed=trashed or None)
        most = 1 if starts == ["last"] else _MOST
        known = [each.digest for each in islice(listed, most)]
    return list(dict.fromkeys(_digest(name, known) for name in names))


def _digest(name: str, known: Sequence[str]) -> str:
    if _DIGEST.fullmatch(name):
        return name
    if name == "last":
        matching = list(known[:1])
    else:
        if not _START.fullmatch(name):
            raise InvalidValue(
                "this is no result",
                given=ascii(name[:80])[1:-1],
                expected="6 to 64 digits of a digest, as `nodegraph results list` shows, or last",
            )
        matching = [digest for digest in known if digest.startswith(name)]
    if len(matching) != 1:
        problem = "several results begin like this" if matching else "there is no such result"
        raise InvalidValue(problem, given=name, hint="`nodegraph results list` shows the results.")
    return matching[0]


def _board(boards: Iterable[Board], name: str) -> Board:
    for each in boards:
        if each.name.casefold() == name.casefold():
            return each
    raise InvalidValue(
        "there is no such board", given=name, hint="`nodegraph results board` lists the boards."
    )


def _print_boards(boards: Sequence[Board], *, json: bool) -> int:
    if json:
        print_json({"boards": [asdict(each) for each in boards]})
    elif boards:
        print_table([(each.name, pluralize(each.count, "result")) for each in boards])
    else:
        echo("No boards.")
    return 0


def _tell(word: str, number: int, *, json: bool, what: str = "result") -> int:
    if json:
        print_json({word: number})
    else:
        echo_stderr(f"{word.capitalize()} {pluralize(number, what)}.")
    return 0
