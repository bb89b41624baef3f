"""Ideogram 4. Imports no torch.

Source: diffusers' pipeline ``Ideogram4Pipeline`` and its transformer, by Ideogram. Of the names in
ComfyUI's files: https://github.com/Comfy-Org/ComfyUI, ``comfy/ldm/ideogram4/model.py``

Source of what no tensor shows: the defaults of diffusers' class.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodegraph.families.base import Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.flux2 import CELLS_FIRST, FLUX2_LATENTS
from nodegraph.families.krea2 import READING_ENCODER, READING_TOKENIZER
from nodegraph.families.layer_names import REFINED_SIGN, UNSPLIT_ATTENTION_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_LAYERS_READ = (1, 4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 34, 36)
"""Layers of Qwen3-VL 8B that the model reads; layer 0 is the embedding."""
_TOKENS = 2048
"""Of the longest prompts that the pipeline takes."""
_CHAT = "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
"""Around a prompt: Qwen3-VL's chat template for one question."""
_TEXT, _IMAGE = 3, 2
"""How the transformer tells the two kinds of tokens apart."""
_FIRST_CELL = 65536
"""Position of the first row and column of an image, behind those of any prompt."""
_SIDE = 2
"""Cells along a side of a patch."""
_UNCONDITIONAL = "unconditional_transformer"


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["input_proj.weight"]
    (head,) = shapes["layers.0.attention.norm_q.weight"]
    return {
        "in_channels": channels,
        "num_layers": count_of(shapes, r"layers\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "intermediate_size": shapes["layers.0.feed_forward.w1.weight"][0],
        "adaln_dim": shapes["adaln_proj.weight"][0],
        "llm_features_dim": shapes["llm_cond_norm.weight"][0],
        "rope_theta": 5_000_000,
        # Of 128 rotary frequencies of a head; narrower heads have fewer in the same proportions.
        "mrope_section": tuple(share * head // 256 for share in (24, 20, 20)),
        "norm_eps": 1e-5,
    }


_LAYERS: Table = (
    ("layers.*.attention.{to_q,to_k,to_v}", "layers.*.attention.qkv"),
    ("layers.*.attention.to_out.0", "layers.*.attention.o"),
)
_FILE = denoiser_layout(
    "ideogram4-transformer",
    "a transformer of Ideogram 4",
    "Ideogram4Transformer2DModel",
    marks=(("llm_cond_norm.weight", "embed_image_indicator.weight", "adaln_proj.weight"),),
    names=OriginalNames(_LAYERS, equal_rows=True),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 1.0},
)


class Ideogram4(Family):
    """A transformer that reads prompts by thirteen layers of Qwen3-VL, and one that reads none.

    The second one answers where a prompt has no text: for the negative side, unless it is a text.
    Prompts were JSON captions in the training.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["llm_features_dim"])

    def tokens(self, shape: Any) -> int:
        return int(shape[-2]) * int(shape[-1])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import layer_states

        tokenizer = model.tokenizers["tokenizer"]
        tokens = tokenizer(_CHAT.format(text), return_tensors="pt", add_special_tokens=False)
        count = tokens["input_ids"].shape[1]
        if warn is not None and count > _TOKENS:
            warn(f"The prompt has {count} tokens. Ideogram 4 was made for up to {_TOKENS}.")
        inputs = {name: tokens[name] for name in ("input_ids", "attention_mask")}
        states = layer_states(model.modules["text_encoder"], inputs, _LAYERS_READ)
        return encoded({"embeddings": torch.stack(states, -1).flatten(2)})

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        width = model.modules["text_encoder"].get_input_embeddings().weight.shape[1]
        return encoded({"embeddings": torch.zeros(1, 1, width * len(_LAYERS_READ))})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        if not fitted["embeddings"].any():
            # No text, also that of ZeroOutConditioning.
            fitted["embeddings"] = fitted["embeddings"][:, :0]
        return fitted

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        states, image = batch["embeddings"].to(model.dtype), _image_tokens(x)
        length, cells = states.shape[1], image.shape[1]
        positions = torch.cat([_text_positions(length, x), _image_positions(x)])
        kinds = torch.tensor([_TEXT] * length + [_IMAGE] * cells, device=x.device)
        time = 1.0 - moment.timestep.float() / moment.training_timesteps
        network = model.modules.get(_UNCONDITIONAL) if not length else None
        output: Tensor = (network or model.module)(
            hidden_states=_after(length, image).to(model.dtype),
            timestep=time.expand(len(x)).to(model.dtype),
            encoder_hidden_states=torch.cat(
                [states, states.new_zeros(len(x), cells, states.shape[2])], 1
            ),
            position_ids=positions.expand(len(x), -1, -1),
            segment_ids=torch.ones_like(kinds).expand(len(x), -1),
            indicator=kinds.expand(len(x), -1),
            return_dict=False,
        )[0]
        return -_from_image_tokens(output[:, length:].to(x.dtype), x)

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Combine as the pipeline does, which rounds differently from `Family.guided`."""
        scale = torch.tensor(cfg, dtype=towards.dtype, device=towards.device)
        return scale * towards + (1.0 - scale) * away


def _after(length: int, image: Tensor) -> Tensor:
    """Return tokens of an image behind as many zeros as a prompt has tokens."""
    return torch.cat([image.new_zeros(len(image), length, image.shape[2]), image], 1)


def _image_tokens(x: Tensor) -> Tensor:
    """Return a latent as tokens whose channels begin with the cells of a patch.

    Returns:
        Shape (batch, rows · columns, channels).
    """
    n, channels, height, width = x.shape
    cut = x.reshape(n, channels // _SIDE**2, _SIDE, _SIDE, height, width)
    return cut.permute(0, 4, 5, 2, 3, 1).reshape(n, height * width, channels)


def _from_image_tokens(tokens: Tensor, like: Tensor) -> Tensor:
    """Return the latent of `_image_tokens`, of the shape of another."""
    n, channels, height, width = like.shape
    cut = tokens.reshape(n, height, width, _SIDE, _SIDE, channels // _SIDE**2)
    return cut.permute(0, 5, 3, 4, 1, 2).reshape(like.shape)


def _text_positions(length: int, x: Tensor) -> Tensor:
    return torch.arange(length, device=x.device)[:, None].expand(-1, 3)


def _image_positions(x: Tensor) -> Tensor:
    height, width = x.shape[-2:]
    rows, columns = torch.meshgrid(
        torch.arange(height, device=x.device), torch.arange(width, device=x.device), indexing="ij"
    )
    grid = torch.stack([torch.zeros_like(rows), rows, columns], -1)
    return grid.flatten(0, 1) + _FIRST_CELL


_CLASSES = ("Ideogram4Transformer2DModel",)

IDEOGRAM4 = Ideogram4(
    "ideogram4",
    "Ideogram 4",
    latent=FLUX2_LATENTS,
    pipelines=("Ideogram4Pipeline",),
    denoisers=(
        Part("transformer", _CLASSES, files=(_FILE,)),
        Part(_UNCONDITIONAL, _CLASSES, optional=True, files=(_FILE,)),
    ),
    encoders=(READING_ENCODER,),
    tokenizers=(READING_TOKENIZER,),
    noise="flow",
    spread="logit_normal",
    vae_config={CELLS_FIRST: True},
    multiple=16,
    # A token is a cell, as patches are.
    held=TokenMemory(22, 512, patch=1),
    joint=False,
    wide=True,
    block_stacks=("layers",),
    block_outputs={"Ideogram4TransformerBlock": (0, None)},
    resolutions={"ideogram4": Resolutions(2048 * 2048, 16)},
    lora_signs=(
        LoraSign(
            r"^layers_\d+_(attention_o$|adaln_modulation)|^(llm_cond|adaln)_proj", "Ideogram 4"
        ),
        UNSPLIT_ATTENTION_SIGN,
        REFINED_SIGN,
    ),
    comfyui_type="ideogram4",
)
