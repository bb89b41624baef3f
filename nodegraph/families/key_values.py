"""Keys and values that a prompt and its reference images have at each step. Imports no torch.

Some transformers compute the prompt, its reference images or both as if the timestep were 0, and
let them attend to nothing that changes. What attention reads of them is then alike at each step,
so that it is computed once for a sampling.

Source: diffusers, ``QwenImage21KVCache`` and ``Flux2KVCache``.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableSequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, device

    from nodegraph.families.components import Denoiser
    from nodegraph.families.model_step import Batch

KEY_VALUES = "key_values"
"""Name in a batch of the `KeyValueStore` of its prompts; in the settings of a denoiser, whether its
recipe keeps keys and values; and in `Family.speedups`, whether its network can."""

PIPELINE_CLASS = "_class_name"
"""Entry of ``model_index.json`` with the class of the pipeline, for families that need it."""
_KV_PIPELINE = "Flux2KleinKVPipeline"

_PROMPT_TOKENS = 4096 + 512
"""Tokens of a prompt that memory is planned for: an image of a megapixel, and text."""


@dataclass(slots=True)
class KeyValueStore:
    """Keys and values of the prompts of one call, in one sampling.

    Attributes:
        cache: The network's own cache, of a class in diffusers; None until a call filled one.
        on_host: Whether the memory of the host holds the tensors until a layer reads them.
        is_due: Whether the next call only fills the cache, as the sampling was resumed after the
            step that did so.
    """

    cache: Any = None
    on_host: bool = False
    is_due: bool = False


class HostLayer:
    """Keys and values of one layer, which the memory of the host holds between calls.

    It stands for the layers of the caches in diffusers.
    """

    def __init__(self) -> None:
        self._tensors: tuple[Tensor, Tensor] | None = None
        self._device: device | None = None

    def store(self, keys: Tensor, values: Tensor) -> None:
        """Keep keys and values, each of shape (batch, tokens, heads, head width)."""
        self._device = keys.device
        self._tensors = keys.to("cpu"), values.to("cpu")

    def get(self) -> tuple[Tensor, Tensor]:
        """Return keys and values on the device that they came from.

        Raises:
            RuntimeError: There are none yet.
        """
        if self._tensors is None:
            raise RuntimeError("the layer has no keys and values yet")
        keys, values = self._tensors
        return keys.to(self._device), values.to(self._device)


def move_layers(layers: MutableSequence[Any]) -> None:
    """Move the filled layers of a cache to the memory of the host, in place."""
    for number, layer in enumerate(layers):
        layers[number] = HostLayer()
        layers[number].store(*layer.get())


def store_in(batch: Batch) -> KeyValueStore | None:
    """Return the store of a batch; None if its call keeps nothing."""
    store: KeyValueStore | None = batch.get(KEY_VALUES)
    return store


def has_fixed_references(model: Denoiser) -> bool:
    """Return whether reference images are computed apart from what changes, so that they can be
    kept: by an option of the recipe, or as the model was trained so."""
    is_trained = model.settings.get(PIPELINE_CLASS) == _KV_PIPELINE
    return is_trained or bool(model.settings.get(KEY_VALUES))


def prompt_numbers(config: Mapping[str, Any]) -> int:
    """Return how many numbers the keys and values of a prompt have, with an image of a megapixel.

    Args:
        config: Of the transformer.
    """
    layers = int(config.get("num_layers", 0)) + int(config.get("num_single_layers", 0))
    width = int(config.get("num_attention_heads", 0)) * int(config.get("attention_head_dim", 0))
    return 2 * layers * width * _PROMPT_TOKENS
