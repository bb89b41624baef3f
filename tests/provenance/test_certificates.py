"""Certificates: own ones, those of authorities, and those that can't sign."""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.provenance.certificates import create_certificate, load_certificate, read_trusted
from nodegraph.provenance.claims import Claim
from nodegraph.provenance.signing import sign_file
from nodegraph.provenance.verification import verify_file
from tests.provenance.files import SIDECARS, image_bytes
from tests.provenance.resigning import TIME_AUTHORITY, SigningIdentity, resign, time_server
from tests.provenance.resigning import issue as issue_for_years

NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, text)])


def issue(
    folder: Path,
    key: Any,
    *,
    usage: x509.ObjectIdentifier | None = ExtendedKeyUsageOID.EMAIL_PROTECTION,
) -> tuple[Path, Path, Path]:
    """A certificate of an authority: the files of chain, key and authority."""
    root_key = ec.generate_private_key(ec.SECP256R1())
    root = (
        x509.CertificateBuilder()
        .subject_name(name("Authority"))
        .issuer_name(name("Authority"))
        .public_key(root_key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - 300 * DAY)
        .not_valid_after(NOW + 300 * DAY)
        .add_extension(x509.BasicConstraints(True, 0), critical=True)
        .add_extension(
            x509.KeyUsage(False, False, False, False, False, True, True, False, False),
            critical=True,
        )
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False
        )
        .sign(root_key, hashes.SHA256())
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name("Signer"))
        .issuer_name(name("Authority"))
        .public_key(key.public_key())
        .serial_number(2)
        .not_valid_before(NOW - 200 * DAY)
        .not_valid_after(NOW + 100 * DAY)
        .add_extension(x509.BasicConstraints(False, None), critical=True)
        .add_extension(
            x509.KeyUsage(True, False, False, False, False, False, False, False, False),
            critical=True,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
            critical=False,
        )
    )
    if usage is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    leaf = builder.sign(root_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    chain, secret, authority = folder / "chain.pem", folder / "key.pem", folder / "root.pem"
    chain.write_bytes(leaf.public_bytes(pem) + root.public_bytes(pem))
    authority.write_bytes(root.public_bytes(pem))
    secret.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    secret.chmod(0o600)
    return chain, secret, authority


KEYS: dict[str, Callable[[], Any]] = {
    "es256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "es384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "es512": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ps256": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_certificate_of_an_authority_signs(algorithm: str, tmp_path: Path) -> None:
    chain, key, authority = issue(tmp_path, KEYS[algorithm]())
    certificate = load_certificate(chain, key)
    assert (certificate.algorithm, certificate.name) == (algorithm, "Signer")
    assert not certificate.is_self_signed
    (tmp_path / "a.png").write_bytes(image_bytes())
    path = sign_file(tmp_path / "a.png", tmp_path / "b.png", Claim("a"), certificate).path
    found = verify_file(path)
    assert (found.state, found.signer, found.issuer) == ("untrusted", "Signer", "Authority")
    trusted = read_trusted((authority,), tmp_path / "none.pem")
    assert verify_file(path, trusted).state == "trusted"


def test_only_the_owner_may_read_an_own_key(tmp_path: Path) -> None:
    folder = tmp_path / "signing"
    made = create_certificate(folder, "Ada Example")
    assert (made.name, made.algorithm, made.is_self_signed) == ("Ada Example", "es256", True)
    if os.name == "posix":
        assert (folder / "key.pem").stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_certificate_is_not_replaced(tmp_path: Path) -> None:
    create_certificate(tmp_path / "signing", "Ada")
    before = (tmp_path / "signing" / "certificate.pem").read_bytes()
    with pytest.raises(InvalidValue, match="there is already a certificate"):
        create_certificate(tmp_path / "signing", "Eve")
    assert (tmp_path / "signing" / "certificate.pem").read_bytes() == before


@pytest.mark.parametrize("wrong", ["", "  ", "x" * 65, "a\nb", "a\x00b"])
def test_a_name_that_is_none_is_refused(wrong: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValue, match="no name for a certificate"):
        create_certificate(tmp_path / "signing", wrong)
    assert not (tmp_path / "signing").exists()


@pytest.mark.skipif(os.name != "posix", reason="rights of files")
def test_a_key_that_others_may_read_is_refused(tmp_path: Path) -> None:
    chain, key, _ = issue(tmp_path, KEYS["es256"]())
    key.chmod(0o644)
    with pytest.raises(InvalidFile, match="other users may read the key"):
        load_certificate(chain, key)


EXPIRED, VALID, FUTURE = (2001, 2002), (2001, 2190), (2189, 2190)


@pytest.mark.parametrize(("years", "message"), [(EXPIRED, "any more"), (FUTURE, "yet")])
def test_a_certificate_that_is_not_valid_now_does_not_sign(
    years: tuple[int, int], message: str, tmp_path: Path
) -> None:
    chain, key, _ = issue_for_years(*years).write(tmp_path)
    with pytest.raises(InvalidValue, match=f"is not valid {message}"):
        load_certificate(chain, key)


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    """A mesh with its manifest beside it, to be signed anew."""
    chain, key, _ = issue_for_years(*VALID).write(tmp_path / "valid")
    (tmp_path / "a.glb").write_bytes(SIDECARS["a.glb"])
    target = tmp_path / "b.glb"
    return sign_file(tmp_path / "a.glb", target, Claim("a"), load_certificate(chain, key)).path


def signed_by(
    path: Path, signer: SigningIdentity, stamper: SigningIdentity | None = None, year: int = 2001
) -> Path:
    """The mesh with another signature, with a time stamp of the middle of a year."""
    sidecar = path.with_name(f"{path.name}.c2pa")
    when = datetime.datetime(year, 6, 1, tzinfo=datetime.timezone.utc)
    resign(sidecar, signer, stamper, when)
    return path


@pytest.mark.parametrize(("years", "state"), [(EXPIRED, "expired"), (FUTURE, "not-yet-valid")])
def test_a_signature_outside_of_the_validity_is_named(
    years: tuple[int, int], state: str, signed: Path
) -> None:
    signer = issue_for_years(*years)
    signed_by(signed, signer)
    for trusted in ([], [signer.authority.decode()]):
        found = verify_file(signed, trusted)
        assert (found.state, found.is_intact, found.signer) == (state, True, "Signer")
    sidecar = signed.with_name("b.glb.c2pa")
    assert verify_file(signed).sidecar == sidecar.name
    signed.write_bytes(SIDECARS["a.glb"] + b"x")
    assert verify_file(signed, [signer.authority.decode()]).state == "tampered"


def test_a_trusted_time_stamp_keeps_a_signature_after_its_certificate(signed: Path) -> None:
    signer, stamper = issue_for_years(*EXPIRED), issue_for_years(*VALID, TIME_AUTHORITY, "Clock")
    trusted = [signer.authority.decode(), stamper.authority.decode()]
    found = verify_file(signed_by(signed, signer, stamper), trusted)
    assert (found.state, found.has_time_stamp, found.time_authority) == ("trusted", True, "Clock")
    assert found.signed_at.startswith("2001-06-01")
    # After the end of the certificate.
    late = verify_file(signed_by(signed, signer, stamper, 2002), trusted)
    assert (late.state, late.has_time_stamp) == ("expired", True)


def test_a_time_stamp_of_anybody_proves_no_time(signed: Path) -> None:
    signer, stamper = issue_for_years(*EXPIRED), issue_for_years(*VALID, TIME_AUTHORITY, "Clock")
    found = verify_file(signed_by(signed, signer, stamper), [signer.authority.decode()])
    assert (found.state, found.has_time_stamp, found.time_authority) == ("expired", False, "Clock")
    valid = issue_for_years(*VALID)
    found = verify_file(signed_by(signed, valid, stamper), [valid.authority.decode()])
    assert (found.state, found.has_time_stamp) == ("trusted", False)


def test_a_time_stamp_from_before_the_certificate_does_not_help(signed: Path) -> None:
    signer, stamper = issue_for_years(*FUTURE), issue_for_years(*VALID, TIME_AUTHORITY)
    trusted = [signer.authority.decode(), stamper.authority.decode()]
    found = verify_file(signed_by(signed, signer, stamper, 2020), trusted)
    assert (found.state, found.has_time_stamp) == ("not-yet-valid", True)


def test_the_authority_of_a_time_stamp_is_asked_and_named(tmp_path: Path) -> None:
    chain, key, authority = issue_for_years(*VALID).write(tmp_path)
    stamper = issue_for_years(*VALID, TIME_AUTHORITY, "Clock")
    (tmp_path / "a.png").write_bytes(image_bytes())
    when = datetime.datetime(2020, 6, 1, tzinfo=datetime.timezone.utc)
    with time_server(stamper, when) as address:
        path = sign_file(
            tmp_path / "a.png",
            tmp_path / "b.png",
            Claim("a"),
            load_certificate(chain, key),
            time_authority=address,
        ).path
    trusted = [authority.read_text(), stamper.authority.decode()]
    found = verify_file(path, trusted)
    assert (found.state, found.has_time_stamp, found.time_authority) == ("trusted", True, "Clock")
    assert found.signed_at.startswith("2020-06-01")


def test_a_time_authority_that_gives_no_time_stamp_is_blamed(tmp_path: Path) -> None:
    chain, key, _ = issue_for_years(*VALID).write(tmp_path)
    (tmp_path / "a.png").write_bytes(image_bytes())
    with (
        time_server(None) as address,
        pytest.raises(InvalidValue, match="the time stamp authority gave no time stamp") as caught,
    ):
        sign_file(
            tmp_path / "a.png",
            tmp_path / "b.png",
            Claim("a"),
            load_certificate(chain, key),
            time_authority=address,
        )
    assert caught.value.problem.given == address
    assert not (tmp_path / "b.png").exists()


def test_a_certificate_for_another_purpose_is_refused(tmp_path: Path) -> None:
    chain, key, _ = issue(tmp_path, KEYS["es256"](), usage=None)
    with pytest.raises(InvalidValue, match="may not sign content"):
        load_certificate(chain, key)
    chain, key, _ = issue(tmp_path, KEYS["es256"](), usage=ExtendedKeyUsageOID.SERVER_AUTH)
    (tmp_path / "a.png").write_bytes(image_bytes())
    with pytest.raises(InvalidValue, match="can't sign C2PA manifests"):
        sign_file(tmp_path / "a.png", tmp_path / "b.png", Claim("a"), load_certificate(chain, key))


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    chain, _, _ = issue(tmp_path, KEYS["es256"]())
    _, other, _ = issue(tmp_path / "other", KEYS["es256"]())
    with pytest.raises(InvalidValue, match="does not belong"):
        load_certificate(chain, other)


def test_files_that_are_no_certificates_are_named(tmp_path: Path) -> None:
    chain, key, _ = issue(tmp_path, KEYS["es256"]())
    with pytest.raises(InvalidFile, match="there is no certificate for signing"):
        load_certificate(tmp_path / "none.pem", key)
    with pytest.raises(InvalidFile, match="is no private key"):
        load_certificate(chain, _private(tmp_path / "wrong.pem", chain.read_bytes()))
    with pytest.raises(InvalidFile, match="is no certificate"):
        load_certificate(key, key)
    (tmp_path / "text.txt").write_text("hello")
    with pytest.raises(InvalidFile, match="no certificate in PEM"):
        read_trusted((tmp_path / "text.txt",), tmp_path / "none.pem")


def _private(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    path.chmod(0o600)
    return path
