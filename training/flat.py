"""All weights of a model as one vector: one tensor to average, clip, step, and save."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Place:
    """Where a parameter lies in a vector of all weights."""

    size: torch.Size
    stride: tuple[int, ...]
    start: int

    def view(self, vector: Tensor) -> Tensor:
        """Its part of a vector, (count,), in its own shape and memory format."""
        return vector.as_strided(self.size, self.stride, self.start)


class FlatWeights:
    """Re-homes a model's parameters and gradients in two contiguous float32 vectors.

    The model goes on working as before: its parameters become views of `values`, their gradients
    views of `gradient`. Do not move the model or call `zero_grad()` afterwards; use `zero()`.
    """

    def __init__(self, model: nn.Module) -> None:
        named = {name: p for name, p in model.named_parameters() if p.requires_grad}
        parameters = list(named.values())
        count = sum(p.numel() for p in parameters)
        device = parameters[0].device
        self.values = nn.Parameter(torch.empty(count, device=device))
        self.gradient = torch.zeros(count, device=device)
        self.values.grad = self.gradient
        self.places: dict[str, Place] = {}
        start = 0
        for name, parameter in named.items():
            # The strides are kept, so channels_last convolutions stay channels_last.
            place = self.places[name] = Place(parameter.size(), parameter.stride(), start)
            view = place.view(self.values.detach())
            view.copy_(parameter.detach())
            parameter.data = view
            parameter.grad = place.view(self.gradient)
            start += parameter.numel()

    @property
    def count(self) -> int:
        """Number of weights."""
        return self.values.numel()

    def zero(self) -> None:
        """Set all gradients to zero."""
        self.gradient.zero_()

    def load(self, values: Tensor) -> None:
        """Overwrite all weights, (count,)."""
        with torch.no_grad():
            self.values.copy_(values)

    def split(self, vector: Tensor) -> dict[str, Tensor]:
        """A vector, (count,), as tensors by parameter name, in plain memory order.

        The order within the vector depends on the model's memory format; these do not.
        """
        return {name: place.view(vector).contiguous() for name, place in self.places.items()}

    def join(self, parts: dict[str, Tensor]) -> Tensor:
        """The opposite of `split`."""
        vector = torch.empty_like(self.gradient)
        for name, place in self.places.items():
            place.view(vector).copy_(parts[name])
        return vector
