"""Values that travel on links: latents, audio, video, shapes, conditionings, model recipes.

They hold tensors on the CPU and never import torch. Values on links are shared and read-only: make
a changed copy with `dataclasses.replace`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from nodegraph.core.digests import digest_value
from nodegraph.core.recipe_options import SPEED_PREFIX

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Mesh:
    """A surface of triangles.

    Attributes:
        vertices: float32, shape (vertices, 3): x, y, z; y is up, as in GLB.
        faces: int64, shape (faces, 3): the vertices of each triangle, counter-clockwise as seen
            from outside.
        colors: float32 in 0..1, sRGB, shape (vertices, 3); None where it has none.
        uv: float32, shape (vertices, 2): where in the texture each vertex lies; (0, 0) is its lower
            left corner, (1, 1) the upper right one.
        texture: float32 in 0..1, sRGB, shape (height, width, 3); needs `uv`.
    """

    vertices: Tensor
    faces: Tensor
    colors: Tensor | None = None
    uv: Tensor | None = None
    texture: Tensor | None = None


@dataclass(frozen=True, slots=True)
class PointCloud:
    """Points in space.

    Attributes:
        points: float32, shape (points, 3): x, y, z.
        colors: float32 in 0..1, sRGB, shape (points, 3); None where it has none.
    """

    points: Tensor
    colors: Tensor | None = None


@dataclass(frozen=True, slots=True)
class AtomSites:
    """Where in a large molecule its atoms belong, as PDB files say it; each has one entry an atom.

    Attributes:
        names: Of atoms, such as ``CA``.
        residues: Names of what they are parts of, such as ``ALA``.
        numbers: Of the residues in their chain.
        chains: Such as ``A``.
    """

    names: tuple[str, ...]
    residues: tuple[str, ...]
    numbers: tuple[int, ...]
    chains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Molecule:
    """Atoms, what binds them, and where they are.

    Attributes:
        elements: int64, shape (atoms,): atomic numbers.
        bonds: int64, shape (bonds, 2): the two atoms of each.
        orders: int64, shape (bonds,): 1, 2, 3, …; rings that are called aromatic have 1 and 2 by
            turns; 0 for bonds of other kinds.
        coordinates: float32, shape (conformers, atoms, 3), in ångström; no conformers where it
            isn't known.
        charges: int64, shape (atoms,): formal ones; None for none.
        hydrogens: int64, shape (atoms,): hydrogen at each atom that is no atom here; None for what
            the usual valences leave open.
        isotopes: int64, shape (atoms,): mass numbers, 0 for the natural mixture; None for that.
        chirality: int64, shape (atoms,): as seen from the first of an atom's neighbors in the
            order of the bonds, 1 where the others follow counter-clockwise, 2 clockwise, else 0.
        stereo: int64, shape (bonds, 3): of a double bond 1 where a neighbor of its first and one
            of its second atom lie on one side, 2 on opposite ones, and these two; else zeros.
        sites: Of large molecules.
        name: Free text.
    """

    elements: Tensor
    bonds: Tensor
    orders: Tensor
    coordinates: Tensor
    charges: Tensor | None = None
    hydrogens: Tensor | None = None
    isotopes: Tensor | None = None
    chirality: Tensor | None = None
    stereo: Tensor | None = None
    sites: AtomSites | None = None
    name: str = ""


_NEAR = 3
"""Folders above a model's first file that may be the model's own."""
SPAN_TOLERANCE = 1e-8
"""Parts of a sampling that are alike but for rounding, where one begins."""
NOT_CONTENT: dict[str, Any] = {"content": False}
"""Field metadata: the field does not enter the value's digest."""


Form = Literal["exploding", "mixing"]
"""How a noisy latent is kept; see `Leftover`."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """Noise that is left in a latent, as a sampling that stopped early left it.

    Attributes:
        sigma: Its level, of an unscaled latent; in flow models 0 to 1.
        form: ``exploding``: latent + sigma · noise; ``mixing``: alpha · latent + deviation · noise.
        original: Samples of the image that a mask keeps a part of; None if there is no mask.
    """

    sigma: float
    form: Form
    original: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Latent:
    """A batch of latents, or the size of one that is still to be drawn.

    Attributes:
        samples: float32 on the CPU, shape (batch, channels, height / f, width / f) where f is the
            format's spatial factor, with frames before the height for videos; None for an empty
            latent, which takes its channels and factors from the model that samples it.
        width, height: Size in pixels; of what is no image, features and tokens of an item.
        batch_size: Number of images, videos or items.
        noise_mask: float32 in 0..1, shape (1 or batch, height, width) in pixels; 1 is denoised
            anew, 0 is kept.
        format: Name of the latent format that the samples are in, such as ``sd`` or ``flux``: what
            says which VAE can decode them, and which models go on with them; None if empty.
        batch_index: Place of each item in the batch that it comes from: item i draws its noise
            from a generator seeded with seed + batch_index[i]. None means 0, 1, 2, ….
        frames: Images of a video; 1 for an image.
        leftover: The noise that is left in the samples; None if they are of an image.
        gradual: How far the mask says when a cell begins to change, 0 to 1: one of 0.3 with the
            last 0.3 of the noise. At 0 it says how much of each step counts.
    """

    samples: Tensor | None
    width: int
    height: int
    batch_size: int = 1
    noise_mask: Tensor | None = None
    format: str | None = None
    batch_index: tuple[int, ...] | None = None
    frames: int = 1
    leftover: Leftover | None = None
    gradual: float = 0.0

    @property
    def noise_indices(self) -> tuple[int, ...]:
        """What is added to the seed for each item, one per item."""
        if self.batch_index is not None:
            return self.batch_index
        return tuple(range(self.batch_size))


@dataclass(frozen=True, slots=True)
class Audio:
    """What can be heard, as samples.

    Attributes:
        waveform: float32 on the CPU, shape (channels, samples); files keep what is in -1..1.
        rate: Samples a second.
    """

    waveform: Tensor
    rate: int

    @property
    def seconds(self) -> Fraction:
        """How long it is."""
        return Fraction(self.waveform.shape[1], self.rate)


@dataclass(frozen=True, slots=True)
class Video:
    """Images that follow each other, and the audio to them.

    Attributes:
        frames: float32 in 0..1 on the CPU, sRGB, shape (frames, height, width, 3).
        rate: Frames a second, exactly: 24000/1001 is no 23.976.
        audio: Begins with the first frame.
    """

    frames: Tensor
    rate: Fraction
    audio: Audio | None = None

    @property
    def seconds(self) -> Fraction:
        """How long its images are shown."""
        return self.frames.shape[0] / self.rate


@dataclass(frozen=True, slots=True)
class Control:
    """An image that leads a model through a network of its own (ControlNet, T2I adapter).

    Attributes:
        model: Recipe of that network.
        hint: What the network is shown; float32. Of networks that see pixels: in 0..1, shape (1 or
            batch, height, width, channels). Of those that see latents: scaled as the model was
            trained on, shape (1 or batch, channels, height, width) in cells.
        strength: How strongly it leads; 1 is as it was trained.
        start, end: Part of the sampling it applies to, 0 (first step) to 1 (last).
        mode: Which of its kinds of images it is, of a network that knows several.
        faint: Whether it leads the first blocks less than the last (guess mode).
        mask: In 0..1, shape (1 or batch, height, width): from a half up the image isn't shown,
            to networks that see pixels and fill.
    """

    model: Recipe
    hint: Tensor
    strength: float = 1.0
    start: float = 0.0
    end: float = 1.0
    mode: int | None = None
    faint: bool = False
    mask: Tensor | None = None

    def applies(self, begin: float, end: float) -> bool:
        """Whether a step lies within its part of the sampling.

        Args:
            begin, end: Of the step, as parts of the sampling that lie behind them; by ComfyUI's
                convention both of its beginning.
        """
        return self.start - SPAN_TOLERANCE <= begin and end <= self.end


@dataclass(frozen=True, slots=True)
class StepSpan:
    """Some steps of a sampling, counted from 0 in the whole of its schedule.

    Attributes:
        first: The first one.
        end: The one after the last; None: to the end of the sampling.
        every, phase: Of these, each whose number leaves `phase` when it is divided by `every`.
    """

    first: int = 0
    end: int | None = None
    every: int = 1
    phase: int = 0

    def holds(self, step: int) -> bool:
        """Whether a step is one of them."""
        is_between = self.first <= step and (self.end is None or step < self.end)
        return is_between and step % self.every == self.phase


@dataclass(frozen=True, slots=True)
class Area:
    """A rectangle of an image.

    Attributes:
        x, y: Of its upper left corner.
        width, height: Its sides; what reaches beyond the image doesn't count.
        unit: ``shares``: all of these are parts of the image's width or height; or ``pixels``.
        feather: How far it fades in from those of its sides that aren't the image's; a share of
            the image's shorter side, or pixels.
        sampled: What a model is shown for it: the whole ``picture``, or the ``area`` alone. That is
            of whole cells of the latent, and fades in by these over the feather, which is in pixels
            whatever the unit, where the prompt has no mask.
    """

    x: float
    y: float
    width: float
    height: float
    unit: Literal["shares", "pixels"] = "shares"
    feather: float = 0.0
    sampled: Literal["picture", "area"] = "picture"


@dataclass(frozen=True, slots=True)
class ConditioningEntry:
    """One prompt as a model takes it, and how it applies.

    Attributes:
        tensors: By name, on the CPU, each with a first dimension of 1: ``embeddings``
            (1, tokens, width), and what else the family takes, such as ``pooled`` (1, width) or
            ``mask`` (1, tokens).
        strength: Weight among the entries that apply at the same place and step.
        mask: float32 in 0..1, shape (1, height, width) in pixels: where the entry applies.
        start, end: Part of the sampling it applies to, 0 (first step) to 1 (last).
        controls: Images that lead beside the prompt.
        references: Latents of images to look at, as editing models do; each of shape
            (1, channels, height, width), scaled as the model was trained on.
        steps: Steps it applies at, besides; None: any.
        areas: Where it applies, besides: in all of them at once.
    """

    tensors: Mapping[str, Tensor]
    strength: float = 1.0
    mask: Tensor | None = None
    start: float = 0.0
    end: float = 1.0
    controls: tuple[Control, ...] = ()
    references: tuple[Tensor, ...] = ()
    steps: StepSpan | None = None
    areas: tuple[Area, ...] = ()

    @property
    def embeddings(self) -> Tensor:
        """The prompt's tokens, shape (1, tokens, width)."""
        return self.tensors["embeddings"]


@dataclass(frozen=True, slots=True)
class Conditioning:
    """What the model is to be conditioned on: at least one entry, all of one family.

    Attributes:
        unconditional: The empty prompt by the same encoder; stands in where guidance needs a
            negative prompt and none is given. None for families that then do without.
    """

    entries: tuple[ConditioningEntry, ...]
    family: str | None = None
    unconditional: ConditioningEntry | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """Small weights that change what a model does, put on top of its own.

    Attributes:
        kind: How they apply, such as ``lora``.
        source: The file that holds them.
        digest: blake3 of the file's content, hexadecimal.
        strength: How strongly they apply; 1 is as they were trained.
        modules: Roles of the modules that they apply to, such as ``transformer_2``; all if empty.
        token: The word in prompts that stands for them, where they are one.
    """

    kind: str
    source: str = field(metadata=NOT_CONTENT)
    digest: str
    strength: float = 1.0
    modules: tuple[str, ...] = ()
    token: str = ""


@dataclass(frozen=True, slots=True)
class RecipeFile:
    """A file that a component is made of.

    Attributes:
        role: The part that it is for, as folders of models name them: ``unet``,
            ``text_encoder_2``, ``tokenizer``, …; ``checkpoint`` for a file that holds several.
        path: Where it lies.
        digest: blake3 of its content, hexadecimal.
    """

    role: str
    path: str = field(metadata=NOT_CONTENT)
    digest: str


@dataclass(frozen=True, slots=True)
class Recipe:
    """An immutable description of a model component, not its weights.

    A residency manager turns it into a module when a node needs it. Two recipes with the same
    content give the same weights wherever their files lie.

    Attributes:
        family: Architecture, such as ``sd1``.
        files: What it is made of, at least one.
        dtype: Precision of the weights in memory: ``float32``, ``float16``, ``bfloat16``.
        options: Anything else that changes the module, as sorted (name, value) pairs.
        adapters: What is put on top of the weights, in this order. Recipes that differ in nothing
            else, or in options whose names begin with ``speed.``, share the weights.
    """

    family: str
    files: tuple[RecipeFile, ...]
    dtype: str = "float32"
    options: tuple[tuple[str, str], ...] = ()
    adapters: tuple[Adapter, ...] = ()

    @property
    def is_derived(self) -> bool:
        """Whether its component is made of that of `base`."""
        return bool(self.adapters) or any(name.startswith(SPEED_PREFIX) for name, _ in self.options)

    @property
    def base(self) -> Recipe:
        """The recipe without adapters and speed options: what the shared weights are of."""
        if not self.is_derived:
            return self
        kept = tuple(item for item in self.options if not item[0].startswith(SPEED_PREFIX))
        return replace(self, adapters=(), options=kept)

    @property
    def source(self) -> str:
        """Where its files lie: the folder that they share; the first one, if that is the only one
        or others lie far from it, as a tokenizer that comes with nodegraph does.
        """
        first = self.files[0].path
        shared = Path(os.path.commonpath([file.path for file in self.files]))
        is_own = shared.name != "" and shared in list(Path(first).parents)[:_NEAR]
        return str(shared) if is_own else first

    @property
    def digest(self) -> str:
        """Of what its files hold: equal wherever they lie. The file's own if there is only one."""
        if len(self.files) == 1:
            return self.files[0].digest
        return digest_value([(file.role, file.digest) for file in self.files])

    def paths(self, role: str) -> list[str]:
        """Where the files of a part lie."""
        return [file.path for file in self.files if file.role == role]

    def option(self, name: str, default: str = "") -> str:
        """The value of an option, or `default`."""
        return dict(self.options).get(name, default)


class DiffusionModel(Recipe):
    """Recipe of a denoiser: a UNet or transformer with its noise schedule."""

    __slots__ = ()


class TextEncoder(Recipe):
    """Recipe of a text encoder with its tokenizer."""

    __slots__ = ()


class Vae(Recipe):
    """Recipe of a variational autoencoder between pixels and latents."""

    __slots__ = ()


class ControlNet(Recipe):
    """Recipe of a network that leads a denoiser by an image: a ControlNet or T2I adapter."""

    __slots__ = ()


class ImageEncoder(Recipe):
    """Recipe of what makes numbers of an image that say what it shows, such as CLIP's eyes."""

    __slots__ = ()


class PipelineComponent(Recipe):
    """Recipe of one part of a pipeline by itself, as its class in diffusers or transformers reads
    it; the family is the name of that class."""

    __slots__ = ()


class VisionNetwork(Recipe):
    """Recipe of a network that sees and that is built here; the family is its architecture."""

    __slots__ = ()
