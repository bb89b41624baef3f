"""Anima: images from prompts, on the network of Cosmos Predict2. Imports no torch.

Source: diffusers' modular pipeline ``modular_pipelines/anima`` and its text conditioner,
``models/condition_embedders/condition_embedder_anima.py``. Of what no tensor shows:
``scripts/convert_anima_to_diffusers.py`` of https://github.com/huggingface/diffusers
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.anima_control import CLASS as LLLITE_CLASS
from nodegraph.families.anima_control import LLLITE_FILE, image_vectors, led_by
from nodegraph.families.base import CONTROLS, Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.cosmos import (
    ORIGINAL_PREFIXES,
    PREDICT2_LAYERS,
    PREDICT2_MARKS,
    PREDICT2_SIGN,
    cosmos_layout,
    provide_resizing,
    table_limits,
)
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.position_limits import PositionLimits
from nodegraph.families.wan_vae import QWEN_IMAGE as QWEN_IMAGE_LATENTS
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import Config as FileConfig
from nodegraph.weights.single_files.base import FileLayout, Tensors, count_of, has_marks
from nodegraph.weights.single_files.language import QWEN3, QWEN3_GGUF
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel
    from nodegraph.families.model_step import ControlNetCall, Residuals

_TOKENS = 512
"""Of the longest prompts that the pipeline takes, for Qwen3 and for T5 alike."""
_CONDITIONER = "text_conditioner"
_IDS = "t5_ids"
"""Tensor of a prompt: its T5 tokens, int64, shape (1, tokens)."""
_ADAPTER = "llm_adapter."
"""What the names of the text conditioner's tensors begin with in files of the transformer."""
_ADAPTER_MARK = f"{_ADAPTER}blocks.0.cross_attn.q_proj.weight"


TRANSFORMER_FILE = cosmos_layout(
    "anima-transformer",
    "the transformer of Anima",
    PREDICT2_MARKS,
    PREDICT2_LAYERS,
    {**EULER_FLOW, "shift": 3.0},
    companions={_ADAPTER: _ADAPTER_MARK},
)


def _conditioner_config(shapes: Shapes) -> dict[str, Any]:
    part = {name.removeprefix(_ADAPTER): shape for name, shape in shapes.items()}
    words, width = part["embed.weight"]
    rows, columns = part["blocks.0.mlp.0.weight"]
    (head,) = part["blocks.0.cross_attn.q_norm.weight"]
    return {
        "source_dim": part["blocks.0.cross_attn.k_proj.weight"][1],
        "target_dim": width,
        "model_dim": columns,
        "num_layers": count_of(part, r"blocks\.(\d+)\."),
        "num_attention_heads": columns // head,
        "mlp_ratio": rows / columns,
        "target_vocab_size": words,
        "use_self_attention": "blocks.0.self_attn.q_proj.weight" in part,
        "use_layer_norm": "blocks.0.norm_mlp.bias" in part,
    }


def _conditioner_tensors(tensors: Tensors, config: FileConfig) -> dict[str, Tensor]:
    return {name.removeprefix(_ADAPTER): item for name, item in tensors.items()}


_CONDITIONER_MARKS = ((_ADAPTER_MARK, f"{_ADAPTER}embed.weight"),)
CONDITIONER_FILE = FileLayout(
    "anima-text-conditioner",
    "the text conditioner of Anima",
    "AnimaTextConditioner",
    matches=lambda shapes: has_marks(shapes, _CONDITIONER_MARKS),
    config=_conditioner_config,
    convert=_conditioner_tensors,
    prefixes=ORIGINAL_PREFIXES,
    beginnings=(_ADAPTER,),
    marks=_CONDITIONER_MARKS,
)


class Anima(Family):
    """Cosmos Predict2's transformer, and a small network that reads prompts for it.

    Qwen3 reads the prompt. The small network, the text conditioner, looks up what Qwen3 has
    understood for each of the prompt's T5 tokens. It belongs to the denoiser, as files of the
    transformer hold it, and LoRAs change it.
    """

    def position_limits(self, config: Config) -> PositionLimits:
        return table_limits(config)

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import hidden_states

        tokens, words = (
            _tokenized(model.tokenizers[role], text, warn) for role in ("tokenizer", "t5_tokenizer")
        )
        states = hidden_states(model.modules["text_encoder"], tokens, layer=-1)
        mask = tokens["attention_mask"]
        return encoded(
            {
                "embeddings": states * mask.to(states).unsqueeze(-1),
                "mask": mask.bool(),
                _IDS: words["input_ids"],
            }
        )

    def matched(self, first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
        if first.dtype == torch.int64:
            # Tokens are of the first prompt, and those of another length have no mean.
            return first, first
        return super().matched(first, second)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        conditioner = model.modules[_CONDITIONER]
        states, wanted = entry.embeddings, int(conditioner.config.source_dim)
        if states.ndim != 3 or states.shape[-1] != wanted or _IDS not in entry.tensors:
            raise InvalidValue(
                "the prompt's embeddings do not fit the model",
                port=request.side,
                given=f"shape {tuple(states.shape)}",
                expected=f"shape (1, tokens, {wanted}), and the tokens of T5",
                hint="Encode the prompt with the text encoder of the same LoadModel.",
            )
        fitted = super().fit(model, entry, request)
        ids, mask = (fitted.pop(name).to(conditioner.device) for name in (_IDS, "mask"))
        with torch.no_grad():
            fitted["embeddings"] = conditioner(
                source_hidden_states=states.to(conditioner.device, conditioner.dtype),
                target_input_ids=ids,
                target_attention_mask=torch.ones_like(ids),
                source_attention_mask=mask,
            )
        return fitted

    def controlled(
        self, model: Denoiser, question: ControlNetCall, x: Tensor, moment: Moment, batch: Batch
    ) -> Residuals:
        return image_vectors(model, question)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        provide_resizing()
        timestep = moment.timestep.expand(len(x)).to(model.dtype) / moment.training_timesteps
        hidden = x.unsqueeze(2).to(model.dtype)
        with led_by(model.module, batch.get(CONTROLS, {})):
            output: Tensor = model.module(
                hidden_states=hidden,
                timestep=timestep,
                encoder_hidden_states=batch["embeddings"],
                # No part of a latent is padding.
                padding_mask=hidden.new_zeros(1, 1, *hidden.shape[3:]),
                return_dict=False,
            )[0]
        return output.squeeze(2).to(x.dtype)


def _tokenized(tokenizer: Any, text: str, warn: Warn | None) -> dict[str, Tensor]:
    """Return the tokens of a prompt and their mask; int64, (1, tokens).

    Qwen3 has no mark around a prompt, so that an empty one is a token that is masked.
    """
    from nodegraph.families.text_encoders import warn_of_cut

    tokens = tokenizer(text, max_length=_TOKENS, truncation=True, return_tensors="pt")
    names = ("input_ids", "attention_mask")
    count = tokens["input_ids"].shape[1]
    if not count:
        return {name: torch.zeros(1, 1, dtype=torch.int64) for name in names}
    if warn is not None and count == _TOKENS:
        warn_of_cut(tokenizer, text, _TOKENS, warn)
    return {name: tokens[name] for name in names}


ANIMA = Anima(
    "anima",
    "Anima",
    latent=QWEN_IMAGE_LATENTS,
    pipelines=("AnimaModularPipeline",),
    denoisers=(
        Part("transformer", ("CosmosTransformer3DModel",), files=(TRANSFORMER_FILE,)),
        Part(_CONDITIONER, ("AnimaTextConditioner",), files=(CONDITIONER_FILE,), conditioner=True),
    ),
    encoders=(Part("text_encoder", ("Qwen3Model",), files=(QWEN3, QWEN3_GGUF)),),
    tokenizers=(
        Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen3"),
        Part("t5_tokenizer", ("T5Tokenizer",), vocabulary="t5"),
    ),
    control=Part("controlnet", (LLLITE_CLASS,), files=(LLLITE_FILE,)),
    control_mask_channels="mask_channels",
    noise="flow",
    spread="ramp",
    joint=False,
    wide=True,
    multiple=16,
    held=TokenMemory(16, _TOKENS),
    block_stacks=("transformer_blocks",),
    block_outputs={"CosmosTransformerBlock": (0, None)},
    resolutions={"anima": Resolutions(1024 * 1024, 16)},
    lora_signs=(PREDICT2_SIGN, CROSS_ATTENTION_SIGN),
    comfyui_type="anima",
)
