"""Layouts that map original tensor names to those of diffusers and transformers. No torch.

A name that the table doesn't know stays unchanged, so a file with diffusers' names stays as it is.
diffusers has single-file converters for most of these models, but they require one prefix, the
published widths, or tensors that some files lack.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import (
    SAME_NAMES,
    Config,
    DuplicateTensor,
    FileLayout,
    OriginalNames,
    Tensors,
    has_marks,
)

if TYPE_CHECKING:
    from torch import Tensor

Names = tuple[tuple[str, str], ...]
"""Patterns of how names begin here, and what stands there for that in the other layout."""

_Item = TypeVar("_Item")


def renamed_layout(name: str, like: FileLayout, names: Names) -> FileLayout:
    """A layout whose tensors are those of another by other names, without a prefix.

    Only names are looked at, so tensors may lie in whatever form.
    """

    def brought(items: Mapping[str, _Item]) -> dict[str, _Item]:
        return {_renamed(key, names): item for key, item in items.items()}

    def has_own(items: Mapping[str, object]) -> bool:
        return any(map(_any_of(names).match, items))

    return replace(
        like,
        name=name,
        matches=lambda shapes: has_own(shapes) and like.matches(brought(shapes)),
        config=lambda shapes: like.config(brought(shapes)),
        convert=lambda tensors, config: like.convert(brought(tensors), config),
        prefixes=("",),
        marks=(),
    )


@cache
def _compiled(names: Names) -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(rf"^{pattern}"), replacement) for pattern, replacement in names]


@cache
def _any_of(names: Names) -> re.Pattern[str]:
    """One pattern for all: most files are tried for layouts of which they have no name at all."""
    return re.compile("|".join(f"(?:{pattern})" for pattern, _ in names))


def _renamed(name: str, names: Names) -> str:
    for pattern, replacement in _compiled(names):
        new_name, count = pattern.subn(replacement, name)
        if count:
            return new_name
    return name


Rows: TypeAlias = "slice | None"
"""Of an original tensor that become one here; None for all of them as they are."""
_Renaming: TypeAlias = "tuple[str, str, Rows]"
"""See `_places`."""

_STACKS = ("layers", "noise_refiner", "context_refiner", "siglip_refiner")
_MLP = "proj_mlp"


def rename_tensors(tensors: Mapping[str, Tensor], names: OriginalNames) -> dict[str, Tensor]:
    """The tensors of a file under diffusers' names; views of those given, for the most part.

    Args:
        names: Of the network that they are for.
    Raises:
        DuplicateTensor: Two of them have the same name there.
    """
    converted: dict[str, Tensor] = {}
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name, new, rows in _unique(_places(shapes, names)):
        tensor = tensors[name] if rows is None else tensors[name][rows]
        order = _block_order(new, tuple(tensor.shape), names) if new != name else ()
        converted[new] = reorder_blocks(tensor, order) if order else tensor
    return converted


def rename_shapes(
    shapes: Shapes, names: OriginalNames, unused: tuple[str, ...] = ()
) -> dict[str, tuple[int, ...]]:
    """As `rename_tensors`, of shapes alone.

    Args:
        unused: As for `denoiser_layout`; those may have the name of another tensor.
    """
    return _shapes_at(_unique(_places(shapes, names), unused), shapes)


def _shapes_at(places: Iterator[_Renaming], shapes: Shapes) -> dict[str, tuple[int, ...]]:
    shapes_by_name = {}
    for name, new, rows in places:
        shape = shapes[name]
        shapes_by_name[new] = shape if rows is None else (rows.stop - rows.start, *shape[1:])
    return shapes_by_name


def _unique(places: Iterator[_Renaming], unused: tuple[str, ...] = ()) -> Iterator[_Renaming]:
    """The same, checked to name each tensor here once; `unused` ones aside."""
    originals: dict[str, str] = {}
    for name, new, rows in places:
        if not _is_one(name, unused):
            if new in originals:
                raise DuplicateTensor(f"the tensors {originals[new]} and {name} are both {new}")
            originals[new] = name
        yield name, new, rows


def _places(shapes: Shapes, names: OriginalNames) -> Iterator[_Renaming]:
    """Of each tensor in a file: its name, each name that it has here, and rows of that."""
    for name, shape in shapes.items():
        stem, _, end = name.rpartition(".")
        news = _known(stem, names)
        if whole := _known(name, names):
            yield name, whole[0], None
        elif not news or not shape:
            yield name, name, None
        elif len(news) == 1:
            yield name, f"{news[0]}.{_END.get(end, end)}", None
        else:
            wide = shapes.get(f"{stem}.weight", shape)[-1]
            for new, rows in zip(news, _rows(news, shape[0], wide, names), strict=True):
                yield name, f"{new}.{end}", rows


_END = {"scale": "weight"}
"""Original code calls the weights of norms so."""


def _known(original: str, names: OriginalNames) -> tuple[str, ...]:
    """The names here of a layer or tensor; empty where the table doesn't know it.

    A number in a name is one of many blocks, or part of a name that the table has as it stands,
    such as ``mlp.0``.
    """
    table, match = _by_original(names), _NUMBER.search(original)
    if match is not None:
        blocks = f"{original[: match.start()]}*{original[match.end() :]}"
        if blocks in table:
            return tuple(new.replace("*", match[0]) for new in table[blocks])
    return table.get(original, ())


_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")


def _rows(layers: Sequence[str], total: int, wide: int, names: OriginalNames) -> Iterator[slice]:
    """Rows of an original layer that go to each of several.

    Queries are as wide as what they are made of. So are keys and values, unless several heads
    share them; and beside a layer of an MLP, which has the rest.
    """
    count = len(layers)
    if layers[-1].endswith(_MLP):
        sizes = [wide] * (count - 1) + [total - wide * (count - 1)]
    elif count == 3 and not names.equal_rows:
        sizes = [wide, (total - wide) // 2, (total - wide) // 2]
    else:
        sizes = [total // count] * count
    begin = 0
    for size in sizes:
        yield slice(begin, begin + size)
        begin += size


def _block_order(name: str, shape: tuple[int, ...], names: OriginalNames) -> tuple[int, ...]:
    """Equal blocks of a tensor's rows in diffusers' order; empty if that is the file's."""
    layer = name.rpartition(".")[0]
    if names.swaps_output and layer == "norm_out.linear":
        return 1, 0
    return names.block_order(layer, shape)


def swap_scale_shift(tensor: Tensor) -> Tensor:
    """A modulation's tensor with its two halves, scale and shift, the other way round."""
    return reorder_blocks(tensor, (1, 0))


def reorder_blocks(tensor: Tensor, order: Sequence[int]) -> Tensor:
    """A tensor with equal blocks of its rows in another order."""
    import torch

    blocks = tensor.chunk(len(order))
    return torch.cat([blocks[index] for index in order])


@cache
def _by_original(names: OriginalNames) -> dict[str, tuple[str, ...]]:
    """Names here by the original one, in the order of its rows."""
    layers: dict[str, tuple[str, ...]] = {}
    for here, original in names.table:
        for stack in _STACKS if "@" in original else ("",):
            layers[original.replace("@", stack)] = tuple(_parts(here.replace("@", stack)))
    return layers


def _parts(here: str) -> Iterator[str]:
    before, brace, remaining = here.partition("{")
    joined, _, after = remaining.partition("}")
    for part in joined.split(",") if brace else ("",):
        yield f"{before}{part}{after}"


PREFIXES = (
    *("model.diffusion_model.", "diffusion_model.", "transformer.", "model.model.", "model."),
    "",
)
"""Before the names of a denoiser's tensors: as in files with a whole model, as adapters call it, as
pipelines do, as ComfyUI's files of HunyuanVideo and some trainers do, and none."""

HEAD_WIDTH = 128
"""Of attention heads in most published transformers, where no tensor shows it."""

EULER_FLOW: Mapping[str, Any] = {
    "_class_name": "FlowMatchEulerDiscreteScheduler",
    "num_train_timesteps": 1000,
    "use_dynamic_shifting": False,
}
"""A flow's schedule, but for its ``shift``."""

DYNAMIC_FLOW: Mapping[str, Any] = {
    **EULER_FLOW,
    "use_dynamic_shifting": True,
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "shift": 3.0,
}
"""Flux's, which is shifted by the size of the image."""


def denoiser_layout(
    name: str,
    title: str,
    class_name: str,
    *,
    marks: tuple[tuple[str, ...], ...],
    config: Callable[[Shapes], dict[str, Any]],
    scheduler: Callable[[Config], Config] | Config,
    settings: Callable[[Config], Config] | None = None,
    fits: Callable[[Shapes], bool] | None = None,
    names: OriginalNames = SAME_NAMES,
    without: tuple[str, ...] = (),
    unused: tuple[str, ...] = (),
) -> FileLayout:
    """A layout of a network whose layers diffusers has renamed.

    Args:
        name, title, class_name, settings, names: As of `FileLayout`.
        marks: Names that tell it, each group by itself: original ones, and diffusers'.
        config: As of `FileLayout`, of shapes by diffusers' names.
        scheduler: The published noise schedule, or what makes it of the configuration.
        fits: Whether shapes by diffusers' names are such a part; of files that have the marks.
        without: What names begin with in relatives that aren't supported.
        unused: Tensors that no image depends on; with a dot at the end, all whose names begin so.
    """

    def matches(shapes: Shapes) -> bool:
        if not has_marks(shapes, marks):
            return False
        if without and any(item.startswith(without) for item in shapes):
            return False
        try:
            return fits is None or fits(_shapes_at(_places(shapes, names), shapes))
        except (KeyError, IndexError, ValueError):
            return False

    def configured(shapes: Shapes) -> dict[str, Any]:
        try:
            return config(rename_shapes(shapes, names, unused))
        except DuplicateTensor:
            raise
        except (IndexError, ValueError, ZeroDivisionError) as error:
            raise KeyError(f"tensors shaped like those of {title}") from error

    def convert(tensors: Tensors, _: Config) -> dict[str, Tensor]:
        kept = {item: tensor for item, tensor in tensors.items() if not _is_one(item, unused)}
        return rename_tensors(kept, names)

    return FileLayout(
        name,
        title,
        class_name,
        matches=matches,
        config=configured,
        convert=convert,
        prefixes=PREFIXES,
        scheduler=scheduler if callable(scheduler) else lambda _: scheduler,
        settings=settings or (lambda _: {}),
        marks=marks,
        names=names,
    )


def _is_one(name: str, names: tuple[str, ...]) -> bool:
    return name in names or name.startswith(tuple(item for item in names if item.endswith(".")))
