"""Which layers of some modules the changes in an adapter file are for, whatever naming it uses.

Names and shapes alone decide, so that it can be told before any weights are read, and without
torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod

from nodegraph.models.adapters.originals import OriginalLocation, originals
from nodegraph.models.adapters.parts import LayerParts, Shape
from nodegraph.models.adapters.stems import DENOISERS, ENCODERS, LayerName, parse_layer_name
from nodegraph.models.adapters.widening import fits_width


@dataclass(frozen=True, slots=True)
class ModuleLayers:
    """The layers of a module that may be changed.

    Attributes:
        kind: The module's class, such as ``UNet2DConditionModel``.
        shapes: Of each layer's weight, by path as in `named_modules`.
    """

    kind: str
    shapes: Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class MatchedChange:
    """A change in a file that is for a layer, or for rows of it.

    Attributes:
        stem: What the file calls the layer.
        module: Such as ``unet``.
        location: The layer, and its rows in what the file changes.
    """

    stem: str
    module: str
    location: OriginalLocation


@dataclass(frozen=True, slots=True)
class MatchResult:
    """What of a file is for some modules.

    Attributes:
        changes: In the file's order.
        applied: Layers of the file, by its own names, that have a place in the modules.
        misfits: Those whose layer is there, in another size.
        unknown: Those that are of these modules by their names, which have no such layer.
        elsewhere: Those that are of other modules, such as of text encoders where these denoise.
    """

    changes: tuple[MatchedChange, ...] = ()
    applied: tuple[str, ...] = ()
    misfits: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """Layers of the file that should have a place in the modules."""
        return len(self.applied) + len(self.misfits) + len(self.unknown)


@dataclass(slots=True)
class _Names:
    """All names by which a module's layers may go, with dots and with underscores."""

    dotted: dict[str, tuple[OriginalLocation, ...]] = field(default_factory=dict)
    flat: dict[str, tuple[OriginalLocation, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, layers: ModuleLayers) -> _Names:
        names = cls()
        for path, shape in layers.shapes.items():
            names._add(path, (OriginalLocation(path, shape[0]),))
            # transformers has dropped and taken up this level more than once.
            names._add(f"text_model.{path}", (OriginalLocation(path, shape[0]),))
            names._add(path.removeprefix("text_model."), (OriginalLocation(path, shape[0]),))
        for name, places in originals(layers.kind, layers.shapes).items():
            names._add(name, places)
        return names

    def _add(self, name: str, places: tuple[OriginalLocation, ...]) -> None:
        self.dotted.setdefault(name, places)
        self.flat.setdefault(name.replace(".", "_"), places)


def match(parts: Mapping[str, LayerParts], modules: Mapping[str, ModuleLayers]) -> MatchResult:
    """What of a file is for some modules.

    Where a file doesn't say which of several denoisers it is for, it is for each of those given.

    Args:
        parts: The changes in the file, see `group_tensors`.
        modules: By name, such as ``unet`` or ``text_encoder_2``.
    """
    names = {module: _Names.of(layers) for module, layers in modules.items()}
    says_second = any(stem.startswith("transformer_2.") for stem in parts)
    changes: list[MatchedChange] = []
    outcomes: dict[str, list[str]] = {}
    for name, part in parts.items():
        stem = parse_layer_name(name)
        wanted = ("transformer",) if says_second and stem.is_plain else stem.modules
        there = [module for module in wanted if module in modules]
        candidates = list(_matched_changes(name, stem, there, names))
        fitting = [change for change in candidates if _fits(part, change, modules)]
        changes += fitting
        outcome = "applied" if fitting else "misfits" if candidates else "unknown"
        if not there and _is_elsewhere(wanted, modules):
            outcome = "elsewhere"
        outcomes.setdefault(outcome, []).append(name)
    return MatchResult(tuple(changes), **{kind: tuple(names) for kind, names in outcomes.items()})


def _is_elsewhere(wanted: tuple[str, ...], modules: Mapping[str, ModuleLayers]) -> bool:
    """Whether the modules denoise and what is wanted encodes, or the other way round."""
    kinds = (DENOISERS, ENCODERS)
    return not any(set(wanted) & set(kind) and modules.keys() & set(kind) for kind in kinds)


def _matched_changes(
    name: str, stem: LayerName, modules: list[str], known: Mapping[str, _Names]
) -> Iterator[MatchedChange]:
    for module in modules:
        names = known[module].flat if stem.is_flat else known[module].dotted
        places = names.get(stem.layer, ())
        yield from (MatchedChange(name, module, position) for position in places)
        if places and module in ENCODERS:
            # Encoders of one kind have the same names: it is for the first.
            return


def _fits(part: LayerParts, change: MatchedChange, modules: Mapping[str, ModuleLayers]) -> bool:
    """Whether a change has the rows and columns of the layer that it is for."""
    module, path = modules[change.module], change.location.path
    shape, size = module.shapes[path], part.size
    if size is None:
        return False
    rows, columns = size
    is_as_wide = columns in (0, prod(shape[1:]))
    return rows == change.location.rows and (
        is_as_wide or fits_width(module.kind, path, part, shape)
    )
