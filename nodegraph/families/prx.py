"""PRX, with the autoencoder of Flux.1 or a DC-AE. Imports no torch.

Source: diffusers' pipeline ``PRXPipeline`` and its transformer, by Photoroom.

Source of what no tensor shows: diffusers' ``scripts/convert_prx_to_diffusers.py``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from nodegraph.families.base import Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.dc_vae import SANA as DC_LATENTS
from nodegraph.families.latent_formats import FLUX as FLUX_LATENTS
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.layer_names import LoraSign
from nodegraph.families.model_step import Batch, Moment
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, OriginalNames, Table, count_of
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_MOST_TOKENS = 256
"""Tokens of a prompt, if the tokenizer's files do not say."""

_LAYERS: Table = (
    ("blocks.*.attention.img_qkv_proj", "blocks.*.img_qkv_proj"),
    ("blocks.*.attention.txt_kv_proj", "blocks.*.txt_kv_proj"),
    ("blocks.*.attention.norm_q", "blocks.*.qk_norm.query_norm"),
    ("blocks.*.attention.norm_k", "blocks.*.qk_norm.key_norm"),
    ("blocks.*.attention.norm_added_k", "blocks.*.k_norm"),
    ("blocks.*.attention.to_out.0", "blocks.*.attn_out"),
)


def _config(shapes: Shapes, patch: int) -> dict[str, Any]:
    width, numbers = shapes["img_in.weight"]
    (head,) = shapes["blocks.0.attention.norm_q.weight"]
    return {
        "in_channels": numbers // patch**2,
        "patch_size": patch,
        "context_in_dim": shapes["txt_in.weight"][1],
        "hidden_size": width,
        "mlp_ratio": shapes["blocks.0.gate_proj.weight"][0] / width,
        "num_heads": width // head,
        "depth": count_of(shapes, r"blocks\.(\d+)\."),
        "axes_dim": [head // 2, head // 2],
        "theta": 10000,
        "time_factor": 1000.0,
        "time_max_period": 10000,
    }


def _file(name: str, title: str, channels: int, patch: int) -> FileLayout:
    return denoiser_layout(
        f"{name}-transformer",
        f"the transformer of {title}",
        "PRXTransformer2DModel",
        marks=(
            ("blocks.0.img_qkv_proj.weight", "blocks.0.txt_kv_proj.weight"),
            ("blocks.0.attention.img_qkv_proj.weight", "blocks.0.attention.txt_kv_proj.weight"),
        ),
        names=OriginalNames(_LAYERS),
        config=partial(_config, patch=patch),
        scheduler={**EULER_FLOW, "shift": 3.0},
        fits=lambda shapes: shapes["img_in.weight"][1] == channels * patch**2,
        # PRX Pixel, which generates pixels
        without=("resolution_embedder.",),
    )


@dataclass(frozen=True)
class Prx(Family):
    """A transformer whose image tokens attend to the prompt's, guided by T5Gemma.

    Attributes:
        patch: Cells along a token's side.
    """

    patch: int = 1

    def mismatch(self, configs: Mapping[str, Config]) -> str | None:
        channels = configs.get("transformer", {}).get("in_channels", FLUX_LATENTS.channels)
        if channels == self.latent.channels:
            return None
        return _TITLES.get(channels, f"PRX with latents of {channels} channels")

    def context_width(self, config: Config) -> int | None:
        return int(config["context_in_dim"])

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-2] // self.patch) * int(shape[-1] // self.patch)

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        from diffusers.pipelines.prx.pipeline_prx import TextPreprocessor

        from nodegraph.families.text_encoders import t5_states, tokenize_padded

        tokenizer = model.tokenizers["tokenizer"]
        # Files without a length have one that stands for none.
        length = min(int(tokenizer.model_max_length), _LONGEST)
        length = length if length < _LONGEST else _MOST_TOKENS
        tokens = tokenize_padded(tokenizer, TextPreprocessor().clean_text(text), length, warn)
        states = t5_states(model.modules["text_encoder"], tokens, masked=True)
        return encoded({"embeddings": states, "mask": tokens["attention_mask"]})

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        # The time stays in float32 for models of every precision.
        time = moment.timestep.to(torch.float32) / moment.training_timesteps
        output: Tensor = model.module(
            hidden_states=x,
            timestep=time.expand(len(x)),
            encoder_hidden_states=batch["embeddings"],
            attention_mask=batch["mask"].bool(),
            return_dict=False,
        )[0]
        return output


_LONGEST = 1_000_000
"""Tokens from which a tokenizer's length stands for none."""
_TITLES = {16: "PRX", 32: "PRX with DC-AE", 3: "PRX Pixel"}
"""By the channels that the transformer takes."""


@cache
def _encoder_class() -> Any:
    """Return the encoder of T5Gemma without its decoder, whose configuration is that of a file of
    the encoder alone or of the whole model.

    Source: diffusers, ``pipelines/prx/__init__.py``.
    """
    from transformers.models.t5gemma import configuration_t5gemma, modeling_t5gemma

    class EncoderConfig(configuration_t5gemma.T5GemmaModuleConfig):  # type: ignore[misc]
        @classmethod
        def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
            encoder = config_dict.get("encoder", config_dict)
            # Entries that T5Gemma sets for its halves, which files of one half need not have.
            usual = {
                "dropout_rate": config_dict.get("dropout_rate", 0.0),
                "cross_attention_hidden_size": None,
            }
            return super().from_dict({**usual, **encoder}, **kwargs)

        def to_dict(self) -> dict[str, Any]:
            # Of the files with other sizes than the usual, diffusers reads only these.
            half = super().to_dict()
            kind = configuration_t5gemma.T5GemmaConfig.model_type
            return {"model_type": kind, "encoder": half, "decoder": half, "dropout_rate": 0.0}

    class T5GemmaEncoder(modeling_t5gemma.T5GemmaEncoder):  # type: ignore[misc]
        config_class = EncoderConfig

    # Saved folders name the module of a class, and diffusers finds the original there.
    T5GemmaEncoder.__module__ = modeling_t5gemma.__name__
    return T5GemmaEncoder


def __getattr__(name: str) -> Any:
    """The encoder's class, which is made on first use: transformers takes long to import."""
    if name == "T5GemmaEncoder":
        return _encoder_class()
    raise AttributeError(f"module {__name__} has no attribute {name}")


def _prx(name: str, title: str, latent: LatentFormat, patch: int) -> Prx:
    cell = latent.spatial * patch
    return Prx(
        name,
        title,
        latent=latent,
        pipelines=("PRXPipeline",),
        denoisers=(
            Part(
                "transformer",
                ("PRXTransformer2DModel",),
                files=(_file(name, title, latent.channels, patch),),
            ),
        ),
        encoders=(Part("text_encoder", ("T5GemmaEncoder",)),),
        tokenizers=(Part("tokenizer", ("GemmaTokenizer",)),),
        noise="flow",
        settings={"default_sample_size": 512},
        multiple=cell,
        size=512,
        held=TokenMemory(16, _MOST_TOKENS, patch=patch),
        # The network has no hooks of diffusers for caches, and its attention is another class.
        speedups=frozenset(),
        perturbs_attention=False,
        block_stacks=("blocks",),
        block_outputs={"PRXBlock": (0, None)},
        resolutions={name: Resolutions(512 * 512, 32)},
        lora_signs=(LoraSign(r"^blocks_\d+_(attention_)?(img_qkv|txt_kv)_proj", "PRX"),),
        patch=patch,
    )


PRX = _prx("prx", "PRX", FLUX_LATENTS, 2)
PRX_DC = _prx("prx-dc", "PRX with DC-AE", DC_LATENTS, 1)
