"""Teaching a subject, with pictures of its class kept: DreamBooth.

Source: Ruiz et al. 2022, arXiv:2208.12242.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from nodegraph.core.dataset_values import Dataset, Example
from nodegraph.core.values import Latent
from nodegraph.diffusion.families import family_named
from nodegraph.diffusion.sampling_parts import usual_parts
from nodegraph.diffusion.teaching.drawing import generator_of
from nodegraph.diffusion.teaching.running import Classroom
from nodegraph.errors import InvalidValue


def all_called(dataset: Dataset, prompt: str) -> Dataset:
    """Examples that all have one caption.

    Raises:
        InvalidValue: It is empty.
    """
    if not prompt.strip():
        raise InvalidValue("the subject has no prompt", port="prompt", given=repr(prompt))
    return dataset.with_examples(
        replace(item, caption=prompt, tags=()) for item in dataset.examples
    )


def class_pictures(
    room: Classroom, prompt: str, count: int, *, steps: int = 25, cfg: float = 5.0
) -> Dataset:
    """Pictures of a subject's class, as the model paints them before it learns.

    They are of the size of the first picture that is learned from, changed as the dataset says.

    Raises:
        InvalidValue: See `Denoising`.
    """
    from nodegraph.datasets.reading import size_of
    from nodegraph.diffusion.denoise import Denoising
    from nodegraph.diffusion.text import encode_prompt
    from nodegraph.diffusion.vae import decode_latent

    ctx, family = room.ctx, family_named(room.model.family)
    width, height = size_of(room.dataset, 0)
    with ctx.weights(room.text_encoder, calls_only=True) as text_model:
        said = encode_prompt(text_model, prompt)
    is_flow = family.noise == "flow"
    seeds = torch.randint(2**62, (count,), generator=generator_of(room.plan.seed, "class"))
    made = []
    with ctx.weights(room.lesson_model, calls_only=True) as model:
        for seed in seeds.tolist():
            parts = usual_parts(
                said,
                None,
                seed=seed,
                steps=steps,
                cfg=cfg,
                sampler="euler" if is_flow else "dpmpp_2m",
                schedule="normal" if is_flow else "karras",
            )
            denoising = Denoising(model, Latent(None, width, height), parts)
            for _ in denoising:
                ctx.check_cancelled()
            made.append(denoising.result())
    with ctx.weights(room.vae, calls_only=True) as autoencoder:
        pictures = [decode_latent(autoencoder, latent)[0] for latent in made]
    examples = tuple(
        Example(picture, f"class {at + 1}", prompt) for at, picture in enumerate(pictures)
    )
    return room.dataset.with_examples(examples)
