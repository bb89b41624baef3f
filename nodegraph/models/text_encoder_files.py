"""Text encoders in files or folders: find, identify the role, build the recipe.

A model's text encoders may be in several files, in any order; tensor names and shapes identify
each. Folders of a text encoder, and of whole models, may be named too. Imports no torch, and reads
no weights.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.values import RecipeFile, TextEncoder
from nodegraph.core.weight_files import GGUF, PartFiles, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue, at_port
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Family, Part
from nodegraph.families.checkpoint_parts import (
    checkpoint_part,
    standalone_names,
    standalone_prefix,
)
from nodegraph.families.identification import identify_tensors
from nodegraph.families.registry import (
    FAMILIES,
    call_family,
    families_with_encoder_files,
    family_release,
    get_family,
)
from nodegraph.families.vocabulary import (
    find_tokenizer,
    is_in_file,
    missing_tokenizer_error,
    pair_tokenizers,
)
from nodegraph.models.model_files import (
    encoder_settings,
    files_stamp,
    folder_part_files,
    port_precision,
    port_storage,
)
from nodegraph.models.model_recipes import DTYPES, scale_warnings
from nodegraph.models.model_sources import file_shapes, find_path
from nodegraph.weights.attached_models import whole_size
from nodegraph.weights.gguf_files import check_gguf_installed
from nodegraph.weights.joined_files import header_of, joined_shapes
from nodegraph.weights.precision.storage import (
    AUTO,
    STORAGE,
    StoredTensor,
    bytes_in_memory,
    check_storage,
)
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import DAMAGED, FileLayout, fault_text

TEXT_ENCODER = "text_encoder"
"""What the names of text encoders' folders begin with."""


@dataclass(frozen=True, slots=True)
class EncoderCandidate:
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


def encoders_in(
    family: Family, port: str, path: Path, allow_pickle: bool
) -> dict[str, EncoderCandidate]:
    """The parts of a family's text encoder that a file or folder holds, by role.

    Args:
        port: That it was named at.
    Raises:
        InvalidFile: It is damaged, or a folder holds one twice.
        UnsafeFile: It is a pickle file, and those aren't allowed.
    """
    if not path.is_dir():
        return _in_file(family, port, path, allow_pickle)
    if not layout.is_whole_model(path):
        if not (path / layout.CONFIG).is_file():
            raise InvalidFile(
                f"{path} is not the folder of a text encoder: it has no {layout.CONFIG}",
                expected=expected_encoders(family),
                hint="Choose a .safetensors file, or the folder of a text encoder or a whole "
                "model.",
            )
        return _in_folder(family, port, path, allow_pickle)
    return _in_model(family, port, path, allow_pickle)


def _in_model(
    family: Family, port: str, path: Path, allow_pickle: bool
) -> dict[str, EncoderCandidate]:
    """The text encoders of a whole model: of this family by their folders' names, and else as
    they are told apart."""
    places = {
        folder.parent.name: folder.parent for folder in sorted(path.glob(f"*/{layout.CONFIG}"))
    }
    class_name = str(layout.read_config(layout.index_file(path)).get("_class_name"))
    if class_name in family.pipelines:
        own = {part.role: places[part.role] for part in family.encoders if part.role in places}
        return {role: _of_folder(port, folder, role, allow_pickle) for role, folder in own.items()}
    encoders: dict[str, EncoderCandidate] = {}
    for folder in (places[name] for name in places if name.startswith(TEXT_ENCODER)):
        for role, encoder in _in_folder(family, port, folder, allow_pickle).items():
            if role in encoders:
                raise duplicate_error(family, role, encoders[role], encoder)
            encoders[role] = encoder
    return encoders


def _in_file(
    family: Family, port: str, path: Path, allow_pickle: bool
) -> dict[str, EncoderCandidate]:
    shapes = file_shapes(path, allow_pickle)
    if file_suffix(path) == GGUF:
        check_gguf_installed(header_of(path).dtypes.values())
    encoders = {}
    for part in family.encoders:
        words = _words_in(part, shapes, path)
        if words is not None:
            encoders[part.role] = EncoderCandidate(
                port, path, PartFiles(part.role, [path], [path]), words
            )
    return encoders


def _words_in(part: Part, shapes: Shapes, path: Path) -> int | None:
    """Words that a part in a file knows; None if the file has no such part."""
    try:
        prefix = standalone_prefix(part, shapes)
    except KeyError:
        return None
    try:
        return _words(checkpoint_part(part, shapes, prefix).config)
    except DAMAGED as error:
        raise InvalidFile(
            f"the text encoder in {path} is damaged: {fault_text(error)}",
            hint="Copy the file again.",
        ) from error


def _words(config: Mapping[str, Any]) -> int:
    return int((config.get("text_config") or config).get("vocab_size") or 0)


def _in_folder(
    family: Family, port: str, path: Path, allow_pickle: bool
) -> dict[str, EncoderCandidate]:
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


def _of_folder(port: str, path: Path, role: str, allow_pickle: bool) -> EncoderCandidate:
    files = folder_part_files(path, role, allow_pickle=allow_pickle)
    return EncoderCandidate(port, path, files, _words(layout.read_config(path / layout.CONFIG)))


def _shapes(path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from header_of(path).shapes.items()


def no_encoder(family: Family, port: str, path: Path, allow_pickle: bool) -> InvalidFile:
    """What is raised where a file or folder holds no part of the family's text encoder."""
    what, hint = _describe_path(path, allow_pickle)
    return InvalidFile(
        f"{path} is {what}, which is not a text encoder of {family.title}",
        port=port,
        expected=expected_encoders(family),
        hint=hint,
    )


def _reads(family: Family, encoder: FileLayout, shapes: Shapes) -> bool:
    return call_family(family, lambda _: encoder.prefix(shapes) is not None, otherwise=False)


def _describe_path(path: Path, allow_pickle: bool) -> tuple[str, str]:
    """What a file or folder is, and what to do about it."""
    if path.is_dir():
        return f"a {_class_in(path)}", _NO_WHOLE
    shapes = file_shapes(path, allow_pickle)
    known = [
        (item.title, family.title)
        for family in FAMILIES.values()
        for part in family.encoders
        for item in part.files
        if _reads(family, item, shapes)
    ]
    if known:
        return known[0][0], f"It is for {', '.join(dict.fromkeys(name for _, name in known))}."
    what = identify_tensors(shapes)
    return what.title, f"Load it with {what.node}." if what.node else _NO_WHOLE


def _class_in(folder: Path) -> str:
    """What a folder says that it holds."""
    whole = layout.is_whole_model(folder)
    config = layout.read_config(layout.index_file(folder) if whole else folder / layout.CONFIG)
    return str((config.get("architectures") or [config.get("_class_name") or "folder"])[0])


_NO_WHOLE = "Choose files that hold text encoders; LoadModel loads whole models."


def duplicate_error(
    family: Family, role: str, first: EncoderCandidate, second: EncoderCandidate
) -> InvalidFile:
    """What is raised where two hold the same part."""
    part = next(part for part in family.encoders if part.role == role)
    title, same = encoder_title(part), first.path == second.path
    return InvalidFile(
        f"{first.path}, {title}, is given twice"
        if same
        else f"{first.path} and {second.path} are both {title}",
        port=second.port,
        expected=expected_encoders(family),
        hint="Remove one of them.",
    )


def expected_encoders(family: Family) -> str:
    """The parts of a family's text encoder, in words."""
    return ", ".join(
        f"{encoder_title(part)}{' (optional)' if part.optional else ''}"
        for part in family.encoders
        if part.files
    )


def encoder_title(part: Part) -> str:
    """A part as people call it."""
    return part.files[0].title if part.files else part.classes[0]


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
        raise InvalidValue(f"there is no precision {dtype!r}", expected=", ".join(DTYPES))
    check_storage(storage)
    encoders = find_text_encoder(family, names, folders, allow_pickle=allow_pickle)
    files = tuple(
        RecipeFile(part.role, str(path), FILE_DIGESTS.digest(path))
        for part in encoders.parts
        for path in sorted(part.files)
    )
    settings = encoder_settings(encoders.family, _model_folder(encoders))
    options = [*settings, *port_storage(storage, encoders.encoders)]
    precision = _precision(encoders, dtype, device)
    options += family_release(encoders.family)
    return TextEncoder(encoders.family.name, files, precision, tuple(sorted(options)))


def find_text_encoder(
    family: str, names: Mapping[str, str], folders: Sequence[Path], *, allow_pickle: bool = False
) -> FoundEncoders:
    """The files of a text encoder, by role; arguments and errors as of `open_text_encoder`."""
    known = _readable(family)
    candidates: dict[str, EncoderCandidate] = {}
    paths: dict[str, Path] = {}
    unused = []
    for port, name in names.items():
        if not name.strip():
            continue
        with at_port(port):
            paths[port] = path = find_path(name, folders)
            by_role = encoders_in(known, port, path, allow_pickle)
        if not by_role:
            unused.append(port)
        for role, item in by_role.items():
            if role in candidates:
                raise duplicate_error(known, role, candidates[role], item)
            candidates[role] = item
    joined = _joined_encoders(known, paths, candidates, allow_pickle)
    if unused and not joined:
        raise no_encoder(known, unused[0], paths[unused[0]], allow_pickle)
    candidates |= joined
    _check_whole(known, candidates)
    tokenizers = [
        PartFiles(tokenizer.role, _tokenizer_of(candidates[encoder.role], tokenizer, folders))
        for encoder, tokenizer in pair_tokenizers(known)
        if encoder.role in candidates
    ]
    encoders = [candidates[part.role].files for part in known.encoders if part.role in candidates]
    return FoundEncoders(known, tuple(encoders), tuple(tokenizers))


def _joined_encoders(
    family: Family,
    paths: Mapping[str, Path],
    candidates: Mapping[str, EncoderCandidate],
    allow_pickle: bool,
) -> dict[str, EncoderCandidate]:
    """The parts that lie in several of the files together, by role.

    LTX-2.5 has the projections of its connectors beside the text encoder, and their layers beside
    the transformer.

    Args:
        paths: Of all files and folders, by port.
        candidates: The parts that one of them holds by itself.
    """
    files = {port: path for port, path in paths.items() if not path.is_dir()}
    if len(files) < 2:
        return {}
    port, path = next(iter(files.items()))
    among = [*dict.fromkeys(files.values())]
    shapes = {
        name: shape for file in among for name, shape in file_shapes(file, allow_pickle).items()
    }
    joined = {}
    for part in family.encoders:
        words = None if part.role in candidates else _words_in(part, shapes, path)
        if words is not None:
            own = PartFiles(part.role, among, among)
            joined[part.role] = EncoderCandidate(port, path, own, words)
    return joined


def _model_folder(encoders: FoundEncoders) -> Path | None:
    """The folder of the whole model that text encoders are in, if it is one of their family.

    Its index has settings of text encoders, such as which layers are read.
    """
    for part in encoders.encoders:
        folder = part.files[0].parent.parent
        if layout.is_whole_model(folder):
            class_name = layout.read_config(layout.index_file(folder)).get("_class_name")
            if class_name in encoders.family.pipelines:
                return folder
    return None


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
    folder = _model_folder(encoders)
    if folder is not None:
        files.add(layout.index_file(folder))
    return files_stamp(files, device, [family_release(encoders.family)])


def _own(part: Part, files: PartFiles) -> Iterator[StoredTensor]:
    alone = not any(path.name == layout.CONFIG for path in files.files)
    beginnings = standalone_names(part, joined_shapes(files.weights)) if alone else ("",)
    for path in files.weights:
        header = header_of(path)
        for name, shape in header.shapes.items():
            if name.startswith(beginnings):
                yield name, shape, header.dtypes.get(name, "")


def _readable(name: str) -> Family:
    family = get_family(name)
    if not any(part.files for part in family.encoders):
        known = families_with_encoder_files()
        raise InvalidValue(
            f"the text encoders of {family.title} cannot be loaded from separate files",
            port="family",
            given=name,
            expected=", ".join(known),
            hint=did_you_mean(name, known),
        )
    return family


_OWN_FOLDER = ("_tokenizer", "_processor")
"""Ends of roles of tokenizers and image processors whose encoder's folder has another name."""


def _tokenizer_of(
    encoder: EncoderCandidate, tokenizer: Part, folders: Sequence[Path]
) -> list[Path]:
    if encoder.path.is_dir():
        sibling = encoder.path.with_name(
            encoder.path.name.replace(TEXT_ENCODER, tokenizer.role.split("_")[0])
        )
        own = [encoder.path, sibling]
        if tokenizer.role.endswith(_OWN_FOLDER):
            own = [encoder.path.with_name(tokenizer.role)]
        for folder in own:
            if layout.has_tokenizer(folder):
                return layout.tokenizer_files(folder)
    elif is_in_file(tokenizer, header_of(encoder.path).shapes):
        return [encoder.path]
    files = find_tokenizer(tokenizer, encoder.words, [*folders, encoder.path.parent])
    if not files:
        raise missing_tokenizer_error(tokenizer, str(encoder.path), port=encoder.port)
    return files


def _check_whole(family: Family, encoders: Mapping[str, EncoderCandidate]) -> None:
    missing = [part for part in family.encoders if not part.optional and part.role not in encoders]
    if missing:
        names = " and ".join(encoder_title(part) for part in missing)
        raise InvalidFile(
            f"{family.title} needs text encoders that no file holds: {names}",
            port=f"file_{len(encoders) + 1}" if encoders else "file",
            given=", ".join(sorted({str(item.path) for item in encoders.values()})) or "no file",
            expected=expected_encoders(family),
            hint=f"Also choose a file of {names}.",
        )
