"""Files that somebody made to harm whoever opens them: clear errors, within bounds."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

import pytest

from nodegraph.errors import InvalidFile
from nodegraph.provenance import child
from nodegraph.provenance.c2pa_library import (
    LARGEST_MANIFEST,
    embedded_size,
    has_credentials,
    media_type,
)
from nodegraph.provenance.certificates import SigningCertificate
from nodegraph.provenance.child import verify_isolated
from nodegraph.provenance.claims import Claim, IngredientFile
from nodegraph.provenance.signing import sign_file
from nodegraph.provenance.verification import verify_file
from tests.provenance.files import image_bytes

STORE = b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"


def signed(folder: Path, certificate: SigningCertificate, claim: Claim | None = None) -> Path:
    source, target = folder / "source.png", folder / "signed.png"
    source.write_bytes(image_bytes())
    return sign_file(source, target, claim or Claim("a"), certificate).path


def png_chunk(kind: bytes, data: bytes) -> bytes:
    from zlib import crc32

    checksum = crc32(kind + data).to_bytes(4, "big")
    return len(data).to_bytes(4, "big") + kind + data + checksum


def with_store(data: bytes) -> bytes:
    """A PNG with a manifest store."""
    picture = image_bytes()
    return picture[:33] + png_chunk(b"caBX", data) + picture[33:]


def test_a_manifest_of_100_mb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    size = 100 << 20
    store = size.to_bytes(4, "big") + b"jumb" + (30).to_bytes(4, "big") + STORE
    path = tmp_path / "large.png"
    path.write_bytes(with_store(store.ljust(size, b"\0")))
    assert embedded_size(path) == size > LARGEST_MANIFEST
    with pytest.raises(InvalidFile, match="too large to be checked"):
        verify_isolated(path)


def test_a_size_that_is_a_lie_is_no_crash(tmp_path: Path) -> None:
    store = (1000).to_bytes(4, "big") + b"jumb" + (30).to_bytes(4, "big") + STORE
    path = tmp_path / "short.png"
    path.write_bytes(with_store(store))
    assert verify_isolated(path).state in ("damaged", "absent")


def test_ingredients_that_contain_each_other_end(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    first = signed(tmp_path, certificate)
    first = first.rename(tmp_path / "first.png")
    claim = Claim("b", ingredients=(IngredientFile(first, "first.png"),))
    path = signed(tmp_path, certificate, claim)
    data = path.read_bytes()
    labels = list(dict.fromkeys(re.findall(rb"urn:c2pa:[0-9a-f-]{36}", data)))
    assert len(labels) == 2
    # The first manifest's ingredient is the manifest itself.
    for label in labels:
        path.write_bytes(re.sub(rb"(/c2pa/)urn:c2pa:[0-9a-f-]{36}", rb"\1" + label, data))
        assert verify_isolated(path, seconds=30).state in ("tampered", "damaged")


@pytest.mark.parametrize("byte", [b"\xff", b"\x9f", b"\xbf", b"\x00"])
def test_broken_cbor_is_reported(
    byte: bytes, tmp_path: Path, certificate: SigningCertificate
) -> None:
    path = signed(tmp_path, certificate)
    data = path.read_bytes()
    at = data.index(b"claim_generator_info")
    path.write_bytes(data[: at - 8] + byte * 60 + data[at + 52 :])
    assert verify_isolated(path).state in ("tampered", "damaged")


def test_names_with_html_and_controls_are_only_text(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(image_bytes("JPEG"))
    title = "<img src=x onerror=alert(1)>\x1b[31m\u202e" + "x" * 1000
    claim = Claim(title, ingredients=(IngredientFile(photo, title),))
    found = verify_file(signed(tmp_path, certificate, claim))
    assert found.title.startswith("<img src=x onerror=alert(1)>\ufffd[31m\ufffd")
    assert len(found.title) == len(found.ingredients[0].title) == 301


def test_a_file_that_names_an_address_makes_nobody_visit_it(tmp_path: Path) -> None:
    from PIL import Image

    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        address = f"http://127.0.0.1:{listener.getsockname()[1]}/manifest.c2pa"
        packet = (
            '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
            'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
            f'xmlns:dcterms="http://purl.org/dc/terms/" dcterms:provenance="{address}"'
            "/></rdf:RDF></x:xmpmeta>"
        )
        path = tmp_path / "remote.jpg"
        Image.new("RGB", (32, 32)).save(path, xmp=packet.encode())
        # A mark of a store, so that the library does read the file.
        path.write_bytes(path.read_bytes() + bytes(12) + STORE)
        assert verify_file(path).state == "damaged"
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_file_that_takes_too_long_is_given_up(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    path = signed(tmp_path, certificate)
    with pytest.raises(InvalidFile, match="take too long"):
        verify_isolated(path, seconds=0.001)


def test_a_crash_of_the_child_is_an_error_of_the_file(
    tmp_path: Path, certificate: SigningCertificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = signed(tmp_path, certificate)
    crash = tmp_path / "crash.sh"
    crash.write_text("#!/bin/sh\nkill -SEGV $$\n")
    crash.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(crash))
    with pytest.raises(InvalidFile, match="ended the process") as raised:
        verify_isolated(path)
    assert raised.value.problem.given is not None
    assert "-11" in raised.value.problem.given


def test_files_without_credentials_start_no_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child.subprocess, "run", None)
    for name, data in (("a.png", image_bytes()), ("empty.png", b""), ("a.txt", STORE[:9])):
        path = tmp_path / name
        path.write_bytes(data)
        assert not has_credentials(path)
        assert verify_isolated(path).state == "absent"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match=r"there is no file .*gone\.png"):
        verify_isolated(tmp_path / "gone.png")


def test_any_bytes_have_a_media_type() -> None:
    for data in (b"", b"\xff", b"\xff\xfb", b"RIFF", b"RIFF1234WAVE", b"0000ftypxxxx"):
        assert "/" in media_type(data)
