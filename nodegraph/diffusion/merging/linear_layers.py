"""Linear layers that compute each sampling's rows apart, inside of a common batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode


class LinearApart(TorchFunctionMode):
    """Inside the `with`, this thread's linear layers take the parts of a batch one by one.

    Libraries sum up a product of matrices in another order where it has more rows. Convolutions,
    norms and attention go item by item, mostly, so that these layers alone would change bits; and
    they are the smaller part of the time of a UNet.

    Args:
        parts: How many samplings the batch is of, each with as many rows.
    """

    def __init__(self, parts: int) -> None:
        super().__init__()
        self._parts = parts

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = kwargs or {}
        if func is not linear or not args:
            return func(*args, **given)
        rows: Tensor = args[0]
        if len(rows) % self._parts:
            return func(*args, **given)  # not of the batch, such as a table of positions
        return torch.cat([func(part, *args[1:], **given) for part in rows.chunk(self._parts)])
