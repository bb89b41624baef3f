"""IP-Adapters and Flux Redux on disk: headers, image encoders and recipes.

Imports no torch, and reads no weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.ports import port_type
from nodegraph.core.values import NOT_CONTENT, ImageEncoder, RecipeFile
from nodegraph.core.weight_files import SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.base import Part
from nodegraph.families.checkpoint_parts import EYES, REDUX_FAMILY, REDUX_PARTS
from nodegraph.families.index import INDEX
from nodegraph.families.registry import FAMILIES, families_of_text_width
from nodegraph.models.model_files import stored_precision
from nodegraph.models.model_sources import find_path
from nodegraph.weights.safetensors_header import Shapes, read_header
from nodegraph.weights.single_files.base import FileLayout
from nodegraph.weights.single_files.clip import CLIP_VISION_PROJECTED

SIGLIP_TYPE = "siglip_vision_model"
"""`model_type` of SigLIP's vision model in transformers."""

REDUX_ENCODER = ""
"""Stands for the eyes that lie in Redux's folder."""


def open_redux(
    name: str,
    folders: Sequence[Path],
    *,
    encoder: str = REDUX_ENCODER,
    dtype: str = "auto",
    device: str = "cpu",
) -> ImageEncoder:
    """The recipe of Flux.1 Redux with its eyes; nothing is loaded yet.

    Args:
        name: Its folder in the diffusers layout, or a .safetensors file of what brings images to
            prompts: under the models folders, or a path.
        encoder: SigLIP's vision model, as a folder or .safetensors file; `AUTO` in such a folder.
        dtype, device: As for `open_model`.
    Raises:
        NodegraphError: See `find_redux`.
    """
    parts = find_redux(name, encoder, folders)
    files = [
        RecipeFile(role, str(path), FILE_DIGESTS.digest(path))
        for role, paths in parts.items()
        for path in sorted(paths)
    ]
    weights = [path for paths in parts.values() for path in paths if path.suffix != ".json"]
    return ImageEncoder(REDUX_FAMILY, tuple(files), stored_precision(dtype, weights, str(device)))


def find_redux(name: str, encoder: str, folders: Sequence[Path]) -> dict[str, list[Path]]:
    """The files of each of its parts, by role; arguments as of `open_redux`.

    Raises:
        InvalidFile: One is missing, or something else; says which on its port.
        NodegraphError: See `find_path`.
    """
    eyes, embedder = REDUX_PARTS
    path = find_path(name, folders)
    redux_files = {embedder.role: _part(path, embedder)}
    if encoder != REDUX_ENCODER:
        return {eyes.role: _part(find_path(encoder, folders), eyes), **redux_files}
    if not path.is_dir():
        raise InvalidFile(
            f"{path} has no image encoder",
            hint="Choose SigLIP's vision model (sigclip_vision_patch14_384) as the image encoder.",
        )
    return {eyes.role: _part(path, eyes), **redux_files}


def _part(path: Path, part: Part) -> list[Path]:
    if path.is_dir():
        folder = path / part.role if (path / part.role).is_dir() else path
        config = folder / layout.CONFIG
        read = layout.read_config(config) if config.is_file() else {}
        named = [read.get("_class_name"), *(read.get("architectures") or ())]
        if not set(part.classes) & set(named):
            raise InvalidFile(f"{path} holds no {part.files[0].title}")
        return [config, *layout.find_weights(folder.parent, folder.name).files]
    shapes = read_header(path).shapes if file_suffix(path) == SAFETENSORS else {}
    if part.files[0].prefix(shapes) is None:
        raise InvalidFile(
            f"{path} holds no {part.files[0].title}",
            expected="a .safetensors file, or a folder in the diffusers layout",
        )
    return [path]


IP_ADAPTER = "ip-adapter"
"""Kind of an adapter in recipes."""

AUTO = ""
"""Stands for the eyes that lie beside an adapter."""

KOLORS = "kolors"
_KOLORS_EYES = 1024
"""Width of the patches of OpenAI's CLIP ViT-L/14 at 336 pixels, which IP-Adapter Plus of Kolors
reads; that of Stable Diffusion XL reads 1280 (ViT-H) or 1664 (ViT-bigG).
Source: https://github.com/Kwai-Kolors/Kolors, ``ipadapter/README.md``."""

_PROJECTION, _LAYERS = "image_proj.", "ip_adapter."
_ENCODER_FOLDER = "image_encoder"


@port_type(name="IPAdapter", color="#e0a05c")
@dataclass(frozen=True, slots=True)
class IPAdapterChoice:
    """An IP-Adapter, and the eyes that tell it what an image shows.

    Attributes:
        source: The file that holds it.
        digest: blake3 of the file's content, hexadecimal.
        encoder: Recipe of the eyes.
        reads_patches: Whether it reads what they say of each patch, and not only of the whole.
    """

    source: str = field(metadata=NOT_CONTENT)
    digest: str
    encoder: ImageEncoder
    reads_patches: bool = False


@dataclass(frozen=True, slots=True)
class IPAdapterFile:
    """What is in an IP-Adapter's file.

    Attributes:
        layers: Shapes of what it adds to each of a UNet's layers of cross-attention, in its order.
        embed_width: Width of what it reads of an image.
        reads_patches: As of `IPAdapterChoice`.
        bytes: Of its tensors in float32.
    """

    path: Path
    layers: tuple[tuple[int, ...], ...]
    embed_width: int
    reads_patches: bool
    bytes: int

    @property
    def family(self) -> str | None:
        """What models it is for; None where that doesn't show."""
        known = families_of_text_width(self.layers[0][1])
        if not known:
            return None
        # Kolors' attention is as wide as that of Stable Diffusion XL, and as deep.
        reads_kolors = self.reads_patches and self.embed_width == _KOLORS_EYES
        return KOLORS if KOLORS in known and reads_kolors else known[0]


def check_ip_adapter_family(own: str | None, family: str) -> None:
    """Refuse an IP-Adapter for models of another family.

    Args:
        own: The family that the adapter is for; None if unknown.
        family: The model's.
    Raises:
        InvalidValue: On port ``ip_adapter``.
    """
    if family not in INDEX or own == family:
        return
    title = FAMILIES[family].title
    if not INDEX[family].text_width:
        raise InvalidValue(
            f"{title} has no IP-Adapters",
            port="ip_adapter",
            given="an IP-Adapter" + (f" for {FAMILIES[own].title}" if own else ""),
            expected="a model of Stable Diffusion 1, Stable Diffusion XL or Kolors",
            hint="Remove this node, or load such a model.",
        )
    if own is not None:
        raise InvalidValue(
            f"the IP-Adapter is for {FAMILIES[own].title}, and the model is {title}",
            port="ip_adapter",
            given=own,
            expected=f"an IP-Adapter for {title}",
            hint="Load an IP-Adapter and a model of the same family.",
        )


def read_ip_adapter(name: str, folders: Sequence[Path]) -> IPAdapterFile:
    """What a name means: under a models folder, or a path.

    Raises:
        InvalidFile: It is none, or of a kind that isn't known here.
        NodegraphError: See `find_path`.
    """
    path = find_path(name, folders)
    if path.is_dir() or file_suffix(path) != SAFETENSORS:
        raise InvalidFile(f"{path} is not an IP-Adapter", expected="a .safetensors file")
    shapes = read_header(path).shapes
    keys = sorted(
        (name for name in shapes if name.startswith(_LAYERS) and name.endswith("to_k_ip.weight")),
        key=lambda name: int(name.split(".")[1]),
    )
    projection = {
        name.removeprefix(_PROJECTION): shape
        for name, shape in shapes.items()
        if name.startswith(_PROJECTION)
    }
    if not keys or not projection:
        raise InvalidFile(
            f"{path} holds no IP-Adapter for Stable Diffusion 1.x or XL, or Kolors",
            given=f"tensors such as {next(iter(sorted(shapes)), 'nothing')}",
            expected=f"tensors that begin with `{_PROJECTION}` and `{_LAYERS}`",
        )
    reads_patches, eyes = _read(path, projection)
    size = 4 * sum(map(prod, shapes.values()))
    return IPAdapterFile(path, tuple(shapes[key] for key in keys), eyes, reads_patches, size)


def _read(path: Path, projection: Shapes) -> tuple[bool, int]:
    """Whether it reads patches, and the width of what it reads."""
    if "proj.weight" in projection:
        return False, projection["proj.weight"][-1]
    if "proj.3.weight" in projection:
        return True, projection["proj.0.weight"][1]
    if "perceiver_resampler.proj_in.weight" in projection or "norm.weight" in projection:
        raise InvalidFile(
            f"{path} is an IP-Adapter for faces that uses InsightFace (FaceID), which is not "
            "supported",
            hint="IP-Adapter Plus Face works with images of faces without InsightFace.",
        )
    if {"latents", "proj_in.weight"} <= projection.keys():
        return True, projection["proj_in.weight"][1]
    raise InvalidFile(f"{path} holds an IP-Adapter of an unsupported kind")


def open_ip_adapter(
    name: str,
    folders: Sequence[Path],
    *,
    encoder: str = AUTO,
    dtype: str = "auto",
    device: str = "cpu",
) -> IPAdapterChoice:
    """An IP-Adapter with its eyes; nothing is loaded yet.

    Args:
        encoder: A file or folder of CLIP's eyes under the models folders, or a path; `AUTO`: the
            folder ``image_encoder`` beside the adapter's file or beside its folder.
        dtype, device: Of the eyes, as for `open_model`.
    Raises:
        NodegraphError: See `read_ip_adapter` and `find_image_encoder`.
    """
    adapter = read_ip_adapter(name, folders)
    files, weights = find_image_encoder(adapter, encoder, folders)
    recipe = ImageEncoder(
        "clip-vision",
        tuple(RecipeFile(_ENCODER_FOLDER, str(path), FILE_DIGESTS.digest(path)) for path in files),
        stored_precision(dtype, weights, str(device)),
    )
    digest = FILE_DIGESTS.digest(adapter.path)
    return IPAdapterChoice(str(adapter.path), digest, recipe, adapter.reads_patches)


def find_image_encoder(
    adapter: IPAdapterFile, name: str, folders: Sequence[Path]
) -> tuple[list[Path], list[Path]]:
    """The files of an adapter's eyes, and those of them with weights; arguments as of
    `open_ip_adapter`.

    Raises:
        InvalidFile: They aren't there, are none, or say something else than the adapter reads.
    """
    path = _encoder_folder(adapter.path) if name == AUTO else find_path(name, folders)
    files, weights, config = _image_encoder_at(path, (CLIP_VISION_PROJECTED,))
    width = config.get("hidden_size" if adapter.reads_patches else "projection_dim")
    _check_width(adapter, path, width)
    return files, weights


def open_image_encoder(
    name: str, folders: Sequence[Path], *, dtype: str = "auto", device: str = "cpu"
) -> ImageEncoder:
    """CLIP's or SigLIP's eyes by themselves; nothing is loaded yet.

    Args:
        name: Of a file or folder under the models folders, or a path.
        dtype, device: As for `open_model`.
    Raises:
        NodegraphError: See `find_path` and `find_image_encoder`.
    """
    files, weights, _ = _image_encoder_at(find_path(name, folders), EYES.files)
    return ImageEncoder(
        "clip-vision",
        tuple(RecipeFile(_ENCODER_FOLDER, str(path), FILE_DIGESTS.digest(path)) for path in files),
        stored_precision(dtype, weights, str(device)),
    )


def image_encoder_files(name: str, folders: Sequence[Path]) -> list[Path]:
    """The files that `open_image_encoder` reads; errors as of that."""
    return _image_encoder_at(find_path(name, folders), EYES.files)[0]


def _image_encoder_at(
    path: Path, layouts: Sequence[FileLayout]
) -> tuple[list[Path], list[Path], Mapping[str, Any]]:
    """Files of eyes, those of them with weights, and their configuration.

    Args:
        layouts: Of the kinds that may be there, CLIP's first.
    """
    is_clip = len(layouts) == 1
    if path.is_dir():
        config = path / layout.CONFIG
        if not config.is_file():
            raise InvalidFile(f"{path} holds no CLIP vision model: it has no {layout.CONFIG}")
        read = layout.read_config(config)
        if is_clip and read.get("model_type") == SIGLIP_TYPE:
            raise _no_eyes(path, is_clip=True)
        weights = [*layout.find_weights(path.parent, path.name).files]
        return sorted([config, *weights]), weights, read
    shapes = read_header(path).shapes if file_suffix(path) == SAFETENSORS else {}
    known = next((each for each in layouts if each.prefix(shapes) is not None), None)
    if known is None:
        raise _no_eyes(path, is_clip=is_clip)
    return [path], [path], known.config(shapes)


def _no_eyes(path: Path, *, is_clip: bool) -> InvalidFile:
    others = "" if is_clip else ", or SigLIP's vision model"
    return InvalidFile(
        f"{path} holds no {'CLIP vision model' if is_clip else 'image encoder'}",
        expected=f"CLIP's vision model with its projection{others}, as a folder or .safetensors "
        "file",
    )


def _encoder_folder(path: Path) -> Path:
    for folder in (path.parent, path.parent.parent):
        if (folder / _ENCODER_FOLDER).is_dir():
            return folder / _ENCODER_FOLDER
    raise InvalidFile(
        f"there is no folder {_ENCODER_FOLDER} next to {path}, which would hold its image encoder",
        hint="Choose a CLIP vision model as the image encoder: ViT-H for most, ViT-bigG for SDXL "
        "adapters without vit-h in their names, ViT-L at 336 pixels for Kolors.",
    )


def _check_width(adapter: IPAdapterFile, path: Path, width: object) -> None:
    if width is not None and width != adapter.embed_width:
        raise InvalidFile(
            f"{path} returns embeddings {width} wide, and {adapter.path.name} reads "
            f"{adapter.embed_width}",
            hint="Use the image encoder that the IP-Adapter was trained with: widths 1024 and "
            "1280 are ViT-H's (of an image and of patches), 1280 and 1664 ViT-bigG's, 768 and "
            "1024 those of ViT-L, which Kolors uses at 336 pixels.",
        )
