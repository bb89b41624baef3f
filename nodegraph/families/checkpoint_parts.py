"""Parts of models in files without a configuration, as diffusers and transformers name them.

A part lies in a file with others, or in one of its own, behind one of the prefixes of its layout;
where families share prefixes, theirs says which (`SingleFile`). Either way its layout
(`FileLayout`) says the rest: `Part.files` of denoisers and text encoders, `LatentFormat.files` of
autoencoders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.core.values import (
    ControlNet,
    DiffusionModel,
    ImageEncoder,
    PipelineComponent,
    Recipe,
    Vae,
)
from nodegraph.families.base import Family, Part
from nodegraph.families.helper_networks import LATENT_UPSAMPLER
from nodegraph.families.helper_recipes import LatentUpscaleModel
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.registry import FAMILIES, get_family, get_latent_format
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, select_prefix
from nodegraph.weights.single_files.clip import CLIP_VISION_PROJECTED, REDUX, SIGLIP
from nodegraph.weights.single_files.gemma4 import GEMMA4
from nodegraph.weights.single_files.qwen35 import QWEN35, QWEN35_TEXT

if TYPE_CHECKING:
    from torch import Tensor

EYES = Part(
    "image_encoder",
    ("CLIPVisionModelWithProjection", "SiglipVisionModel"),
    files=(CLIP_VISION_PROJECTED, SIGLIP),
)
"""CLIP's, which tell IP-Adapters of an image, and SigLIP's, which HunyuanVideo 1.5 reads."""
REDUX_PARTS = (
    Part("image_encoder", ("SiglipVisionModel",), files=(SIGLIP,)),
    Part("image_embedder", ("ReduxImageEncoder",), files=(REDUX,)),
)
"""Those of Flux.1 Redux, and what brings what they see to prompts."""
REDUX_FAMILY = "flux"
"""Whose prompts it adds to."""
UPSAMPLER_PART = Part("latent_upsampler", (LATENT_UPSAMPLER.class_name,), files=(LATENT_UPSAMPLER,))
"""Of latent upscale models."""
LANGUAGE_FILES: Mapping[str, tuple[FileLayout, ...]] = {
    item.class_name: (item,) for item in (GEMMA4, QWEN35, QWEN35_TEXT)
}
"""Language models in one file that are no family's text encoder, by their class."""
CHECKPOINT = "checkpoint"
"""Role of a file that holds several parts."""


@dataclass(frozen=True, slots=True)
class CheckpointPart:
    """A part in a file without a configuration.

    Attributes:
        class_name: Of diffusers or transformers.
        config: Its configuration.
        layout: How it lies there.
        convert: Brings the part's tensors, as the file names them, under the names of that class.
    """

    class_name: str
    config: dict[str, Any]
    layout: FileLayout
    convert: Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def recipe_parts(recipe: Recipe) -> tuple[Part, ...]:
    """What a recipe's component consists of, and the classes that each may be."""
    if isinstance(recipe, Vae):
        latents = get_latent_format(recipe.family)
        sound = tuple(part for part in sound_parts(latents) if recipe.paths(part.role))
        is_sound_alone = sound and not recipe.paths("vae") and not recipe.paths(CHECKPOINT)
        return sound if is_sound_alone else (vae_part("vae", latents), *sound)
    if isinstance(recipe, ImageEncoder):
        return REDUX_PARTS if recipe.family == REDUX_FAMILY else (EYES,)
    if isinstance(recipe, PipelineComponent):
        files = LANGUAGE_FILES.get(recipe.family, ())
        return (Part(recipe.files[0].role, (recipe.family,), files=files),)
    if isinstance(recipe, LatentUpscaleModel):
        return (UPSAMPLER_PART,)
    family = get_family(recipe.family)
    if isinstance(recipe, ControlNet):
        return () if family.control is None else (family.control,)
    return family.denoisers if isinstance(recipe, DiffusionModel) else family.encoders


def vae_part(role: str, latents: LatentFormat) -> Part:
    """The autoencoder of a latent format, as a part like others."""
    return Part(role, latents.autoencoders, files=latents.files)


def sound_parts(latents: LatentFormat) -> tuple[Part, ...]:
    """The components of a latent format for sound, as parts like others; a VAE may lack them."""
    return tuple(
        Part(item.role, item.classes, optional=True, files=item.files)
        for item in latents.sound_parts
    )


def part_prefix(recipe: Recipe, part: Part, shapes: Shapes) -> str:
    """Before the names of a part's tensors in the file without configuration that it is in.

    Args:
        shapes: Of all tensors in that file.
    Raises:
        KeyError: It isn't in there.
    """
    if recipe.paths(CHECKPOINT):
        return checkpoint_prefix(_family(recipe), part, shapes)
    return standalone_prefix(part, shapes)


def part_names(recipe: Recipe, part: Part, shapes: Shapes) -> tuple[str, ...]:
    """What the names of a part's tensors begin with there; arguments and errors as of
    `part_prefix`."""
    prefix = part_prefix(recipe, part, shapes)
    layout = _layout_behind(part, shapes, prefix)
    return (prefix,) if layout is None else layout.name_beginnings(prefix)


def standalone_prefix(part: Part, shapes: Shapes) -> str:
    """As `part_prefix`, where the part lies in its own file."""
    return _standalone(part, shapes)[1]


def standalone_names(part: Part, shapes: Shapes) -> tuple[str, ...]:
    """As `part_names`, where the part lies in its own file."""
    layout, prefix = _standalone(part, shapes)
    return layout.name_beginnings(prefix)


def _standalone(part: Part, shapes: Shapes) -> tuple[FileLayout, str]:
    for layout in part.files:
        prefix = layout.prefix(shapes)
        if prefix is not None:
            return layout, prefix
    raise KeyError(f"it holds no supported {' or '.join(part.classes)}")


def _layout_behind(part: Part, shapes: Shapes, prefix: str) -> FileLayout | None:
    part_shapes = select_prefix(shapes, prefix)
    return next((item for item in part.files if item.matches(part_shapes)), None)


def checkpoint_part(part: Part, shapes: Shapes, prefix: str) -> CheckpointPart:
    """A part in a file without a configuration.

    Args:
        shapes: Of all tensors in the file.
        prefix: Before the names of the part's.
    Raises:
        KeyError: No layout of the part matches, or a tensor that every such part has is missing.
    """
    layout = _layout_behind(part, shapes, prefix)
    if layout is None:
        raise KeyError(f"{prefix or 'it'} holds no supported {' or '.join(part.classes)}")
    config = layout.config(select_prefix(shapes, prefix))

    def convert(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        plain = {name.removeprefix(prefix): item for name, item in tensors.items()}
        return layout.convert(plain, config)

    return CheckpointPart(layout.class_name, config, layout, convert)


def checkpoint_prefix(family: Family, part: Part, shapes: Shapes) -> str:
    """Before the names of a part's tensors in a file that holds a whole model.

    Args:
        shapes: Of all tensors in the file.
    Raises:
        KeyError: It isn't in there.
    """
    if family.single_file is None:
        return standalone_prefix(part, shapes)
    return family.single_file.prefixes[part.role]


def find_checkpoint_parts(
    family: Family, shapes: Shapes
) -> tuple[list[Part], list[Part], list[Part]]:
    """The parts that a file with a whole model holds: denoiser, text encoders and autoencoder."""
    encoders = [part for part in family.encoders if not part.optional or _is_in(part, shapes)]
    denoisers = [family.denoisers[0], *(part for part in family.denoisers if part.conditioner)]
    has_vae = bool(family.latent.autoencoders)
    return denoisers, encoders, [vae_part(family.vae, family.latent)] if has_vae else []


def _is_in(part: Part, shapes: Shapes) -> bool:
    return any(layout.prefix(shapes) is not None for layout in part.files)


def denoiser_config(shapes: Shapes, family: Family) -> dict[str, Any]:
    """The configuration of the denoiser in a file with a whole model; errors as of
    `checkpoint_part`."""
    return get_checkpoint_part(family, family.denoisers[0], shapes).config


def get_checkpoint_part(family: Family, part: Part, shapes: Shapes) -> CheckpointPart:
    """A part of a whole model in one file; arguments and errors as of `checkpoint_part`."""
    return checkpoint_part(part, shapes, checkpoint_prefix(family, part, shapes))


def _family(recipe: Recipe) -> Family:
    """Of a single file; a VAE's recipe names its latent format alone, which its layout follows."""
    if not isinstance(recipe, Vae):
        return get_family(recipe.family)
    of_format = (item for item in FAMILIES.values() if item.latent.name == recipe.family)
    return next(item for item in of_format if item.single_file is not None)
