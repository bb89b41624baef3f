"""Z-Image and Z-Image-Turbo. Imports no torch.

Source: Z-Image Team 2025, arXiv:2511.22699.

Source of what no tensor shows: ``transformer/config.json`` and ``scheduler_config.json`` of
https://huggingface.co/Tongyi-MAI/Z-Image-Turbo
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import (
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
    usual_pipelines,
)
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.latent_formats import FLUX as FLUX_LATENTS
from nodegraph.families.layer_names import (
    REFINED_SIGN,
    REFINER_ATTENTION_SIGN,
    UNSPLIT_ATTENTION_SIGN,
    LoraSign,
)
from nodegraph.families.model_step import Batch, Moment
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.language import QWEN3, QWEN3_GGUF
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

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


_LAYERS: Table = (
    ("@.*.attention.{to_q,to_k,to_v}", "@.*.attention.qkv"),
    ("@.*.attention.to_out.0", "@.*.attention.out"),
    ("@.*.attention.norm_q", "@.*.attention.q_norm"),
    ("@.*.attention.norm_k", "@.*.attention.k_norm"),
    ("all_x_embedder.2-1", "x_embedder"),
    ("all_final_layer.2-1.linear", "final_layer.linear"),
    ("all_final_layer.2-1.adaLN_modulation.1", "final_layer.adaLN_modulation.1"),
)


Z_IMAGE_FILE = denoiser_layout(
    "z-image-transformer",
    "the transformer of Z-Image",
    "ZImageTransformer2DModel",
    marks=(("cap_pad_token", "cap_embedder.1.weight", "layers.0.adaLN_modulation.0.weight"),),
    names=OriginalNames(_LAYERS),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 3.0},
    # Omni, which sees images, and variants that draw pixels.
    without=("siglip_", "dec_net."),
    unused=("norm_final.",),
)


_TOKENS = 512


class ZImage(Family):
    """A transformer led by Qwen3, which reads a prompt as what a user says to it.

    It takes images and prompts as lists, so prompts of any lengths are evaluated in one batch;
    and it counts time from noise to image, with the velocity in that direction.

    `cfg` is the pipeline's guidance scale + 1, as 1 is the positive prompt alone here and 0 there.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["cap_feat_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import hidden_states, tokenize_padded

        tokenizer = model.tokenizers["tokenizer"]
        chat = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=True,
        )
        tokens = tokenize_padded(tokenizer, chat, _TOKENS, warn)
        mask = tokens["attention_mask"].bool()
        states = hidden_states(
            model.modules["text_encoder"], {**tokens, "attention_mask": mask}, layer=-2
        )
        return encoded({"embeddings": states[mask][None]})

    def groups(self, prompts: Sequence[Mapping[str, Tensor]]) -> list[list[int]]:
        return [list(range(len(prompts)))]

    def join(self, prompts: Sequence[Mapping[str, Tensor]], batch: int) -> Batch:
        return {"embeddings": [prompt["embeddings"][0] for prompt in prompts for _ in range(batch)]}

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        time = (moment.training_timesteps - moment.timestep) / moment.training_timesteps
        pictures = x.to(model.dtype).unsqueeze(2)
        velocities: list[Tensor] = model.module(
            list(pictures.unbind()),
            time.expand(len(x)),
            batch["embeddings"],
            return_dict=False,
        )[0]
        return -torch.stack(velocities).squeeze(2).to(x.dtype)

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """As the pipeline adds up, which rounds in another way than `Family.guided`."""
        return towards + (cfg - 1) * (towards - away)


Z_IMAGE = ZImage(
    "z-image",
    "Z-Image",
    latent=FLUX_LATENTS,
    pipelines=usual_pipelines("ZImage"),
    denoisers=(Part("transformer", ("ZImageTransformer2DModel",), files=(Z_IMAGE_FILE,)),),
    encoders=(Part("text_encoder", ("Qwen3Model",), files=(QWEN3, QWEN3_GGUF)),),
    tokenizers=(Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen3"),),
    noise="flow",
    spread="ramp32",
    mu=line_mu,
    multiple=16,
    held=TokenMemory(16, 128),
    positive_first=True,
    wide=True,
    resolutions={"z-image": Resolutions(1024 * 1024, 16)},
    lora_signs=(
        LoraSign(r"^context_refiner_\d+_attention_to_", "Z-Image"),
        REFINER_ATTENTION_SIGN,
        UNSPLIT_ATTENTION_SIGN,
        REFINED_SIGN,
    ),
    comfyui_type="lumina2",
)
