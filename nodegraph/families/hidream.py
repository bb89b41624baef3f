"""HiDream-I1, and HiDream-E1, which edits an image. Imports no torch.

HiDream-E1 is the same network. It sees the image to edit on the right of the one that it generates,
as one image of twice the width. Nothing in a file tells it from HiDream-I1.

Sources: Cai et al. 2025, arXiv:2505.22705; of HiDream-E1, https://github.com/HiDream-ai/HiDream-E1
and ComfyUI, ``comfy/ldm/hidream/model.py``.

Source of what no tensor shows: ``transformer/config.json`` and the inference script of
https://github.com/HiDream-ai/HiDream-I1; the shift is that of Full and Fast.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.image_conditioning import CONTROL_IMAGE, with_control_image
from nodegraph.families.latent_formats import FLUX
from nodegraph.families.layer_names import LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.position_limits import PositionLimits
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import count_of
from nodegraph.weights.single_files.clip import clip_layout
from nodegraph.weights.single_files.language import LLAMA3, T5, T5_GGUF
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, HEAD_WIDTH, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_PATCH = 2
_SIDE = 128
"""Cells per side of the largest square that it takes."""
_LAYERS = 32
"""Of Llama 3, whose last one the blocks share that come after so many."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, patch = shapes["x_embedder.proj.weight"]
    double = count_of(shapes, r"double_stream_blocks\.(\d+)\.")
    single = count_of(shapes, r"single_stream_blocks\.(\d+)\.")
    # One for each block, which read Llama, and one after them for T5.
    first, last = (
        shapes[f"caption_projection.{at}.linear.weight"][1] for at in (0, double + single)
    )
    experts = shapes["double_stream_blocks.0.block.ff_i.gate.weight"][0]
    return {
        "patch_size": _PATCH,
        "in_channels": patch // _PATCH**2,
        "out_channels": shapes["final_layer.linear.weight"][0] // _PATCH**2,
        "num_layers": double,
        "num_single_layers": single,
        "attention_head_dim": HEAD_WIDTH,
        "num_attention_heads": width // HEAD_WIDTH,
        "caption_channels": [last, first],
        "text_emb_dim": shapes["p_embedder.pooled_embedder.linear_1.weight"][1],
        "num_routed_experts": experts,
        "num_activated_experts": 2,
        "axes_dims_rope": (HEAD_WIDTH // 2, HEAD_WIDTH // 4, HEAD_WIDTH // 4),
        "max_resolution": (_SIDE, _SIDE),
        "llama_layers": [min(layer, _LAYERS - 1) for layer in range(double + single)],
    }


HIDREAM_FILE = denoiser_layout(
    "hidream-transformer",
    "the transformer of HiDream-I1",
    "HiDreamImageTransformer2DModel",
    marks=(
        (
            "double_stream_blocks.0.block.adaLN_modulation.1.weight",
            "caption_projection.0.linear.weight",
        ),
    ),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 3.0},
)


_TOKENS = 128
_MOST_TOKENS = 4096
"""Of latents, that published models take at most."""


def _mu(config: Config, tokens: int, steps: int) -> float:
    """The stock pipeline asks for the most tokens, whatever the size and the scheduler's file."""
    return line_mu({}, _MOST_TOKENS, steps)


class HiDream(Family):
    """A transformer led by T5 and by every layer of Llama 3, and by two CLIP's pooled prompts.

    Its stock pipeline scales what is asked for to the area that it was trained on; here images
    have the size that is asked for, if they aren't too large for it.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["caption_channels"][0])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_apart(model, [text] * len(self.encoders), warn)

    def encode_apart(
        self, model: TextModel, texts: Sequence[str], warn: Warn | None = None
    ) -> ConditioningEntry:
        from nodegraph.families.text_encoders import (
            all_hidden_states,
            clip_states,
            t5_states,
            tokenize_padded,
        )

        clips = [
            clip_states(
                model.modules[f"text_encoder{end}"],
                tokenize_padded(model.tokenizers[f"tokenizer{end}"], text, _TOKENS),
            )
            for end, text in zip(("", "_2"), texts, strict=False)
        ]
        third = tokenize_padded(model.tokenizers["tokenizer_3"], texts[2], _TOKENS)
        llama = model.tokenizers["tokenizer_4"]
        llama.pad_token = llama.eos_token
        fourth = tokenize_padded(llama, texts[3], _TOKENS, warn)
        return encoded(
            {
                "embeddings": t5_states(model.modules["text_encoder_3"], third, masked=True),
                "layers": all_hidden_states(model.modules["text_encoder_4"], fourth),
                "pooled": torch.cat([projected for _, projected in clips], -1),
            }
        )

    def position_limits(self, config: Config) -> PositionLimits:
        """Return the tokens that the transformer pads each image to, as cells."""
        height, width = config["max_resolution"]
        return PositionLimits(height * width, height * width, cells=height * width)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        fitted = with_control_image(fitted, entry, request, follows=CONTROL_IMAGE in entry.tensors)
        if CONTROL_IMAGE in fitted and not fitted[CONTROL_IMAGE].any():
            # It is not shown: the model generates without an image on the right.
            fitted[CONTROL_IMAGE] = fitted[CONTROL_IMAGE][..., :0]
        return fitted

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        shown = batch.get(CONTROL_IMAGE)
        inputs = {"hidden_states": x}
        if shown is not None and shown.shape[-1] > 0:
            inputs = _patches(torch.cat([x, shown.to(x)], -1), model.config["patch_size"])
        output: Tensor = model.module(
            **inputs,
            timesteps=moment.timestep.expand(len(x)),
            encoder_hidden_states_t5=batch["embeddings"],
            encoder_hidden_states_llama3=batch["layers"].transpose(0, 1),
            pooled_embeds=batch["pooled"],
            return_dict=False,
        )[0]
        return -output[..., : x.shape[-1]]


def _patches(x: Tensor, side: int) -> dict[str, Tensor]:
    """Latents as the transformer cuts them up itself, but without padding to its most tokens.

    Args:
        x: (batch, channels, height, width).
        side: Cells of a side of a patch.
    """
    batch, channels, rows, columns = x.shape[0], x.shape[1], x.shape[2] // side, x.shape[3] // side
    tokens = x.reshape(batch, channels, rows, side, columns, side).permute(0, 2, 4, 3, 5, 1)
    positions = torch.zeros(rows, columns, 3, device=x.device)
    positions[..., 1] += torch.arange(rows, device=x.device)[:, None]
    positions[..., 2] += torch.arange(columns, device=x.device)
    return {
        "hidden_states": tokens.reshape(batch, rows * columns, side * side * channels),
        "hidden_states_masks": x.new_ones(batch, rows * columns),
        "img_ids": positions.reshape(1, rows * columns, 3).repeat(batch, 1, 1),
        "img_sizes": torch.tensor([[rows, columns]], device=x.device).repeat(batch, 1),
    }


_CLIP = ("CLIPTextModelWithProjection",)
_FIRST = clip_layout("long CLIP-L with its projection", *_CLIP, long=True)
_SECOND = clip_layout("long CLIP-G with its projection", *_CLIP, kind="bigG", long=True)
HIDREAM = HiDream(
    "hidream",
    "HiDream-I1",
    latent=FLUX,
    pipelines=("HiDreamImagePipeline",),
    denoisers=(Part("transformer", ("HiDreamImageTransformer2DModel",), files=(HIDREAM_FILE,)),),
    encoders=(
        Part("text_encoder", _CLIP, files=(_FIRST,)),
        Part("text_encoder_2", _CLIP, files=(_SECOND,)),
        Part("text_encoder_3", ("T5EncoderModel",), files=(T5, T5_GGUF)),
        Part("text_encoder_4", ("LlamaForCausalLM",), files=(LLAMA3,), apart=True),
    ),
    tokenizers=(
        Part("tokenizer", ("CLIPTokenizer",), vocabulary="clip-l"),
        Part("tokenizer_2", ("CLIPTokenizer",), vocabulary="clip-l", padding="!"),
        Part("tokenizer_3", ("T5Tokenizer",), vocabulary="t5"),
        Part("tokenizer_4", ("PreTrainedTokenizerFast",), vocabulary="llama3", apart=True),
    ),
    noise="flow",
    mu=_mu,
    multiple=16,
    held=TokenMemory(12, 512),
    readers=("clip_l", "clip_g", "t5", "llama"),
    resolutions={"hidream": Resolutions(1024 * 1024, 16)},
    perturbs_attention=False,
    skips_blocks=False,
    lora_signs=(LoraSign(r"^(double|single)_stream_blocks_", "HiDream"),),
    comfyui_type="hidream",
    image_inputs=frozenset({"control", "paired"}),
)
