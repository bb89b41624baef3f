"""The library: stars, tags, notes, boards, searches and the trash, over HTTP."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest
import torch

from nodegraph import Video
from nodegraph.core.events import Event
from nodegraph.media.videos.encoding import encode_video
from nodegraph.server.content.artifacts import catalogue
from tests.jobs.queue.support import claim, submit
from tests.server.hosting import Hosted, hosted
from tests.server.resources import digest_of, finished, opened, picture, written


@pytest.fixture(autouse=True)
def emptied(server: Hosted) -> Iterator[None]:
    """The server is that of many tests: what is noted belongs to bytes, and would come back."""
    yield
    for trashed in ("false", "true"):
        query = {"limit": 1000, "trashed": trashed}
        for each in server.client.get("/artifacts", params=query).json()["items"]:
            server.client.delete(f"/artifacts/{each['digest']}")
    for board in server.client.get("/library/boards").json()["items"]:
        server.client.delete(f"/library/boards/{board['id']}")


def give(
    server: Hosted,
    stem: str = "apple",
    *,
    client: str = "local",
    size: tuple[int, int] = (8, 6),
    **more: Any,
) -> str:
    """Have a job give a picture; its digest."""
    width, height = size
    data = picture(width, height, color=(sum(stem.encode()) % 250, len(stem), 40))
    path = server.services.outputs / f"{stem}.png"
    file = written(path, data, width=width, height=height)
    finished(server.services.queue, [file], client, **more)
    return digest_of(data)


def listed(server: Hosted, headers: dict[str, str] | None = None, **query: Any) -> list[str]:
    answer = server.client.get("/artifacts", params=query, headers=headers)
    assert answer.status_code == 200, answer.text
    return [each["name"].removesuffix(".png") for each in answer.json()["items"]]


def entry(server: Hosted, digest: str, **query: Any) -> dict[str, Any]:
    items = server.client.get("/artifacts", params=query).json()["items"]
    return next(each for each in items if each["digest"] == digest)


def change(server: Hosted, digests: list[str], **fields: Any) -> httpx.Response:
    return server.client.patch("/library", json={"digests": digests, **fields})


def test_stars_tags_notes_and_boards_are_kept(server: Hosted) -> None:
    apple, pear = give(server, "apple"), give(server, "pear")
    board = server.client.post("/library/boards", json={"name": "Covers"}).json()
    answer = change(
        server, [apple], stars=4, add_tags=["Cat", "red"], note=" fine ", board=board["id"]
    )
    assert answer.json() == {"changed": 1}
    item = entry(server, apple)
    assert (item["stars"], item["tags"], item["note"]) == (4, ["Cat", "red"], "fine")
    assert (item["board"], item["trashed"]) == (board["id"], None)
    other = entry(server, pear)
    assert (other["stars"], other["tags"], other["note"], other["board"]) == (0, [], None, None)
    assert change(server, [apple], stars=4, add_tags=["cat"]).json() == {"changed": 0}
    assert (
        change(server, [apple], remove_tags=["CAT"], note=None, board=None).json()["changed"] == 1
    )
    item = entry(server, apple)
    assert (item["tags"], item["note"], item["board"], item["stars"]) == (["red"], None, None, 4)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"stars": 3}, ["c", "b"]),
        ({"stars": 0}, ["c", "b", "a"]),
        ({"tag": "cat"}, ["c", "a"]),
        ({"tag": ["cat", "dog"]}, ["c"]),
        ({"text": "tag:CAT stars:5"}, ["c"]),
        ({"text": 'tag:"two words"'}, ["b"]),
        ({"text": "two words"}, ["b"]),
        ({"text": "stars:3 b.png"}, ["b"]),
        ({"text": "type:image"}, ["c", "b", "a"]),
        ({"text": "type:video"}, []),
        ({"width": 8, "height": 6}, ["c", "b", "a"]),
        ({"text": "size:8x6 -"}, []),
        ({"text": "size:9x6"}, []),
        ({"text": "after:2001-01-01 before:2002-01-01"}, []),
        ({"text": "after:2001-01-01"}, ["c", "b", "a"]),
    ],
)
def test_what_is_noted_is_found(server: Hosted, query: dict[str, Any], names: list[str]) -> None:
    a, b, c = (give(server, name) for name in "abc")
    change(server, [a, c], add_tags=["Cat"])
    change(server, [c], add_tags=["dog"], stars=5)
    change(server, [b], add_tags=["two words"], stars=3)
    assert listed(server, **query) == names


def test_letters_are_found_in_either_spelling(server: Hosted) -> None:
    composed, apart = "caf\u00e9", "cafe\u0301"
    a, b = give(server, "a", name=apart), give(server, "b", name=composed)
    board = server.client.post("/library/boards", json={"name": apart}).json()["id"]
    change(server, [a], add_tags=[composed], board=board)
    change(server, [b], add_tags=[apart], board=board)
    for text in (composed, apart):
        for query in ({"text": text}, {"text": f"tag:{text} board:{text}"}, {"tag": text}):
            assert listed(server, **query) == ["b", "a"]


def test_the_trash_can_be_undone(server: Hosted) -> None:
    a = give(server, "a")
    give(server, "b")
    change(server, [a], stars=5, add_tags=["cat"])
    assert server.client.post("/library/trash", json={"digests": [a]}).json() == {"trashed": 1}
    assert listed(server) == ["b"]
    assert listed(server, trashed="true") == ["a"]
    assert server.client.get("/library/tags").json() == {"items": []}
    assert server.client.post("/library/restore", json={"digests": [a]}).json() == {"restored": 1}
    assert listed(server) == ["b", "a"]
    assert entry(server, a)["stars"] == 5
    assert server.client.get("/library/tags").json() == {"items": [{"tag": "cat", "count": 1}]}


def test_what_was_made_again_goes_into_the_trash_unlisted(server: Hosted) -> None:
    a = give(server, "a")
    trash = {"digests": [a]}
    assert server.client.post("/library/trash", json=trash).json() == {"trashed": 1}
    give(server, "a")
    assert server.client.post("/library/trash", json=trash).json() == {"trashed": 1}
    assert listed(server) == []
    assert listed(server, trashed="true") == ["a", "a"]


def test_what_is_restored_while_the_trash_is_emptied_stays(server: Hosted) -> None:
    a, b = give(server, "a"), give(server, "b")
    server.client.post("/library/trash", json={"digests": [a, b]})
    artifacts = server.services.artifacts
    entries = artifacts.library.trashed(None)
    assert server.client.post("/library/restore", json={"digests": [b]}).json() == {"restored": 1}
    assert [noted.digest for noted, _ in artifacts.in_trash(entries)] == [a]
    server.client.post("/library/trash", json={"digests": [b]})
    assert [noted.digest for noted, _ in artifacts.in_trash(entries)] == [a]


def test_an_emptied_trash_is_gone_for_good(server: Hosted) -> None:
    a = give(server, "a")
    change(server, [a], stars=5)
    server.client.post("/library/trash", json={"digests": [a]})
    assert server.client.delete("/library/trash").json() == {"deleted": 1}
    assert not (server.services.outputs / "a.png").exists()
    assert listed(server, trashed="true") == []
    assert server.client.get(f"/artifacts/{a}").status_code == 404
    give(server, "a")
    assert entry(server, a)["stars"] == 0


def test_boards_are_listed_renamed_and_deleted(server: Hosted) -> None:
    a, b = give(server, "a"), give(server, "b")
    board = server.client.post("/library/boards", json={"name": "Covers"}).json()
    assert (board["count"], board["cover"]) == (0, None)
    change(server, [a, b], board=board["id"])
    (item,) = server.client.get("/library/boards").json()["items"]
    assert (item["name"], item["count"], item["cover"]) == ("Covers", 2, b)
    assert listed(server, board=board["id"]) == ["b", "a"]
    assert listed(server, text="board:covers") == ["b", "a"]
    assert listed(server, text="board:other") == []
    path = f"/library/boards/{board['id']}"
    assert server.client.patch(path, json={"name": "Best"}).json()["name"] == "Best"
    assert listed(server, text="board:best") == ["b", "a"]
    assert server.client.delete(path).status_code == 204
    assert entry(server, a)["board"] is None
    assert server.client.get("/artifacts", params={"board": board["id"]}).status_code == 404


def grid(server: Hosted, rows: list[list[str | None]], **more: Any) -> httpx.Response:
    return server.client.post("/artifacts/grid", json={"rows": rows, **more})


@pytest.mark.parametrize("format", ["png", "webp", "jpeg"])
def test_a_grid_is_one_labeled_image(server: Hosted, format: str) -> None:
    a, b = (give(server, name, size=(64, 48)) for name in ("a", "b"))
    labels = {"column_labels": ["steps 10", "steps 20"], "row_labels": ["euler"], "title": "cats"}
    answer = grid(server, [[a, b], [None, a]], **labels, format=format)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == f"image/{format}"
    plain = opened(grid(server, [[a, b], [None, a]], format=format).content)
    image = opened(answer.content)
    assert plain.size == (2 * 64 + 4, 2 * 48 + 4)
    assert image.width > plain.width
    assert image.height > plain.height
    corner = plain.convert("RGB").getpixel((10, 80))
    assert isinstance(corner, tuple)
    assert min(corner) > 250, "an empty cell shows the paper"


def test_labels_of_the_rows_of_low_images_stand_apart(server: Hosted) -> None:
    a = give(server, "a", size=(256, 2))
    image = opened(grid(server, [[a], [a]], row_labels=["one", "two"]).content)
    plain = opened(grid(server, [[a], [a]]).content)
    assert plain.height == 2 + 4 + 2
    assert image.height >= 2 * 14 + 4


def test_a_grid_makes_images_smaller_and_keeps_their_colors(server: Hosted) -> None:
    a = give(server, "a", size=(256, 128))
    image = opened(grid(server, [[a]], cell=64).content)
    assert image.size == (64, 32)
    (color,) = (color for _, color in image.getcolors() or ())
    assert color == (sum(b"a") % 250, 1, 40)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"rows": [[None]]}, "the grid has no image"),
        ({"rows": [["DIGEST"]], "row_labels": ["a", "b"]}, "there are more labels than rows"),
        ({"rows": [["DIGEST"]], "column_labels": ["a", "b"]}, "there are more labels than columns"),
        ({"rows": [["0" * 64]]}, "there is no such artifact"),
        (
            {"rows": [[None], ["DIGEST", "BROKEN"]]},
            "row 2, column 2: this is not an intact image",
        ),
        ({"rows": [["DIGEST"]], "cell": 2000}, ""),
        ({"rows": [["DIGEST"]], "format": "gif"}, ""),
        ({"rows": []}, ""),
        ({"rows": [["x"]]}, ""),
    ],
)
def test_what_is_no_grid_is_refused(server: Hosted, fields: dict[str, Any], message: str) -> None:
    half = picture(64, 64)[:60]
    file = written(server.services.outputs / "half.png", half)
    finished(server.services.queue, [file], "local")
    known = {"DIGEST": give(server, "a"), "BROKEN": digest_of(half)}
    rows = [[known.get(str(each), each) for each in row] for row in fields["rows"]]
    answer = grid(server, rows, **{k: v for k, v in fields.items() if k != "rows"})
    assert answer.status_code in (404, 422)
    assert not message or answer.json()["detail"] == message


@pytest.fixture(scope="module")
def clip() -> bytes:
    """A video of ten frames, 10 a second, each a little brighter."""
    frames = torch.arange(10.0).reshape(10, 1, 1, 1).expand(10, 32, 48, 3) / 10
    return encode_video(Video(frames, Fraction(10)), "mp4")


@pytest.mark.parametrize(
    ("at", "number"),
    [({"index": 0}, 0), ({"index": 7}, 7), ({"time": 0.0}, 0), ({"time": 0.75}, 7)],
)
def test_a_frame_of_a_video_becomes_an_upload(
    server: Hosted, clip: bytes, at: dict[str, float], number: int
) -> None:
    digest = give_clip(server, clip)
    answer = server.client.post(f"/artifacts/{digest}/frame", json=at)
    assert answer.status_code in (200, 201), answer.text
    upload = answer.json()
    assert (upload["media_type"], upload["width"], upload["height"]) == ("image/png", 48, 32)
    image = opened(server.client.get(f"/uploads/{upload['digest']}").content)
    value = image.convert("L").getpixel((20, 16))
    assert isinstance(value, int)
    assert abs(value - 25.5 * number) < 6


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ({}, "either `time` or `index` is needed"),
        ({"time": 1, "index": 1}, "either `time` or `index` is needed"),
        ({"index": 10}, "the video has fewer frames"),
        ({"time": 20}, "the video is shorter"),
        ({"index": -1}, ""),
    ],
)
def test_a_frame_that_is_not_there_is_refused(
    server: Hosted, clip: bytes, at: dict[str, float], message: str
) -> None:
    answer = server.client.post(f"/artifacts/{give_clip(server, clip)}/frame", json=at)
    assert answer.status_code == 422
    assert not message or answer.json()["detail"] == message


def test_an_image_has_no_frames(server: Hosted) -> None:
    answer = server.client.post(f"/artifacts/{give(server)}/frame", json={"index": 0})
    assert (answer.status_code, answer.json()["detail"]) == (422, "this is not a video")


def give_clip(server: Hosted, data: bytes) -> str:
    file = written(server.services.outputs / "clip.mp4", data, media_type="video/mp4")
    finished(server.services.queue, [file], "local")
    return digest_of(data)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"stars": 6}, "stars"),
        ({"stars": -1}, "stars"),
        ({"stars": True}, "stars"),
        ({"add_tags": ["  "]}, "a tag is empty"),
        ({"add_tags": ["x" * 101]}, "a tag is too long"),
        ({"add_tags": ["a\nb"]}, "a tag contains a control character"),
        ({"remove_tags": ["a\0b"]}, "a tag contains a control character"),
        ({"add_tags": [f"tag {at}" for at in range(65)]}, "add_tags"),
        ({"note": "x" * 10_001}, "the note is too long"),
        ({"note": "a\x07b"}, "the note contains a control character"),
        ({"board": "board_000000000000"}, "there is no such board"),
        ({"colour": "red"}, "colour"),
        ({"digests": []}, "digests"),
        ({"digests": ["0" * 64] * 1_001}, "digests"),
        ({"digests": ["0" * 63]}, "digests"),
        ({"digests": ["DIGEST", "0" * 64], "stars": 1}, "there is no such artifact"),
    ],
)
def test_a_change_that_makes_no_sense_changes_nothing(
    server: Hosted, fields: dict[str, Any], message: str
) -> None:
    a = give(server, "a")
    change(server, [a], stars=3, add_tags=["cat"], note="mine")
    digests = [a if each == "DIGEST" else each for each in fields.get("digests", [a])]
    answer = change(server, digests, **{k: v for k, v in fields.items() if k != "digests"})
    assert answer.status_code in (404, 422)
    assert message in answer.text
    item = entry(server, a)
    assert (item["stars"], item["tags"], item["note"]) == (3, ["cat"], "mine")


def test_a_result_has_so_many_tags_and_no_more(server: Hosted) -> None:
    a = give(server, "a")
    assert change(server, [a], add_tags=[f"tag {at}" for at in range(64)]).status_code == 200
    answer = change(server, [a], add_tags=["one more"], stars=5)
    assert (answer.status_code, answer.json()["detail"]) == (422, "a result has too many tags")
    assert (len(entry(server, a)["tags"]), entry(server, a)["stars"]) == (64, 0)
    swap = change(server, [a], add_tags=["one more"], remove_tags=["tag 0"])
    assert swap.json() == {"changed": 1}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stars:6", "the search term `stars:` has no such value"),
        ("stars:many", "the search term `stars:` has no such value"),
        ("size:big", "the search term `size:` has no such value"),
        ("seed:-1", "the search term `seed:` has no such value"),
        (f"seed:{1 << 64}", "the search term `seed:` has no such value"),
        (f"width:{1 << 63}", "the search term `width:` has no such value"),
        (f"height:{'0' * 30}{'9' * 30}", "the search term `height:` has no such value"),
        ("before:yesterday", "the search term `before:` has no such value"),
        ("after:2026-13-01", "the search term `after:` has no such value"),
        ("modle:sdxl", "there is no search term `modle:`"),
        ("cat tag:", "the search term `tag:` has no value"),
    ],
)
def test_a_wrong_search_term_is_refused(server: Hosted, text: str, message: str) -> None:
    answer = server.client.get("/artifacts", params={"text": text})
    assert (answer.status_code, answer.json()["detail"]) == (422, message)


def test_a_colon_within_quotes_is_no_term(server: Hosted) -> None:
    give(server, "a", name="ratio 16:9, style: ink (cat:1.2)")
    for text in ('"style: ink"', "16:9", "(cat:1.2)", '"RATIO 16:9"'):
        assert listed(server, text=text) == ["a"]
    assert listed(server, text='"ink style"') == []


@pytest.mark.parametrize(
    ("name", "status"), [("", 422), ("  ", 422), ("x" * 101, 422), ("a\tb", 422), ("COVERS", 409)]
)
def test_a_board_has_a_name_of_its_own(server: Hosted, name: str, status: int) -> None:
    first = server.client.post("/library/boards", json={"name": "Covers"}).json()
    other = server.client.post("/library/boards", json={"name": "Other"}).json()
    assert server.client.post("/library/boards", json={"name": name}).status_code == status
    path = f"/library/boards/{other['id']}"
    assert server.client.patch(path, json={"name": name}).status_code == status
    assert server.client.patch(path, json={"name": "OTHER"}).json()["name"] == "OTHER"
    names = [each["name"] for each in server.client.get("/library/boards").json()["items"]]
    assert names == ["Covers", "OTHER"]
    assert first["created"] > 0


def test_clients_see_and_change_only_what_is_theirs(own_server: Hosted) -> None:
    server = own_server
    ann, ben = server.token("ann"), server.token("ben")
    admin = server.token("root", "admin")
    data = picture(8, 6)
    for client in ("ann", "ben"):
        path = server.services.outputs / f"{client}.png"
        finished(server.services.queue, [written(path, data)], client)
    shared = digest_of(data)
    only_ben = give(server, "pear", client="ben")

    def send(method: str, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
        return server.client.request(method, path, headers=headers, json=body)

    board = send("POST", "/library/boards", ben, name="Mine").json()["id"]
    assert send("PATCH", "/library", ann, digests=[shared], stars=5).json() == {"changed": 1}
    assert send("PATCH", "/library", ben, digests=[shared], add_tags=["b"]).status_code == 200
    for who, stars, tags in ((ann, 5, []), (ben, 0, ["b"])):
        items = server.client.get("/artifacts", headers=who).json()["items"]
        (item,) = (each for each in items if each["digest"] == shared)
        assert (item["stars"], item["tags"]) == (stars, tags)
    assert server.client.get("/library/tags", headers=ann).json()["items"] == []
    assert server.client.get("/library/boards", headers=ann).json()["items"] == []

    for path, body in (
        ("/library/trash", {"digests": [shared, only_ben]}),
        ("/library/restore", {"digests": [only_ben]}),
    ):
        assert send("POST", path, ann, **body).status_code == 404
    refused = send("PATCH", "/library", ann, digests=[shared, only_ben], stars=1)
    assert refused.status_code == 404
    assert send("PATCH", "/library", ann, digests=[shared], board=board).status_code == 404
    for method in ("PATCH", "DELETE"):
        answer = send(method, f"/library/boards/{board}", ann, name="Theirs")
        assert answer.status_code == 404
    assert server.client.get("/artifacts", headers=ann, params={"board": board}).status_code == 404
    read = server.token("reader", "read")
    assert send("PATCH", "/library", read, digests=[shared], stars=1).status_code == 403

    # Who sees all changes all, but for boards, which belong to one client.
    assert send("PATCH", "/library", admin, digests=[shared], stars=2).json() == {"changed": 2}
    own = send("POST", "/library/boards", admin, name="All").json()["id"]
    refused = send("PATCH", "/library", admin, digests=[only_ben], board=own)
    assert refused.status_code == 422
    assert "another client" in refused.json()["detail"]
    assert send("PATCH", "/library", admin, digests=[shared], board=board).json()["changed"] == 1

    # What one of them throws away stays for the other.
    assert send("POST", "/library/trash", ann, digests=[shared]).json() == {"trashed": 1}
    assert listed(server, ann) == []
    assert sorted(listed(server, ben)) == ["ben", "pear"]
    assert server.client.delete("/library/trash", headers=ben).json() == {"deleted": 0}
    assert server.client.delete("/library/trash", headers=ann).json() == {"deleted": 1}
    assert not (server.services.outputs / "ann.png").exists()
    assert server.client.get(f"/artifacts/{shared}", headers=ben).content == data


def test_bytes_of_several_jobs_are_thrown_away_together(server: Hosted) -> None:
    a = give(server, "a")
    give(server, "a", name="once more")
    change(server, [a], stars=5)
    server.client.post("/library/trash", json={"digests": [a]})
    assert listed(server) == []
    assert listed(server, trashed="true") == ["a", "a"]
    # A job that makes them again is not in the trash, whatever happens to the others.
    give(server, "a", name="and again")
    assert listed(server) == ["a"]
    assert entry(server, a)["trashed"] is None
    assert server.client.delete("/library/trash").json() == {"deleted": 1}
    (item,) = server.client.get("/artifacts").json()["items"]
    assert (item["job_name"], item["stars"], item["trashed"]) == ("and again", 5, None)
    assert server.client.get(f"/artifacts/{a}").status_code == 200
    assert listed(server, trashed="true") == []


def test_a_result_whose_job_is_deleted_cannot_be_restored(server: Hosted) -> None:
    a = give(server, "a")
    job = entry(server, a)["job"]
    server.client.post("/library/trash", json={"digests": [a]})
    assert server.client.delete(f"/jobs/{job}").status_code == 204
    assert listed(server, trashed="true") == []
    answer = server.client.post("/library/restore", json={"digests": [a]})
    assert (answer.status_code, answer.json()["detail"]) == (404, "there is no such artifact")
    assert server.client.delete("/library/trash").json() == {"deleted": 1}
    assert (server.services.outputs / "a.png").exists(), "files of deleted jobs stay"


def test_results_of_a_running_job_stay_in_the_trash(server: Hosted) -> None:
    queue = server.services.queue
    submit(queue, "local")
    job = claim(queue)
    file = written(server.services.outputs / "a.png", picture(8, 6))
    data = {name: value for name, value in file.items() if name not in ("node", "kind")}
    event = Event(1, "node.wrote", "save", 0.5, {**data, "file": "image"})
    queue.append_events(job.id, job.attempt, [event]).result()
    server.client.post("/library/trash", json={"digests": [file["digest"]]})
    assert server.client.delete("/library/trash").json() == {"deleted": 0}
    assert listed(server, trashed="true") == ["a"]
    queue.finish(job.id, job.attempt, {"files": [file]}).result()
    assert server.client.delete("/library/trash").json() == {"deleted": 1}
    assert listed(server, trashed="true") == []


def test_what_is_deleted_for_good_is_forgotten(server: Hosted) -> None:
    a = give(server, "a")
    change(server, [a], stars=5, add_tags=["cat"], note="mine")
    assert server.client.delete(f"/artifacts/{a}").status_code == 204
    assert server.client.get("/library/tags").json() == {"items": []}
    give(server, "a")
    item = entry(server, a)
    assert (item["stars"], item["tags"], item["note"]) == (0, [], None)


def test_a_lost_catalogue_loses_nothing_that_was_noted(home: Path) -> None:
    with hosted(home) as server:
        a = give(server, "a")
        change(server, [a], stars=5, add_tags=["cat"])
        assert listed(server, tag="cat") == ["a"]
    for path in home.glob("artifacts.sqlite*"):
        path.unlink()
    with hosted(home) as server:
        assert listed(server, tag="cat", stars=5) == ["a"]


def test_counts_take_no_longer_than_their_results_are_many(server: Hosted) -> None:
    steps = {}
    board = server.client.post("/library/boards", json={"name": "all"}).json()["id"]
    made: list[str] = []
    artifacts = server.services.artifacts
    for count in (100, 400):
        new = [f"{number:064x}" for number in range(len(made), count)]
        files = [
            {"path": f"/{each}", "node": "save", "digest": each, "size": 1, "kind": "image"}
            for each in new
        ]
        finished(server.services.queue, files, "local")
        made += new
        assert change(server, new, add_tags=["cat"], board=board).json() == {"changed": len(new)}
        artifacts.catch_up()
        steps[count] = counted(server.services.home / "artifacts.sqlite")
    assert artifacts.tag_counts("local") == [("cat", 400)]
    assert steps[400] < 8 * steps[100]


def counted(file: Path) -> int:
    """Instructions of SQLite for the counts of tags and boards, in hundreds."""
    steps: list[None] = []
    with closing(sqlite3.connect(file)) as connection:
        connection.set_progress_handler(lambda: steps.append(None), 100)
        for query in (catalogue._TAG_COUNTS, catalogue._BOARD_COUNTS):
            assert len(connection.execute(query, {"client": "local"}).fetchall()) == 1
    return len(steps)


def test_a_deletion_is_copied_by_the_index_of_digests(server: Hosted) -> None:
    give(server, "a")
    server.services.artifacts.catch_up()
    with closing(sqlite3.connect(server.services.home / "artifacts.sqlite")) as connection:
        values = ("local", 0.0, "0" * 64)
        plan = connection.execute(f"EXPLAIN QUERY PLAN {catalogue._DELETED}", values).fetchall()
    assert "uses_by_file" in str(plan), "it goes through all results of the client"
