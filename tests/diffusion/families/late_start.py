"""Stock pipelines that go on from an image, for families of which diffusers has none that do."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from .equality import SEED


class LateScheduler:
    """A scheduler whose last levels alone are walked, as diffusers' pipelines that begin with an
    image do: it is told the index to begin at, and keeps all of its levels.

    Everything else is the scheduler's own.

    Args:
        scheduler: Of a family.
        walked: How many levels.
    """

    def __init__(self, scheduler: Any, walked: int) -> None:
        self.scheduler, self.walked = scheduler, walked
        self.asked: tuple[tuple[Any, ...], dict[str, Any]] = ((), {})

        @functools.wraps(scheduler.set_timesteps)  # pipelines look at which arguments there are
        def set_timesteps(*args: Any, **kwargs: Any) -> None:
            self.asked = args, kwargs
            scheduler.set_timesteps(*args, **kwargs)
            self.set_begin_index()

        self.set_timesteps = set_timesteps

    def __getattr__(self, name: str) -> Any:
        return getattr(self.scheduler, name)

    @property
    def timesteps(self) -> Tensor:
        """Those that a pipeline walks."""
        found: Tensor = self.scheduler.timesteps[-self.walked :]
        return found

    def set_begin_index(self, index: int = 0) -> None:
        """Begin where the levels that are walked do, and so many further."""
        self.scheduler.set_begin_index(len(self.scheduler.timesteps) - self.walked + index)

    def noised(self, latent: Tensor) -> Tensor:
        """A latent with noise of the first level, by the scheduler's own rule; the levels are those
        of the pipeline's last call."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of numpy, to diffusers
            args, kwargs = self.asked
            self.set_timesteps(*args, **kwargs)  # as it was before the first step
        noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(SEED))
        first = self.timesteps[:1]
        if hasattr(self.scheduler, "scale_noise"):
            found: Tensor = self.scheduler.scale_noise(latent, first, noise)
        else:
            found = self.scheduler.add_noise(latent, noise, first)
        return found


@contextmanager
def late_start(pipeline: Any, walked: int) -> Iterator[Callable[[Tensor], Tensor]]:
    """Inside the `with` the pipeline walks the last levels of its scheduler alone.

    Gives what puts noise of the first of them on a latent.
    """
    usual = pipeline.scheduler
    scheduler = LateScheduler(type(usual).from_config(usual.config), walked)
    pipeline.scheduler = scheduler
    try:
        yield scheduler.noised
    finally:
        pipeline.scheduler = usual
