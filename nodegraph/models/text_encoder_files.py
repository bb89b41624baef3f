"""Text encoders in files of their own: which file is which, and the recipe that they make.

A model's text encoders may lie in several files, in whatever order; names and shapes of tensors
tell which is which. Folders of a text encoder, and of whole models, may be named among them.
Nothing here imports torch or reads weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.values import RecipeFile, TextEncoder
from nodegraph.errors import InvalidFile, InvalidValue, at_port
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Family, Part
from nodegraph.families.checkpoint_parts import standalone_prefix
from nodegraph.families.registry import FAMILIES, family_release, get_family
from nodegraph.families.vocabulary import find_tokenizer, missing_tokenizer_error
from nodegraph.models.model_files import encoder_settings, port_precision, port_storage
from nodegraph.models.model_sources import find_path
from nodegraph.models.model_stamps import files_stamp
from nodegraph.models.opening import DTYPES, scale_warnings
from nodegraph.models.text_encoder_parts import (
    TEXT_ENCODER,
    EncoderCandidate,
    duplicate_error,
    encoder_title,
    encoders_in,
    expected_encoders,
    no_encoder,
)
from nodegraph.weights.attached_models import whole_size
from nodegraph.weights.file_kinds import PartFiles
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.precision.choices import (
    AUTO,
    STORAGE,
    StoredTensor,
    bytes_in_memory,
    check_storage,
)
from nodegraph.weights.sentencepiece_models import TENSOR


@dataclass(frozen=True, slots=True)
class FoundEncoders:
    """Text encoders that are whole, with their tokenizers.

    Attributes:
        family: That they are of.
        encoders, tokenizers: Files by role.
    """

    family: Family
    encoders: tuple[PartFiles, ...]
    tokenizers: tuple[PartFiles, ...]

    @property
    def parts(self) -> tuple[PartFiles, ...]:
        """All of them."""
        return (*self.encoders, *self.tokenizers)


def open_text_encoder(
    family: str,
    names: Mapping[str, str],
    folders: Sequence[Path],
    *,
    dtype: str = "auto",
    device: str = "cpu",
    allow_pickle: bool = False,
    storage: str = AUTO,
) -> TextEncoder:
    """The recipe of a text encoder; nothing is loaded yet.

    Args:
        family: Of the model that it is for.
        names: Of files and folders under the models folders, or paths, by the port that names
            them; empty ones count for nothing.
        dtype, device, storage: As for `open_model`.
    Raises:
        InvalidValue: No such family, dtype or storage.
        InvalidFile: A file is none of the family's text encoders, one is there twice, or one is
            missing, or its tokenizer.
        NodegraphError: A file isn't there or is refused; see `models.locate_model`.
    """
    if dtype not in DTYPES:
        raise InvalidValue(f"no precision is called {dtype!r}", expected=", ".join(DTYPES))
    check_storage(storage)
    encoders = find_text_encoder(family, names, folders, allow_pickle=allow_pickle)
    files = tuple(
        RecipeFile(part.role, str(path), FILE_DIGESTS.digest(path))
        for part in encoders.parts
        for path in sorted(part.files)
    )
    options = [*encoder_settings(encoders.family), *port_storage(storage, encoders.encoders)]
    precision = _precision(encoders, dtype, device)
    options += family_release(encoders.family)
    return TextEncoder(encoders.family.name, files, precision, tuple(sorted(options)))


def find_text_encoder(
    family: str, names: Mapping[str, str], folders: Sequence[Path], *, allow_pickle: bool = False
) -> FoundEncoders:
    """The files of a text encoder, by role; arguments and errors as of `open_text_encoder`."""
    known = _readable(family)
    found: dict[str, EncoderCandidate] = {}
    for port, name in names.items():
        if not name.strip():
            continue
        with at_port(port):
            path = find_path(name, folders)
            by_role = encoders_in(known, port, path, allow_pickle)
        if not by_role:
            raise no_encoder(known, port, path, allow_pickle)
        for role, item in by_role.items():
            if role in found:
                raise duplicate_error(known, role, found[role], item)
            found[role] = item
    _check_whole(known, found)
    tokenizers = [
        PartFiles(tokenizer.role, _tokenizer_of(found[encoder.role], tokenizer, folders))
        for encoder, tokenizer in _pairs(known)
        if encoder.role in found
    ]
    encoders = [found[part.role].files for part in known.encoders if part.role in found]
    return FoundEncoders(known, tuple(encoders), tuple(tokenizers))


def _precision(encoders: FoundEncoders, dtype: str, device: str) -> str:
    """One for all of them: what the largest is stored in, as that is what counts."""

    def size(part: PartFiles) -> int:
        return sum(whole_size(path, path.stat().st_size) for path in part.weights)

    return port_precision(dtype, sorted(encoders.encoders, key=size, reverse=True), device)


def text_encoder_bytes(
    encoders: FoundEncoders, *, dtype: str = "auto", device: str = "cpu", storage: str = AUTO
) -> int:
    """What text encoders take in memory, from the files' headers alone.

    Args:
        dtype, device, storage: As for `open_model`.
    """
    parts = {part.role: part for part in encoders.family.encoders}
    kept = dict(port_storage(storage, encoders.encoders)).get(STORAGE, "")
    precision = _precision(encoders, dtype, device)
    return sum(
        bytes_in_memory(_own(parts[encoder.role], encoder), precision, kept)
        for encoder in encoders.encoders
    )


def text_encoder_warnings(encoders: FoundEncoders) -> list[str]:
    """What is to be told of how files store weights."""
    return scale_warnings([path for part in encoders.encoders for path in part.weights])


def text_encoder_stamp(encoders: FoundEncoders, device: str) -> str:
    """Text that changes when `open_text_encoder` would give something else for the same names."""
    files = {path for part in encoders.parts for path in part.files}
    return files_stamp(files, device, [family_release(encoders.family)])


def _own(part: Part, files: PartFiles) -> Iterator[StoredTensor]:
    alone = not any(path.name == layout.CONFIG for path in files.files)
    for path in files.weights:
        header = header_of(path)
        prefix = standalone_prefix(part, header.shapes) if alone else ""
        for name, shape in header.shapes.items():
            if name.startswith(prefix):
                yield name, shape, header.dtypes.get(name, "")


def _readable(name: str) -> Family:
    family = get_family(name)
    if not any(part.files for part in family.encoders):
        known = [item.name for item in FAMILIES.values() if any(p.files for p in item.encoders)]
        raise InvalidValue(
            f"the text encoders of {family.title} aren't read from files of their own",
            port="family",
            given=name,
            expected=", ".join(known),
            hint=did_you_mean(name, known),
        )
    return family


def _pairs(family: Family) -> Iterator[tuple[Part, Part]]:
    """Text encoders with what splits prompts up for them, or makes pictures ready."""
    last = len(family.encoders) - 1
    for at, tokenizer in enumerate(family.tokenizers):
        yield family.encoders[min(at, last)], tokenizer


def _tokenizer_of(
    encoder: EncoderCandidate, tokenizer: Part, folders: Sequence[Path]
) -> list[Path]:
    if encoder.path.is_dir():
        sibling = encoder.path.with_name(
            encoder.path.name.replace(TEXT_ENCODER, tokenizer.role.split("_")[0])
        )
        for folder in (encoder.path, sibling):
            if layout.has_tokenizer(folder):
                return layout.tokenizer_files(folder)
    elif _brings(encoder.path, tokenizer):
        return [encoder.path]
    files = find_tokenizer(tokenizer, encoder.words, [*folders, encoder.path.parent])
    if not files:
        raise missing_tokenizer_error(tokenizer, str(encoder.path), port=encoder.port)
    return files


def _brings(path: Path, tokenizer: Part) -> bool:
    """Whether a file holds its tokenizer beside the weights."""
    return tokenizer.vocabulary in PACKABLE and TENSOR in header_of(path).shapes


PACKABLE = ("gemma2",)
"""Vocabularies that files may bring; others come along."""


def _check_whole(family: Family, encoders: Mapping[str, EncoderCandidate]) -> None:
    missing = [part for part in family.encoders if not part.optional and part.role not in encoders]
    if missing:
        names = " and ".join(encoder_title(part) for part in missing)
        raise InvalidFile(
            f"{family.title} has text encoders that no file holds: {names}.",
            port=f"file_{len(encoders) + 1}" if encoders else "file",
            given=", ".join(sorted({str(item.path) for item in encoders.values()})) or "no file",
            expected=expected_encoders(family),
            hint=f"Name a file of {names}, too.",
        )
