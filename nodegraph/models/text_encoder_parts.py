"""Which parts of a family's text encoder files and folders hold, and what is said of those that
hold none. Imports no torch, and reads no weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodegraph.errors import InvalidFile
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Family, Part
from nodegraph.families.checkpoint_parts import checkpoint_part, standalone_prefix
from nodegraph.families.identify import identify_tensors
from nodegraph.families.registry import FAMILIES, call_family
from nodegraph.models.model_files import folder_part_files
from nodegraph.models.model_sources import file_shapes
from nodegraph.weights.file_kinds import GGUF, PartFiles, file_suffix
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.precision.gguf_types import check_gguf_installed
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
    if not (path / layout.INDEX).is_file():
        if not (path / layout.CONFIG).is_file():
            raise InvalidFile(
                f"{path} is no folder of a text encoder: it has no {layout.CONFIG}.",
                expected=expected_encoders(family),
                hint="Name a .safetensors file, or the folder of a text encoder or a whole model.",
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
    class_name = str(layout.read_config(path / layout.INDEX).get("_class_name"))
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
            f"the text encoder in {path} is damaged: {fault_text(error)}.",
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
        f"{path} is {what}, which is no text encoder of {family.title}.",
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
    return what.title, f"{what.node} takes it." if what.node else _NO_WHOLE


def _class_in(folder: Path) -> str:
    """What a folder says that it holds."""
    whole = (folder / layout.INDEX).is_file()
    config = layout.read_config(folder / (layout.INDEX if whole else layout.CONFIG))
    return str((config.get("architectures") or [config.get("_class_name") or "folder"])[0])


_NO_WHOLE = "Name files that hold text encoders; LoadModel opens whole models."


def duplicate_error(
    family: Family, role: str, first: EncoderCandidate, second: EncoderCandidate
) -> InvalidFile:
    """What is raised where two hold the same part."""
    part = next(part for part in family.encoders if part.role == role)
    title, same = encoder_title(part), first.path == second.path
    return InvalidFile(
        f"{first.path}, {title}, is named twice."
        if same
        else f"{first.path} and {second.path} are both {title}.",
        port=second.port,
        expected=expected_encoders(family),
        hint="Leave one of them out.",
    )


def expected_encoders(family: Family) -> str:
    """The parts of a family's text encoder, in words."""
    return ", ".join(
        f"{encoder_title(part)}{' (may be left out)' if part.optional else ''}"
        for part in family.encoders
        if part.files
    )


def encoder_title(part: Part) -> str:
    """A part as people call it."""
    return part.files[0].title if part.files else part.classes[0]
