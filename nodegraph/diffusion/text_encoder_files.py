"""Text encoders in files of their own: which file is which, and the recipe that they make.

A model's text encoders may lie in several files, in whatever order; names and shapes of tensors
tell which is which. Folders of a text encoder, and of whole models, may be named among them.
Nothing here imports torch or reads weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.values import RecipeFile, TextEncoder
from nodegraph.diffusion import diffusers_folder as layout
from nodegraph.diffusion.checkpoint_parts import checkpoint_part, prefix_alone
from nodegraph.diffusion.families import FAMILIES, Family, family_named
from nodegraph.diffusion.families.base import Part
from nodegraph.diffusion.families.identify import identify_tensors
from nodegraph.diffusion.model_files import (
    PartFiles,
    default_settings,
    port_precision,
    port_storage,
    weighty_folder,
)
from nodegraph.diffusion.models import file_shapes, find_path, header_of
from nodegraph.diffusion.opening import DTYPES, files_stamp, scales_told
from nodegraph.diffusion.precision.choices import (
    AUTO,
    STORAGE,
    StoredTensor,
    bytes_in_memory,
    check_storage,
)
from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.sentencepiece_models import TENSOR
from nodegraph.diffusion.vocabulary import find_tokenizer, missing_tokenizer
from nodegraph.errors import InvalidFile, InvalidValue, NodegraphError

_TEXT_ENCODER = "text_encoder"
"""What the names of text encoders' folders begin with."""


@dataclass(frozen=True, slots=True)
class _Given:
    """A file or folder that may be a part of a text encoder.

    Attributes:
        port: That it was named at.
        path: Of the file, or of the part's folder.
        words: In the vocabulary, if it says.
    """

    port: str
    path: Path
    files: PartFiles
    words: int


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
    found = find_text_encoder(family, names, folders, allow_pickle=allow_pickle)
    files = tuple(
        RecipeFile(part.role, str(path), FILE_DIGESTS.digest(path))
        for part in found.parts
        for path in sorted(part.files)
    )
    options = [*default_settings(found.family), *port_storage(storage, found.encoders)]
    precision = _precision(found, dtype, device)
    return TextEncoder(found.family.name, files, precision, tuple(sorted(options)))


def find_text_encoder(
    family: str, names: Mapping[str, str], folders: Sequence[Path], *, allow_pickle: bool = False
) -> FoundEncoders:
    """The files of a text encoder, by role; arguments and errors as of `open_text_encoder`."""
    known = _readable(family)
    found: dict[str, _Given] = {}
    for port, name in names.items():
        if not name.strip():
            continue
        with _at(port):
            path = find_path(name, folders)
            given = _told_apart(known, port, path, allow_pickle)
        if not given:
            raise _is_none(known, port, path, allow_pickle)
        for role, item in given.items():
            if role in found:
                raise _twice(known, role, found[role], item)
            found[role] = item
    _check_whole(known, found)
    tokenizers = [
        PartFiles(tokenizer.role, _tokenizer_of(found[encoder.role], tokenizer, folders))
        for encoder, tokenizer in _pairs(known)
        if encoder.role in found
    ]
    encoders = [found[part.role].files for part in known.encoders if part.role in found]
    return FoundEncoders(known, tuple(encoders), tuple(tokenizers))


def _precision(found: FoundEncoders, dtype: str, device: str) -> str:
    """One for all of them: what the largest is stored in, as that is what counts."""

    def size(part: PartFiles) -> int:
        return sum(path.stat().st_size for path in part.weights)

    return port_precision(dtype, sorted(found.encoders, key=size, reverse=True), device)


def text_encoder_bytes(
    found: FoundEncoders, *, dtype: str = "auto", device: str = "cpu", storage: str = AUTO
) -> int:
    """What text encoders take in memory, from the files' headers alone.

    Args:
        dtype, device, storage: As for `open_model`.
    """
    parts = {part.role: part for part in found.family.encoders}
    kept = dict(port_storage(storage, found.encoders)).get(STORAGE, "")
    precision = _precision(found, dtype, device)
    return sum(
        bytes_in_memory(_own(parts[given.role], given), precision, kept) for given in found.encoders
    )


def text_encoder_told(found: FoundEncoders) -> list[str]:
    """What is to be told of how files store weights."""
    return scales_told([path for part in found.encoders for path in part.weights])


def text_encoder_stamp(found: FoundEncoders, device: str) -> str:
    """Text that changes when `open_text_encoder` would give something else for the same names."""
    return files_stamp({path for part in found.parts for path in part.files}, device)


@contextmanager
def _at(port: str) -> Iterator[None]:
    """Say of faults inside the `with` at which port they are."""
    try:
        yield
    except NodegraphError as error:
        error.problem = replace(error.problem, port=error.problem.port or port)
        raise


def _own(part: Part, given: PartFiles) -> Iterator[StoredTensor]:
    alone = not any(path.name == layout.CONFIG for path in given.files)
    for path in given.weights:
        header = header_of(path)
        prefix = prefix_alone(part, header.shapes) if alone else ""
        for name, shape in header.shapes.items():
            if name.startswith(prefix):
                yield name, shape, header.dtypes.get(name, "")


def _readable(name: str) -> Family:
    family = family_named(name)
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


def _told_apart(family: Family, port: str, path: Path, allow_pickle: bool) -> dict[str, _Given]:
    """The parts of a family that a file or folder holds, by role."""
    if not path.is_dir():
        return _in_file(family, port, path, allow_pickle)
    if not (path / layout.INDEX).is_file():
        return _in_folder(family, port, path, allow_pickle)
    return _in_model(family, port, path, allow_pickle)


def _in_model(family: Family, port: str, path: Path, allow_pickle: bool) -> dict[str, _Given]:
    """The text encoders of a whole model: of this family by their folders' names, and else as
    they are told apart."""
    places = {place.parent.name: place.parent for place in sorted(path.glob(f"*/{layout.CONFIG}"))}
    class_name = str(layout.read_config(path / layout.INDEX).get("_class_name"))
    if class_name in family.pipelines:
        own = {part.role: places[part.role] for part in family.encoders if part.role in places}
        return {role: _of_folder(port, place, role, allow_pickle) for role, place in own.items()}
    found: dict[str, _Given] = {}
    for place in (places[name] for name in places if name.startswith(_TEXT_ENCODER)):
        for role, given in _in_folder(family, port, place, allow_pickle).items():
            if role in found:
                raise _twice(family, role, found[role], given)
            found[role] = given
    return found


def _in_file(family: Family, port: str, path: Path, allow_pickle: bool) -> dict[str, _Given]:
    shapes = file_shapes(path, allow_pickle)
    found = {}
    for part in family.encoders:
        words = _words_in(part, shapes, path)
        if words is not None:
            found[part.role] = _Given(port, path, PartFiles(part.role, [path], [path]), words)
    return found


def _words_in(part: Part, shapes: Shapes, path: Path) -> int | None:
    """Words that a part in a file knows; None if the file has no such part."""
    try:
        prefix = prefix_alone(part, shapes)
    except KeyError:
        return None
    try:
        return _words(checkpoint_part(part, shapes, prefix).config)
    except (KeyError, ValueError, IndexError) as error:
        raise InvalidFile(f"the text encoder in {path} is damaged: {error!r}") from error


def _words(config: Mapping[str, Any]) -> int:
    return int((config.get("text_config") or config).get("vocab_size") or 0)


def _in_folder(family: Family, port: str, path: Path, allow_pickle: bool) -> dict[str, _Given]:
    """A folder with a configuration: its class says what it is, and else its tensors do."""
    config = layout.read_config(path / layout.CONFIG)
    named = (config.get("architectures") or [None])[0]
    fitting = [part for part in family.encoders if named in part.classes]
    if len(fitting) != 1:
        weights = layout.find_weights(path.parent, path.name, allow_pickle=allow_pickle)
        shapes = {name: shape for file in weights.files for name, shape in _shapes(file)}
        among = fitting or [part for part in family.encoders if part.files]
        fitting = [part for part in among if _words_in(part, shapes, path) is not None]
    return {part.role: _of_folder(port, path, part.role, allow_pickle) for part in fitting[:1]}


def _of_folder(port: str, path: Path, role: str, allow_pickle: bool) -> _Given:
    files = weighty_folder(path, role, allow_pickle=allow_pickle)
    return _Given(port, path, files, _words(layout.read_config(path / layout.CONFIG)))


def _shapes(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from header_of(path).shapes.items()


def _pairs(family: Family) -> Iterator[tuple[Part, Part]]:
    """Text encoders with what splits prompts up for them, or makes pictures ready."""
    last = len(family.encoders) - 1
    for at, tokenizer in enumerate(family.tokenizers):
        yield family.encoders[min(at, last)], tokenizer


def _tokenizer_of(given: _Given, tokenizer: Part, folders: Sequence[Path]) -> list[Path]:
    if given.path.is_dir():
        sibling = given.path.with_name(
            given.path.name.replace(_TEXT_ENCODER, tokenizer.role.split("_")[0])
        )
        for place in (given.path, sibling):
            if layout.has_tokenizer(place):
                return layout.tokenizer_files(place)
    elif _brings(given.path, tokenizer):
        return [given.path]
    found = find_tokenizer(tokenizer, given.words, [*folders, given.path.parent])
    if not found:
        raise missing_tokenizer(tokenizer, str(given.path), port=given.port)
    return found


def _brings(path: Path, tokenizer: Part) -> bool:
    """Whether a file holds its tokenizer beside the weights."""
    return tokenizer.vocabulary in PACKABLE and TENSOR in header_of(path).shapes


PACKABLE = ("gemma2",)
"""Vocabularies that files may bring; others come along."""


def _check_whole(family: Family, found: Mapping[str, _Given]) -> None:
    missing = [part for part in family.encoders if not part.optional and part.role not in found]
    if missing:
        names = " and ".join(_title(part) for part in missing)
        raise InvalidFile(
            f"{family.title} has text encoders that no file holds: {names}.",
            port=f"file_{len(found) + 1}" if found else "file",
            given=", ".join(sorted({str(item.path) for item in found.values()})) or "no file",
            expected=_expected(family),
            hint=f"Name a file of {names}, too.",
        )


def _is_none(family: Family, port: str, path: Path, allow_pickle: bool) -> InvalidFile:
    what, hint = _what(path, allow_pickle)
    return InvalidFile(
        f"{path} is {what}, which is no text encoder of {family.title}.",
        port=port,
        expected=_expected(family),
        hint=hint,
    )


def _what(path: Path, allow_pickle: bool) -> tuple[str, str]:
    """What a file or folder is, and what to do about it."""
    if path.is_dir():
        named = layout.read_config(path / layout.CONFIG).get("architectures") or ["folder"]
        return f"a {named[0]}", _NO_WHOLE
    shapes = file_shapes(path, allow_pickle)
    known = [
        (item.title, family.title)
        for family in FAMILIES.values()
        for part in family.encoders
        for item in part.files
        if item.prefix(shapes) is not None
    ]
    if known:
        return known[0][0], f"It is for {', '.join(dict.fromkeys(name for _, name in known))}."
    what = identify_tensors(shapes)
    return what.title, f"{what.node} takes it." if what.node else _NO_WHOLE


_NO_WHOLE = "Name files that hold text encoders; LoadModel opens whole models."


def _twice(family: Family, role: str, first: _Given, second: _Given) -> InvalidFile:
    part = next(part for part in family.encoders if part.role == role)
    return InvalidFile(
        f"{first.path} and {second.path} are both {_title(part)}.",
        port=second.port,
        expected=_expected(family),
        hint="Leave one of them out.",
    )


def _expected(family: Family) -> str:
    return ", ".join(
        f"{_title(part)}{' (may be left out)' if part.optional else ''}"
        for part in family.encoders
        if part.files
    )


def _title(part: Part) -> str:
    return part.files[0].title if part.files else part.classes[0]
