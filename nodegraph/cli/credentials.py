"""The commands of `nodegraph credentials`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypedDict, cast

import typer

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import (
    BAD_INPUT,
    FAILED,
    FINE,
    StyledText,
    echo,
    format_path,
    print_json,
    print_problems,
    print_warnings,
    warn,
)
from nodegraph.errors import InvalidValue, NodegraphError

if TYPE_CHECKING:
    from nodegraph.provenance.claims import Training
    from nodegraph.provenance.signing import SignedFile
    from nodegraph.provenance.verification import Credentials
    from nodegraph.session.session import Session
    from nodegraph.session.signing import SigningFiles

FilesArgument = Annotated[list[str], typer.Argument(metavar="FILE", help="Files of any kind.")]
_TRAININGS = ("notAllowed", "allowed", "constrained")
_MEANINGS: dict[str, StyledText] = {
    "trusted": ("intact, signed by a trusted certificate", "green"),
    "self-signed": ("intact, self-signed: the name is not verified", "green"),
    "untrusted": ("intact, by a certificate that is not trusted here", "yellow"),
    "expired": ("intact, by a certificate that has expired", "yellow"),
    "not-yet-valid": ("intact, by a certificate that is not valid yet", "yellow"),
    "tampered": ("changed since it was signed", "red"),
    "damaged": ("its credentials can't be read", "red"),
    "absent": ("no credentials", "dim"),
}


def sign(
    common: CommonOptions,
    files: FilesArgument,
    out: Annotated[
        str | None,
        typer.Option(metavar="FOLDER", help="Folder for the signed copies  [default: signed]"),
    ] = None,
    in_place: Annotated[
        bool, typer.Option("--in-place", help="Replace the files by their signed copies.")
    ] = False,
    certificate: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="PEM file of a certificate, with those of its issuers."),
    ] = None,
    key: Annotated[
        str | None, typer.Option(metavar="FILE", help="PEM file of its private key.")
    ] = None,
    training: Annotated[
        str | None,
        typer.Option(
            metavar="USE",
            help="Whether the files may be used for training: notAllowed, allowed or constrained.",
        ),
    ] = None,
    constraints: Annotated[
        str, typer.Option(metavar="TEXT", help="Conditions of constrained, such as a license.")
    ] = "",
    watermark: Annotated[
        bool | None,
        typer.Option("--watermark/--no-watermark", help="Also put a watermark into images."),
    ] = None,
    inputs: Annotated[
        str | None,
        typer.Option(
            metavar="FOLDER", help="Folder of the workflow's input files  [default: its setting]"
        ),
    ] = None,
    json: JsonOption = False,
) -> int:
    """Sign copies of files with C2PA (Content Credentials).

    The copies say that they were made by AI, from which input files, and whether they may be used
    for training, as far as the workflow in the file shows it. The manifest is in the copy, or
    beside it as FILE.c2pa for formats that have no room for it, such as GLB.
    """
    from nodegraph.core.files import make_folder

    if in_place and out is not None:
        raise InvalidValue("--in-place and --out cannot be combined", hint="Choose one of them.")
    options = _SignOptions(
        certificate=_certificate_files(certificate, key),
        training=_training(training, constraints, common),
        constraints=constraints,
        watermark=None if watermark is None else "needed" if watermark else "off",
    )
    folder = None if in_place else Path(out or "signed").expanduser()
    if folder is not None:
        _check_names(files)
        make_folder(folder)
    input_folder = None if inputs is None else Path(inputs).expanduser().absolute()
    with common.session(inputs=input_folder) as session:
        print_warnings(session.problems)
        documents = [_sign(session, name, folder, options, json=json) for name in files]
    if json:
        print_json({"files": documents})
    return BAD_INPUT if any("problems" in each for each in documents) else FINE


class _SignOptions(TypedDict):
    """Options of `session.signing.sign_result`."""

    certificate: SigningFiles | None
    training: Training | None
    constraints: str
    watermark: Literal["needed", "off"] | None


def _training(training: str | None, constraints: str, common: CommonOptions) -> Training | None:
    if training is not None and training not in _TRAININGS:
        raise InvalidValue(
            "--training has no such use", given=training, expected=", ".join(_TRAININGS)
        )
    if constraints and (training or common.settings().sign_training) != "constrained":
        raise InvalidValue(
            "--constraints is only for files whose use for training is constrained",
            hint="Add `--training constrained`.",
        )
    return cast("Training | None", training)


def _sign(
    session: Session, name: str, folder: Path | None, options: _SignOptions, *, json: bool
) -> dict[str, Any]:
    """Sign a file and print what was done; its document for JSON output."""
    from nodegraph.session.signing import readable_files, sign_result

    source = Path(name).expanduser()
    try:
        signed = sign_result(
            source,
            source if folder is None else folder / source.name,
            session.settings,
            session.registry,
            readable_files(session.environment),
            **options,
        )
    except NodegraphError as error:
        if not json:
            print_problems(error.problems, count=False)
        return _problem_document(name, error)
    if not json:
        _print_signed(signed)
    return _signed_document(name, signed)


def _check_names(files: Sequence[str]) -> None:
    """Refuse files of one name from two folders: the second copy would replace the first."""
    sources: dict[str, Path] = {}
    for name in files:
        source = Path(name).expanduser().absolute()
        other = sources.setdefault(source.name, source)
        if other != source:
            raise InvalidValue(
                f"{name} and {other} have one name, so their signed copies would be one file",
                hint="Sign them one by one, each with its own --out.",
            )


def _certificate_files(certificate: str | None, key: str | None) -> SigningFiles | None:
    from nodegraph.session.signing import SigningFiles

    if (certificate is None) != (key is None):
        raise InvalidValue("--certificate and --key belong together", hint="Give both.")
    if certificate is None or key is None:
        return None
    return SigningFiles(Path(certificate).expanduser(), Path(key).expanduser())


def _print_signed(signed: SignedFile) -> None:
    echo((format_path(signed.path), "bold"), ": signed")
    if signed.sidecar is not None:
        echo(f"  Its credentials are in {format_path(signed.sidecar)}: keep both together.")
    if signed.left_out:
        warn(f"no ingredients, because they can't be read: {', '.join(signed.left_out)}")


def _problem_document(name: str, error: NodegraphError) -> dict[str, Any]:
    return {"file": name, "problems": [each.as_dict() for each in error.problems]}


def _signed_document(name: str, signed: SignedFile) -> dict[str, Any]:
    return {
        "file": name,
        "signed": str(signed.path),
        "sidecar": None if signed.sidecar is None else str(signed.sidecar),
        "left_out": list(signed.left_out),
    }


def verify(
    common: CommonOptions,
    files: FilesArgument,
    trusted: Annotated[
        bool, typer.Option("--trusted", help="Also fail files whose signer is not trusted.")
    ] = False,
    json: JsonOption = False,
) -> int:
    """Show who signed files, and whether they changed since.

    Exit code 0 if all files are as they were signed, 1 if one was changed or has no credentials. A
    signature proves who held a key, not that a statement is true: see docs/authorship.md.
    """
    from nodegraph.session.signing import verify_result

    settings = common.settings()
    documents, is_bad, has_failed = [], False, False
    for name in dict.fromkeys(_without_manifest_suffix(name) for name in files):
        path = Path(name).expanduser()
        try:
            credentials = verify_result(path, settings)
            mark = _read_mark(path)
        except NodegraphError as error:
            has_failed = True
            documents.append(_problem_document(name, error))
            if not json:
                print_problems(error.problems, count=False)
            continue
        is_bad |= not credentials.is_intact or (trusted and credentials.state != "trusted")
        documents.append({"file": name, **credentials.as_dict(), "watermark": mark})
        if not json:
            _print_credentials(name, credentials, mark)
    if json:
        print_json({"files": documents})
    return BAD_INPUT if has_failed else FAILED if is_bad else FINE


def _without_manifest_suffix(name: str) -> str:
    """The name of the file that a manifest lies beside: as with ``verify signed/*``."""
    from nodegraph.provenance.c2pa_library import SIDECAR

    return name[: -len(SIDECAR)] if name.lower().endswith(SIDECAR) else name


def _read_mark(path: Path) -> int | None:
    from nodegraph.provenance.watermarked_files import read_file_watermark

    reading = read_file_watermark(path)
    return None if reading is None else reading.payload


def _print_credentials(name: str, credentials: Credentials, mark: int | None) -> None:
    echo((name, "bold"), ": ", _MEANINGS[credentials.state])
    if credentials.state != "absent":
        clock = _clock_text(credentials)
        source = f" ({credentials.source_type})" if credentials.source_type else ""
        rows = [
            ("signed by", credentials.signer),
            ("issued by", credentials.issuer if credentials.issuer != credentials.signer else ""),
            ("signed at", f"{credentials.signed_at} {clock}" if credentials.signed_at else ""),
            ("made by", f"AI{source}" if credentials.is_ai else credentials.source_type),
            ("program", credentials.generator),
            ("training", credentials.training),
            ("workflow", _manifest_text(credentials.manifest_matches)),
        ]
        for label, value in rows:
            if value:
                echo(f"  {label:10}", value)
        for item in credentials.ingredients:
            whose = f" by {item.signer}" if item.signer else ""
            ai = ", made by AI" if item.is_ai else ""
            echo(f"  {'input':10}", f"{item.title} ({item.state}{whose}{ai})")
        for problem in credentials.problems:
            echo(("  problem   ", "red"), problem)
    if mark is not None:
        echo(f"  {'watermark':10}", f"{mark:08x}")


def _clock_text(credentials: Credentials) -> str:
    if not credentials.time_authority:
        return "by the signer's own clock"
    is_trusted = credentials.has_time_stamp
    limit = "" if is_trusted else ", which is not trusted here"
    return f"by the time stamp authority {credentials.time_authority}{limit}"


def _manifest_text(matches: bool | None) -> str:
    if matches is None:
        return ""
    return "the one that was signed" if matches else "not the one that was signed"


def certificate(
    common: CommonOptions,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Name of the signer; it may be a pseudonym.")
    ],
    organization: Annotated[
        str, typer.Option(metavar="NAME", help="Organization, which verifiers show.")
    ] = "",
    json: JsonOption = False,
) -> int:
    """Make an own certificate and its key, for signing.

    The certificate is self-signed. It shows that files come from the same key. No authority has
    verified the name, so verifiers of others show it as not trusted.
    """
    from nodegraph.provenance.c2pa_library import load_c2pa
    from nodegraph.provenance.certificates import SIGNING_FOLDER, create_certificate

    load_c2pa()
    folder = common.settings().data_folder / SIGNING_FOLDER
    made = create_certificate(folder, name, organization)
    expires = made.expires.date().isoformat()
    if json:
        print_json({"name": made.name, "expires": expires, "folder": str(folder)})
        return FINE
    echo("Made a certificate for ", (made.name, "bold"), f", valid until {expires}.")
    echo(f"  {format_path(folder)} has it and its private key.")
    echo("  Only you may read the key: back it up, and do not share it.")
    echo("  Others see your signature as not trusted: it is self-signed. Give them certificate.pem")
    echo("  by a way that they trust, or get a certificate of an authority.")
    return FINE
