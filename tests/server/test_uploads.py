"""Uploads: taken in by content, kept once, seen by their owner, deleted when nobody needs them."""

from __future__ import annotations

import asyncio
import json
import pickle
import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nodegraph.errors import InvalidFile, InvalidWorkflow, NodegraphError, OutputError
from nodegraph.jobs.queue import JobQueue
from nodegraph.media.audio.codec import AudioFormat, encode_audio
from nodegraph.media.images.layer_files import encode_layers
from nodegraph.media.images.layers import Layer, Layers
from nodegraph.media.molecules.chemistry import molecule_from_smiles
from nodegraph.media.molecules.molecule_files import MoleculeFormat, encode_molecule
from nodegraph.media.shapes.encoding import encode_mesh
from nodegraph.media.shapes.shape_files import ShapeFormat
from nodegraph.media.videos.encoding import VideoFormat, encode_video
from nodegraph.server.content.files.safe_files import is_name
from nodegraph.server.content.uploads import Upload, UploadRules, Uploads
from nodegraph.server.content.uploads.kinds import recognise
from nodegraph.server.http.errors import FileGone, NotFound, TooLarge, UnsupportedType
from tests.audio.making import FORMATS as AUDIO_FORMATS
from tests.audio.making import tone
from tests.jobs.queue.support import claim, open_queue, submit
from tests.messages import raises
from tests.molecules.making import ASPIRIN
from tests.properties import examples
from tests.server.resources import digest_of, picture, pieces
from tests.shapes.making import box
from tests.videos.making import FORMATS, video

PICTURE = picture(64, 48)
DAY = 86_400.0


class Clock:
    """Time that passes when it is told to."""

    now = 1e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[JobQueue]:
    with open_queue(tmp_path) as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def uploads(tmp_path: Path, queue: JobQueue, clock: Clock) -> Iterator[Uploads]:
    found = made(tmp_path, queue, clock)
    yield found
    found.close()


def made(home: Path, queue: JobQueue, clock: Clock, **rules: Any) -> Uploads:
    return Uploads(home / "uploads", queue, UploadRules(**rules), clock=clock)


def receive(
    uploads: Uploads, data: bytes, name: str = "apple.png", client: str = "ann"
) -> tuple[Upload, bool]:
    return asyncio.run(uploads.receive(pieces(data), name, client))


def kept(home: Path) -> list[str]:
    return sorted(path.name for path in (home / "uploads" / "files").iterdir())


def content(uploads: Uploads, upload: Upload) -> bytes:
    with uploads.open(upload).file as file:
        return file.read()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
def test_a_picture_is_taken_in_as_it_is(uploads: Uploads, format: str) -> None:
    data = picture(64, 48, format)
    upload, is_new = receive(uploads, data)
    assert is_new
    assert (upload.digest, upload.size) == (digest_of(data), len(data))
    assert (upload.media_type, upload.width, upload.height) == (f"image/{format.lower()}", 64, 48)
    assert content(uploads, upload) == data


def test_what_it_calls_itself_does_not_count(uploads: Uploads) -> None:
    upload, _ = receive(uploads, picture(8, 8, "JPEG"), "innocent.html")
    assert (upload.name, upload.media_type) == ("innocent.jpg", "image/jpeg")


def test_a_workflow_is_taken_in(uploads: Uploads) -> None:
    data = json.dumps({"format": "nodegraph/1", "nodes": {}}).encode()
    upload, _ = receive(uploads, data, "wf.json")
    assert (upload.name, upload.media_type, upload.width) == ("wf.json", "application/json", None)


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b'{"format": "nodegraph/1", "nodes": 3}', InvalidWorkflow),
        (b'{"nodes": {}, "nodes": {}}', InvalidFile),
        (b"{" * 100, TooLarge),
        (
            b'{"nodes": {"a": {"type": "A", "inputs": {"x": ' + b"[" * 70 + b"]" * 70 + b"}}}}",
            TooLarge,
        ),
        (b'{"x": NaN}', InvalidFile),
        (b"{\xff}", InvalidFile),
        (b'{"format": "other/1"}', InvalidFile),
    ],
)
def test_json_that_is_no_workflow_is_refused(
    uploads: Uploads, tmp_path: Path, data: bytes, fault: type[NodegraphError]
) -> None:
    with pytest.raises(fault):
        receive(uploads, data, "wf.json")
    assert kept(tmp_path) == []


def safetensors(names: int = 1) -> bytes:
    head = {
        f"t{at}": {"dtype": "F32", "shape": [1], "data_offsets": [4 * at, 4 * at + 4]}
        for at in range(names)
    }
    text = json.dumps(head).encode()
    return len(text).to_bytes(8, "little") + text + bytes(4 * names)


def test_weights_are_taken_in_only_if_the_settings_say_so(
    uploads: Uploads, tmp_path: Path, queue: JobQueue, clock: Clock
) -> None:
    with raises(UnsupportedType, given="safetensors"):
        receive(uploads, safetensors())
    open_ones = made(tmp_path / "more", queue, clock, types=frozenset({"safetensors"}))
    upload, _ = receive(open_ones, safetensors(), "lora.bin")
    assert upload.name == "lora.safetensors"
    with raises(InvalidFile):
        receive(open_ones, safetensors()[:-1])
    open_ones.close()


def zipped() -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"a": 1}))
    return made.getvalue()


@pytest.mark.parametrize(
    "data", [pickle.dumps({}, 2), pickle.dumps({}, 4), pickle.dumps({}, 5), zipped()]
)
def test_pickle_is_refused_whatever_it_is_called(
    tmp_path: Path, queue: JobQueue, clock: Clock, data: bytes
) -> None:
    every = frozenset({"png", "jpeg", "webp", "gif", "workflow", "safetensors"})
    uploads = made(tmp_path, queue, clock, types=every)
    for name in ("model.ckpt", "model.safetensors", "apple.png"):
        with pytest.raises(UnsupportedType) as caught:
            receive(uploads, data, name)
        assert caught.value.problem.code == "unsafe-file"
    assert kept(tmp_path) == []
    uploads.close()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"<!doctype html><script>alert(1)</script>",
        b"\x7fELF\2\1\1",
        b"MZ\x90\0",
        b"#!/bin/sh\nrm -rf /",
        b"%PDF-1.7",
        picture(format="TIFF"),
        b"\0" * 5000,
    ],
)
def test_nothing_else_is_taken_in(uploads: Uploads, tmp_path: Path, data: bytes) -> None:
    with pytest.raises(UnsupportedType):
        receive(uploads, data, "apple.png")
    assert kept(tmp_path) == []
    assert uploads.page(None).uploads == ()


@pytest.mark.parametrize("kind", FORMATS)
def test_a_video_is_taken_in_by_its_bytes(uploads: Uploads, kind: VideoFormat) -> None:
    data = encode_video(video(1), kind)
    found, _ = receive(uploads, data, "walk.png")
    media_type = "video/x-matroska" if kind == "mkv" else f"video/{kind}"
    assert (found.name, found.media_type) == (f"walk.{kind}", media_type)
    assert found.width is None


@pytest.mark.parametrize("kind", AUDIO_FORMATS)
def test_audio_is_taken_in_by_its_bytes(uploads: Uploads, kind: AudioFormat) -> None:
    found, _ = receive(uploads, encode_audio(tone(), kind), "song.png")
    assert (found.name, found.media_type) == (f"song.{kind}", f"audio/{kind}")


@pytest.mark.parametrize(
    ("kind", "media_type"), [("glb", "gltf-binary"), ("ply", "ply"), ("obj", "obj")]
)
def test_a_shape_is_taken_in_by_its_bytes(
    uploads: Uploads, kind: ShapeFormat, media_type: str
) -> None:
    found, _ = receive(uploads, encode_mesh(box(), kind), "chair.png")
    assert (found.name, found.media_type) == (f"chair.{kind}", f"model/{media_type}")


def test_layers_are_taken_in_by_their_bytes(uploads: Uploads) -> None:
    layers = Layers((Layer(torch.rand(4, 4, 4), 0, 0, 4, 4),))
    found, _ = receive(uploads, encode_layers(layers), "painting.png")
    assert (found.name, found.media_type) == ("painting.ora", "application/x-openraster")
    photoshop = b"8BPS\0\1" + bytes(20)
    found, _ = receive(uploads, photoshop, "painting.png")
    assert (found.name, found.media_type) == ("painting.psd", "application/x-photoshop")


@pytest.mark.parametrize(("kind", "media_type"), [("sdf", "x-mdl-sdfile"), ("pdb", "x-pdb")])
def test_a_molecule_is_taken_in_by_its_bytes(
    uploads: Uploads, kind: MoleculeFormat, media_type: str
) -> None:
    data = encode_molecule(molecule_from_smiles(ASPIRIN), kind, {"workflow": "{}"})
    found, _ = receive(uploads, data, "aspirin.png")
    assert (found.name, found.media_type) == (f"aspirin.{kind}", f"chemical/{media_type}")


def test_a_damaged_picture_is_refused(uploads: Uploads, tmp_path: Path) -> None:
    with pytest.raises(InvalidFile):
        receive(uploads, PICTURE[:60])
    assert kept(tmp_path) == []


def test_a_picture_of_too_many_pixels_is_refused(
    tmp_path: Path, queue: JobQueue, clock: Clock
) -> None:
    uploads = made(tmp_path, queue, clock, pixels=64 * 48)
    receive(uploads, PICTURE)
    with raises(TooLarge):
        receive(uploads, picture(65, 48))
    uploads.close()


def test_a_file_of_too_many_bytes_is_refused_before_all_have_come(
    tmp_path: Path, queue: JobQueue, clock: Clock
) -> None:
    uploads = made(tmp_path, queue, clock, bytes=3_000_000)
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 100_000
            yield b"x" * 100_000

    with pytest.raises(TooLarge):
        asyncio.run(uploads.receive(endless(), "x", "ann"))
    assert sent < 5_000_000
    assert kept(tmp_path) == []
    uploads.close()


def test_a_client_that_goes_away_leaves_nothing(uploads: Uploads, tmp_path: Path) -> None:
    async def half() -> AsyncIterator[bytes]:
        yield PICTURE[:50]
        raise ConnectionResetError

    with pytest.raises(OutputError):
        asyncio.run(uploads.receive(half(), "x", "ann"))
    assert kept(tmp_path) == []


def test_a_request_that_is_cancelled_leaves_nothing(uploads: Uploads, tmp_path: Path) -> None:
    async def main() -> None:
        begun = asyncio.Event()

        async def slow() -> AsyncIterator[bytes]:
            yield PICTURE[:50]
            begun.set()
            await asyncio.Event().wait()

        task = asyncio.create_task(uploads.receive(slow(), "x", "ann"))
        await begun.wait()
        assert len(kept(tmp_path)) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert kept(tmp_path) == []


def test_what_a_killed_server_left_is_swept_away(
    tmp_path: Path, queue: JobQueue, clock: Clock
) -> None:
    first = made(tmp_path, queue, clock)
    upload, _ = receive(first, PICTURE)
    first.close()
    files = tmp_path / "uploads" / "files"
    (files / ".0123456789abcdef.tmp").write_bytes(b"half")
    (files / f"{'0' * 64}.png").write_bytes(b"not listed")
    again = made(tmp_path, queue, clock)
    assert kept(tmp_path) == [upload.file]
    assert content(again, again.find(upload.digest, "ann")) == PICTURE
    again.close()


def test_no_folder_to_write_to_is_told(tmp_path: Path, queue: JobQueue, clock: Clock) -> None:
    uploads = made(tmp_path, queue, clock)
    (tmp_path / "uploads" / "files").write_text("in the way")
    with pytest.raises(OutputError):
        receive(uploads, PICTURE)
    uploads.close()


_FULL = """
import asyncio, resource, sys
from pathlib import Path
from nodegraph.errors import OutputError
from nodegraph.jobs.queue import JobQueue
from nodegraph.server.content.uploads import Uploads
from tests.server.resources import pieces, picture
home = Path(sys.argv[1])
with JobQueue(home / "queue.sqlite") as queue:
    uploads = Uploads(home / "uploads", queue)
    data = picture() + bytes(100_000)
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limit[1]))
    try:
        asyncio.run(uploads.receive(pieces(data), "x.png", "ann"))
    except OutputError as error:
        print(error.problem.code)
    print([path.name for path in (home / "uploads" / "files").iterdir()])
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    print(asyncio.run(uploads.receive(pieces(data), "x.png", "ann"))[0].name)
    uploads.close()
"""


@pytest.mark.slow
def test_a_disk_without_space_is_told_and_half_a_file_is_not_kept(tmp_path: Path) -> None:
    code = [sys.executable, "-c", _FULL, str(tmp_path)]
    root = Path(__file__).parents[2]
    ended = subprocess.run(code, cwd=root, capture_output=True, text=True, check=False)
    assert ended.stdout.split() == ["output-failed", "[]", "x.png"], ended.stderr


def test_the_same_file_brought_twice_is_one(uploads: Uploads, clock: Clock) -> None:
    first, _ = receive(uploads, PICTURE)
    clock.now += 10
    second, is_new = receive(uploads, PICTURE)
    assert not is_new
    assert (second.number, second.created, second.used) == (first.number, 1e9 + 10, 1e9 + 10)


def test_equal_files_of_two_clients_take_their_space_once_and_are_seen_apart(
    uploads: Uploads, tmp_path: Path
) -> None:
    receive(uploads, PICTURE, "a.png", "ann")
    _, is_new = receive(uploads, PICTURE, "b.png", "ben")
    assert is_new
    digest = digest_of(PICTURE)
    assert uploads.find(digest, "ann").name == "a.png"
    assert uploads.find(digest, "ben").name == "b.png"
    assert len(kept(tmp_path)) == 1
    uploads.delete(digest, "ann")
    with pytest.raises(NotFound):
        uploads.find(digest, "ann")
    assert content(uploads, uploads.find(digest, "ben")) == PICTURE
    uploads.delete(digest, "ben")
    assert kept(tmp_path) == []


def test_others_do_not_see_it(uploads: Uploads) -> None:
    upload, _ = receive(uploads, PICTURE)
    with pytest.raises(NotFound):
        uploads.find(upload.digest, "ben")
    with pytest.raises(NotFound):
        uploads.delete(upload.digest, "ben")
    assert uploads.page("ben").uploads == ()
    assert uploads.find(upload.digest, None) == upload


@pytest.mark.parametrize("digest", ["", "..", "0" * 64, "../" + "0" * 61, "\0", "é" * 64])
def test_what_nobody_brought_is_not_found(uploads: Uploads, digest: str) -> None:
    with pytest.raises(NotFound):
        uploads.find(digest, None)


def test_a_file_deleted_by_another_hand_is_gone(uploads: Uploads, tmp_path: Path) -> None:
    upload, _ = receive(uploads, PICTURE)
    uploads.path(upload).unlink()
    with pytest.raises(FileGone):
        uploads.open(upload)
    receive(uploads, PICTURE)
    assert content(uploads, upload) == PICTURE


def test_a_link_in_place_of_the_file_is_not_followed(uploads: Uploads, tmp_path: Path) -> None:
    upload, _ = receive(uploads, PICTURE)
    (tmp_path / "secret").write_text("secret")
    uploads.path(upload).unlink()
    uploads.path(upload).symlink_to(tmp_path / "secret")
    with pytest.raises(FileGone):
        uploads.open(upload)


@settings(max_examples=examples(60), deadline=None)
@given(name=st.one_of(st.text(max_size=60), st.sampled_from(["../../x.png", "CON", "a\\b.png"])))
def test_any_name_becomes_a_safe_one(name: str) -> None:
    from nodegraph.server.content.uploads.uploads import _named

    found = _named(name, "image/png")
    assert is_name(found)
    assert found.endswith(".png")


@settings(max_examples=examples(200), deadline=None)
@given(data=st.binary(max_size=200), head=st.sampled_from([b"", b"{", b"GIF8", b"\xff\xd8\xff"]))
def test_any_bytes_are_recognised_or_refused(data: bytes, head: bytes) -> None:
    whole = head + data
    try:
        recognise(BytesIO(whole), len(whole), UploadRules())
    except NodegraphError:
        return


def document(value: Any) -> dict[str, Any]:
    return {
        "format": "nodegraph/1",
        "nodes": {"load": {"type": "LoadImage", "inputs": {"path": value, "n": 1}}},
        "ui": {"x": [value, {"y": value}]},
    }


def test_a_reference_becomes_the_path_of_the_file(uploads: Uploads, clock: Clock) -> None:
    upload, _ = receive(uploads, PICTURE)
    clock.now += 99
    original = document(upload.reference)
    found = uploads.resolve(original, "ann")
    path = found["nodes"]["load"]["inputs"]["path"]
    assert Path(path).is_absolute()
    assert Path(path).read_bytes() == PICTURE
    assert found == document(path)
    assert original == document(upload.reference)
    assert uploads.find(upload.digest, "ann").used == clock.now


def test_text_that_is_no_reference_stays(uploads: Uploads) -> None:
    texts = ["upload: my image", "upload:../../etc/passwd", f"see upload:{'0' * 64}/x", "upload:"]
    for text in texts:
        assert uploads.resolve(document(text), "ann") == document(text)


def test_a_reference_to_what_others_brought_is_refused_with_its_place(uploads: Uploads) -> None:
    upload, _ = receive(uploads, PICTURE, client="ben")
    with pytest.raises(InvalidWorkflow) as caught:
        uploads.resolve(document(upload.reference), "ann")
    first = caught.value.problems[0]
    assert (first.code, first.node, first.port) == ("unknown-upload", "load", "path")
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize("name", ["../../../etc/passwd", "", "x\0", "a/b/c", "..\\..\\x"])
def test_the_name_in_a_reference_leads_nowhere(uploads: Uploads, name: str) -> None:
    upload, _ = receive(uploads, PICTURE)
    found = uploads.resolve(f"upload:{upload.digest}/{name}", "ann")
    assert found == str(uploads.path(upload))


def test_what_nobody_used_for_long_is_deleted(
    uploads: Uploads, tmp_path: Path, clock: Clock
) -> None:
    receive(uploads, PICTURE)
    used, _ = receive(uploads, picture(9, 9))
    clock.now += 29 * DAY
    new, _ = receive(uploads, picture(10, 10))
    uploads.resolve(used.reference, "ann")
    clock.now += 2 * DAY
    assert uploads.prune() == 1
    assert kept(tmp_path) == sorted([used.file, new.file])


def test_what_a_job_still_needs_is_kept(
    uploads: Uploads, tmp_path: Path, clock: Clock, queue: JobQueue
) -> None:
    digests = {}
    for at, where in enumerate(("workflow", "parameters", "running", "ended", "none"), 1):
        upload, _ = receive(uploads, picture(at, 1))
        digests[where] = upload.digest
        path = uploads.resolve(upload.reference, "ann")
        if where in ("running", "ended"):
            submit(queue, workflow=document(path))
            job = claim(queue)
            if where == "ended":
                queue.finish(job.id, job.attempt, {}).result()
    path = str(uploads.path(uploads.find(digests["workflow"], "ann")))
    submit(queue, workflow=document(path), held=True)
    path = str(uploads.path(uploads.find(digests["parameters"], "ann")))
    submit(queue, parameters={"picture": path})
    clock.now += 31 * DAY
    assert uploads.prune() == 2
    left = {upload.digest for upload in uploads.page(None).uploads}
    assert left == {digests[where] for where in ("workflow", "parameters", "running")}


def test_space_is_made_by_deleting_what_was_unused_the_longest(
    tmp_path: Path, queue: JobQueue, clock: Clock
) -> None:
    size = len(picture(1, 1))
    uploads = made(tmp_path, queue, clock, held=3 * size, spared_seconds=60.0)
    first, _ = receive(uploads, picture(1, 1, color=(1, 1, 1)))
    for at in range(2, 4):
        clock.now += 1
        receive(uploads, picture(1, 1, color=(at, at, at)))
    with raises(TooLarge, given="69 B"):
        receive(uploads, picture(1, 1, color=(4, 4, 4)))
    assert len(kept(tmp_path)) == 3
    clock.now += 58.5
    receive(uploads, picture(1, 1, color=(4, 4, 4)))
    assert first.file not in kept(tmp_path)
    assert len(kept(tmp_path)) == 3
    uploads.close()


def test_pages_hold_each_upload_once_the_newest_first(uploads: Uploads) -> None:
    wanted = [receive(uploads, picture(at, 1))[0].digest for at in range(1, 12)]
    receive(uploads, picture(1, 50), client="ben")
    found, cursor = [], None
    while True:
        page = uploads.page("ann", limit=3, cursor=cursor)
        found += [item.digest for item in page.uploads]
        cursor = page.next
        if cursor is None:
            break
    assert found == wanted[::-1]
