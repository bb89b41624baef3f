"""Wan's transformers in files of their own: 2.1, each expert of 2.2, and 2.2 5B. Imports no torch.

Source of what no tensor shows: https://github.com/Wan-Video/Wan2.1 and Wan2.2, ``wan/configs``;
the shift for videos of 480 lines, which the families take for the usual size.
"""

from __future__ import annotations

from typing import Any

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config, FileLayout, count_of
from nodegraph.weights.single_files.denoisers import HEAD_WIDTH, denoiser_layout

_CELL = 4
"""Numbers of a channel in a patch of 1 x 2 x 2 cells."""
_FILM = 20
"""Channels of a first picture as a film, with its mask."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, taken, *patch = shapes["patch_embedding.weight"]
    sees = shapes.get("condition_embedder.image_embedder.norm1.weight", (None,))[0]
    return {
        "patch_size": tuple(patch),
        "num_attention_heads": width // HEAD_WIDTH,
        "attention_head_dim": HEAD_WIDTH,
        "in_channels": taken,
        "out_channels": _output_channels(shapes),
        "text_dim": shapes["condition_embedder.text_embedder.linear_1.weight"][1],
        "freq_dim": shapes["condition_embedder.time_embedder.linear_1.weight"][1],
        "ffn_dim": shapes["blocks.0.ffn.net.0.proj.weight"][0],
        "num_layers": count_of(shapes, r"blocks\.(\d+)\."),
        "cross_attn_norm": "blocks.0.norm2.weight" in shapes,
        "qk_norm": "rms_norm_across_heads",
        "eps": 1e-6,
        "image_dim": sees,
        "added_kv_proj_dim": None if sees is None else width,
        "rope_max_seq_len": 1024,
    }


def _output_channels(shapes: Shapes) -> int:
    return shapes["proj_out.weight"][0] // _CELL


def _boundary(config: Config) -> Config:
    """Where the second expert takes over, if there is one."""
    return {"boundary_ratio": 0.875 if config["in_channels"] == config["out_channels"] else 0.9}


def _layout(name: str, title: str, *, channels: int, shift: float, **more: Any) -> FileLayout:
    def fits(shapes: Shapes) -> bool:
        out_channels, taken = _output_channels(shapes), shapes["patch_embedding.weight"][1]
        return out_channels == channels and taken - out_channels in (0, _FILM)

    return denoiser_layout(
        f"{name}-transformer",
        f"a transformer of {title}",
        "WanTransformer3DModel",
        marks=(
            ("patch_embedding.weight", "head.modulation", "head.head.weight"),
            ("patch_embedding.weight", "condition_embedder.time_proj.weight", "proj_out.weight"),
        ),
        config=_config,
        scheduler={
            "_class_name": "UniPCMultistepScheduler",
            "num_train_timesteps": 1000,
            "prediction_type": "flow_prediction",
            "use_flow_sigmas": True,
            "flow_shift": shift,
        },
        fits=fits,
        without=_RELATIVES,
        **more,
    )


_RELATIVES = (
    # VACE
    "vace_",
    # Fun with a camera, or a reference
    "control_adapter.",
    "ref_conv.",
    # Animate, with a face and a pose
    "face_adapter.",
    "motion_encoder.",
    "pose_patch_embedding.",
    # by sound
    "audio_",
    "casual_audio_encoder.",
    # between a first and a last picture
    "img_emb.emb_pos",
    "condition_embedder.image_embedder.pos_embed",
    # others that are shown more than a film
    "patch_embedding_",
)
"""What names begin with in models that are made from Wan's and work in another way."""

WAN_FILE = _layout("wan", "Wan", channels=16, shift=3.0, settings=_boundary)
WAN22_5B_FILE = _layout(
    "wan22-5b",
    "Wan 2.2 5B",
    channels=48,
    shift=5.0,
    settings=lambda _: {"expand_timesteps": True},
)
