"""Names that other tools give to inputs and outputs, for hints about names that there are none of.

Sources: https://docs.comfy.org/built-in-nodes/overview (ComfyUI),
https://huggingface.co/docs/diffusers/api/pipelines/stable_diffusion/text2img (diffusers) and
https://github.com/AUTOMATIC1111/stable-diffusion-webui/wiki/API (Stable Diffusion web UI).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from nodegraph.core.suggest import did_you_mean

_MOST_LISTED = 16
"""Ports are listed where nothing is near: nearly all node types have fewer."""
_HERE: Mapping[str, tuple[str, ...]] = {
    # ComfyUI
    "ckpt_name": ("model",),
    "unet_name": ("model",),
    "model_name": ("model",),
    "upscale_model": ("model",),
    "vae_name": ("vae",),
    "lora_name": ("lora",),
    "control_net_name": ("control_net", "control", "model"),
    "clip": ("encoder", "text_encoder"),
    "clip_name": ("file",),
    "clip_name1": ("file",),
    "clip_name2": ("file_2",),
    "clip_name3": ("file_3",),
    "clip_name4": ("file_4",),
    "strength_clip": ("strength_encoder",),
    "conditioning": ("positive", "prompt"),
    "samples": ("latent", "latents"),
    "latent_image": ("latent",),
    "pixels": ("image",),
    "images": ("image",),
    "sampler_name": ("sampler",),
    "scheduler": ("schedule",),
    "sigmas": ("schedule",),
    "noise_seed": ("seed",),
    "filename_prefix": ("name",),
    # diffusers
    "guidance_scale": ("cfg", "guidance"),
    "num_inference_steps": ("steps",),
    "num_images_per_prompt": ("batch_size",),
    "generator": ("seed",),
    "prompt": ("text", "positive"),
    "prompt_embeds": ("positive",),
    "negative_prompt": ("negative",),
    "negative_prompt_embeds": ("negative",),
    "mask_image": ("mask",),
    "latents": ("latent",),
    "unet": ("model",),
    "transformer": ("model",),
    "denoiser": ("model",),
    "text_encoder": ("encoder",),
    "autoencoder": ("vae",),
    "strength": ("strength_model", "denoise"),
    # Stable Diffusion web UI
    "cfg_scale": ("cfg", "guidance"),
    "denoising_strength": ("denoise",),
    "checkpoint": ("model",),
    "n_iter": ("batch_size",),
    # All of them
    "file": ("path",),
    "filename": ("name", "path"),
    "image": ("path",),
}
"""Ports here, the likeliest first, by a port's name elsewhere."""


def port_hint(name: object, names: Iterable[str]) -> str:
    """A hint for an input or output that there is none of; empty where there are none at all.

    Args:
        names: Those that there are.
    """
    text, known = str(name), list(names)
    elsewhere = port_elsewhere(text, known)
    if elsewhere is not None:
        return f"Did you mean `{elsewhere}`?"
    return did_you_mean(text, known, listed=_MOST_LISTED)


def port_elsewhere(name: str, names: Collection[str]) -> str | None:
    """The one of some ports that other tools call so; None if that isn't known."""
    folded = name.casefold()
    if any(folded == known.casefold() for known in names):
        return None
    return next((port for port in _HERE.get(folded, ()) if port in names), None)
