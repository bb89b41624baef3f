"""Cosmos 1.0 and Cosmos Predict2: worlds as videos, and images, from prompts. Imports no torch.

Both predict the clean latent of latent + sigma · noise at any noise level; how a network's input
and output are scaled is in `CosmosFamily.predict`. Source: NVIDIA 2025, arXiv:2501.03575; Karras
et al. 2022, arXiv:2206.00364, section 5. What no tensor shows is from
``scripts/convert_cosmos_to_diffusers.py`` of https://github.com/huggingface/diffusers
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any, TypeVar

from nodegraph.errors import InvalidValue
from nodegraph.families import latent_colours as colours
from nodegraph.families.base import RATE, Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.image_conditioning import (
    FIRST_FRAME,
    check_video_size,
    missing_image_error,
    unused_image_error,
    with_first_frame,
)
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.position_limits import PositionLimits
from nodegraph.families.scheduler_file import EDM_CLASS
from nodegraph.families.wan_vae import WAN as WAN_LATENTS
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import (
    FileLayout,
    OriginalNames,
    Table,
    count_of,
    has_marks,
)
from nodegraph.weights.single_files.language import T5_11B
from nodegraph.weights.single_files.renamed_layouts import (
    EULER_FLOW,
    HEAD_WIDTH,
    PREFIXES,
    denoiser_layout,
)

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_Item = TypeVar("_Item")

_TOKENS = 512
_CELL = 4
"""Numbers of a channel in a patch of 1 x 2 x 2 cells."""
_PATCH = (1, 2, 2)
_MOST_CELLS = (128, 240, 240)
"""Latent frames, rows and columns that a network has positions for."""
_CLEAN_SIGMA = 0.0001
"""Noise level that Predict2 is asked at for conditioning frames; the default of its pipeline."""
_CONDITION_MASK = "condition_mask"
"""Tensor of a fitted prompt: 1 for latent frames that the network takes as conditioning, 0 for
others; shape (1, 1, frames, 1, 1)."""


class CosmosFormat(LatentFormat):
    """Videos whose autoencoder states a mean and a deviation for each channel and latent frame.

    Latents have the deviation 0.5, as models of Cosmos 1.0 are trained on them.
    """

    data_deviation = 0.5

    def encode(self, vae: Any, pixels: Tensor) -> Tensor:
        mode: Tensor = vae.encode(pixels).latent_dist.mode().float()
        statistics = _statistics(vae, mode)
        if statistics is None:
            return mode * self.data_deviation
        mean, deviation = statistics
        # In this order the stock pipelines compute, which makes the bits equal.
        scaled: Tensor = (mode - mean) * self.data_deviation / deviation
        return scaled

    def decode(self, vae: Any, latents: Tensor) -> Tensor:
        statistics = _statistics(vae, latents)
        if statistics is None:
            inputs = latents / self.data_deviation
        else:
            mean, deviation = statistics
            inputs = latents * deviation / self.data_deviation + mean
        pixels: Tensor = vae.decode(inputs.to(vae.dtype), return_dict=False)[0]
        return pixels


def _statistics(vae: Any, latents: Tensor) -> tuple[Tensor, Tensor] | None:
    """Mean and deviation, (1, channels, frames, 1, 1); None for autoencoders without any.

    Raises:
        InvalidValue: The video has more latent frames than the autoencoder has statistics for.
    """
    if vae.config.latents_mean is None:
        return None
    frames = latents.shape[2]
    mean, deviation = (
        torch.tensor(values).view(1, vae.config.latent_channels, -1, 1, 1).to(latents)
        for values in (vae.config.latents_mean, vae.config.latents_std)
    )
    if frames > mean.shape[2]:
        raise InvalidValue(
            "the video is too long for the VAE of Cosmos 1.0",
            port="latent",
            given=f"{frames} latent frames",
            expected=f"at most {mean.shape[2]}, {(mean.shape[2] - 1) * 8 + 1} frames",
        )
    return mean[:, :, :frames], deviation[:, :, :frames]


COSMOS_LATENTS = CosmosFormat(
    "cosmos",
    16,
    temporal=8,
    autoencoders=("AutoencoderKLCosmos",),
    rgb=colours.COSMOS,
    rgb_bias=colours.COSMOS_BIAS,
)
"""Cosmos 1.0."""


def network_config(shapes: Shapes) -> dict[str, Any]:
    width, taken = shapes["patch_embed.proj.weight"]
    out_channels = shapes["proj_out.weight"][0] // _CELL
    has_positions = "learnable_pos_embed.pos_emb_t" in shapes
    # One of the channels is a mask of padding.
    in_channels = taken // _CELL - 1
    return {
        "in_channels": in_channels,
        "out_channels": out_channels,
        "num_attention_heads": width // HEAD_WIDTH,
        "attention_head_dim": HEAD_WIDTH,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "mlp_ratio": shapes["transformer_blocks.0.ff.net.0.proj.weight"][0] / width,
        "text_embed_dim": shapes["transformer_blocks.0.attn2.to_k.weight"][1],
        "adaln_lora_dim": shapes["transformer_blocks.0.norm1.linear_1.weight"][0],
        "max_size": _most_cells(shapes) if has_positions else _MOST_CELLS,
        "patch_size": _PATCH,
        "rope_scale": _rope_scale(width, has_positions, in_channels == out_channels),
        "concat_padding_mask": True,
        "extra_pos_embed_type": "learnable" if has_positions else None,
    }


def _most_cells(shapes: Shapes) -> tuple[int, int, int]:
    frames, rows, columns = (
        shapes[f"learnable_pos_embed.pos_emb_{axis}"][0] * side
        for axis, side in zip(("t", "h", "w"), _PATCH, strict=True)
    )
    return frames, rows, columns


def _rope_scale(width: int, has_positions: bool, is_of_text: bool) -> tuple[float, float, float]:
    """Published factors on the reach of rotary positions in time, height and width."""
    is_large = width // HEAD_WIDTH == 40
    if has_positions:
        return (2.0, 2.0, 2.0) if is_large else (2.0, 1.0, 1.0)
    if is_of_text:
        return 1.0, 4.0, 4.0
    return (20 / 24, 2.0, 2.0) if is_large else (1.0, 3.0, 3.0)


_COMMON_LAYERS: Table = (
    ("patch_embed.proj", "x_embedder.proj.1"),
    ("time_embed.t_embedder.linear_1", "t_embedder.1.linear_1"),
    ("time_embed.t_embedder.linear_2", "t_embedder.1.linear_2"),
    ("proj_out", "final_layer.linear"),
)
_COSMOS_LAYERS: Table = (
    *_COMMON_LAYERS,
    ("time_embed.norm", "affline_norm"),
    ("learnable_pos_embed.pos_emb_t", "extra_pos_embedder.pos_emb_t"),
    ("learnable_pos_embed.pos_emb_h", "extra_pos_embedder.pos_emb_h"),
    ("learnable_pos_embed.pos_emb_w", "extra_pos_embedder.pos_emb_w"),
    *(
        (
            f"transformer_blocks.*.attn{part + 1}.{here}",
            f"blocks.*.blocks.{part}.block.attn.{there}",
        )
        for part in range(2)
        for here, there in (
            ("to_q", "to_q.0"),
            ("norm_q", "to_q.1"),
            ("to_k", "to_k.0"),
            ("norm_k", "to_k.1"),
            ("to_v", "to_v.0"),
            ("to_out.0", "to_out.0"),
        )
    ),
    ("transformer_blocks.*.ff.net.0.proj", "blocks.*.blocks.2.block.layer1"),
    ("transformer_blocks.*.ff.net.2", "blocks.*.blocks.2.block.layer2"),
    *(
        (
            f"transformer_blocks.*.norm{part + 1}.linear_{layer}",
            f"blocks.*.blocks.{part}.adaLN_modulation.{layer}",
        )
        for part in range(3)
        for layer in (1, 2)
    ),
    ("norm_out.linear_1", "final_layer.adaLN_modulation.1"),
    ("norm_out.linear_2", "final_layer.adaLN_modulation.2"),
)
PREDICT2_LAYERS: Table = (
    *_COMMON_LAYERS,
    ("time_embed.norm", "t_embedding_norm"),
    *(
        (f"transformer_blocks.*.{attention}.{here}", f"blocks.*.{original}.{there}")
        for attention, original in (("attn1", "self_attn"), ("attn2", "cross_attn"))
        for here, there in (
            ("to_q", "q_proj"),
            ("norm_q", "q_norm"),
            ("to_k", "k_proj"),
            ("norm_k", "k_norm"),
            ("to_v", "v_proj"),
            ("to_out.0", "output_proj"),
        )
    ),
    ("transformer_blocks.*.ff.net.0.proj", "blocks.*.mlp.layer1"),
    ("transformer_blocks.*.ff.net.2", "blocks.*.mlp.layer2"),
    *(
        (
            f"transformer_blocks.*.norm{part}.linear_{layer}",
            f"blocks.*.adaln_modulation_{original}.{layer}",
        )
        for part, original in ((1, "self_attn"), (2, "cross_attn"), (3, "mlp"))
        for layer in (1, 2)
    ),
    ("norm_out.linear_1", "final_layer.adaln_modulation.1"),
    ("norm_out.linear_2", "final_layer.adaln_modulation.2"),
)

PREDICT2_MARKS = ("blocks.0.self_attn.q_proj.weight", "blocks.0.adaln_modulation_mlp.1.weight")
"""Tensors of original files that tell a network of Predict2."""

ORIGINAL_PREFIXES = ("net.", *PREFIXES)
"""What stands before the names of tensors in original files."""

_UNUSED = (
    *("logvar.", "pos_embedder.", "accum_video_sample_counter", "accum_image_sample_counter"),
    *("accum_iteration", "accum_train_in_hours"),
)
"""Tensors of original files that no image depends on."""
_RELATIVES = ("crossattn_proj.", "llm_adapter.", "img_context_proj.", "control_embedder.")
"""What names begin with in models that are built on Predict2's network: Predict2.5, Anima."""


def _plain(items: Mapping[str, _Item]) -> dict[str, _Item]:
    """Original tensors, with blocks named by a number alone and without states of no tensor."""
    return {
        re.sub(r"^blocks\.block(?=\d)", "blocks.", name): item
        for name, item in items.items()
        if not name.endswith("_extra_state")
    }


def cosmos_layout(
    name: str,
    title: str,
    original: tuple[str, ...],
    names: Table,
    scheduler: Mapping[str, Any],
    *,
    has_positions: bool = False,
    companions: Mapping[str, str] = MappingProxyType({}),
    further: Mapping[str, str] = MappingProxyType({}),
    config: Callable[[Shapes], dict[str, Any]] = network_config,
) -> FileLayout:
    """Return a layout of a transformer.

    Args:
        original: Tensors of original files that tell it.
        names: Its layers, and what they are called in original files.
        scheduler: The published noise schedule.
        has_positions: Whether its network has learned positions, which tells files of diffusers.
        companions: Parts of the model that its files hold, too: what their names begin with, and a
            tensor of each.
        further: Parts that the network has beside Predict2's, in the same form.
        config: Its configuration, of shapes by diffusers' names.
    """
    own = {**companions, **further}
    here = ("transformer_blocks.0.norm1.linear_1.weight", "patch_embed.proj.weight")
    marks = tuple((*tensors, *own.values()) for tensors in (original, here))
    inner = denoiser_layout(
        name,
        title,
        "CosmosTransformer3DModel",
        marks=tuple(tuple(_plain(dict.fromkeys(tensors, 0))) for tensors in marks),
        names=OriginalNames(names),
        config=config,
        scheduler=scheduler,
        fits=lambda shapes: ("learnable_pos_embed.pos_emb_t" in shapes) is has_positions,
        without=tuple(item for item in _RELATIVES if item not in own),
        unused=(*_UNUSED, *companions),
    )
    return replace(
        inner,
        matches=lambda shapes: has_marks(shapes, marks) and inner.matches(_plain(shapes)),
        config=lambda shapes: inner.config(_plain(shapes)),
        convert=lambda tensors, config: inner.convert(_plain(tensors), config),
        prefixes=ORIGINAL_PREFIXES,
        marks=marks,
    )


COSMOS_FILE = cosmos_layout(
    "cosmos-transformer",
    "the transformer of Cosmos 1.0",
    ("blocks.block0.blocks.0.block.attn.to_q.0.weight", "extra_pos_embedder.pos_emb_h"),
    _COSMOS_LAYERS,
    {"_class_name": EDM_CLASS, "sigma_data": 0.5},
    has_positions=True,
)
PREDICT2_FILE = cosmos_layout(
    "cosmos-predict2-transformer",
    "the transformer of Cosmos Predict2",
    PREDICT2_MARKS,
    PREDICT2_LAYERS,
    {"_class_name": EDM_CLASS, "sigma_data": 1.0},
)


class CosmosFamily(Family):
    """A transformer guided by T5-11B, whose padding counts as zeros.

    Guidance adds the difference of both prompts to the positive one, so that cfg is the
    pipelines' guidance scale + 1.
    """

    usual_rate: float

    def channels(self, config: Config) -> int:
        return int(config["out_channels"])

    def context_width(self, config: Config) -> int | None:
        return int(config["text_embed_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import t5_states, tokenize_padded

        tokens = tokenize_padded(model.tokenizers["tokenizer"], text, _TOKENS, warn)
        states = t5_states(model.modules["text_encoder"], tokens, masked=True)
        length = int(tokens["attention_mask"].sum())
        states[:, length:] = 0
        return encoded({"embeddings": states})

    def position_limits(self, config: Config) -> PositionLimits:
        return table_limits(config)

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        """The pipelines' own negative prompt."""
        from diffusers.pipelines.cosmos import pipeline_cosmos_text2world as pipeline

        return self.encode(model, pipeline.DEFAULT_NEGATIVE_PROMPT)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_video_size(fitted, request)
        takes_frames = bool(_video_inputs(model.config))
        first = fitted.get(FIRST_FRAME)
        if takes_frames and first is None:
            raise missing_image_error(request)
        if first is not None and not takes_frames:
            raise unused_image_error(request)
        if first is not None:
            mask = torch.zeros(1, 1, request.shape[2], 1, 1)
            mask[:, :, : first.shape[2]] = 1
            fitted[_CONDITION_MASK] = mask
        return fitted

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Combine as the pipelines do, which round differently from `Family.guided`."""
        return towards + (cfg - 1) * (towards - away)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        """The clean latent; conditioning frames are as they are.

        Args:
            x: Latent + sigma · noise, float32.
        """
        first = batch.get(FIRST_FRAME)
        # On the CPU, as the pipelines' noise levels: its precision raises no other.
        sigma = torch.tensor(moment.sigma, dtype=torch.float32)
        return with_first_frame(self.denoised(model, x, sigma, batch, first), first)

    @abstractmethod
    def denoised(
        self, model: Denoiser, x: Tensor, sigma: Tensor, batch: Batch, first: Tensor | None
    ) -> Tensor:
        """The clean latent as the network has it, also in conditioning frames.

        Args:
            sigma: Noise level; float32, 0-dimensional.
            first: Latents of the conditioning frames.
        """

    def output(
        self, model: Denoiser, hidden: Tensor, timestep: Tensor, batch: Batch, rate: float | None
    ) -> Tensor:
        """What the network gives.

        Args:
            hidden: Its scaled input.
            timestep: Shape (n,), or (n, 1, frames, 1, 1).
            rate: Frames per second; None for images.
        """
        provide_resizing()
        mask = batch.get(_CONDITION_MASK)
        if mask is not None:
            mask = mask.to(hidden.dtype).expand(-1, -1, -1, *hidden.shape[3:])
        output: Tensor = model.module(
            hidden_states=hidden,
            timestep=timestep.to(hidden.dtype),
            encoder_hidden_states=batch["embeddings"],
            fps=rate,
            condition_mask=mask,
            # No part of a latent is padding.
            padding_mask=hidden.new_zeros(1, 1, *hidden.shape[3:]),
            return_dict=False,
        )[0]
        return output

    def rate(self, batch: Batch) -> float:
        """Frames per second that the first prompt states, or those of the published models."""
        if RATE not in batch:
            return self.usual_rate
        numerator, denominator = batch[RATE][0].tolist()
        return float(numerator / denominator)


def _video_inputs(config: Config) -> frozenset[str]:
    """Return what a model takes of `VIDEO_MEDIA`."""
    takes_frames = config["in_channels"] != config["out_channels"]
    return frozenset({"first image"} if takes_frames else ())


class Cosmos(CosmosFamily):
    """Cosmos 1.0, whose network predicts as Karras et al. 2022 scale it (EDM)."""

    usual_rate = 30.0

    def trained_size(self, config: Config) -> tuple[int, int]:
        return 1280, 704

    def denoised(
        self, model: Denoiser, x: Tensor, sigma: Tensor, batch: Batch, first: Tensor | None
    ) -> Tensor:
        data = float(model.scheduler_config.get("sigma_data", 0.5))
        c_in = 1 / ((sigma**2 + data**2) ** 0.5)
        if first is not None:
            # The pipelines add noise of deviation 0.001 to these frames; here they are clean.
            c_in_clean = 1 / ((torch.zeros(1) ** 2 + data**2) ** 0.5)
            scaled = first * c_in_clean.to(first.device) / c_in
            shown = with_first_frame(x, scaled)
        else:
            shown = x
        hidden = (shown * c_in).to(model.dtype)
        timestep = (0.25 * torch.log(sigma)).expand(len(x)).to(x.device)
        output = self.output(model, hidden, timestep, batch, self.rate(batch))
        c_skip = data**2 / (sigma**2 + data**2)
        c_out = sigma * data / (sigma**2 + data**2) ** 0.5
        sign = -1 if model.scheduler_config.get("prediction_type") == "v_prediction" else 1
        return c_skip * x + sign * c_out * output


class CosmosPredict2(CosmosFamily):
    """Cosmos Predict2, whose network is a flow's over latent / (1 + sigma)."""

    usual_rate = 16.0

    def trained_size(self, config: Config) -> tuple[int, int]:
        is_of_text = config["in_channels"] == config["out_channels"]
        return (1360, 768) if is_of_text else (1280, 704)

    def denoised(
        self, model: Denoiser, x: Tensor, sigma: Tensor, batch: Batch, first: Tensor | None
    ) -> Tensor:
        time = sigma / (sigma + 1)
        scaled = with_first_frame(x * (1 - time), first)
        timestep = time.to(x.device).expand(len(x))
        if first is not None:
            clean = torch.tensor(_CLEAN_SIGMA, device=x.device)
            timestep = timestep.view(-1, 1, 1, 1, 1).expand(-1, -1, x.shape[2], -1, -1)
            frames = (clean / (clean + 1)).expand(len(x), 1, first.shape[2], 1, 1)
            timestep = torch.cat([frames, timestep[:, :, first.shape[2] :]], 2)
        # of a model that takes first frames, also in context windows without any
        rate = self.rate(batch) if _CONDITION_MASK in batch else None
        output = self.output(model, scaled.to(model.dtype), timestep, batch, rate)
        # Rounded as the pipelines do; guidance adds up in float32.
        return ((1 - time) * x + -time * output.float()).to(model.dtype).to(x.dtype)


def table_limits(config: Config) -> PositionLimits:
    """Return the largest latent that a network of Cosmos, or one like it, has positions for."""
    most = tuple(config["max_size"])
    if config.get("extra_pos_embed_type") is None:
        # Rotary positions of all axes reach as far as the longest.
        patches = max(cells // side for cells, side in zip(most, _PATCH, strict=True))
        most = tuple(patches * side for side in _PATCH)
    frames, rows, columns = most
    return PositionLimits(rows, columns, frames)


def provide_resizing() -> None:
    """Let the networks of diffusers run without torchvision.

    They resize the padding mask by torchvision, their only use of it. The mask has the right size.
    """
    from diffusers.models.controlnets import controlnet_cosmos
    from diffusers.models.transformers import transformer_cosmos

    modules: tuple[Any, ...] = (transformer_cosmos, controlnet_cosmos)
    for module in modules:
        if not hasattr(module, "transforms"):
            module.transforms = SimpleNamespace(
                functional=SimpleNamespace(resize=_resize),
                InterpolationMode=SimpleNamespace(NEAREST="nearest"),
            )


def _resize(image: Tensor, size: list[int], interpolation: str) -> Tensor:
    resized: Tensor = torch.nn.functional.interpolate(image, size=size, mode=interpolation)
    return resized


PREDICT2_SIGN = LoraSign(
    # Sana, too, has norms of queries in its cross attention.
    r"^blocks_\d+_((self|cross)_attn_(q|k|v|o|output)_proj|self_attn_[qk]_norm|adaln_modulation_)",
    "Cosmos Predict2, Anima or LongCat-AudioDiT",
)

_COMMON: dict[str, Any] = {
    "encoders": (Part("text_encoder", ("T5EncoderModel",), files=(T5_11B,)),),
    "tokenizers": (Part("tokenizer", ("T5Tokenizer",), vocabulary="t5"),),
    "preconditioned": True,
    "joint": False,
    "wide": True,
    "multiple": 16,
    "first_picture": "frames",
    "video_inputs": _video_inputs,
    "needs_media": True,
    "held": TokenMemory(16, 256),
    "block_stacks": ("transformer_blocks",),
    "block_outputs": {"CosmosTransformerBlock": (0, None)},
    "comfyui_type": "cosmos",
}

COSMOS = Cosmos(
    "cosmos",
    "Cosmos 1.0",
    latent=COSMOS_LATENTS,
    pipelines=("CosmosTextToWorldPipeline", "CosmosVideoToWorldPipeline"),
    denoisers=(Part("transformer", ("CosmosTransformer3DModel",), files=(COSMOS_FILE,)),),
    accepts_prompts_of=("cosmos-predict2",),
    lora_signs=(LoraSign(r"^blocks_block\d+_blocks_", "Cosmos 1.0"), CROSS_ATTENTION_SIGN),
    resolutions={"cosmos": Resolutions(1280 * 704, 16)},
    **_COMMON,
)
COSMOS_PREDICT2 = CosmosPredict2(
    "cosmos-predict2",
    "Cosmos Predict2",
    latent=WAN_LATENTS,
    pipelines=("Cosmos2TextToImagePipeline", "Cosmos2VideoToWorldPipeline"),
    denoisers=(Part("transformer", ("CosmosTransformer3DModel",), files=(PREDICT2_FILE,)),),
    accepts_prompts_of=("cosmos",),
    scheduler={"sigma_max": 80.0, "sigma_min": 0.002, "sigma_data": 1.0, "rho": 7.0},
    published_scheduler={**EULER_FLOW, "use_karras_sigmas": True},
    lora_signs=(PREDICT2_SIGN, CROSS_ATTENTION_SIGN),
    resolutions={"cosmos-predict2": Resolutions(1360 * 768, 16)},
    **_COMMON,
)
