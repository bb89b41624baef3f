"""A model's recipe with its weights kept in another form. Imports no torch."""

from __future__ import annotations

from dataclasses import replace

from nodegraph.core.recipe_options import SPEED_PREFIX
from nodegraph.core.values import DiffusionModel
from nodegraph.weights.precision.choices import (
    STORAGE,
    check_storage,
    fused_adapter_error,
    storage_option,
)

_FUSED = "fused"
"""In the kinds of adapters that are added to weights, not put beside them."""


def with_storage(model: DiffusionModel, storage: str) -> DiffusionModel:
    """A model whose weights are kept in a form: the recipe that loading with it gives.

    Args:
        storage: One of `STORAGES` but ``auto``; ``full`` is what it computes in.
    Raises:
        InvalidValue: There is no such form, or an adapter is fused with the weights.
    """
    check_storage(storage)
    kept = storage_option(storage, ())
    if kept and any(_FUSED in item.kind for item in model.adapters):
        raise fused_adapter_error()
    own = [item for item in model.options if item[0] != STORAGE]
    before = [item for item in own if not item[0].startswith(SPEED_PREFIX)]
    # In the order of loading, so that the base is the one that others load, too.
    after = [item for item in own if item[0].startswith(SPEED_PREFIX)]
    return replace(model, options=(*sorted((*before, *kept)), *after))
