"""Prior tokens of GLM-Image: images as its language model reads and plans them. Imports no torch.

A prior token stands for 32 x 32 pixels. The language model reads the images to edit as such tokens,
and generates those of the new image. Without images to edit, it plans a small preview first.

Source: diffusers' pipeline ``GlmImagePipeline``, and transformers' ``GlmImageProcessor`` and
``GlmImageForConditionalGeneration``, by Zhipu AI.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Config
from nodegraph.families.model_step import SamplingRequest
from nodegraph.weights.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.families.components import Denoiser

WRITER = "vision_language_encoder"
"""Role of the language model."""
PROCESSOR = "processor"
"""Folder of its tokenizer and of how it sees images."""
PIXELS = 32
"""Pixels along the side of a prior token."""
_PREVIEW = 16
"""Prior tokens along the side of the square preview."""
_MAX_SIDE = 512
"""Prior tokens along a side at the most."""
_KEPT = 16
"""Results that are kept for each language model."""
_MIN_SIDE, _RATIO = 16, 4
"""Pixels along the shorter side of an image to edit at the least, and the longer side by it at the
most; transformers refuses others."""

PROMPT, NUMBERS = "prompt_tokens", "number_tokens"
"""Tensors of a prompt, for the language model: its tokens, int64, (1, tokens), with `_SIZE`,
`_PREVIEW_SIZE` and `_IMAGE` where sizes and images to edit belong; and those of each number, first
without and then with a space before it, int64, (1, 2, numbers, tokens), -1 behind shorter ones."""
_SIZE, _PREVIEW_SIZE, _IMAGE = -1, -2, -3
_PICTURE = "prompt image "
"""Beginning of the names of a prompt's images to edit, uint8, each (1, height, width, 3)."""

_SIGHT: dict[str, Any] = {
    "patch_size": 16,
    "temporal_patch_size": 1,
    "merge_size": 1,
    "size": {"shortest_edge": 512 * 512, "longest_edge": 2048 * 2048},
    "image_mean": [0.5, 0.5, 0.5],
    "image_std": [0.5, 0.5, 0.5],
}
"""How images are made ready where the folder does not say it. Source: the published
``preprocessor_config.json``, https://huggingface.co/zai-org/GLM-Image"""


def prompt_tokens(tokenizer: Any, text: str, images: Sequence[Tensor]) -> dict[str, Tensor]:
    """Return the tensors of a prompt for the language model; see `PROMPT`.

    Args:
        images: To edit, float32 in 0..1, each of shape (height, width, 3).
    Raises:
        InvalidValue: The tokenizer lacks the marks around sizes, on port ``encoder``. The text has
            the mark of an image, on port ``text``. An image is too narrow, on port ``images``.
    """
    start, end = (getattr(tokenizer, f"grid_{side}_token", None) for side in ("bos", "eos"))
    mark = getattr(tokenizer, "image_token", None)
    if start is None or end is None or mark is None or tokenizer.bos_token is None:
        raise InvalidValue(
            "the tokenizer of the prompt is not that of GLM-Image",
            port="encoder",
            given="a tokenizer without grid_bos_token, grid_eos_token, image_token or bos_token",
            expected="the processor folder of GLM-Image",
        )
    if images and mark in text:
        raise InvalidValue(
            "the prompt contains a special token that stands for images",
            port="text",
            given=mark,
            hint="Remove it: images are inserted before the prompt automatically.",
        )
    content = [*({"type": "image"} for _ in images), {"type": "text", "text": text}]
    chat = tokenizer.apply_chat_template([{"role": "user", "content": content}], tokenize=False)
    marks = (_SIZE,) if images else (_SIZE, _PREVIEW_SIZE)
    # As transformers' processor: a template that writes the first token needs no second one.
    special = not chat.startswith(tokenizer.bos_token)
    whole = f"{chat}{f'{start}1 1{end}' * len(marks)}{tokenizer.bos_token}"
    ids: list[int] = tokenizer(whole, add_special_tokens=special)["input_ids"]
    # The last ones are those of the sizes, whatever the prompt says.
    starts, ends = (
        [at for at, token in enumerate(ids) if token == tokenizer.convert_tokens_to_ids(each)]
        for each in (start, end)
    )
    bounds = zip(starts[-len(marks) :], ends[-len(marks) :], marks, strict=True)
    for first, last, size in sorted(bounds, reverse=True):
        ids[first + 1 : last] = [size]
    if images:
        picture = tokenizer.convert_tokens_to_ids(mark)
        ids = [_IMAGE if token == picture else token for token in ids]
    texts = [f"{space}{number}" for space in ("", " ") for number in range(_MAX_SIDE + 1)]
    numbers: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    longest = max(map(len, numbers))
    table = torch.tensor([each + [-1] * (longest - len(each)) for each in numbers])
    pictures = {f"{_PICTURE}{number}": _drawn(image) for number, image in enumerate(images, 1)}
    table = table.view(1, 2, _MAX_SIDE + 1, longest)
    return {PROMPT: torch.tensor([ids]), NUMBERS: table, **pictures}


def _drawn(image: Tensor) -> Tensor:
    import numpy as np

    from nodegraph.media.images.images import to_pil

    height, width = image.shape[:2]
    if max(height, width) > _RATIO * min(height, width) or min(height, width) < _MIN_SIDE:
        raise InvalidValue(
            "GLM-Image cannot edit an image of this shape",
            port="images",
            given=f"{width} x {height} pixels",
            expected=f"sides of at least {_MIN_SIDE} pixels, "
            f"the longer one at most {_RATIO} times the shorter one",
            hint="Put a CropImage before this node.",
        )
    return torch.from_numpy(np.array(to_pil(image).convert("RGB")))[None]


@dataclass(frozen=True, slots=True)
class PriorPrompt:
    """What the language model reads of a prompt.

    Attributes:
        tokens, numbers: See `PROMPT`.
        images: To edit, uint8, each of shape (1, height, width, 3).
    """

    tokens: Tensor
    numbers: Tensor
    images: tuple[Tensor, ...] = ()

    @classmethod
    def take(cls, tensors: dict[str, Tensor]) -> PriorPrompt | None:
        """Remove what `prompt_tokens` gave from tensors; None if there is nothing."""
        names = sorted(
            (name for name in tensors if name.startswith(_PICTURE)),
            key=lambda name: int(name.removeprefix(_PICTURE)),
        )
        images = tuple(tensors.pop(name) for name in names)
        tokens, numbers = tensors.pop(PROMPT, None), tensors.pop(NUMBERS, None)
        return None if tokens is None or numbers is None else cls(tokens, numbers, images)

    def fill(self, size: PriorSize, references: Sequence[Tensor]) -> Tensor:
        """Return the tokens with those of the sizes and images; int64, (1, tokens).

        Args:
            references: Prior tokens of the images, each of shape (rows, columns).
        """
        sizes = {
            _SIZE: (size.rows, size.columns),
            _PREVIEW_SIZE: (size.preview_rows, size.preview_columns),
        }
        pictures = iter(references)
        ids: list[int] = []
        for token in self.tokens[0].tolist():
            if token == _IMAGE:
                ids += next(pictures).flatten().tolist()
            elif token in sizes:
                for spaced, number in enumerate(sizes[token]):
                    ids += [each for each in self.numbers[0, spaced, number].tolist() if each >= 0]
            else:
                ids.append(token)
        return torch.tensor([ids])


@dataclass(frozen=True, slots=True)
class PriorSize:
    """Rows and columns of prior tokens, and those of the preview that precedes them."""

    rows: int
    columns: int
    preview_rows: int
    preview_columns: int

    @classmethod
    def of(cls, width: int, height: int, *, previews: bool) -> PriorSize:
        """For an image, in pixels; as transformers' processor of GLM-Image has them.

        Args:
            previews: Whether there is a preview.
        """
        rows, columns = height // PIXELS, width // PIXELS
        if not previews:
            return cls(rows, columns, 0, 0)
        ratio = rows / columns
        return cls(
            rows, columns, int(math.sqrt(ratio) * _PREVIEW), int(math.sqrt(1 / ratio) * _PREVIEW)
        )

    @property
    def preview(self) -> int:
        """Tokens of the preview."""
        return self.preview_rows * self.preview_columns

    @property
    def count(self) -> int:
        """Tokens of the image."""
        return self.rows * self.columns

    @property
    def grids(self) -> list[list[int]]:
        """Frames, rows and columns of what is generated, as transformers counts them."""
        grids = [[1, self.rows, self.columns], [1, self.preview_rows, self.preview_columns]]
        return grids if self.preview else grids[:1]


_LOCK = Lock()
"""Held while a language model generates: it keeps positions between its steps."""
_PRIORS: WeakKeyDictionary[Any, OrderedDict[tuple[Any, ...], Tensor]] = WeakKeyDictionary()
"""The latest results of each language model: generating takes longer than many steps."""


def _known(writer: Any, key: tuple[Any, ...], compute: Callable[[], Tensor]) -> Tensor:
    """Return what was computed for a key, or compute it, one thread at a time."""
    with _LOCK:
        known = _PRIORS.setdefault(writer, OrderedDict())
        if key not in known:
            known[key] = compute()
            if len(known) > _KEPT:
                known.popitem(last=False)
        known.move_to_end(key)
        return known[key]


def reference_tokens(model: Denoiser, image: Tensor) -> Tensor:
    """Return the prior tokens of an image to edit; int64 on the CPU, (rows, columns).

    The image is scaled as the model's processor does it: to about the same size, with sides that
    are multiples of 32 pixels.

    Args:
        image: uint8, shape (1, height, width, 3).
    """
    from hashlib import sha256

    writer = model.modules[WRITER]
    sight = _sight(model.settings.get(PROCESSOR, {}))
    digest = sha256(image.numpy().tobytes()).hexdigest()
    key = digest, tuple(image.shape), repr(sight), writer.device, writer.dtype
    return _known(writer, key, lambda: _read(writer, sight, image))


def _sight(settings: Config) -> dict[str, Any]:
    """Return the arguments of the image processor, by the files of its folder."""
    own: Mapping[str, Any] = settings.get("image_processor", settings)
    merged = {**_SIGHT, **{name: own[name] for name in (*_SIGHT, "resample") if name in own}}
    if "min_pixels" in own and "max_pixels" in own and "size" not in own:
        merged["size"] = {"shortest_edge": own["min_pixels"], "longest_edge": own["max_pixels"]}
    return merged


def _read(writer: Any, sight: Mapping[str, Any], image: Tensor) -> Tensor:
    from PIL import Image
    from transformers import GlmImageImageProcessorPil

    prepare = GlmImageImageProcessorPil(**sight)
    drawn = Image.fromarray(image[0].numpy())
    features = prepare(images=[drawn], return_tensors="pt")
    grids = features["image_grid_thw"]
    with torch.no_grad():
        pixels = features["pixel_values"].to(writer.device)
        embeddings = writer.get_image_features(pixels, grids.to(writer.device)).pooler_output
        codes: Tensor = writer.get_image_tokens(embeddings)
    _, rows, columns = grids[0].tolist()
    return codes.cpu().view(rows, columns)


def prior_grid(
    model: Denoiser, prompt: PriorPrompt, references: Sequence[Tensor], request: SamplingRequest
) -> Tensor:
    """Return the prior tokens of a new image; int64 on the CPU, (rows, columns).

    Args:
        references: Those of the images to edit, from `reference_tokens`.
    Raises:
        InvalidValue: There is no seed, the image is too large, or the tokens are no image.
    """
    if request.seed is None:
        raise InvalidValue(
            "GLM-Image plans whole pictures, and cannot be evaluated in tiles",
            port=request.side,
            hint="Sample the whole picture at once.",
        )
    size = PriorSize.of(request.width, request.height, previews=not references)
    if max(size.rows, size.columns) > _MAX_SIDE:
        raise InvalidValue(
            "the picture is too large for GLM-Image",
            port="latent",
            given=f"{request.width} x {request.height}",
            expected=f"at most {_MAX_SIDE * PIXELS} pixels along a side",
        )
    ids, writer, seed = prompt.fill(size, references), model.modules[WRITER], request.seed
    grids = [[1, *item.shape] for item in references] + size.grids
    settings = model.settings.get(WRITER, {})
    key = (tuple(ids[0].tolist()), seed, str(grids), writer.device, writer.dtype)
    grid = _known(writer, key, lambda: _generated(writer, settings, ids, grids, size, seed))
    codes = int(model.config["prior_vq_quantizer_codebook_size"])
    if len(grid) < size.count or int(grid.max()) >= codes:
        raise InvalidValue(
            "the language model of GLM-Image ended before the picture was whole",
            port=request.side,
            given=f"{int((grid < codes).sum())} image tokens",
            expected=f"{size.count} image tokens",
            hint="Choose another seed.",
        )
    return grid.view(size.rows, size.columns)


def _generated(
    writer: Any,
    settings: Config,
    ids: Tensor,
    grids: Sequence[Sequence[int]],
    size: PriorSize,
    seed: int,
) -> Tensor:
    """Return the tokens of the image as the language model draws them; int64 on the CPU, (tokens,).

    Args:
        settings: Content of its ``generation_config.json``; empty if there is none.
        grids: Of the images in the prompt and of those to generate.
    """
    from transformers import GenerationConfig

    if settings:
        writer.generation_config = GenerationConfig.from_dict(dict(settings))
    device = writer.device
    # On the CPU, as all noise is drawn: a seed has the same numbers on each device.
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        tokens = writer.generate(
            input_ids=ids.to(device),
            attention_mask=torch.ones_like(ids, device=device),
            image_grid_thw=torch.tensor(grids, device=device),
            images_per_sample=torch.tensor([len(grids)], device=device),
            max_new_tokens=size.count + size.preview + 1,
            do_sample=True,
            custom_generate=_sampling_with(generator),
        )
    begin = ids.shape[1] + size.preview
    picture: Tensor = tokens[0, begin : begin + size.count].cpu()
    return picture


def _sampling_with(generator: torch.Generator) -> Callable[..., Any]:
    """A decoding method for transformers' `generate` that samples with a generator.

    The usual one samples with torch's global generator, whose state other threads change.
    """
    from transformers import LogitsProcessorList

    def draw(_: Tensor, scores: Tensor) -> Tensor:
        chances = torch.nn.functional.softmax(scores, dim=-1).cpu()
        drawn = torch.multinomial(chances, 1, generator=generator)
        return torch.zeros_like(scores).scatter_(1, drawn.to(scores.device), 1.0)

    def decode(
        model: Any, input_ids: Tensor, logits_processor: Sequence[Any], **options: Any
    ) -> Any:
        # The highest score is the token that was drawn.
        options["generation_config"].do_sample = False
        return model._sample(
            input_ids, logits_processor=LogitsProcessorList([*logits_processor, draw]), **options
        )

    return decode
