"""Content Credentials (C2PA) of files: who signed them, and whether they were changed since."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from nodegraph.client.shapes.schema import described, example

CredentialState = Literal[
    "trusted", "self-signed", "untrusted", "expired", "tampered", "damaged", "absent"
]


@dataclass(frozen=True, slots=True)
class CredentialIngredient:
    """An input file that a signed file names.

    Attributes:
        title: Name of the file, as the signer wrote it.
        relationship: ``componentOf`` for an input, ``parentOf`` for the file before it was signed
            again.
        state: What its own credentials were when the file was signed.
        signer: Who signed it; empty if nobody did.
        is_ai: Whether its credentials mark it as made by AI.
    """

    __pydantic_config__ = described("CredentialIngredient", is_open=False)

    title: Annotated[str, example("photo.jpg")]
    relationship: Annotated[str, example("componentOf")]
    state: CredentialState
    signer: str
    is_ai: bool


@dataclass(frozen=True, slots=True)
class FileCredentials:
    """What the Content Credentials of a file say. All but `state` is a claim of the signer.

    Attributes:
        state: Result of the check. The file is as it was signed: ``trusted``, by a certificate that
            the server trusts; ``self-signed``, and the name is not verified; ``untrusted``, by a
            certificate that the server does not trust; ``expired``, by one that is not valid any
            more. ``tampered``: it was changed since. ``damaged``: its credentials can't be read.
            ``absent``: it has none.
        signer: Name in the certificate.
        issuer: Who issued the certificate; the signer itself if self-signed.
        signed_at: Time, ISO 8601; empty if none is recorded.
        has_time_stamp: Whether a time stamp authority vouches for the time. Otherwise it is the
            clock of the signer.
        generator: Program that made the claim.
        is_ai: Whether the file is marked as made by AI, also in part.
        source_type: IPTC's code of how it was made; empty if none is recorded.
        training: Whether it may be used for training: ``allowed``, ``notAllowed`` or
            ``constrained``; empty if nothing is recorded.
        ingredients: Input files that it names.
        manifest_matches: Whether nodegraph's manifest in the file is the one that was signed; null
            if none was signed.
        problems: What does not match, with codes of C2PA.
        watermark: Number of its invisible watermark; null without one.
        can_sign: Whether the server can sign files.
    """

    __pydantic_config__ = described("FileCredentials", is_open=False)

    state: CredentialState
    signer: Annotated[str, example("Studio Example")]
    issuer: str
    signed_at: Annotated[str, example("2026-12-01T09:30:00Z")]
    has_time_stamp: bool
    generator: Annotated[str, example("nodegraph 0.1.0")]
    is_ai: bool
    source_type: Annotated[str, example("trainedAlgorithmicMedia")]
    training: Annotated[str, example("notAllowed")]
    ingredients: tuple[CredentialIngredient, ...]
    manifest_matches: bool | None
    problems: tuple[str, ...]
    watermark: int | None
    can_sign: bool
