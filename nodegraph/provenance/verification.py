"""Verification of credentials: who signed a file, when, from what it was made, and whether it was
changed since.

What a file says is somebody's claim and is passed on as plain text, shortened. Only the state comes
from a check. `nodegraph.provenance.child` runs it where a hostile file can do no harm.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

from nodegraph.media.images.input_files import translate_os_errors
from nodegraph.provenance.c2pa_library import (
    check_manifest_size,
    embedded_size,
    load_c2pa,
    media_type,
    open_context,
    sidecar_of,
)
from nodegraph.provenance.claims import AI_TYPES, MANIFEST_ASSERTION, SOURCE_TYPES

CredentialState = Literal[
    "trusted",
    "self-signed",
    "untrusted",
    "expired",
    "not-yet-valid",
    "tampered",
    "damaged",
    "absent",
]
"""Result of a check. The first five: the file is as it was signed. ``trusted``: by a certificate
that is trusted here; ``self-signed``: nobody vouches for the signer's name; ``untrusted``: an
authority does that is not trusted here; ``expired``: by a certificate that is not valid any more,
without a time stamp that is trusted here and lies in its validity; ``not-yet-valid``: the same, by
one whose validity has not begun. ``tampered``: the file or its manifest was changed since;
``damaged``: the manifest can't be read; ``absent``: there is none."""
INTACT = frozenset(("trusted", "self-signed", "untrusted", "expired", "not-yet-valid"))
"""States of files that are as they were signed."""
MOST_LISTED = 100
"""Ingredients, actions and problems that are passed on."""
_LONGEST = 300
"""Characters of a text out of a file that are passed on."""
_UNTRUSTED = "signingCredential.untrusted"
_EXPIRED = ("signingCredential.expired", "claimSignature.outsideValidity")
_TRUSTED_TIME = "timeStamp.trusted"
_TRAINING = ("cawg.training-mining", "c2pa.training-mining")
_TRAINING_USES = ("ai_generative_training", "ai_training")


@dataclass(frozen=True, slots=True)
class IngredientCredentials:
    """An input file that a signed file names.

    Attributes:
        title: Its name, as the signer wrote it.
        relationship: ``componentOf`` for an input, ``parentOf`` for what the file was before.
        state: What its own credentials were when the file was signed; ``absent`` without any.
        signer: Who signed it; empty if nobody did.
        is_ai: Whether its credentials mark it as made by AI.
    """

    title: str
    relationship: str
    state: CredentialState
    signer: str = ""
    is_ai: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the credentials of a file say, and whether they match it.

    Attributes:
        state: Result of the check.
        signer: Name in the certificate: its organization, or else its common name.
        issuer: Who issued the certificate; the signer itself if self-signed.
        serial: Serial number of the certificate, hexadecimal.
        signed_at: Time, ISO 8601; empty if none is recorded.
        has_time_stamp: Whether a time stamp authority that is trusted here vouches for the time.
            Otherwise it is the clock of the signer, or of anybody.
        time_authority: Who made the time stamp, as its certificate says; empty without one.
        generator: Program that made the claim.
        title: Name of the file when it was signed.
        is_ai: Whether it is marked as made by AI, also in part.
        source_type: IPTC's code of how it was made; empty if none is recorded.
        training: ``allowed``, ``notAllowed`` or ``constrained``; empty if nothing is recorded.
        actions: C2PA's names of what was done, such as ``c2pa.created``.
        ingredients: Input files that it names.
        manifest_matches: Whether nodegraph's own manifest in the file is the one that was signed;
            None if none was signed.
        sidecar: Name of the file that the credentials are in, if they are not in the file itself.
        problems: Codes of C2PA for what does not match, with explanations.
    """

    state: CredentialState = "absent"
    signer: str = ""
    issuer: str = ""
    serial: str = ""
    signed_at: str = ""
    has_time_stamp: bool = False
    time_authority: str = ""
    generator: str = ""
    title: str = ""
    is_ai: bool = False
    source_type: str = ""
    training: str = ""
    actions: tuple[str, ...] = ()
    ingredients: tuple[IngredientCredentials, ...] = ()
    manifest_matches: bool | None = None
    sidecar: str = ""
    problems: tuple[str, ...] = ()

    @property
    def is_intact(self) -> bool:
        """Whether the file is as it was signed."""
        return self.state in INTACT

    def as_dict(self) -> dict[str, Any]:
        """Return a dictionary for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Credentials:
        """Return credentials from the dictionary of `as_dict`."""
        ingredients = tuple(IngredientCredentials(**item) for item in document["ingredients"])
        lists = {name: tuple(document[name]) for name in ("actions", "problems")}
        return cls(**{**document, **lists, "ingredients": ingredients})


def verify_file(path: Path, trusted: Sequence[str] = (), *, manifest: str = "") -> Credentials:
    """Check the credentials of a file, in this process.

    Args:
        trusted: Trusted certificates in PEM; see `certificates.read_trusted`.
        manifest: Text ``manifest`` that the file carries now, empty without one.
    Raises:
        InvalidFile: The file can't be read, or its manifest is too large.
        InvalidValue: The library is not installed.
    """
    size = embedded_size(path)
    check_manifest_size(size)
    sidecar = None if size else sidecar_of(path)
    if not size and sidecar is None:
        return Credentials()
    c2pa = load_c2pa()
    with open_context(trusted) as context, translate_os_errors(path), path.open("rb") as file:
        kind = media_type(file.read(12))
        file.seek(0)
        store = None
        if sidecar is not None:
            check_manifest_size(sidecar.stat().st_size)
            store = sidecar.read_bytes()
        name = "" if sidecar is None else sidecar.name
        try:
            with c2pa.Reader(kind, file, store, context=context) as reader:
                document = json.loads(reader.json())
                details = json.loads(reader.crjson())
        except c2pa.C2paError as error:
            absent = (c2pa.C2paError.ManifestNotFound, c2pa.C2paError.RemoteManifest)
            if isinstance(error, absent):
                return Credentials()
            return Credentials("damaged", sidecar=name, problems=(_short(str(error)),))
        except (ValueError, RecursionError) as error:
            return Credentials("damaged", sidecar=name, problems=(_short(str(error)),))
    return _credentials(document, details, manifest, name)


def _credentials(
    document: Mapping[str, Any], details: Mapping[str, Any], manifest: str, sidecar: str
) -> Credentials:
    """Return what the library's reports say; anything that is missing in them is left out."""
    active = _mapping(_mapping(document.get("manifests")).get(str(document.get("active_manifest"))))
    signed = _mapping(_active(details, document).get("signature"))
    certificate = _mapping(signed.get("certificateInfo"))
    subject, issuer = _mapping(certificate.get("subject")), _mapping(certificate.get("issuer"))
    signature = _mapping(active.get("signature_info"))
    failures = _failures(document)
    actions = list(_actions(active))
    source = next((kind for action in actions if (kind := _source_type(action))), "")
    stamp = _mapping(_mapping(signed.get("timeStampInfo")).get("certificateInfo"))
    stamped = _short(signature.get("time"))
    is_time_trusted = bool(stamped) and _TRUSTED_TIME in _passed(document)
    begin = _mapping(certificate.get("validity")).get("notBefore")
    when = next((when for action in actions if (when := _short(action.get("when")))), "")
    ingredients = tuple(_ingredients(active, document))[:MOST_LISTED]
    kinds = {_source_type(action) for action in actions}
    return Credentials(
        _state(
            failures,
            document,
            is_self_signed=bool(subject) and subject == issuer,
            is_later=_is_later(begin, stamped if is_time_trusted else ""),
        ),
        signer=_name(subject) or _short(signature.get("issuer")),
        issuer=_name(issuer),
        serial=_short(certificate.get("serialNumber")),
        signed_at=stamped or when,
        has_time_stamp=is_time_trusted,
        time_authority=_name(_mapping(stamp.get("subject"))) if stamped else "",
        generator=_generator(active),
        title=_short(active.get("title")),
        is_ai=bool(kinds & AI_TYPES)
        # What was only opened again is what it was before.
        or any(item.is_ai for item in ingredients if item.relationship == "parentOf"),
        source_type=source,
        training=_training(active),
        actions=tuple(_short(action.get("action")) for action in actions)[:MOST_LISTED],
        ingredients=ingredients,
        manifest_matches=_manifest_matches(active, manifest),
        sidecar=sidecar,
        problems=tuple(
            f"{_short(item.get('code'))}: {_short(item.get('explanation'))}"
            for item in failures
            if item.get("code") != _UNTRUSTED
        )[:MOST_LISTED],
    )


def _is_later(begin: object, moment: str) -> bool:
    """Return whether a validity begins after a moment; after now, if that is empty."""
    try:
        start = datetime.fromisoformat(str(begin).replace("Z", "+00:00"))
        now = datetime.now(timezone.utc)
        return start > (datetime.fromisoformat(moment.replace("Z", "+00:00")) if moment else now)
    except (ValueError, TypeError):
        return False  # not stated, or without its offset from UTC


def _state(
    failures: Sequence[Mapping[str, Any]],
    document: Mapping[str, Any],
    *,
    is_self_signed: bool,
    is_later: bool,
) -> CredentialState:
    """Return the result of a check.

    Args:
        is_later: Whether the validity of the certificate begins after the signature.
    """
    codes = {str(item.get("code")) for item in failures}
    if document.get("validation_state") == "Trusted" and not codes:
        return "trusted"
    if codes - {_UNTRUSTED, *_EXPIRED}:
        return "tampered"
    if codes & set(_EXPIRED):
        return "not-yet-valid" if is_later else "expired"
    if document.get("validation_state") not in ("Valid", "Trusted"):
        return "tampered"
    return "self-signed" if is_self_signed else "untrusted"


def _passed(document: Mapping[str, Any]) -> set[str]:
    """Return the codes of what holds of the active manifest."""
    results = _mapping(_mapping(document.get("validation_results")).get("activeManifest"))
    return {str(item.get("code")) for item in _mappings(results.get("success"))}


def _failures(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return what does not match in the active manifest, and in its ingredients since then."""
    results = _mapping(document.get("validation_results"))
    failures = list(_mappings(_mapping(results.get("activeManifest")).get("failure")))
    for delta in _mappings(results.get("ingredientDeltas")):
        failures += _mappings(_mapping(delta.get("validationDeltas")).get("failure"))
    return failures


def _ingredients(
    active: Mapping[str, Any], document: Mapping[str, Any]
) -> Iterator[IngredientCredentials]:
    manifests = _mapping(document.get("manifests"))
    for item in _mappings(active.get("ingredients")):
        own = _mapping(manifests.get(str(item.get("active_manifest"))))
        results = _mapping(_mapping(item.get("validation_results")).get("activeManifest"))
        codes = {str(each.get("code")) for each in _mappings(results.get("failure"))}
        state: CredentialState = "absent"
        if item.get("active_manifest"):
            if codes - {_UNTRUSTED, *_EXPIRED}:
                state = "tampered"
            else:
                state = "untrusted" if codes or not results else "trusted"
        yield IngredientCredentials(
            _short(item.get("title")),
            _short(item.get("relationship")),
            state,
            _short(_mapping(own.get("signature_info")).get("issuer")),
            any(_source_type(action) in AI_TYPES for action in _actions(own)),
        )


def _active(details: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    label = document.get("active_manifest")
    for item in _mappings(details.get("manifests")):
        if item.get("label") == label:
            return item
    return {}


def _assertions(manifest: Mapping[str, Any], *labels: str) -> Iterator[Mapping[str, Any]]:
    for item in _mappings(manifest.get("assertions")):
        if str(item.get("label")).partition("__")[0] in labels:
            yield _mapping(item.get("data"))


def _actions(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for data in _assertions(manifest, "c2pa.actions", "c2pa.actions.v2"):
        yield from _mappings(data.get("actions"))


def _source_type(action: Mapping[str, Any]) -> str:
    kind = _short(action.get("digitalSourceType"))
    # Some writers use https, or the code alone.
    is_code = "/" not in kind or SOURCE_TYPES.partition("//")[2] in kind
    return kind.rpartition("/")[2] if is_code else kind


def _training(manifest: Mapping[str, Any]) -> str:
    for data in _assertions(manifest, *_TRAINING):
        entries = _mapping(data.get("entries"))
        for name, entry in entries.items():
            if str(name).partition(".")[2] in _TRAINING_USES:
                return _short(_mapping(entry).get("use"))
    return ""


def _manifest_matches(active: Mapping[str, Any], manifest: str) -> bool | None:
    for data in _assertions(active, MANIFEST_ASSERTION):
        return data.get("hash") == sha256(manifest.encode()).hexdigest()
    return None


def _generator(manifest: Mapping[str, Any]) -> str:
    for info in _mappings(manifest.get("claim_generator_info")):
        return _short(f"{info.get('name', '')} {info.get('version', '')}".strip())
    return _short(manifest.get("claim_generator"))


def _name(name: Mapping[str, Any]) -> str:
    return _short(name.get("O") or name.get("CN"))


def _short(value: object) -> str:
    """Return a text out of a file: without control characters, and not longer than is read."""
    if value is None:
        return ""
    text = "".join(char if char.isprintable() else "�" for char in str(value)[: _LONGEST + 1])
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def carried_manifest(texts: Mapping[str, str] | None) -> str:
    """Return nodegraph's own manifest among the texts of a file; empty without one."""
    return (texts or {}).get("manifest", "")
