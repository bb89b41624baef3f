"""`nodegraph results`: the library of a server."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cli.conftest import Cli
from tests.cli.server_support import Asked, known_packs, server, shared_server
from tests.server.resources import digest_of, finished, picture, written

__all__ = ["known_packs", "server", "shared_server"]


def give(server: Asked, stem: str, **more: Any) -> str:
    """Have a job give an image that no other test has; its digest."""
    color = (len(stem), sum(stem.encode()) % 250, 9)
    data = picture(20, 10, color=color)
    path = server.server.services.outputs / f"{stem}.png"
    file = written(path, data, width=20, height=10)
    finished(server.server.services.queue, [file], "local", **more)
    return digest_of(data)


def listed(cli: Cli, *options: str) -> list[str]:
    return [each["name"] for each in cli("results", "list", *options, "--json").json["results"]]


def test_results_are_listed_and_found(cli: Cli, server: Asked) -> None:
    assert cli("results").out == "No results.\n"
    first = give(server, "listed-a")
    give(server, "listed-b", name="a red cat")
    done = cli("results")
    assert first[:12] in done.out
    assert "20 x 10" in done.out
    assert listed(cli) == ["listed-b.png", "listed-a.png"]
    assert listed(cli, "red cat") == ["listed-b.png"]
    assert listed(cli, "--limit", "1") == ["listed-b.png"]
    wrong = cli("results", "list", "stars:many")
    assert (wrong.code, "search term `stars:`" in wrong.err) == (2, True)


def test_stars_tags_and_notes(cli: Cli, server: Asked) -> None:
    a, b = give(server, "noted-a"), give(server, "noted-b")
    assert cli("results", "star", "4", a[:12], b).err == "Changed 2 results.\n"
    assert cli("results", "star", "4", "last", "--json").json == {"changed": 0}
    assert listed(cli, "--stars", "4") == ["noted-b.png", "noted-a.png"]
    done = cli("results", "tag", a, "--add", "Cat", "--add", "dog", "--json")
    assert done.json == {"changed": 1}
    assert listed(cli, "--tag", "cat") == ["noted-a.png"]
    assert cli("results", "tag").out.split() == ["Cat", "1", "dog", "1"]
    assert cli("results", "tag", "--find", "tag:cat", "--remove", "CAT").code == 0
    assert cli("results", "tag", "--json").json == {"tags": [{"tag": "dog", "count": 1}]}
    assert cli("results", "note", "for the cover", a).code == 0
    assert "#dog for the cover" in cli("results").out
    assert cli("results", "note", "", a).code == 0
    assert "cover" not in cli("results").out


def test_boards(cli: Cli, server: Asked) -> None:
    a, b = give(server, "board-a"), give(server, "board-b")
    assert cli("results", "board").out == "No boards.\n"
    assert cli("results", "board", "Covers", a, b).err == "Changed 2 results.\n"
    assert cli("results", "board").out.split() == ["Covers", "2", "results"]
    assert listed(cli, "--board", "covers") == ["board-b.png", "board-a.png"]
    assert "[Covers]" in cli("results").out
    assert cli("results", "board", "Covers", a, "--off").code == 0
    assert listed(cli, "board:covers") == ["board-b.png"]
    renamed = cli("results", "board", "covers", "--rename", "Best", "--json").json
    assert [each["name"] for each in renamed["boards"]] == ["Best"]
    assert cli("results", "board", "Other").code == 0
    assert cli("results", "board", "Best", "--delete").err == "Deleted 1 board.\n"
    assert cli("results", "board", "Other", "--delete").code == 0
    refused = cli("results", "list", "--board", "Best")
    assert (refused.code, "there is no such board" in refused.err) == (2, True)
    assert listed(cli) == ["board-b.png", "board-a.png"]


def test_the_trash(cli: Cli, server: Asked) -> None:
    a, b = give(server, "trash-a"), give(server, "trash-b")
    assert cli("results", "trash", a, b).err == "Trashed 2 results.\n"
    assert listed(cli) == []
    assert listed(cli, "--trashed") == ["trash-b.png", "trash-a.png"]
    assert cli("results", "restore", a[:8], "--json").json == {"restored": 1}
    assert listed(cli) == ["trash-a.png"]
    assert cli("results", "trash", "--empty").err == "Deleted 1 result.\n"
    assert listed(cli, "--trashed") == []
    assert cli("results", "restore", "--find", "trash-b").code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("star", "3"), "give either results or --find"),
        (("star", "3", "last", "--find", "x"), "give either results or --find"),
        (("star", "6", "last"), "this is no number of stars"),
        (("star", "3", "zz"), "this is no result"),
        (("star", "3", "abcdef0123"), "there is no such result"),
        (("star", "3", "0" * 64), "there is no such artifact"),
        (("star", "3", "last"), "there is no such result"),
        (("star", "3", "--find", "nothing like it"), "no result is found"),
        (("tag", "last"), "no tag is given"),
        (("trash", "last", "--empty"), "exclude each other"),
        (("board", "Covers", "--rename", "x", "--delete"), "exclude each other"),
        (("board", "Nowhere", "--delete"), "there is no such board"),
    ],
)
def test_what_cannot_be_done_is_said(
    cli: Cli, server: Asked, arguments: tuple[str, ...], message: str
) -> None:
    refused = cli("results", *arguments)
    assert refused.code == 2
    assert message in refused.err
