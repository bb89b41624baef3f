"""What a model is asked at a step of one sampling, and several of these as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from nodegraph.families.base import Family
from nodegraph.families.components import Denoiser
from nodegraph.families.model_step import Batch, Moment

Kind = tuple[Any, ...]
"""What questions must agree in to be asked as one."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """The arguments of `Family.predict`.

    Attributes:
        rows: Items times prompts.
    """

    family: Family
    model: Denoiser
    x: Tensor
    moment: Moment
    batch: Batch

    @property
    def rows(self) -> int:
        return len(self.x)

    def kind(self) -> Kind | None:
        """What tells it from others besides its rows' content; None if it is asked alone.

        Alone is whatever isn't plainly a matter of rows: control networks, pictures beside a
        prompt, attention of another way, slices, step caches, compiled blocks, gradients.
        """
        model, moment = self.model, self.moment
        named = self.family.row_names
        is_usual = not model.one_by_one and model.caching is None and not model.compiled
        if not (named and is_usual and model.attention == "auto") or torch.is_grad_enabled():
            return None
        if not all(
            name in named and _is_of_rows(item, self.rows) for name, item in _of(self.batch)
        ):
            return None
        shapes = tuple((name, tuple(item.shape), item.dtype) for name, item in _of(self.batch))
        times = (moment.timestep.dtype, moment.timestep.ndim, moment.training_timesteps)
        parts = tuple((role, id(module)) for role, module in sorted(model.modules.items()))
        return (parts, tuple(self.x.shape), self.x.dtype, self.x.device, *times, shapes)

    def key_parts(self) -> list[Any]:
        """The same as plain values that mean the same in another process, without the weights."""
        tensors = [[name, list(item.shape), str(item.dtype)] for name, item in _of(self.batch)]
        return [self.family.name, list(self.x.shape), str(self.x.dtype), tensors]

    def evaluate(self) -> Tensor:
        """What the model says, asked for this alone."""
        return self.family.predict(self.model, self.x, self.moment, self.batch)


def join_calls(questions: Sequence[ModelCall]) -> ModelCall:
    """Questions of one kind as one; each row has a timestep of its own."""
    first = questions[0]
    timesteps = torch.cat([item.moment.timestep.expand(item.rows) for item in questions])
    following = torch.cat([item.moment.following.expand(item.rows) for item in questions])
    names = first.batch.keys()
    return ModelCall(
        first.family,
        first.model,
        torch.cat([item.x for item in questions]),
        replace(first.moment, timestep=timesteps, following=following),
        {name: torch.cat([item.batch[name] for item in questions]) for name in names},
    )


def _of(batch: Batch) -> list[tuple[str, Any]]:
    return sorted(batch.items())


def _is_of_rows(item: Any, rows: int) -> bool:
    return isinstance(item, Tensor) and item.ndim > 0 and len(item) == rows
