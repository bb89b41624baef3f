"""Adapters put on modules: from the files that a recipe names to modules that share weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import nn

from nodegraph.core.file_digests import FILE_DIGESTS
from nodegraph.core.values import Adapter
from nodegraph.diffusion.adapters.changes import LayerChange
from nodegraph.diffusion.adapters.files import nothing_applies, read_adapter
from nodegraph.diffusion.adapters.layers import changed, layers_of
from nodegraph.diffusion.adapters.matching import match
from nodegraph.diffusion.adapters.reading import AdapterTensors
from nodegraph.errors import InvalidFile

_Changes = dict[str, dict[str, list[LayerChange]]]
"""By module and path."""


def adapted(
    modules: Mapping[str, nn.Module],
    adapters: Sequence[Adapter],
    *,
    dtype: str,
    fused: bool = False,
) -> dict[str, nn.Module]:
    """Modules with adapters on them; the given ones stay as they are and share their weights.

    Args:
        modules: By name, such as ``unet`` or ``text_encoder_2``.
        adapters: Applied in this order. At strength 0 one changes nothing, to the last bit.
        dtype: Precision of the recipe, which the adapters' tensors are brought to.
        fused: See `layers.changed`.
    Raises:
        InvalidFile: Nothing in a file is for these modules, or it can't be read, or was changed
            since the recipe was made.
    """
    changes: _Changes = {}
    for adapter in adapters:
        _collect(adapter, modules, dtype, changes)
    return {
        name: changed(module, changes[name], fused=fused) if name in changes else module
        for name, module in modules.items()
    }


def _collect(
    adapter: Adapter, modules: Mapping[str, nn.Module], dtype: str, changes: _Changes
) -> None:
    path = Path(adapter.source)
    file = read_adapter(path)
    _check_unchanged(path, adapter)
    matched = match(file.parts, {name: layers_of(module) for name, module in modules.items()})
    if not matched.applied:
        raise nothing_applies(file, matched)
    if not adapter.strength:
        return
    tensors = AdapterTensors(path, dtype, file.metadata)
    _check_unchanged(path, adapter)
    for change in matched.changes:
        layer = modules[change.module].get_submodule(change.place.path)
        parts, spans = file.parts[change.stem], change.place.spans
        made = tensors.change(change.stem, parts, spans)
        lengths = tensors.lengths(parts, spans)
        if lengths is not None:
            values, of_rows = lengths
            if spans is not None and not of_rows:
                raise InvalidFile(
                    f"{path} changes {change.stem} by DoRA along its inputs, and the model has "
                    "that layer in several parts.",
                )
            weight = layer.get_parameter("weight")
            made.set_lengths(values.to(weight.device), weight, of_rows=of_rows)
        made.strength = adapter.strength
        of_module = changes.setdefault(change.module, {})
        of_module.setdefault(change.place.path, []).append(made.requires_grad_(False))


def _check_unchanged(path: Path, adapter: Adapter) -> None:
    if FILE_DIGESTS.digest(path) != adapter.digest:
        raise InvalidFile(
            f"{path} was changed while a run used it.",
            expected="files that stay as they are while a run uses them",
            hint="Run it again: it will use the new file.",
        )
