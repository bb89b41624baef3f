"""Values on links between pipeline nodes. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from nodegraph.core.ports import port_type
from nodegraph.core.values import Recipe

if TYPE_CHECKING:
    from torch import Tensor as _Tensor

    Tensor: TypeAlias = _Tensor | list[_Tensor]
    """Of any shape and kind, or a list of such, on the CPU: embeddings, masks of text, latents."""
else:

    @port_type(name="Tensor", color="#90a4ae")
    class Tensor:
        """Numbers for another pipeline: embeddings, masks of text, latents."""


@port_type(name="Pipeline", color="#c0a16b")
@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline of diffusers: what it is made of, not its weights.

    Attributes:
        class_name: Of diffusers, such as ``StableAudioPipeline``.
        parts: Recipes by the names of its parts; several share one where a native family has them
            in one component.
        schedulers: Configurations by the names of its schedulers, with their ``_class_name``.
        config: Plain values that its constructor takes.
    """

    class_name: str
    parts: Mapping[str, Recipe] = field(default_factory=dict)
    schedulers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def recipes(self) -> list[Recipe]:
        """Of its parts, each once."""
        return list(dict.fromkeys(self.parts.values()))

    @property
    def names(self) -> frozenset[str]:
        """Of all that it has, schedulers included."""
        return frozenset({*self.parts, *self.schedulers})
