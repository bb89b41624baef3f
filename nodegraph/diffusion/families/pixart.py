"""PixArt-Σ. Imports no torch.

Source: Chen et al. 2024, arXiv:2403.04692.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.diffusion.families.base import Config, Family, Part, Warn, encoded
from nodegraph.diffusion.families.pipeline_classes import PIPELINE_CLASSES
from nodegraph.diffusion.latent_formats import SDXL
from nodegraph.diffusion.lazy import torch
from nodegraph.diffusion.memory import TokenMemory
from nodegraph.diffusion.model_step import Batch, Moment
from nodegraph.diffusion.single_files.pixart import PIXART_SIGMA_FILE
from nodegraph.diffusion.single_files.t5 import T5, T5_GGUF

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.diffusion.components import Denoiser, TextModel

_TOKENS = 300


class PixArt(Family):
    """A transformer led by T5, whose prompts are read in small letters.

    It was trained on pictures of several shapes and its stock pipeline brings what is asked for
    to the nearest of them; here pictures have the size that is asked for.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["caption_channels"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.diffusion.encoders import padded, t5_states

        tokens = padded(model.tokenizers["tokenizer"], text.lower().strip(), _TOKENS, warn)
        states = t5_states(model.modules["text_encoder"], tokens, masked=True)
        return encoded({"embeddings": states, "mask": tokens["attention_mask"]})

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        output: Tensor = model.module(
            x,
            encoder_hidden_states=batch["embeddings"],
            encoder_attention_mask=batch["mask"],
            timestep=moment.timestep.expand(len(x)),
            added_cond_kwargs={"resolution": None, "aspect_ratio": None},
            return_dict=False,
        )[0]
        # the noise, and beside it its variance, which no sampler here asks for
        return torch.split(output, x.shape[1], dim=1)[0]


PIXART_SIGMA = PixArt(
    "pixart-sigma",
    "PixArt-Σ",
    latent=SDXL,
    pipelines=PIPELINE_CLASSES["pixart-sigma"],
    denoisers=(Part("transformer", ("PixArtTransformer2DModel",), files=(PIXART_SIGMA_FILE,)),),
    encoders=(Part("text_encoder", ("T5EncoderModel",), files=(T5, T5_GGUF)),),
    tokenizers=(Part("tokenizer", ("T5Tokenizer",), vocabulary="t5"),),
    multiple=16,
    held=TokenMemory(12, 32),
)
