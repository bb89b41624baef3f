"""Flux.2: dev and Klein. Imports no torch.

Source: https://github.com/black-forest-labs/flux2

Source of what no tensor shows: https://github.com/black-forest-labs/flux2, ``model.py``
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Config, Family, Part, Warn, encoded
from nodegraph.families.flow_shift import flux2_mu
from nodegraph.families.flux2_latents import FLUX2_LATENTS as FLUX2_LATENTS
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.patches import reference_latents, reference_names
from nodegraph.families.pipeline_classes import PIPELINE_CLASSES
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, count_of
from nodegraph.weights.single_files.denoisers import DYNAMIC_FLOW, denoiser_layout
from nodegraph.weights.single_files.language import MISTRAL3, QWEN3, QWEN3_GGUF

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_GUIDANCE_WEIGHT = "time_guidance_embed.guidance_embedder.linear_1.weight"
"""Of models that are told the guidance: dev, but none of Klein."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["x_embedder.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "patch_size": 1,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_single_layers": count_of(shapes, r"single_transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        "timestep_guidance_channels": shapes[
            "time_guidance_embed.timestep_embedder.linear_1.weight"
        ][1],
        "mlp_ratio": shapes["transformer_blocks.0.ff.linear_out.weight"][1] / width,
        "axes_dims_rope": (head // 4,) * 4,
        "rope_theta": 2000,
        "eps": 1e-6,
        "guidance_embeds": _GUIDANCE_WEIGHT in shapes,
    }


def _layout(name: str, title: str, *, takes_guidance: bool) -> FileLayout:
    return denoiser_layout(
        f"{name}-transformer",
        f"the transformer of {title}",
        "Flux2Transformer2DModel",
        marks=(
            ("double_stream_modulation_img.lin.weight", "img_in.weight"),
            ("double_stream_modulation_img.linear.weight", "x_embedder.weight"),
        ),
        config=_config,
        scheduler=DYNAMIC_FLOW,
        fits=lambda shapes: (_GUIDANCE_WEIGHT in shapes) == takes_guidance,
    )


FLUX2_FILE = _layout("flux2", "Flux.2", takes_guidance=True)
FLUX2_KLEIN_FILE = _layout("flux2-klein", "Flux.2 Klein", takes_guidance=False)


GUIDANCE = 4.0
"""Scale that guidance-distilled models are told where the conditioning says none."""

SYSTEM = (
    "You are an AI that reasons about image descriptions. You give structured responses focusing "
    "on object relationships, object\nattribution and actions without speculation."
)
"""What the language model of dev is told first; the model was trained with it, so each letter
counts, the line break too. Source: ``system_messages.py`` of Black Forest Labs' repository."""

_TOKENS = 512
_MARK = "[IMG]"
"""Stands for a picture in what the language model reads; it is shown none."""
_APART = 10
"""Steps in time between a picture and the next reference."""


@dataclass(frozen=True)
class Flux2(Family):
    """A transformer led by what three layers of a language model say of a prompt.

    Latents are tokens as they are; pictures to look at stand beside them, at later times.

    Attributes:
        layers: Of the language model.
    """

    layers: tuple[int, ...] = (10, 20, 30)

    def context_width(self, config: Config) -> int | None:
        return int(config["joint_attention_dim"])

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-2]) * int(shape[-1])

    def chat(self, tokenizer: Any, text: str) -> str:
        """A prompt as the language model is asked."""
        contents = {"system": SYSTEM, "user": text.replace(_MARK, "")}
        messages = [
            {"role": role, "content": [{"type": "text", "text": content}]}
            for role, content in contents.items()
        ]
        prompt: str = tokenizer.apply_chat_template(
            messages, tokenize=False, add_generation_prompt=False
        )
        return prompt

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from nodegraph.families.encoders import layer_states, tokenize_padded

        tokenizer = model.tokenizers["tokenizer"]
        # The template has written what begins a text already.
        chat = self.chat(tokenizer, text)
        tokens = tokenize_padded(tokenizer, chat, _TOKENS, warn, add_special_tokens=False)
        states = layer_states(model.modules["text_encoder"], tokens, self.layers)
        return encoded({"embeddings": torch.cat(states, -1)})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        if model.config["guidance_embeds"]:
            fitted.setdefault("guidance", torch.tensor([GUIDANCE]))
        else:
            fitted.pop("guidance", None)
        channels = self.channels(model.config)
        for reference in entry.references:
            if reference.ndim != 4 or reference.shape[1] != channels:
                raise InvalidValue(
                    "a picture to look at is of another latent format",
                    port=request.side,
                    given=f"a latent of shape {tuple(reference.shape)}",
                    expected=f"(1, {channels}, height / 16, width / 16)",
                    hint="Encode it with the VAE of the same LoadModel.",
                )
        return fitted | dict(zip(reference_names(), entry.references, strict=False))

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        references = reference_latents(batch)
        places = torch.cat(
            [_token_positions(item, _APART * at) for at, item in enumerate([x, *references])]
        )
        own = x.shape[-2] * x.shape[-1]
        length = batch["embeddings"].shape[1]
        output: Tensor = model.module(
            hidden_states=torch.cat([_tokens(item) for item in [x, *references]], 1),
            timestep=moment.timestep.expand(len(x)).to(x.dtype) / 1000,
            guidance=batch.get("guidance"),
            encoder_hidden_states=batch["embeddings"],
            txt_ids=_grid(0, 1, 1, length, x.device),
            img_ids=places,
            return_dict=False,
        )[0][:, :own]
        return output.transpose(1, 2).reshape(x.shape)


@dataclass(frozen=True)
class Flux2Klein(Flux2):
    """Led by Qwen 3, and away from an empty prompt unless it was distilled."""

    layers: tuple[int, ...] = (9, 18, 27)

    def chat(self, tokenizer: Any, text: str) -> str:
        prompt: str = tokenizer.apply_chat_template(
            [{"role": "user", "content": text}],
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        return prompt

    def guides_itself(self, config: Config, settings: Config) -> bool:
        return bool(settings.get("is_distilled"))


def _tokens(latents: Tensor) -> Tensor:
    return latents.flatten(2).transpose(1, 2)


def _token_positions(latents: Tensor, time: int) -> Tensor:
    return _grid(time, latents.shape[-2], latents.shape[-1], 1, latents.device)


def _grid(time: int, height: int, width: int, length: int, device: torch.device) -> Tensor:
    """Where tokens lie: (time, row, column, place in a text); int64, (tokens, 4)."""
    sides = [torch.arange(side, device=device) for side in (height, width, length)]
    return torch.cartesian_prod(torch.arange(time, time + 1, device=device), *sides)


def _denoisers(file: FileLayout) -> tuple[Part, ...]:
    return (Part("transformer", ("Flux2Transformer2DModel",), files=(file,)),)


_COMMON: dict[str, Any] = {
    "latent": FLUX2_LATENTS,
    "noise": "flow",
    "spread": "ramp",
    "mu": flux2_mu,
    "multiple": 16,
    # a token is a cell, as patches are
    "held": TokenMemory(22, 512, patch=1),
    "joint": False,
}

FLUX2 = Flux2(
    "flux2",
    "Flux.2",
    pipelines=PIPELINE_CLASSES["flux2"],
    denoisers=_denoisers(FLUX2_FILE),
    encoders=(Part("text_encoder", ("Mistral3ForConditionalGeneration",), files=(MISTRAL3,)),),
    tokenizers=(Part("tokenizer", ("PreTrainedTokenizerFast",), vocabulary="mistral3"),),
    needs_negative=False,
    **_COMMON,
)
FLUX2_KLEIN = Flux2Klein(
    "flux2-klein",
    "Flux.2 Klein",
    pipelines=PIPELINE_CLASSES["flux2-klein"],
    denoisers=_denoisers(FLUX2_KLEIN_FILE),
    encoders=(Part("text_encoder", ("Qwen3ForCausalLM",), files=(QWEN3, QWEN3_GGUF)),),
    tokenizers=(Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen3"),),
    settings={"is_distilled": False},
    **_COMMON,
)
