"""Families of items: things of a few tokens, led by classes and numbers. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nodegraph.diffusion.families.base import Config, Family, Part, Warn
from nodegraph.diffusion.items.formats import item_format
from nodegraph.diffusion.memory import StepMemory
from nodegraph.diffusion.model_step import Asked, Batch, Moment
from nodegraph.diffusion.single_files.items import item_layout
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import ConditioningEntry
    from nodegraph.diffusion.components import Denoiser, TextModel

CLASSES, NUMBERS = "classes", "numbers"
"""Tensors of a conditioning: int64, (1, classes), -1 where nothing is asked; float32,
(1, numbers), NaN where nothing is."""

_HELD = 16
"""Numbers that a step holds for each token and unit of the transformer's width."""


@dataclass(frozen=True)
class ItemFamily(Family):
    """Models of items, as `nodegraph.diffusion.items.transformer.ItemTransformer` is: it is asked
    for the flow at a share of the noise, by classes and numbers.

    Attributes:
        asked_by: The node that says what to ask for, as errors name it.
        others: Tensors of a conditioning that its models are led by besides, in the order in which
            they take them: by name, the shape behind the first dimension.
    """

    asked_by: str = ""
    others: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def channels(self, config: Config) -> int:
        """One: an item lies in its latent as a picture does."""
        return self.latent.channels

    def trained_size(self, config: Config) -> tuple[int, int]:
        """The only size."""
        assert self.latent.only_size is not None
        return self.latent.only_size

    def step_memory(self, config: Config) -> StepMemory:
        """By tokens, each as many cells as it has features."""
        width, features = int(config["width"]), int(config["features"])
        return StepMemory(_HELD * width / features, 0.0, 1 / features)

    def tokens(self, shape: Sequence[int]) -> int:
        """Rows of an item."""
        return int(shape[-2])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        """Refused: items aren't asked for by texts."""
        raise InvalidValue(
            f"{self.title} is led by classes and numbers, not by texts",
            port="encoder",
            hint=f"Put a {self.asked_by} in place of it.",
        )

    def fit(self, model: Denoiser, entry: ConditioningEntry, asked: Asked) -> dict[str, Tensor]:
        """Classes, numbers and others, if they are such as the model was trained with."""
        wanted: dict[str, tuple[int, ...]] = {
            CLASSES: (len(model.config["classes"]),),
            NUMBERS: (int(model.config["numbers"]),),
            **self.others,
        }
        given = {name: entry.tensors[name] for name in wanted if name in entry.tensors}
        shapes = {name: tuple(item.shape[1:]) for name, item in given.items()}
        if shapes != wanted:
            raise InvalidValue(
                f"this conditioning isn't for {self.title}",
                port=asked.side,
                given=_told(shapes) or None,
                expected=_told(wanted),
                hint=f"Link a {self.asked_by}.",
            )
        return given

    @property
    def row_names(self) -> tuple[str, ...]:
        """All that they are led by."""
        return (CLASSES, NUMBERS, *self.others)

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        """The flow; the timestep is the share of the noise times the training's timesteps."""
        share = moment.timestep.float() / moment.training_timesteps
        output: Tensor = model.module(
            x[:, 0].to(model.dtype),
            share.expand(len(x)).to(x.device),
            batch[CLASSES],
            batch[NUMBERS],
            *(batch[name].to(model.dtype) for name in self.others),
        )
        return output[:, None]


def _told(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Such as "1 classes, picture of 16 x 32"."""
    return ", ".join(
        f"{shape[0]} {name}" if len(shape) == 1 else f"{name} of {' x '.join(map(str, shape))}"
        for name, shape in shapes.items()
    )


def item_family(
    name: str,
    label: str,
    title: str,
    *,
    tokens: int,
    features: int,
    drawn: Callable[[Tensor], Tensor | None],
    asked_by: str,
    model: str = "ItemTransformer",
    read: int | None = None,
    heads: int = 6,
    gives_clean: bool = True,
    others: Mapping[str, tuple[int, ...]] | None = None,
) -> ItemFamily:
    """The family of a transformer of items, which has no parts besides.

    Args:
        title: What a file of its own is called.
        tokens, features, drawn: See `item_format`.
        asked_by, others: See `ItemFamily`.
        model: The transformer's class.
        read, heads, gives_clean: See `item_layout`.
    """
    file = item_layout(
        f"{name}-transformer",
        title,
        model,
        tokens=tokens,
        features=features,
        read=read,
        heads=heads,
        gives_clean=gives_clean,
    )
    return ItemFamily(
        name,
        label,
        latent=item_format(name, tokens, features, drawn),
        pipelines=(),
        denoisers=(Part("transformer", (model,), files=(file,)),),
        encoders=(),
        tokenizers=(),
        noise="flow",
        multiple=1,
        wide=True,
        asked_by=asked_by,
        others=others or {},
    )
