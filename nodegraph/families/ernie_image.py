"""ERNIE-Image. Imports no torch.

Source: diffusers' pipeline ``ErnieImagePipeline`` and its transformer, by Baidu's ERNIE-Image team;
https://github.com/baidu/ernie-image

Source of what no tensor shows: the defaults of diffusers' class; of the shift, the latents and the
names in ComfyUI's files: https://github.com/Comfy-Org/ComfyUI, ``comfy/supported_models.py`` and
``comfy/ldm/ernie/model.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.flux2 import FLUX2_LATENTS
from nodegraph.families.layer_names import LoraSign
from nodegraph.families.model_step import Batch, Moment
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import count_of
from nodegraph.weights.single_files.language import MINISTRAL3
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_LAYER_READ = -2
"""Of the language model: what its last layer but one returns."""
_LENGTHS = "lengths"
"""Name in a batch: tokens of each prompt without padding, shape (prompts · items,)."""
_PIPELINE_EPS = 1e-5
"""Added to the variance of the VAE's latents; the pipeline uses it whatever the VAE's file says."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels, patch, _ = shapes["x_embedder.proj.weight"]
    (head,) = shapes["layers.0.self_attention.norm_q.weight"]
    return {
        "hidden_size": width,
        "num_attention_heads": width // head,
        "num_layers": count_of(shapes, r"layers\.(\d+)\."),
        "ffn_hidden_size": shapes["layers.0.mlp.gate_proj.weight"][0],
        "in_channels": channels,
        "out_channels": shapes["final_linear.weight"][0] // patch**2,
        "patch_size": patch,
        # Models as wide as the language model have no projection.
        "text_in_dim": shapes.get("text_proj.weight", (width, width))[1],
        "rope_theta": 256,
        # 32, 48 and 48 of 128
        "rope_axes_dim": (head // 4, 3 * head // 8, 3 * head // 8),
        "eps": 1e-6,
        "qk_layernorm": True,
    }


_FILE = denoiser_layout(
    "ernie-image-transformer",
    "the transformer of ERNIE-Image",
    "ErnieImageTransformer2DModel",
    marks=(("layers.0.adaLN_sa_ln.weight", "layers.0.mlp.linear_fc2.weight"),),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 3.0},
)


class ErnieImage(Family):
    """A transformer that reads the last layer but one of Ministral 3.

    A step evaluates prompts of several lengths in one batch, each padded to the longest. The
    pipeline's prompt enhancer is not run: EnhancePrompt and GenerateText do such things.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["text_in_dim"])

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-2]) * int(shape[-1])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import hidden_states, warn_of_cut

        tokenizer = model.tokenizers["tokenizer"]
        ids = tokenizer(text, truncation=True, padding=False)["input_ids"]
        if warn is not None and len(ids) == tokenizer.model_max_length:
            warn_of_cut(tokenizer, text, len(ids), warn)
        # A tokenizer that marks no beginning has no token of an empty prompt.
        ids = ids or [tokenizer.bos_token_id or 0]
        tokens = {"input_ids": torch.tensor([ids])}
        states = hidden_states(model.modules["text_encoder"], tokens, _LAYER_READ)
        return encoded({"embeddings": states})

    def groups(self, prompts: Sequence[Mapping[str, Tensor]]) -> list[list[int]]:
        return [list(range(len(prompts)))]

    def join(self, prompts: Sequence[Mapping[str, Tensor]], batch: int) -> Batch:
        states = [prompt["embeddings"] for prompt in prompts]
        longest = max(item.shape[1] for item in states)
        padded = [
            torch.cat([item, item.new_zeros(1, longest - item.shape[1], item.shape[2])], 1)
            for item in states
        ]
        lengths = [torch.tensor([item.shape[1]], device=item.device) for item in states]
        return super().join(
            [
                {"embeddings": item, _LENGTHS: length}
                for item, length in zip(padded, lengths, strict=True)
            ],
            batch,
        )

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        output: Tensor = model.module(
            hidden_states=x,
            timestep=moment.timestep.expand(len(x)).to(x.dtype),
            text_bth=batch["embeddings"],
            text_lens=batch[_LENGTHS],
            return_dict=False,
        )[0]
        return output


ERNIE_IMAGE = ErnieImage(
    "ernie-image",
    "ERNIE-Image",
    latent=FLUX2_LATENTS,
    pipelines=("ErnieImagePipeline",),
    denoisers=(Part("transformer", ("ErnieImageTransformer2DModel",), files=(_FILE,)),),
    encoders=(
        Part(
            "text_encoder",
            ("Mistral3Model", "Mistral3ForConditionalGeneration", "Ministral3Model"),
            files=(MINISTRAL3,),
        ),
    ),
    tokenizers=(Part("tokenizer", ("PreTrainedTokenizerFast",), vocabulary="mistral3"),),
    noise="flow",
    spread="open32",
    vae_config={"batch_norm_eps": _PIPELINE_EPS},
    multiple=16,
    # A token is a cell, as patches are.
    held=TokenMemory(28, 256, patch=1),
    block_stacks=("layers",),
    block_outputs={"ErnieImageSharedAdaLNBlock": (0, None)},
    resolutions={"ernie-image": Resolutions(1024 * 1024, 16)},
    lora_signs=(
        LoraSign(r"^layers_\d+_(self_attention_|adaLN_(sa|mlp)_ln|mlp_linear_fc2)", "ERNIE-Image"),
    ),
    comfyui_type="flux2",
)
