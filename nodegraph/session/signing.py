"""Signed copies of results: what is claimed follows from the workflow that a file carries.

The settings name the certificate. Input files become ingredients, as far as they may be read.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from nodegraph.core.context import Environment
from nodegraph.core.file_access import is_readable
from nodegraph.core.links import is_link, read_literal
from nodegraph.core.workflow import Workflow
from nodegraph.errors import InvalidFile, NodegraphError
from nodegraph.media.images.input_files import translate_os_errors
from nodegraph.provenance.c2pa_library import is_c2pa_installed
from nodegraph.provenance.certificates import (
    CERTIFICATE_FILE,
    KEY_FILE,
    SIGNING_FOLDER,
    load_certificate,
    read_trusted,
)
from nodegraph.provenance.child import WatermarkWish, sign_isolated, verify_isolated
from nodegraph.provenance.claims import Claim, IngredientFile, Training, source_type
from nodegraph.provenance.signing import MOST_INGREDIENTS, SignedFile
from nodegraph.provenance.verification import Credentials, carried_manifest
from nodegraph.session.results.files import result_texts
from nodegraph.session.settings import Settings

if TYPE_CHECKING:
    from nodegraph.core.parts import NodeEntry
    from nodegraph.core.spec import NodeSpec

_MODEL_TYPES = ("Model", "Latent", "Vae", "Encoder", "Classifier", "Guider", "ControlNet")
"""Parts of the types of ports at nodes that a trained model takes part in."""
Locate = Callable[[str], Path | None]
"""Returns the path of an input file by its name in a workflow; None if it may not be read."""


class SpecSource(Protocol):
    """Where node types come from: a registry, or the types that a server knows."""

    def spec(self, node_type: str) -> NodeSpec | None:
        """Return the spec of a node type; None if it is unknown."""


@dataclass(frozen=True, slots=True)
class SigningFiles:
    """The certificate that signs, and its key.

    Attributes:
        certificate, key: PEM files; they may not exist.
    """

    certificate: Path
    key: Path

    @classmethod
    def of(cls, settings: Settings) -> SigningFiles:
        """Return those that settings name, or the own ones."""
        folder = settings.data_folder / SIGNING_FOLDER
        return cls(
            settings.sign_certificate or folder / CERTIFICATE_FILE,
            settings.sign_key or folder / KEY_FILE,
        )

    @property
    def exist(self) -> bool:
        """Whether files can be signed here: the extra is installed, and there is a certificate."""
        return is_c2pa_installed() and self.certificate.is_file() and self.key.is_file()


def sign_result(
    source: Path,
    target: Path,
    settings: Settings,
    specs: SpecSource,
    locate: Locate,
    *,
    title: str = "",
    training: Training | None = None,
    constraints: str = "",
    watermark: WatermarkWish | None = None,
    certificate: SigningFiles | None = None,
    texts: Mapping[str, str] | None = None,
) -> SignedFile:
    """Write a signed copy of a result; the result itself stays as it is.

    Args:
        target: Path of the copy; it may be the source.
        title: Name that is recorded; that of the source if empty.
        training, constraints: See `Claim`; the settings decide if None.
        watermark: See `sign_isolated`; the settings decide if None.
        certificate: Another certificate than that of the settings.
        texts: Texts that the source carries; they are read if None.
    Raises:
        InvalidFile, InvalidValue, OutputError: See `sign_file` and `watermark_file`.
    """
    files = certificate or SigningFiles.of(settings)
    # Before anything is read: why it can't be signed is more often the certificate.
    load_certificate(files.certificate, files.key)
    carried = _texts(source) if texts is None else texts
    workflow = _workflow(carried)
    inputs = tuple(input_files(workflow, specs, locate)) if workflow else ()
    claim = Claim(
        title or source.name,
        source_type(is_generated=_is_marked(workflow, specs, inputs), inputs=inputs),
        inputs,
        training or settings.sign_training,
        constraints,
        carried_manifest(carried),
        datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    return sign_isolated(
        source,
        target,
        claim,
        files.certificate,
        files.key,
        time_authority=settings.time_authority,
        watermark=watermark or ("possible" if settings.sign_watermark else "off"),
    )


def verify_result(path: Path, settings: Settings) -> Credentials:
    """Check the credentials of a file; see `verify_isolated`.

    The own certificate is trusted, and those that the settings name.

    Raises:
        InvalidFile, InvalidValue: See `verify_isolated`.
    """
    return verify_isolated(
        path, trusted_certificates(settings), manifest=carried_manifest(_texts(path))
    )


def trusted_certificates(settings: Settings) -> list[str]:
    """Return the certificates in PEM that files are verified with.

    Raises:
        InvalidFile: One that the settings name can't be read.
    """
    own = SigningFiles.of(settings).certificate
    if not settings.trusted_certificates and not own.is_file():
        return []
    return read_trusted(settings.trusted_certificates, own)


def is_generated(workflow: Workflow | None, specs: SpecSource) -> bool:
    """Return whether a trained model took part in a result.

    What is not known counts as generated: a mark too many misleads less than one too few.
    """
    if workflow is None:
        return True
    for entry in _entries(workflow):
        if entry.type in workflow.subgraphs:
            continue
        spec = specs.spec(entry.type)
        if spec is None or spec.lane == "gpu" or "secret" in spec.inputs_by_name:
            return True
        kinds = [port.type for port in spec.inputs] + [port.type for port in spec.outputs]
        if any(part in kind for kind in kinds for part in _MODEL_TYPES):
            return True
    return False


def _is_marked(
    workflow: Workflow | None, specs: SpecSource, inputs: Sequence[IngredientFile]
) -> bool:
    """Return whether a model took part in a result, or in an input file made by nodegraph."""
    if is_generated(workflow, specs):
        return True
    earlier = (_workflow(_texts(item.path)) for item in inputs)
    return any(each is not None and is_generated(each, specs) for each in earlier)


def input_files(workflow: Workflow, specs: SpecSource, locate: Locate) -> Iterator[IngredientFile]:
    """Yield the input files of a workflow: pictures, videos and audio, each once.

    Of a folder, the files in it are named. Models are no ingredients.
    """
    known: set[Path] = set()
    for entry in _entries(workflow):
        spec = specs.spec(entry.type)
        for port in () if spec is None else spec.file_ports:
            written = entry.inputs.get(port)
            if spec is None or spec.inputs_by_name[port].is_model_file or is_link(written):
                continue
            literal = read_literal(written)
            path = locate(literal) if isinstance(literal, str) and literal else None
            for file in () if path is None else _files_at(path):
                if file not in known and len(known) < MOST_INGREDIENTS:
                    known.add(file)
                    title = str(literal).replace("\\", "/").rpartition("/")[2]
                    yield IngredientFile(file, title if file == path else file.name)


def readable_files(environment: Environment) -> Locate:
    """Return how to find the input files that a run with these permissions may read."""

    def locate(name: str) -> Path | None:
        if not is_readable(name, environment):
            return None
        path = environment.inputs / Path(name).expanduser()
        return path if path.exists() else None

    return locate


def _files_at(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file())[:MOST_INGREDIENTS]
    return [path] if path.is_file() else []


def _entries(workflow: Workflow) -> Iterator[NodeEntry]:
    yield from workflow.nodes.values()
    for subgraph in workflow.subgraphs.values():
        yield from subgraph.nodes.values()


def _texts(path: Path) -> Mapping[str, str]:
    """Return the texts of a file.

    Raises:
        InvalidFile: It is missing, or can't be read.
    """
    with translate_os_errors(path), path.open("rb"):
        pass
    try:
        return result_texts(path) or {}
    except InvalidFile:
        # Its credentials show whether it is intact. What else it claims can't be read.
        return {}


def _workflow(texts: Mapping[str, str]) -> Workflow | None:
    text = texts.get("workflow")
    if not text:
        return None
    try:
        document: Any = json.loads(text)
        return Workflow.from_dict(document)
    except (ValueError, RecursionError, NodegraphError):
        return None
