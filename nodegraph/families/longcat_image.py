"""LongCat-Image, and LongCat-Image-Edit, which looks at an image. Imports no torch.

Source: diffusers' pipelines ``LongCatImagePipeline`` and ``LongCatImageEditPipeline`` and their
transformer, by Meituan's LongCat team; https://github.com/meituan-longcat/LongCat-Image

Source of what no tensor shows: the defaults of diffusers' classes. Of the names in ComfyUI's file:
https://github.com/Comfy-Org/ComfyUI/pull/12597
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

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
from nodegraph.families.flux import LAYERS
from nodegraph.families.latent_formats import FLUX as FLUX_LATENTS
from nodegraph.families.layer_names import DOUBLE_STREAM_SIGN, JOINT_ATTENTION_SIGN
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.patches import (
    pack_latents,
    reference_latents,
    reference_tensors,
    token_positions,
    unpack_latents,
)
from nodegraph.families.qwen_image import last_states
from nodegraph.families.qwen_image_edit import (
    PICTURE,
    check_no_picture,
    check_one_image,
    image_features,
    spread,
)
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.language import QWEN25, QWEN25_GGUF, QWEN25_VL
from nodegraph.weights.single_files.renamed_layouts import DYNAMIC_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_PATCH = 2
_TOKENS = 512
"""Length that prompts are padded to, without their template."""
_AREA, _STEP = 1024 * 1024, 16
"""Pixels of an image that is edited, and what its sides are multiples of."""
_TINY = 1e-8
"""Keeps the length of an output that is zero from dividing by zero."""

_LOOK = f"<|vision_start|>{PICTURE}<|vision_end|>"
_BEGIN = (
    "<|im_start|>system\n"
    "As an image captioning expert, generate a descriptive text prompt based on an image content, "
    "suitable for input to a text-to-image model.<|im_end|>\n"
    "<|im_start|>user\n"
)
"""Text before a prompt. The model was trained with it, so each letter counts.

Source: diffusers' pipeline.
"""
_EDIT_BEGIN = (
    "<|im_start|>system\n"
    "As an image editing expert, first analyze the content and attributes of the input image(s). "
    "Then, based on the user's editing instructions, clearly and precisely determine how to modify "
    "the given image(s), ensuring that only the specified parts are altered and all other aspects "
    "remain consistent with the original(s).<|im_end|>\n"
    "<|im_start|>user\n"
)
"""Likewise before an image and how to edit it."""
_END = "<|im_end|>\n<|im_start|>assistant\n"
"""Text after a prompt and its padding."""

_CONTRACTION = re.compile(r"[a-zA-Z]+'[a-zA-Z]+")
"""A word with an apostrophe, which is no quotation mark."""
_QUOTED = re.compile(r"""'[^']*?'|"[^"]*?"|‘[^‘’]*?’|“[^“”]*?”""")
"""Text to be written in the image, with its quotation marks."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels = shapes["x_embedder.weight"]
    (head,) = shapes["transformer_blocks.0.attn.norm_q.weight"]
    return {
        "patch_size": 1,
        "in_channels": channels,
        "num_layers": count_of(shapes, r"transformer_blocks\.(\d+)\."),
        "num_single_layers": count_of(shapes, r"single_transformer_blocks\.(\d+)\."),
        "attention_head_dim": head,
        "num_attention_heads": width // head,
        "joint_attention_dim": shapes["context_embedder.weight"][1],
        # 16, 56 and 56 of 128
        "axes_dims_rope": (head // 8, 7 * head // 16, 7 * head // 16),
    }


def _fits(shapes: Shapes) -> bool:
    """Return whether feed-forward layers have no gate, which those of Ovis-Image have."""
    feed_forward = "transformer_blocks.0.ff.net.{}.weight"
    return shapes[feed_forward.format("0.proj")][0] == shapes[feed_forward.format("2")][1]


_LAYERS: Table = (
    *(
        (here, theirs)
        for here, theirs in LAYERS
        if not here.startswith(("time_text_embed.", "distilled_guidance_layer."))
    ),
    ("time_embed.timestep_embedder.linear_1", "time_in.in_layer"),
    ("time_embed.timestep_embedder.linear_2", "time_in.out_layer"),
)
_FILE = denoiser_layout(
    "longcat-image-transformer",
    "the transformer of LongCat-Image",
    "LongCatImageTransformer2DModel",
    marks=(
        ("img_in.weight", "double_blocks.0.img_mod.lin.weight", "time_in.in_layer.weight"),
        (
            "x_embedder.weight",
            "time_embed.timestep_embedder.linear_1.weight",
            "single_transformer_blocks.0.proj_mlp.weight",
        ),
    ),
    names=OriginalNames(_LAYERS, swaps_output=True),
    config=_config,
    scheduler=DYNAMIC_FLOW,
    fits=_fits,
    # Flux.1 also has a pooled prompt.
    without=("vector_in.", "time_text_embed."),
)


class LongCatImage(Family):
    """A transformer like Flux.1's, guided by Qwen2.5-VL.

    The encoder reads text in quotation marks letter by letter. Its prompts are not rewritten
    before: EnhancePrompt does what the pipeline's ``enable_prompt_rewrite`` does.
    """

    def channels(self, config: Config) -> int:
        return int(config["in_channels"]) // _PATCH**2

    def context_width(self, config: Config) -> int | None:
        return int(config["joint_attention_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        begin = model.tokenizers["tokenizer"](_BEGIN, add_special_tokens=False)["input_ids"]
        states = _states(model, begin, text, {}, warn)
        return encoded({"embeddings": states[:, len(begin) :]})

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        height, width = x.shape[-2:]
        states = batch["embeddings"]
        length = states.shape[1]
        words = torch.zeros(length, 3, device=x.device)
        words[:, 1:] = torch.arange(length, device=x.device)[:, None]
        pictures = [x, *reference_latents(batch)]
        positions = [
            token_positions(
                item.shape[-2] // _PATCH,
                item.shape[-1] // _PATCH,
                x.device,
                (number, length, length),
            )
            for number, item in enumerate(pictures, 1)
        ]
        output: Tensor = model.module(
            hidden_states=torch.cat([pack_latents(item) for item in pictures], 1),
            timestep=moment.timestep.expand(len(x)).to(x.dtype) / 1000,
            encoder_hidden_states=states,
            txt_ids=words,
            img_ids=torch.cat(positions),
            return_dict=False,
        )[0]
        own_tokens = height // _PATCH * (width // _PATCH)
        return unpack_latents(output[:, :own_tokens], height, width)

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Combine so that no patch gets longer than the positive prompt alone has it."""
        height, width = towards.shape[-2:]
        positive, negative = pack_latents(towards), pack_latents(away)
        both = negative + cfg * (positive - negative)
        wanted, actual = (torch.norm(item, dim=-1, keepdim=True) for item in (positive, both))
        return unpack_latents(both * (wanted / (actual + _TINY)).clamp(max=1.0), height, width)


class LongCatImageEdit(LongCatImage):
    """LongCat-Image for edits: the encoder and the transformer look at one image.

    Prompts without an image are read as LongCat-Image's.
    """

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        if not images:
            return self.encode(model, text, warn)
        check_one_image(self.title, images)
        check_no_picture(text)
        features, counts = image_features(model.tokenizers["text_processor"], [_shown(images[0])])
        tokenizer = model.tokenizers["tokenizer"]
        beginning = spread(_EDIT_BEGIN + _LOOK, counts)
        begin = tokenizer(beginning, add_special_tokens=False)["input_ids"]
        states = _states(model, begin, text, features, warn)
        # The model also gets what the encoder makes of the image.
        first = begin.index(tokenizer.convert_tokens_to_ids("<|vision_start|>"))
        return encoded({"embeddings": states[:, first:]})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        return fitted | reference_tensors(entry.references, request.side)

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Combine as `Family.guided` does, as this pipeline keeps no lengths."""
        return Family.guided(self, towards, away, cfg)


def _states(
    model: TextModel,
    begin: Sequence[int],
    text: str,
    features: dict[str, Tensor],
    warn: Warn | None,
) -> Tensor:
    """Return the last hidden states of a prompt, without those of the template's end.

    Args:
        begin: Tokens before the prompt.
        features: Of an image, as the encoder takes them.
    Returns:
        Float32 on the CPU, shape (1, tokens, width).
    """
    tokenizer = model.tokenizers["tokenizer"]
    own_tokens = [
        token
        for piece in split_quotations(text)
        for token in tokenizer(piece, add_special_tokens=False)["input_ids"]
    ]
    if warn is not None and len(own_tokens) > _TOKENS:
        warn(
            f"The prompt has {len(own_tokens)} tokens. A text encoder takes {_TOKENS} and ignores "
            "the rest."
        )
    padded = tokenizer.pad(
        {"input_ids": [own_tokens[:_TOKENS]]},
        max_length=_TOKENS,
        padding="max_length",
        return_attention_mask=True,
        return_tensors="pt",
    )
    end = tokenizer(_END, add_special_tokens=False)["input_ids"]
    ids = [torch.tensor([begin]), padded["input_ids"], torch.tensor([end])]
    mask = [torch.ones_like(ids[0]), padded["attention_mask"], torch.ones_like(ids[2])]
    tokens = {"input_ids": torch.cat(ids, 1), "attention_mask": torch.cat(mask, 1)}
    return last_states(model, tokens | features)[:, : -len(end)]


def split_quotations(text: str) -> Iterator[str]:
    """Split a prompt into texts that are tokenized one by one: each letter in quotation marks.

    The pipeline has the apostrophes of different words in an order that changes from run to run;
    here they are where they were.
    """
    # An x is no quotation mark, and keeps the text as long.
    marked = _CONTRACTION.sub(lambda word: word[0].replace("'", "x"), text)
    bounds = [bound for match in _QUOTED.finditer(marked) for bound in match.span()]
    for start, stop in zip([0, *bounds], [*bounds, len(text)], strict=True):
        piece = text[start:stop]
        if _QUOTED.match(piece):
            yield from piece
        elif piece:
            yield piece


def edited_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height in pixels that the pipeline scales an image to: a megapixel."""
    ratio = width / height
    wide = math.sqrt(_AREA * ratio)
    return _upward(wide), _upward(wide / ratio)


def _upward(side: float) -> int:
    return int(-(-side // _STEP) * _STEP)


def _shown(image: Tensor) -> Any:
    """Return an image as the encoder sees it: in RGB, a quarter of its pixels.

    Args:
        image: Float32 in 0..1, shape (height, width, channels).
    """
    from PIL import Image

    from nodegraph.media.images.images import to_pil

    drawn = to_pil(image).convert("RGB")
    width, height = edited_size(*drawn.size)
    scaled = drawn.resize((width, height), resample=Image.Resampling.LANCZOS)
    return scaled.resize((width // 2, height // 2), resample=Image.Resampling.LANCZOS)


_COMMON: dict[str, Any] = {
    "latent": FLUX_LATENTS,
    "denoisers": (Part("transformer", ("LongCatImageTransformer2DModel",), files=(_FILE,)),),
    "noise": "flow",
    "spread": "ramp",
    "mu": line_mu,
    "multiple": 16,
    "held": TokenMemory(16, _TOKENS),
    "joint": False,
    "block_stacks": ("transformer_blocks", "single_transformer_blocks"),
    "block_outputs": {
        "LongCatImageTransformerBlock": (1, 0),
        "LongCatImageSingleTransformerBlock": (1, 0),
    },
    "speedups": ATTENTION_CACHES,
    "lora_signs": (DOUBLE_STREAM_SIGN, JOINT_ATTENTION_SIGN),
    "comfyui_type": "longcat_image",
}
_TOKENIZERS = (
    Part("tokenizer", ("Qwen2Tokenizer",), vocabulary="qwen2.5-vl"),
    Part(
        "text_processor",
        # By Pillow, as the other of the two needs torchvision.
        ("Qwen2VLImageProcessorPil",),
        vocabulary="qwen2.5-vl-pictures",
        processor="Qwen2VLProcessor",
    ),
)
_CLASSES = ("Qwen2_5_VLForConditionalGeneration",)

LONGCAT_IMAGE = LongCatImage(
    "longcat-image",
    "LongCat-Image",
    pipelines=("LongCatImagePipeline",),
    encoders=(Part("text_encoder", _CLASSES, files=(QWEN25_VL, QWEN25, QWEN25_GGUF)),),
    tokenizers=_TOKENIZERS,
    accepts_prompts_of=("longcat-image-edit",),
    resolutions={"longcat-image": Resolutions(_AREA, _STEP)},
    **_COMMON,
)
LONGCAT_IMAGE_EDIT = LongCatImageEdit(
    "longcat-image-edit",
    "LongCat-Image-Edit",
    pipelines=("LongCatImageEditPipeline",),
    encoders=(Part("text_encoder", _CLASSES, files=(QWEN25_VL,)),),
    tokenizers=_TOKENIZERS,
    image_inputs=frozenset({"references"}),
    # The pipeline's empty prompt is read beside the image, too.
    needs_negative=False,
    accepts_prompts_of=("longcat-image",),
    **_COMMON,
)
