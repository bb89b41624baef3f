"""CogView 4. Imports no torch.

Source: diffusers' pipelines ``CogView4Pipeline`` and ``CogView4ControlPipeline`` and their
transformer, by Tsinghua University and Zhipu AI; https://github.com/THUDM/CogView4

Source of what no tensor shows: the defaults of diffusers' classes, and of the schedule and the VAE
diffusers' ``scripts/convert_cogview4_to_diffusers.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    ATTENTION_CACHES,
    CROP,
    ORIGINAL_SIZE,
    TARGET_SIZE,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.image_conditioning import CONTROL_IMAGE, with_control_image
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.autoencoders import decoder_widths, kl_layout
from nodegraph.weights.single_files.base import count_of
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_PATCH = 2
_HEAD = 40
"""Width of an attention head, whose norms have no weights that would show it."""
_TOKENS = 1024
"""Of a prompt at the most."""
_BLOCK = 16
"""Prompts are padded to a multiple of so many tokens, at the beginning."""
_LAYER_READ = -2
"""Of the language model: what its last layer but one returns."""
_NEAR = 0.05
"""Timesteps this near to a whole one are that one.

The pipeline evaluates the model at whole timesteps. They are found here from shifted noise levels
in float32, which leaves errors of up to a few thousandths.
"""


def root_mu(config: Mapping[str, Any], tokens: int, steps: int) -> float:
    """Return the factor of the shift, which grows with the square root of the tokens.

    As diffusers' pipeline of CogView 4 finds it.
    """
    side = (tokens / config.get("base_image_seq_len", 256)) ** 0.5
    return float(side * config.get("max_shift", 0.75) + config.get("base_shift", 0.25))


def shift_factor(config: Mapping[str, Any], tokens: int) -> float:
    """Return the factor on sigma / (1 - sigma) by which noise levels are shifted."""
    if not config.get("use_dynamic_shifting", False):
        return float(config.get("shift", 1.0))
    mu = root_mu(config, tokens, 0)
    return mu if config.get("time_shift_type") == "linear" else math.exp(mu)


def _config(shapes: Shapes) -> dict[str, Any]:
    width, taken = shapes["patch_embed.proj.weight"]
    time, sizes = shapes["time_condition_embed.condition_embedder.linear_1.weight"]
    return {
        "patch_size": _PATCH,
        "in_channels": taken // _PATCH**2,
        "out_channels": shapes["proj_out.weight"][0] // _PATCH**2,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "attention_head_dim": _HEAD,
        "num_attention_heads": width // _HEAD,
        "text_embed_dim": shapes["patch_embed.text_proj.weight"][1],
        "time_embed_dim": time,
        # Three sizes of two numbers each.
        "condition_dim": sizes // 6,
        "pos_embed_max_size": 128,
        "sample_size": 128,
        "rope_axes_dim": (256, 256),
    }


_FILE = denoiser_layout(
    "cogview4-transformer",
    "the transformer of CogView 4",
    "CogView4Transformer2DModel",
    marks=(
        (
            "patch_embed.text_proj.weight",
            "time_condition_embed.condition_embedder.linear_1.weight",
            "transformer_blocks.0.norm1.linear.weight",
        ),
    ),
    config=_config,
    scheduler={
        **EULER_FLOW,
        "use_dynamic_shifting": True,
        "time_shift_type": "linear",
        "base_image_seq_len": 256,
        "base_shift": 0.25,
        "max_shift": 0.75,
        "shift": 1.0,
    },
)

_SCALING = (1.0, 0.0)
_KL = kl_layout("the VAE of CogView 4", 16, _SCALING)


def _is_vae(shapes: Shapes) -> bool:
    """Whether the second resolution has four times the channels of the first; others have twice."""
    if not _KL.matches(shapes):
        return False
    first, second, *_ = decoder_widths(shapes)
    return second == 4 * first


COGVIEW4_LATENTS = LatentFormat(
    "cogview4", 16, scaling=_SCALING, files=(replace(_KL, name="cogview4-vae", matches=_is_vae),)
)


class CogView4(Family):
    """A transformer that reads the last layer but one of GLM-4, and sizes as SDXL's UNet does.

    Noise levels are shifted by the size, and the timesteps of the model are not. Control models
    see the latent of a control image in further channels.
    """

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        config = configs.get("transformer", {})
        taken, out_channels = config.get("in_channels", 16), config.get("out_channels", 16)
        if taken in (out_channels, 2 * out_channels):
            return None
        return f"a {self.title} whose transformer takes {taken} channels instead of {out_channels}"

    def channels(self, config: Config) -> int:
        return int(config["out_channels"])

    def context_width(self, config: Config) -> int | None:
        return int(config["text_embed_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import hidden_states, warn_of_cut

        tokenizer = model.tokenizers["tokenizer"]
        ids = tokenizer(text, max_length=_TOKENS, truncation=True)["input_ids"]
        if warn is not None and len(ids) == _TOKENS:
            warn_of_cut(tokenizer, text, _TOKENS, warn)
        # The model was trained to read the padding, so there is no mask.
        padding = [tokenizer.pad_token_id] * (-len(ids) % _BLOCK)
        tokens = {"input_ids": torch.tensor([padding + ids])}
        states = hidden_states(model.modules["text_encoder"], tokens, _LAYER_READ)
        return encoded({"embeddings": states})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        size = torch.tensor([[float(request.height), float(request.width)]])
        for name in (ORIGINAL_SIZE, TARGET_SIZE):
            item = fitted.get(name, size)
            fitted[name] = torch.where(item == 0, size, item)
        fitted.setdefault(CROP, torch.zeros(1, 2))
        follows = model.config["in_channels"] == 2 * model.config["out_channels"]
        return with_control_image(fitted, entry, request, follows=follows)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        shift = shift_factor(model.scheduler_config, self.tokens(x.shape))
        control = [batch[CONTROL_IMAGE]] if CONTROL_IMAGE in batch else []
        output: Tensor = model.module(
            hidden_states=torch.cat([x, *control], 1),
            encoder_hidden_states=batch["embeddings"],
            timestep=unshifted_timestep(moment, shift).expand(len(x)),
            original_size=batch[ORIGINAL_SIZE],
            target_size=batch[TARGET_SIZE],
            crop_coords=batch[CROP],
            return_dict=False,
        )[0]
        return output


def unshifted_timestep(moment: Moment, shift: float) -> Tensor:
    """Return the timestep without the shift; float32, shaped as the moment's."""
    level = moment.timestep.float() / moment.training_timesteps
    timestep = level / (shift - (shift - 1) * level) * moment.training_timesteps
    whole = timestep.round()
    return torch.where((timestep - whole).abs() < _NEAR, whole, timestep)


COGVIEW4 = CogView4(
    "cogview4",
    "CogView 4",
    latent=COGVIEW4_LATENTS,
    pipelines=("CogView4Pipeline", "CogView4ControlPipeline"),
    denoisers=(Part("transformer", ("CogView4Transformer2DModel",), files=(_FILE,)),),
    encoders=(Part("text_encoder", ("GlmModel",)),),
    tokenizers=(Part("tokenizer", ("PreTrainedTokenizerFast",)),),
    # The pipeline uses no shift of latents, whatever the VAE's file says.
    vae_config={"shift_factor": 0.0},
    noise="flow",
    spread="whole",
    mu=root_mu,
    multiple=16,
    held=TokenMemory(22, 256),
    joint=False,
    tells_sizes=True,
    speedups=ATTENTION_CACHES,
    resolutions={"cogview4": Resolutions(1024 * 1024, 32)},
    image_inputs=frozenset({"control"}),
    lora_signs=(CROSS_ATTENTION_SIGN,),
)
