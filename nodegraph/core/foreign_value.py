"""Values of classes that only the process of an isolated pack knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

from nodegraph.core.values import NOT_CONTENT, DiffusionModel

ENDED: set[str] = set()
"""Processes of packs that have ended: values of their tokens are gone."""

STANDS_FOR = frozenset({"DiffusionModel", "Sampler", "Noise", "Guider"})
"""Port types of nodegraph that a value of a pack's process may have: a model that the pack patched,
or its own sampler, noise or guider. Nodes of other packs refuse it. The process lends it to native
nodes while they run."""


class _Referable:
    """Base of classes with slots that weak references may refer to."""

    __slots__ = ("__weakref__",)


@dataclass(frozen=True, slots=True)
class ForeignValue(_Referable):
    """Value on a link between nodes of isolated packs, as bytes that only these packs read.

    Other nodes pass it on. It is kept in memory only: the store does not write it, because only the
    pack's own code can read it.

    Attributes:
        type: Name of the port type.
        pack: Name of the pack whose process wrote it.
        data: Encoded value, or a token for a value that only lives in that process.
        process: Identifies the process that holds the value of a token. Empty for an encoded value.
        digest: Digest of its content. Empty if it is identified by the computation that made it, as
            other values without a content digest.
    """

    type: str
    pack: str
    data: bytes = field(metadata=NOT_CONTENT, repr=False)
    process: str = field(default="", metadata=NOT_CONTENT)
    digest: str = ""

    @property
    def is_opaque(self) -> bool:
        """Whether its content is not known, so that it has no digest."""
        return not self.digest

    @property
    def is_gone(self) -> bool:
        """Whether the process that held it has ended."""
        return self.process in ENDED


class Lent:
    """Base of what the process of a pack lends to a native node: of use while the node runs."""

    __slots__ = ()


def holds_lent(value: Any) -> bool:
    """Whether a value is lent, or has a part that is."""
    if isinstance(value, Lent):
        return True
    if is_dataclass(value) and not isinstance(value, type):
        return any(holds_lent(getattr(value, item.name, None)) for item in fields(value))
    if isinstance(value, Mapping):
        return any(map(holds_lent, value.values()))
    return isinstance(value, (list, tuple)) and any(map(holds_lent, value))


@dataclass(frozen=True, slots=True)
class LentModel(DiffusionModel, Lent):
    """A model that a pack patched, while a native node runs that uses it.

    Samplings apply the patches, see `nodegraph.sampling.denoise.apply_patches`. Copies with
    other settings keep them. `Context.weights` takes only `plain`, so no node leaves them out.

    Attributes:
        patches: What the pack set on samplings of the model, a `ModelPatches`.
    """

    patches: Any = field(default=None, repr=False, compare=False, metadata=NOT_CONTENT)

    @property
    def plain(self) -> DiffusionModel:
        """The model without the patches."""
        return DiffusionModel(self.family, self.files, self.dtype, self.options, self.adapters)


def unpatched(model: DiffusionModel) -> DiffusionModel:
    """A model without what a pack set on its samplings."""
    return model.plain if type(model) is LentModel else model
