"""Adapters put on modules: from the files that a recipe names to modules that share weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import Adapter, Recipe
from nodegraph.errors import InvalidFile
from nodegraph.families.components import Component, TextModel
from nodegraph.models.adapters.changes import LayerChange
from nodegraph.models.adapters.files import FUSED, no_match_error, read_adapter
from nodegraph.models.adapters.inversion_files import INVERSION
from nodegraph.models.adapters.inversions import with_inversion_token
from nodegraph.models.adapters.layers import layers_of, with_changes
from nodegraph.models.adapters.matching import match
from nodegraph.models.adapters.reading import AdapterTensors
from nodegraph.models.ip_adapters.files import IP_ADAPTER

_Changes = dict[str, dict[str, list[LayerChange]]]
"""By module and path."""


def derive(component: Component, recipe: Recipe) -> Component:
    """A component with a recipe's adapters on it, from the one without, whose weights it shares.

    Args:
        component: Of the recipe's base; it stays as it is.
    Raises:
        InvalidFile: See `adapted`.
    """
    layered = [item for item in recipe.adapters if item.kind not in (INVERSION, IP_ADAPTER)]
    modules = adapt_modules(component.modules, layered, dtype=recipe.dtype)
    pictured = [item for item in recipe.adapters if item.kind == IP_ADAPTER]
    if pictured:
        modules = _with_ip_adapters(modules, pictured)
    if not isinstance(component, TextModel):
        return replace(component, modules=modules)
    # An empty prompt, too, is another one with adapters.
    text_model = replace(component, modules=modules, empty={})
    for item in recipe.adapters:
        if item.kind == INVERSION:
            with _unchanged(item):
                text_model = with_inversion_token(text_model, item, recipe.dtype)
    return text_model


def _with_ip_adapters(
    modules: Mapping[str, nn.Module], adapters: Sequence[Adapter]
) -> dict[str, nn.Module]:
    """Modules of which the first is led by pictures."""
    # Its layers take a while to import, which only those wait for who use them.
    from nodegraph.models.ip_adapters.applying import attach_ip_adapters

    with ExitStack() as held:
        for item in adapters:
            held.enter_context(_unchanged(item))
        role, module = next(iter(modules.items()))
        return {**modules, role: attach_ip_adapters(module, adapters)}


def adapt_modules(
    modules: Mapping[str, nn.Module], adapters: Sequence[Adapter], *, dtype: str
) -> dict[str, nn.Module]:
    """Modules with adapters on them; the given ones stay as they are and share their weights.

    Args:
        modules: By name, such as ``unet`` or ``text_encoder_2``.
        adapters: Applied in this order. At strength 0 one changes nothing, to the last bit.
        dtype: Precision of the recipe, which the adapters' tensors are brought to.
    Raises:
        InvalidFile: Nothing in a file is for these modules, or it can't be read, or was changed
            since the recipe was made.
    """
    changes: _Changes = {}
    for adapter in adapters:
        _collect(adapter, modules, dtype, changes)
    return {
        name: with_changes(module, changes[name]) if name in changes else module
        for name, module in modules.items()
    }


def _collect(
    adapter: Adapter, modules: Mapping[str, nn.Module], dtype: str, changes: _Changes
) -> None:
    with _unchanged(adapter):
        _collect_layers(adapter, modules, dtype, changes)


def _collect_layers(
    adapter: Adapter, modules: Mapping[str, nn.Module], dtype: str, changes: _Changes
) -> None:
    path = Path(adapter.source)
    file = read_adapter(path)
    layers = {
        name: layers_of(module)
        for name, module in modules.items()
        if name in (adapter.modules or modules)
    }
    matched = match(file.parts, layers)
    if not matched.applied:
        raise no_match_error(file, matched)
    if not adapter.strength:
        return
    tensors = AdapterTensors(path, dtype, file.metadata)
    for change in matched.changes:
        layer = modules[change.module].get_submodule(change.location.path)
        parts, spans = file.parts[change.stem], change.location.spans
        made = tensors.change(change.stem, parts, spans)
        lengths = tensors.magnitudes(parts, spans)
        if lengths is not None:
            values, of_rows = lengths
            if spans is not None and not of_rows:
                raise InvalidFile(
                    f"{path} changes {change.stem} by DoRA along its inputs, and the model has "
                    "that layer in several parts.",
                )
            weight = layer.weight
            assert isinstance(weight, Tensor)
            made.set_magnitudes(values.to(weight.device), weight, of_rows=of_rows)
        made.strength, made.is_fused = adapter.strength, adapter.kind == FUSED
        of_module = changes.setdefault(change.module, {})
        of_module.setdefault(change.location.path, []).append(made.requires_grad_(False))


@contextmanager
def _unchanged(adapter: Adapter) -> Iterator[None]:
    """Make sure that an adapter's file is, from begin to end of the `with`, the recipe's."""
    _check_digest(adapter)
    try:
        yield
    finally:
        # What a half-written file makes fail is told as what it is.
        _check_digest(adapter)


def _check_digest(adapter: Adapter) -> None:
    if FILE_DIGESTS.digest(Path(adapter.source)) != adapter.digest:
        raise InvalidFile(
            f"{adapter.source} was changed while a run used it.",
            expected="files that stay as they are while a run uses them",
            hint="Run it again: it will use the new file.",
        )
