"""Whole images by nodegraph and by the stock pipelines of diffusers, from the same folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from nodegraph.core.values import Conditioning, Latent
from nodegraph.diffusion import (
    decode_latent,
    decode_video,
    encode_prompt,
    load_component,
    open_model,
    sample,
)

SEED = 7
PROMPT = "a red cat"
NEGATIVE = "blurry, red"


def random_pipeline(build: Callable[[], Any]) -> Any:
    """A pipeline of random weights.

    None stays at a zero that it starts with, which would hide wrong calls. They ask for no
    gradients, as nodegraph's: torch takes other kernels for those that do, even where it makes
    none, which may give other last bits.
    """
    torch.manual_seed(0)
    pipeline = build()
    with torch.no_grad():
        for part in pipeline.components.values():
            if not isinstance(part, nn.Module):
                continue
            part.eval().requires_grad_(False)
            for weight in part.parameters():
                if weight.is_floating_point() and not bool(weight.any()):
                    weight.normal_(0, 0.02)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


@dataclass
class Made:
    """What a sampling gave.

    Attributes:
        latents: As nodegraph keeps them: never packed, scaled as the model was trained on.
        decode: Makes the pixels.
    """

    latents: Tensor
    decode: Callable[[], Tensor]

    @cached_property
    def pixels(self) -> Tensor:
        """In 0..1, shape (batch, 3, height, width), of videos (batch, frames, 3, height, width).

        Decoded where they are looked at: most tests are about latents.
        """
        return self.decode()


@dataclass
class Model:
    """A folder opened and loaded, in one precision, to one device."""

    folder: Path
    dtype: str = "float32"
    loaded: dict[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    encoded: dict[str, tuple[Any, Conditioning]] = field(default_factory=dict)

    def part(self, name: str) -> Any:
        """model, text_encoder or vae."""
        if name not in self.loaded:
            recipes = open_model(str(self.folder), [], dtype=self.dtype)
            self.loaded[name] = load_component(getattr(recipes, name), self.device)
        return self.loaded[name]

    def encode(self, text: str | None) -> Conditioning | None:
        """A prompt by the text encoder, which is asked once: with some, most of a test's time."""
        if text is None:
            return None
        encoder = self.part("text_encoder")
        by, known = self.encoded.get(text, (None, None))
        if known is None or by is not encoder:
            known = encode_prompt(encoder, text)
            self.encoded[text] = encoder, known
        return known

    def make(
        self,
        width: int,
        height: int,
        *,
        batch: int = 1,
        frames: int = 1,
        prompt: str = PROMPT,
        negative: str | None = None,
        latent: Latent | None = None,
        change: Callable[[Conditioning], Conditioning] = lambda given: given,
        away: Conditioning | None = None,
        **options: Any,
    ) -> Made:
        """Sample, and decode if need be, as the nodes do."""
        positive, against = self.encode(prompt), away or self.encode(negative)
        assert positive is not None
        start = latent or Latent(None, width, height, batch, frames=frames)
        usual = {"seed": SEED, "steps": 2, "schedule": "normal", "sampler": "euler"}
        found = sample(self.part("model"), change(positive), against, start, **{**usual, **options})
        assert found.samples is not None
        return Made(found.samples, lambda: self._pixels(found))

    def _pixels(self, latent: Latent) -> Tensor:
        assert latent.samples is not None
        if latent.samples.ndim == 5:
            return self._films(latent)
        return decode_latent(self.part("vae"), latent).movedim(-1, 1)

    def _films(self, latent: Latent) -> Tensor:
        assert latent.samples is not None
        items = [replace(latent, samples=item[None], batch_size=1) for item in latent.samples]
        return torch.stack([decode_video(self.part("vae"), item) for item in items]).movedim(-1, 2)


def stock(
    pipeline: Any,
    *,
    batch: int = 1,
    prompt: str = PROMPT,
    negative: str | None = None,
    steps: int = 2,
    out: str = "images",
    **options: Any,
) -> Made:
    """The same by the stock pipeline, with a generator for each image; pixels by a second run."""
    called: Mapping[str, Any] = {
        "prompt": prompt,
        "num_inference_steps": steps,
        f"num_{'images' if out == 'images' else 'videos'}_per_prompt": batch,
        **({} if negative is None else {"negative_prompt": negative}),
        **options,
    }

    def run(kind: str) -> Tensor:
        generators = [torch.Generator().manual_seed(SEED + item) for item in range(batch)]
        # What the stock pipeline is warned of is none of our business.
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            answer = pipeline(generator=generators, output_type=kind, **called)
        return torch.as_tensor(getattr(answer, out))

    return Made(run("latent"), lambda: run("pt"))


def assert_same(
    found: Made,
    expected: Made,
    unpack: Callable[[Tensor], Tensor] | None = None,
    *,
    pixels: bool = False,
) -> None:
    """Equal to the last bit, and no flat image.

    How latents are decoded doesn't depend on how they were sampled: once for each autoencoder and
    pipeline is enough. Images of a batch are decoded one by one here, so that one's bits don't
    depend on others; the stock pipelines decode them at once, which differs in last bits.
    """
    latents = expected.latents if unpack is None else unpack(expected.latents)
    assert latents.std() > 1e-4
    assert torch.equal(found.latents, latents), (found.latents - latents).abs().max()
    if not pixels:
        return
    assert expected.pixels.std() > 1e-4
    rounding = 0.0 if len(latents) == 1 else 1e-4
    torch.testing.assert_close(found.pixels, expected.pixels, rtol=0, atol=rounding)


def picture(width: int, height: int) -> Image.Image:
    """Of random dots."""
    dots = np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(dots, "RGB")
