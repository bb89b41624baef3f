"""Families of items: latent formats, file layouts, previews and conditioning. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from math import isqrt
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from nodegraph.errors import InvalidValue
from nodegraph.families.base import Config, Family, Part, Warn
from nodegraph.families.items import motions
from nodegraph.families.latent_formats import LatentFormat
from nodegraph.families.model_step import Batch, Moment, SamplingRequest
from nodegraph.media.molecules import tables
from nodegraph.media.shapes import distance_grids
from nodegraph.weights.memory import StepMemory
from nodegraph.weights.safetensors_header import Shapes
from nodegraph.weights.single_files.base import FileLayout, count_of, has_marks
from nodegraph.weights.single_files.renamed_layouts import EULER_FLOW

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.core.values import Conditioning, ConditioningEntry
    from nodegraph.families.components import Denoiser, TextModel

_SIDE = 128


def draw_molecules(items: Tensor) -> Tensor | None:
    """The molecules of tables as chemists draw them; white where a table is none.

    Args:
        items: float32 on the CPU, shape (batch, 9, 37).
    Returns:
        In -1..1, shape (batch, 3, 128, 128); None where RDKit isn't installed.
    """
    import torch

    from nodegraph.media.molecules.chemistry import draw_molecule
    from nodegraph.media.molecules.molecule_sets import decode_molecules

    if find_spec("rdkit") is None:
        return None
    pictures = torch.ones(len(items), 3, _SIDE, _SIDE)
    for index, item in enumerate(items):
        for molecule in decode_molecules(item[None]):
            pictures[index] = draw_molecule(molecule, _SIDE, _SIDE)[0].movedim(-1, 0) * 2 - 1
    return pictures


def draw_motions(items: Tensor) -> Tensor:
    """The frames of clips in rows, each cell of their latents in its color.

    Args:
        items: float32 on the CPU, shape (batch, 256, 32).
    Returns:
        In -1..1, shape (batch, 3, 256, 256).
    """
    import torch

    from nodegraph.families.embedded_models import embedded_colours
    from nodegraph.families.latent_colours import latent_rgb

    columns = isqrt(motions.FRAMES)
    sheets = []
    for frames in motions.tokens_to_frames(items):
        colours = latent_rgb(frames, *embedded_colours()).movedim(1, 0).clamp(-1, 1)
        rows = colours.reshape(3, motions.FRAMES // columns, columns, motions.CELLS, motions.CELLS)
        sheet = rows.movedim(3, 2).reshape(3, -1, columns * motions.CELLS)
        sheets.append(
            sheet.repeat_interleave(motions.SIDE // motions.CELLS, 1).repeat_interleave(
                motions.SIDE // motions.CELLS, 2
            )
        )
    return torch.stack(sheets)


_MARKS = (("shared_embedding.weight",),)


def item_layout(
    name: str,
    title: str,
    class_name: str,
    *,
    tokens: int,
    features: int,
    read: int | None = None,
    heads: int = 6,
    shift: float = 2.0,
    gives_clean: bool = False,
) -> FileLayout:
    """How the transformer of a kind of item lies in a file.

    Args:
        name, title, class_name: As of `FileLayout`.
        tokens, features: Of an item.
        read: Numbers of a token that its first layer reads, where they aren't its features.
        heads: Of attention, which no tensor shows.
        shift: How far the levels of the noise lean to high noise: 1 is not at all.
        gives_clean: Whether the network gives the clean item.
    """

    def matches(shapes: Shapes) -> bool:
        places = shapes.get("position_embedding", ())
        first = shapes.get("token_embedding.weight", ())
        return (
            has_marks(shapes, _MARKS)
            and places[:1] == (tokens,)
            and first[1:] == (read or features,)
        )

    def config(shapes: Shapes) -> dict[str, Any]:
        (numbers,) = shapes["number_mean"]
        embedding_width = shapes["number_embedding.0.weight"][1] if numbers else 0
        kinds = count_of(shapes, r"class_embeddings\.(\d+)\.")
        return {
            "tokens": tokens,
            "features": features,
            "width": shapes["position_embedding"][1],
            "layers": count_of(shapes, r"blocks\.(\d+)\."),
            "heads": heads,
            "condition_width": shapes["time_embedding.0.weight"][0],
            "classes": [shapes[f"class_embeddings.{at}.weight"][0] - 1 for at in range(kinds)],
            "numbers": numbers,
            "octaves": (embedding_width // numbers - 2) // 2 if numbers else 0,
            "gives_clean": gives_clean,
        }

    schedule: Config = {**EULER_FLOW, "shift": shift}
    return FileLayout(
        name,
        title,
        class_name,
        matches=matches,
        config=config,
        convert=lambda tensors, _: dict(tensors),
        scheduler=lambda _: schedule,
        marks=_MARKS,
    )


@dataclass(frozen=True)
class ItemFormat(LatentFormat):
    """The latents of items that have no autoencoder; made by `item_format`.

    Attributes:
        drawn: Makes images of items, (batch, tokens, features), in -1..1, (batch, 3, height,
            width), to look at while they are sampled, or None; None where they aren't shown then.
    """

    drawn: Callable[[Tensor], Tensor | None] | None = None

    def pictures(self, latents: Tensor) -> Tensor | None:
        """See `LatentFormat.pictures`."""
        return None if self.drawn is None else self.drawn(latents[:, 0].float().cpu())


def item_format(
    name: str, tokens: int, features: int, drawn: Callable[[Tensor], Tensor | None] | None = None
) -> ItemFormat:
    """The latents of items of so many tokens, of so many features each.

    To all that handles latents an item is an image of one channel and of one size: its tokens lie
    one below the other, `tokens` pixels high, and a token is `features` pixels wide. So noise,
    batches, masks, guiders and samplers do with items what they do with images.
    """
    size = features, tokens
    return ItemFormat(name, channels=1, spatial=1, autoencoders=(), only_size=size, drawn=drawn)


CLASSES, NUMBERS = "classes", "numbers"
"""Tensors of a conditioning: int64, (1, classes), -1 where nothing is asked; float32,
(1, numbers), NaN where nothing is."""

_HELD = 16
"""Numbers that a step holds for each token and unit of the transformer's width."""


_USUAL_WIDTH = 256
"""Of a network whose configuration is unknown."""


@dataclass(frozen=True)
class ItemFamily(Family):
    """Models of items, as `nodegraph.families.items.transformer.ItemTransformer` is: it is asked
    for the flow at a share of the noise, by classes and numbers.

    Attributes:
        asked_by: The node that says what to ask for, as errors name it.
        others: Tensors of a conditioning that its models are led by besides, in the order in which
            they take them: by name, the shape behind the first dimension.
    """

    asked_by: str = ""
    others: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def channels(self, config: Config) -> int:
        """One: an item lies in its latent as an image does."""
        return self.latent.channels

    def trained_size(self, config: Config) -> tuple[int, int]:
        """The only size."""
        assert self.latent.only_size is not None
        return self.latent.only_size

    def step_memory(self, config: Config) -> StepMemory:
        """By tokens, each as many cells as it has features."""
        features = int(config.get("features", self.trained_size(config)[0]))
        width = int(config.get("width", _USUAL_WIDTH))
        return StepMemory(_HELD * width / features, 0.0, 1 / features)

    def tokens(self, shape: Sequence[int]) -> int:
        """Rows of an item."""
        return int(shape[-2])

    def encode(self, model: TextModel, text: str, warn: Warn | None = None) -> ConditioningEntry:
        """Refused: items aren't asked for by texts."""
        raise InvalidValue(
            f"{self.title} takes class labels and numbers, not text prompts",
            port="encoder",
            hint=f"Use a {self.asked_by} instead.",
        )

    def fit(
        self, model: Denoiser, entry: ConditioningEntry, request: SamplingRequest
    ) -> dict[str, Tensor]:
        """Classes, numbers and others, if they are such as the model was trained with."""
        wanted: dict[str, tuple[int, ...]] = {
            CLASSES: (len(model.config["classes"]),),
            NUMBERS: (int(model.config["numbers"]),),
            **self.others,
        }
        tensors = {name: entry.tensors[name] for name in wanted if name in entry.tensors}
        shapes = {name: tuple(item.shape[1:]) for name, item in tensors.items()}
        if shapes != wanted:
            raise InvalidValue(
                f"this conditioning is not for {self.title}",
                port=request.side,
                given=_shapes_text(shapes) or None,
                expected=_shapes_text(wanted),
                hint=f"Link a {self.asked_by}.",
            )
        return tensors

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


def _shapes_text(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Such as "1 classes, image of 16 x 32"."""
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
        # None of diffusers' hooks knows these networks, and guiders would leave too little of them.
        speedups=frozenset(),
        perturbs_attention=False,
        skips_blocks=False,
    )


MOLECULE_PROPERTIES = ("logp", "qed", "rings", "atoms")
"""The numbers that lead its models, in their order; see `nodegraph.media.molecules.chemistry`."""

MOLECULES = item_family(
    "molecules",
    "Molecules",
    "a transformer of molecules",
    tokens=tables.MOST_ATOMS,
    features=tables.FEATURES,
    drawn=draw_molecules,
    asked_by="MoleculeConditioning",
    model="MoleculeTransformer",
    read=tables.READ_FEATURES,
)
"""Molecules of up to nine atoms, as tables."""

MOTIONS = item_family(
    "motions",
    "Images in motion",
    "a transformer of images in motion",
    tokens=motions.TOKENS,
    features=motions.FEATURES,
    drawn=draw_motions,
    asked_by="MotionConditioning",
    model="MotionTransformer",
    heads=5,
    gives_clean=False,
    others={motions.PICTURE: (motions.PLACES, motions.FEATURES)},
)
"""Images that are set in motion: the latents of sixteen frames."""

SHAPES = item_family(
    "shapes",
    "Shapes",
    "a transformer of shapes",
    tokens=distance_grids.TOKENS,
    features=distance_grids.FEATURES,
    drawn=distance_grids.depth_views,
    asked_by="ShapeConditioning",
)
"""Solids as grids of signed distances."""


OPEN_CLASS = -1
OPEN_NUMBER = float("nan")


def item_conditioning(
    family: str,
    classes: Sequence[int | None] = (),
    numbers: Sequence[float | None] = (),
    others: Mapping[str, Tensor] = MappingProxyType({}),
) -> Conditioning:
    """A conditioning of a family of items; that in which all is left open stands in for a negative
    one that isn't given.

    Args:
        family: Its name.
        classes, numbers: In the order that its models were trained with; None is left open.
        others: What else its models are led by, as of `ItemFamily.others`; never left open, so
            that guidance leads away from nothing of it.
    """
    from nodegraph.core.values import Conditioning

    return Conditioning(
        (_open_entry(classes, numbers, others),),
        family,
        _open_entry([None] * len(classes), [None] * len(numbers), others),
    )


def _open_entry(
    classes: Sequence[int | None], numbers: Sequence[float | None], others: Mapping[str, Tensor]
) -> ConditioningEntry:
    import torch

    from nodegraph.core.values import ConditioningEntry

    kinds = [OPEN_CLASS if item is None else item for item in classes]
    values = [OPEN_NUMBER if item is None else item for item in numbers]
    return ConditioningEntry(
        {
            CLASSES: torch.tensor([kinds], dtype=torch.int64),
            NUMBERS: torch.tensor([values], dtype=torch.float32),
            **others,
        }
    )
