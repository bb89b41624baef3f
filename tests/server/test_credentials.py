"""Content Credentials over HTTP: checks of files, signed copies, and nobody else's inputs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import httpx
import pytest

from nodegraph.provenance.certificates import create_certificate, load_certificate
from nodegraph.provenance.claims import Claim
from nodegraph.provenance.signing import sign_file
from nodegraph.provenance.verification import Credentials, verify_file
from tests.provenance.files import SIDECARS, image_bytes, png_with, workflow_text
from tests.provenance.resigning import TIME_AUTHORITY, issue, time_server
from tests.server.hosting import Hosted
from tests.server.resources import digest_of, finished, written

PICTURE = image_bytes(side=64)


def give(server: Hosted, data: bytes, name: str = "a.png", client: str = "local") -> str:
    """Have a job give a file; its digest."""
    path = server.services.outputs / name
    finished(server.services.queue, [written(path, data)], client, parameters={"n": name})
    return digest_of(data)


def certify(server: Hosted) -> None:
    """Give the server a certificate of its own."""
    if not (server.services.home / "signing").exists():
        create_certificate(server.services.home / "signing", "Studio Example")


def signed_elsewhere(folder: Path) -> bytes:
    """A picture that somebody else has signed."""
    folder.mkdir()
    certificate = create_certificate(folder / "other", "Eve Example")
    (folder / "a.png").write_bytes(PICTURE)
    return sign_file(folder / "a.png", folder / "b.png", Claim("b"), certificate).path.read_bytes()


def check(server: Hosted, digest: str, where: str = "artifacts") -> Any:
    answer = server.client.get(f"/{where}/{digest}/credentials")
    assert answer.status_code == 200, answer.text
    return answer.json()


def verified(data: bytes, folder: Path, name: str = "answer.png") -> Credentials:
    path = folder / name
    path.write_bytes(data)
    return verify_file(path)


def test_credentials_of_files_are_checked(server: Hosted, tmp_path: Path) -> None:
    data = signed_elsewhere(tmp_path / "x")
    changed = bytearray(data)
    changed[-20] ^= 1
    states = {}
    for name, content in (("plain", PICTURE), ("signed", data), ("changed", bytes(changed))):
        found = check(server, give(server, content, f"{name}.png"))
        states[name] = (found["state"], found["signer"])
    assert states == {
        "plain": ("absent", ""),
        "signed": ("self-signed", "Eve Example"),
        "changed": ("tampered", "Eve Example"),
    }


def test_a_time_stamp_of_anybody_is_no_proof_of_time(server: Hosted, tmp_path: Path) -> None:
    chain, key, _ = issue(2001, 2190).write(tmp_path)
    (tmp_path / "a.png").write_bytes(PICTURE)
    when = datetime(2020, 6, 1, tzinfo=timezone.utc)
    with time_server(issue(2001, 2190, TIME_AUTHORITY, "Clock"), when) as address:
        signed = sign_file(
            tmp_path / "a.png",
            tmp_path / "b.png",
            Claim("b"),
            load_certificate(chain, key),
            time_authority=address,
        )
    found = check(server, give(server, signed.path.read_bytes(), "stamped.png"))
    assert (found["state"], found["has_time_stamp"]) == ("untrusted", False)
    assert found["time_authority"] == "Clock"


def test_credentials_of_uploads_are_checked(server: Hosted, tmp_path: Path) -> None:
    data = signed_elsewhere(tmp_path / "x")
    upload = server.client.post("/uploads?name=photo.png", content=data).json()
    found = check(server, upload["digest"], "uploads")
    assert (found["state"], found["is_ai"], found["watermark"]) == ("self-signed", True, None)


def test_a_signed_copy_leaves_the_file_as_it_is(own_server: Hosted, tmp_path: Path) -> None:
    certify(own_server)
    digest = give(own_server, PICTURE)
    answers = [own_server.client.get(f"/artifacts/{digest}/signed") for _ in range(2)]
    for answer in answers:
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-disposition"] == 'attachment; filename="a.png"'
        found = verified(answer.content, tmp_path)
        assert (found.state, found.signer, found.title) == (
            "self-signed",
            "Studio Example",
            "a.png",
        )
    assert answers[0].content != answers[1].content
    assert own_server.client.get(f"/artifacts/{digest}").content == PICTURE
    assert check(own_server, digest)["can_sign"] is True


def test_downloads_are_signed_if_the_setting_asks_for_it(
    own_server: Hosted, tmp_path: Path
) -> None:
    certify(own_server)
    digest = give(own_server, PICTURE)
    address = f"/artifacts/{digest}"
    assert own_server.client.get(address, params={"download": "true"}).content == PICTURE
    services = own_server.services
    services.settings = replace(services.settings, sign="export")
    saved = own_server.client.get(address, params={"download": "true"})
    assert verified(saved.content, tmp_path).state == "self-signed"
    # What programs fetch by its digest stays what the digest says.
    assert own_server.client.get(address).content == PICTURE


def test_a_mesh_comes_with_its_credentials_in_a_zip_file(
    own_server: Hosted, tmp_path: Path
) -> None:
    certify(own_server)
    digest = give(own_server, SIDECARS["a.glb"], "mesh.glb")
    answer = own_server.client.get(f"/artifacts/{digest}/signed")
    assert answer.headers["content-type"] == "application/zip"
    with ZipFile(BytesIO(answer.content)) as packed:
        assert sorted(packed.namelist()) == ["mesh.glb", "mesh.glb.c2pa"]
        packed.extractall(tmp_path)
    assert verify_file(tmp_path / "mesh.glb").state == "self-signed"


def test_without_a_certificate_nothing_is_signed(server: Hosted) -> None:
    digest = give(server, PICTURE)
    assert check(server, digest)["can_sign"] is False
    answer = server.client.get(f"/artifacts/{digest}/signed")
    assert answer.status_code == 422
    assert "there is no certificate for signing" in answer.text
    assert str(server.services.home) not in answer.text


def ingredients(answer: httpx.Response, folder: Path) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item.title for item in verified(answer.content, folder).ingredients]


def test_inputs_become_ingredients_as_far_as_the_caller_may_read_them(
    own_server: Hosted, tmp_path: Path
) -> None:
    certify(own_server)
    inputs = own_server.services.environment.inputs
    inputs.mkdir(parents=True, exist_ok=True)
    (inputs / "photo.png").write_bytes(image_bytes(side=48))
    (tmp_path / "secret.png").write_bytes(image_bytes(side=40))
    alice, bob = own_server.token("alice"), own_server.token("bob")
    upload = own_server.client.post(
        "/uploads?name=mine.png", content=image_bytes(side=56), headers=alice
    ).json()
    stored = own_server.services.uploads.find(upload["digest"], None)
    paths = [
        "photo.png",
        upload["value"],
        str(tmp_path / "secret.png"),
        "../../secret.png",
        str(own_server.services.uploads.path(stored)),
    ]
    text = workflow_text(
        **{
            f"load_{at}": {"type": "LoadImage", "inputs": {"path": path}}
            for at, path in enumerate(paths)
        }
    )
    for owner, headers, expected in (
        ("alice", alice, ["photo.png", "mine.png"]),
        ("bob", bob, ["photo.png"]),
    ):
        data = png_with({"workflow": text, "who": owner})
        digest = give(own_server, data, f"{owner}.png", client=owner)
        address = f"/artifacts/{digest}/signed"
        assert ingredients(own_server.client.get(address, headers=headers), tmp_path) == expected
        other = bob if headers is alice else alice
        assert own_server.client.get(address, headers=other).status_code == 404


@pytest.mark.parametrize("path", ["artifacts", "uploads"])
def test_what_is_not_there_is_not_checked(path: str, server: Hosted) -> None:
    assert server.client.get(f"/{path}/{'0' * 64}/credentials").status_code == 404


def test_a_huge_manifest_is_refused(server: Hosted) -> None:
    size = 40 << 20
    store = size.to_bytes(4, "big") + b"jumb" + (30).to_bytes(4, "big")
    store += b"jumdc2pa\x00\x11\x00\x10\x80\x00\x00\xaa\x00\x38\x9b\x71"
    digest = give(server, PICTURE + store.ljust(size, b"\0"), "huge.png")
    answer = server.client.get(f"/artifacts/{digest}/credentials")
    assert answer.status_code == 422
    assert "too large to be checked" in answer.text


def test_trusted_certificates_of_the_setting_count(
    hosting: Callable[..., Any], tmp_path: Path
) -> None:
    data = signed_elsewhere(tmp_path / "x")
    with hosting() as server:
        services = server.services
        anchors = (tmp_path / "x" / "other" / "certificate.pem",)
        services.settings = replace(services.settings, trusted_certificates=anchors)
        found = check(server, give(server, data))
    assert found["state"] == "trusted"
    assert json.dumps(found).count(str(tmp_path)) == 0
