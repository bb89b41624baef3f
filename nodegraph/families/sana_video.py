"""Sana Video: videos from prompts and first images. Imports no torch.

Source: Chen et al. 2025, arXiv:2509.24695.

Source of what no tensor shows: https://github.com/NVlabs/Sana and diffusers'
``convert_sana_video_to_diffusers.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import ATTENTION_CACHES, LITE, Config, Part, Resolutions
from nodegraph.families.image_conditioning import (
    FIRST_FRAME,
    check_video_size,
    denoise_mask,
    with_first_frame,
)
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN, DIT_SIGN
from nodegraph.families.ltx2 import LTX2_LATENTS
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.sana import ENCODER, LAYERS, TOKENIZER, Sana
from nodegraph.families.wan_vae import WAN as WAN_LATENTS
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, OriginalNames, Table, count_of
from nodegraph.weights.single_files.renamed_layouts import denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser

_HEAD = 112
"""Width of a head; nothing in a file shows it."""
_SAMPLE_SIZES = {16: 30, 128: 22}
"""Rows of latents at the trained size, by channels: 480 lines at 16 to a row, 704 at 32."""

_LAYERS: Table = (
    *((new, old) for new, old in LAYERS if new != "patch_embed.proj"),
    ("patch_embedding", "x_embedder.proj"),
    ("transformer_blocks.*.ff.conv_temp", "blocks.*.mlp.t_conv"),
)


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels, *patch = shapes["patch_embedding.weight"]
    cells = patch[0] * patch[1] * patch[2]
    return {
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // cells,
        "num_attention_heads": width // _HEAD,
        "attention_head_dim": _HEAD,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_cross_attention_heads": width // _HEAD,
        "cross_attention_head_dim": _HEAD,
        "cross_attention_dim": width,
        "caption_channels": shapes["caption_projection.linear_1.weight"][1],
        "mlp_ratio": shapes["transformer_blocks.0.ff.conv_point.weight"][1] / width,
        "attention_bias": "transformer_blocks.0.attn1.to_q.bias" in shapes,
        "sample_size": _SAMPLE_SIZES.get(channels, 30),
        "patch_size": tuple(patch),
        "qk_norm": "rms_norm_across_heads",
    }


def _layout(name: str, title: str, channels: int, shift: float) -> FileLayout:
    """The layout of transformers that take latents of so many channels."""

    def fits(shapes: Shapes) -> bool:
        shape = shapes["patch_embedding.weight"]
        return len(shape) == 5 and shape[1] == channels

    return denoiser_layout(
        f"{name}-transformer",
        f"the transformer of {title}",
        "SanaVideoTransformer3DModel",
        marks=(
            ("x_embedder.proj.weight", "blocks.0.mlp.t_conv.weight"),
            ("patch_embedding.weight", "transformer_blocks.0.ff.conv_temp.weight"),
        ),
        names=OriginalNames(_LAYERS),
        config=_config,
        scheduler={
            "_class_name": "DPMSolverMultistepScheduler",
            "num_train_timesteps": 1000,
            "prediction_type": "flow_prediction",
            "use_flow_sigmas": True,
            "flow_shift": shift,
        },
        fits=fits,
        unused=("pos_embed", "y_embedder.y_embedding", "logvar_linear."),
    )


INSTRUCTION = """\
Given a user prompt, generate an 'Enhanced prompt' that provides detailed visual descriptions \
suitable for video generation. Evaluate the level of detail in the user prompt:
- If the prompt is simple, focus on adding specifics about colors, shapes, sizes, textures, \
motion, and temporal relationships to create vivid and dynamic scenes.
- If the prompt is already detailed, refine and enhance the existing details slightly without \
overcomplicating.
Here are examples of how to transform or refine prompts:
- User Prompt: A cat sleeping -> Enhanced: A small, fluffy white cat slowly settling into a curled \
position, peacefully falling asleep on a warm sunny windowsill, with gentle sunlight filtering \
through surrounding pots of blooming red flowers.
- User Prompt: A busy city street -> Enhanced: A bustling city street scene at dusk, featuring \
glowing street lamps gradually lighting up, a diverse crowd of people in colorful clothing walking \
past, and a double-decker bus smoothly passing by towering glass skyscrapers.
Please generate only the enhanced description for the prompt below and avoid including any \
additional commentary or evaluations:
User Prompt: """
"""What the encoder reads before a prompt; the model was trained with it, so each letter counts.

Source: ``chi_prompt`` in the configurations of https://github.com/NVlabs/Sana.
"""


@dataclass(frozen=True)
class SanaVideo(Sana):
    """Sana with time: its prompts are read as Sana's, after another instruction.

    The models were trained with the amount of motion at the end of prompts, for example
    ``motion score: 30.``

    Attributes:
        landscape: Width and height in pixels that models were trained on, among others.
    """

    instruction: str = INSTRUCTION
    landscape: tuple[int, int] = (832, 480)

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        taken = configs.get("transformer", {}).get("in_channels", self.latent.channels)
        wanted = self.latent.channels
        return None if taken == wanted else f"Sana Video with latents of {taken} channels"

    def trained_size(self, config: Config) -> tuple[int, int]:
        return self.landscape

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_video_size(fitted, request)
        return fitted

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        first = batch.get(FIRST_FRAME)
        timestep = moment.timestep.expand(len(x))
        if first is not None:
            # A timestep for each token: 0 for those of the first image.
            _, rows, columns = model.config["patch_size"]
            tokens = denoise_mask(x, first)[:, ::rows, ::columns]
            timestep = (tokens * moment.timestep)[None, None].expand(len(x), -1, -1, -1, -1)
        output: Tensor = model.module(
            with_first_frame(x, first).to(model.dtype),
            encoder_hidden_states=batch["embeddings"],
            encoder_attention_mask=batch["mask"],
            timestep=timestep,
            return_dict=False,
        )[0]
        return output.float()


def _family(
    name: str,
    title: str,
    latent: LatentFormat,
    shift: float,
    landscape: tuple[int, int],
    held: TokenMemory,
) -> SanaVideo:
    layout = _layout(name, title, latent.channels, shift)
    return SanaVideo(
        name,
        title,
        latent=latent,
        pipelines=("SanaVideoPipeline", "SanaImageToVideoPipeline"),
        denoisers=(Part("transformer", ("SanaVideoTransformer3DModel",), files=(layout,)),),
        encoders=(ENCODER,),
        tokenizers=(TOKENIZER,),
        noise="flow",
        multiple=32,
        held=held,
        wide=True,
        speedups=ATTENTION_CACHES | LITE,
        first_picture="frame",
        resolutions={name: Resolutions(landscape[0] * landscape[1], 32)},
        perturbs_attention=False,
        block_outputs={"SanaVideoTransformerBlock": (0, None)},
        lora_signs=(DIT_SIGN, CROSS_ATTENTION_SIGN),
        landscape=landscape,
    )


SANA_VIDEO = _family(
    *("sana-video", "Sana Video"), WAN_LATENTS, 8.0, (832, 480), TokenMemory(13, 48)
)
SANA_VIDEO_720 = _family(
    *("sana-video-720p", "Sana Video 720p"),
    LTX2_LATENTS,
    8.0,
    (1280, 704),
    TokenMemory(13, 48, patch=1),
)
