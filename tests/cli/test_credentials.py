"""`nodegraph credentials` signs copies of files, and shows whether files were changed since."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest
from PIL import Image

from nodegraph.provenance.certificates import create_certificate
from tests.cli.conftest import Cli
from tests.provenance.files import SIDECARS, image_bytes, png_with, workflow_text
from tests.provenance.resigning import TIME_AUTHORITY, SigningIdentity, issue, resign

RESIZED = workflow_text(
    load={"type": "LoadImage", "inputs": {"path": "photo.jpg"}},
    size={"type": "ResizeImage", "inputs": {"image": {"from": "load.image"}, "width": 64}},
    save={"type": "SaveImage", "inputs": {"image": {"from": "size"}}},
)
SAMPLED = workflow_text(model={"type": "LoadModel", "inputs": {"model": "tiny"}})


@pytest.fixture
def own(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path) -> Path:
    """A home folder with an own certificate."""
    folder = tmp_path / "home"
    folder.mkdir()
    # Node types are read from the shared home's cache.
    monkeypatch.setenv("NODEGRAPH_CACHE", str(home / "cache"))
    monkeypatch.setenv("NODEGRAPH_HOME", str(folder))
    done = cli("credentials", "certificate", "Ada Example")
    assert done.code == 0, done.err
    assert "self-signed" in done.out
    return folder


def test_a_file_is_signed_and_verified(cli: Cli, own: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(image_bytes("JPEG"))
    (tmp_path / "a.png").write_bytes(png_with({"workflow": RESIZED}))
    before = (tmp_path / "a.png").read_bytes()
    done = cli("credentials", "sign", "a.png", "--inputs", tmp_path)
    assert done.code == 0, done.err
    assert "signed/a.png" in done.out
    assert (tmp_path / "a.png").read_bytes() == before
    [found] = cli("credentials", "verify", "signed/a.png", "--json").json["files"]
    assert (found["state"], found["signer"]) == ("trusted", "Ada Example")
    assert found["source_type"] == "composite"
    assert [item["title"] for item in found["ingredients"]] == ["photo.jpg"]
    shown = cli("credentials", "verify", "signed/a.png")
    assert shown.code == 0
    assert "intact, signed by a trusted certificate" in shown.out
    assert "by the signer's own clock" in shown.out


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (SAMPLED, "trainedAlgorithmicMedia"),
        (workflow_text(a={"type": "unknown:Node"}), "trainedAlgorithmicMedia"),
        (workflow_text(a={"type": "EmptyImage"}), "algorithmicMedia"),
        ("no workflow", "trainedAlgorithmicMedia"),
    ],
    ids=["model", "unknown node", "no model", "no workflow"],
)
def test_what_is_not_known_counts_as_made_by_ai(
    text: str, kind: str, cli: Cli, own: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(png_with({"workflow": text}))
    assert cli("credentials", "sign", "a.png", "--in-place").code == 0
    [found] = cli("credentials", "verify", "a.png", "--json").json["files"]
    assert found["source_type"] == kind
    assert found["is_ai"] == (kind == "trainedAlgorithmicMedia")


def test_a_result_of_an_own_ai_picture_is_marked(cli: Cli, own: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(png_with({"workflow": SAMPLED}))
    (tmp_path / "a.png").write_bytes(png_with({"workflow": RESIZED}))
    assert cli("credentials", "sign", "a.png", "--in-place", "--inputs", tmp_path).code == 0
    [found] = cli("credentials", "verify", "a.png", "--json").json["files"]
    assert found["source_type"] == "compositeWithTrainedAlgorithmicMedia"


def test_changed_and_unsigned_files_fail(cli: Cli, own: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(image_bytes())
    assert cli("credentials", "sign", "a.png", "--out", "out").code == 0
    data = bytearray((tmp_path / "out" / "a.png").read_bytes())
    data[-20] ^= 1
    (tmp_path / "changed.png").write_bytes(data)
    done = cli("credentials", "verify", "changed.png", "a.png", "out/a.png", "--json")
    assert done.code == 1
    assert [file["state"] for file in done.json["files"]] == ["tampered", "absent", "trusted"]
    shown = cli("credentials", "verify", "changed.png")
    assert shown.code == 1
    assert "changed since it was signed" in shown.out
    assert "assertion.dataHash.mismatch" in shown.out


def test_another_certificate_signs(cli: Cli, own: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(image_bytes())
    create_certificate(tmp_path / "other", "Eve Example")
    pair = ("--certificate", "other/certificate.pem", "--key", "other/key.pem")
    assert cli("credentials", "sign", "a.png", "--in-place", *pair).code == 0
    [found] = cli("credentials", "verify", "a.png", "--json").json["files"]
    assert (found["state"], found["signer"]) == ("self-signed", "Eve Example")
    assert cli("credentials", "verify", "a.png").code == 0
    assert cli("credentials", "verify", "a.png", "--trusted").code == 1


@pytest.mark.parametrize(
    ("years", "message"),
    [((2001, 2002), "is not valid any more"), ((2189, 2190), "is not valid yet")],
    ids=["expired", "not yet valid"],
)
def test_a_certificate_that_is_not_valid_now_does_not_sign(
    years: tuple[int, int], message: str, cli: Cli, own: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(image_bytes())
    chain, key, _ = issue(*years).write(tmp_path / "other")
    done = cli("credentials", "sign", "a.png", "--certificate", chain, "--key", key)
    assert done.code == 2
    assert message in done.err
    assert f"valid from {years[0]}-01-01" in done.err
    assert not (tmp_path / "signed" / "a.png").exists()


EXPIRED, CLOCK = issue(2001, 2002), issue(2001, 2190, TIME_AUTHORITY, "Clock")


@pytest.mark.parametrize(
    ("signer", "stamper", "state", "text"),
    [
        (EXPIRED, None, "expired", "by a certificate that has expired"),
        (issue(2189, 2190), None, "not-yet-valid", "by a certificate that is not valid yet"),
        (EXPIRED, CLOCK, "expired", "authority Clock, which is not trusted here"),
    ],
    ids=["expired", "not yet valid", "stamped by anybody"],
)
def test_a_signature_outside_of_the_validity_is_shown(
    signer: SigningIdentity,
    stamper: SigningIdentity | None,
    state: str,
    text: str,
    cli: Cli,
    own: Path,
    tmp_path: Path,
) -> None:
    (tmp_path / "a.glb").write_bytes(SIDECARS["a.glb"])
    assert cli("credentials", "sign", "a.glb").code == 0
    when = datetime(2001, 6, 1, tzinfo=timezone.utc)
    resign(tmp_path / "signed" / "a.glb.c2pa", signer, stamper, when)
    shown = cli("credentials", "verify", "signed/a.glb")
    assert shown.code == 0, shown.err
    assert text in shown.out
    [found] = cli("credentials", "verify", "signed/a.glb", "--json").json["files"]
    assert (found["state"], found["has_time_stamp"]) == (state, False)
    assert cli("credentials", "verify", "signed/a.glb", "--trusted").code == 1


def test_a_trusted_time_stamp_keeps_a_signature_after_its_certificate(
    cli: Cli, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = [
        identity.write(tmp_path / name)[2]
        for name, identity in (("signer", EXPIRED), ("clock", CLOCK))
    ]
    (own / "config.toml").write_text(
        f"trusted_certificates = [{', '.join(repr(str(path)) for path in trusted)}]\n"
    )
    (tmp_path / "a.glb").write_bytes(SIDECARS["a.glb"])
    assert cli("credentials", "sign", "a.glb", "--in-place").code == 0
    resign(tmp_path / "a.glb.c2pa", EXPIRED, CLOCK, datetime(2001, 6, 1, tzinfo=timezone.utc))
    shown = cli("credentials", "verify", "a.glb", "--trusted")
    assert shown.code == 0, shown.out
    assert "2001-06-01T00:00:00+00:00 by the time stamp authority Clock" in shown.out
    assert "not trusted" not in shown.out


def test_a_watermark_outlives_its_credentials(cli: Cli, own: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(image_bytes(side=400))
    assert cli("credentials", "sign", "a.png", "--in-place", "--watermark").code == 0
    [found] = cli("credentials", "verify", "a.png", "--json").json["files"]
    assert "c2pa.watermarked.unbound" in found["actions"]
    with Image.open("a.png") as opened:
        opened.convert("RGB").save("again.jpg", quality=75)
    done = cli("credentials", "verify", "again.jpg", "--json")
    assert done.code == 1
    [again] = done.json["files"]
    assert (again["state"], again["watermark"]) == ("absent", found["watermark"])
    assert found["watermark"] is not None


def test_a_mesh_gets_a_file_beside_it(cli: Cli, own: Path, tmp_path: Path) -> None:
    (tmp_path / "a.glb").write_bytes(SIDECARS["a.glb"])
    done = cli("credentials", "sign", "a.glb", "--training", "allowed")
    assert done.code == 0
    assert "a.glb.c2pa" in done.out
    [found] = cli("credentials", "verify", "signed/a.glb", "--json").json["files"]
    assert (found["state"], found["sidecar"]) == ("trusted", "a.glb.c2pa")
    assert found["training"] == "allowed"
    both = cli("credentials", "verify", "signed/a.glb", "signed/a.glb.c2pa", "--json")
    assert (both.code, both.json["files"]) == (0, [found])
    with_mark = cli("credentials", "sign", "a.glb", "--watermark")
    assert with_mark.code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--in-place", "--out", "x"), "cannot be combined"),
        (("--certificate", "a.pem"), "belong together"),
        (("--training", "maybe"), "--training has no such use"),
    ],
)
def test_wrong_options_are_named(
    arguments: tuple[str, ...], message: str, cli: Cli, own: Path, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(image_bytes())
    done = cli("credentials", "sign", "a.png", *arguments)
    assert done.code == 2
    assert message in done.err


def test_two_files_of_one_name_are_refused(cli: Cli, own: Path, tmp_path: Path) -> None:
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.png").write_bytes(image_bytes())
    done = cli("credentials", "sign", "first/a.png", "second/a.png")
    assert done.code == 2
    assert "would be one file" in done.err
    assert not (tmp_path / "signed").exists()
    assert cli("credentials", "sign", "first/a.png", "second/a.png", "--in-place").code == 0


def test_without_a_certificate_the_next_step_is_named(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    (tmp_path / "a.png").write_bytes(image_bytes())
    monkeypatch.setenv("NODEGRAPH_CACHE", str(home / "cache"))
    monkeypatch.setenv("NODEGRAPH_HOME", str(tmp_path / "empty"))
    done = cli("credentials", "sign", "a.png", "gone.png")
    assert done.code == 2
    assert "there is no certificate for signing" in done.err
    assert "nodegraph credentials certificate NAME" in done.err
    missing = cli("credentials", "verify", "gone.png")
    assert missing.code == 2
    assert "there is no file" in missing.err


def test_without_the_extra_the_way_to_get_it_is_named(
    cli: Cli, own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from nodegraph.provenance import c2pa_library

    (tmp_path / "a.png").write_bytes(image_bytes())
    assert cli("credentials", "sign", "a.png").code == 0
    monkeypatch.setattr(c2pa_library, "is_c2pa_installed", lambda: False)
    done = cli("credentials", "verify", "signed/a.png")
    assert done.code == 2
    assert "pip install 'nodegraph[c2pa]'" in done.err
    # What has no credentials needs no library.
    assert "no credentials" in cli("credentials", "verify", "a.png").out


def test_a_second_certificate_is_refused(cli: Cli, own: Path) -> None:
    done = cli("credentials", "certificate", "Eve")
    assert done.code == 2
    assert "there is already a certificate" in done.err


@pytest.mark.parametrize("use", [(), ("--training", "allowed")])
def test_constraints_of_another_use_are_refused(
    cli: Cli, own: Path, tmp_path: Path, use: tuple[str, ...]
) -> None:
    (tmp_path / "a.png").write_bytes(png_with({"workflow": SAMPLED}))
    done = cli("credentials", "sign", "a.png", "--constraints", "CC BY 4.0", *use)
    assert done.code == 2
    assert "--training constrained" in done.err
    assert not (tmp_path / "signed").exists()
