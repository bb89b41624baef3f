"""Cosmos Predict2.5: worlds as videos from prompts, an image or the frames of a video.

Its network is that of Cosmos Predict2, with a layer more that narrows what Qwen2.5-VL makes of a
prompt. Imports no torch.

Source: NVIDIA 2025, https://github.com/nvidia-cosmos/cosmos-predict2.5; diffusers'
``pipeline_cosmos2_5_predict.py``. What no tensor shows is from
``scripts/convert_cosmos_to_diffusers.py`` of https://github.com/huggingface/diffusers
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nodegraph.families.base import CONTROLS, Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.cosmos import (
    PREDICT2_LAYERS,
    PREDICT2_MARKS,
    PREDICT2_SIGN,
    cosmos_layout,
    network_config,
    provide_resizing,
    table_limits,
)
from nodegraph.families.image_conditioning import FIRST_FRAME, check_video_size, with_first_frame
from nodegraph.families.layer_names import CROSS_ATTENTION_SIGN
from nodegraph.families.model_step import BLOCKS, Batch, Moment, SamplingRequest
from nodegraph.families.position_limits import PositionLimits
from nodegraph.families.wan_vae import WAN as WAN_LATENTS
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.language import QWEN25, QWEN25_GGUF, QWEN25_VL

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_TOKENS = 512
_CHAT = (
    "<|im_start|>system\nYou are a helpful assistant who will provide prompts to an image "
    "generator.<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n"
)
"""What the encoder reads for a prompt."""
_TINY = 1e-8
"""Added to deviations, so that none divides by zero; as in the pipeline."""
_PROJECTION = "crossattn_proj.0.weight"
PROJECTION = {"crossattn_proj.": _PROJECTION}
"""What the network has beside Predict2's, as of `cosmos_layout`."""


PREDICT25_SCHEDULER: dict[str, Any] = {
    "_class_name": "UniPCMultistepScheduler",
    "num_train_timesteps": 1000,
    "prediction_type": "flow_prediction",
    "use_flow_sigmas": True,
    "use_karras_sigmas": True,
    "sigma_max": 200.0,
    "sigma_min": 0.01,
}
"""The published noise schedule."""


def predict25_config(shapes: Shapes) -> dict[str, Any]:
    """Return the configuration of a network, by its tensors' shapes under diffusers' names."""
    width, taken = shapes[_PROJECTION]
    return {
        **network_config(shapes),
        "rope_scale": (1.0, 3.0, 3.0),
        "use_crossattn_projection": True,
        "crossattn_proj_in_channels": taken,
        "encoder_hidden_states_channels": width,
    }


PREDICT25_FILE = cosmos_layout(
    "cosmos-predict25-transformer",
    "the transformer of Cosmos Predict2.5",
    PREDICT2_MARKS,
    PREDICT2_LAYERS,
    PREDICT25_SCHEDULER,
    further=PROJECTION,
    config=predict25_config,
)


class CosmosPredict25(Family):
    """A transformer guided by all layers of Qwen2.5-VL, fine-tuned as Cosmos-Reason1.

    The first frames of a world may be known; without any, it comes from the prompt alone. Guidance
    adds the difference of both prompts to the positive one, so that cfg is the pipeline's guidance
    scale + 1.
    """

    clean_time = 0.0001
    """Noise level that the network is asked at for conditioning frames; the pipeline's default."""

    def channels(self, config: Config) -> int:
        return int(config["out_channels"])

    def trained_size(self, config: Config) -> tuple[int, int]:
        return 1280, 704

    def context_width(self, config: Config) -> int | None:
        return int(config["crossattn_proj_in_channels"])

    def position_limits(self, config: Config) -> PositionLimits:
        return table_limits(config)

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.text_encoders import tokenize_padded

        encoder = model.modules["text_encoder"]
        chat = _CHAT.format(text)
        ids = tokenize_padded(model.tokenizers["tokenizer"], chat, _TOKENS, warn)["input_ids"]
        # Without a mask: the pipeline's encoder reads the padding, too, and so does the network.
        output = encoder.base_model(ids.to(encoder.device), output_hidden_states=True)
        layers = [_standardized(states) for states in output.hidden_states[1:]]
        return encoded({"embeddings": torch.cat(layers, -1).to("cpu", torch.float32)})

    def unconditional(self, model: TextModel) -> ConditioningEntry | None:
        """The pipeline's own negative prompt."""
        from diffusers.pipelines.cosmos import pipeline_cosmos2_5_predict as pipeline

        return self.encode(model, pipeline.DEFAULT_NEGATIVE_PROMPT)

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        check_video_size(fitted, request)
        return fitted

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Combine as the pipeline does, which rounds differently from `Family.guided`."""
        return towards + (cfg - 1) * (towards - away)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        """The velocity; in conditioning frames, the one that ends at them.

        Args:
            x: Shape (n, channels, frames, height, width), float32.
        """
        first = batch.get(FIRST_FRAME)
        output: Tensor = model.module(
            with_first_frame(x, first).to(model.dtype),
            **self.network_inputs(model, x, moment, batch),
            block_controlnet_hidden_states=batch.get(CONTROLS, {}).get(BLOCKS),
        )[0]
        # Guidance adds up in float32, as in the pipeline.
        velocity = output.float()
        if first is None:
            return velocity
        ending = (x[:, :, : first.shape[2]] - first.to(x.device, x.dtype)) / noise_level(x, moment)
        return with_first_frame(velocity, ending)

    def network_inputs(
        self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch
    ) -> dict[str, Any]:
        """What the transformer takes beside the latent, and its control networks, too.

        Args:
            x, moment, batch: As in `predict`; the precision of the tensors is that of the network.
        """
        provide_resizing()
        first, states = batch.get(FIRST_FRAME), batch["embeddings"]
        count = 0 if first is None else first.shape[2]
        frames = (len(x), 1, x.shape[2], 1, 1)
        level = self.rounded_level(model, noise_level(x, moment)).expand(frames).clone()
        level[:, :, :count] = self.clean_time
        mask = states.new_zeros(frames)
        mask[:, :, :count] = 1
        return {
            "timestep": level,
            "encoder_hidden_states": states,
            "condition_mask": mask.expand(-1, -1, -1, *x.shape[3:]),
            # No part of a latent is padding.
            "padding_mask": states.new_zeros(1, 1, *x.shape[3:]),
            "return_dict": False,
        }

    def rounded_level(self, model: Denoiser, level: Tensor) -> Tensor:
        """Noise levels as the pipeline passes them to the network, float32."""
        return level


def noise_level(x: Tensor, moment: Moment) -> Tensor:
    """The noise level of each row of a latent, 0 to 1, float32, shape (n, 1, 1, 1, 1)."""
    sigma = (moment.timestep / moment.training_timesteps).to(x.device, torch.float32)
    if moment.sigma:
        # UniPC cuts timesteps to whole ones, and the pipeline asks at the level itself.
        sigma = torch.full_like(sigma, moment.sigma)
    return sigma.expand(len(x)).view(-1, 1, 1, 1, 1)


def _standardized(states: Tensor) -> Tensor:
    """Hidden states whose every token has the mean 0 and the deviation 1; same shape and dtype."""
    mean, deviation = states.mean(-1, keepdim=True), states.std(-1, keepdim=True)
    return (states - mean) / (deviation + _TINY)


PREDICT25_FIELDS: dict[str, Any] = {
    "latent": WAN_LATENTS,
    "encoders": (
        Part(
            "text_encoder",
            ("Qwen2_5_VLForConditionalGeneration",),
            files=(QWEN25_VL, QWEN25, QWEN25_GGUF),
        ),
    ),
    "tokenizers": (Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen2.5-vl"),),
    "noise": "flow",
    "joint": False,
    "wide": True,
    "multiple": 16,
    "first_picture": "frames",
    "video_inputs": lambda config: frozenset({"first image"}),
    "held": TokenMemory(16, _TOKENS),
    "block_stacks": ("transformer_blocks",),
    "block_outputs": {"CosmosTransformerBlock": (0, None)},
    "lora_signs": (PREDICT2_SIGN, CROSS_ATTENTION_SIGN),
}
"""What families of this network have in common."""

COSMOS_PREDICT25 = CosmosPredict25(
    "cosmos-predict25",
    "Cosmos Predict2.5",
    pipelines=("Cosmos2_5_PredictBasePipeline",),
    denoisers=(Part("transformer", ("CosmosTransformer3DModel",), files=(PREDICT25_FILE,)),),
    accepts_prompts_of=("cosmos-transfer25",),
    resolutions={"cosmos-predict25": Resolutions(1280 * 704, 16)},
    **PREDICT25_FIELDS,
)
