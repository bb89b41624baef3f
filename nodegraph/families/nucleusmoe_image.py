"""NucleusMoE-Image, a mixture of experts. Imports no torch.

Source: "Nucleus-Image: Sparse MoE for Image Generation" 2026, arXiv:2604.12163; diffusers' pipeline
``NucleusMoEImagePipeline`` and its transformer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodegraph.families.base import Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.layer_names import IMAGE_STREAM_SIGN, JOINT_ATTENTION_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment, norm_preserving_guidance
from nodegraph.families.patches import pack_latents, unpack_latents
from nodegraph.families.qwen_image_21 import SEEING_ENCODER, SEEING_PROCESSOR
from nodegraph.families.wan_vae import QWEN_IMAGE as QWEN_IMAGE_LATENTS
from nodegraph.weights.memory import TokenMemory

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_PATCH = 2
_MOST_TOKENS = 1024
_TOKEN_MULTIPLE = 8
"""Number of tokens that prompts are padded to a multiple of."""
_LAYER = -8
"""Layer of the text encoder that the model reads, counted from the last, -1."""
_TEMPLATE = (
    "<|im_start|>system\n"
    "You are an image generation assistant. Follow the user's prompt literally. Pay careful "
    "attention to spatial layout: objects described as on the left must appear on the left, on the "
    "right on the right. Match exact object counts and assign colors to the correct objects."
    "<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
"""What the encoder reads of a prompt. The model was trained with it, so each letter counts.

Source: diffusers' pipeline, and the chat template of Qwen3-VL.
"""


class NucleusMoEImage(Family):
    """A transformer of image tokens alone, which attend to those of the prompt by Qwen3-VL.

    Each expert takes the tokens that fit it best, of all tokens of an image. So images of one batch
    do not depend on each other.
    """

    def channels(self, config: Config) -> int:
        return int(config["in_channels"]) // _PATCH**2

    def context_width(self, config: Config) -> int | None:
        return int(config["joint_attention_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import hidden_states, warn_of_cut

        tokenizer = model.tokenizers["processor"]
        prompt = _TEMPLATE.format(text)
        read = tokenizer(
            prompt,
            padding="longest",
            pad_to_multiple_of=_TOKEN_MULTIPLE,
            max_length=_MOST_TOKENS,
            truncation=True,
            return_tensors="pt",
        )
        tokens = {name: read[name] for name in ("input_ids", "attention_mask")}
        if warn is not None:
            warn_of_cut(tokenizer, prompt, _MOST_TOKENS, warn)
        states = hidden_states(model.modules["text_encoder"], tokens, _LAYER)
        return encoded({"embeddings": states, "mask": tokens["attention_mask"]})

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        height, width = x.shape[-2:]
        mask = batch["mask"].bool()
        time = moment.timestep.expand(len(x)).to(x.dtype) / moment.training_timesteps
        output: Tensor = model.module(
            hidden_states=pack_latents(x),
            timestep=time,
            encoder_hidden_states=batch["embeddings"],
            # Without padding the pipeline passes no mask, which gives other last bits.
            encoder_hidden_states_mask=None if bool(mask.all()) else mask,
            img_shapes=[(1, height // _PATCH, width // _PATCH)] * len(x),
            return_dict=False,
        )[0]
        # The network gives the latent less the noise.
        return -unpack_latents(output, height, width)

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Combine two outputs; each patch is as long as that of the positive prompt alone."""
        height, width = towards.shape[-2:]
        both = norm_preserving_guidance(pack_latents(towards), pack_latents(away), cfg)
        return unpack_latents(both, height, width)


NUCLEUSMOE_IMAGE = NucleusMoEImage(
    "nucleusmoe-image",
    "NucleusMoE-Image",
    latent=QWEN_IMAGE_LATENTS,
    pipelines=("NucleusMoEImagePipeline",),
    # What is known of it states no noise schedule, which a file of the transformer alone lacks.
    denoisers=(Part("transformer", ("NucleusMoEImageTransformer2DModel",)),),
    encoders=(SEEING_ENCODER,),
    tokenizers=(SEEING_PROCESSOR,),
    noise="flow",
    spread="ramp",
    mu=line_mu,
    multiple=16,
    held=TokenMemory(24, 256),
    joint=False,
    # Its attention has no queries of the prompt, which guiders and caches of diffusers expect.
    perturbs_attention=False,
    speedups=frozenset(),
    block_stacks=("transformer_blocks",),
    block_outputs={"NucleusMoEImageTransformerBlock": (0, None)},
    resolutions={"nucleusmoe-image": Resolutions(1024 * 1024, 16)},
    lora_signs=(
        LoraSign(
            r"^transformer_blocks_\d+_(encoder_proj|img_mlp_(gate|shared_expert))",
            "NucleusMoE-Image",
        ),
        IMAGE_STREAM_SIGN,
        JOINT_ATTENTION_SIGN,
    ),
)
