"""Services of the main worker for the processes of ComfyUI's packs: what needs models.

Each service is a function of the context of the call and plain values; `COMFY_SERVICES` has them by
name. They call the functions behind the native nodes, with the settings that the importer gives
these nodes for ComfyUI's, so the results are the same to the last bit.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.core.context import Context
from nodegraph.core.values import (
    Conditioning,
    Control,
    ControlNet,
    DiffusionModel,
    ImageEncoder,
    Latent,
    TextEncoder,
    Vae,
)
from nodegraph.errors import InvalidValue
from nodegraph.interop.comfyui.packs import sampling_services

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.spec import NodeSpec
    from nodegraph.packs.registry import Registry

_SYNTAX = "comfyui"
_EMBEDDING = re.compile(r"embedding:([^\s,:()\[\]]+)")
_READERS = {"clip_l": "l", "clip_g": "g", "t5": "t5xxl", "llama": "llama", "qwen": "qwen25_7b"}
"""ComfyUI's names of encoders, by those here."""
_ONE_READER = {"sd2": "h", "sdxl-refiner": "g", "anima": "qwen3_06b"}
"""The encoder of a family with one."""


def sampling_facts(context: Context, *, model: DiffusionModel) -> dict[str, Any]:
    """Noise levels of a model as ComfyUI has them, ascending."""
    from nodegraph.families.flow_noise import FlowNoise, recipe_noise
    from nodegraph.families.scheduler_file import scheduler_config

    noise = recipe_noise(model)
    if isinstance(noise, FlowNoise):
        import torch

        flow = noise.common
        return {
            "is_flow": True,
            "sigmas": torch.from_numpy(flow.table).float(),
            "shift": flow.shift,
            "prediction_type": "flow",
        }
    return {
        "is_flow": False,
        "sigmas": noise.sigmas.float(),
        "shift": 1.0,
        "prediction_type": str(scheduler_config(model).get("prediction_type", "epsilon")),
    }


def sigma_at(context: Context, *, model: DiffusionModel, percent: float) -> float:
    """Noise level behind which a part of the timesteps lies, by ComfyUI's convention."""
    from nodegraph.families.comfyui_sigmas import table_sigma_at
    from nodegraph.families.flow_noise import FlowNoise, recipe_noise

    noise = recipe_noise(model)
    if isinstance(noise, FlowNoise):
        return float(noise.common.sigma_at(percent))
    return table_sigma_at(noise, percent)


def model_sigmas(
    context: Context, *, model: DiffusionModel, schedule: str, steps: int, sampler: str = "euler"
) -> Tensor:
    """Noise levels of a named schedule, falling, with the closing 0; float32."""
    from nodegraph.families.flow_noise import recipe_noise
    from nodegraph.sampling.composed_schedules import named_schedule
    from nodegraph.sampling.samplers import SAMPLERS
    from nodegraph.sampling.schedules import levels_for

    grid = SAMPLERS[sampler].grid_for("comfyui")
    return levels_for(named_schedule(schedule, steps), recipe_noise(model), grid=grid).sigmas


def latent_channels(context: Context, *, recipe: DiffusionModel | Vae) -> int:
    """Channels of the latents of a model or VAE: its own files may differ from its family."""
    from nodegraph.families.registry import get_family, get_latent_format

    with context.weights(recipe, calls_only=True) as live:
        if isinstance(recipe, DiffusionModel):
            return get_family(recipe.family).channels(live.config)
        return get_latent_format(recipe.family).latent_channels(live.config)


def change_sampling(
    context: Context, *, model: DiffusionModel, kind: str, **numbers: Any
) -> DiffusionModel:
    """Return a model with other noise levels.

    Args:
        kind: ``flow_shift`` (shift), ``shift_by_size`` (width, height, base_shift, max_shift),
            ``prediction`` (prediction_type, zero_terminal_snr) or ``freeu`` (b1, b2, s1, s2,
            version).
    """
    from nodegraph.families import scheduler_file
    from nodegraph.models.speed.speed_support import FreeUFactors, with_freeu

    match kind:
        case "flow_shift":
            return scheduler_file.with_flow_shift(model, numbers["shift"])
        case "shift_by_size":
            return scheduler_file.with_shift_by_size(model, **numbers)
        case "prediction":
            return scheduler_file.with_prediction(model, **numbers)
        case "freeu":
            return with_freeu(model, FreeUFactors(**numbers))
    raise InvalidValue("there is no such change of a model", given=kind)


def encode_text(
    context: Context, *, encoder: TextEncoder, texts: Mapping[str, str]
) -> Conditioning:
    """Encode a prompt in ComfyUI's syntax, with the textual inversions that it names.

    Args:
        texts: By ComfyUI's name of the encoder; one for all, or one for each.
    """
    from nodegraph.families.registry import get_family
    from nodegraph.models.conditioning import encode_prompt, encode_prompts_per_encoder

    warn = partial(context.log, level="warning")
    encoder = _with_embeddings(context, encoder, texts.values())
    different = set(texts.values())
    with context.weights(encoder, calls_only=True) as text_model:
        if len(different) == 1:
            return encode_prompt(text_model, different.pop(), warn=warn, syntax=_SYNTAX)
        readers = get_family(encoder.family).readers
        own = [texts.get(_READERS[name], "") for name in readers]
        return encode_prompts_per_encoder(text_model, own, warn=warn, syntax=_SYNTAX)


def _with_embeddings(context: Context, encoder: TextEncoder, texts: Any) -> TextEncoder:
    from nodegraph.models.adapters.adapter_files import locate_adapter, read_inversion
    from nodegraph.models.adapters.recipes import with_inversion

    names = dict.fromkeys(name for text in texts for name in _EMBEDDING.findall(text))
    for name in names:
        folders = context.environment.models
        path = locate_adapter(name.replace("\\", "/"), folders, title="textual inversion")
        context.file(path)
        encoder = with_inversion(encoder, read_inversion(path), f"embedding:{name}")
    return encoder


def tokenize(context: Context, *, encoder: TextEncoder, text: str) -> dict[str, list[Any]]:
    """PromptTokens of a prompt in windows, with begin, end and padding, and their weights.

    Returns:
        By ComfyUI's name of each encoder.
    """
    from nodegraph.families.registry import get_family
    from nodegraph.families.text_encoders import token_windows
    from nodegraph.models.prompt_preprocessing import translate_prompt

    family = get_family(encoder.family)
    names = [_READERS[name] for name in family.readers]
    names = names or [_ONE_READER.get(family.name, "l" if family.weighs_words else family.name)]
    prompt, _ = translate_prompt(text, _SYNTAX, family)
    windows_by_encoder: dict[str, list[Any]] = {}
    with context.weights(encoder, calls_only=True) as text_model, text_model.turn:
        # Processors of images are listed there, too, and some models come without them.
        roles = [part.role for part in family.tokenizers if part.role in text_model.tokenizers]
        tokenizers = [text_model.tokenizers[role] for role in roles]
        modules = [text_model.modules.get(part.role) for part in family.encoders]
        for name, tokenizer, module in zip(names, tokenizers, modules, strict=False):
            windows_by_encoder[name] = [
                [list(pair) for pair in window]
                for window in token_windows(module, tokenizer, prompt, text)
            ]
    return windows_by_encoder


def set_clip_layer(context: Context, *, encoder: TextEncoder, skip: int) -> TextEncoder:
    """Return a text encoder that takes prompts from another CLIP layer, counted from the last."""
    from nodegraph.models.prompt_preprocessing import with_clip_layer

    return with_clip_layer(encoder, skip)


def encode_pixels(
    context: Context, *, vae: Vae, pixels: Tensor, tile: int = 0, overlap: int = 64
) -> Latent:
    """Encode images, cropped to whole cells; by a video VAE, the frames of one video."""
    from nodegraph.models.vae import (
        crop_to_cells,
        encode_image,
        encode_video,
        in_tiles,
        latent_format,
    )

    with context.weights(vae, calls_only=True) as autoencoder:
        image = crop_to_cells(autoencoder, pixels[..., :3].float())
        tiled = in_tiles(autoencoder, tile, min(overlap, tile // 2))
        if latent_format(autoencoder).temporal and len(image) > 1:
            return encode_video(tiled, image)
        return encode_image(tiled, image)


def decode_latents(
    context: Context, *, vae: Vae, latent: Latent, tile: int = 0, overlap: int = 64
) -> Tensor:
    """Decode latents to images; videos to (1, frames, height, width, 3)."""
    from nodegraph.models.vae import blank_warnings, decode_latent, decode_video, in_tiles

    is_video = latent.samples is not None and latent.samples.ndim == 5
    with context.weights(vae, calls_only=True) as autoencoder:
        tiled = in_tiles(autoencoder, tile, min(overlap, tile // 2))
        if is_video:
            return decode_video(tiled, latent)[None]
        image = decode_latent(tiled, latent)
    for message in blank_warnings(image):
        context.log(message, "warning")
    return image


def inpaint(
    context: Context, *, conditioning: Conditioning, vae: Vae, image: Tensor, mask: Tensor
) -> dict[str, Any]:
    """Prepare a masked image for an inpainting model, as the node InpaintConditioning does."""
    from nodegraph.models.vae import crop_to_cells, encode_image
    from nodegraph.sampling.inpainting import fitted_mask, masked_picture, with_masked_latent

    mask = fitted_mask(mask, image)
    with context.weights(vae, calls_only=True) as autoencoder:
        image, mask = crop_to_cells(autoencoder, image), crop_to_cells(autoencoder, mask)
        binary_mask, masked_image = masked_picture(image, mask)
        masked_latent = encode_image(autoencoder, masked_image).samples
        latent = encode_image(autoencoder, image)
    assert masked_latent is not None
    return {
        "conditioning": with_masked_latent(conditioning, masked_latent, binary_mask),
        "latent": replace(latent, noise_mask=mask),
    }


def encode_for_inpainting(
    context: Context, *, vae: Vae, image: Tensor, mask: Tensor, grow: int
) -> Latent:
    """Encode images with gray under a mask, as the node VAEEncodeInpaint does."""
    from nodegraph.models.vae import crop_to_cells, encode_image
    from nodegraph.sampling.inpainting import greyed, grown_by_square, hard_mask

    hard = hard_mask(mask, image)
    with context.weights(vae, calls_only=True) as autoencoder:
        image, hard = crop_to_cells(autoencoder, image), crop_to_cells(autoencoder, hard)
        latent = encode_image(autoencoder, greyed(image, hard))
    return replace(latent, noise_mask=grown_by_square(hard, grow))


def encode_control(
    context: Context,
    *,
    network: ControlNet,
    image: Tensor,
    strength: float,
    start: float,
    end: float,
    mode: str = "none",
    mask: Tensor | None = None,
    vae: Vae | None = None,
) -> Control:
    """A control image for a network, encoded where the network reads latents."""
    from nodegraph.sampling.controls.control_conditioning import control_of

    return control_of(
        network,
        image.float(),
        strength=strength,
        start=start,
        end=end,
        mode=mode,
        mask=mask,
        vae=vae,
        weights=context.weights,
    )


def encode_vision(context: Context, *, encoder: ImageEncoder, image: Tensor) -> dict[str, Tensor]:
    """What a CLIP vision model says of images; float32 on the CPU."""
    import torch
    from transformers import CLIPImageProcessor

    from nodegraph.media.images.images import to_pil

    with context.weights(encoder) as live, torch.no_grad():
        module = live.module
        size = module.config.image_size
        pictures = [to_pil(item[None, ..., :3]).convert("RGB") for item in image]
        processor = CLIPImageProcessor(size=size, crop_size=size)
        pixels = processor(pictures, return_tensors="pt").pixel_values
        output = module(pixels.to(live.device, live.dtype), output_hidden_states=True)
    return {
        "image_embeds": output.image_embeds.to("cpu", torch.float32),
        "last_hidden_state": output.last_hidden_state.to("cpu", torch.float32),
        "penultimate_hidden_states": output.hidden_states[-2].to("cpu", torch.float32),
    }


def _settings(context: Context) -> dict[str, Any]:
    """How files are opened: in the precision that ``auto`` is on the device."""
    from nodegraph.models.model_files import computed_dtype

    environment = context.environment
    return {
        "dtype": computed_dtype("auto", environment.device),
        "device": environment.device,
        "allow_pickle": environment.allow_pickle,
    }


def _note(context: Context, name: str) -> str:
    """Note a file that a pack's node reads: the node runs again if it changes."""
    if Path(name).is_file():
        context.file(name)
    return name


def load_checkpoint(context: Context, *, name: str) -> dict[str, Any]:
    """Open a checkpoint: the recipes of its model, text encoder and VAE."""
    from nodegraph.models.model_recipes import open_model

    folders = context.environment.models
    recipes = open_model(_note(context, name), folders, **_settings(context))
    return {"model": recipes.model, "clip": recipes.text_encoder, "vae": recipes.vae}


def load_diffusion_model(context: Context, *, name: str) -> DiffusionModel:
    """Open a diffusion model alone."""
    from nodegraph.interop.comfyui.families import model_family
    from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser

    request = DenoiserRequest(_note(context, name), "", model_family(name), "auto", "auto", 0.0)
    return open_denoiser(request, context.environment.models, **_settings(context))


def load_text_encoder(context: Context, *, names: Sequence[str], kind: str) -> TextEncoder:
    """Open a text encoder of several files.

    Args:
        kind: ComfyUI's name of the kind of model, such as ``sdxl``.
    """
    from nodegraph.interop.comfyui.families import encoder_family
    from nodegraph.models.text_encoder_files import open_text_encoder

    family = encoder_family(kind, [Path(name).name for name in names])
    files = {f"file_{index}": _note(context, name) for index, name in enumerate(names, 1)}
    return open_text_encoder(family, files, context.environment.models, **_settings(context))


def load_vae(context: Context, *, name: str) -> Vae:
    """Open a VAE alone."""
    from nodegraph.interop.comfyui.families import latent_format
    from nodegraph.models.vae_files import open_vae

    settings = _settings(context)
    latents = latent_format(Path(name).name)
    return open_vae(_note(context, name), context.environment.models, latents=latents, **settings)


def load_control(context: Context, *, name: str) -> ControlNet:
    """Open a control network."""
    from nodegraph.sampling.controls.files import open_control

    return open_control(_note(context, name), context.environment.models, **_settings(context))


def load_image_encoder(context: Context, *, name: str) -> ImageEncoder:
    """Open a CLIP vision model."""
    from nodegraph.models.ip_adapters.image_prompt_files import open_image_encoder

    settings = _settings(context)
    settings.pop("allow_pickle")
    return open_image_encoder(_note(context, name), context.environment.models, **settings)


def apply_lora(
    context: Context,
    *,
    name: str,
    model: DiffusionModel | None,
    encoder: TextEncoder | None,
    strength_model: float,
    strength_encoder: float,
) -> dict[str, Any]:
    """Apply a LoRA to a model and a text encoder, as the node LoadLora does."""
    from nodegraph.models.adapters.adapter_files import locate_adapter
    from nodegraph.models.adapters.recipes import OpenedAdapter
    from nodegraph.models.derived_components import check_finite

    opened = OpenedAdapter(locate_adapter(_note(context, name), context.environment.models))
    check_finite(opened.file.path)
    applied: dict[str, Any] = {"model": model, "encoder": encoder}
    matches = []
    for part, recipe, strength in (
        ("model", model, strength_model),
        ("encoder", encoder, strength_encoder),
    ):
        if recipe is not None:
            adapted = opened.apply_to(recipe, strength)
            applied[part] = adapted.recipe
            matches.append(adapted.matched)
    opened.check_applies(matches)
    return applied


def other_classes(
    registry: Callable[[], Registry], context: Context, *, names: Sequence[str]
) -> list[dict[str, Any]]:
    """Specs of classes of ComfyUI's packs, as documents, by the names that the classes have there.

    Of several packs with such a class, the first one counts, as in an import.
    """
    from nodegraph.core.spec import to_document
    from nodegraph.interop.comfyui.importer import comfyui_specs
    from nodegraph.interop.comfyui.packs.import_entries import ForeignSignature

    specs: dict[str, NodeSpec] = {}
    for spec in comfyui_specs(registry()):
        specs.setdefault(ForeignSignature(spec).type, spec)
    return [to_document(specs[name]) for name in names if name in specs]


COMFY_SERVICES: Mapping[str, Callable[..., Any]] = {
    "sampling.sample": sampling_services.sample,
    "sampling.begin": sampling_services.begin_sampling,
    "sampling.step": sampling_services.step_sampling,
    "sampling.predict": sampling_services.predict,
    "sampling.end": sampling_services.end_sampling,
    "sampling.cancel": sampling_services.cancel_sampling,
    "sampling.report": sampling_services.report_step,
    "model.lend": sampling_services.lend_model,
    "guider.lend": sampling_services.lend_guider,
    "sampler.lend": sampling_services.lend_sampler,
    "noise.lend": sampling_services.lend_noise,
    "model.sampling": sampling_facts,
    "model.sigma_at": sigma_at,
    "model.sigmas": model_sigmas,
    "model.channels": latent_channels,
    "model.change": change_sampling,
    "clip.encode": encode_text,
    "clip.tokenize": tokenize,
    "clip.layer": set_clip_layer,
    "vae.encode": encode_pixels,
    "vae.decode": decode_latents,
    "vae.inpaint": inpaint,
    "vae.encode_for_inpainting": encode_for_inpainting,
    "control.encode": encode_control,
    "vision.encode": encode_vision,
    "load.checkpoint": load_checkpoint,
    "load.diffusion_model": load_diffusion_model,
    "load.text_encoder": load_text_encoder,
    "load.vae": load_vae,
    "load.control": load_control,
    "load.image_encoder": load_image_encoder,
    "load.lora": apply_lora,
}
"""Services by name; the session passes them to the processes of ComfyUI's packs."""
