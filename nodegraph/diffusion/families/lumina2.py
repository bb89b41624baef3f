"""Lumina-Image 2.0. Imports no torch.

Source: Qin et al. 2025, arXiv:2503.21758.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from nodegraph.diffusion.families.base import Config, Family, Part, Warn, encoded
from nodegraph.diffusion.families.norms import guided_by_norm
from nodegraph.diffusion.families.pipeline_classes import PIPELINE_CLASSES
from nodegraph.diffusion.flow_shift import line_mu
from nodegraph.diffusion.latent_formats import FLUX as FLUX_LATENTS
from nodegraph.diffusion.memory import TokenMemory
from nodegraph.diffusion.model_step import Asked, Batch, Moment
from nodegraph.diffusion.single_files.language import GEMMA2
from nodegraph.diffusion.single_files.lumina2 import LUMINA2_FILE

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.diffusion.components import Denoiser, TextModel

_TOKENS = 256

INSTRUCTION = (
    "You are an assistant designed to generate superior images with the superior degree of "
    "image-text alignment based on textual prompts or user prompts. <Prompt Start> "
)
"""What the encoder is told before a prompt; the model was trained with it, so each letter counts.

Source: https://github.com/Alpha-VLLM/Lumina-Image-2.0, ``system_prompt``.
"""


class Lumina2(Family):
    """A transformer led by Gemma 2, which counts time from noise to picture.

    Prompts to lead to are read after `INSTRUCTION`, those to lead away from alone; as nobody knows
    what a prompt is for when it is encoded, both are done.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["cap_feat_dim"])

    def tokens(self, shape: Sequence[int]) -> int:
        """The channels, of all things: so does the stock pipeline, and hence no size shifts more
        than another."""
        return int(shape[1])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        states, seen = _states(model, INSTRUCTION + text, warn)
        plain, plain_seen = _states(model, text)
        return encoded(
            {
                "embeddings": states,
                "mask": seen,
                "plain_embeddings": plain,
                "plain_mask": plain_seen,
            }
        )

    def fit(self, model: Denoiser, entry: ConditioningEntry, asked: Asked) -> dict[str, Tensor]:
        prefix = "plain_" if asked.side == "negative" else ""
        taken = {name: entry.tensors[prefix + name] for name in ("embeddings", "mask")}
        return super().fit(model, replace(entry, tensors=taken), asked)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        output: Tensor = model.module(
            hidden_states=x,
            timestep=(1 - moment.timestep / moment.training_timesteps).expand(len(x)),
            encoder_hidden_states=batch["embeddings"],
            encoder_attention_mask=batch["mask"],
            return_dict=False,
        )[0]
        return -output

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Each row of cells stays as long as the positive prompt alone has it."""
        return guided_by_norm(towards, away, cfg)


def _states(model: TextModel, text: str, warn: Warn | None = None) -> tuple[Tensor, Tensor]:
    from nodegraph.diffusion.encoders import hidden_states, padded

    tokens = padded(model.tokenizers["tokenizer"], text, _TOKENS, warn, padding_side="right")
    return hidden_states(model.modules["text_encoder"], tokens, layer=-2), tokens["attention_mask"]


LUMINA2 = Lumina2(
    "lumina2",
    "Lumina 2",
    latent=FLUX_LATENTS,
    pipelines=PIPELINE_CLASSES["lumina2"],
    denoisers=(Part("transformer", ("Lumina2Transformer2DModel",), files=(LUMINA2_FILE,)),),
    encoders=(Part("text_encoder", ("Gemma2Model",), files=(GEMMA2,)),),
    tokenizers=(Part("tokenizer", ("GemmaTokenizer",), vocabulary="gemma2"),),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    multiple=16,
    held=TokenMemory(18, 256),
    joint=False,
)
