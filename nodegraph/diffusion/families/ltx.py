"""LTX-Video: videos from prompts, and from prompts and a first picture. Imports no torch.

Source: HaCohen et al. 2024, arXiv:2501.00103; https://github.com/Lightricks/LTX-Video
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodegraph.diffusion.families.base import RATE, Config, Family, Part, Warn, encoded
from nodegraph.diffusion.families.first_picture import FIRST_FRAME, begun, check_fits, to_denoise
from nodegraph.diffusion.families.pipeline_classes import PIPELINE_CLASSES
from nodegraph.diffusion.flow_shift import line_mu
from nodegraph.diffusion.ltx_latents import LTX as LTX_LATENTS
from nodegraph.diffusion.memory import TokenMemory
from nodegraph.diffusion.model_step import Asked, Batch, Moment
from nodegraph.diffusion.single_files.ltx import LTX_FILE
from nodegraph.diffusion.single_files.t5 import T5, T5_GGUF

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.diffusion.components import Denoiser, TextModel

USUAL_RATE = 25
"""Frames a second that a video is to have where the conditioning doesn't say."""

_TOKENS = 128


class LTXVideo(Family):
    """A transformer led by T5, that is told which tokens are padding. Each cell is a token."""

    def trained_size(self, config: Config) -> tuple[int, int]:
        return 704, 512

    def context_width(self, config: Config) -> int | None:
        return int(config["caption_channels"])

    def tokens(self, shape: Sequence[int]) -> int:
        return math.prod(shape[2:])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.diffusion.encoders import padded, t5_states

        tokens = padded(model.tokenizers["tokenizer"], text, _TOKENS, warn)
        states = t5_states(model.modules["text_encoder"], tokens)
        return encoded({"embeddings": states, "mask": tokens["attention_mask"].bool()})

    def fit(self, model: Denoiser, entry: ConditioningEntry, asked: Asked) -> dict[str, Tensor]:
        found = super().fit(model, entry, asked)
        check_fits(found, asked)
        return found

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        frames, height, width = x.shape[2:]
        first, temporal, spatial = batch.get(FIRST_FRAME), self.latent.temporal, self.latent.spatial
        seen = begun(x, first).flatten(2).transpose(1, 2).contiguous().to(model.dtype)
        timestep = moment.timestep.expand(len(x))
        if first is not None:
            timestep = timestep.unsqueeze(-1) * to_denoise(x, first).flatten()
        rate = batch[RATE][0].float() if RATE in batch else (USUAL_RATE, 1)
        output: Tensor = model.module(
            hidden_states=seen,
            encoder_hidden_states=batch["embeddings"],
            timestep=timestep,
            encoder_attention_mask=batch["mask"],
            num_frames=frames,
            height=height,
            width=width,
            rope_interpolation_scale=(temporal * rate[1] / rate[0], spatial, spatial),
            return_dict=False,
        )[0]
        # guidance adds up in float32, as the pipeline does
        return output.float().transpose(1, 2).reshape(x.shape)


LTX = LTXVideo(
    "ltx",
    "LTX-Video",
    latent=LTX_LATENTS,
    pipelines=PIPELINE_CLASSES["ltx"],
    denoisers=(Part("transformer", ("LTXVideoTransformer3DModel",), files=(LTX_FILE,)),),
    encoders=(Part("text_encoder", ("T5EncoderModel",), files=(T5, T5_GGUF)),),
    tokenizers=(Part("tokenizer", ("T5Tokenizer",), vocabulary="t5"),),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    multiple=32,
    held=TokenMemory(15, 24, patch=1),
    first_picture="frame",
    wide=True,
)
