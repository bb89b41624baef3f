"""Stock pipelines that go on from a picture, for families of which diffusers has none that do."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from .equality import SEED


@contextmanager
def late_start(pipeline: Any, walked: int) -> Iterator[Callable[[Tensor], Tensor]]:
    """Inside the `with` the pipeline walks the last levels of its scheduler alone.

    Gives what puts noise of the first of them on a latent, by the scheduler's own rule. It knows
    the levels from the pipeline's last call.
    """
    usual = pipeline.scheduler
    scheduler = type(usual).from_config(usual.config)
    lay = scheduler.set_timesteps
    asked: dict[str, Any] = {}

    @functools.wraps(lay)
    def set_timesteps(*args: Any, **kwargs: Any) -> None:
        asked.update(args=args, kwargs=kwargs)
        lay(*args, **kwargs)
        scheduler.timesteps = scheduler.timesteps[-walked:]
        scheduler.sigmas = scheduler.sigmas[-walked - 1 :]

    def noised(latent: Tensor) -> Tensor:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numpy, to diffusers
            set_timesteps(*asked["args"], **asked["kwargs"])  # as it was before the first step
        noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(SEED))
        first = scheduler.timesteps[:1]
        if hasattr(scheduler, "scale_noise"):
            found: Tensor = scheduler.scale_noise(latent, first, noise)
        else:
            found = scheduler.add_noise(latent, noise, first)
        return found

    scheduler.set_timesteps = set_timesteps
    pipeline.scheduler = scheduler
    try:
        yield noised
    finally:
        pipeline.scheduler = usual
