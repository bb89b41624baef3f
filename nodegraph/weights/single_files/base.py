"""What tells a part of a model in a file without configuration, and what brings it under the names
of the library that builds it. Imports no torch, and reads no weights.

A file holds weights only. What shows in the shapes of its tensors is read from them, and what
doesn't show is a published figure that its layout says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from nodegraph.weights.safetensors_header import Shapes

if TYPE_CHECKING:
    from torch import Tensor

Config = Mapping[str, Any]
Tensors = Mapping[str, "Tensor"]


Table = tuple[tuple[str, str], ...]
"""Layers as diffusers names them, and what they were called by who made the model.

``*`` is a number, the first in a name; ``@`` is one of the three stacks of blocks that some models
have. ``{a,b}`` are layers that were one, whose rows are theirs in this order. Several lines may be
about the same layers, as not all who train adapters use the same names; an original name is in one
line alone. Where tensors that are no layer's have other names, they are named whole.
"""


class OriginalNames(NamedTuple):
    """The layers of a network as its authors named them; files and adapters use these names.

    Attributes:
        table: Empty where diffusers has kept the names.
        swaps_output: Whether diffusers has scale and shift of the last modulation,
            ``norm_out.linear``, the other way round than the original.
        swaps_context: The same of the prompt's modulation in the last block.
        swapped: Ends of the names of further layers whose two halves diffusers has the other way
            round, such as those of a gated MLP.
        reordered: Ends of the names of layers whose rows are blocks, each as high as the layer is
            wide, and the original's blocks in the order that diffusers has them. A layer with
            another number of blocks keeps its order. They have no bias.
        equal_rows: Whether layers that were one have equally many rows. If not, queries are as wide
            as what they are made of.
        widened: The layer of which adapters may have half the columns, or twice as many; empty if
            there is none.
    """

    table: Table = ()
    swaps_output: bool = False
    swaps_context: bool = False
    widened: str = ""
    swapped: tuple[str, ...] = ()
    equal_rows: bool = False
    reordered: tuple[tuple[str, tuple[int, ...]], ...] = ()

    def block_order(self, layer: str, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Equal blocks of the original's rows in the order that a layer here has them.

        Args:
            layer: Its name here.
            shape: Of its weight.
        Returns:
            Empty if the order is that of the original.
        """
        if layer.endswith(tuple(f".{end}" for end in self.swapped)):
            return 1, 0
        for end, order in self.reordered:
            if layer.endswith(f".{end}") and shape[0] == len(order) * shape[-1]:
                return order
        return ()


SAME_NAMES = OriginalNames()
"""Of networks whose layers diffusers has not renamed."""


def _nothing(config: Config) -> Config:
    return {}


def _never_named(metadata: Mapping[str, str]) -> bool:
    return False


def _nothing_stated(metadata: Mapping[str, str], config: Config) -> dict[str, Any]:
    return {}


class SingleFile(NamedTuple):
    """How the original training code lays a whole model in one file.

    Attributes:
        prefixes: By role: before the names of a part's tensors. How they lie behind it is for the
            layouts of the part to say.
        architecture: What ``modelspec.architecture`` of such a file says.
        says_prediction: Whether a model predicts the noise unless its file says otherwise; if not,
            whoever opens it has to say.
    """

    prefixes: Mapping[str, str]
    architecture: str
    says_prediction: bool = True


@dataclass(frozen=True, slots=True)
class FileLayout:
    """How one kind of part lies in a file.

    All that it is asked sees names of tensors without the prefix. A part of a family, or a latent
    format for its autoencoder, lists those that may fill it (`Part.files`, `LatentFormat.files`),
    the most particular first; loading knows none by name.

    Attributes:
        name: Such as ``flux-transformer``.
        title: In words, as in errors: "the transformer of Flux.1".
        class_name: Of diffusers or transformers, that it is loaded into.
        matches: Whether tensors are such a part, by names and shapes: a few that tell it, as what
            is missing of the rest is told by name when it is loaded.
        config: The configuration of that class; KeyError where a tensor is missing.
        convert: The tensors under the names of that class, for the configuration. What it doesn't
            know keeps its name, and is told as not belonging there.
        prefixes: Before the names, as files in circulation have them, the longest first.
        beginnings: What the part's names begin with behind the prefix, where other parts lie there,
            too.
        scheduler: Of denoisers: the published noise schedule of a model of that configuration, as
            diffusers' scheduler files say it, with the name of its class.
        settings: Of denoisers: what its published ``model_index.json`` says of what the family
            heeds there, but for what the family takes to be so.
        marks: Of denoisers and control networks: groups of tensor names; `matches` is true only
            where one whole group is there. The index knows families that come along by them.
        names: Of denoisers: what their layers were called before diffusers renamed them.
        stated: Entries of the configuration that the file's metadata states, for the one that
            its tensors show.
        named: Of denoisers: whether a file's metadata names this one, among those whose files look
            the same.
    """

    name: str
    title: str
    class_name: str
    matches: Callable[[Shapes], bool]
    config: Callable[[Shapes], dict[str, Any]]
    convert: Callable[[Tensors, Config], dict[str, Tensor]]
    prefixes: tuple[str, ...] = ("",)
    beginnings: tuple[str, ...] = ("",)
    scheduler: Callable[[Config], Config] = _nothing
    settings: Callable[[Config], Config] = _nothing
    marks: tuple[tuple[str, ...], ...] = ()
    names: OriginalNames = SAME_NAMES
    stated: Callable[[Mapping[str, str], Config], dict[str, Any]] = _nothing_stated
    named: Callable[[Mapping[str, str]], bool] = _never_named

    def prefix(self, shapes: Shapes) -> str | None:
        """What stands before the names of the part's tensors; None where the file has no such part.

        Args:
            shapes: Of all tensors in the file.
        """
        # Families share layouts, so one file is asked many times for each.
        known = shapes.prefixes if isinstance(shapes, PrefixCache) else {}
        if self not in known:
            known[self] = next(
                (item for item in self.prefixes if self._is_behind(item, shapes)), None
            )
        return known[self]

    def name_beginnings(self, prefix: str) -> tuple[str, ...]:
        """What the names of the part's tensors begin with in a file.

        Args:
            prefix: As `prefix` returns it.
        """
        return tuple(f"{prefix}{beginning}" for beginning in self.beginnings)

    def _is_behind(self, prefix: str, shapes: Shapes) -> bool:
        part_shapes = select_prefix(shapes, prefix)
        return bool(part_shapes) and self.matches(part_shapes)


def has_marks(shapes: Shapes, marks: tuple[tuple[str, ...], ...]) -> bool:
    """Whether one of the groups is there whole."""
    return any(all(mark in shapes for mark in group) for group in marks)


class PrefixCache(dict[str, tuple[int, ...]]):
    """Shapes of tensors that are asked for the same prefixes again and again.

    Attributes:
        parts: What was found behind prefixes.
        prefixes: What layouts were found behind, None where they weren't.
    """

    def __init__(self, shapes: Shapes) -> None:
        super().__init__(shapes)
        self.parts: dict[str, Shapes] = {}
        self.prefixes: dict[FileLayout, str | None] = {}

    @classmethod
    def of(cls, shapes: Shapes) -> PrefixCache:
        """The same, where they are that already."""
        return shapes if isinstance(shapes, cls) else cls(shapes)


def select_prefix(shapes: Shapes, prefix: str) -> Shapes:
    """The tensors whose names begin so, without that."""
    if not prefix:
        return shapes
    known = shapes.parts if isinstance(shapes, PrefixCache) else {}
    if prefix not in known:
        known[prefix] = {
            name.removeprefix(prefix): shape
            for name, shape in shapes.items()
            if name.startswith(prefix)
        }
    return known[prefix]


def check_downscale(actual: int, wanted: int) -> None:
    """Refuse an autoencoder of other cells than its latents', as where a block of it is missing.

    Args:
        actual: Pixels along a cell's side, or frames in one.
    Raises:
        ValueError: Says both.
    """
    if actual != wanted:
        raise ValueError(f"its cells are {actual} long instead of {wanted}: it is incomplete")


DAMAGED = (KeyError, TypeError, ValueError, IndexError, ZeroDivisionError)
"""What reading a configuration from shapes raises where tensors are missing or of others'."""


class DuplicateTensor(ValueError):
    """Two tensors of a file have one name in the network that they are for."""


def fault_text(error: Exception) -> str:
    """One of `DAMAGED` in words."""
    if isinstance(error, DuplicateTensor):
        return str(error)
    if isinstance(error, KeyError):
        return f"it has no {error.args[0]}"
    return f"the shapes of its tensors do not fit together ({error})"


def count_of(names: Shapes, pattern: str) -> int:
    """How many different numbers the pattern's group takes in the names."""
    matches = (re.match(pattern, name) for name in names)
    return len({match[1] for match in matches if match})
