"""C2PA manifests with signatures that c2pa-python does not make: by certificates that are not
valid now, and with the time stamps of a test's own authority.

Terms: COSE_Sign1 (RFC 9052) in CBOR, time stamps (RFC 3161) in CMS and DER, boxes of JUMBF.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SIGNER = ExtendedKeyUsageOID.EMAIL_PROTECTION
TIME_AUTHORITY = ExtendedKeyUsageOID.TIME_STAMPING
_TEXT_OF_TIME = "%Y%m%d%H%M%SZ"


@dataclass(frozen=True)
class SigningIdentity:
    """A certificate of an authority and its key, in PEM.

    Attributes:
        chain: The certificate, then that of its authority.
    """

    chain: bytes
    key: bytes
    authority: bytes

    def write(self, folder: Path) -> tuple[Path, Path, Path]:
        """Files of the chain, the key and the authority."""
        folder.mkdir(parents=True, exist_ok=True)
        files = folder / "chain.pem", folder / "key.pem", folder / "authority.pem"
        for file, data in zip(files, (self.chain, self.key, self.authority), strict=True):
            file.write_bytes(data)
        files[1].chmod(0o600)
        return files

    @property
    def certificates(self) -> list[x509.Certificate]:
        return x509.load_pem_x509_certificates(self.chain)

    def sign(self, data: bytes) -> bytes:
        key = load_pem_private_key(self.key, None)
        assert isinstance(key, Ed25519PrivateKey)
        return key.sign(data)


def issue(
    begin: int, end: int, usage: x509.ObjectIdentifier = SIGNER, name: str = "Signer"
) -> SigningIdentity:
    """A certificate that is valid from the start of one year to that of another.

    Its authority is valid at all of these times.
    """
    root_key, key = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    root = _certificate("Authority", "Authority", root_key, root_key, (1990, 2200), None)
    leaf = _certificate(name, "Authority", key, root_key, (begin, end), usage)
    pem = Encoding.PEM
    authority = root.public_bytes(pem)
    secret = key.private_bytes(pem, PrivateFormat.PKCS8, NoEncryption())
    return SigningIdentity(leaf.public_bytes(pem) + authority, secret, authority)


def _certificate(
    subject: str,
    issuer: str,
    key: Ed25519PrivateKey,
    issuer_key: Ed25519PrivateKey,
    years: tuple[int, int],
    usage: x509.ObjectIdentifier | None,
) -> x509.Certificate:
    is_authority = usage is None
    begin, end = (datetime(year, 1, 1, tzinfo=timezone.utc) for year in years)
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(end - timedelta(seconds=1))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(
            x509.KeyUsage(
                not is_authority,
                False,
                False,
                False,
                False,
                is_authority,
                is_authority,
                False,
                False,
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if usage is not None:
        is_stamp = usage == TIME_AUTHORITY  # RFC 3161 demands that it is critical there
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=is_stamp)
    return builder.sign(issuer_key, None)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, text)])


def resign(
    sidecar: Path,
    signer: SigningIdentity,
    stamper: SigningIdentity | None = None,
    when: datetime | None = None,
) -> None:
    """Replace the signature of a manifest beside a file.

    Args:
        stamper: A time stamp authority that states `when`.
    """
    store = sidecar.read_bytes()
    paths = list(_boxes(store, 0, len(store), ()))
    [claim] = [box for box in paths if _label(store, box) == b"c2pa.claim.v2"]
    [signature] = [box for box in paths if _label(store, box) == b"c2pa.signature"]
    # Ed25519, and the certificates.
    protected = b"\xa2" + b"\x01\x27" + b"\x18\x21" + _chain(signer)
    payload = store[claim[-1][0] + 8 : claim[-1][1]]
    value = signer.sign(_signed_text(b"Signature1", protected, payload))
    unprotected = b"\xa0"
    if stamper is not None and when is not None:
        text = _signed_text(b"CounterSignature", protected, _cbor(2, value))
        token = time_stamp(stamper, sha256(text).digest(), when)
        tokens = b"\xa1" + _cbor(3, b"tstTokens") + b"\x81\xa1" + _cbor(3, b"val") + _cbor(2, token)
        unprotected = b"\xa1" + _cbor(3, b"sigTst2") + tokens
    content = b"\xd2\x84" + _cbor(2, protected) + unprotected + b"\xf6" + _cbor(2, value)
    begin, end = signature[-1]
    data = bytearray(store[: begin + 8] + content + store[end:])
    for at, _ in signature:  # the box, and those around it
        length = int.from_bytes(data[at : at + 4], "big") + len(content) - (end - begin - 8)
        data[at : at + 4] = length.to_bytes(4, "big")
    sidecar.write_bytes(data)


def _signed_text(context: bytes, protected: bytes, payload: bytes) -> bytes:
    """Sig_structure of COSE."""
    parts = _cbor(2, protected) + _cbor(2, b"") + _cbor(2, payload)
    return b"\x84" + _cbor(3, context) + parts


_Box = tuple[int, int]


def _boxes(store: bytes, at: int, end: int, above: tuple[_Box, ...]) -> list[tuple[_Box, ...]]:
    """Content boxes with all boxes around them."""
    found: list[tuple[_Box, ...]] = []
    while at < end:
        length = int.from_bytes(store[at : at + 4], "big")
        path = (*above, (at, at + length))
        if store[at + 4 : at + 8] == b"jumb":
            found += _boxes(store, at + 8, at + length, path)
        elif store[at + 4 : at + 8] == b"cbor":
            found.append(path)
        at += length
    return found


def _label(store: bytes, box: Sequence[_Box]) -> bytes:
    """Label in the description of the box around a content box."""
    begin = box[-2][0] + 8 + 8 + 17
    return store[begin : store.index(b"\0", begin)]


def _chain(signer: SigningIdentity) -> bytes:
    ders = [_cbor(2, each.public_bytes(Encoding.DER)) for each in signer.certificates]
    return bytes([0x80 + len(ders)]) + b"".join(ders)


def _cbor(major: int, data: bytes) -> bytes:
    """A string of bytes (2) or text (3) in CBOR."""
    length, head = len(data), major << 5
    if length < 24:
        return bytes([head + length]) + data
    if length < 256:
        return bytes([head + 24, length]) + data
    return bytes([head + 25]) + length.to_bytes(2, "big") + data


def time_stamp(
    stamper: SigningIdentity, digest: bytes, when: datetime, nonce: bytes | None = None
) -> bytes:
    """A token of RFC 3161 that a message with a SHA-256 digest existed at a time."""
    sha = _der(0x30, _oid("2.16.840.1.101.3.4.2.1"))
    ed25519 = _der(0x30, _oid("1.3.101.112"))
    own, *_ = stamper.certificates
    info = _der(
        0x30,
        _whole(1),
        _oid("1.2.3.4"),
        _der(0x30, sha, _der(0x04, digest)),
        _whole(7),
        _der(0x18, when.strftime(_TEXT_OF_TIME).encode()),
        *([] if nonce is None else [_der(0x02, nonce)]),
    )
    kind = _oid("1.2.840.113549.1.9.16.1.4")
    hashed = sha256(own.public_bytes(Encoding.DER)).digest()
    attributes = sorted(
        (
            _attribute("1.2.840.113549.1.9.3", kind),
            _attribute("1.2.840.113549.1.9.4", _der(0x04, sha256(info).digest())),
            _attribute(
                "1.2.840.113549.1.9.16.2.47",
                _der(0x30, _der(0x30, _der(0x30, _der(0x04, hashed)))),
            ),
        )
    )
    signature = stamper.sign(_der(0x31, *attributes))
    identifier = _der(0x30, own.issuer.public_bytes(), _whole(own.serial_number))
    signer = _der(
        0x30, _whole(1), identifier, sha, _der(0xA0, *attributes), ed25519, _der(0x04, signature)
    )
    ders = [each.public_bytes(Encoding.DER) for each in stamper.certificates]
    signed = _der(
        0x30,
        _whole(3),
        _der(0x31, sha),
        _der(0x30, kind, _der(0xA0, _der(0x04, info))),
        _der(0xA0, *ders),
        _der(0x31, signer),
    )
    return _der(0x30, _oid("1.2.840.113549.1.7.2"), _der(0xA0, signed))


def _attribute(kind: str, value: bytes) -> bytes:
    return _der(0x30, _oid(kind), _der(0x31, value))


def _der(tag: int, *parts: bytes) -> bytes:
    data = b"".join(parts)
    length = len(data)
    if length < 128:
        return bytes([tag, length]) + data
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 + size]) + length.to_bytes(size, "big") + data


def _whole(value: int) -> bytes:
    return _der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big"))


def _oid(text: str) -> bytes:
    first, second, *others = map(int, text.split("."))
    data = bytes([first * 40 + second])
    for each in others:
        digits = [each & 0x7F]
        while each := each >> 7:
            digits.append(each & 0x7F | 0x80)
        data += bytes(reversed(digits))
    return _der(0x06, data)


@contextmanager
def time_server(stamper: SigningIdentity | None, when: datetime | None = None) -> Iterator[str]:
    """Address of a time stamp authority that states a time, or refuses if it is None."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = self.rfile.read(int(self.headers["Content-Length"]))
            if stamper is None or when is None:
                self.send_error(503)
                return
            at = request.index(b"\x04\x20") + 2  # a digest of 32 bytes, then the nonce
            digest, size = request[at : at + 32], request[at + 33]
            nonce = request[at + 34 : at + 34 + size]
            granted = _der(0x30, _whole(0))
            answer = _der(0x30, granted, time_stamp(stamper, digest, when, nonce))
            self.send_response(200)
            self.send_header("Content-Type", "application/timestamp-reply")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
