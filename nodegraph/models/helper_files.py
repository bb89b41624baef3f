"""Files of helper models: upscalers of images and latents, frame interpolation, and classifiers of
noisy latents; and of encoded prompts.

Imports no torch.

Files are found, their headers read, and recipes made of what they hold. Files of classifiers are
safetensors; their metadata, all JSON: ``format``; ``labels`` and ``backgrounds``, the names in the
order of the logits; ``latent_channels``, and ``channels``, the widths of the network.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.suggest import did_you_mean
from nodegraph.core.values import RecipeFile
from nodegraph.core.weight_files import HEADED, PICKLES, SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue, ModelNotFound
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.embedded_models import EMBEDDED, embedded_folder
from nodegraph.families.film_layout import FILM, is_film
from nodegraph.families.helper_networks import LATENT_UPSAMPLER, compact_shape, is_upscaler
from nodegraph.families.helper_recipes import (
    FrameInterpolationModel,
    LatentClassifier,
    LatentUpscaleModel,
    UpscaleModel,
)
from nodegraph.families.identification import identify_tensors
from nodegraph.models.adapters.adapter_files import locate_adapter
from nodegraph.models.model_files import stored_precision
from nodegraph.models.model_sources import find_path
from nodegraph.weights.safetensors_header import read_header
from nodegraph.weights.single_files.base import DAMAGED, fault_text

FORMAT = "nodegraph guidance classifier 1"
BUNDLED_CLASSIFIER = f"{EMBEDDED}/guidance_classifier"
"""Name of the one that comes along with the embedded model."""

_ROLE = "classifier"


@dataclass(frozen=True, slots=True)
class ClassifierInfo:
    """What a file says of its classifier.

    Attributes:
        labels: Names of the objects that it knows.
        backgrounds: Names of the background colors.
        channels: Of the latents.
        widths: Of the network's two levels.
    """

    labels: tuple[str, ...]
    backgrounds: tuple[str, ...]
    channels: int
    widths: tuple[int, int]

    def class_indices(self, label: str, background: str) -> tuple[int | None, int | None]:
        """Of the names that are wished for among those that it knows; None for empty ones.

        Raises:
            InvalidValue: On port ``label`` or ``background``: it is unknown, or both are empty.
        """
        if not label and not background:
            raise InvalidValue(
                "neither label nor background is set", port="label", expected="a name"
            )
        return _class_index("label", label, self.labels), _class_index(
            "background", background, self.backgrounds
        )


def _class_index(port: str, name: str, known: Sequence[str]) -> int | None:
    if not name:
        return None
    if name not in known:
        raise InvalidValue(
            f"the classifier has no such {port}",
            port=port,
            given=name,
            expected=f"one of {len(known)}, for example {', '.join(known[:3])}",
            hint=did_you_mean(name, known),
        )
    return known.index(name)


def locate_classifier(name: str, folders: Sequence[Path]) -> Path:
    """The file that a name means.

    Raises:
        ModelNotFound: There is nothing of that name.
    """
    if name == BUNDLED_CLASSIFIER:
        return embedded_folder().parent / f"companions/{_OWN}/{_OWN}.safetensors"
    return locate_adapter(name, folders, title="classifier")


_OWN = "guidance_classifier"


def read_classifier(path: Path) -> ClassifierInfo:
    """What a file says of its classifier.

    Raises:
        InvalidFile: It is damaged, or holds something else.
    """
    metadata = read_header(path).metadata
    try:
        about = {name: json.loads(value) for name, value in metadata.items()}
        if about["format"] != FORMAT:
            raise ValueError(about["format"])
        wide, deep = map(int, about["channels"])
        labels, backgrounds = (tuple(map(str, about[key])) for key in ("labels", "backgrounds"))
        return ClassifierInfo(labels, backgrounds, int(about["latent_channels"]), (wide, deep))
    except (KeyError, ValueError, TypeError) as error:
        raise InvalidFile(
            f"{path} holds no classifier of noisy latents",
            expected=f"a file of the format `{FORMAT}`",
            hint=f"`{BUNDLED_CLASSIFIER}` is included with the model {EMBEDDED}.",
        ) from error


def open_classifier(path: Path) -> LatentClassifier:
    """The recipe of a classifier; nothing is loaded yet.

    Raises:
        InvalidFile: See `read_classifier`.
    """
    read_classifier(path)
    return LatentClassifier("", (RecipeFile(_ROLE, str(path), FILE_DIGESTS.digest(path)),))


def classifier_bytes(recipe: LatentClassifier) -> int:
    """Bytes that it will take in memory."""
    shapes = read_header(Path(recipe.files[0].path)).shapes
    return 4 * sum(math.prod(shape) for shape in shapes.values())


BUNDLED_UPSCALER = f"{EMBEDDED}/upscaler"
"""Name of the upscale model that comes along."""
COMPACT, OTHER = "compact", "spandrel"
"""Kinds of recipes: those of the network that is built here, and those that spandrel knows."""


def locate_upscaler(name: str, folders: Sequence[Path], *, allow_pickle: bool = False) -> Path:
    """The file that a name means.

    Args:
        name: Under a models folder (first hit wins; ``.safetensors`` may be left out), a path, or
            ``tiny/upscaler`` for the one that comes along.
    Raises:
        ModelNotFound: There is nothing of that name.
        UnsafeFile: It is a pickle file, and those aren't allowed.
        InvalidFile: It is a folder, or a model of another kind.
    """
    path = shipped_file() if name == BUNDLED_UPSCALER else _upscaler_path(name, folders)
    if file_suffix(path) in PICKLES and not allow_pickle:
        raise layout.unsafe(path)
    if path.is_dir() or file_suffix(path) not in {SAFETENSORS, *PICKLES}:
        raise InvalidFile(f"{path} is not an upscale model", expected="a .safetensors file")
    _check_kind(path)
    return path


def shipped_file() -> Path:
    """Where the upscale model that comes along lies."""
    return embedded_folder().parent / "companions" / "upscaler" / "upscaler.safetensors"


def _upscaler_path(name: str, folders: Sequence[Path]) -> Path:
    try:
        return find_path(name, folders)
    except ModelNotFound as error:
        hint = did_you_mean(name, [BUNDLED_UPSCALER]) or error.problem.hint
        raise ModelNotFound(
            f"there is no upscale model `{name}`",
            given=name,
            expected=f"a file in a models folder, or {BUNDLED_UPSCALER}",
            hint=hint,
        ) from error


def _check_kind(path: Path) -> None:
    """Refuse what is surely something else; what is known to nobody here spandrel may know."""
    if file_suffix(path) not in HEADED:
        return
    shapes = read_header(path).shapes
    if is_upscaler(shapes):
        return
    identified = identify_tensors(shapes)
    if identified.family is not None or identified.parts or identified.node:
        raise InvalidFile(
            f"{path} is {identified.instead_of('an upscale model')}",
            expected="a network that enlarges images",
            hint=f"Load it with {identified.node or 'LoadModel'}.",
        )


def upscaler_scale(path: Path) -> int | None:
    """How many times larger an upscale model makes images; None if its header doesn't tell.

    Raises:
        InvalidFile: It can't be read.
    """
    shape = compact_shape(read_header(path).shapes) if file_suffix(path) in HEADED else None
    return None if shape is None else shape.scale


def open_upscaler(
    name: str, folders: Sequence[Path], *, allow_pickle: bool = False
) -> UpscaleModel:
    """The recipe of an upscale model, in float32; nothing is loaded yet. As `locate_upscaler`."""
    path = locate_upscaler(name, folders, allow_pickle=allow_pickle)
    kind = COMPACT if upscaler_scale(path) is not None else OTHER
    return UpscaleModel(kind, (RecipeFile("upscaler", str(path), FILE_DIGESTS.digest(path)),))


def upscaler_bytes(path: Path) -> int:
    """Bytes that an upscale model takes in memory, by its header, or the size of its file.

    Raises:
        InvalidFile: It can't be read.
    """
    if file_suffix(path) in HEADED:
        return 4 * sum(map(prod, read_header(path).shapes.values()))
    try:
        return path.stat().st_size
    except OSError as error:
        raise InvalidFile(f"cannot read {path}: {error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class LatentUpscaling:
    """What a latent upscale model does.

    Attributes:
        channels: Of the latents.
        scale: How many times longer their sides get.
        doubles_frames: Whether it makes two latent frames of each, except the first.
    """

    channels: int
    scale: float
    doubles_frames: bool


def locate_latent_upscaler(name: str, folders: Sequence[Path]) -> Path:
    """The file that a name means.

    Args:
        name: Under a models folder, or a path.
    Raises:
        ModelNotFound: There is nothing of that name.
        InvalidFile: It is a folder, or a model of another kind.
    """
    path = find_path(name, folders)
    expected = "a .safetensors file of a latent upscale model"
    if path.is_dir() or file_suffix(path) != SAFETENSORS:
        raise InvalidFile(f"{path} is not a latent upscale model", expected=expected)
    shapes = read_header(path).shapes
    if not LATENT_UPSAMPLER.matches(shapes):
        identified = identify_tensors(shapes)
        raise InvalidFile(
            f"{path} is {identified.instead_of('a latent upscale model')}",
            expected=expected,
            hint=f"Load it with {identified.node}." if identified.node else None,
        )
    return path


def read_latent_upscaling(path: Path) -> LatentUpscaling:
    """What the model in a file does, by its header.

    Raises:
        InvalidFile: It is damaged.
    """
    try:
        config = LATENT_UPSAMPLER.config(read_header(path).shapes)
    except DAMAGED as error:
        raise InvalidFile(
            f"{path} is {LATENT_UPSAMPLER.title}, but it is damaged: {fault_text(error)}",
            hint="Copy the file again.",
        ) from error
    scale = config["rational_spatial_scale"] if config["spatial_upsample"] else 1.0
    return LatentUpscaling(config["in_channels"], scale, config["temporal_upsample"])


def open_latent_upscaler(
    name: str, folders: Sequence[Path], *, device: str = "cpu"
) -> LatentUpscaleModel:
    """The recipe of a latent upscale model; nothing is loaded yet.

    Raises:
        NodegraphError: As of `locate_latent_upscaler` and `read_latent_upscaling`.
    """
    path = locate_latent_upscaler(name, folders)
    read_latent_upscaling(path)
    file = RecipeFile(_UPSAMPLER_ROLE, str(path), FILE_DIGESTS.digest(path))
    return LatentUpscaleModel(
        LATENT_UPSAMPLER.name, (file,), stored_precision("auto", [path], device)
    )


_UPSAMPLER_ROLE = "latent_upsampler"


def open_frame_interpolator(
    name: str, folders: Sequence[Path], *, device: str = "cpu"
) -> FrameInterpolationModel:
    """The recipe of a frame interpolation model; nothing is loaded yet.

    Raises:
        NodegraphError: As of `locate_frame_interpolator`.
    """
    path = locate_frame_interpolator(name, folders)
    file = RecipeFile("frame_interpolator", str(path), FILE_DIGESTS.digest(path))
    return FrameInterpolationModel(FILM, (file,), stored_precision("auto", [path], device))


def locate_frame_interpolator(name: str, folders: Sequence[Path]) -> Path:
    """The file that a name means.

    Args:
        name: Under a models folder, or a path.
    Raises:
        ModelNotFound: There is nothing of that name.
        InvalidFile: It is a folder, damaged, or a model of another kind.
    """
    path = find_path(name, folders)
    expected = "a .safetensors file of FILM, such as film_net_fp16.safetensors"
    if path.is_dir() or file_suffix(path) != SAFETENSORS:
        kind = "a folder" if path.is_dir() else "not a .safetensors file"
        raise InvalidFile(f"{path} is {kind}", expected=expected)
    shapes = read_header(path).shapes
    if not is_film(shapes):
        identified = identify_tensors(shapes)
        raise InvalidFile(
            f"{path} is {identified.instead_of('FILM')}",
            expected=expected,
            hint=f"Load it with {identified.node}." if identified.node else None,
        )
    return path


def frame_interpolator_bytes(recipe: FrameInterpolationModel) -> int:
    """Bytes that a frame interpolation model takes in memory, by its header.

    Raises:
        InvalidFile: It can't be read.
    """
    # A number of float32 has four bytes, of a half precision two.
    return upscaler_bytes(recipe.path) // (1 if recipe.dtype == "float32" else 2)


ENCODED = {"conditioning": "embeddings", "pooled_output": "pooled"}
"""Tensors of a file with an encoded prompt, and their names here."""


def find_conditioning(name: str, folders: Sequence[Path]) -> Path:
    """The file of an encoded prompt, with no other tensors than `ENCODED`.

    Args:
        name: Under a models folder, or a path.
    Raises:
        ModelNotFound: There is nothing of that name.
        InvalidFile: It isn't a .safetensors file, lacks the prompt, or holds other tensors.
    """
    path = locate_adapter(name, folders, title="conditioning")
    form = "a .safetensors file with a tensor `conditioning`, shape (1, tokens, width)"
    if file_suffix(path) != SAFETENSORS:
        raise InvalidFile(f"{path} holds no encoded prompt", expected=form)
    shapes = read_header(path).shapes
    if len(shapes.get("conditioning", ())) != 3 or shapes["conditioning"][0] != 1:
        raise InvalidFile(
            f"{path} holds no encoded prompt",
            given=", ".join(sorted(shapes)[:3]) or "no tensors",
            expected=form,
        )
    if unknown := sorted(shapes.keys() - ENCODED.keys()):
        raise InvalidFile(
            f"{path} holds more than an encoded prompt",
            given=", ".join(unknown[:3]),
            expected=" and ".join(ENCODED),
        )
    return path
