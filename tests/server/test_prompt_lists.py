"""Styles and tag lists over HTTP: of each client, with limits, wrong rows named."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from nodegraph.errors import InvalidFile, OutputError
from nodegraph.server.content.prompt_lists import (
    FOLDER,
    PromptLists,
    Style,
    read_styles,
    read_tags,
)
from nodegraph.server.operations.backup import backup, restore
from nodegraph.session.settings import Settings
from tests.server.hosting import Hosted

A1111 = """name,prompt,negative_prompt
---,,
Ink,"{prompt}, ink, \"\"wash\"\"",photo
"Oil, thick",oil painting,
"""
DANBOORU = """1girl,0,6008644,"1girls,sole_female"
long_hair,0,4350743,"longhair"
:3,0,51000,
masterpiece,5,Quality tag,
"""


def put_tags(server: Hosted, text: str | bytes, name: str = "danbooru") -> httpx.Response:
    data = text.encode() if isinstance(text, str) else text
    headers = {"Content-Type": "text/csv"}
    return server.client.put(f"/tag-lists/{name}", content=data, headers=headers)


def test_styles_of_a1111_are_added_and_kept(server: Hosted) -> None:
    assert server.client.get("/styles").json() == {"items": []}
    own = {"name": "Ink", "prompt": "mine", "negative_prompt": ""}
    assert server.client.put("/styles", json={"items": [own]}).json() == {"items": [own]}

    text = A1111.replace('\\"', '"')
    answer = server.client.post("/styles/csv", content=text.encode())

    assert answer.status_code == 200, answer.text
    assert server.client.get("/styles").json() == answer.json()
    assert answer.json()["items"] == [
        {"name": "Ink", "prompt": '{prompt}, ink, "wash"', "negative_prompt": "photo"},
        {"name": "Oil, thick", "prompt": "oil painting", "negative_prompt": ""},
    ]


def test_tag_lists_are_kept_with_counts_and_aliases(server: Hosted) -> None:
    answer = put_tags(server, "name,category,count,aliases\n" + DANBOORU)

    assert answer.status_code == 200, answer.text
    assert answer.json()["tags"] == 4
    assert server.client.get("/tag-lists").json() == {"items": [answer.json()]}
    got = server.client.get("/tag-lists/danbooru")
    assert got.text.splitlines()[0] == '1girl,0,6008644,"1girls,sole_female"'
    assert got.headers["content-type"] == "text/csv; charset=utf-8"
    again = server.client.get("/tag-lists/danbooru", headers={"If-None-Match": got.headers["etag"]})
    assert again.status_code == 304
    assert server.client.delete("/tag-lists/danbooru").status_code == 204
    assert server.client.get("/tag-lists/danbooru").status_code == 404


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,0,1\nb,0,2\nonly a name\n", "row 3"),
        ("a,0,1\nb,much\n", "row 2"),
        ('a,0,1\n"never closed,0,2\n', "row 2"),
        (b"a,0,1\n\xff,0,2\n", "row 2"),
        ("a,0,1\n\0,0,2\n", "row 2"),
        ("", "no tags"),
        (f"{'x' * 300},0,1\n", "row 1"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_changed(
    server: Hosted, text: str | bytes, message: str
) -> None:
    put_tags(server, DANBOORU)

    answer = put_tags(server, text)

    assert answer.status_code == 422
    assert message in answer.json()["problems"][0]["message"]
    assert server.client.get("/tag-lists").json()["items"][0]["tags"] == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,positive\na,b\n", "no column `prompt`"),
        ("title,prompt\na,b\n", "no column `name`"),
        ("name,prompt\na,b\n,c\n", "row 3: the name is missing"),
        (f"name,prompt\na,{'x' * 20_001}\n", "row 2"),
    ],
)
def test_a_wrong_row_of_styles_is_named(server: Hosted, text: str, message: str) -> None:
    answer = server.client.post("/styles/csv", content=text.encode())

    assert answer.status_code == 422
    assert message in answer.json()["problems"][0]["message"]
    assert server.client.get("/styles").json() == {"items": []}


def test_each_client_has_its_own(own_server: Hosted) -> None:
    ann, ben = own_server.token("ann", "run"), own_server.token("ben", "read")
    styles = {"items": [{"name": "Ink", "prompt": "ink", "negative_prompt": ""}]}
    assert own_server.client.put("/styles", json=styles, headers=ann).status_code == 200

    assert own_server.client.get("/styles", headers=ann).json() == styles
    assert own_server.client.get("/styles", headers=ben).json() == {"items": []}
    assert own_server.client.put("/styles", json=styles, headers=ben).status_code == 403


def test_names_lead_nowhere(server: Hosted) -> None:
    for name in ("..", "%2e%2e%2fstyles", "a%2fb", ".hidden"):
        assert put_tags(server, DANBOORU, name).status_code in (400, 404, 405, 422)


def test_too_many_styles_are_refused(server: Hosted) -> None:
    items = [{"name": str(number), "prompt": "x"} for number in range(5_001)]
    answer = server.client.put("/styles", json={"items": items})
    assert answer.status_code == 413


def test_tables_are_read_as_written() -> None:
    assert list(read_tags(b"\xef\xbb\xbfcat,12\n", "t")) == [("cat", "0", 12, "")]
    assert [style.name for style in read_styles(b"prompt,name\r\np,n\r\n")] == ["n"]
    with pytest.raises(InvalidFile, match=r"t\.csv, row 1"):
        list(read_tags(b"just text\n", "t.csv"))


def test_a_backup_has_them(home: Path, tmp_path: Path) -> None:
    lists = PromptLists(home / FOLDER)
    ink = Style("Ink", "{prompt}, ink")
    lists.put_styles("ann", [ink])
    lists.put_tag_list("ann", "animals", b"cat,0,5,\n")
    backup(Settings(home=home), tmp_path / "b.zip")
    restore(Settings(home=tmp_path / "restored"), tmp_path / "b.zip")
    restored = PromptLists(tmp_path / "restored" / FOLDER)
    assert restored.styles("ann") == [ink]
    assert restored.tag_list("ann", "animals") == b"cat,0,5,\n"


def test_styles_that_cannot_be_read_are_not_taken_for_none(tmp_path: Path) -> None:
    lists = PromptLists(tmp_path)
    assert list(lists.styles("ann")) == []
    lists.put_styles("ann", [Style("Ink", "ink")])
    (folder,) = tmp_path.iterdir()
    (folder / "styles.json").unlink()
    (folder / "styles.json").mkdir()
    with pytest.raises(OutputError, match="the styles cannot be read"):
        lists.styles("ann")
