"""Wan Animate: a character moves as a person in a video does. Imports no torch.

The model sees an image of the character, the poses and the face of the person, and for replacement
the video around the person. A long video is generated in segments that overlap.

Sources: Wan Team 2025, arXiv:2509.14055; diffusers' ``WanAnimatePipeline`` and
``WanAnimateTransformer3DModel``; original names by its ``convert_wan_transformer_to_diffusers``,
the shift by ``wan/configs/wan_animate_14B.py`` of https://github.com/Wan-Video/Wan2.2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.image_conditioning import (
    DRIVING_LATENTS,
    FACE_VIDEO,
    POSE_LATENTS,
    check_animation,
)
from nodegraph.families.model_step import Batch, SamplingRequest
from nodegraph.weights.lazy import torch
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, Table, Tensors, count_of

if TYPE_CHECKING:
    from torch import Tensor

CLASS_NAME = "WanAnimateTransformer3DModel"
MARK, ORIGINAL_MARK = "face_adapter.0.norm_k.weight", "face_adapter.fuser_blocks.0.k_norm.weight"
"""A tensor that shows the model, by diffusers' and by original names."""

_MOTION, _CONVS = "motion_encoder", "motion_encoder.enc.net_app.convs"
_BLOCKS = range(7)
"""Residual blocks of the motion encoder, for faces of 512 x 512 pixels."""
_FUSERS = "face_adapter.fuser_blocks.*"

ANIMATE_LAYERS: Table = (
    (f"{_MOTION}.motion_synthesis_weight", f"{_MOTION}.dec.direction.weight"),
    (f"{_MOTION}.conv_in", f"{_CONVS}.0.0"),
    (f"{_MOTION}.conv_in.act_fn", f"{_CONVS}.0.1"),
    (f"{_MOTION}.conv_out", f"{_CONVS}.{len(_BLOCKS) + 1}"),
    (f"{_MOTION}.motion_network.*", f"{_MOTION}.enc.fc.*"),
    *(
        (f"{_MOTION}.res_blocks.{at}.{new}", f"{_CONVS}.{at + 1}.{old}")
        for at in _BLOCKS
        for new, old in (
            ("conv1", "conv1.0"),
            ("conv1.act_fn", "conv1.1"),
            ("conv2", "conv2.1"),
            ("conv2.act_fn", "conv2.2"),
            ("conv_skip", "skip.1"),
        )
    ),
    *((f"face_encoder.{conv}", f"face_encoder.{conv}.conv") for conv in ("conv1_local", "conv2")),
    ("face_encoder.conv3", "face_encoder.conv3.conv"),
    ("face_adapter.*.norm_q", f"{_FUSERS}.q_norm"),
    ("face_adapter.*.norm_k", f"{_FUSERS}.k_norm"),
    ("face_adapter.*.to_q", f"{_FUSERS}.linear1_q"),
    ("face_adapter.*.{to_k,to_v}", f"{_FUSERS}.linear1_kv"),
    ("face_adapter.*.to_out", f"{_FUSERS}.linear2"),
)
"""Layers that Wan's other transformers lack."""

BLUR_KERNELS = tuple(
    f"{_CONVS}.{at + 1}.{layer}.0." for at in _BLOCKS for layer in ("conv2", "skip")
)
"""What names of constants begin with, which diffusers computes anew."""


def animate_config(shapes: Shapes, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of the transformer.

    Args:
        shapes: By diffusers' names.
        config: What it shares with Wan's other transformers.
    """
    blocks = count_of(shapes, rf"{_MOTION}\.res_blocks\.(\d+)\.")
    side = 2 ** (blocks + 2)
    widths = [shapes[f"{_MOTION}.conv_in.weight"][0]]
    widths += [shapes[f"{_MOTION}.res_blocks.{at}.conv2.weight"][0] for at in range(blocks)]
    linears = count_of(shapes, rf"{_MOTION}\.motion_network\.(\d+)\.")
    hidden = shapes["face_encoder.conv2.weight"][0]
    return {
        **config,
        "latent_channels": shapes["pose_patch_embedding.weight"][1],
        "motion_encoder_channel_sizes": {
            str(side // 2**at): width for at, width in enumerate(widths)
        },
        "motion_encoder_size": side,
        "motion_style_dim": shapes[f"{_MOTION}.motion_network.0.weight"][0],
        "motion_dim": shapes[f"{_MOTION}.motion_network.{linears - 1}.weight"][0],
        "motion_encoder_dim": shapes[f"{_MOTION}.motion_synthesis_weight"][0],
        "face_encoder_hidden_dim": hidden,
        "face_encoder_num_heads": shapes["face_encoder.conv1_local.weight"][0] // hidden,
        "inject_face_latents_blocks": config["num_layers"]
        // count_of(shapes, r"face_adapter\.(\d+)\."),
        "motion_encoder_batch_size": 8,
    }


def flat_biases(tensors: Tensors) -> dict[str, Tensor]:
    """The tensors of a file, with biases of activations in one dimension.

    Original ones have the shape (1, channels, 1, 1).
    """
    return {
        name: item.flatten() if name.startswith(_MOTION) and name.endswith(".bias") else item
        for name, item in tensors.items()
    }


def is_animate(config: Config) -> bool:
    """Whether a transformer is that of Wan Animate, by its configuration."""
    return "motion_encoder_size" in config


def fit_animation(fitted: dict[str, Tensor], config: Config, request: SamplingRequest) -> None:
    """Check the poses and faces of a prompt. The negative prompt gets a black face.

    Args:
        fitted: Tensors of a prompt; changed. The poses get an empty frame before them, for the
            frame of the character's image.
        config: The transformer's.
    Raises:
        InvalidValue: They do not fit the transformer; on the port of the side.
    """
    takes_animation = is_animate(config)
    if DRIVING_LATENTS in fitted:
        raise InvalidValue(
            "the model is not Wan Animate 2, and the conditioning is for one",
            port=request.side,
            hint="Load a model of Wan Animate 2. For a file with the names of Wan 2.1, choose the "
            "family wan-animate-2 in LoadDiffusionModel.",
        )
    poses, face = fitted.get(POSE_LATENTS), fitted.get(FACE_VIDEO)
    size = None if poses is None else tuple(poses.shape[2:])
    check_animation(size, request, takes_animation=takes_animation)
    if poses is None or face is None:
        return
    if request.frames_at_once is not None:
        raise InvalidValue(
            "Wan Animate generates all frames of a segment at once",
            port=request.side,
            hint="Remove the context windows. Generate a long video in segments: link the frames "
            "of one as `previous` of the next.",
        )
    side = int(config["motion_encoder_size"])
    if tuple(face.shape[3:]) != (side, side):
        raise InvalidValue(
            "the model reads faces of one size",
            port=request.side,
            given=f"{face.shape[4]} x {face.shape[3]} pixels",
            expected=f"{side} x {side}",
            hint="Use ResizeImage before `face` of AnimationConditioning.",
        )
    fitted[POSE_LATENTS] = torch.nn.functional.pad(poses, (0, 0, 0, 0, 1, 0))
    if request.side == "negative":
        fitted[FACE_VIDEO] = face * 0 - 1


def animation_inputs(batch: Batch) -> dict[str, Tensor]:
    """What Animate's transformer takes beside the prompt."""
    if POSE_LATENTS not in batch:
        return {}
    poses, face = batch[POSE_LATENTS][:, :, 1:], batch[FACE_VIDEO]
    if len(face) == 1:
        # Channels last in memory, as frames of videos lie in the pipeline: the convolutions of the
        # motion encoder give other last bits for another order.
        face = face.movedim(1, -1).contiguous().movedim(-1, 1)
    return {"pose_hidden_states": poses, "face_pixel_values": face}
