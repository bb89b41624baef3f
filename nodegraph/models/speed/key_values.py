"""Keys and values of prompts, kept for the steps of one sampling."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import is_
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nodegraph.families.key_values import KEY_VALUES, KeyValueStore
from nodegraph.families.speed_options import HOST, KeyValues

if TYPE_CHECKING:
    from nodegraph.families.components import Denoiser
    from nodegraph.families.model_step import Moment

_FILLED = "filled"


class KeyValueSteps:
    """The stores of one sampling, one for the prompts of each call.

    A checkpoint names the stores that are filled, and holds no keys and values, which may take
    gigabytes. A resumed sampling computes them once more before its first step.

    Args:
        model: The denoiser. Its networks stay as they are.
        caching: The options of the cache.

    Attributes:
        model: The denoiser.
        calls, reused: How often the network was called, and how often with kept keys and values.
    """

    is_savable = True

    def __init__(self, model: Denoiser, caching: KeyValues) -> None:
        self.model = model
        self.calls = self.reused = 0
        self._on_host = caching.memory == HOST
        self._stores: dict[str, tuple[KeyValueStore, list[Tensor]]] = {}
        self._due: set[str] = set()

    @contextmanager
    def call(
        self,
        prompts: str,
        moment: Moment,
        tensors: Sequence[Mapping[str, Tensor]],
        item: int | None = None,
    ) -> Iterator[Mapping[str, Any]]:
        """Give the batch of a call the store of its prompts.

        Args:
            prompts: Names those of the call, alike at each step.
            moment: Where the sampling is, which changes nothing.
            tensors: Those of the prompts. If they are others than before, the store starts anew.
            item: The only item of the batch that is asked about. Items share the store if their
                prompts are alike. An item with images of its own has its own store.
        Yields:
            What the batch has besides.
        """
        inputs = [tensor for prompt in tensors for tensor in prompt.values()]
        if item is not None and any(tensor.ndim and len(tensor) > 1 for tensor in inputs):
            prompts = f"{prompts} of {item}"
        store, known = self._stores.get(prompts, (None, []))
        is_same = len(known) == len(inputs) and all(map(is_, known, inputs))
        if store is None or not is_same:
            # What was kept of other tensors is freed first.
            self._stores.pop(prompts, None)
            store = KeyValueStore(on_host=self._on_host, is_due=prompts in self._due)
            self._due.discard(prompts)
        is_filled = store.cache is not None or store.is_due
        yield {KEY_VALUES: store}
        if store.cache is not None:
            self._stores[prompts] = store, inputs
        self.calls += 1
        self.reused += is_filled

    @property
    def reuse(self) -> str:
        """What was spared, in words."""
        return f"{self.reused} of {self.calls} calls of the network reused keys and values"

    def state(self) -> dict[str, Tensor]:
        """What a resumed sampling needs, on the CPU."""
        filled = [sorted({*self._stores, *self._due}), self.calls, self.reused]
        data = bytearray(json.dumps(filled).encode())
        return {_FILLED: torch.frombuffer(data, dtype=torch.uint8).clone()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned.

        Raises:
            ValueError: It is damaged.
        """
        try:
            names, self.calls, self.reused = json.loads(bytes(state[_FILLED].tolist()))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError("the state of the key-value cache is damaged") from error
        self._stores, self._due = {}, set(names)
