"""What a file or folder of a denoiser holds, and which family it is of.

Nothing here imports torch or reads weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodegraph.errors import InvalidFile, InvalidValue, at_port
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.alone import (
    StandalonePart,
    denoisers_of_class,
    find_denoisers,
    find_family_denoiser,
    has_class,
)
from nodegraph.families.base import Config
from nodegraph.families.identify import identify_tensors
from nodegraph.models.model_sources import find_path
from nodegraph.weights.file_kinds import HEADED, PICKLES, SAFETENSORS, file_suffix
from nodegraph.weights.joined_files import header_of
from nodegraph.weights.precision.choices import StoredTensor
from nodegraph.weights.precision.gguf_types import check_gguf_installed
from nodegraph.weights.safetensors_header import Header, Shapes
from nodegraph.weights.single_files.base import DAMAGED, fault_text, select_prefix

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class DenoiserRequest:
    """What LoadDiffusionModel is asked for.

    Attributes:
        name: A file or folder under the models folders, or a path; of a whole model its denoiser.
        second: The same of the second of two experts; empty where there is none.
        family: Name of its family, where files of several look the same; ``auto`` is the likeliest.
        prediction_type, zero_terminal_snr: As for `open_model`.
        shift: Of a flow's noise levels towards the noise; 0 is the published one.
    """

    name: str
    second: str = ""
    family: str = AUTO
    prediction_type: str = AUTO
    zero_terminal_snr: str = AUTO
    shift: float = 0.0


@dataclass(frozen=True, slots=True)
class FoundDenoiser:
    """A denoiser's files, and what they hold.

    Attributes:
        path: That was named.
        files: Weights, and a configuration if it has one.
        header: Of all weights together.
        part: Whose it is, and how it lies there.
        config: Of its class.
    """

    path: Path
    files: tuple[Path, ...]
    header: Header
    part: StandalonePart
    config: Config

    @property
    def weights(self) -> list[Path]:
        """Those of the files that hold tensors."""
        return [path for path in self.files if path.suffix != ".json"]

    @property
    def tensors(self) -> list[StoredTensor]:
        """Names, shapes and types of its own in them."""
        return [
            (name, shape, self.header.dtypes.get(name, ""))
            for name, shape in self.header.shapes.items()
            if name.startswith(self.part.prefix)
        ]


def is_whole(path: Path) -> bool:
    """Whether it is a whole model, of which its denoiser is taken."""
    if path.is_dir():
        return (path / layout.INDEX).is_file()
    return (
        file_suffix(path) == SAFETENSORS
        and identify_tensors(header_of(path).shapes).family is not None
    )


def find_denoiser(
    wanted: DenoiserRequest, folders: Sequence[Path], *, allow_pickle: bool
) -> list[FoundDenoiser]:
    """The files of a denoiser that is no part of a whole model, and those of its second expert
    where one is asked for; errors as of `denoiser_files.open_denoiser`."""
    first = _find(find_path(wanted.name, folders), wanted.family, allow_pickle)
    if not wanted.second:
        return [first]
    family = first.part.family
    if len(family.denoisers) == 1:
        raise InvalidValue(
            f"a model of {family.title} has no second expert",
            port="second",
            given=wanted.second,
            expected="nothing",
        )
    with at_port("second"):
        second = _second(wanted, folders, allow_pickle)
    if second.part.layout != first.part.layout or dict(second.config) != dict(first.config):
        raise InvalidValue(
            f"{wanted.second} and {wanted.name} are not the two experts of one model",
            port="second",
            given=second.part.layout.title,
            expected=f"{first.part.layout.title} of the same sizes",
        )
    return [first, second]


def _second(wanted: DenoiserRequest, folders: Sequence[Path], allow_pickle: bool) -> FoundDenoiser:
    path = find_path(wanted.second, folders)
    if is_whole(path):
        raise InvalidValue(
            f"{wanted.second} is a whole model, not a second expert by itself",
            given=wanted.second,
            expected="a .safetensors or .gguf file, or a folder such as transformer_2",
            hint="Whole models bring their second expert: name it as the model.",
        )
    return _find(path, AUTO, allow_pickle)


def _find(path: Path, family: str, allow_pickle: bool) -> FoundDenoiser:
    files, header = (
        _of_folder(path, allow_pickle) if path.is_dir() else _of_file(path, allow_pickle)
    )
    named = [file for file in files if file.name == layout.CONFIG]
    read = layout.read_config(named[0]) if named else {}
    part = _choose_part(path, header.shapes, family, str(read.get("_class_name") or ""))
    try:
        own = select_prefix(header.shapes, part.prefix)
        config = read if named else part.layout.config(own)
    except DAMAGED as error:
        raise InvalidFile(
            f"{path} is {part.layout.title}, but it is damaged: {fault_text(error)}.",
            hint="Copy the file again.",
        ) from error
    return FoundDenoiser(path, files, header, part, config)


def _of_file(path: Path, allow_pickle: bool) -> tuple[tuple[Path, ...], Header]:
    if file_suffix(path) in PICKLES and not allow_pickle:
        raise layout.unsafe(path)
    if file_suffix(path) not in {*HEADED, *PICKLES}:
        raise InvalidFile(
            f"{path} is no model file.", expected="a .safetensors or .gguf file or a folder"
        )
    header = header_of(path)
    check_gguf_installed(header.dtypes.values())
    return (path,), header


def _of_folder(path: Path, allow_pickle: bool) -> tuple[tuple[Path, ...], Header]:
    """Of a folder such as ``transformer``: a configuration, and weights that may be several."""
    if not (path / layout.CONFIG).is_file():
        raise InvalidFile(
            f"{path} is no folder of a diffusion model: it has no {layout.CONFIG}.",
            expected="a .safetensors file, or the folder of a denoiser or of a whole model",
        )
    weights = layout.find_weights(path.parent, path.name, allow_pickle=allow_pickle)
    headers = [header_of(file) for file in weights.files]
    whole = Header(
        {name: shape for header in headers for name, shape in header.shapes.items()},
        {name: dtype for header in headers for name, dtype in header.dtypes.items()},
        {},
    )
    index = [weights.index] if weights.index else []
    return (path / layout.CONFIG, *weights.files, *index), whole


def _choose_part(path: Path, shapes: Shapes, family: str, class_name: str) -> StandalonePart:
    """What a file holds, of the family that is asked for and has the class that it names, if it
    names one."""
    candidates = (
        denoisers_of_class(path, class_name, shapes) if class_name else find_denoisers(shapes)
    )
    if not candidates:
        identified = identify_tensors(shapes)
        raise InvalidFile(
            f"{path} is {identified.instead_of('a diffusion model that is known here')}.",
            expected="the denoiser of a supported family",
            hint=f"{identified.node} takes it." if identified.node else None,
        )
    if family == AUTO:
        return candidates[0]
    names = [part.family.name for part in candidates]
    if family not in names:
        # A family of a package may look like one that comes along.
        other = find_family_denoiser(family, shapes)
        if other is not None and (not class_name or has_class(other.family, class_name)):
            return other
        what = f"is {candidates[0].layout.title}"
        if other is not None:
            what = f"looks like {other.layout.title}, but its {layout.CONFIG} names {class_name}"
        raise InvalidValue(
            f"{path.name} {what}",
            port="family",
            given=family,
            expected=" or ".join([AUTO, *names]),
        )
    return candidates[names.index(family)]
