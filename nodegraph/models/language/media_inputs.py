"""Images and audio for language models that see and hear: marks in the prompt, and features.

A mark stands in the prompt for each image or audio input, as the chat templates of the models
write it. It becomes as many tokens as the model's encoder makes of the input.

Sources: transformers, ``models/qwen2_vl/processing_qwen2_vl.py`` and
``models/gemma4/processing_gemma4.py``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import transformers
from torch import Tensor

from nodegraph.core.values import Audio
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.qwen_image_edit import preprocess_images
from nodegraph.media.audio.transforms import resample
from nodegraph.media.images.images import to_pil
from nodegraph.models.language.chat_templates import IMAGE_BLOCK, IMAGE_TOKEN

MIN_PIXELS, MAX_PIXELS = 256 * 256, 1024 * 1024
"""Pixels of images for Qwen: smaller and larger ones are scaled, those between stay."""
_QWEN = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")
_GEMMA = ("gemma4",)
"""Values of ``model_type`` in configurations."""
SEEING_MODELS = "Qwen2-VL, Qwen2.5-VL, Qwen3-VL, Qwen3.5 or Gemma 4 with its vision model"
HEARING_MODELS = "Gemma 4 E2B or E4B with its audio model"

_GEMMA_IMAGE, _GEMMA_AUDIO = "<|image|>", "<|audio|>"
MAX_AUDIO_SECONDS = 30
"""Of Gemma 4: its feature extractor leaves out what follows."""
_IMAGE_TYPE, _AUDIO_TYPE = 1, 3
"""Kinds of tokens, by which models find images and audio in a prompt."""


@dataclass(frozen=True, slots=True)
class MediaInputs:
    """Images and audio of a question, for a model.

    Attributes:
        prefix: Marks of all of them, for prompts without the chat template of the model.
        spans: The text that each mark becomes, in the order of the prompt.
        marks: The marks, and the kind of their tokens.
        features: Inputs of the model by name.
    """

    prefix: str = ""
    spans: tuple[str, ...] = ()
    marks: Mapping[str, int] | None = None
    features: Mapping[str, Tensor] | None = None

    def expand(self, prompt: str) -> str:
        """The prompt with as many tokens for each mark as the input has.

        Raises:
            InvalidFile: The model's chat template wrote another number of marks.
        """
        at, parts = 0, list[str]()
        for span in self.spans:
            mark = next(item for item in self.marks or () if item in span)
            before, token, tail = prompt[at:].partition(mark)
            if not token:
                raise InvalidFile(
                    "the model's chat template leaves out images or audio",
                    port="images",
                    hint="Update the files of the model.",
                )
            parts += [before, span]
            at = len(prompt) - len(tail)
        return "".join([*parts, prompt[at:]])

    def token_inputs(self, ids: Tensor, tokenizer: Any) -> dict[str, Tensor]:
        """Features, and which tokens stand for images and audio; nothing if there are none.

        Args:
            ids: int64, shape (1, tokens).
        """
        if not self.spans:
            return {}
        kinds = torch.zeros_like(ids)
        for mark, kind in (self.marks or {}).items():
            kinds[ids == tokenizer.convert_tokens_to_ids(mark)] = kind
        return {**(self.features or {}), "mm_token_type_ids": kinds}


def media_inputs(
    module: Any,
    tokenizer: Any,
    text: str,
    images: Sequence[Tensor],
    audio: Audio | None,
    settings: str = "",
) -> MediaInputs:
    """Prepare images and audio for a model.

    Args:
        module: Of transformers, with its head.
        text: All text of the question, which must not contain marks.
        images: Each float32 in 0..1, shape (height, width, 3).
        settings: As `LanguageModel.processor`.

    Raises:
        InvalidValue: The model takes no images or no audio, or the text contains a mark.
        InvalidFile: The tokenizer has no such marks.
    """
    config = module.config
    kind = str(getattr(config, "model_type", ""))
    sees = kind in (*_QWEN, *_GEMMA) and getattr(config, "vision_config", None) is not None
    if images and not sees:
        raise InvalidValue(
            "this language model takes no images",
            port="images",
            given=type(module).__name__,
            expected=f"{SEEING_MODELS}, or a model of ConnectLanguageModel",
        )
    if audio is not None and (kind not in _GEMMA or config.audio_config is None):
        raise InvalidValue(
            "this language model takes no audio",
            port="audio",
            given=type(module).__name__,
            expected=HEARING_MODELS,
        )
    if not images and audio is None:
        return MediaInputs()
    known = json.loads(settings) if settings else {}
    prepared = (
        _qwen_inputs(config, images, known)
        if kind in _QWEN
        else _gemma_inputs(config, images, audio, known)
    )
    _check_marks(prepared, tokenizer, text)
    return prepared


def _check_marks(prepared: MediaInputs, tokenizer: Any, text: str) -> None:
    known = tokenizer.get_vocab()
    for mark in prepared.marks or ():
        if mark not in known:
            raise InvalidFile(
                f"the tokenizer has no token {mark}, which stands for images or audio",
                port="images",
                hint="Update the files of the model.",
            )
        if mark in text:
            raise InvalidValue(
                "the text contains a special token that stands for images or audio",
                port="prompt",
                given=mark,
            )


def _qwen_inputs(config: Any, images: Sequence[Tensor], settings: Mapping[str, Any]) -> MediaInputs:
    sight = config.vision_config
    sizes = {
        "patch_size": sight.patch_size,
        "temporal_patch_size": sight.temporal_patch_size,
        "merge_size": sight.spatial_merge_size,
    }
    colors = {
        name: value
        for name, value in settings.get("image_processor", {}).items()
        if name in ("image_mean", "image_std")
    }
    # Images are scaled here, as the encoder's own limit of 12 million pixels needs much memory.
    processor = transformers.Qwen2VLImageProcessorPil(**sizes, **colors, do_resize=False)
    areas = [image.shape[0] * image.shape[1] for image in images]
    area = max(MIN_PIXELS, min(MAX_PIXELS, max(areas)))
    features, counts = preprocess_images(processor, images, area)
    return MediaInputs(
        IMAGE_BLOCK * len(counts),
        tuple(IMAGE_TOKEN * count for count in counts),
        {IMAGE_TOKEN: _IMAGE_TYPE},
        features,
    )


def _gemma_inputs(
    config: Any, images: Sequence[Tensor], audio: Audio | None, settings: Mapping[str, Any]
) -> MediaInputs:
    """Of Gemma 4. Images come before the audio, and both before the text."""
    marks = dict[str, int]()
    features = dict[str, Tensor]()
    spans = list[str]()
    prefix = ""
    if images:
        stored = _plain_settings(settings, "image_processor")
        sight = config.vision_config
        sizes = {
            "patch_size": sight.patch_size,
            "pooling_kernel_size": sight.pooling_kernel_size,
        }
        processor = transformers.Gemma4ImageProcessorPil(**(stored | sizes))
        pictures = [to_pil(image).convert("RGB") for image in images]
        pixels = dict(processor(images=pictures, return_tensors="pt"))
        counts = pixels.pop("num_soft_tokens_per_image").tolist()
        features |= pixels
        spans += [f"<|image>{_GEMMA_IMAGE * count}<image|>" for count in counts]
        prefix = f"\n\n{_GEMMA_IMAGE}\n\n" * len(counts)
        marks[_GEMMA_IMAGE] = _IMAGE_TYPE
    if audio is not None:
        stored = _plain_settings(settings, "feature_extractor")
        extractor = transformers.Gemma4AudioFeatureExtractor(**stored)
        mono = replace(audio, waveform=audio.waveform.float().mean(0, keepdim=True))
        wave = resample(mono, extractor.sampling_rate).waveform[0].numpy()
        spectrum = dict(extractor([wave], return_tensors="pt"))
        features |= spectrum
        count = _audio_tokens(spectrum["input_features_mask"][0])
        spans.append(f"<|audio>{_GEMMA_AUDIO * count}<audio|>")
        prefix += _GEMMA_AUDIO
        marks[_GEMMA_AUDIO] = _AUDIO_TYPE
    return MediaInputs(prefix, tuple(spans), marks, features)


def _plain_settings(settings: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Without the names of classes."""
    return {
        key: value for key, value in settings.get(name, {}).items() if not key.endswith("_type")
    }


def _audio_tokens(mask: Tensor) -> int:
    """Tokens of an audio input: its frames after the two strided convolutions of the encoder."""
    for _ in range(2):
        mask = mask[::2][: (len(mask) - 1) // 2 + 1]
    return int(mask.sum())
