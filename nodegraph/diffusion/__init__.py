"""Diffusion models: loading, prompts, sampling, pictures. Usable without an engine.

Importing this package is quick; torch and the libraries on it come with the first name that
needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nodegraph.diffusion.components import Autoencoder, Denoiser, TextModel
    from nodegraph.diffusion.denoise import sample, sample_steps
    from nodegraph.diffusion.facts import model_facts
    from nodegraph.diffusion.families.base import Family
    from nodegraph.diffusion.families.registry import FAMILIES
    from nodegraph.diffusion.footprint import small_footprint
    from nodegraph.diffusion.loading import estimate_bytes, load_component, move_component
    from nodegraph.diffusion.model_stamps import model_stamp
    from nodegraph.diffusion.models import FoundModel, ModelSource, list_models, locate_model
    from nodegraph.diffusion.noise import NoiseSchedule
    from nodegraph.diffusion.noise_drawing import add_noise
    from nodegraph.diffusion.opening import ModelRecipes, open_model
    from nodegraph.diffusion.prompts import escape_prompt, parse_prompt
    from nodegraph.diffusion.samplers import SAMPLERS
    from nodegraph.diffusion.scheduler_file import scheduler_config
    from nodegraph.diffusion.schedules import sigmas_for
    from nodegraph.diffusion.table_schedules import SCHEDULES
    from nodegraph.diffusion.text import encode_prompt
    from nodegraph.diffusion.vae import decode_latent, decode_video, encode_image, encode_video
    from nodegraph.images.images import (
        encode_image_file,
        read_image,
        read_metadata,
        to_pil,
        write_atomically,
    )
    from nodegraph.images.output_files import save_numbered
    from nodegraph.images.resizing import resize_image
    from nodegraph.images.sheets import contact_sheet

_HOMES = {
    "diffusion.components": ("Autoencoder", "Denoiser", "TextModel"),
    "diffusion.denoise": ("sample", "sample_steps"),
    "diffusion.families.registry": ("FAMILIES",),
    "diffusion.families.base": ("Family",),
    "diffusion.footprint": ("small_footprint",),
    "images.images": (
        "encode_image_file", "read_image", "read_metadata", "to_pil", "write_atomically",
    ),
    "diffusion.loading": ("estimate_bytes", "load_component", "move_component"),
    "diffusion.models": ("FoundModel", "ModelSource", "list_models", "locate_model"),
    "diffusion.noise": ("NoiseSchedule",),
    "diffusion.noise_drawing": ("add_noise",),
    "images.output_files": ("save_numbered",),
    "diffusion.facts": ("model_facts",),
    "diffusion.model_stamps": ("model_stamp",),
    "diffusion.opening": ("ModelRecipes", "open_model"),
    "diffusion.prompts": ("escape_prompt", "parse_prompt"),
    "images.resizing": ("resize_image",),
    "diffusion.samplers": ("SAMPLERS",),
    "diffusion.scheduler_file": ("scheduler_config",),
    "diffusion.schedules": ("sigmas_for",),
    "diffusion.table_schedules": ("SCHEDULES",),
    "images.sheets": ("contact_sheet",),
    "diffusion.text": ("encode_prompt",),
    "diffusion.vae": ("decode_latent", "decode_video", "encode_image", "encode_video"),
}  # fmt: skip
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "FAMILIES",
    "SAMPLERS",
    "SCHEDULES",
    "Autoencoder",
    "Denoiser",
    "Family",
    "FoundModel",
    "ModelRecipes",
    "ModelSource",
    "NoiseSchedule",
    "TextModel",
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
    "save_numbered",
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
