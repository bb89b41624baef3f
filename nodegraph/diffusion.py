"""Diffusion models: loading, prompts, sampling, images. Usable without an engine.

What it names lies in `families`, `media`, `models` and `sampling`. Importing it is quick; torch and
the libraries on it come with the first name that needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nodegraph.families.base import Family, Part
    from nodegraph.families.components import Autoencoder, Denoiser, TextModel
    from nodegraph.families.noise import NoiseSchedule
    from nodegraph.families.prompts import escape_prompt, parse_prompt
    from nodegraph.families.registry import FAMILIES
    from nodegraph.families.scheduler_file import scheduler_config
    from nodegraph.families.sigma_curves import schedule
    from nodegraph.media.images.contact_sheets import contact_sheet
    from nodegraph.media.images.embedded_texts import read_metadata
    from nodegraph.media.images.images import (
        encode_image_file,
        read_image,
        to_pil,
        write_atomically,
    )
    from nodegraph.media.images.output_files import save_numbered
    from nodegraph.media.images.resizing import resize_image
    from nodegraph.models.conditioning import encode_prompt
    from nodegraph.models.facts import model_facts
    from nodegraph.models.loading import estimate_bytes, load_component, move_component
    from nodegraph.models.model_files import model_stamp
    from nodegraph.models.model_recipes import ModelRecipes, open_model
    from nodegraph.models.model_sources import FoundModel, ModelSource, list_models, locate_model
    from nodegraph.models.offloading import small_footprint
    from nodegraph.models.vae import decode_latent, decode_video, encode_image, encode_video
    from nodegraph.sampling.denoise import sample, sample_steps
    from nodegraph.sampling.guiders.methods import guider
    from nodegraph.sampling.latent_noise import add_noise
    from nodegraph.sampling.samplers import SAMPLERS
    from nodegraph.sampling.samplers.base import Done, Evaluate, Steps, Walk, sampler
    from nodegraph.sampling.samplers.spaces import (
        PRESERVING,
        STRAIGHT,
        PreservingSpace,
        StraightSpace,
    )
    from nodegraph.sampling.schedules import sigmas_for
    from nodegraph.sampling.table_schedules import CONTINUOUS, MULTISTEP, SCHEDULES

_HOMES = {
    "families.base": ("Family", "Part"),
    "families.components": (
        "Autoencoder",
        "Denoiser",
        "TextModel",
    ),
    "families.noise": ("NoiseSchedule",),
    "families.prompts": (
        "escape_prompt",
        "parse_prompt",
    ),
    "families.registry": ("FAMILIES",),
    "families.scheduler_file": ("scheduler_config",),
    "families.sigma_curves": ("schedule",),
    "media.images.contact_sheets": ("contact_sheet",),
    "media.images.embedded_texts": ("read_metadata",),
    "media.images.images": (
        "encode_image_file",
        "read_image",
        "to_pil",
        "write_atomically",
    ),
    "media.images.output_files": ("save_numbered",),
    "media.images.resizing": ("resize_image",),
    "models.conditioning": ("encode_prompt",),
    "models.facts": ("model_facts",),
    "models.loading": (
        "estimate_bytes",
        "load_component",
        "move_component",
    ),
    "models.model_files": ("model_stamp",),
    "models.model_recipes": (
        "ModelRecipes",
        "open_model",
    ),
    "models.model_sources": (
        "FoundModel",
        "ModelSource",
        "list_models",
        "locate_model",
    ),
    "models.offloading": ("small_footprint",),
    "models.vae": (
        "decode_latent",
        "decode_video",
        "encode_image",
        "encode_video",
    ),
    "sampling.denoise": (
        "sample",
        "sample_steps",
    ),
    "sampling.guiders.methods": ("guider",),
    "sampling.latent_noise": ("add_noise",),
    "sampling.samplers": ("SAMPLERS",),
    "sampling.samplers.base": (
        "Done",
        "Evaluate",
        "Steps",
        "Walk",
        "sampler",
    ),
    "sampling.samplers.spaces": ("PRESERVING", "STRAIGHT", "PreservingSpace", "StraightSpace"),
    "sampling.schedules": ("sigmas_for",),
    "sampling.table_schedules": (
        "CONTINUOUS",
        "MULTISTEP",
        "SCHEDULES",
    ),
}
__path__: list[str] = []  # so that modules which were in it are looked for, see `nodegraph.moved`
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "CONTINUOUS",
    "FAMILIES",
    "MULTISTEP",
    "PRESERVING",
    "SAMPLERS",
    "SCHEDULES",
    "STRAIGHT",
    "Autoencoder",
    "Denoiser",
    "Done",
    "Evaluate",
    "Family",
    "FoundModel",
    "ModelRecipes",
    "ModelSource",
    "NoiseSchedule",
    "Part",
    "PreservingSpace",
    "Steps",
    "StraightSpace",
    "TextModel",
    "Walk",
    "add_noise",
    "contact_sheet",
    "decode_latent",
    "decode_video",
    "encode_image",
    "encode_image_file",
    "encode_prompt",
    "encode_video",
    "escape_prompt",
    "estimate_bytes",
    "guider",
    "list_models",
    "load_component",
    "locate_model",
    "model_facts",
    "model_stamp",
    "move_component",
    "open_model",
    "parse_prompt",
    "read_image",
    "read_metadata",
    "resize_image",
    "sample",
    "sample_steps",
    "sampler",
    "save_numbered",
    "schedule",
    "scheduler_config",
    "sigmas_for",
    "small_footprint",
    "to_pil",
    "write_atomically",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"nodegraph.{module}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
