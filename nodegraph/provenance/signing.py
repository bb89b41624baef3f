"""Signing a copy of a file: the manifest in it, or beside it where the format has no room.

A signature has a time, so each copy differs. The file that is signed is never changed.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from nodegraph.core.files import write_file
from nodegraph.errors import InvalidFile, InvalidValue, OutputError
from nodegraph.media.images.input_files import translate_os_errors
from nodegraph.provenance.c2pa_library import (
    ANY_TYPE,
    SIDECAR,
    check_manifest_size,
    embedded_size,
    load_c2pa,
    media_type,
    open_context,
)
from nodegraph.provenance.certificates import SigningCertificate
from nodegraph.provenance.claims import (
    AI_TYPES,
    PARENT,
    Claim,
    ingredient_label,
    manifest_definition,
)
from nodegraph.provenance.verification import verify_file

MOST_INGREDIENTS = 100
"""Input files that a claim names."""


@dataclass(frozen=True, slots=True)
class SignedFile:
    """A signed copy.

    Attributes:
        path: Path of the copy.
        sidecar: Path of its manifest, if that is not embedded.
        left_out: Titles of input files that could not be read, and so are not ingredients.
    """

    path: Path
    sidecar: Path | None = None
    left_out: tuple[str, ...] = ()


def sign_file(
    source: Path,
    target: Path,
    claim: Claim,
    certificate: SigningCertificate,
    *,
    time_authority: str = "",
) -> SignedFile:
    """Write a signed copy of a file.

    If the file has credentials already, they are kept as its parent.

    Args:
        source: The file; it stays as it is, unless it is also the target.
        target: The copy. A file that is there is replaced, in one step; of a symbolic link,
            the file that it leads to. The copy has the source's permissions.
        time_authority: Address of a time stamp authority (RFC 3161). None is asked if empty.
    Raises:
        InvalidFile: The file or its credentials can't be read, it is a manifest itself, or its
            manifest beside it would be replaced.
        InvalidValue: It can't be signed: the certificate is refused, or the library is missing.
        OutputError: The copy can't be written.
    """
    c2pa = load_c2pa()
    with translate_os_errors(source), source.open("rb") as file:
        kind = media_type(file.read(12))
    check_manifest_size(embedded_size(source))
    is_embedded = kind != ANY_TYPE
    if not is_embedded:
        _check_no_manifest_is_lost(source, target)
    file_path = target.resolve()  # a symbolic link stays one
    temporary = file_path.with_name(f".{file_path.name}.{os.urandom(4).hex()}.tmp")
    with ExitStack() as stack:
        context = stack.enter_context(open_context())
        inputs, left_out = _readable_inputs(c2pa, context, claim)
        has_parent = _has_parent(c2pa, context, source, kind)
        claim = _with_marked_inputs(claim, [path for path, _, _ in inputs])
        definition = manifest_definition(claim, ingredients=len(inputs), has_parent=has_parent)
        stack.callback(temporary.unlink, missing_ok=True)
        try:
            builder = stack.enter_context(c2pa.Builder(definition, context))
            for index, (path, title, input_kind) in enumerate(inputs):
                with path.open("rb") as file:
                    label = ingredient_label(index)
                    _add_ingredient(builder, label, title, "componentOf", input_kind, file)
            with source.open("rb") as file:
                if has_parent:
                    _add_ingredient(builder, PARENT, claim.title, "parentOf", kind, file)
                    file.seek(0)
                if not is_embedded:
                    builder.set_no_embed()
                signer = _signer(c2pa, certificate, time_authority)
                with temporary.open("x+b") as copy:
                    # Who may read the file may read its copy, nobody else.
                    temporary.chmod(source.stat().st_mode & 0o777 | stat.S_IWUSR)
                    manifest = builder.sign(signer, kind, file, copy)
                    copy.flush()
                    os.fsync(copy.fileno())
        except c2pa.C2paError as error:
            raise _refusal(error, source, time_authority) from error
        except OSError as error:
            raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
        return _finish(source, target, temporary, manifest, is_embedded, left_out)


def _check_no_manifest_is_lost(source: Path, target: Path) -> None:
    """A manifest beside a file can't become a parent, so a new one would only replace it."""
    if source.suffix.lower() == SIDECAR:
        raise InvalidFile(
            f"{source} is a manifest, which is not signed itself",
            expected=f"the file that it belongs to, such as {source.stem}",
        )
    sidecar = source.with_name(source.name + SIDECAR)
    if sidecar.exists() and sidecar == target.with_name(target.name + SIDECAR):
        raise InvalidFile(
            f"{source} has credentials already: a new signature would replace {sidecar.name}",
            hint="Sign a copy in another folder with --out, or remove the old manifest first.",
        )


def _finish(
    source: Path,
    target: Path,
    temporary: Path,
    manifest: bytes,
    is_embedded: bool,
    left_out: list[str],
) -> SignedFile:
    """Put the copy at its path, and its manifest beside it if it is not in it."""
    try:
        temporary.replace(target.resolve())
    except OSError as error:
        raise OutputError(f"cannot write {target}: {error.strerror or error}") from error
    if is_embedded:
        return SignedFile(target, None, tuple(left_out))
    sidecar = target.with_name(target.name + SIDECAR)
    write_file(sidecar, manifest)
    return SignedFile(target, sidecar, tuple(left_out))


def _signer(c2pa: Any, certificate: SigningCertificate, time_authority: str) -> Any:
    """Return the library's signer; signing consumes it."""
    return c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(
            certificate.algorithm.encode(),
            certificate.chain,
            certificate.key,
            time_authority.encode() or None,
        )
    )


def _readable_inputs(
    c2pa: Any, context: Any, claim: Claim
) -> tuple[list[tuple[Path, str, str]], list[str]]:
    """Return the input files that can be ingredients, with title and media type; then the others.

    A file is tried before, because a builder that refused one can't be used any more.
    """
    if len(claim.ingredients) > MOST_INGREDIENTS:
        raise InvalidValue(
            "the result has too many input files to sign",
            given=f"{len(claim.ingredients):,}",
            expected=f"at most {MOST_INGREDIENTS}",
        )
    usable, left_out = [], []
    for item in claim.ingredients:
        try:
            with item.path.open("rb") as file:
                kind = media_type(file.read(12))
                check_manifest_size(embedded_size(item.path))
                if kind == ANY_TYPE:
                    raise InvalidFile(f"{item.path} has a format that C2PA can't read")
                file.seek(0)
                with c2pa.Builder({}, context) as trial:
                    _add_ingredient(trial, "trial", item.title, "componentOf", kind, file)
        except (OSError, InvalidFile, c2pa.C2paError):
            left_out.append(item.title)
            continue
        usable.append((item.path, item.title, kind))
    return usable, left_out


def _with_marked_inputs(claim: Claim, inputs: list[Path]) -> Claim:
    """Return the claim, marked as made by AI if an input file is, by its own credentials."""
    if claim.source_type in AI_TYPES:
        return claim
    if any(embedded_size(path) and verify_file(path).is_ai for path in inputs):
        return replace(claim, source_type="compositeWithTrainedAlgorithmicMedia")
    return claim


def _add_ingredient(
    builder: Any, label: str, title: str, relationship: str, kind: str, file: BinaryIO
) -> None:
    description = {"title": title, "relationship": relationship, "label": label}
    builder.add_ingredient(description, kind, file)


def _has_parent(c2pa: Any, context: Any, source: Path, kind: str) -> bool:
    """Return whether the file itself carries credentials, also such that do not match it."""
    if kind == ANY_TYPE or not embedded_size(source):
        return False
    try:
        with source.open("rb") as file, c2pa.Reader(kind, file, context=context):
            return True
    except c2pa.C2paError as error:
        if isinstance(error, c2pa.C2paError.ManifestNotFound):
            return False
        raise InvalidFile(
            f"the credentials in {source} are damaged, so it can't be signed again",
            hint="Save it anew from its workflow, or remove its metadata.",
        ) from error


def _refusal(error: Exception, source: Path, time_authority: str) -> Exception:
    """Return what is wrong in words: the certificate, the time authority, or the file."""
    text = str(error)
    # What the library says of a service that it asked; it calls all an error of the signature.
    if time_authority and ("internal error" in text or "time stamp" in text):
        return InvalidValue(
            f"the time stamp authority gave no time stamp: {text}",
            given=time_authority,
            hint="Sign without one, or check the setting `time_authority`.",
        )
    if "signingCredential" in text or "Signature" in type(error).__name__:
        return InvalidValue(
            f"the certificate can't sign C2PA manifests: {text}",
            expected="a certificate with the profile of C2PA: end entity, digitalSignature, "
            "extended key usage emailProtection",
        )
    return InvalidFile(f"cannot sign {source}: {text}")
