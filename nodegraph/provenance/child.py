"""Signing and verification in a child process, with bounds of time and memory.

A manifest is parsed by native code. A hostile one may loop, fill the memory or crash: then only the
child ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError, OutputError, Problem
from nodegraph.provenance.c2pa_library import has_credentials, load_c2pa
from nodegraph.provenance.certificates import load_certificate
from nodegraph.provenance.claims import Claim
from nodegraph.provenance.signing import SignedFile, sign_file
from nodegraph.provenance.verification import Credentials, verify_file

WatermarkWish = Literal["off", "possible", "needed"]

SECONDS = 60.0
"""Time that a file may take; one of a gigabyte takes a few seconds."""
_MEMORY = 4 << 30
"""Bytes of address space, most of which libraries only reserve."""
_MOST_ANSWER = 4 << 20
_KINDS = {kind.code: kind for kind in (InvalidFile, InvalidValue, OutputError)}


def verify_isolated(
    path: Path, trusted: Sequence[str] = (), *, manifest: str = "", seconds: float = SECONDS
) -> Credentials:
    """Check the credentials of a file in a child process; see `verify_file`.

    Files without credentials start no process, and need no library.

    Raises:
        InvalidFile: It can't be read, or checking it takes too long or too much memory.
        InvalidValue: The library is not installed.
    """
    if not has_credentials(path):
        return Credentials()
    load_c2pa()
    request = {
        "task": "verify",
        "path": str(path.absolute()),
        "trusted": list(trusted),
        "manifest": manifest,
    }
    return Credentials.from_dict(_ask(request, path, seconds))


def sign_isolated(
    source: Path,
    target: Path,
    claim: Claim,
    certificate: Path,
    key: Path,
    *,
    time_authority: str = "",
    watermark: WatermarkWish = "off",
    seconds: float = SECONDS,
) -> SignedFile:
    """Write a signed copy of a file in a child process; see `sign_file`.

    Args:
        certificate, key: PEM files; see `load_certificate`.
        watermark: Whether an image also gets a watermark that stands for the certificate.
            ``possible`` leaves out files that can't have one, ``needed`` refuses them.
    Raises:
        InvalidFile, InvalidValue, OutputError: See `sign_file`.
    """
    load_c2pa()
    request = {
        "task": "sign",
        "source": str(source.absolute()),
        "target": str(target.absolute()),
        "claim": claim.as_dict(),
        "certificate": str(certificate.absolute()),
        "key": str(key.absolute()),
        "time_authority": time_authority,
        "watermark": watermark,
    }
    answer = _ask(request, source, seconds)
    sidecar = answer["sidecar"]
    return SignedFile(target, Path(sidecar) if sidecar else None, tuple(answer["left_out"]))


def _ask(request: Mapping[str, Any], path: Path, seconds: float) -> dict[str, Any]:
    """Return the answer of a child process.

    Raises:
        NodegraphError: What it raised, or that it ended without an answer.
    """
    command = [sys.executable, "-m", "nodegraph.provenance.child"]
    try:
        done = subprocess.run(  # noqa: S603 - the command contains nothing of the file
            command,
            input=json.dumps(request).encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidFile(
            f"the credentials of {path} take too long", expected=f"at most {seconds:g} s"
        ) from error
    try:
        answer = json.loads(done.stdout[:_MOST_ANSWER])
    except ValueError as error:
        raise InvalidFile(
            f"the credentials of {path} can't be read",
            given=f"they ended the process that reads them (code {done.returncode})",
        ) from error
    if "problem" in answer:
        problem = Problem.from_dict(answer["problem"])
        kind = _KINDS.get(problem.code, InvalidFile)
        raise kind(
            problem.message, given=problem.given, expected=problem.expected, hint=problem.hint
        )
    result: dict[str, Any] = answer["result"]
    return result


def _perform(request: Mapping[str, Any]) -> dict[str, Any]:
    if request["task"] == "verify":
        return verify_file(
            Path(request["path"]), request["trusted"], manifest=request["manifest"]
        ).as_dict()
    return _sign(request)


def _sign(request: Mapping[str, Any]) -> dict[str, Any]:
    certificate = load_certificate(Path(request["certificate"]), Path(request["key"]))
    source, target = Path(request["source"]), Path(request["target"])
    claim = Claim.from_dict(request["claim"])
    marked = target.with_name(f".{target.stem}.{os.urandom(4).hex()}{source.suffix}")
    try:
        if request["watermark"] != "off":
            # It needs numpy, which those who only start this process need not import.
            from nodegraph.provenance.watermarked_files import certificate_payload, watermark_file

            payload = certificate_payload(certificate.chain)
            try:
                watermark_file(source, marked, payload)
            except NodegraphError:
                if request["watermark"] == "needed":
                    raise
            else:
                source, claim = marked, replace(claim, watermark=payload)
        signed = sign_file(
            source, target, claim, certificate, time_authority=request["time_authority"]
        )
    finally:
        marked.unlink(missing_ok=True)
    sidecar = None if signed.sidecar is None else str(signed.sidecar)
    return {"sidecar": sidecar, "left_out": list(signed.left_out)}


def main() -> None:
    """Read a request from standard input, and write the answer to standard output."""
    _bound_memory()
    try:
        answer: dict[str, Any] = {"result": _perform(json.loads(sys.stdin.buffer.read()))}
    except NodegraphError as error:
        answer = {"problem": error.problem.as_dict()}
    except MemoryError:
        answer = {
            "problem": {"code": InvalidFile.code, "message": "the credentials take too much memory"}
        }
    sys.stdout.buffer.write(json.dumps(answer).encode())


def _bound_memory() -> None:
    if sys.platform == "win32":
        return  # no process can bound itself there
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    main()
