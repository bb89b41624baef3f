"""Pictures that a model paints before it learns, to learn by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from nodegraph.core.dataset_values import Example
from nodegraph.core.values import Latent
from nodegraph.families.registry import get_family
from nodegraph.sampling.sampling_parts import build_sampling_parts
from nodegraph.training.running import TrainingSetup


class PictureRequest(NamedTuple):
    """A picture to be painted.

    Attributes:
        name: Of the example that it becomes.
        prompt: What it shows; its caption.
        seed: Of its noise.
    """

    name: str
    prompt: str
    seed: int


def generate_pictures(
    setup: TrainingSetup,
    wanted: Sequence[PictureRequest],
    size: tuple[int, int] | None = None,
    *,
    steps: int = 25,
    cfg: float = 5.0,
) -> tuple[Example, ...]:
    """Pictures as the model paints them before it learns, as examples.

    Args:
        size: Width and height in pixels; None: as the model was trained on.
        steps, cfg: Of sampling.
    Raises:
        InvalidValue: See `Denoising`.
    """
    from nodegraph.models.text import encode_prompt
    from nodegraph.models.vae import decode_latent
    from nodegraph.sampling.denoise import Denoising

    ctx, family = setup.ctx, get_family(setup.model.family)
    with ctx.weights(setup.text_encoder, calls_only=True) as text_model:
        conditionings = {
            text: encode_prompt(text_model, text) for text in {item.prompt for item in wanted}
        }
    is_flow = family.noise == "flow"
    made = []
    with ctx.weights(setup.training_model, calls_only=True) as model:
        width, height = size or family.trained_size(model.config)
        for item in wanted:
            parts = build_sampling_parts(
                conditionings[item.prompt],
                None,
                seed=item.seed,
                steps=steps,
                cfg=cfg,
                sampler="euler" if is_flow else "dpmpp_2m",
                schedule="normal" if is_flow else "karras",
            )
            denoising = Denoising(model, Latent(None, width, height), parts)
            for _ in denoising:
                ctx.check_cancelled()
            made.append(denoising.result())
    with ctx.weights(setup.vae, calls_only=True) as autoencoder:
        pictures = [decode_latent(autoencoder, latent)[0] for latent in made]
    return tuple(
        Example(picture, item.name, item.prompt)
        for picture, item in zip(pictures, wanted, strict=True)
    )
