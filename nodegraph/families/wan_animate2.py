"""Wan Animate 2: a character moves as in a driving video. Imports no torch.

The driving video is shown as it is, without poses or faces. The network runs over it once, and
each step attends to what it stored; see `wan_animate2_attention`.

Sources: diffusers, ``modular_pipelines/wan_animate_2`` and
``models/transformers/transformer_wan_animate_2.py``; original names by its
``convert_wan_animate_2_transformer_to_diffusers``. That files of ComfyUI name the model in their
metadata: ``comfy/ldm/wan/model_animate2.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import LATE_CFG, Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.image_conditioning import (
    CHARACTER_STRENGTH,
    CONDITION_VIDEO,
    CONDITION_VIDEO_MASK,
    DRIVEN,
    DRIVING_EMBEDS,
    DRIVING_LATENTS,
    DRIVING_PROMPT,
    FILM_AND_MASK,
    IMAGE_EMBEDS,
    MOTION_STRENGTH,
    VIDEO_CONDITIONS,
    check_video_size,
)
from nodegraph.families.layer_names import SELF_AND_CROSS_SIGN
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.needed_media import DRIVING_VIDEO, lacking_error
from nodegraph.families.position_limits import PositionLimits
from nodegraph.families.wan import WAN
from nodegraph.families.wan_animate2_attention import (
    DrivingVideo,
    PassStore,
    StepKeys,
    set_attention,
    token_grid,
)
from nodegraph.families.wan_vae import WAN as WAN_LATENTS
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.renamed_layouts import (
    EULER_FLOW,
    HEAD_WIDTH,
    PREFIXES,
    denoiser_layout,
    renamed_layout,
)

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_CELL = 4
"""Numbers of a channel in a patch of 1 x 2 x 2 cells."""
_TOKENS = 512
_OWN = (CONDITION_VIDEO, CONDITION_VIDEO_MASK, IMAGE_EMBEDS, *DRIVEN)
"""Tensors of a prompt for a video that the model takes."""
_WITHOUT_BLOCK = "without_block"
"""Tensor of a fitted negative prompt, shape (1,): the network leaves one block out for it."""
_IMAGE_WIDTH = 1280
_POSITIONS = 512
"""Frames, rows and columns that the rotary embedding has positions for."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, taken, *patch = shapes["patch_embedding.weight"]
    return {
        "patch_size": tuple(patch),
        "in_dim": taken,
        "dim": width,
        "ffn_dim": shapes["blocks.0.ffn.0.weight"][0],
        "freq_dim": shapes["time_embedding.0.weight"][1],
        "text_dim": shapes["text_embedding.0.weight"][1],
        "out_dim": shapes["head.head.weight"][0] // _CELL,
        "num_heads": width // HEAD_WIDTH,
        "num_layers": count_of(shapes, r"blocks\.(\d+)\."),
        "cross_attn_norm": "blocks.0.norm3.weight" in shapes,
        "use_img_emb": "img_emb.proj.0.weight" in shapes,
    }


_LAYERS: Table = tuple(
    (f"blocks.*.{part}_attn.{here}", f"blocks.*.{part}_attn.{original}")
    for part in ("self", "cross")
    for here, original in (
        ("to_q", "q"),
        ("to_k", "k"),
        ("to_v", "v"),
        ("to_out.0", "o"),
        *(
            ()
            if part == "self"
            else (
                ("add_k_proj", "k_img"),
                ("add_v_proj", "v_img"),
                ("norm_added_k", "norm_k_img"),
            )
        ),
    )
)


def _fits(shapes: Shapes) -> bool:
    taken, out = shapes["patch_embedding.weight"][1], shapes["head.head.weight"][0] // _CELL
    # The film, and its mask of four channels. The class has one width of image embeddings.
    sees = shapes["img_emb.proj.0.weight"] == (_IMAGE_WIDTH,)
    return sees and out == WAN_LATENTS.channels and taken == 2 * out + 4


def is_named(metadata: Mapping[str, str]) -> bool:
    """Return whether the metadata of a file names the model, as that of ComfyUI's files does."""
    try:
        stated = json.loads(metadata.get("config", "{}"))
        return bool(stated["transformer"]["model_type"] == "animate2")
    except (ValueError, TypeError, KeyError, RecursionError):
        return False


WAN_ANIMATE2_FILE = replace(
    denoiser_layout(
        "wan-animate-2-transformer",
        "a transformer of Wan Animate 2",
        "WanAnimate2Transformer3DModel",
        marks=(
            ("blocks.0.self_attn.to_q.weight", "head.modulation"),
            ("blocks.0.self_attn.q.weight", "head.modulation"),
        ),
        names=OriginalNames(_LAYERS),
        config=_config,
        scheduler={**EULER_FLOW, "shift": 5.0},
        fits=_fits,
        # Relatives: between two images, with control videos, faces, cameras or sound.
        without=(
            *("img_emb.emb_pos", "vace_", "control_adapter.", "ref_conv.", "face_adapter."),
            *("motion_encoder.", "pose_patch_embedding.", "audio_", "casual_audio_encoder."),
            "patch_embedding_",
        ),
    ),
    named=is_named,
)
"""The layout of diffusers' folders, and of files with the names of Wan 2.1. The latter hold the
same tensors as its image-to-video model."""
WAN_ANIMATE2_ORIGINAL_FILE = replace(
    renamed_layout(
        "wan-animate-2-original",
        WAN_ANIMATE2_FILE,
        ((r"blocks\.(\d+)\.block\.", r"blocks.\1."),),
    ),
    marks=(("blocks.0.block.self_attn.q.weight", "head.modulation"),),
    prefixes=PREFIXES,
)
"""The published layout, where each block lies inside another module."""


_NODE = "DrivingVideoConditioning"


def _check_conditions(
    fitted: Mapping[str, Tensor], latents: Tensor, request: SamplingRequest
) -> None:
    """Refuse a driving video of another size, and what the model does not take beside it.

    Raises:
        InvalidValue: On the port of the side.
    """
    others = [name for name in VIDEO_CONDITIONS if name in fitted and name not in _OWN]
    if others:
        raise InvalidValue(
            f"Wan Animate 2 takes its image and its video from one {_NODE}",
            port=request.side,
            given=f"tensors {', '.join(others)}",
            hint="Remove other nodes for images and videos between the prompt and the sampler.",
        )
    if request.frames_at_once is not None:
        raise InvalidValue(
            "Wan Animate 2 generates all frames of a segment at once",
            port=request.side,
            hint="Remove the context windows. Generate a long video in segments: link the frames "
            "of one as `previous` of the next.",
        )
    size, wanted = tuple(latents.shape[2:]), (request.shape[2] - 1, *request.shape[3:])
    if size != wanted:
        raise InvalidValue(
            "the driving video was encoded for a video of another size or length",
            port=request.side,
            given=f"{size} in latent cells",
            expected=str(wanted),
            hint=f"Sample the latent output of {_NODE}.",
        )


_PASSES = PassStore()


@dataclass(frozen=True)
class WanAnimate2Family(Family):
    """A transformer that attends to what it stored of a driving video.

    Prompts are read as they are written. Negative prompts are evaluated without one block.
    """

    def channels(self, config: Config) -> int:
        return int(config["out_dim"])

    def leading_frames(self, config: Config, frames: int) -> int:
        return 1  # the character's image

    def trained_size(self, config: Config) -> tuple[int, int]:
        return 640, 800

    def context_width(self, config: Config) -> int | None:
        return int(config["text_dim"])

    def position_limits(self, config: Config) -> PositionLimits:
        _, rows, columns = config["patch_size"]
        return PositionLimits(_POSITIONS * int(rows), _POSITIONS * int(columns), _POSITIONS)

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import t5_states, tokenize_padded

        tokens = tokenize_padded(model.tokenizers["tokenizer"], text, _TOKENS, warn)
        states = t5_states(model.modules["text_encoder"], tokens, masked=True)
        states[:, int(tokens["attention_mask"].sum()) :] = 0
        return encoded({"embeddings": states})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        fitted.pop(LATE_CFG, None)
        latents = fitted.get(DRIVING_LATENTS)
        if latents is None:
            raise lacking_error(DRIVING_VIDEO, request.side)
        _check_conditions(fitted, latents, request)
        check_video_size(fitted, request)
        sees = bool(model.config.get("use_img_emb", True))
        if sees and not (IMAGE_EMBEDS in fitted and DRIVING_EMBEDS in fitted):
            raise InvalidValue(
                "the model needs what an image encoder sees in the character and the video",
                port=request.side,
                hint=f"Link a LoadImageEncoder with clip_vision_h to the {_NODE}, or the text "
                "encoder if it contains one.",
            )
        film, mask = fitted.pop(CONDITION_VIDEO), fitted.pop(CONDITION_VIDEO_MASK)
        # Tensors of their own: what is stored for them ends with this sampling.
        fitted[DRIVING_LATENTS] = latents.detach()
        fitted[FILM_AND_MASK] = torch.cat([mask, film], 1)
        if request.side == "negative":
            fitted[_WITHOUT_BLOCK] = torch.zeros(1)
        return fitted

    def join(self, prompts: Sequence[Mapping[str, Tensor]], batch: int) -> Batch:
        # The driving video is alike for all items, and known by its tensor.
        shared = {name: prompts[0][name] for name in DRIVEN if name in prompts[0]}
        each = [
            {name: item for name, item in prompt.items() if name not in shared}
            for prompt in prompts
        ]
        return {**super().join(each, batch), **shared}

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        network = model.modules["transformer"]
        set_attention(network)
        video = DrivingVideo(
            batch[DRIVING_LATENTS], batch[DRIVING_PROMPT], batch.get(DRIVING_EMBEDS)
        )
        keys = StepKeys(
            _PASSES.keys(network, video), batch.get(MOTION_STRENGTH), batch.get(CHARACTER_STRENGTH)
        )
        embeds = batch.get(IMAGE_EMBEDS)
        patch, spatial = model.config["patch_size"], self.latent.spatial
        # One item after the other: the pipeline's batch is one, and attention is all of the cost.
        outputs = [
            network(
                [item.to(model.dtype)],
                timestep=moment.timestep.reshape(1),
                encoder_hidden_states=[batch["embeddings"][at]],
                encoder_hidden_states_image=None if embeds is None else embeds[at : at + 1],
                condition_latents=[batch[FILM_AND_MASK][at].to(model.dtype)],
                kv_cache=keys,
                kv_cache_mode="cached",
                seq_len=int(token_grid(x, patch).prod()),
                reference_grid_sizes=token_grid(video.latents, patch),
                origin_len=self.latent.temporal * (video.latents.shape[2] - 1) + 1,
                origin_area=[side * spatial for side in x.shape[3:]],
                is_uncondtion=_WITHOUT_BLOCK in batch,
                return_dict=False,
            )[0][0]
            for at, item in enumerate(x)
        ]
        return torch.stack(outputs)


WAN_ANIMATE2 = WanAnimate2Family(
    "wan-animate-2",
    "Wan Animate 2",
    latent=WAN_LATENTS,
    pipelines=("WanAnimate2ModularPipeline", "WanAnimate2DistilledModularPipeline"),
    denoisers=(
        Part(
            "transformer",
            ("WanAnimate2Transformer3DModel",),
            files=(WAN_ANIMATE2_ORIGINAL_FILE, WAN_ANIMATE2_FILE),
        ),
    ),
    encoders=WAN.encoders,
    tokenizers=WAN.tokenizers,
    noise="flow",
    multiple=16,
    needs_image=True,
    image_inputs=frozenset({"driving"}),
    video_inputs=lambda config: frozenset({DRIVING_VIDEO}),
    needs_media=True,
    joint=False,
    wide=True,
    # Rotary embeddings are computed in float64; keys and values are joined for each frame.
    held=TokenMemory(24, 256),
    accepts_prompts_of=("wan",),
    speedups=frozenset(),
    perturbs_attention=False,
    skips_blocks=False,
    lora_signs=(*WAN.lora_signs[:1], SELF_AND_CROSS_SIGN),
    resolutions={"wan-animate-2": Resolutions(800 * 640, 16)},
    comfyui_type="wan",
)
