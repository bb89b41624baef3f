"""Qwen-Image 2.1. Imports no torch.

Source: diffusers' pipeline ``QwenImage21Pipeline`` and its transformer, by the Qwen-Image team.

Source of what no tensor shows: the defaults of diffusers' classes, and of its pipeline for a
scheduler.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import (
    ATTENTION_CACHES,
    Config,
    Family,
    Part,
    Resolutions,
    Warn,
    encoded,
)
from nodegraph.families.flow_shift import line_mu
from nodegraph.families.key_values import KEY_VALUES, HostLayer, KeyValueStore, store_in
from nodegraph.families.layer_names import JOINT_ATTENTION_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.patches import reference_latents, reference_tensors
from nodegraph.families.qwen_image_edit import image_features, seen_size, spread
from nodegraph.families.wan_vae import QWEN_IMAGE_21 as QWEN_IMAGE_21_LATENTS
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.language import QWEN3_VL
from nodegraph.weights.single_files.renamed_layouts import DYNAMIC_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_SLOT = 2
"""Cells along the side of a slot: for each slot of an image, the encoder has one token."""
_SLOT_PIXELS = 32
_AREA = 1024 * 1024
"""Pixels of an image that the encoder looks at."""
_PICTURE = "<|image_pad|>"
"""Stands in a prompt for a slot."""
_LOOK = f"<image{{}}><|vision_start|>{_PICTURE}<|vision_end|>"
"""Stands before a prompt for the image of a number."""
_SYSTEM = "<|im_start|>system\nComprehend and analyze the provided prompt.<|im_end|>\n"
_TEMPLATE = f"{_SYSTEM}<|im_start|>user\n{{}}<|im_end|>\n<|im_start|>assistant\n"
"""Text around a prompt. The model was trained with it, so each letter counts.

Source: diffusers' pipeline.
"""
_POSITIONS = 8192
"""Rows of positive positions in the transformer's table. Source: its class in diffusers."""
_SLOTS = "slots"
"""Tensor of a prompt: True where a token stands for a slot of an image; shape (1, tokens)."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["img_in.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "patch_size": 1,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0],
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "context_in_dim": shapes["txt_in.in_layer.weight"][1],
        "mlp_ratio": shapes["transformer_blocks.0.img_mlp.proj.weight"][0] // width,
        # 16, 56 and 56 of 128
        "axes_dims_rope": (head // 8, 7 * head // 16, 7 * head // 16),
        "causal_condition": True,
    }


_LAYERS: Table = (
    (
        "transformer_blocks.*.img_mlp.{gate_layer,proj}",
        "transformer_blocks.*.img_mlp.gate_up",
    ),
)
"""ComfyUI's file joins two layers. Source: diffusers' converter of single files."""
_FILE = denoiser_layout(
    "qwen-image-21-transformer",
    "the transformer of Qwen-Image 2.1",
    "QwenImage21Transformer2DModel",
    marks=(
        (
            "txt_in.text_norm.weight",
            "img_in.weight",
            "modulation.1.weight",
            "transformer_blocks.0.img_mlp.out.weight",
        ),
    ),
    names=OriginalNames(_LAYERS),
    config=_config,
    scheduler={**DYNAMIC_FLOW, "shift": 1.0},
)


class QwenImage21(Family):
    """A transformer that reads text and images as one sequence, guided by Qwen3-VL.

    The encoder sees the reference images beside the prompt. The transformer finds their latents in
    the places that the encoder's tokens of images have.

    Each step computes the prompt anew, as the pipeline does with ``use_kv_cache=False``, unless the
    recipe keeps its keys and values.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["context_in_dim"])

    def tokens(self, shape: Sequence[int]) -> int:
        return int(shape[-2]) * int(shape[-1])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_edit(model, text, (), warn)

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        if _PICTURE in text:
            raise InvalidValue(
                "the prompt contains a special token that stands for images",
                port="text",
                given=_PICTURE,
                hint="Remove it: images are inserted before the prompt automatically.",
            )
        # Qwen has no token for the beginning, so an empty prompt has nothing to read.
        looks = " ".join(_LOOK.format(number) for number in range(1, len(images) + 1))
        prompt = _TEMPLATE.format(looks + (text or " "))
        pixels: dict[str, Tensor] = {}
        if images:
            processor = image_processor(model.modules["text_encoder"])
            pixels, counts = image_features(processor, [*map(_shown, images)])
            prompt = spread(prompt, counts)
        tokenizer = model.tokenizers["processor"]
        tokens = dict(tokenizer(prompt, return_tensors="pt"))
        slots = tokens["input_ids"] == tokenizer.convert_tokens_to_ids(_PICTURE)
        if images:
            tokens |= {**pixels, "mm_token_type_ids": slots.long()}
        begin = len(tokenizer(_SYSTEM)["input_ids"])
        _check_length(int((~slots[:, begin:]).sum()), "text")
        states = states_before_norm(model, tokens)
        return encoded({"embeddings": states[:, begin:], _SLOTS: slots[:, begin:]})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        slots = int(entry.tensors[_SLOTS].sum())
        references = reference_tensors(entry.references, request.side)
        needed = sum(self.tokens(item.shape) for item in references.values()) // _SLOT**2
        if slots != needed:
            raise InvalidValue(
                "the images of the prompt and its reference latents do not match",
                port=request.side,
                given=f"a prompt with {slots} tokens of images, and reference latents for {needed}",
                expected="the same images in the same order and size for both",
                hint="Scale each image to a megapixel (sides are multiples of 32). Encode it with "
                "VAEEncode for ReferenceLatents, and link it to EncodeEditPrompt.",
            )
        words = int((~entry.tensors[_SLOTS]).sum())
        _check_length(
            words + sum(max(item.shape[-2:]) for item in references.values()), request.side
        )
        return fitted | references

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        height, width = x.shape[-2:]
        pictures = [*reference_latents(batch), x]
        slots = batch[_SLOTS]
        own = slots.new_ones(len(slots), height * width // _SLOT**2)
        store = store_in(batch)
        cache, mode = _cache(model, store)
        output: Tensor = model.module(
            hidden_states=torch.cat([_pack(item) for item in pictures], 1),
            timestep=moment.timestep.expand(len(x)).to(x.dtype) / 1000,
            encoder_hidden_states=batch["embeddings"],
            encoder_hidden_states_mask=None,
            img_shapes=[[(1, *item.shape[-2:]) for item in pictures]] * len(x),
            img_mask=torch.cat([slots, own], 1),
            kv_cache=cache,
            kv_cache_mode=mode,
            return_dict=False,
        )[0]
        if store is not None:
            store.cache = cache
        own_tokens = output[:, -height * width :].transpose(1, 2)
        return own_tokens.view(len(x), -1, height, width)


def _cache(model: Denoiser, store: KeyValueStore | None) -> tuple[Any, str | None]:
    """Return the network's cache and how a call uses it.

    Source: diffusers' pipeline, whose first step fills the cache.

    Raises:
        InvalidValue: What the prompt gives changes with the timestep.
    """
    if store is None:
        return None, None
    if store.cache is not None:
        return store.cache, "cached"
    if not model.config["causal_condition"]:
        raise InvalidValue(
            "the prompt of this Qwen-Image 2.1 attends to the timestep, so nothing of it can be "
            "kept between steps",
            port="model",
            given="a transformer with causal_condition false",
            hint="Remove KeyValueCache.",
        )
    from diffusers.models.transformers.transformer_qwenimage21 import QwenImage21KVCache

    cache = QwenImage21KVCache(int(model.config["num_layers"]))
    if store.on_host:
        cache.layer_caches = [HostLayer() for _ in cache.layer_caches]
    return cache, "extract"


def _check_length(count: int, port: str) -> None:
    """Refuse prompts that are longer than the transformer's table of positions.

    Behind its end, the table holds the negative positions of images, and the transformer would
    read those.

    Args:
        count: Positions of the prompt. A reference image takes as many as its longer side has
            latent cells.
    Raises:
        InvalidValue: On the port.
    """
    # The latent that is sampled takes the next one.
    if count >= _POSITIONS:
        raise InvalidValue(
            "the prompt is longer than Qwen-Image 2.1 has positions for",
            port=port,
            given=f"{count} tokens",
            expected=f"at most {_POSITIONS - 1} tokens, with those of the template and the images",
            hint="Shorten the prompt.",
        )


def _pack(latents: Tensor) -> Tensor:
    """Return latents (n, channels, height, width) as tokens (n, height · width, channels)."""
    return latents.flatten(2).transpose(1, 2)


def states_before_norm(model: TextModel, tokens: dict[str, Tensor]) -> Tensor:
    """Return the last layer's output before the final norm, which the transformer was trained on.

    Returns:
        Float32 on the CPU, shape (1, tokens, width).
    """
    from nodegraph.families.text_encoders import hidden_states

    encoder = model.modules["text_encoder"]
    return hidden_states(encoder, tokens, encoder.config.text_config.num_hidden_layers)


def _shown(image: Tensor) -> Any:
    """Return an image as the encoder sees it: in RGB, with sides that are whole slots.

    Images of other sizes are scaled to about a megapixel. Transparent pixels become white.

    Args:
        image: float32 in 0..1, shape (height, width, channels).
    """
    from PIL import Image

    from nodegraph.media.images.images import to_pil

    drawn = to_pil(image).convert("RGBA")
    if drawn.width % _SLOT_PIXELS or drawn.height % _SLOT_PIXELS:
        size = seen_size(*drawn.size, _AREA)
        drawn = drawn.resize(size, resample=Image.Resampling.LANCZOS)
    white = Image.new("RGB", drawn.size, (255, 255, 255))
    white.paste(drawn, mask=drawn.getchannel("A"))
    return white


def image_processor(encoder: Any) -> Any:
    """Return the image processor for a Qwen3-VL, by the model's configuration.

    It takes images whose sides are multiples of 32 pixels. The image mean and standard deviation
    are those of Qwen3-VL, 0.5 for each color.

    Args:
        encoder: Qwen3VLModel, or Qwen3VLForConditionalGeneration.
    """
    from nodegraph.weights.lazy import transformers

    sight = encoder.config.vision_config
    half = [0.5, 0.5, 0.5]
    return transformers.Qwen2VLImageProcessorPil(
        patch_size=sight.patch_size,
        temporal_patch_size=sight.temporal_patch_size,
        merge_size=sight.spatial_merge_size,
        image_mean=half,
        image_std=half,
        do_resize=False,
    )


SEEING_ENCODER = Part(
    "text_encoder", ("Qwen3VLForConditionalGeneration", "Qwen3VLModel"), files=(QWEN3_VL,)
)
"""Qwen3-VL, which sees images beside a prompt."""
SEEING_PROCESSOR = Part(
    "processor", ("Qwen2Tokenizer",), vocabulary="qwen3", processor="Qwen3VLProcessor"
)

QWEN_IMAGE_21 = QwenImage21(
    "qwen-image-21",
    "Qwen-Image 2.1",
    latent=QWEN_IMAGE_21_LATENTS,
    pipelines=("QwenImage21Pipeline",),
    denoisers=(Part("transformer", ("QwenImage21Transformer2DModel",), files=(_FILE,)),),
    encoders=(SEEING_ENCODER,),
    tokenizers=(SEEING_PROCESSOR,),
    noise="flow",
    settings={"sample_sigmas": None},
    spread="ramp",
    mu=line_mu,
    multiple=_SLOT_PIXELS,
    # The prompt, and an image of a megapixel to look at.
    held=TokenMemory(16, 4096 + 512, 1),
    needs_negative=False,
    joint=False,
    speedups=ATTENTION_CACHES | {KEY_VALUES},
    # Attention runs apart for each part of the sequence, which guiders cannot replace.
    perturbs_attention=False,
    block_stacks=("transformer_blocks",),
    block_outputs={"QwenImage21TransformerBlock": (0, None)},
    resolutions={"qwen-image-21": Resolutions(_AREA, _SLOT_PIXELS)},
    image_inputs=frozenset({"references"}),
    lora_signs=(
        LoraSign(
            r"^transformer_blocks_\d+_img_mlp_(proj|gate_layer|gate_up|out)", "Qwen-Image 2.1"
        ),
        JOINT_ATTENTION_SIGN,
    ),
    comfyui_type="qwen_image",
)
