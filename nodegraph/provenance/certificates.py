"""Certificates for signing: an own one, or one of a certificate authority, in PEM files.

The profile is that of C2PA 2.x, section "X.509 Certificates". An own certificate is self-signed: it
shows that two files come from the same key. The name in it is not verified.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.core.files import make_private_folder, write_file
from nodegraph.errors import InvalidFile, InvalidValue, OutputError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate, Name

CERTIFICATE_FILE, KEY_FILE = "certificate.pem", "key.pem"
SIGNING_FOLDER = "signing"
"""Folder in the data folder with the own certificate and its key."""
YEARS = 5
"""Validity of an own certificate. Without a time stamp, a signature ends with it."""
LONGEST_NAME = 64
"""Characters of a name: the bound of X.520 for common names and organizations."""
_LARGEST = 64 << 10
"""Bytes of a PEM file."""
_EMAIL_PROTECTION, _CLAIM_SIGNING = "1.3.6.1.5.5.7.3.4", "1.3.6.1.4.1.62558.2.1"
"""Key usages: that of S/MIME, which verifiers accept by default, and that of C2PA itself."""
Algorithm = Literal["es256", "es384", "es512", "ps256", "ed25519"]
_HINT = (
    "Make an own one with `nodegraph credentials certificate NAME`, or name the files of another "
    "one with --certificate and --key."
)


@dataclass(frozen=True, slots=True)
class SigningCertificate:
    """A certificate with its private key, ready to sign.

    Attributes:
        chain: Certificates in PEM, the signer's first.
        key: Private key in PEM, PKCS #8, without a password. It is not part of the `repr`.
        algorithm: Signature algorithm of COSE, as the library names it.
        name: Who signs, as the certificate says: its organization, or else its common name.
        is_self_signed: Whether nobody else vouches for the name.
        expires: End of its validity.
    """

    chain: bytes
    key: bytes
    algorithm: Algorithm
    name: str
    is_self_signed: bool
    expires: datetime

    def __repr__(self) -> str:
        return f"SigningCertificate({self.name!r}, {self.algorithm}, until {self.expires:%Y-%m-%d})"


def create_certificate(folder: Path, name: str, organization: str = "") -> SigningCertificate:
    """Make an own certificate (ECDSA P-256, self-signed) and its key, and write both.

    Only the owner may read the key.

    Args:
        folder: Folder that both are written to; closed to other users.
        name: Common name, 1 to 64 characters. It may be a pseudonym.
        organization: Shown by most verifiers instead of the name; the name if empty.
    Raises:
        InvalidValue: A name is too long or has control characters, or there is a certificate.
        OutputError: The files can't be written.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID, ObjectIdentifier

    own = _checked_name(name)
    owner = _checked_name(organization) if organization else own
    certificate_file, key_file = folder / CERTIFICATE_FILE, folder / KEY_FILE
    for file in (certificate_file, key_file):
        if file.exists():
            raise InvalidValue(
                f"there is already a certificate: {file}",
                hint="Files that it signed are recognized by it. To make another one, move both "
                f"files of {folder} elsewhere.",
            )
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, own),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, owner),
        ]
    )
    # Clocks of those who verify may be a little behind.
    start = datetime.now(timezone.utc) - timedelta(minutes=5)
    usage = dict.fromkeys(
        (
            *("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"),
            *("key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
        ),
        False,
    )
    public = key.public_key()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(digital_signature=True, **usage), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage(
                [ObjectIdentifier(_EMAIL_PROTECTION), ObjectIdentifier(_CLAIM_SIGNING)]
            ),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(public),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    try:
        make_private_folder(folder)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror or error}") from error
    # The key first: a certificate without its key would look complete.
    write_file(key_file, secret, private=True)
    write_file(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))
    return load_certificate(certificate_file, key_file)


def load_certificate(certificate: Path, key: Path) -> SigningCertificate:
    """Load a certificate and its key from PEM files, and check that they can sign.

    Args:
        certificate: The signer's certificate, followed by those of its authorities if any.
        key: Private key without a password: ECDSA P-256, P-384 or P-521, RSA of at least 2048
            bits, or Ed25519.
    Raises:
        InvalidFile: A file is missing or damaged, or other users may read the key.
        InvalidValue: The certificate has expired, has another key, or may not sign.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    chain, secret = _read_pem(certificate, "certificate"), _read_pem(key, "key")
    _check_private(key)
    try:
        first, *_ = x509.load_pem_x509_certificates(chain)
    except ValueError as error:
        raise InvalidFile(f"{certificate} is no certificate", expected="PEM") from error
    try:
        private = serialization.load_pem_private_key(secret, password=None)
    except TypeError as error:
        raise InvalidFile(f"the key {key} has a password", expected="a key without one") from error
    except ValueError as error:
        raise InvalidFile(f"{key} is no private key", expected="PEM, PKCS #8") from error
    if _public_bytes(private.public_key()) != _public_bytes(first.public_key()):
        raise InvalidValue(f"the key {key} does not belong to the certificate {certificate}")
    _check_usable(first, certificate)
    return SigningCertificate(
        chain,
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        _algorithm(private, key),
        _shown_name(first.subject),
        first.issuer == first.subject,
        first.not_valid_after_utc,
    )


def read_trusted(files: tuple[Path, ...], own: Path) -> list[str]:
    """Return the trusted certificates in PEM: those of some files, and the own one if it exists.

    Raises:
        InvalidFile: A file is missing, or is no certificate.
    """
    from cryptography import x509

    texts = []
    for file in (*files, *([own] if own.is_file() else [])):
        data = _read_pem(file, "certificate")
        try:
            x509.load_pem_x509_certificates(data)
        except ValueError as error:
            raise InvalidFile(f"{file} is no certificate", expected="PEM") from error
        texts.append(data.decode())
    return texts


def _checked_name(name: str) -> str:
    text = name.strip()
    if not text or len(text) > LONGEST_NAME or not text.isprintable():
        raise InvalidValue(
            "this is no name for a certificate",
            given=repr(name[:100]),
            expected=f"1 to {LONGEST_NAME} printable characters",
        )
    return text


def _read_pem(path: Path, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
    except FileNotFoundError as error:
        raise InvalidFile(f"there is no {what} for signing: {path}", hint=_HINT) from error
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) > _LARGEST or b"-----BEGIN" not in data or not data.isascii():
        raise InvalidFile(f"{path} is no {what} in PEM", expected=f"at most {_LARGEST:,} bytes")
    return data


def _check_private(key: Path) -> None:
    """Refuse a key that other users of the machine can read, as ssh does."""
    if os.name == "posix" and key.stat().st_mode & 0o077:
        raise InvalidFile(
            f"other users may read the key {key}",
            given=f"mode {key.stat().st_mode & 0o777:o}",
            expected="mode 600",
            hint=f"Run `chmod 600 {key}`.",
        )


def _check_usable(certificate: Certificate, path: Path) -> None:
    from cryptography import x509

    now = datetime.now(timezone.utc)
    is_early = now < certificate.not_valid_before_utc
    if is_early or now > certificate.not_valid_after_utc:
        raise InvalidValue(
            f"the certificate {path} is not valid {'yet' if is_early else 'any more'}",
            given=f"valid from {certificate.not_valid_before_utc:%Y-%m-%d} to "
            f"{certificate.not_valid_after_utc:%Y-%m-%d}",
            hint="Check the clock of this machine, or use another certificate."
            if is_early
            else "Get a new one from its authority, or make an own one.",
        )
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usage = None
    if usage is None:
        raise InvalidValue(
            f"the certificate {path} may not sign content",
            expected="an extended key usage for it: emailProtection, documentSigning or C2PA's "
            "own, as the C2PA specification demands",
        )


def _algorithm(key: Any, path: Path) -> Algorithm:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        curves: dict[str, Algorithm] = {
            "secp256r1": "es256",
            "secp384r1": "es384",
            "secp521r1": "es512",
        }
        if key.curve.name in curves:
            return curves[key.curve.name]
    elif isinstance(key, rsa.RSAPrivateKey):
        if key.key_size >= 2048:
            return "ps256"
    elif isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise InvalidValue(
        f"C2PA has no signature for the key {path}",
        expected="ECDSA P-256, P-384 or P-521, RSA of at least 2048 bits, or Ed25519",
    )


def _public_bytes(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    data: bytes = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data


def _shown_name(subject: Name) -> str:
    from cryptography.x509.oid import NameOID

    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in subject.get_attributes_for_oid(kind):
            return str(attribute.value)
    return ""
