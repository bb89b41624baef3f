"""Z-Image Omni, which edits images and combines several. Imports no torch.

Its weights are not published yet, so its sampling settings in single files are Z-Image-Turbo's.

Source: diffusers' ``ZImageOmniPipeline`` and ``ZImageTransformer2DModel``, by the Z-Image Team.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import count, takewhile
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Part, Resolutions, Warn, encoded
from nodegraph.families.family_checks import check_same_images
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.families.patches import reference_latents, reference_tensors
from nodegraph.families.z_image import Z_IMAGE, Z_IMAGE_OMNI_FILE, ZImage, time_from_noise
from nodegraph.weights.lazy import torch
from nodegraph.weights.memory import TokenMemory

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_TOKENS = 512
"""Most tokens of a part of a prompt."""
_AREA = 1024 * 1024
"""Most pixels of a reference image."""
_PARTS = "parts"
"""Tensor of a prompt: the tokens of each of its parts, int64, shape (1, parts)."""
_START, _END = "<|im_start|>user\n", "<|im_end|>\n<|im_start|>assistant\n"
_IMAGE_START, _IMAGE_END = "<|vision_start|>", "<|vision_end|>"


class ZImageOmni(ZImage):
    """Z-Image's transformer, which also sees reference images: as latents, and by SigLIP 2.

    A prompt is split where images are inserted. The result is inserted after the last part but one.
    """

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        return self.encode_edit(model, text, (), warn)

    def encode_edit(
        self, model: TextModel, text: str, images: Sequence[Tensor], warn: Warn | None = None
    ) -> ConditioningEntry:
        from nodegraph.families.text_encoders import hidden_states, tokenize_padded, warn_of_cut

        tokenizer = model.tokenizers["tokenizer"]
        texts = prompt_parts(text, len(images))
        tokens = tokenize_padded(tokenizer, texts, _TOKENS)
        if warn is not None:
            warn_of_cut(tokenizer, texts, _TOKENS, warn)
        mask = tokens["attention_mask"].bool()
        states = hidden_states(
            model.modules["text_encoder"], {**tokens, "attention_mask": mask}, layer=-2
        )
        features = _image_features(model, images) if images else []
        return encoded(
            {
                "embeddings": states[mask][None],
                _PARTS: mask.sum(1)[None],
                **dict(zip(_feature_names(), features, strict=False)),
            }
        )

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        fitted = super().fit(model, entry, request)
        # Prompts of Z-Image have one part.
        tokens = fitted["embeddings"].shape[1]
        parts = fitted.setdefault(_PARTS, torch.tensor([[tokens]]))
        if int(parts.sum()) != tokens:
            raise InvalidValue(
                "this prompt was joined from others, which does not work with reference images",
                port=request.side,
                given=f"{tokens} tokens",
                expected=f"{int(parts.sum())} tokens",
                hint="Encode one prompt.",
            )
        check_same_images(len(_features(fitted)), len(entry.references), port=request.side)
        for reference in entry.references:
            self._check_size(model, reference, request)
        return fitted | reference_tensors(entry.references, request.side)

    def _check_size(self, model: Denoiser, reference: Tensor, request: SamplingRequest) -> None:
        # SigLIP's features have the positions of the latent's cells.
        _, rows, columns = model.config["axes_lens"]
        height, width = reference.shape[-2:]
        if height > rows or width > columns:
            cell = self.latent.spatial
            raise InvalidValue(
                "a reference image is too large",
                port=request.side,
                given=f"{width * cell} x {height * cell} pixels",
                expected=f"at most {columns * cell} x {rows * cell}",
                hint="Put a ResizeImage before VAEEncode.",
            )

    def groups(self, prompts: Sequence[Mapping[str, Tensor]]) -> list[list[int]]:
        by_images: dict[int, list[int]] = {}
        for index, prompt in enumerate(prompts):
            by_images.setdefault(len(_features(prompt)), []).append(index)
        return list(by_images.values())

    def join(self, prompts: Sequence[Mapping[str, Tensor]], batch: int) -> Batch:
        rows = [prompt for prompt in prompts for _ in range(batch)]
        return {
            "embeddings": [
                list(torch.split(row["embeddings"][0], row[_PARTS][0].tolist())) for row in rows
            ],
            "features": [_features(row) for row in rows],
            "references": [
                [item[0].unsqueeze(1) for item in reference_latents(row)] for row in rows
            ],
        }

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        pictures = x.to(model.dtype).unsqueeze(2).unbind()
        items = [
            [*references, picture]
            for references, picture in zip(batch["references"], pictures, strict=True)
        ]
        # The result is not seen by SigLIP.
        features = [[*row, None] if row else None for row in batch["features"]]
        velocities: list[Tensor] = model.module(
            items,
            time_from_noise(moment).expand(len(x)),
            batch["embeddings"],
            siglip_feats=features,
            image_noise_mask=[[0] * (len(row) - 1) + [1] for row in items],
            return_dict=False,
        )[0]
        return -torch.stack(velocities).squeeze(2).to(x.dtype)


def prompt_parts(text: str, images: int) -> list[str]:
    """Return the parts of a prompt, between which images are inserted, and last the result."""
    if not images:
        return [_START + text + _END]
    return [
        _START + _IMAGE_START,
        *[_IMAGE_END + _IMAGE_START] * (images - 1),
        _IMAGE_END + text + _END + _IMAGE_START,
        f"{_IMAGE_END}<|im_end|>",
    ]


def _feature_names() -> Any:
    """Names of the tensors of a prompt with SigLIP's features of its images, in their order."""
    return (f"image features {number}" for number in count(1))


def _features(tensors: Mapping[str, Tensor]) -> list[Tensor]:
    """Return SigLIP's features of the images of a prompt, each (rows, columns, width)."""
    return [tensors[name][0] for name in takewhile(tensors.__contains__, _feature_names())]


def _image_features(model: TextModel, images: Sequence[Tensor]) -> list[Tensor]:
    """Return SigLIP's features of images, each float32 on the CPU, (1, rows, columns, width).

    Args:
        images: Float32 in 0..1, shape (height, width, channels).
    Raises:
        InvalidValue: The text encoder has no image encoder.
    """
    if "siglip" not in model.modules or "siglip_processor" not in model.tokenizers:
        raise InvalidValue(
            "this text encoder has no SigLIP 2, so it cannot see images",
            port="encoder",
            expected="the text encoder of a model folder of Z-Image Omni",
            hint="Load the folder with LoadModel.",
        )
    encoder, processor = model.modules["siglip"], model.tokenizers["siglip_processor"]
    features = []
    for image in images:
        inputs = processor(images=[limit_area(image)], return_tensors="pt")
        rows, columns = (int(side) for side in inputs["spatial_shapes"][0])
        placed = {name: item.to(encoder.device) for name, item in inputs.items()}
        states = encoder(**placed).last_hidden_state[:, : rows * columns]
        features.append(states.view(1, rows, columns, -1).to("cpu", torch.float32))
    return features


def limit_area(image: Tensor) -> Any:
    """Return an image as a PIL image in RGB, scaled down if it has more than a megapixel.

    Args:
        image: Float32 in 0..1, shape (height, width, channels).
    """
    from PIL import Image

    from nodegraph.media.images.images import to_pil

    picture = to_pil(image).convert("RGB")
    area = picture.width * picture.height
    if area <= _AREA:
        return picture
    scale = math.sqrt(_AREA / area)
    size = int(picture.width * scale), int(picture.height * scale)
    return picture.resize(size, Image.Resampling.LANCZOS)


Z_IMAGE_OMNI = ZImageOmni(
    "z-image-omni",
    "Z-Image Omni",
    image_inputs=frozenset({"references", "same images"}),
    latent=Z_IMAGE.latent,
    pipelines=("ZImageOmniPipeline",),
    denoisers=(replace(Z_IMAGE.denoisers[0], files=(Z_IMAGE_OMNI_FILE,)),),
    encoders=(
        *Z_IMAGE.encoders,
        # Optional, as a text encoder from a file lacks it.
        Part("siglip", ("Siglip2VisionModel",), optional=True),
    ),
    tokenizers=(
        *Z_IMAGE.tokenizers,
        # By Pillow, as the other class needs torchvision.
        Part("siglip_processor", ("Siglip2ImageProcessorPil",), optional=True),
    ),
    noise="flow",
    spread=Z_IMAGE.spread,
    mu=Z_IMAGE.mu,
    multiple=16,
    # The prompt, and an image of a megapixel to look at, as latents and by SigLIP.
    held=TokenMemory(16, 128 + 4096 + 256),
    # The pipeline's empty prompt is read beside the images, too.
    needs_negative=False,
    positive_first=True,
    wide=True,
    accepts_prompts_of=("z-image",),
    resolutions={"z-image-omni": Resolutions(_AREA, 16)},
    lora_signs=Z_IMAGE.lora_signs,
    comfyui_type="lumina2",
)
