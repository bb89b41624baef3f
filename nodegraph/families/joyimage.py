"""JoyImage Edit and Edit Plus, which edit images. Imports no torch.

Source: diffusers' pipelines ``JoyImageEditPipeline`` and ``JoyImageEditPlusPipeline`` and their
transformers, by JD; https://github.com/jdopensource/JoyAI-Image-Edit

Source of what no tensor shows, and of the original names: diffusers' script
``convert_joyimage_edit_plus_to_diffusers.py``
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Config, Family, Part, Resolutions, Warn, encoded
from nodegraph.families.layer_names import DOUBLE_STREAM_SIGN, LoraSign
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.patches import reference_latents, reference_names
from nodegraph.families.qwen_image_21 import (
    SEEING_ENCODER,
    SEEING_PROCESSOR,
    image_processor,
    states_before_norm,
)
from nodegraph.families.qwen_image_edit import PICTURE, check_no_picture, image_features, spread
from nodegraph.families.wan_vae import BY_DEVIATION
from nodegraph.families.wan_vae import WAN as WAN_LATENTS
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import OriginalNames, Table, count_of
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW, denoiser_layout

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_PATCH = 2
_TOKENS = 2048
"""Most tokens of a prompt without images."""
_TOKENS_WITH_IMAGES = 4096
"""Most tokens of a prompt with its images, of which the last ones are kept."""
_TINY = 1e-6
"""Keeps the norm of an output that is zero from dividing by zero."""

_LOOK = f"<|vision_start|>{PICTURE}<|vision_end|>"
_TEMPLATE = (
    "<|im_start|>system\n \\nDescribe the image by detailing the color, shape, size, texture, "
    "quantity, text, spatial relationships of the objects and background:<|im_end|>\n"
    "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
)
"""Text around a prompt. The model was trained with it, so each letter counts.

Source: diffusers' pipelines.
"""
_TEMPLATE_TOKENS = 34
"""Its tokens before ``user``, by Qwen's vocabulary."""

_SIDE = 64
# fmt: off
_WIDTHS = {
    512: (1792, 2048), 576: (1600, 1792), 640: (1472, 1600), 704: (1344, 1472), 768: (1216, 1344),
    832: (1152, 1216), 896: (1088, 1152), 960: (1024, 1088), 1024: (960, 1024), 1088: (896, 960),
    1152: (832, 896), 1216: (768, 832), 1280: (768, 768), 1344: (704, 768), 1408: (704, 704),
    1472: (640, 704), 1536: (640, 640), 1600: (576, 640), 1664: (576, 576), 1728: (576, 576),
    1792: (512, 576), 1856: (512, 512), 1920: (512, 512), 1984: (512, 512), 2048: (512, 512),
}
# fmt: on
"""By height, the least and greatest width of an image in the training, in pixels."""
_BUCKETS = tuple(
    (width, height)
    for height, (least, most) in _WIDTHS.items()
    for width in range(least, most + 1, _SIDE)
)
"""Widths and heights of images in the training, in the pipelines' order."""


def _config(shapes: Shapes) -> dict[str, Any]:
    width, channels, *patch = shapes["img_in.weight"]
    (head,) = shapes["double_blocks.0.attn.img_attn_q_norm.weight"]
    return {
        "patch_size": patch,
        "in_channels": channels,
        "out_channels": shapes["proj_out.weight"][0] // math.prod(patch),
        "hidden_size": width,
        "num_attention_heads": width // head,
        "text_dim": shapes["condition_embedder.text_embedder.linear_1.weight"][1],
        "mlp_width_ratio": shapes["double_blocks.0.img_mlp.net.0.proj.weight"][0] / width,
        "num_layers": count_of(shapes, r"double_blocks\.(\d+)\."),
        # 16, 56 and 56 of 128
        "rope_dim_list": [head // 8, 7 * head // 16, 7 * head // 16],
        "rope_type": "rope",
        "theta": 10000,
    }


_LAYERS: Table = tuple(
    (f"double_blocks.*.attn.{stream}_attn_{layer}", f"double_blocks.*.{stream}_attn_{layer}")
    for stream in ("img", "txt")
    for layer in ("qkv", "q_norm", "k_norm", "proj")
)
_FILE = denoiser_layout(
    "joyimage-transformer",
    "the transformer of JoyImage Edit",
    "JoyImageEditPlusTransformer3DModel",
    marks=(
        (
            "double_blocks.0.attn.img_attn_qkv.weight",
            "condition_embedder.text_embedder.linear_1.weight",
        ),
        (
            "double_blocks.0.img_attn_qkv.weight",
            "condition_embedder.text_embedder.linear_1.weight",
        ),
    ),
    names=OriginalNames(_LAYERS),
    config=_config,
    scheduler={**EULER_FLOW, "shift": 1.5},
)


class JoyImageEdit(Family):
    """A transformer of two streams, guided by Qwen3-VL, which looks at the images, too.

    Files of Edit and of Edit Plus look the same. Both are read by the network of Edit Plus, which
    computes the same and takes images of any number and size. Folders of Edit have a network that
    takes one image of the size of the result.
    """

    def context_width(self, config: Config) -> int | None:
        return int(config["text_dim"])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_edit(model, text, (), warn)

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        check_no_picture(text)
        prompt = _TEMPLATE.format(_LOOK * len(images) + text)
        tokenizer, encoder = model.tokenizers["processor"], model.modules["text_encoder"]
        features: dict[str, Tensor] = {}
        if images:
            features, counts = image_features(image_processor(encoder), [*map(_shown, images)])
            prompt = spread(prompt, counts)
        most = (_TOKENS_WITH_IMAGES if images else _TOKENS) + _TEMPLATE_TOKENS
        tokens = dict(tokenizer(prompt, return_tensors="pt", verbose=False))
        count = tokens["input_ids"].shape[1]
        if warn is not None and count > most:
            warn(
                f"The prompt has {count - _TEMPLATE_TOKENS} tokens. A text encoder takes "
                f"{most - _TEMPLATE_TOKENS} and ignores the rest."
            )
        if images:
            image_token = tokenizer.convert_tokens_to_ids(PICTURE)
            features["mm_token_type_ids"] = (tokens["input_ids"] == image_token).long()
        else:
            tokens = {name: item[:, :most] for name, item in tokens.items()}
        states = states_before_norm(model, tokens | features)[:, _TEMPLATE_TOKENS:]
        return encoded({"embeddings": states[:, -_TOKENS_WITH_IMAGES:]})

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        for reference in entry.references:
            _check_reference(reference, request)
        if _takes_patches(model):
            # Edit Plus computes both prompts at once, padded to one length.
            fitted["mask"] = torch.ones(fitted["embeddings"].shape[:2])
        elif entry.references:
            self._check_one(entry.references, request)
        return fitted | dict(zip(reference_names(), entry.references, strict=False))

    def _check_one(self, references: Sequence[Tensor], request: SamplingRequest) -> None:
        if len(references) > 1:
            raise InvalidValue(
                "this model takes one reference image",
                port=request.side,
                given=f"{len(references)} reference images",
                expected="one, or a model of JoyImage Edit Plus",
            )
        height, width = (side * self.latent.spatial for side in references[0].shape[-2:])
        if (width, height) != (request.width, request.height):
            raise InvalidValue(
                "the reference image and the result have different sizes",
                port=request.side,
                given=f"a reference of {width} x {height} pixels, and a latent of "
                f"{request.width} x {request.height}",
                expected="one size",
                hint="Use the size of the reference image for EmptyLatent.",
            )

    def groups(self, prompts: Sequence[Mapping[str, Tensor]]) -> list[list[int]]:
        shapes = [
            {name: item.shape for name, item in prompt.items() if name not in _OF_TEXT}
            for prompt in prompts
        ]
        if all("mask" in prompt for prompt in prompts) and all(
            each == shapes[0] for each in shapes
        ):
            return [list(range(len(prompts)))]
        return [[index] for index in range(len(prompts))]

    def join(self, prompts: Sequence[Mapping[str, Tensor]], batch: int) -> Batch:
        length = max(prompt["embeddings"].shape[1] for prompt in prompts)
        padded = [
            {
                name: _padded(item, length) if name in _OF_TEXT else item
                for name, item in prompt.items()
            }
            for prompt in prompts
        ]
        return super().join(padded, batch)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        references = reference_latents(batch)
        called = {
            "timestep": moment.timestep.expand(len(x)),
            "encoder_hidden_states": batch["embeddings"],
            "return_dict": False,
        }
        if not _takes_patches(model):
            items = torch.stack([*references, x], 1)
            output: Tensor = model.module(hidden_states=items, **called)[0]
            return output[:, -1]
        pictures = [x, *references]
        sizes = [(1, item.shape[-2] // _PATCH, item.shape[-1] // _PATCH) for item in pictures]
        patches: Tensor = model.module(
            hidden_states=torch.cat([_patches(item) for item in pictures], 1),
            encoder_hidden_states_mask=batch["mask"].to(x.dtype),
            shape_list=[sizes] * len(x),
            **called,
        )[0]
        return _from_patches(patches[:, : math.prod(sizes[0])], x)

    def guided(self, towards: Tensor, away: Tensor, cfg: float) -> Tensor:
        """Combine so that no cell gets longer or shorter than the positive prompt alone has it."""
        both = away + cfg * (towards - away)
        wanted, actual = (torch.norm(item, dim=1, keepdim=True) for item in (towards, both))
        kept: Tensor = both * (wanted / actual.clamp_min(_TINY))
        return kept


_OF_TEXT = frozenset(("embeddings", "mask"))
"""Tensors of a prompt with one entry per token."""


def _padded(item: Tensor, length: int) -> Tensor:
    missing = item.new_zeros(item.shape[0], length - item.shape[1], *item.shape[2:])
    return torch.cat([item, missing], 1)


def _takes_patches(model: Denoiser) -> bool:
    """Return whether a network is that of Edit Plus; the other one has positions of one grid."""
    return not hasattr(model.module, "get_rotary_pos_embed")


def _check_reference(reference: Tensor, request: SamplingRequest) -> None:
    if (
        reference.ndim != 5
        or reference.shape[2] != 1
        or any(s % _PATCH for s in reference.shape[3:])
    ):
        raise InvalidValue(
            "a reference image cannot be split into patches of 2 x 2 cells",
            port=request.side,
            given=f"a latent of shape {tuple(reference.shape)}",
            expected="(1, channels, 1, height, width), height and width even",
            hint="Scale the image so that its sides are multiples of 16 pixels.",
        )


def _patches(latents: Tensor) -> Tensor:
    """Return latents (n, channels, 1, height, width) as patches (n, tokens, channels, 1, 2, 2)."""
    n, channels, _, height, width = latents.shape
    cut = latents.reshape(n, channels, 1, height // _PATCH, _PATCH, width // _PATCH, _PATCH)
    return cut.permute(0, 3, 5, 1, 2, 4, 6).flatten(1, 2)


def _from_patches(patches: Tensor, like: Tensor) -> Tensor:
    """Return the latents of `_patches`, of the shape of others.

    The channels of a cell lie next to each other in memory, as in the pipeline: norms of cells have
    other last bits else.
    """
    n, channels, _, height, width = like.shape
    cut = patches.reshape(n, height // _PATCH, width // _PATCH, channels, 1, _PATCH, _PATCH)
    return cut.permute(0, 4, 1, 5, 2, 6, 3).reshape(n, 1, height, width, channels).movedim(4, 1)


def trained_size(width: int, height: int) -> tuple[int, int]:
    """Return the width and height of the training whose proportions are the nearest."""
    wanted = height / width
    return min(_BUCKETS, key=lambda size: abs(size[1] / size[0] - wanted))


def crop_to_trained(picture: Any) -> Any:
    """Return a PIL image in RGB, scaled and cropped at its centre to its size in the training."""
    from PIL import Image

    width, height = trained_size(*picture.size)
    scale = max(height / picture.height, width / picture.width)
    wide, high = math.ceil(picture.width * scale), math.ceil(picture.height * scale)
    scaled = picture.convert("RGB").resize((wide, high), Image.Resampling.BILINEAR)
    left, top = (wide - width) // 2, (high - height) // 2
    return scaled.crop((left, top, left + width, top + height))


def _shown(image: Tensor) -> Any:
    """Return an image as the encoder sees it.

    Args:
        image: Float32 in 0..1, shape (height, width, channels).
    """
    from nodegraph.media.images.images import to_pil

    return crop_to_trained(to_pil(image))


JOYIMAGE_EDIT = JoyImageEdit(
    "joyimage-edit",
    "JoyImage Edit",
    latent=WAN_LATENTS,
    pipelines=("JoyImageEditPipeline", "JoyImageEditPlusPipeline"),
    denoisers=(
        Part(
            "transformer",
            ("JoyImageEditPlusTransformer3DModel", "JoyImageEditTransformer3DModel"),
            files=(_FILE,),
        ),
    ),
    encoders=(SEEING_ENCODER,),
    tokenizers=(SEEING_PROCESSOR,),
    noise="flow",
    vae_config={BY_DEVIATION: True},
    multiple=16,
    # The prompt, and an image of a megapixel to look at.
    held=TokenMemory(16, 4096 + 1024),
    # The pipelines' empty prompt is read beside the image, too.
    needs_negative=False,
    block_stacks=("double_blocks",),
    block_outputs={
        "JoyImageEditPlusTransformerBlock": (0, 1),
        "JoyImageTransformerBlock": (0, 1),
    },
    resolutions={
        "joyimage-edit": Resolutions(
            1024 * 1024, _SIDE, tuple(size for size in _BUCKETS if size[0] >= size[1])
        ),
    },
    image_inputs=frozenset({"references"}),
    lora_signs=(
        LoraSign(
            r"^double_blocks_\d+_(attn_(img|txt)_attn_|(img|txt)_mlp_net_)",
            "JoyImage Edit",
        ),
        DOUBLE_STREAM_SIGN,
    ),
    comfyui_type="joyimage",
)
