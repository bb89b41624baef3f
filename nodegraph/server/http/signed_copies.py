"""Signed copies of output files, made when a client asks for them. Nothing of them is kept."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from uuid import uuid4

from fastapi import Request, Response

from nodegraph.core.file_access import upload_digest
from nodegraph.errors import InvalidFile, InvalidWorkflow
from nodegraph.provenance.signing import SignedFile
from nodegraph.server.access.caller import Caller
from nodegraph.server.http.file_responses import retry_until_shared
from nodegraph.server.http.media_types import content_headers
from nodegraph.server.http.responses import OpenFile, file_response
from nodegraph.session.settings import Settings
from nodegraph.session.signing import Locate, SigningFiles, SpecSource, readable_files, sign_result

if TYPE_CHECKING:
    from nodegraph.server.services import Services

_ZIP = "application/zip"


def can_sign(settings: Settings) -> bool:
    """Return whether a server can sign files: it has the extra ``c2pa`` and a certificate."""
    return SigningFiles.of(settings).exist


async def signed_response(
    request: Request, services: Services, caller: Caller, digest: str
) -> Response:
    """Answer a request for a signed copy of an output file.

    Raises:
        NotFound: There is no such file.
        InvalidValue: The server can't sign: it lacks the extra, or a certificate.
    """
    artifact = await services.read_queue(services.artifacts.find, digest, caller.only_client)
    opened = partial(services.artifacts.open, artifact)
    name = PurePath(artifact.path).name
    try:
        texts = await retry_until_shared(
            lambda: services.artifacts.thumbnails.texts(PurePath(name).suffix, opened, caller.name)
        )
    except InvalidFile:
        texts = {}  # what it says can't be read, but its bytes can be signed
    types = await services.node_types.current()
    copy, is_zip = await services.run_file_task(
        _sign_artifact, services, caller.only_client, opened, name, texts, types
    )
    kind, name = (_ZIP, f"{name}.zip") if is_zip else (artifact.media_type, name)
    # Its time makes each copy another file.
    headers = content_headers(kind, name, is_saved=True)
    return file_response(request, copy, headers, cached="no-store")


def _sign_artifact(
    services: Services,
    client: str | None,
    opened: Callable[[], OpenFile],
    name: str,
    texts: Mapping[str, str],
    specs: SpecSource,
) -> tuple[OpenFile, bool]:
    """Return a signed copy of an output file, and whether it is a ZIP file with its credentials.

    Args:
        client: Whose uploads may become ingredients; None for everybody's.
        opened: Opens the file.
        name: Name of the file.
        texts: Texts that it carries.
    Raises:
        InvalidFile, InvalidValue, OutputError: See `sign_result`.
    """
    # On Windows, a file that is open can't be deleted: it goes with the next restart.
    with TemporaryDirectory(prefix="nodegraph-", ignore_cleanup_errors=True) as folder:
        # A name of a client could be any; the claim has it as its title.
        source = Path(folder) / f"source{Path(name).suffix[:13]}"
        target = Path(folder) / "signed" / source.name
        target.parent.mkdir()
        artifact = opened()
        with artifact.file, source.open("wb") as copy:
            artifact.file.seek(0)
            shutil.copyfileobj(artifact.file, copy, 1 << 20)
        signed = sign_result(
            source,
            target,
            services.settings,
            specs,
            _readable(services, client),
            title=name,
            texts=texts,
        )
        path = target if signed.sidecar is None else _packed(signed, name, Path(folder))
        return OpenFile(path.open("rb"), path.stat().st_size, uuid4().hex), path != target


def _packed(signed: SignedFile, name: str, folder: Path) -> Path:
    packed = folder / "signed.zip"
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(signed.path, name)
        if signed.sidecar is not None:
            archive.write(signed.sidecar, f"{name}{signed.sidecar.suffix}")
    return packed


def _readable(services: Services, client: str | None) -> Locate:
    """Return how to find the input files that a client's jobs may read."""
    folder = readable_files(services.environment)

    def locate(name: str) -> Path | None:
        if upload_digest(name) is None:
            return folder(name)
        try:
            path = Path(services.uploads.resolve(name, client))
        except InvalidWorkflow:
            return None  # another client's, or deleted since
        granted = replace(services.environment, granted=frozenset({path}))
        return readable_files(granted)(str(path))

    return locate
