"""ComfyUI's core nodes for latents, images and samplers, and the names of its module ``nodes``.

The classes are those that packs call directly. What they declare is read from the table of the
importer, which knows ComfyUI's own.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import string
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nodegraph.core.context import Environment
from nodegraph.interop.comfyui.packs import border, latents
from nodegraph.interop.comfyui.packs.handles import VaeHandle
from nodegraph.interop.comfyui.packs.model_handle import ModelHandle, ask, current_call
from nodegraph.interop.comfyui.packs.stand_ins import model_nodes
from nodegraph.interop.comfyui.packs.stand_ins import sampling_modules as sampling
from nodegraph.interop.comfyui.packs.stand_ins.comfy_utils import (
    common_upscale,
    pillow,
)
from nodegraph.interop.comfyui.packs.stand_ins.model_nodes import CoreNode, folders
from nodegraph.interop.comfyui.packs.stand_ins.remote_sampling import fix_empty_latent_channels
from nodegraph.interop.comfyui.packs.stand_ins.sampler_objects import (
    prepare_callback,
    prepare_noise,
)

MAX_RESOLUTION = 16384


class VAEEncode(CoreNode, function="encode"):
    """Encode images."""

    def encode(self, vae: VaeHandle, pixels: Tensor) -> tuple[Any, ...]:
        return (_latent(vae, vae.encode(pixels)),)


class VAEEncodeTiled(CoreNode, function="encode"):
    """Encode images in tiles."""

    def encode(
        self, vae: VaeHandle, pixels: Tensor, tile_size: int, overlap: int = 64, **_: Any
    ) -> tuple[Any, ...]:
        return (_latent(vae, vae.encode_tiled(pixels, tile_size, tile_size, overlap)),)


def _latent(vae: VaeHandle, samples: Tensor) -> dict[str, Any]:
    return {"samples": samples, latents.FORMAT_KEY: vae.recipe.family}


class VAEDecode(CoreNode, function="decode"):
    """Decode latents."""

    def decode(self, vae: VaeHandle, samples: Mapping[str, Any]) -> tuple[Any, ...]:
        return (_pictures(vae.decode(samples["samples"])),)


class VAEDecodeTiled(CoreNode, function="decode"):
    """Decode latents in tiles."""

    def decode(
        self,
        vae: VaeHandle,
        samples: Mapping[str, Any],
        tile_size: int,
        overlap: int = 64,
        **_: Any,
    ) -> tuple[Any, ...]:
        cell = vae.spacial_compression_decode()
        tile, shared = tile_size // cell, min(overlap, tile_size // 4) // cell
        return (_pictures(vae.decode_tiled(samples["samples"], tile, tile, shared)),)


def _pictures(images: Tensor) -> Tensor:
    """Images, also of the frames of videos."""
    return images.flatten(0, 1) if images.ndim == 5 else images


class VAEEncodeForInpaint(CoreNode, function="encode"):
    """Encode images with gray under a mask."""

    def encode(
        self, vae: VaeHandle, pixels: Tensor, mask: Tensor, grow_mask_by: int = 6
    ) -> tuple[Any, ...]:
        plane = mask.reshape(-1, *mask.shape[-2:])
        named = {"vae": vae.recipe, "image": pixels[..., :3], "mask": plane, "grow": grow_mask_by}
        return (latents.to_comfy_latent(ask("vae.encode_for_inpainting", **named)),)


class InpaintModelConditioning(CoreNode, function="encode"):
    """Prepare a masked image for an inpainting model."""

    def encode(
        self,
        positive: Any,
        negative: Any,
        pixels: Tensor,
        vae: VaeHandle,
        mask: Tensor,
        noise_mask: bool = True,
    ) -> tuple[Any, ...]:
        plane = mask.reshape(-1, *mask.shape[-2:])
        prompts = []
        for conditioning in (positive, negative):
            inpainted = ask(
                "vae.inpaint",
                conditioning=border.from_comfy_conditioning(conditioning),
                vae=vae.recipe,
                image=pixels[..., :3],
                mask=plane,
            )
            prompts.append(border.to_comfy_conditioning(inpainted["conditioning"]))
        latent = latents.to_comfy_latent(inpainted["latent"])
        if not noise_mask:
            latent.pop("noise_mask", None)
        return (*prompts, latent)


class EmptyLatentImage(CoreNode, function="generate"):
    """An empty latent."""

    def generate(self, width: int, height: int, batch_size: int = 1) -> tuple[Any, ...]:
        return ({"samples": torch.zeros(batch_size, 4, height // 8, width // 8)},)


class LatentUpscaleBy(CoreNode, function="upscale"):
    """Resize latents by a factor."""

    def upscale(
        self, samples: Mapping[str, Any], upscale_method: str, scale_by: float
    ) -> tuple[Any, ...]:
        before = samples["samples"]
        height, width = (round(side * scale_by) for side in before.shape[-2:])
        resized = common_upscale(before, width, height, upscale_method, "disabled")
        return ({**samples, "samples": resized},)


class LatentUpscale(CoreNode, function="upscale"):
    """Resize latents to a size in pixels; 0 keeps the proportions."""

    def upscale(
        self, samples: Mapping[str, Any], upscale_method: str, width: int, height: int, crop: str
    ) -> tuple[Any, ...]:
        before = samples["samples"]
        size = _filled_size(width, height, before.shape[-1] * 8, before.shape[-2] * 8)
        if size is None:
            return (samples,)
        columns, rows = (max(64, side) // 8 for side in size)
        resized = common_upscale(before, columns, rows, upscale_method, crop)
        return ({**samples, "samples": resized},)


def _filled_size(width: int, height: int, before: int, rows: int) -> tuple[int, int] | None:
    """A size of which one side may be 0, by the proportions; None if both are."""
    if width == height == 0:
        return None
    width = width or max(1, round(before * height / rows))
    return width, height or max(1, round(rows * width / before))


class SetLatentNoiseMask(CoreNode, function="set_mask"):
    """Set where a latent is sampled."""

    def set_mask(self, samples: Mapping[str, Any], mask: Tensor) -> tuple[Any, ...]:
        return ({**samples, "noise_mask": mask.reshape(-1, 1, *mask.shape[-2:])},)


class RepeatLatentBatch(CoreNode, function="repeat"):
    """Repeat a batch of latents."""

    def repeat(self, samples: Mapping[str, Any], amount: int) -> tuple[Any, ...]:
        before = samples["samples"]
        repeated = {**samples, "samples": before.repeat(amount, *[1] * (before.ndim - 1))}
        mask = samples.get("noise_mask")
        if mask is not None and len(mask) > 1:
            repeated["noise_mask"] = mask.repeat(amount, *[1] * (mask.ndim - 1))
        if samples.get("batch_index") is not None:
            indices = list(samples["batch_index"])
            step = max(indices) - min(indices) + 1
            repeated["batch_index"] = [index + step * i for i in range(amount) for index in indices]
        return (repeated,)


class ImageScale(CoreNode, function="upscale"):
    """Resize images; 0 keeps the proportions."""

    def upscale(
        self, image: Tensor, upscale_method: str, width: int, height: int, crop: str
    ) -> tuple[Any, ...]:
        size = _filled_size(width, height, image.shape[2], image.shape[1])
        if size is None:
            return (image,)
        resized = common_upscale(image.movedim(-1, 1), *size, upscale_method, crop)
        return (resized.movedim(1, -1),)


class ImageScaleBy(CoreNode, function="upscale"):
    """Resize images by a factor."""

    def upscale(self, image: Tensor, upscale_method: str, scale_by: float) -> tuple[Any, ...]:
        size = round(image.shape[2] * scale_by), round(image.shape[1] * scale_by)
        resized = common_upscale(image.movedim(-1, 1), *size, upscale_method, "disabled")
        return (resized.movedim(1, -1),)


class ImageInvert(CoreNode, function="invert"):
    """Invert images."""

    def invert(self, image: Tensor) -> tuple[Any, ...]:
        return (1.0 - image,)


class ImageBatch(CoreNode, function="batch"):
    """Put two images into one batch, of the size of the first."""

    def batch(self, image1: Tensor, image2: Tensor) -> tuple[Any, ...]:
        size = image1.shape[2], image1.shape[1]
        if image1.shape[1:3] != image2.shape[1:3]:
            planes = common_upscale(image2.movedim(-1, 1), *size, "bilinear", "center")
            image2 = planes.movedim(1, -1)
        return (torch.cat((image1, image2)),)


def common_ksampler(
    model: ModelHandle,
    seed: int,
    steps: int,
    cfg: float,
    sampler_name: str,
    scheduler: str,
    positive: Any,
    negative: Any,
    latent: Mapping[str, Any],
    denoise: float = 1.0,
    disable_noise: bool = False,
    start_step: int | None = None,
    last_step: int | None = None,
    force_full_denoise: bool = False,
) -> tuple[dict[str, Any]]:
    """Sample a LATENT, as ComfyUI's samplers do."""
    samples = fix_empty_latent_channels(model, latent["samples"])
    if disable_noise:
        noise = torch.zeros(samples.shape)
    else:
        noise = prepare_noise(samples, seed, latent.get("batch_index"))
    result = sampling.sample(
        model,
        noise,
        steps,
        cfg,
        sampler_name,
        scheduler,
        positive,
        negative,
        samples,
        denoise=denoise,
        disable_noise=disable_noise,
        start_step=start_step,
        last_step=last_step,
        force_full_denoise=force_full_denoise,
        noise_mask=latent.get("noise_mask"),
        callback=prepare_callback(model, steps),
        seed=seed,
    )
    kept = {name: value for name, value in latent.items() if name != "downscale_ratio_spacial"}
    return (
        {**kept, "samples": result, latents.FORMAT_KEY: model.model.latent_format.nodegraph_name},
    )


class KSampler(CoreNode, function="sample"):
    """Sample a latent."""

    def sample(
        self,
        model: ModelHandle,
        seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        positive: Any,
        negative: Any,
        latent_image: Mapping[str, Any],
        denoise: float = 1.0,
    ) -> tuple[Any, ...]:
        names = (sampler_name, scheduler, positive, negative, latent_image)
        return common_ksampler(model, seed, steps, cfg, *names, denoise=denoise)


class KSamplerAdvanced(CoreNode, function="sample"):
    """Sample some steps of a schedule."""

    def sample(
        self,
        model: ModelHandle,
        add_noise: str,
        noise_seed: int,
        steps: int,
        cfg: float,
        sampler_name: str,
        scheduler: str,
        positive: Any,
        negative: Any,
        latent_image: Mapping[str, Any],
        start_at_step: int,
        end_at_step: int,
        return_with_leftover_noise: str,
        denoise: float = 1.0,
    ) -> tuple[Any, ...]:
        names = (sampler_name, scheduler, positive, negative, latent_image)
        return common_ksampler(
            model,
            noise_seed,
            steps,
            cfg,
            *names,
            denoise=denoise,
            disable_noise=add_noise == "disable",
            start_step=start_at_step,
            last_step=end_at_step,
            force_full_denoise=return_with_leftover_noise != "enable",
        )


class SaveImage(CoreNode, function="save_images"):
    """Write images as PNG files into the outputs folder."""

    type = "output"
    prefix_append = ""
    compress_level = 4

    def __init__(self) -> None:
        self.output_dir = folders().get_directory_by_type(self.type)

    def save_images(
        self,
        images: Tensor,
        filename_prefix: str = "ComfyUI",
        prompt: Any = None,
        extra_pnginfo: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        size = images.shape[2], images.shape[1]
        folder, name, counter, subfolder, _ = folders().get_save_image_path(
            filename_prefix + self.prefix_append, self.output_dir, *size
        )
        written = []
        for index, pixels in enumerate((images.cpu() * 255.0).clamp(0, 255).byte().numpy()):
            stem = name.replace("%batch_num%", str(index))
            path = Path(folder) / f"{stem}_{counter + index:05}_.png"
            context = current_call.get() if self.type == "output" else None
            sent = {"prompt": prompt, **(extra_pnginfo or {})}
            texts = {name: json.dumps(value) for name, value in sent.items() if value is not None}
            if context is not None:
                texts = _result_texts(context, index, texts)
            _write_png(path, pixels, self.compress_level, texts)
            if context is not None:
                context.wrote(path, index=index)
            written.append({"filename": path.name, "subfolder": subfolder, "type": self.type})
        return {"ui": {"images": written}}


def _result_texts(context: Any, index: int, texts: Mapping[str, str]) -> dict[str, str]:
    """The texts of ComfyUI with those by which nodegraph makes the image again."""
    environment = context.environment
    is_kept = environment.metadata == "full" and environment.metadata_prompts
    own: dict[str, str] = context.file_metadata(index)
    if is_kept and "workflow" in texts and "workflow" in own:
        own["nodegraph_workflow"] = own.pop("workflow")
    return {**(texts if is_kept else {}), **own}


def _write_png(path: Path, pixels: Any, compress_level: int, texts: Mapping[str, str]) -> None:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    metadata = PngInfo()
    for name, text in texts.items():
        metadata.add_text(name, text)
    Image.fromarray(pixels).save(path, pnginfo=metadata, compress_level=compress_level)


class PreviewImage(SaveImage, function="save_images"):
    """Write images as PNG files into the temporary folder."""

    type = "temp"
    compress_level = 1

    def __init__(self) -> None:
        super().__init__()
        letters = "".join(secrets.choice(string.ascii_lowercase) for _ in range(5))
        self.prefix_append = f"_temp_{letters}"


class LoadImage(CoreNode, function="load_image"):
    """Read images and the mask of their transparency from the inputs folder."""

    def load_image(self, image: str) -> tuple[Any, ...]:
        from PIL import Image, ImageOps, ImageSequence

        path = folders().get_annotated_filepath(image)
        pictures: list[Tensor] = []
        masks: list[Tensor] = []
        with pillow(Image.open, path) as opened:
            for frame in ImageSequence.Iterator(opened):
                upright = ImageOps.exif_transpose(frame) or frame
                if upright.mode == "I":
                    upright = upright.point(lambda value: value * (1 / 255))
                pixels = _pixels(upright.convert("RGB"))
                if pictures and pixels.shape != pictures[0].shape:
                    continue
                pictures.append(pixels)
                masks.append(_transparency(upright))
        return torch.cat(pictures), torch.cat(masks)

    @classmethod
    def IS_CHANGED(cls, image: str) -> str:  # noqa: N802 - ComfyUI's name
        """Return a digest of the file."""
        path = Path(folders().get_annotated_filepath(image))
        return hashlib.sha256(path.read_bytes()).hexdigest()

    @classmethod
    def VALIDATE_INPUTS(cls, image: str) -> bool | str:  # noqa: N802 - ComfyUI's name
        """Return whether there is such a file."""
        return folders().exists_annotated_filepath(image) or f"Invalid image file: {image}"


def _pixels(picture: Any) -> Tensor:
    import numpy as np

    return torch.from_numpy(np.array(picture).astype(np.float32) / 255.0)[None]


def _transparency(picture: Any) -> Tensor:
    """1 - alpha of an image; 64 x 64 zeros without alpha."""
    if "A" in picture.getbands():
        return 1.0 - _pixels(picture.getchannel("A"))
    if picture.mode == "P" and "transparency" in picture.info:
        return 1.0 - _pixels(picture.convert("RGBA").getchannel("A"))
    return torch.zeros(1, 64, 64)


class LoadImageMask(CoreNode, function="load_image"):
    """Read one channel of an image as a mask."""

    def load_image(self, image: str, channel: str) -> tuple[Any, ...]:
        from PIL import Image, ImageOps

        with pillow(Image.open, folders().get_annotated_filepath(image)) as opened:
            upright = ImageOps.exif_transpose(opened) or opened
            if channel == "alpha":
                return (_transparency(upright),)
            return (_pixels(upright.convert("RGB").getchannel(channel[0].upper())),)


class MaskToImage(CoreNode, function="mask_to_image"):
    """Show a mask as gray images."""

    def mask_to_image(self, mask: Tensor) -> tuple[Any, ...]:
        planes = mask.reshape(-1, 1, *mask.shape[-2:])
        return (planes.movedim(1, -1).expand(-1, -1, -1, 3),)


class ImageToMask(CoreNode, function="image_to_mask"):
    """Take one channel of images as a mask."""

    def image_to_mask(self, image: Tensor, channel: str) -> tuple[Any, ...]:
        return (image[..., ["red", "green", "blue", "alpha"].index(channel)],)


class InvertMask(CoreNode, function="invert"):
    """Invert a mask."""

    def invert(self, mask: Tensor) -> tuple[Any, ...]:
        return (1.0 - mask,)


def _core_nodes() -> dict[str, Any]:
    """Core nodes by type."""
    members = {**vars(model_nodes), **globals()}
    return {
        name: item
        for name, item in members.items()
        if isinstance(item, type) and issubclass(item, CoreNode) and item.FUNCTION
    }


EXTRAS: Mapping[str, tuple[str, ...]] = {
    "comfy_extras.nodes_mask": ("MaskToImage", "ImageToMask", "InvertMask"),
    "comfy_extras.nodes_images": (),
    "comfy_extras.nodes_model_advanced": (
        *("RescaleCFG", "ModelSamplingSD3", "ModelSamplingAuraFlow", "ModelSamplingFlux"),
        "ModelSamplingDiscrete",
    ),
    "comfy_extras.nodes_freelunch": ("FreeU_V2",),
    "comfy_extras.nodes_differential_diffusion": ("DifferentialDiffusion",),
    "comfy_extras.nodes_flux": ("FluxGuidance",),
    "comfy_extras.nodes_clip_sdxl": ("CLIPTextEncodeSDXL",),
}
"""Classes of ``comfy_extras`` by module."""


def modules(environment: Environment, pack: Path | None) -> dict[str, dict[str, Any]]:
    """The names of ``nodes``, of loaders, and of ``comfy_extras``."""
    every = _core_nodes()
    extra = {name for names in EXTRAS.values() for name in names}
    core = {name: item for name, item in every.items() if name not in extra}
    managed = {
        "MAX_RESOLUTION": MAX_RESOLUTION,
        "NODE_CLASS_MAPPINGS": dict(every),
        "NODE_DISPLAY_NAME_MAPPINGS": {},
        "EXTENSION_WEB_DIRS": {},
        "LOADED_MODULE_DIRS": {},
        "common_ksampler": common_ksampler,
        "before_node_execution": _before_node_execution,
        "interrupt_processing": _interrupt_processing,
    }
    extras = {module: {name: every[name] for name in names} for module, names in EXTRAS.items()}
    return {"nodes": {**core, **managed}, **model_nodes.loaders(), **extras}


def _before_node_execution() -> None:
    import_module("comfy.model_management").throw_exception_if_processing_interrupted()


def _interrupt_processing(value: bool = True) -> None:
    import_module("comfy.model_management").interrupt_current_processing(value)
