"""Teaching a subject, with pictures of its class kept: DreamBooth.

Source: Ruiz et al. 2022, arXiv:2208.12242.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from nodegraph.core.dataset_values import Dataset
from nodegraph.errors import InvalidValue
from nodegraph.training.drawing import generator_of
from nodegraph.training.painting import PictureRequest, generate_pictures
from nodegraph.training.running import TrainingSetup


def with_caption(dataset: Dataset, prompt: str) -> Dataset:
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
    setup: TrainingSetup, prompt: str, count: int, *, steps: int = 25, cfg: float = 5.0
) -> Dataset:
    """Pictures of a subject's class, as the model paints them before it learns.

    They are of the size of the first picture that is learned from, changed as the dataset says.

    Raises:
        InvalidValue: See `Denoising`.
    """
    from nodegraph.media.datasets.reading import training_size

    seeds = torch.randint(
        2**62, (count,), generator=generator_of(setup.plan.seed, "class")
    ).tolist()
    wanted = [PictureRequest(f"class {at + 1}", prompt, seed) for at, seed in enumerate(seeds)]
    examples = generate_pictures(
        setup, wanted, training_size(setup.dataset, 0), steps=steps, cfg=cfg
    )
    return setup.dataset.with_examples(examples)
