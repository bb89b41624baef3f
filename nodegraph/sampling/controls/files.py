"""Find and open control networks on disk. Imports no torch, and reads no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import ControlNet, Recipe, RecipeFile
from nodegraph.core.weight_files import SAFETENSORS, PartFiles, file_suffix
from nodegraph.errors import InvalidFile
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Config, Family, Part
from nodegraph.families.checkpoint_parts import checkpoint_part
from nodegraph.families.identification import find_control_networks, identify_tensors
from nodegraph.families.registry import FAMILIES, call_family, family_release
from nodegraph.models.model_files import files_stamp, port_storage, stored_precision
from nodegraph.models.model_sources import file_shapes, find_path
from nodegraph.sampling.controls.kinds import ControlKind, control_kind
from nodegraph.weights.joined_files import joined_headers, joined_shapes
from nodegraph.weights.precision.storage import (
    AUTO,
    bytes_in_memory,
    check_storage,
    storage_option,
)
from nodegraph.weights.single_files.base import DAMAGED, fault_text

ROLE = "controlnet"
"""Of the files in recipes, and the folder of a pipeline that a network lies in."""


@dataclass(frozen=True, slots=True)
class FoundControl:
    """A control network that was found.

    Attributes:
        files: That it is made of; weights are those of them that aren't JSON.
        family: Whose models it leads.
        class_name: Of diffusers.
        config: Its configuration.
    """

    files: PartFiles
    family: Family
    class_name: str
    config: Config

    @property
    def kind(self) -> ControlKind:
        """What it wants to be shown."""
        return control_kind(self.class_name, self.config)

    @property
    def title(self) -> str:
        """In words."""
        if self.class_name == "T2IAdapter":
            return f"a T2I adapter for {self.family.title}"
        union = " that supports several kinds of images" if self.kind.modes else ""
        filling = " that fills masked images" if self.kind.takes_mask else ""
        return f"a ControlNet for {self.family.title}{union}{filling}"


def find_control(name: str, folders: Sequence[Path], *, allow_pickle: bool = False) -> FoundControl:
    """The control network that a name means.

    Args:
        name: ``tiny/controlnet`` for the built-in one, a file or folder under the models
            folders, or a path; of a pipeline's folder its network.
    Raises:
        InvalidFile: It is none, or damaged; says what it is instead.
        NodegraphError: See `find_path`.
    """
    path = find_path(name, folders)
    if path.is_dir():
        return _in_folder(path, allow_pickle=allow_pickle)
    if file_suffix(path) != SAFETENSORS:
        file_shapes(path, allow_pickle)  # tells of pickles that aren't allowed
        raise InvalidFile(
            f"{path} is not a control network file",
            expected="a .safetensors file, or a folder in the diffusers layout",
        )
    shapes = joined_shapes([path])
    candidates = find_control_networks(shapes)
    if not candidates:
        identified = identify_tensors(shapes)
        raise InvalidFile(
            f"{path} is {identified.instead_of('a supported control network')}",
            expected="a ControlNet or T2I adapter for " + supported_families(),
            hint=f"Load it with {identified.node}." if identified.node else None,
        )
    part = Part(ROLE, (), files=(candidates[0].layout,))
    try:
        config = checkpoint_part(part, shapes, candidates[0].prefix).config
    except DAMAGED as error:
        raise InvalidFile(
            f"{path} is {candidates[0].layout.title}, but it is damaged: {fault_text(error)}",
            hint="Copy the file again.",
        ) from error
    files = PartFiles(ROLE, [path], [path])
    return FoundControl(files, candidates[0].family, candidates[0].layout.class_name, config)


def supported_families() -> str:
    """The families that can be led by images, in words."""
    return ", ".join(family.title for family in _controlled())


def _controlled() -> list[Family]:
    return [family for family in FAMILIES.values() if family.control is not None]


def _in_folder(path: Path, *, allow_pickle: bool) -> FoundControl:
    if layout.is_whole_model(path) and (path / ROLE / layout.CONFIG).is_file():
        path = path / ROLE
    if not (path / layout.CONFIG).is_file():
        raise InvalidFile(
            f"{path} is not the folder of a control network: it has no {layout.CONFIG}",
            expected=f"a .safetensors file, or a folder with {layout.CONFIG} and weights",
        )
    config = layout.read_config(path / layout.CONFIG)
    class_name = str(config.get("_class_name"))
    families = [
        family
        for family in _controlled()
        if call_family(family, lambda each: each.leads(class_name, config), otherwise=False)
    ]
    if not families:
        raise InvalidFile(
            f"{path} holds a {class_name}, which is not a supported control network",
            expected="a ControlNet or T2I adapter for " + supported_families(),
        )
    weights = layout.find_weights(path.parent, path.name, allow_pickle=allow_pickle)
    index = [weights.index] if weights.index else []
    files = PartFiles(ROLE, [path / layout.CONFIG, *weights.files, *index], weights.files)
    return FoundControl(files, families[0], class_name, config)


def open_control(
    name: str,
    folders: Sequence[Path],
    *,
    dtype: str = AUTO,
    device: str = "cpu",
    allow_pickle: bool = False,
    storage: str = AUTO,
) -> ControlNet:
    """The recipe of a control network; nothing is loaded yet.

    Args:
        dtype, device, storage: As for `open_model`.
    Raises:
        NodegraphError: See `find_control`.
    """
    check_storage(storage)
    control_files = find_control(name, folders, allow_pickle=allow_pickle)
    files = (
        RecipeFile(ROLE, str(path), FILE_DIGESTS.digest(path))
        for path in sorted(control_files.files.files)
    )
    options = [*port_storage(storage, [control_files.files]), *family_release(control_files.family)]
    precision = stored_precision(dtype, control_files.files.weights, device)
    return ControlNet(control_files.family.name, tuple(files), precision, tuple(sorted(options)))


def control_bytes(
    name: str,
    folders: Sequence[Path],
    *,
    dtype: str = AUTO,
    device: str = "cpu",
    allow_pickle: bool = False,
    storage: str = AUTO,
) -> int:
    """Bytes that a control network takes in memory, by headers; arguments as of `open_control`."""
    control_files = find_control(name, folders, allow_pickle=allow_pickle)
    weights = [path for path in control_files.files.weights if file_suffix(path) == SAFETENSORS]
    headers = [header for _, _, header in joined_headers(weights)]
    tensors = [
        (tensor, shape, header.dtypes.get(tensor, ""))
        for header in headers
        for tensor, shape in header.shapes.items()
    ]
    kept = dict(storage_option(storage, {kind for _, _, kind in tensors}))
    precision = stored_precision(dtype, control_files.files.weights, device)
    return bytes_in_memory(tensors, precision, next(iter(kept.values()), ""))


def control_stamp(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False, device: str = "cpu"
) -> str:
    """Text that changes when `open_control` would give something else for the same name."""
    control_files = find_control(name, folders, allow_pickle=allow_pickle)
    return files_stamp(control_files.files.files, device, [family_release(control_files.family)])


def recipe_kind(recipe: Recipe) -> ControlKind:
    """What the network of a recipe wants to be shown, by its files' headers."""
    files = [Path(file.path) for file in recipe.files]
    config = next((path for path in files if path.name == layout.CONFIG), None)
    if config is not None:
        read = layout.read_config(config)
        return control_kind(str(read.get("_class_name")), read)
    return find_control(str(files[0]), ()).kind
