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
    """Function that computes control images, such as edge maps, from images.

    It is a plain class so that cache keys identify it by the node that created it and by that
    node's code. When the code changes, the control images are computed again.

    Args:
        apply: Function of images, float32 in 0..1, shape (batch, height, width, 3). It returns as
            many images, with one or three channels and of any size. It must not change its
            argument.
        name: Name for messages.
    """

    __slots__ = ("apply", "name")

    def __init__(self, apply: Callable[[Tensor], Tensor], name: str = "preprocessor") -> None:
        self.apply = apply
        self.name = name

    def __repr__(self) -> str:
        return f"Preprocessor({self.name})"


TrainedKind = Literal["lora", "model", "embedding", "controlnet", "classifier"]
"""What was trained: a LoRA, a whole denoiser, a textual inversion embedding, a ControlNet, or a
classifier."""


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """Result of a training: weight files and their description.

    Attributes:
        kind: What was trained.
        family: Family of the model that the weights are for, such as ``sd1``. For a classifier, its
            architecture.
        files: The weights with diffusers' tensor names, then the configuration if there is one.
        words: Trigger words for prompts: a learned word, or the prompt of a subject.
        settings: Training settings as (name, value) pairs.
        losses: Plot of the loss during the training.
    """

    kind: TrainedKind
    family: str
    files: tuple[RecipeFile, ...]
    words: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    losses: Plot | None = None


Split = Literal["train", "validation", "test"]
"""Use of an example: training, model selection, or the final evaluation."""
Fit = Literal["crop", "pad", "stretch"]
"""How an image is fitted to another aspect ratio; see `media.images.resizing.fitted_size`."""


@dataclass(frozen=True, slots=True)
class ExampleFile:
    """File with the image or the mask of an example.

    Attributes:
        path: Path of the file.
        digest: blake3 digest of its content, hexadecimal.
        width, height: Size of the upright image, in pixels.
    """

    path: str = field(metadata=NOT_CONTENT)
    digest: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class LabeledBox:
    """Bounding box of an object in an image.

    Attributes:
        label: Class of the object.
        x, y: Left and upper edge in pixels of the stored image, before resizing.
        width, height: Size in pixels of the stored image, before resizing.
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
    """Training example: an image with its caption, tags, label, mask and boxes.

    Attributes:
        picture: The image: a file, or float32 in 0..1 on the CPU, sRGB, shape (height, width, 3
            or 4).
        name: Name in the dataset, without a suffix, such as ``cats/tom``.
        caption: Description of the image.
        tags: Description of the image as single words.
        label: Class of the image. Empty for none.
        split: Use of the example: ``train``, ``validation`` or ``test``.
        mask: Part of the image that is trained: a file in which it is white, or float32 in 0..1,
            shape (height, width) of the image. None for the whole image.
        boxes: Bounding boxes of the objects in the image.
        bucket: Width and height in pixels that the image is resized to. None for the size of the
            dataset.
        repeats: Number of times that the example is used in an epoch.
        weight: Factor of its loss.
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
        """Width and height of the stored image, in pixels."""
        if isinstance(self.picture, ExampleFile):
            return self.picture.width, self.picture.height
        return self.picture.shape[1], self.picture.shape[0]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """Random changes of training examples, drawn again for each epoch.

    Attributes:
        flip: Fraction of the images that are mirrored left to right.
        flip_vertical: Fraction of the images that are mirrored top to bottom.
        crop: Smallest area of the random crop, as a fraction of the largest area with the target
            aspect ratio. 1 always takes the largest, from the center.
        rotate: Largest rotation in degrees, in both directions.
        brightness, contrast, saturation: Largest increase or decrease, as a fraction.
        hue: Largest rotation of the hue in degrees, in both directions.
        shuffle_tags: Whether the tags are shuffled in captions made from tags.
        drop_caption: Fraction of the captions that are replaced by an empty text.
        seed: Seed of the random changes.
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
    """Training examples, with their size and augmentation.

    Attributes:
        examples: The examples, in order.
        name: Name of the dataset.
        size: Width and height in pixels that examples without a bucket are resized to. None keeps
            their sizes.
        fit: How an image is fitted to another aspect ratio: ``crop``, ``pad`` or ``stretch``.
        augmentation: Random changes of the examples in the ``train`` split.
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
        """Classes of the examples, sorted. The classes of boxes are not included."""
        return tuple(sorted({example.label for example in self.examples if example.label}))

    def of_split(self, split: Split) -> Dataset:
        """Return a copy with the examples of one split."""
        return self.with_examples(item for item in self.examples if item.split == split)

    def with_examples(self, examples: Iterator[Example] | tuple[Example, ...]) -> Dataset:
        """Return a copy with other examples."""
        return replace(self, examples=tuple(examples))


def _plain_fields(record: object, *names: str) -> None:
    """Convert numpy numbers to Python's, because a dataset file cannot contain numpy numbers."""
    for name in names:
        value = getattr(record, name)
        plain = plain_number(value)
        if plain is not value:
            object.__setattr__(record, name, plain)


def _plain_pair(pair: tuple[int, int]) -> tuple[int, int]:
    width, height = map(plain_number, pair)
    return width, height
