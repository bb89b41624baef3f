"""What families with a UNet and cross-attention have in common. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import ATTENTION_CACHES, CHANNELS_LAST, CONTROLS, FUSED, Config, Family
from nodegraph.families.image_conditioning import (
    CONTROL_IMAGE,
    INPAINT_MASK,
    MASKED_IMAGE,
    any_mask,
    check_ip_adapter_images,
    count_ip_adapters,
    ip_adapter_inputs,
    ip_adapter_masks,
    masks_over,
    with_control_image,
    with_masked_image,
)
from nodegraph.families.layer_names import UNET_SIGN, LoraSign
from nodegraph.families.model_step import (
    DOWN,
    FEATURES,
    MID,
    Batch,
    ControlNetCall,
    Moment,
    Residuals,
    SamplingRequest,
    unet_options,
)
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import StepMemory, unet_memory

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser
    from nodegraph.weights.safetensors_header import Shapes


def unet_residuals(
    question: ControlNetCall,
    x: Tensor,
    moment: Moment,
    batch: Batch,
    added: Mapping[str, Tensor],
) -> Residuals:
    """What a control network adds inside a UNet.

    Args:
        x, moment, batch: As of `Family.predict`.
        added: What the UNet takes beside the prompt.
    """
    kind = type(question.network).__name__
    if kind == "T2IAdapter":
        return _features(question)
    options: dict[str, Any] = {
        "encoder_hidden_states": batch["embeddings"],
        "added_cond_kwargs": dict(added) or None,
        "guess_mode": question.faint,
        "return_dict": False,
    }
    if kind == "ControlNetUnionModel":
        options |= _together(question, x)
    else:
        options |= {
            "controlnet_cond": question.repeat(question.hints[0]),
            "conditioning_scale": question.strengths[0],
        }
    down, mid = question.network(x, moment.timestep, **options)
    return {DOWN: down, MID: [mid]}


def _together(question: ControlNetCall, x: Tensor) -> dict[str, Any]:
    """What one that takes several images at once is told of them."""
    modes = [int(mode or 0) for mode in question.modes]
    kinds = torch.zeros(question.network.config.num_control_type).scatter_(
        0, torch.tensor(modes), 1
    )
    return {
        "controlnet_cond": [question.repeat(hint) for hint in question.hints],
        "control_type": kinds.reshape(1, -1).to(x.device, x.dtype).repeat(len(x), 1),
        "control_type_idx": modes,
        "conditioning_scale": list(question.strengths),
    }


def _features(question: ControlNetCall) -> Residuals:
    """It looks at the image alone, so that once is enough."""
    if FEATURES not in question.cache:
        features = question.network(question.hints[0])
        question.cache[FEATURES] = [item * question.strengths[0] for item in features]
    return {FEATURES: [question.repeat(item) for item in question.cache[FEATURES]]}


BOXES, PHRASES, USED_BOXES = "boxes", "phrases", "used boxes"
"""Tensors of a prompt with text boxes; see `nodegraph.models.gligen.box_tensors`."""

LENGTHENED = 2
"""Times the longest prompt of a step: up to here all are brought to one length for one batch."""


@dataclass(frozen=True)
class UNetFamily(Family):
    """Prompts of several windows of tokens are repeated up to one length for one batch.

    Cross-attention weighs all tokens of a prompt against each other, so repeating every one of
    them equally often changes nothing in what it gives.

    Attributes:
        is_told_sizes: Whether it takes sizes beside the prompt, as SDXL is.
        projects_text: Whether its networks project the prompt to the width of their attention.
    """

    lengthens: bool = True
    is_told_sizes: bool = False
    projects_text: bool = False
    image_inputs: frozenset[str] = frozenset({"control"})
    follows_unscaled: bool = True
    speedups: frozenset[str] = ATTENTION_CACHES | FUSED | CHANNELS_LAST
    lora_signs: tuple[LoraSign, ...] = (UNET_SIGN,)

    def fills_masked_image(self, config: Config) -> bool:
        """A model that sees the mask and the masked image in more channels."""
        return _is_inpainting(config)

    def channels(self, config: Config) -> int:
        return int(config.get("out_channels", 4))

    def step_memory(self, config: Config) -> StepMemory:
        return unet_memory(config)

    def context_width(self, config: Config) -> int | None:
        return int(config["cross_attention_dim"])

    def guides_itself(self, config: Config, settings: Config) -> bool:
        return config.get("time_cond_proj_dim") is not None

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        taken, out_channels = (
            configs.get("unet", {}).get(name, 4) for name in ("in_channels", "out_channels")
        )
        # Any latent will do, as a folder says how many channels its own has. A UNet that takes
        # more than it gives wants something else beside it.
        return (
            None
            if taken in input_channels(out_channels)
            else channel_mismatch_text(taken, out_channels)
        )

    def recognises(self, shapes: Shapes) -> bool:
        first = shapes.get("model.diffusion_model.input_blocks.0.0.weight", ())
        last = shapes.get("model.diffusion_model.out.2.weight", (4,))
        fits = len(first) == 4 and first[1] in input_channels(last[0])
        return fits and super().recognises(shapes)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_ip_adapter_images(fitted, count_ip_adapters(model.module), request.side)
        masks = masks_over(fitted, request.width, request.height)
        fills = self.fills_masked_image(model.config)
        fitted = with_masked_image({**fitted, **masks}, request, fills=fills)
        fitted = with_control_image(
            fitted, entry, request, follows=_is_instruct_pix2pix(model.config)
        )
        if self.guides_itself(model.config, model.settings):
            width = int(model.config["time_cond_proj_dim"])
            fitted["guidance"] = guidance_scale_embedding(request.cfg - 1, width)
        return fitted

    def groups(self, prompts: Sequence[Mapping[str, Tensor]]) -> list[list[int]]:
        """All in one that are told alike beside their text, unless bringing them to one length
        would make the longest far longer: of 7 and 8 windows each would become 56."""
        alike: dict[Hashable, list[int]] = {}
        for index, prompt in enumerate(prompts):
            shapes = {(name, tuple(item.shape[1:])) for name, item in prompt.items()}
            text = ("embeddings", tuple(prompt["embeddings"].shape[1:]))
            alike.setdefault(frozenset(shapes - {text}), []).append(index)
        return [group for places in alike.values() for group in _by_length(prompts, places)]

    def matched(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        """By repeating them, which says the same."""
        tokens = math.lcm(first.shape[1], second.shape[1])
        times = tokens // first.shape[1], tokens // second.shape[1]
        others = (1,) * (first.ndim - 2)
        return first.repeat(1, times[0], *others), second.repeat(1, times[1], *others)

    def join(self, prompts: Sequence[Mapping[str, Tensor]], batch: int) -> Batch:
        tokens = math.lcm(*(prompt["embeddings"].shape[1] for prompt in prompts))
        return super().join([_lengthened(prompt, tokens) for prompt in prompts], batch)

    @property
    def row_names(self) -> tuple[str, ...]:
        """All but the images of adapters, whose masks are made for a batch."""
        return (
            "embeddings",
            *_ADDED.values(),
            "guidance",
            INPAINT_MASK,
            MASKED_IMAGE,
            CONTROL_IMAGE,
            BOXES,
            PHRASES,
            USED_BOXES,
        )

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        added = {name: batch[key] for name, key in _ADDED.items() if key in batch}
        added |= ip_adapter_inputs(batch)
        masks = ip_adapter_masks(batch)
        residuals = unet_options(batch[CONTROLS]) if CONTROLS in batch else {}
        extra_inputs = (
            name for name in (INPAINT_MASK, MASKED_IMAGE, CONTROL_IMAGE) if name in batch
        )
        model_input = torch.cat([x, *(batch[name] for name in extra_inputs)], 1)
        attention_options: dict[str, Any] = {}
        if any_mask(masks):
            attention_options["ip_adapter_masks"] = masks
        # Without its gated layers, as after their part of the sampling, it reads no boxes.
        if BOXES in batch and hasattr(model.module, "position_net"):
            attention_options["gligen"] = {
                "boxes": batch[BOXES],
                "positive_embeddings": batch[PHRASES],
                "masks": batch[USED_BOXES],
            }
        output: Tensor = model.module(
            model_input,
            moment.timestep,
            encoder_hidden_states=batch["embeddings"],
            timestep_cond=batch.get("guidance"),
            added_cond_kwargs=added or None,
            cross_attention_kwargs=attention_options or None,
            return_dict=False,
            **residuals,
        )[0]
        return output

    def leads(self, class_name: str, config: Config) -> bool:
        """Networks beside Stable Diffusion's UNets differ in what they take, and its width."""
        if not super().leads(class_name, config):
            return False
        if class_name == "T2IAdapter":
            is_xl = config.get("adapter_type") == "full_adapter_xl"
            return is_xl == self.is_told_sizes
        is_told = config.get("addition_embed_type") is not None
        projects = config.get("encoder_hid_dim_type") is not None
        return is_told == self.is_told_sizes and projects == self.projects_text

    def controlled(
        self, model: Denoiser, question: ControlNetCall, x: Tensor, moment: Moment, batch: Batch
    ) -> Residuals:
        added = {name: batch[key] for name, key in _ADDED.items() if key in batch}
        return unet_residuals(question, x, moment, batch, added)


def _filling(channels: int) -> int:
    """Channels that a UNet takes which fills masked images: the mask and the rest's beside."""
    return 2 * channels + 1


def input_channels(channels: int) -> tuple[int, int, int]:
    """Channels that a UNet for latents of so many takes: those alone, beside an image to follow,
    and beside what fills a masked one."""
    return channels, 2 * channels, _filling(channels)


def _is_inpainting(config: Config) -> bool:
    return bool(config["in_channels"] == _filling(config["out_channels"]))


def _is_instruct_pix2pix(config: Config) -> bool:
    """Whether it was trained on instructions: Brooks et al. 2023, arXiv:2211.09800."""
    return bool(config["in_channels"] == 2 * config["out_channels"])


_ADDED = {"text_embeds": "pooled", "time_ids": "time_ids"}
"""Names of a UNet's further inputs, and those of the tensors of a prompt."""


def _by_length(prompts: Sequence[Mapping[str, Tensor]], places: list[int]) -> list[list[int]]:
    lengths = {at: prompts[at]["embeddings"].shape[1] for at in places}
    if math.lcm(*lengths.values()) <= LENGTHENED * max(lengths.values()):
        return [places]
    return [
        [at for at in places if lengths[at] == length] for length in dict.fromkeys(lengths.values())
    ]


def _lengthened(prompt: Mapping[str, Tensor], tokens: int) -> Mapping[str, Tensor]:
    times = tokens // prompt["embeddings"].shape[1]
    if times == 1:
        return prompt
    return {**prompt, "embeddings": prompt["embeddings"].repeat(1, times, 1)}


def channel_mismatch_text(taken: int, expected: int) -> str:
    """In words, a UNet that takes more channels than it gives."""
    return f"a model whose UNet takes {taken} channels instead of {expected}"


def guidance_scale_embedding(scale: float, width: int) -> Tensor:
    """The guidance scale as sines and cosines, for models that were distilled with it.

    Returns:
        float32, shape (1, width).
    Source: Meng et al. 2023, arXiv:2210.03142; the frequencies are as in diffusers.
    """
    half = width // 2
    frequencies = torch.exp(torch.arange(half) * -(math.log(10000.0) / (half - 1)))
    angles = torch.tensor([scale]) * 1000.0 * frequencies
    padding = torch.zeros(width - 2 * half)
    return torch.cat([angles.sin(), angles.cos(), padding]).unsqueeze(0)
