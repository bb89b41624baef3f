"""GLIGEN: gated layers of a UNet that read phrases in boxes of the image.

A file holds the layers alone (``gligen_sd14_textbox_pruned.safetensors``) or beside a whole UNet,
under the names of the original code or those of diffusers. The UNet stays the one that was loaded.

Source: Li et al. 2023, arXiv:2301.07093; diffusers' StableDiffusionGLIGENPipeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.ports import port_type
from nodegraph.core.values import (
    NOT_CONTENT,
    Adapter,
    Area,
    Conditioning,
    ConditioningEntry,
    Grounding,
    ScheduledAdapter,
    TextBox,
)
from nodegraph.core.weight_files import SAFETENSORS, file_suffix
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families import diffusers_folder as layout
from nodegraph.families.identification import identify_tensors
from nodegraph.families.registry import FAMILIES, family_of_text_width, get_family
from nodegraph.families.unet import BOXES, PHRASES, USED_BOXES
from nodegraph.models.model_sources import find_path
from nodegraph.weights.lazy import torch
from nodegraph.weights.safetensors_header import Shapes, read_header
from nodegraph.weights.single_files.unet import PREFIX, unet_blocks

if TYPE_CHECKING:
    from torch import Tensor, nn

    from nodegraph.families.components import TextModel

GLIGEN = "gligen"
"""Kind of an adapter in recipes."""
_ROLE = "unet"
_FUSER, _NET = ".fuser.", "position_net."
_NULL_PHRASE = f"{_NET}null_positive_feature"
_ORIGINAL = ("input_blocks.", "middle_block.", "output_blocks.")
_KEYS = ".attn2.to_k"
"""End of the names of layers by which a transformer block reads the prompt."""
_FIRST = ("input_blocks.0.0.weight", "conv_in.weight")
_KINDS = (
    (f"{_NET}null_text_feature", "boxes of phrases and images"),
    (f"{_NET}null_person_feature", "keypoints"),
    (f"{_NET}null_feature", "edges, depth or other maps"),
)
"""Tensors of GLIGENs that read something else than phrases in boxes."""


@port_type(name="GLIGEN", color="#b58ad6")
@dataclass(frozen=True, slots=True)
class GLIGENChoice:
    """GLIGEN layers, and the part of the sampling in which a model has them.

    Attributes:
        source: The file that holds them.
        digest: blake3 of the file's content, hexadecimal.
        width: Width of the phrases' embeddings.
        end: See `ScheduledAdapter.end`.
    """

    source: str = field(metadata=NOT_CONTENT)
    digest: str
    width: int
    end: float = 1.0

    @property
    def layers(self) -> ScheduledAdapter:
        """The layers as prompts carry them."""
        return ScheduledAdapter(Adapter(GLIGEN, self.source, self.digest), end=self.end)


@dataclass(frozen=True, slots=True)
class GLIGENFile:
    """What is in a GLIGEN file.

    Attributes:
        prefix: Before the names of its tensors.
        names: Names of its tensors without the prefix, as far as they are of GLIGEN.
        fusers: Width of each gated layer, by the name of its transformer block in the file.
        width: Width of the phrases' embeddings, and of the prompts that the UNet reads.
        bytes: Of its tensors in float32.
    """

    path: Path
    prefix: str
    names: tuple[str, ...]
    fusers: Mapping[str, int]
    width: int
    bytes: int

    @property
    def family(self) -> str | None:
        """The model family that it is for. None if it does not show."""
        return family_of_text_width(self.width)

    def blocks(self, config: Mapping[str, Any]) -> dict[str, str]:
        """Transformer blocks with a gated layer: name in diffusers to name in the file.

        Args:
            config: The UNet's configuration in diffusers.
        """
        if not any(name.startswith(_ORIGINAL) for name in self.fusers):
            return {name: name for name in self.fusers}
        here = {original: name for name, original in unet_blocks(config).items()}
        renamed = {}
        for name in self.fusers:
            block, dot, end = name.partition(".transformer_blocks")
            renamed[f"{here.get(block, block)}{dot}{end}"] = name
        return renamed


def read_gligen(name: str, folders: Sequence[Path]) -> GLIGENFile:
    """Read the header of a GLIGEN file.

    Args:
        name: Name under a models folder, or path, of a .safetensors file, or of a folder in the
            diffusers layout.
    Raises:
        InvalidFile: It holds no GLIGEN, or one of an unsupported kind.
        NodegraphError: See `find_path`.
    """
    path = _weights_path(find_path(name, folders))
    shapes = read_header(path).shapes
    prefix = PREFIX if any(item.startswith(f"{PREFIX}{_NET}") for item in shapes) else ""
    own = {
        item.removeprefix(prefix): shape
        for item, shape in shapes.items()
        if item.startswith(prefix)
    }
    linear = f"{_FUSER}linear.weight"
    layers = {item: shape for item, shape in own.items() if item.endswith(linear)}
    if not layers:
        raise _no_gligen(path, shapes)
    _check_kind(path, own)
    names = tuple(item for item in own if _FUSER in item or item.startswith(_NET))
    file = GLIGENFile(
        path,
        prefix,
        names,
        {item.removesuffix(linear): shape[0] for item, shape in layers.items()},
        own[_NULL_PHRASE][0],
        4 * sum(prod(own[item]) for item in names),
    )
    if file.family is not None and not FAMILIES[file.family].takes_text_boxes:
        raise InvalidFile(
            f"{path} is a GLIGEN for {FAMILIES[file.family].title}, which is not supported",
            expected=f"a GLIGEN for {supported_families()}",
        )
    return file


def supported_families() -> str:
    """The families that take text boxes, in words."""
    return " or ".join(item.title for item in FAMILIES.values() if item.takes_text_boxes)


def _weights_path(path: Path) -> Path:
    """The file with the weights: of a folder, those of its UNet."""
    if path.is_dir():
        folder = path / _ROLE if (path / _ROLE).is_dir() else path
        weights = layout.find_weights(folder.parent, folder.name)
        if len(weights.files) > 1:
            raise InvalidFile(
                f"the UNet in {folder} is split into {len(weights.files)} files",
                expected="one .safetensors file",
                hint="Save it again as one file.",
            )
        return weights.files[0]
    if file_suffix(path) != SAFETENSORS:
        raise InvalidFile(
            f"{path} is no GLIGEN file",
            expected="a .safetensors file, or a folder in the diffusers layout",
        )
    return path


def _no_gligen(path: Path, shapes: Shapes) -> InvalidFile:
    identified = identify_tensors(shapes)
    return InvalidFile(
        f"{path} is {identified.instead_of('a GLIGEN file')}",
        expected=f"a GLIGEN for {supported_families()}: layers named `fuser` and `position_net`",
        hint=f"Load it with {identified.node}." if identified.node else None,
    )


def _check_kind(path: Path, own: Shapes) -> None:
    first = next((own[name] for name in _FIRST if name in own), None)
    kind = next((title for name, title in _KINDS if name in own), "an unknown kind of input")
    if first is not None and first[1] != 4:
        kind = "masked images (inpainting)"
    elif _NULL_PHRASE in own:
        return
    raise InvalidFile(
        f"{path} is a GLIGEN for {kind}, which is not supported",
        expected="a GLIGEN for text boxes",
    )


def open_gligen(name: str, folders: Sequence[Path], *, end: float = 1.0) -> GLIGENChoice:
    """Choose GLIGEN layers; nothing is loaded yet.

    Args:
        end: See `ScheduledAdapter.end`.
    Raises:
        NodegraphError: See `read_gligen`.
    """
    file = read_gligen(name, folders)
    return GLIGENChoice(str(file.path), FILE_DIGESTS.digest(file.path), file.width, end)


def check_fits(adapter: Adapter, layers: Mapping[str, tuple[int, ...]]) -> GLIGENFile:
    """Refuse GLIGEN layers that are for another UNet, by their number and widths.

    Args:
        layers: Shapes of the UNet's weights, by the names of its layers.
    Raises:
        InvalidFile: They do not fit.
    """
    file = read_gligen(adapter.source, ())
    own = [shape for name, shape in layers.items() if name.endswith(_KEYS)]
    widths, reads = sorted(shape[0] for shape in own), own[0][1] if own else 0
    if sorted(file.fusers.values()) == widths and reads == file.width:
        return file
    raise InvalidFile(
        f"{file.path} is not for this model: it has {len(file.fusers)} gated layers that are up "
        f"to {max(file.fusers.values())} wide and read {file.width} channels, and the model has "
        f"{len(own)} transformer blocks that are up to {max(widths, default=0)} wide and read "
        f"{reads}",
        hint="Use a GLIGEN that was trained for models of this kind.",
    )


def attach_gligen(unet: Any, adapter: Adapter) -> nn.Module:
    """Return a UNet with gated layers; the given one stays as it is, and shares its weights.

    diffusers computes the layers (`GatedSelfAttentionDense`, `GLIGENTextBoundingboxProjection`).

    Raises:
        InvalidFile: The file does not fit the UNet.
    """
    from diffusers.models.attention import GatedSelfAttentionDense
    from diffusers.models.embeddings import GLIGENTextBoundingboxProjection

    from nodegraph.families.building import building_from
    from nodegraph.models.adapters.layer_changes import layers_of, structural_copy
    from nodegraph.weights.weight_files import read_tensors

    file = check_fits(adapter, layers_of(unet).shapes)
    twin = structural_copy(unet)
    with building_from(file.path):
        tensors = _named(read_tensors([file.path], "float32", prefix=file.prefix), file, unet)
        added = {}
        for name in file.blocks(unet.config):
            block = twin.get_submodule(name)
            added[f"{name}.fuser"] = GatedSelfAttentionDense(
                block.dim, file.width, block.num_attention_heads, block.attention_head_dim
            )
        added[_NET.rstrip(".")] = GLIGENTextBoundingboxProjection(file.width, file.width)
        for name, module in added.items():
            own = f"{name}."
            module.load_state_dict(
                {
                    key.removeprefix(own): item
                    for key, item in tensors.items()
                    if key.startswith(own)
                }
            )
            module.to(twin.device, twin.dtype).eval().requires_grad_(False)
            parent, _, last = name.rpartition(".")
            setattr(twin.get_submodule(parent), last, module)
    copied: nn.Module = twin
    return copied


def _named(tensors: Mapping[str, Tensor], file: GLIGENFile, unet: Any) -> dict[str, Tensor]:
    """The tensors of GLIGEN in a file, under their names in diffusers."""
    here = {there: name for name, there in file.blocks(unet.config).items()}

    def rename(name: str) -> str:
        block, dot, end = name.partition(_FUSER)
        return f"{here[block]}{dot}{end}" if dot else name

    return {rename(name): tensors[f"{file.prefix}{name}"] for name in file.names}


def encode_phrase(model: TextModel, text: str) -> Tensor:
    """Encode the phrase of a box: the pooled output of CLIP, before its projection.

    Returns:
        float32 on the CPU, shape (1, width).
    Raises:
        InvalidValue: The phrase is too long, or the encoder is of a family without text boxes.
    """
    from nodegraph.families.text_encoders import ClipEncoder, pooled_phrase

    check_family(model.family, "encoder")
    clip = ClipEncoder(
        model.modules["text_encoder"], model.tokenizers["tokenizer"], 1, final_norm=True
    )
    with model.turn, torch.no_grad():
        return pooled_phrase(clip, text)


def check_family(family: str | None, port: str) -> None:
    """Refuse models that take no text boxes.

    Raises:
        InvalidValue: On a port.
    """
    if family is not None and not get_family(family).takes_text_boxes:
        raise InvalidValue(
            "this model takes no text boxes",
            port=port,
            given=get_family(family).title,
            expected=supported_families(),
            hint="Limit a prompt to a part of the image with AreaConditioning.",
        )


def with_text_box(
    conditioning: Conditioning,
    gligen: GLIGENChoice,
    area: Area,
    embedding: Tensor,
    *,
    guides_negative: bool = False,
) -> Conditioning:
    """Return prompts with one more text box each.

    Args:
        embedding: As `encode_phrase` returns it.
        guides_negative: See `Grounding`. One box for which it is true is enough.
    Raises:
        InvalidValue: The prompt is of another family, has too many boxes, or boxes of another
            GLIGEN.
    """
    check_family(conditioning.family, "conditioning")
    if embedding.shape[-1] != gligen.width:
        raise InvalidValue(
            "the GLIGEN is for another text encoder",
            port="gligen",
            given=f"a GLIGEN that reads embeddings of width {gligen.width}",
            expected=f"one that reads embeddings of width {embedding.shape[-1]}",
        )
    box = TextBox(area, embedding)

    def boxed(entry: ConditioningEntry) -> ConditioningEntry:
        before = entry.grounding
        if before is not None and before.layers != gligen.layers:
            raise _several_gligens("gligen")
        boxes = (*(() if before is None else before.boxes), box)
        if len(boxes) > Grounding.MOST_BOXES:
            raise InvalidValue(
                "the prompt has too many text boxes",
                port="conditioning",
                given=str(len(boxes)),
                expected=f"up to {Grounding.MOST_BOXES}",
            )
        spreads = guides_negative or (before is not None and before.guides_negative)
        return replace(entry, grounding=Grounding(gligen.layers, boxes, spreads))

    return replace(conditioning, entries=tuple(map(boxed, conditioning.entries)))


def _several_gligens(port: str) -> InvalidValue:
    return InvalidValue(
        "the text boxes are of different GLIGENs, or of different parts of the sampling",
        port=port,
        hint="Link one LoadGLIGEN to all TextBoxConditioning nodes of a sampling.",
    )


def sampling_grounding(entries: Iterable[ConditioningEntry]) -> Grounding | None:
    """Return the first text boxes among the prompts of a sampling. None if no prompt has some.

    Raises:
        InvalidValue: The boxes are of several GLIGENs.
    """
    known = [item.grounding for item in entries if item.grounding is not None]
    if len({item.layers for item in known}) > 1:
        raise _several_gligens("positive")
    return known[0] if known else None


def box_tensors(
    grounding: Grounding | None, embeddings: Tensor, width: int, height: int, port: str
) -> dict[str, Tensor]:
    """The tensors by which a UNet with gated layers reads text boxes; without boxes, empty ones.

    Args:
        embeddings: The prompt's, for their width.
        width, height: Of the image in pixels.
        port: For errors.
    Raises:
        InvalidValue: A box lies outside the image.
    Returns:
        Left, top, right and bottom as shares of the image, (1, `MOST_BOXES`, 4); embeddings,
        (1, `MOST_BOXES`, width); and 1 for each box that is used, (1, `MOST_BOXES`).
    """
    most = Grounding.MOST_BOXES
    boxes, used = torch.zeros(1, most, 4), torch.zeros(1, most)
    phrases = torch.zeros(1, most, embeddings.shape[-1])
    for index, box in enumerate(grounding.boxes if grounding else ()):
        boxes[0, index] = torch.tensor(_corners(box.area, width, height, port))
        phrases[0, index] = box.embedding[0]
        used[0, index] = 1
    return {BOXES: boxes, PHRASES: phrases, USED_BOXES: used}


def _corners(area: Area, width: int, height: int, port: str) -> tuple[float, float, float, float]:
    wide, high = (1, 1) if area.unit == "shares" else (width, height)
    left, top = area.x / wide, area.y / high
    right, bottom = (area.x + area.width) / wide, (area.y + area.height) / high
    if left >= 1 or top >= 1 or right <= left or bottom <= top:
        size = "1 x 1 as shares" if area.unit == "shares" else f"{width} x {height} pixels"
        raise InvalidValue(
            "a text box lies outside the image",
            port=port,
            given=f"x {area.x:g}, y {area.y:g}, width {area.width:g}, height {area.height:g}",
            expected=f"a box within {size}",
            hint="Boxes in pixels count from the upper left corner of the sampled image.",
        )
    return left, top, min(right, 1.0), min(bottom, 1.0)
