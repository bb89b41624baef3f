"""Z-Image's transformer in a file of its own. Imports no torch.

Source of what no tensor shows: ``transformer/config.json`` and ``scheduler_config.json`` of
https://huggingface.co/Tongyi-MAI/Z-Image-Turbo
"""

from __future__ import annotations

from typing import Any

from nodegraph.diffusion.safetensors_header import Shapes
from nodegraph.diffusion.single_files.base import count_of
from nodegraph.diffusion.single_files.denoisers import EULER_FLOW, denoiser_layout

_PATCH = 2


def _config(shapes: Shapes) -> dict[str, Any]:
    width, patch = shapes["all_x_embedder.2-1.weight"]
    (head,) = shapes["layers.0.attention.norm_q.weight"]
    return {
        "all_patch_size": (_PATCH,),
        "all_f_patch_size": (1,),
        "in_channels": patch // _PATCH**2,
        "dim": width,
        "n_layers": count_of(shapes, r"layers\.(\d+)\."),
        "n_refiner_layers": count_of(shapes, r"noise_refiner\.(\d+)\."),
        "n_heads": shapes["layers.0.attention.to_q.weight"][0] // head,
        "n_kv_heads": shapes["layers.0.attention.to_k.weight"][0] // head,
        "norm_eps": 1e-5,
        "qk_norm": True,
        "cap_feat_dim": shapes["cap_embedder.1.weight"][1],
        "rope_theta": 256.0,
        "t_scale": 1000.0,
        # 32, 48 and 48 of 128: time has a quarter of a head, rows and columns share the rest.
        "axes_dims": (head // 4, 3 * head // 8, 3 * head // 8),
        "axes_lens": (1536, 512, 512),
    }


Z_IMAGE_FILE = denoiser_layout(
    "z-image-transformer",
    "the transformer of Z-Image",
    "ZImageTransformer2DModel",
    marks=(("cap_pad_token", "cap_embedder.1.weight", "layers.0.adaLN_modulation.0.weight"),),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 3.0},
    # Omni, which sees pictures, and variants that draw pixels.
    without=("siglip_", "dec_net."),
    unused=("norm_final.",),
)
