"""Prompts of MiniMax H3: what Qwen3-VL reads of texts, images, videos and sound. Imports no torch.

Source: diffusers, ``modular_pipelines/minimax_h3/encoders.py``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import encoded
from nodegraph.families.minimax_h3_rows import FRAMES_PER_SECOND, TEXT, VIDEO
from nodegraph.families.prompt_media import PromptMedia
from nodegraph.families.qwen_image_edit import check_no_picture, image_features
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.families.components import TextModel

TAGS = "text_tags"
"""Tensor of a prompt: the kind of each of its rows, int64, (1, rows)."""
_LAYER = 50
"""Layer of Qwen3-VL whose output the model reads, counted from 1."""
_SAMPLED = 12
"""Every so many frames of a video are read: two per second."""
_PAIR = 2
"""Frames that Qwen3-VL reads as one."""
_LEAST_AREA, _MOST_AREA = 4096, 25165824
"""Pixels of all frames of a video together that Qwen3-VL was published with."""
_IMAGE, _VIDEO = "<|image_pad|>", "<|video_pad|>"
"""Tokens that stand for the patches of an image and of a video."""
_END = "<|endoftext|>"


class Presentation:
    """What Qwen3-VL reads: texts and images in turn, without a template.

    Attributes:
        ids, tags: Of each token, the id and the kind.
        pixels: Inputs of the part that sees.
    """

    def __init__(self, model: TextModel) -> None:
        self._model, self._tokenizer = model, model.tokenizers["tokenizer"]
        self.ids: list[int] = []
        self.tags: list[int] = []
        self.pixels: dict[str, Tensor] = {}

    def add_text(self, text: str) -> None:
        """Append a text."""
        ids = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        self.ids += ids
        self.tags += [TEXT] * len(ids)

    def add_vision(self, pad: str, count: int) -> None:
        """Append an image or a part of a video."""
        mark = self._tokenizer.convert_tokens_to_ids
        start, end = mark("<|vision_start|>"), mark("<|vision_end|>")
        ids = [start, *[mark(pad)] * count, end]
        self.ids += ids
        self.tags += [VIDEO] * len(ids)

    def encode(self) -> ConditioningEntry:
        """The embeddings and the kinds of their rows."""
        from nodegraph.families.text_encoders import layer_states

        mark = self._tokenizer.convert_tokens_to_ids
        if not self.ids:
            # Something is to be read of an empty prompt; as in ComfyUI.
            self.ids, self.tags = [mark(_END)], [TEXT]
        ids = torch.tensor([self.ids])
        kinds = (ids == mark(_IMAGE)).long() + 2 * (ids == mark(_VIDEO)).long()
        tokens = {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": kinds,
            **self.pixels,
        }
        encoder = self._model.modules["text_encoder"]
        layers = int(encoder.config.text_config.num_hidden_layers)
        if layers < _LAYER:
            raise InvalidValue(
                "the text encoder is too small for MiniMax H3",
                port="encoder",
                given=f"{layers} layers",
                expected=f"{_LAYER} layers or more",
                hint="Use Qwen3-VL 32B.",
            )
        (states,) = layer_states(encoder, tokens, [_LAYER])
        return encoded({"embeddings": states, TAGS: torch.tensor([self.tags])})


def present(model: TextModel, text: str, media: Sequence[PromptMedia]) -> ConditioningEntry:
    """Encode a prompt behind the media that it names, each with a label.

    Raises:
        InvalidValue: The prompt holds a token that stands for images; on port ``text``.
    """
    check_no_picture(text)
    presentation = Presentation(model)
    processor: Any = model.tokenizers.get("processor")
    images = [item.frames for item in media if item.frames is not None and not item.is_video]
    sizes: list[int] = []
    if images:
        features, sizes = image_features(processor, [_drawn(image[0]) for image in images])
        presentation.pixels |= features
    videos = [_video_features(processor, item.frames) for item in media if item.is_video]
    if videos:
        presentation.pixels |= {
            "pixel_values_videos": torch.cat([pixels for pixels, _ in videos]),
            "video_grid_thw": torch.tensor([grid for _, grid in videos]),
        }
    numbers = {"Audio": count(1), "Picture": count(1), "Video": count(1)}
    tokens, grids = iter(sizes), iter(grid for _, grid in videos)
    for item in media:
        if item.has_sound:
            presentation.add_text(f"<Audio {next(numbers['Audio'])}>: ")
        if item.frames is None:
            continue
        kind = "Video" if item.is_video else "Picture"
        presentation.add_text(f"<{kind} {next(numbers[kind])}>: ")
        if not item.is_video:
            presentation.add_vision(_IMAGE, next(tokens))
            continue
        pairs, rows, columns = next(grids)
        for second in _seconds(len(item.frames), pairs):
            presentation.add_text(f"<{second:.1f} seconds>")
            presentation.add_vision(_VIDEO, rows * columns // processor.merge_size**2)
    presentation.add_text(text)
    return presentation.encode()


def _drawn(image: Tensor) -> Any:
    """A PIL image of one of shape (height, width, 3)."""
    from nodegraph.media.images.images import to_pil

    return to_pil(image).convert("RGB")


def _seconds(frames: int, pairs: int) -> list[float]:
    """The middle of each pair of the frames that are read of a video."""
    last = (frames - 1) // _SAMPLED
    ends = [(_PAIR * at, min(_PAIR * at + 1, last)) for at in range(pairs)]
    per_second = FRAMES_PER_SECOND // _SAMPLED
    return [(first + second) / per_second / 2 for first, second in ends]


def _video_features(processor: Any, frames: Tensor | None) -> tuple[Tensor, list[int]]:
    """Patches of a video, and its pairs of frames with their rows and columns of patches.

    The processor for images reads an image as two equal frames. So a pair has the first half of a
    patch of one frame and the second half of the other's. Its own processor for videos needs
    torchvision.
    """
    assert frames is not None
    sampled = [_drawn(frame) for frame in frames[::_SAMPLED]]
    sampled += sampled[-1:] * (len(sampled) % _PAIR)
    step = processor.patch_size * processor.merge_size
    width, height = sampled[0].size
    size = _read_size(len(sampled), width, height, step)
    resized = [frame.resize(size, resample=_BICUBIC) for frame in sampled]
    features = processor(images=resized, do_resize=False, return_tensors="pt")
    _, rows, columns = (int(item) for item in features["image_grid_thw"][0])
    patch = processor.patch_size
    halves = features["pixel_values"].view(len(sampled), -1, 3, _PAIR, patch, patch)
    pairs = torch.stack([halves[::2, :, :, 0], halves[1::2, :, :, 1]], 3)
    return pairs.reshape(-1, 3 * _PAIR * patch**2), [len(sampled) // _PAIR, rows, columns]


_BICUBIC = 3
"""`PIL.Image.Resampling.BICUBIC`, without importing it here."""


def _read_size(frames: int, width: int, height: int, step: int) -> tuple[int, int]:
    """Width and height that Qwen3-VL sees of each frame of a video.

    Source: transformers, ``models/qwen3_vl/video_processing_qwen3_vl.py``.
    """
    sides = [max(step, round(side / step) * step) for side in (width, height)]
    area = frames * sides[0] * sides[1]
    if area > _MOST_AREA:
        share = math.sqrt(frames * width * height / _MOST_AREA)
        sides = [max(step, math.floor(side / share / step) * step) for side in (width, height)]
    elif area < _LEAST_AREA:
        share = math.sqrt(_LEAST_AREA / (frames * width * height))
        sides = [math.ceil(side * share / step) * step for side in (width, height)]
    return sides[0], sides[1]
