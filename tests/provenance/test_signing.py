"""Signed copies of files, checked by the library's own verifier; changed ones are noticed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import c2pa
import pytest
from PIL import Image

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.provenance.certificates import SigningCertificate
from nodegraph.provenance.claims import Claim, IngredientFile
from nodegraph.provenance.signing import SignedFile, sign_file
from nodegraph.provenance.verification import Credentials, verify_file
from tests.provenance.files import SIDECARS, WRITERS, image_bytes, png_with

CLAIM = Claim("a", when="2026-12-01T00:00:00Z")


def signed_png(
    folder: Path, certificate: SigningCertificate, claim: Claim = CLAIM, data: bytes | None = None
) -> SignedFile:
    source = folder / "source.png"
    source.write_bytes(data or image_bytes())
    return sign_file(source, folder / "signed.png", claim, certificate)


def flip(path: Path, at: int) -> Path:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", WRITERS)
def test_each_format_holds_its_credentials(
    name: str, tmp_path: Path, certificate: SigningCertificate
) -> None:
    source, target = tmp_path / name, tmp_path / f"signed-{name}"
    WRITERS[name](source)
    before = source.read_bytes()
    signed = sign_file(source, target, CLAIM, certificate)
    found = verify_file(target)
    assert (found.state, found.signer, found.is_ai) == ("self-signed", "Studio Example", True)
    assert signed.sidecar is None
    assert source.read_bytes() == before
    assert verify_file(flip(target, -20)).state == "tampered"


@pytest.mark.parametrize("name", SIDECARS)
def test_other_formats_have_their_credentials_in_a_file_beside_them(
    name: str, tmp_path: Path, certificate: SigningCertificate
) -> None:
    source, target = tmp_path / name, tmp_path / f"signed-{name}"
    source.write_bytes(SIDECARS[name])
    signed = sign_file(source, target, CLAIM, certificate)
    assert signed.sidecar == tmp_path / f"signed-{name}.c2pa"
    assert target.read_bytes() == SIDECARS[name]
    found = verify_file(target)
    assert (found.state, found.sidecar) == ("self-signed", f"signed-{name}.c2pa")
    assert verify_file(flip(target, 5)).state == "tampered"


def test_the_library_itself_finds_a_signed_picture_valid(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    path = signed_png(tmp_path, certificate).path
    with path.open("rb") as file, c2pa.Reader("image/png", file) as reader:
        assert reader.get_validation_state() == "Valid"
        manifest = reader.get_active_manifest()
    assert manifest is not None
    [actions] = [each for each in manifest["assertions"] if each["label"] == "c2pa.actions.v2"]
    assert actions["data"]["actions"] == [
        {
            "action": "c2pa.created",
            "when": "2026-12-01T00:00:00Z",
            "digitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/"
            "trainedAlgorithmicMedia",
        }
    ]
    labels = {each["label"] for each in manifest["assertions"]}
    assert {"c2pa.training-mining", "cawg.training-mining"} <= labels


def test_a_tampered_pixel_is_noticed(tmp_path: Path, certificate: SigningCertificate) -> None:
    path = signed_png(tmp_path, certificate).path
    with Image.open(path) as opened:
        opened.load()
        changed = opened.copy()
    changed.putpixel((3, 3), (1, 2, 3))
    fresh = tmp_path / "changed.png"
    changed.save(fresh)
    # The old manifest is put into the changed picture, as a forger would.
    data, original = fresh.read_bytes(), path.read_bytes()
    at = original.index(b"caBX") - 4
    length = int.from_bytes(original[at : at + 4], "big") + 12
    fresh.write_bytes(data[:33] + original[at : at + length] + data[33:])
    found = verify_file(fresh)
    assert found.state == "tampered"
    assert found.problems[0].startswith("assertion.dataHash.mismatch")


def test_a_tampered_assertion_is_noticed(tmp_path: Path, certificate: SigningCertificate) -> None:
    path = signed_png(tmp_path, certificate).path
    data = path.read_bytes()
    # Another value of the same length: a PNG without a manifest's checksum is read all the same.
    path.write_bytes(data.replace(b"notAllowed", b"notAllowee"))
    assert verify_file(path).state in ("tampered", "damaged")


def test_a_picture_that_was_saved_again_has_no_credentials(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    path = signed_png(tmp_path, certificate).path
    with Image.open(path) as opened:
        opened.save(tmp_path / "again.png")
        opened.save(tmp_path / "again.jpg")
    assert verify_file(tmp_path / "again.png") == Credentials()
    assert verify_file(tmp_path / "again.jpg") == Credentials()


def test_a_signed_picture_keeps_its_texts_and_pixels(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    data = png_with({"workflow": "{}", "nodegraph": "1"})
    path = signed_png(tmp_path, certificate, data=data).path
    with Image.open(path) as signed, Image.open(tmp_path / "source.png") as source:
        assert signed.text == {"workflow": "{}", "nodegraph": "1"}  # type: ignore[attr-defined]
        assert signed.tobytes() == source.tobytes()


def test_the_own_certificate_can_be_trusted(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    path = signed_png(tmp_path, certificate).path
    assert verify_file(path, [certificate.chain.decode()]).state == "trusted"


def test_input_pictures_become_ingredients_with_their_own_credentials(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    first = signed_png(tmp_path, certificate).path
    second = tmp_path / "photo.jpg"
    second.write_bytes(image_bytes("JPEG"))
    (tmp_path / "mesh.glb").write_bytes(SIDECARS["a.glb"])
    inputs = (
        IngredientFile(first, "first.png"),
        IngredientFile(second, "photo.jpg"),
        IngredientFile(tmp_path / "mesh.glb", "mesh.glb"),
        IngredientFile(tmp_path / "gone.png", "gone.png"),
    )
    source = tmp_path / "result.png"
    source.write_bytes(image_bytes(side=64))
    claim = Claim("result.png", "compositeWithTrainedAlgorithmicMedia", inputs)
    signed = sign_file(source, tmp_path / "out.png", claim, certificate)
    assert signed.left_out == ("mesh.glb", "gone.png")
    found = verify_file(signed.path)
    assert found.source_type == "compositeWithTrainedAlgorithmicMedia"
    assert found.actions == ("c2pa.created", "c2pa.placed", "c2pa.placed")
    assert [(item.title, item.state, item.is_ai) for item in found.ingredients] == [
        ("first.png", "untrusted", True),
        ("photo.jpg", "absent", False),
    ]
    assert found.ingredients[0].signer == "Studio Example"


def test_an_input_that_was_changed_is_recorded_as_such(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    first = flip(signed_png(tmp_path, certificate).path, -20)
    source = tmp_path / "result.png"
    source.write_bytes(image_bytes(side=64))
    claim = Claim("r", ingredients=(IngredientFile(first, "first.png"),))
    found = verify_file(sign_file(source, tmp_path / "out.png", claim, certificate).path)
    assert found.state == "self-signed"
    assert found.ingredients[0].state == "tampered"


def test_a_result_of_a_picture_that_ai_made_is_marked_too(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    first = signed_png(tmp_path, certificate).path
    source = tmp_path / "result.png"
    source.write_bytes(image_bytes(side=64))
    claim = Claim("r", "composite", (IngredientFile(first, "first.png"),))
    found = verify_file(sign_file(source, tmp_path / "out.png", claim, certificate).path)
    assert found.source_type == "compositeWithTrainedAlgorithmicMedia"


def test_a_file_that_is_signed_again_keeps_what_it_was(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    first = signed_png(tmp_path, certificate).path
    again = sign_file(first, first, Claim("again.png"), certificate)
    found = verify_file(again.path)
    assert (found.state, found.actions) == ("self-signed", ("c2pa.opened",))
    [parent] = found.ingredients
    assert (parent.relationship, parent.is_ai, found.is_ai) == ("parentOf", True, True)


def test_the_manifest_in_a_file_is_bound_by_its_hash(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    path = signed_png(tmp_path, certificate, Claim("a", manifest='{"a": 1}')).path
    assert verify_file(path, manifest='{"a": 1}').manifest_matches is True
    assert verify_file(path, manifest='{"a": 2}').manifest_matches is False
    assert verify_file(path).manifest_matches is False


@pytest.mark.parametrize("use", ["allowed", "notAllowed", "constrained"])
def test_the_use_for_training_is_recorded(
    use: str, tmp_path: Path, certificate: SigningCertificate
) -> None:
    claim = Claim("a", training=use, constraints="CC BY 4.0")  # type: ignore[arg-type]
    path = signed_png(tmp_path, certificate, claim).path
    assert verify_file(path).training == use
    with path.open("rb") as file, c2pa.Reader("image/png", file) as reader:
        assert ("CC BY 4.0" in reader.json()) == (use == "constrained")


def test_no_folder_and_no_key_gets_into_a_signed_file(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(image_bytes("JPEG"))
    claim = Claim("a.png", ingredients=(IngredientFile(photo, "photo.jpg"),))
    data = signed_png(tmp_path, certificate, claim).path.read_bytes()
    assert str(tmp_path).encode() not in data
    assert certificate.key not in data
    assert "key" not in repr(certificate).lower()


def test_damaged_credentials_are_not_signed_over(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    path = signed_png(tmp_path, certificate).path
    data = path.read_bytes()
    path.write_bytes(data.replace(b"claim_generator_info", b"\xff" * 20))
    assert verify_file(path).state == "damaged"
    with pytest.raises(InvalidFile, match="damaged"):
        sign_file(path, tmp_path / "again.png", CLAIM, certificate)
    assert not (tmp_path / "again.png").exists()


def test_too_many_inputs_are_refused(tmp_path: Path, certificate: SigningCertificate) -> None:
    inputs = tuple(IngredientFile(tmp_path / f"{at}.png", f"{at}.png") for at in range(101))
    with pytest.raises(InvalidValue, match="too many input files"):
        signed_png(tmp_path, certificate, Claim("a", ingredients=inputs))


def test_a_folder_without_leftovers(tmp_path: Path, certificate: SigningCertificate) -> None:
    signed_png(tmp_path, certificate)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    with pytest.raises(InvalidFile, match="cannot sign"):
        sign_file(tmp_path / "broken.png", tmp_path / "out.png", CLAIM, certificate)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "broken.png",
        "signed.png",
        "source.png",
    ]


def test_a_sidecar_stays_with_a_copy(tmp_path: Path, certificate: SigningCertificate) -> None:
    (tmp_path / "a.glb").write_bytes(SIDECARS["a.glb"])
    signed = sign_file(tmp_path / "a.glb", tmp_path / "b.glb", CLAIM, certificate)
    assert signed.sidecar is not None
    # c2patool puts it in place of the suffix.
    shutil.move(signed.sidecar, tmp_path / "b.c2pa")
    assert verify_file(tmp_path / "b.glb").state == "self-signed"
    document = verify_file(tmp_path / "b.glb").as_dict()
    assert Credentials.from_dict(json.loads(json.dumps(document))).as_dict() == document


def test_a_link_stays_one_and_its_private_file_is_signed(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    real, link = tmp_path / "real.png", tmp_path / "link.png"
    real.write_bytes(image_bytes())
    real.chmod(0o600)
    link.symlink_to(real.name)
    sign_file(link, link, CLAIM, certificate)
    assert link.is_symlink()
    assert verify_file(real).state == "self-signed"
    assert real.stat().st_mode & 0o777 == 0o600
    copy = sign_file(real, tmp_path / "copy.png", CLAIM, certificate).path
    assert copy.stat().st_mode & 0o777 == 0o600


def test_a_manifest_beside_a_file_is_not_replaced_or_signed(
    tmp_path: Path, certificate: SigningCertificate
) -> None:
    mesh = tmp_path / "a.glb"
    mesh.write_bytes(SIDECARS["a.glb"])
    sidecar = sign_file(mesh, mesh, CLAIM, certificate).sidecar
    assert sidecar is not None
    before = sidecar.read_bytes()
    with pytest.raises(InvalidFile, match=r"would replace a\.glb\.c2pa"):
        sign_file(mesh, mesh, CLAIM, certificate)
    with pytest.raises(InvalidFile, match="is a manifest"):
        sign_file(sidecar, tmp_path / "b.c2pa", CLAIM, certificate)
    assert sidecar.read_bytes() == before
    assert verify_file(mesh).state == "self-signed"
