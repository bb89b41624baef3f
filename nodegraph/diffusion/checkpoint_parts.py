"""The parts of a single file, as diffusers and transformers name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.core.values import DiffusionModel, Recipe, Vae
from nodegraph.diffusion.families import FAMILIES, Family, family_named, format_named
from nodegraph.diffusion.families.base import Part
from nodegraph.diffusion.latent_formats import LatentFormat
from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import SingleFile
from nodegraph.diffusion.single_files.clip import PROJECTING, convert_text, text_config
from nodegraph.diffusion.single_files.kl_vae import convert_vae, vae_config
from nodegraph.diffusion.single_files.unet import convert_unet, unet_config

if TYPE_CHECKING:
    from torch import Tensor

Tensors = Mapping[str, "Tensor"]


@dataclass(frozen=True, slots=True)
class CheckpointPart:
    """A part of a single file.

    Attributes:
        class_name: Of diffusers or transformers.
        config: Its configuration.
        convert: Brings the part's tensors under the names of that class.
    """

    class_name: str
    config: dict[str, Any]
    convert: Callable[[Tensors], dict[str, Tensor]]


def recipe_parts(recipe: Recipe) -> tuple[Part, ...]:
    """What a recipe's component consists of, and the classes that each may be."""
    if isinstance(recipe, Vae):
        return (Part("vae", format_named(recipe.family).autoencoders),)
    family = family_named(recipe.family)
    return family.denoisers if isinstance(recipe, DiffusionModel) else family.encoders


def part_prefix(recipe: Recipe, role: str) -> str:
    """Before the names of a part's tensors in the file that holds them all."""
    return layout_of(_family(recipe)).prefixes[role]


def checkpoint_part(recipe: Recipe, part: Part, shapes: Shapes) -> CheckpointPart:
    """A part of the single file that a recipe names.

    Args:
        shapes: Of all tensors in the file.
    Raises:
        KeyError: A tensor that every such part has is missing.
    """
    family, name = _family(recipe), part.classes[0]
    if isinstance(recipe, DiffusionModel):
        config = denoiser_config(shapes, family)
        return CheckpointPart(name, config, lambda given: convert_unet(given, config))
    if isinstance(recipe, Vae):
        return vae_part(shapes, part_prefix(recipe, part.role), family.latent)
    prefix, drops_last = part_prefix(recipe, part.role), layout_of(family).drops_last
    config = text_config(shapes, prefix, drops_last=drops_last)
    projects = name in PROJECTING
    return CheckpointPart(
        name, config, lambda given: convert_text(given, prefix, config, projects=projects)
    )


def vae_part(shapes: Shapes, prefix: str, latents: LatentFormat) -> CheckpointPart:
    """The autoencoder in a single file, whole or of its own.

    Args:
        shapes: Of all tensors in the file.
        prefix: Before the names of the autoencoder's.
    Raises:
        KeyError: A tensor that every such autoencoder has is missing.
    """
    config = vae_config(shapes, prefix, latents)
    name = latents.autoencoders[0]
    return CheckpointPart(name, config, lambda given: convert_vae(given, prefix, config))


def layout_of(family: Family) -> SingleFile:
    """How a family lies in a single file.

    Raises:
        KeyError: It isn't read from such.
    """
    if family.single_file is None:
        raise KeyError(f"{family.title} isn't read from single files")
    return family.single_file


def denoiser_config(shapes: Shapes, family: Family) -> dict[str, Any]:
    """The configuration of a single file's denoiser; arguments and errors as of `unet_config`."""
    return unet_config(shapes, layout_of(family), family.size // family.latent.spatial)


def _family(recipe: Recipe) -> Family:
    """Of a single file; a VAE's recipe names its latent format alone, which its layout follows."""
    if not isinstance(recipe, Vae):
        return family_named(recipe.family)
    of_format = (item for item in FAMILIES.values() if item.latent.name == recipe.family)
    return next(item for item in of_format if item.single_file is not None)
