"""Link values of training: datasets, trained weights, and preprocessors of control images.

They never import torch; see `nodegraph.core.values`. Datasets name files instead of holding them:
`nodegraph.media.datasets` reads the files during training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from nodegraph.core.links import plain_number
from nodegraph.core.plots import Plot
from nodegraph.core.ports import port_type
from nodegraph.core.values import NOT_CONTENT, RecipeFile

if TYPE_CHECKING:
    from torch import Tensor


@port_type(color="#8fb36a")
class Preprocessor:
    """A way to make of images what leads a model, such as their edges.

    A plain class on purpose: a value is named by the node that made it, its code included, so that
    what it was applied to is made again once that code changes.

    Args:
        apply: Takes images, float32 in 0..1, shape (batch, height, width, 3), and gives as many,
            of one or three channels and of any size. It may not change what it is given.
        name: For messages.
    """

    __slots__ = ("apply", "name")

    def __init__(self, apply: Callable[[Tensor], Tensor], name: str = "preprocessor") -> None:
        self.apply = apply
        self.name = name

    def __repr__(self) -> str:
        return f"Preprocessor({self.name})"


TrainedKind = Literal["lora", "model", "embedding", "controlnet", "classifier"]
"""What was taught: a LoRA, a whole denoiser, a word, a control network, or a classifier."""


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """What a training made: files, and what they are.

    Attributes:
        kind: What was taught.
        family: Of the model that it is for, such as ``sd1``; of a classifier its architecture.
        files: The weights, in diffusers' naming, and a configuration behind them where there is
            one.
        words: What prompts say to ask for it: a word that was learned, or a subject's prompt.
        settings: How it was taught, by name.
        losses: How the loss went on.
    """

    kind: TrainedKind
    family: str
    files: tuple[RecipeFile, ...]
    words: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    losses: Plot | None = None


Split = Literal["train", "validation", "test"]
"""What an example is for: to learn from, to choose by, or to be judged by at the end."""
Fit = Literal["crop", "pad", "stretch"]
"""How an image is brought to other proportions; see `media.images.resizing.fitted_size`."""


@dataclass(frozen=True, slots=True)
class ExampleFile:
    """A file with an example's image or mask.

    Attributes:
        path: Where it lies.
        digest: blake3 of its content, hexadecimal.
        width, height: Of the upright image in it, in pixels.
    """

    path: str = field(metadata=NOT_CONTENT)
    digest: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class LabeledBox:
    """Where in an image a thing is.

    Attributes:
        label: Its class.
        x, y: Left and upper edge in pixels of the image as it is kept, before it is resized.
        width, height: In such pixels.
    """

    label: str
    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        _plain_fields(self, "x", "y", "width", "height")


@dataclass(frozen=True, slots=True)
class Example:
    """One thing to learn from: an image and what is said of it.

    Attributes:
        picture: A file, or float32 in 0..1 on the CPU, sRGB, shape (height, width, 3 or 4).
        name: What it is called among the others, without a suffix, such as ``cats/tom``.
        caption: What it shows, in words.
        tags: The same in single words.
        label: Its class; empty for none.
        split: What it is for.
        mask: The part that counts: a file, where that is white, or float32 in 0..1, shape (height,
            width) of the image; None for all of it.
        boxes: Where things are in it.
        bucket: Width and height in pixels that it is brought to; None: as the dataset says.
        repeats: How often it is learned from in an epoch.
        weight: What its loss is multiplied by.
    """

    picture: ExampleFile | Tensor
    name: str = ""
    caption: str = ""
    tags: tuple[str, ...] = ()
    label: str = ""
    split: Split = "train"
    mask: ExampleFile | Tensor | None = None
    boxes: tuple[LabeledBox, ...] = ()
    bucket: tuple[int, int] | None = None
    repeats: int = 1
    weight: float = 1.0

    def __post_init__(self) -> None:
        _plain_fields(self, "repeats", "weight")
        if self.bucket is not None:
            object.__setattr__(self, "bucket", _plain_pair(self.bucket))

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the image as it is kept, in pixels."""
        if isinstance(self.picture, ExampleFile):
            return self.picture.width, self.picture.height
        return self.picture.shape[1], self.picture.shape[0]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is changed at random in examples to learn from, anew in each epoch.

    Attributes:
        flip, flip_vertical: Share of the images that are mirrored left to right, top to bottom.
        crop: Smallest part that is cut out, as a share of the largest one with the proportions
            that are asked for; 1 takes that one, from the middle.
        rotate: Degrees up to which an image is turned to either side.
        brightness, contrast, saturation: Up to how much more or less of it, as a share.
        hue: Degrees up to which colors are turned to either side.
        shuffle_tags: Whether tags change places in the caption that is made of them.
        drop_caption: Share of the captions that are left empty.
        seed: Of all this.
    """

    flip: float = 0.0
    flip_vertical: float = 0.0
    crop: float = 1.0
    rotate: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    shuffle_tags: bool = False
    drop_caption: float = 0.0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Dataset:
    """Examples, and what is done to them when they are read.

    Attributes:
        examples: In their order.
        name: Of the whole.
        size: Width and height in pixels that all are brought to which have no bucket; None: they
            stay as they are.
        fit: How they are brought to another size.
        augmentation: Of those to learn from.
    """

    examples: tuple[Example, ...]
    name: str = ""
    size: tuple[int, int] | None = None
    fit: Fit = "crop"
    augmentation: Augmentation = Augmentation()

    def __post_init__(self) -> None:
        if self.size is not None:
            object.__setattr__(self, "size", _plain_pair(self.size))

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes of its examples, sorted; boxes' don't count."""
        return tuple(sorted({example.label for example in self.examples if example.label}))

    def of_split(self, split: Split) -> Dataset:
        """The same with the examples of one split."""
        return self.with_examples(item for item in self.examples if item.split == split)

    def with_examples(self, examples: Iterator[Example] | tuple[Example, ...]) -> Dataset:
        """The same with other examples."""
        return replace(self, examples=tuple(examples))


def _plain_fields(record: object, *names: str) -> None:
    """Make Python's of numbers of numpy's, which no file of a dataset could hold."""
    for name in names:
        value = getattr(record, name)
        plain = plain_number(value)
        if plain is not value:
            object.__setattr__(record, name, plain)


def _plain_pair(pair: tuple[int, int]) -> tuple[int, int]:
    width, height = map(plain_number, pair)
    return width, height
