"""Each kind of result carries its workflow, gives it back, and does no harm when it is damaged."""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import replace
from hashlib import md5
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from zipfile import ZipFile

import av
import pytest
import trimesh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from rdkit import Chem

from nodegraph.cli.workflow_source import workflow_document
from nodegraph.core.manifest import (
    Manifest,
    ManifestInput,
    ManifestNode,
    digest_workflow,
    file_texts,
    manifest_from_texts,
    sidecar_text,
)
from nodegraph.errors import InvalidFile
from nodegraph.media.images.embedded_texts import workflow_metadata
from nodegraph.session.results import files as module
from nodegraph.session.results.files import result_texts
from tests.messages import raises
from tests.properties import examples
from tests.results.making import MAKERS

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
WORKFLOWS = st.dictionaries(st.text(max_size=9), JSON, min_size=1, max_size=3)


def written(folder: Path, name: str, workflow: dict[str, Any]) -> Path:
    path = folder / name
    path.write_bytes(MAKERS[name](workflow_metadata(workflow)))
    return path


def carried(path: Path) -> Any:
    found = result_texts(path)
    assert found is not None
    return json.loads(found["workflow"])


@pytest.mark.parametrize("name", MAKERS)
@settings(max_examples=examples(6), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(workflow=WORKFLOWS)
def test_a_workflow_comes_back_from_every_kind_of_file(
    tmp_path: Path, name: str, workflow: dict[str, Any]
) -> None:
    assert carried(written(tmp_path, name, workflow)) == workflow


@pytest.mark.parametrize("name", sorted(MAKERS))
def test_long_workflows_come_back_too(tmp_path: Path, name: str) -> None:
    long = {"nodes": {f"node {at}": {"text": "a red apple, " * 8} for at in range(2_000)}}
    assert carried(written(tmp_path, name, long)) == long


MANIFEST = Manifest(
    "1.0",
    "save",
    0,
    "ab" * 32,
    "cpu, torch 2",
    {"save": ManifestNode("SaveImage", 1, "nodegraph"), "b/Fuchs 狐": ManifestNode("Text")},
    inputs=(ManifestInput("a", "path", 'pets/"fox" <&>.png', "cd" * 32),),
    seeds={"sample.seed": 2**64 - 1},
)


@pytest.mark.parametrize("name", MAKERS)
def test_the_manifest_comes_back_from_every_kind_of_file(tmp_path: Path, name: str) -> None:
    workflow = {"format": "nodegraph/1", "nodes": {"save": {"type": "SaveImage"}}}
    digest = digest_workflow(workflow)
    manifest = replace(MANIFEST, workflow=workflow, workflow_digest=digest)
    path = tmp_path / name
    path.write_bytes(MAKERS[name](file_texts(manifest)))

    texts = result_texts(path)

    assert texts is not None
    assert manifest_from_texts(texts) == manifest
    assert workflow_document(str(path)) == workflow


def test_a_sidecar_and_the_card_of_a_dataset_are_read_like_results(tmp_path: Path) -> None:
    workflow = {"format": "nodegraph/1", "nodes": {"save": {"type": "SaveImage"}}}
    manifest = replace(MANIFEST, workflow=workflow, workflow_digest=digest_workflow(workflow))
    (tmp_path / "a.png.json").write_text(sidecar_text(manifest))
    card = {"format": "coco", "workflow": workflow, "manifest": manifest.to_document()}
    (tmp_path / "dataset.json").write_text(json.dumps(card))
    for name in ("a.png.json", "dataset.json"):
        assert manifest_from_texts(result_texts(tmp_path / name) or {}) == manifest
        assert workflow_document(str(tmp_path / name)) == workflow


def opened_by_others(path: Path) -> None:
    """Have the package that everybody reads such files with read one."""
    suffix = path.suffix
    if suffix in (".mp4", ".webm", ".mkv", ".wav", ".flac", ".ogg"):
        with av.open(str(path)) as container:
            assert sum(1 for _ in container.decode(container.streams[0])) > 0
    elif suffix in (".glb", ".ply", ".obj"):
        [found] = trimesh.load_scene(path, process=False).geometry.values()
        assert len(found.vertices) == 8
    elif suffix == ".sdf":
        [found] = Chem.SDMolSupplier(str(path))
        assert "nodes" in found.GetProp("workflow")
    elif suffix == ".pdb":
        assert Chem.MolFromPDBFile(str(path)).GetNumAtoms() == 3
    elif suffix == ".ora":
        with ZipFile(path) as archive, Image.open(archive.open("mergedimage.png")) as picture:
            assert "nodes" in picture.info["workflow"]
    elif suffix == ".svg":
        assert ElementTree.parse(path).getroot().tag.endswith("svg")
    elif suffix not in (".json", ".safetensors", ".sft"):
        with Image.open(path) as picture:
            picture.load()


@pytest.mark.parametrize("name", MAKERS)
def test_other_programs_read_what_carries_a_workflow(tmp_path: Path, name: str) -> None:
    workflow = {"nodes": {f"node {at}": {"text": 'a "red" apple <&> $'} for at in range(500)}}
    opened_by_others(written(tmp_path, name, workflow))


@pytest.mark.parametrize("name", MAKERS)
def test_without_a_workflow_there_is_none(tmp_path: Path, name: str) -> None:
    assert "workflow" not in (result_texts(written(tmp_path, name, {})) or {})


@pytest.mark.filterwarnings("ignore::UserWarning")  # of Pillow, about tags that are cut off
@pytest.mark.parametrize("name", MAKERS)
def test_damage_is_told_and_does_no_more(tmp_path: Path, name: str) -> None:
    path = written(tmp_path, name, {"title": "x" * 300})
    whole = path.read_bytes()
    steps = range(1, len(whole), max(1, len(whole) // 25))
    cut = [whole[:at] for at in steps]
    other = [whole[:at] + bytes([whole[at] ^ 0xA5]) * 4 + whole[at + 4 :] for at in steps]
    for data in (*cut, *other):
        path.write_bytes(data)
        try:
            found = result_texts(path)
        except InvalidFile:
            continue
        assert all(isinstance(text, str) for text in (found or {}).values())


def glb(document: Any) -> bytes:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    head = b"glTF" + struct.pack("<II", 2, 20 + len(data)) + struct.pack("<I", len(data))
    return head + b"JSON" + data


ZIPPED = zlib.compress(b"\0" * (100 << 20))
"""100 MB in 100 kB."""
ENTITIES = b"".join(
    [
        b"<!DOCTYPE a [<!ENTITY a0 'aaaaaaaaaa'>",
        *(b"<!ENTITY a%d '%s'>" % (at, b"&a%d;" % (at - 1) * 10) for at in range(1, 10)),
        b"]><a>&a9;</a>",
    ]
)


def chunk(kind: bytes, content: bytes) -> bytes:
    check = struct.pack(">I", zlib.crc32(kind + content))
    return struct.pack(">I", len(content)) + kind + content + check


def jpeg(segment: bytes) -> bytes:
    """A JPEG with one more APP1 segment."""
    whole = MAKERS["made.jpg"]({})
    return whole[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + whole[2:]


def extended(packet: bytes, *, digest: bytes = b"", length: int | None = None) -> bytes:
    """A segment of extended XMP."""
    name = digest or md5(packet).hexdigest().upper().encode()
    size = struct.pack(">II", len(packet) if length is None else length, 0)
    return b"http://ns.adobe.com/xmp/extension/\0" + name + size + packet


def property_of(content: bytes) -> bytes:
    """A packet with a property of nodegraph's."""
    return b'<n:texts xmlns:n="urn:nodegraph:xmp:1#">' + content + b"</n:texts>"


HOSTILE: dict[str, bytes] = {
    "list.glb": glb({"asset": []}),
    "number.glb": glb({"asset": {"extras": 3}}),
    "inner.glb": glb({"asset": {"extras": {"workflow": {"a": 1}}}}),
    "deep.glb": glb(b"[" * 1_000_000),
    "claims.glb": b"glTF" + struct.pack("<III", 2, 1 << 31, 1 << 31) + b"JSON{}",
    "short.ply": b"ply\nformat ascii 1.0\ncomment nodegraph: x\ncomment nodegraph:\nend_header\n",
    "short.obj": b"# nodegraph:\n# nodegraph: a\nv 0 0 0\n",
    "endless.obj": b"# nodegraph: " + b"a" * 1_000_000,
    "none.sdf": b"\n\n\n  0  0\n",
    "words.svg": b"<svg><metadata>words</metadata></svg>",
    "list.svg": b"<svg><metadata>[]</metadata></svg>",
    "deep.json": b'{"format": "nodegraph/plot/1", "a": ' + b"[" * 100_000,
    "claims.safetensors": struct.pack("<Q", 1 << 62) + b"{}",
    "list.png.json": b'{"format": "nodegraph-manifest/1", "workflow": ' + b"[" * 200_000,
    "huge.png.json": b'{"format": "nodegraph-manifest/1", "index": 1' + b"0" * 100_000 + b"}",
    "zipped.png": MAKERS["made.png"]({})[:33] + chunk(b"zTXt", b"a\0\0" + ZIPPED),
    "zipped international.png": MAKERS["made.png"]({})[:33]
    + chunk(b"iTXt", b"a\0\1\0\0\0" + ZIPPED),
    "part.jpg": jpeg(extended(b"<a/>", length=100)),
    "forged.jpg": jpeg(extended(b"<a/>", digest=b"0" * 32)),
    "claims.jpg": jpeg(extended(b"<a/>", length=(1 << 32) - 1)),
    "short.jpg": jpeg(b"http://ns.adobe.com/xmp/extension/\0abc"),
    "entities.jpg": jpeg(extended(ENTITIES)),
    "words.jpg": jpeg(extended(b"words")),
    "deep.jpg": jpeg(extended(property_of(b"[" * 60_000))),
    "list.jpg": jpeg(extended(property_of(b"[1]"))),
    "numbers.jpg": jpeg(extended(property_of(b'{"workflow": 1}'))),
    "bomb.png": MAKERS["made.png"]({})[:33]
    + struct.pack(">I", 1 << 31)
    + b"iTXtworkflow\0\1\0\0\0",
    "claims.wav": b"RIFF\xff\xff\xff\xffWAVELIST\xff\xff\xff\xffINFOICMT\xff\xff\xff\x7f{}",
    "claims.flac": b"fLaC\x84\xff\xff\xff" + b"\xff\xff\xff\x7f" * 8,
    "claims.mkv": b"\x1aE\xdf\xa3" + b"\xff" * 60,
    "claims.mp4": b"\0\0\0\x10ftypisom\0\0\0\0\x7f\xff\xff\xffmoov",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_was_made_to_do_harm_is_told(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(HOSTILE[name])
    try:
        found = result_texts(path)
    except InvalidFile:
        return
    assert not found or "workflow" not in found


def test_more_text_than_anybody_writes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, "made.flac", {"title": "long" * 100})
    monkeypatch.setattr(module, "LARGEST", 300)
    with raises(InvalidFile):
        result_texts(path)


@pytest.mark.parametrize(
    ("name", "data"),
    [("notes.txt", b"words"), ("workflow.json", b'{"format": "nodegraph/1"}'), ("nothing", b"")],
)
def test_files_that_are_no_results_have_none(tmp_path: Path, name: str, data: bytes) -> None:
    (tmp_path / name).write_bytes(data)
    assert result_texts(tmp_path / name) is None


def test_xmp_that_another_program_wrote_anew_is_read(tmp_path: Path) -> None:
    short = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF '
        b'xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><r:Description '
        b"xmlns:other='urn:nodegraph:xmp:1#' other:texts='{&quot;workflow&quot;: &quot;w&quot;}'/>"
        b"</r:RDF></x:xmpmeta>"
    )
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg(extended(short)))
    assert result_texts(path) == {"workflow": "w"}


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=20,
)
FIELDS = sorted(MANIFEST.to_document())


@settings(max_examples=examples(100))
@given(entries=st.dictionaries(st.sampled_from([*FIELDS, "workflow", "other"]), ANY))
def test_any_text_is_a_manifest_or_refused_in_a_few_words(entries: dict[str, Any]) -> None:
    document = {"format": "nodegraph-manifest/1", "nodegraph": "1", "node": "a", **entries}
    refusal, manifest = "", None
    try:
        manifest = manifest_from_texts({"manifest": json.dumps(document)})
    except InvalidFile as error:
        refusal = str(error)
    assert (manifest is None) == bool(refusal)
    assert len(refusal) < 1_000
    assert refusal.isprintable()
    assert manifest is None or Manifest.from_document(manifest.to_document()) == manifest


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{" * 100_000,
        '{"format": NaN}',
        '{"a": 1' + "0" * 5_000 + "}",
        "\ud800",
        "",
        "null",
        '{"format": "\\u001b]0;owned\\u0007"}',
        '{"format": "nodegraph-manifest/1", "node": "a", "nodegraph": {"' + "x" * 10**6 + '": 1}}',
    ],
)
def test_a_damaged_manifest_is_refused_in_a_few_words(text: str) -> None:
    with pytest.raises(InvalidFile) as caught:
        manifest_from_texts({"manifest": text})
    assert len(str(caught.value)) < 1_000
    assert str(caught.value).isprintable()


def test_a_workflow_that_is_not_that_of_the_manifest_is_refused() -> None:
    texts = file_texts(replace(MANIFEST, workflow={"a": 1}, workflow_digest="ab" * 32))
    with raises(InvalidFile):
        manifest_from_texts(texts)
