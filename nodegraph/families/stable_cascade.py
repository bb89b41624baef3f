"""Stable Cascade: stage C samples a small latent, stage B a larger one that follows it.

Stage A, a VQ autoencoder, decodes the latter. The encoder of images for stage C, an EfficientNet,
is in ComfyUI alone: here stage C samples from noise. Imports no torch.

Source: Pernias et al. 2023, arXiv:2306.00637 (Würstchen); diffusers'
``StableCascadePriorPipeline`` and ``StableCascadeDecoderPipeline``
(``pipelines/stable_cascade``), by Stability AI and the authors of Würstchen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families import latent_colours as colours
from nodegraph.families.base import Config, Family, Part, Warn, encoded
from nodegraph.families.image_conditioning import (
    IMAGE_PROMPT,
    NO_IMAGE_PROMPT,
    NO_STAGE_C,
    STAGE_C,
)
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.needed_media import STAGE_C_LATENT, lacking_error
from nodegraph.families.stable_cascade_files import (
    CLIP_G,
    ENCODER_PREFIX,
    PAELLA_CLASS,
    PAELLA_FILE,
    STAGE_B_FILE,
    STAGE_C_FILE,
    UNET_CLASS,
    WHOLE_CLIP_G,
)
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import CodingMemory, StepMemory, unet_memory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import SingleFile

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_SCHEDULE_CLASS = "DDPMWuerstchenScheduler"
_CELL = 42.67
"""Pixels along the side of a cell of stage C."""
_LEAST = 64
"""Pixels along the shorter side that stage B needs at least."""


@dataclass(frozen=True)
class StageCFormat(LatentFormat):
    """Latents of stage C, whose cells are no whole number of pixels wide.

    `spatial` is the nearest whole number, for what estimates sizes; `cells` is exact.
    """

    def cells(self, pixels: int) -> int:
        """See `LatentFormat.cells`: a last cell may lie partly beyond the image."""
        return math.ceil(pixels / _CELL)


class PaellaFormat(LatentFormat):
    """Latents of stage B, by an autoencoder of images in 0..1.

    Its codebook is not used: latents are decoded as they are sampled.
    """

    def check_size(self, size: tuple[int, int], title: str) -> None:
        """Refuse images that vanish in the four sizes of each published UNet of stage B."""
        _check_least(size, _LEAST)

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        """See `LatentFormat.encode`."""
        latents: Tensor = vae.encode(pixels / 2 + 0.5).latents / vae.config.scale_factor
        return latents

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        """See `LatentFormat.decode`."""
        images: Tensor = vae.decode(vae.config.scale_factor * latents).sample.clamp(0, 1)
        return images * 2 - 1

    def decoding(self, config: Mapping[str, Any]) -> CodingMemory:
        """See `LatentFormat.decoding`."""
        # A block's inner layer is four times as wide, at half the size of the image.
        return CodingMemory(2 * 4 * _width(config) / 4)

    def encoding(self, config: Mapping[str, Any]) -> CodingMemory:
        """See `LatentFormat.encoding`."""
        return self.decoding(config)


def _width(config: Mapping[str, Any]) -> int:
    """Of the autoencoder's blocks of the largest size."""
    width, levels = int(config.get("embed_dim", 384)), int(config.get("levels", 2))
    return width >> (levels - 1)


STAGE_C_LATENTS = StageCFormat(
    "stable-cascade", 16, spatial=42, autoencoders=(), rgb=colours.STABLE_CASCADE
)
"""Stage C. Nothing decodes them but stage B."""
STAGE_B_LATENTS = PaellaFormat(
    "stable-cascade-decoder",
    4,
    spatial=4,
    autoencoders=(PAELLA_CLASS,),
    files=(PAELLA_FILE,),
    rgb=colours.STABLE_CASCADE_DECODER,
)
"""Stage B."""


class _Stage(Family):
    """What both stages have in common: a UNet of a continuous time, led by a CLIP text encoder."""

    def recognises(self, shapes: Shapes) -> bool:
        """Files with either stage have the same prefixes."""
        files = self.denoisers[0].files
        return super().recognises(shapes) and any(
            layout.prefix(shapes) is not None for layout in files
        )

    def step_memory(self, config: Config) -> StepMemory:
        patch = int(config.get("patch_size") or 1)
        held = unet_memory({"block_out_channels": config.get("block_out_channels")})
        return StepMemory(held.cell / patch**2, 0.0, held.parameter_uses)

    def adjust_schedule(self, schedule: Config, index: Config) -> Config:
        """Refuse schedulers of a table, whose timesteps are no times.

        Raises:
            InvalidFile: It is one.
        """
        name = schedule.get("_class_name", _SCHEDULE_CLASS)
        if name != _SCHEDULE_CLASS:
            raise InvalidFile(
                f"{self.title} is sampled over a continuous time, which this scheduler lacks",
                port="model",
                given=str(name),
                expected=_SCHEDULE_CLASS,
                hint="Use the scheduler folder of the original model.",
            )
        return {**schedule, "_class_name": _SCHEDULE_CLASS}

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import ClipEncoder, encode_windows

        clip = ClipEncoder(
            model.modules["text_encoder"],
            model.tokenizers["tokenizer"],
            model.clip_layer or self.clip_layer,
            masked=True,
            comfyui_windows=model.as_comfyui,
        )
        embeddings, pooled = encode_windows([clip], [text], warn)
        return encoded({"embeddings": embeddings, "pooled": pooled})

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        return torch.lerp(away, towards, cfg)

    def _time(self, x: Tensor, moment: Moment) -> Tensor:
        """Share of the noise's time at which the UNet is asked, in its precision, shape (n,)."""
        time = moment.timestep.float() / (moment.training_timesteps - 1)
        return time.expand(len(x)).to(x.dtype)

    def _pooled(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> Tensor:
        pooled, wanted = entry.tensors.get("pooled"), model.config["clip_text_pooled_in_channels"]
        if pooled is None or pooled.shape[-1] != wanted:
            raise InvalidValue(
                "the prompt's pooled embedding does not fit the model",
                port=request.side,
                given="none" if pooled is None else f"shape {tuple(pooled.shape)}",
                expected=f"shape (1, {wanted})",
                hint="Encode the prompt with the text encoder of the same LoadModel.",
            )
        return pooled


class StableCascade(_Stage):
    """Stage C: a UNet that attends to a text and to what images show.

    A negative prompt without images gets zeros in place of those of the first positive prompt.
    """

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        prior = configs.get("prior", {})
        return None if prior.get("clip_text_in_channels") else "a Würstchen"

    def context_width(self, config: Config) -> int | None:
        return int(config["clip_text_in_channels"])

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        width = int(model.config["clip_image_in_channels"])
        images = fitted.get(IMAGE_PROMPT, fitted.get(NO_IMAGE_PROMPT, torch.zeros(1, 1, width)))
        if images.shape[-1] != width:
            raise InvalidValue(
                "the image encoder does not fit stage C of Stable Cascade",
                port=request.side,
                given=f"{images.shape[-1]} numbers for each image",
                expected=f"{width}: CLIP ViT-L/14 with its projection",
                hint="Load the image_encoder folder of the model with LoadImageEncoder.",
            )
        pooled = self._pooled(model, entry, request)
        return {"embeddings": fitted["embeddings"], "pooled": pooled, IMAGE_PROMPT: images}

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        output: Tensor = model.module(
            sample=x,
            timestep_ratio=self._time(x, moment),
            clip_text_pooled=batch["pooled"].unsqueeze(1),
            clip_text=batch["embeddings"],
            clip_img=batch[IMAGE_PROMPT],
            return_dict=False,
        )[0]
        return output


class StableCascadeDecoder(_Stage):
    """Stage B: a UNet that sees the latent of stage C, and the pooled prompt.

    A prompt without a latent gets zeros in its place; the first positive one needs it.
    """

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        decoder = configs.get("decoder", {})
        return None if decoder.get("effnet_in_channels") else "a Würstchen"

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        _check_size(model.config, request)
        tensors, channels = entry.tensors, int(model.config["effnet_in_channels"])
        shown = tensors.get(STAGE_C, tensors.get(NO_STAGE_C))
        if shown is None and request.side == "positive":
            raise lacking_error(STAGE_C_LATENT, request.side)
        if shown is None:
            shown = torch.zeros(1, 1, channels, 1, 1)
        images = request.shape[0]
        if shown.shape[2] != channels or shown.shape[1] not in (1, images):
            fitting = "1 item" if images == 1 else f"1 or {images} items"
            raise InvalidValue(
                "the latent of stage C does not fit the latent of stage B",
                port=request.side,
                given=f"{shown.shape[1]} items of {shown.shape[2]} channels",
                expected=f"{fitting} of {channels} channels",
                hint="Sample both stages with the same number of images.",
            )
        return {"pooled": self._pooled(model, entry, request), STAGE_C: shown}

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        output: Tensor = model.module(
            sample=x,
            timestep_ratio=self._time(x, moment),
            clip_text_pooled=batch["pooled"].unsqueeze(1),
            effnet=_of_items(batch[STAGE_C]),
            return_dict=False,
        )[0]
        return output


def _check_size(config: Mapping[str, Any], request: SamplingRequest) -> None:
    """Refuse latents that vanish where the UNet halves them, once for each level after the first.

    Raises:
        InvalidValue: One is; on port ``latent``.
    """
    least = int(config["patch_size"]) << (len(config["block_out_channels"]) - 1)
    _check_least((request.width, request.height), least * STAGE_B_LATENTS.spatial)


def _check_least(size: tuple[int, int], least: int) -> None:
    if min(size) < least:
        raise InvalidValue(
            "the image is too small for stage B of Stable Cascade",
            port="latent",
            given=f"{size[0]} x {size[1]} pixels",
            expected=f"at least {least} x {least} pixels",
            hint="Generate a larger size and scale the result down.",
        )


def _of_items(latents: Tensor) -> Tensor:
    """The latent of stage C for each row of a batch, whose items lie one after the other.

    Args:
        latents: Shape (rows, items, channels, height, width), alike in all rows of a prompt.
    Raises:
        InvalidValue: The rows are not all items of each prompt.
    """
    rows, items = latents.shape[:2]
    if rows % items:
        raise InvalidValue(
            "images of several latents of stage C are not sampled one by one",
            port="positive",
            given=f"{items} latents of stage C",
            expected="one",
            hint="Sample each latent of stage C by a sampler of its own.",
        )
    return latents[::items].flatten(0, 1)


def _encoder(*files: Any) -> tuple[Part, ...]:
    return (Part("text_encoder", ("CLIPTextModelWithProjection",), files=files),)


_TOKENIZER = (Part("tokenizer", ("CLIPTokenizer",), vocabulary="clip-l"),)
_COMMON: dict[str, Any] = {
    "tokenizers": _TOKENIZER,
    "positive_first": True,
    "weighs_words": True,
    "clip_layer": 1,
    "lengthens": True,
    "speedups": frozenset(),
    # Guiders know neither the class of its attention nor those of its blocks.
    "perturbs_attention": False,
    "skips_blocks": False,
    "comfyui_type": "stable_cascade",
}
_SIGN = LoraSign(
    r"^(down|up)_blocks_\d+_\d+_(attention|kv_mapper|channelwise|depthwise|mapper)",
    "Stable Cascade",
)
_STAGE_C_SIGN = LoraSign(r"^down_blocks_[01]_\d+_(attention|kv_mapper)", "Stable Cascade stage C")
"""Stage C has attention at both of its sizes, stage B at the two smallest of four."""
_STAGE_B_SIGN = LoraSign(
    r"^(down|up)_blocks_[23]_\d+_(attention|kv_mapper|channelwise|depthwise|mapper)",
    "Stable Cascade stage B",
)


STABLE_CASCADE = StableCascade(
    "stable-cascade",
    "Stable Cascade stage C",
    latent=STAGE_C_LATENTS,
    pipelines=("StableCascadePriorPipeline",),
    denoisers=(Part("prior", (UNET_CLASS,), files=(STAGE_C_FILE,)),),
    encoders=_encoder(WHOLE_CLIP_G, CLIP_G),
    scheduler={"comfyui_shift": 2.0},
    # A cell of stage C is no whole number of pixels wide: any size has whole cells. Resized
    # latents have sides that nothing else divides.
    multiple=1,
    single_file=SingleFile(
        {"prior": "model.diffusion_model.", "text_encoder": ENCODER_PREFIX}, "stable-cascade-v1"
    ),
    lora_signs=(_STAGE_C_SIGN, _SIGN),
    accepts_prompts_of=("stable-cascade-decoder",),
    **_COMMON,
)
STABLE_CASCADE_DECODER = StableCascadeDecoder(
    "stable-cascade-decoder",
    "Stable Cascade stage B",
    latent=STAGE_B_LATENTS,
    pipelines=("StableCascadeDecoderPipeline",),
    denoisers=(Part("decoder", (UNET_CLASS,), files=(STAGE_B_FILE,)),),
    encoders=_encoder(WHOLE_CLIP_G, CLIP_G),
    vae="vqgan",
    video_inputs=lambda _: frozenset({STAGE_C_LATENT}),
    needs_media=True,
    accepts_prompts_of=("stable-cascade",),
    single_file=SingleFile(
        {
            "decoder": "model.diffusion_model.",
            "text_encoder": ENCODER_PREFIX,
            # By its name in folders, and by that in recipes.
            **dict.fromkeys(("vqgan", "vae"), "vae."),
        },
        "stable-cascade-v1",
    ),
    lora_signs=(_STAGE_B_SIGN, _SIGN),
    **_COMMON,
)
