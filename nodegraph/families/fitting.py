"""Whether weights fit the module that they are for: none missing, of another shape, or too many."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from nodegraph.errors import InvalidFile

_MOST_NAMED = 3
"""Tensors that a message names of those that it is about."""


def check_weights_fit(
    path: Path, module: nn.Module, tensors: Mapping[str, Tensor], *, strict: bool = False
) -> None:
    """Refuse weights of which some would be made up, or some weren't for this module.

    Args:
        path: Where they were read.
        module: Its weights' shapes count, wherever they are.
        strict: Whether to refuse those that it has no use for; many folders hold such.
    Raises:
        InvalidFile: Names what doesn't fit.
    """
    wanted = {name: tuple(item.shape) for name, item in module.state_dict().items()}
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    refuse_misfits(
        path,
        missing=[name for name in wanted if name not in shapes],
        wrong={
            name: (shapes[name], shape)
            for name, shape in wanted.items()
            if shapes.get(name, shape) != shape
        },
        unexpected=[name for name in shapes if name not in wanted] if strict else [],
    )


def refuse_misfits(
    path: Path,
    *,
    missing: Collection[str],
    wrong: Mapping[str, tuple[Sequence[int], Sequence[int]]],
    unexpected: Collection[str],
) -> None:
    """Refuse weights that don't fit, if any don't.

    Args:
        path: Where they were read.
        wrong: By name: the shape that they have, and the one that is wanted.
    Raises:
        InvalidFile: Names them.
    """
    shapes = [
        f"{name}, which has shape {list(actual)} instead of {list(wanted)}"
        for name, (actual, wanted) in wrong.items()
    ]
    faults = [
        *_listed_names("lack {}, such as {}", missing),
        *_listed_names("hold {} of another shape: {}", shapes),
        *_listed_names("hold {} beside what belongs there: {}", unexpected),
    ]
    if faults:
        raise InvalidFile(
            f"the weights in {path} {'; they '.join(faults)}.",
            hint="The files are damaged or don't belong together: copy the model again.",
        )


def _listed_names(text: str, names: Collection[str]) -> list[str]:
    if not names:
        return []
    more = ["…"] if len(names) > _MOST_NAMED else []
    count = f"{len(names)} tensor{'s' if len(names) > 1 else ''}"
    return [text.format(count, ", ".join([*sorted(names)[:_MOST_NAMED], *more]))]
