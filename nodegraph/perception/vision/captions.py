"""Texts about images: captions by BLIP and Florence-2, and tags by taggers of the WD14 kind."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from transformers import LogitsProcessorList

from nodegraph.core.context import Context
from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.media.images.images import to_pil
from nodegraph.media.images.masks import as_rgb
from nodegraph.perception.vision.onnx_detection import open_session
from nodegraph.perception.vision.segmentation import check_task, preprocess
from nodegraph.perception.vision.vision_model import (
    TAGGER_FILE,
    TAGS_FILE,
    VisionModel,
    check_runtime,
    find_tagger,
)

_FLORENCE = "Florence2ForConditionalGeneration"
_TASKS: Mapping[str, str] = {
    "short": "What does the image describe?",
    "detailed": "Describe in detail what is shown in the image.",
    "long": "Describe with a paragraph what is shown in the image.",
}
"""Prompts that Florence-2 was trained on. Source: Xiao et al. 2023, arXiv:2311.06242."""


@torch.inference_mode()
def caption_images(
    ctx: Context,
    model: VisionModel,
    image: Tensor,
    detail: str,
    prompt: str,
    max_tokens: int,
    beams: int,
) -> list[str]:
    """Describe each image of a batch.

    Args:
        image: (batch, height, width, channels).
        detail: A key of Florence-2's prompts.
        prompt: Start of the caption, for BLIP.

    Raises:
        InvalidValue: The model is for something else, or takes no prompt.
    """
    check_task(model, "captions")
    is_florence = model.model.family == _FLORENCE
    if prompt and is_florence:
        raise InvalidValue("Florence-2 takes no prompt", port="prompt", expected="an empty text")
    assert model.tokenizer is not None
    captions = []
    with ctx.weights(model.tokenizer) as tool, ctx.weights(model.model) as component:
        module = component.module
        for at, picture in enumerate(image):
            pixels = preprocess(model, picture)["pixel_values"]
            with tool.lock:
                text = _florence_text(module, tool.value, pixels, _TASKS[detail])
                inputs = _encoded(tool.value, text if is_florence else prompt, is_florence)
            tokens = module.generate(
                pixel_values=pixels.to(module.device, module.dtype),
                **{name: item.to(module.device) for name, item in inputs.items()},
                max_new_tokens=max_tokens,
                num_beams=beams,
                do_sample=False,
                logits_processor=LogitsProcessorList([_Progress(ctx, at, len(image), max_tokens)]),
            )
            with tool.lock:
                captions.append(str(tool.value.decode(tokens[0], skip_special_tokens=True)).strip())
            ctx.progress((at + 1) * max_tokens, len(image) * max_tokens)
    return captions


def _florence_text(module: Any, tokenizer: Any, pixels: Tensor, task: str) -> str:
    """The prompt behind a token for each part of the image."""
    if type(module).__name__ != _FLORENCE:
        return ""
    stride = prod(module.config.vision_config.patch_stride)
    # One token for each cell of the last feature map, and one for their mean.
    count = (pixels.shape[2] // stride) * (pixels.shape[3] // stride) + 1
    mark = tokenizer.convert_ids_to_tokens(module.config.image_token_id)
    return f"{mark * count}{tokenizer.bos_token}{task}{tokenizer.eos_token}"


def _encoded(tokenizer: Any, text: str, is_florence: bool) -> Mapping[str, Tensor]:
    if not text:
        return {}
    encoded = tokenizer(
        text,
        return_tensors="pt",
        add_special_tokens=not is_florence,
        return_token_type_ids=False,
    )
    return {name: encoded[name] for name in ("input_ids", "attention_mask")}


class _Progress:
    """Reports each token; raises if the run is cancelled."""

    def __init__(self, ctx: Context, image: int, images: int, most: int) -> None:
        self._ctx, self._done, self._total = ctx, image * most, images * most

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        self._ctx.progress(min(self._done, self._total - 1), self._total)
        self._done += 1
        return scores


@dataclass(frozen=True, slots=True)
class TagForm:
    """Which tags are written, and how.

    Attributes:
        general, character: Minimum confidence of these categories, 0..1.
        excluded: Tags that are left out, with spaces or underscores.
        has_underscores: Whether words of a tag are joined by underscores.
        escapes: Whether parentheses get a backslash.
        has_rating: Whether the rating is the first tag.
        separator: Text between tags.
    """

    general: float = 0.35
    character: float = 0.85
    excluded: frozenset[str] = frozenset()
    has_underscores: bool = False
    escapes: bool = False
    has_rating: bool = False
    separator: str = ", "

    def word(self, name: str) -> str:
        """A tag as it is written. Faces such as ``^_^`` and ``o_o`` keep their underscores."""
        if not self.has_underscores and re.search(r"[^\W_]{2}", name):
            name = name.replace("_", " ")
        return re.sub(r"([()])", r"\\\1", name) if self.escapes else name


_CATEGORIES = {"0": "general", "4": "character", "9": "rating"}


@dataclass(frozen=True, slots=True)
class _Tagger:
    """A loaded tagger.

    Attributes:
        session: Of ONNX Runtime.
        tags: Name and category of each output.
        side: Side of the square that it sees, in pixels.
        is_channels_last: Whether its input is (batch, height, width, channels).
    """

    session: Any
    tags: Sequence[tuple[str, str]]
    side: int
    is_channels_last: bool


_LOCK = Lock()
_LOADED: dict[str, _Tagger] = {}
"""The last tagger, by its files and device: to load one takes seconds."""


def tag_images(
    ctx: Context, name: str, image: Tensor, form: TagForm
) -> tuple[list[str], list[str]]:
    """Tag each image of a batch.

    Args:
        name: Folder of the tagger in a models folder.
        image: (batch, height, width, channels).
    Returns:
        Tags and rating of each image; the rating is empty for taggers without ratings.
    Raises:
        NodegraphError: See `find_tagger`; or onnxruntime is not installed.
    """
    tagger = _tagger(find_tagger(name, ctx.environment.models), ctx.device)
    texts, ratings = [], []
    for at, picture in enumerate(image):
        chances = _chances(tagger, picture)
        text, rating = _written(tagger.tags, chances, form)
        texts.append(text)
        ratings.append(rating)
        ctx.progress(at + 1, len(image))
    return texts, ratings


def _tagger(folder: Path, device: str) -> _Tagger:
    check_runtime()
    files = (folder / TAGGER_FILE, folder / TAGS_FILE)
    key = " ".join((*(FILE_DIGESTS.digest(file) for file in files), device))
    with _LOCK:
        if key not in _LOADED:
            loaded = _load_tagger(*files, device)
            _LOADED.clear()
            _LOADED[key] = loaded
        return _LOADED[key]


def _load_tagger(network: Path, table: Path, device: str) -> _Tagger:
    session = open_session(network, device)
    shape = session.get_inputs()[0].shape
    tags = _read_tags(table)
    outputs = session.get_outputs()[0].shape[-1]
    if len(shape) != 4 or 3 not in (shape[1], shape[3]) or not isinstance(shape[2], int):
        raise InvalidFile(
            f"{network} does not take images", given=str(shape), expected="[1, 448, 448, 3]"
        )
    if outputs != len(tags):
        raise InvalidFile(
            f"{table.name} does not fit {network}",
            given=f"{len(tags)} tags",
            expected=f"{outputs} tags",
        )
    return _Tagger(session, tags, int(shape[2]), shape[3] == 3)


def _read_tags(path: Path) -> list[tuple[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(row["name"], row["category"]) for row in csv.DictReader(file)]
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidFile(
            f"cannot read the tags in {path}: {error}", expected="columns name and category"
        ) from error
    return [(name, _CATEGORIES.get(category, "other")) for name, category in rows]


def _chances(tagger: _Tagger, picture: Tensor) -> list[float]:
    """The confidence of each tag for one image (height, width, channels)."""
    colors = to_pil(as_rgb(picture[None])[0])
    side = max(colors.size)
    square = Image.new("RGB", (side, side), (255, 255, 255))
    square.paste(colors, ((side - colors.width) // 2, (side - colors.height) // 2))
    square = square.resize((tagger.side, tagger.side), Image.Resampling.BICUBIC)
    # Trained with OpenCV: blue first, 0..255.
    pixels = np.asarray(square, np.float32)[None, :, :, ::-1]
    if not tagger.is_channels_last:
        pixels = pixels.transpose(0, 3, 1, 2)
    name = tagger.session.get_inputs()[0].name
    [answer, *_] = tagger.session.run(None, {name: np.ascontiguousarray(pixels)})
    return [float(chance) for chance in answer[0]]


def _written(
    tags: Sequence[tuple[str, str]], chances: Sequence[float], form: TagForm
) -> tuple[str, str]:
    """Tags and rating: characters first, then general tags, the most confident first."""
    excluded = {name.strip().replace(" ", "_").lower() for name in form.excluded}
    limits = {"character": form.character, "general": form.general}
    rows = sorted(zip(chances, tags, strict=True), key=lambda row: -row[0])
    ratings = [name for _, (name, category) in rows if category == "rating"]
    words = [form.word(ratings[0])] if form.has_rating and ratings else []
    for wanted, least in limits.items():
        words += [
            form.word(name)
            for chance, (name, category) in rows
            if category == wanted and chance >= least and name.lower() not in excluded
        ]
    return form.separator.join(words), ratings[0] if ratings else ""
