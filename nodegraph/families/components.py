"""Live components: what a recipe becomes when its weights are in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch

    from nodegraph.core.values import Adapter, ConditioningEntry, Recipe
    from nodegraph.families.model_step import Batch, Moment
    from nodegraph.families.speed_options import StepCaching
    from nodegraph.media.images.tiles import TileSize


@dataclass(frozen=True, slots=True)
class Component:
    """Modules that work together, in eval mode, all on one device.

    Attributes:
        modules: By role, such as ``unet`` or ``text_encoder_2``; at least one.
        family: Such as ``sd1``; of an autoencoder the name of its latent format.
    """

    modules: Mapping[str, Any]
    family: str

    @property
    def module(self) -> Any:
        """The first of its modules, and mostly the only one."""
        return next(iter(self.modules.values()))

    @property
    def config(self) -> Mapping[str, Any]:
        """The first module's configuration."""
        config: Mapping[str, Any] = self.module.config
        return config

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        device: torch.device = self.module.device
        return device

    @property
    def dtype(self) -> torch.dtype:
        """What it computes in."""
        dtype: torch.dtype = self.module.dtype
        return dtype


class StepMerger(Protocol):
    """Evaluates steps of several samplings in one batch."""

    def ask(self, model: Denoiser, x: torch.Tensor, moment: Moment, batch: Batch) -> torch.Tensor:
        """What `Family.predict` of the model's family gives."""


class PromptBatching(Protocol):
    """Decides in one sampling whether the prompts of a step are evaluated one by one."""

    def is_separate(
        self,
        kind: Sequence[object],
        actions: Mapping[str, Callable[[], object]],
        device: torch.device,
    ) -> bool:
        """See `nodegraph.sampling.prompt_batching.MeasuredBatching`, as for the rest."""

    def state(self) -> dict[str, torch.Tensor]: ...

    def restore(self, state: Mapping[str, torch.Tensor]) -> None: ...


@dataclass(frozen=True, slots=True)
class Denoiser(Component):
    """One or two UNets or transformers with their noise schedule.

    Attributes:
        scheduler_config: The model's scheduler file: ``num_train_timesteps``, ``beta_start``,
            ``beta_end``, ``beta_schedule``, ``prediction_type``, ``timestep_spacing``, ….
        settings: The entries of ``model_index.json`` that the family's denoiser uses.
        conditioners: Roles of modules that read prompts for the others, and denoise nothing.
        one_by_one: Whether to evaluate the items of a batch one after the other, with sliced
            attention, which takes less memory.
        caching: The step cache that samplings use.
        attention: One of `nodegraph.families.speed_options.ATTENTIONS`.
        compiled: Whether its blocks are compiled.
        prompts: One of `nodegraph.families.speed_options.PROMPTS`.
        batching: Decides for the prompts ``fastest``; None: they share a batch.
        is_own: Whether its modules belong to one use and are not shared.
        controls: Its control networks, by their recipes.
        adapted: The same model with adapters of prompts in addition, by these.
        seat: The slot in which its steps are batched with those of other uses. None if there are no
            others.
    """

    scheduler_config: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    conditioners: frozenset[str] = frozenset()
    one_by_one: bool = False
    caching: StepCaching | None = None
    attention: str = "auto"
    compiled: bool = False
    prompts: str = "together"
    batching: PromptBatching | None = field(default=None, compare=False, repr=False)
    is_own: bool = False
    controls: Mapping[Recipe, ControlNetwork] = field(default_factory=dict)
    adapted: Mapping[tuple[Adapter, ...], Denoiser] = field(default_factory=dict)
    seat: StepMerger | None = field(default=None, compare=False, repr=False)

    @property
    def networks(self) -> dict[str, Any]:
        """The modules that denoise, by role."""
        return {
            role: module for role, module in self.modules.items() if role not in self.conditioners
        }

    def with_networks(self, networks: Mapping[str, Any]) -> Denoiser:
        """The same with other modules that denoise."""
        return replace(self, modules={**self.modules, **networks})


@dataclass(frozen=True, slots=True)
class ControlNetwork(Component):
    """A network that leads a denoiser by an image."""


@dataclass(frozen=True, slots=True)
class TextModel(Component):
    """Text encoders with their tokenizers.

    Attributes:
        tokenizers: By role, such as ``tokenizer_2``.
        settings: The entries of ``model_index.json`` that the family's text encoder uses.
        empty: The replacement for a missing negative prompt, by the device that computed it.
            Filled on first use; callers receive copies.
        clip_layer: CLIP layer that prompts are taken from, counted from the last, 1. 0 is the
            family's default.
        as_comfyui: Whether prompts are split and padded as in ComfyUI: a word is never split
            between two windows of CLIP tokens, and Flux.1's T5 pads to 256 tokens.
        turn: Lock held while a prompt is encoded: tokenizers keep their padding and truncation
            state between calls, and components with other adapters share them.
    """

    tokenizers: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    empty: dict[str, ConditioningEntry | None] = field(default_factory=dict, compare=False)
    clip_layer: int = 0
    as_comfyui: bool = False
    turn: Lock = field(default_factory=Lock, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Autoencoder(Component):
    """A variational autoencoder.

    Attributes:
        tiled: Whether to process one tile of the image at a time, which takes less memory.
        tiles: The size of the tiles. The default is that of `nodegraph.media.images.tiles.spans`.
        file_config: The entries of its own configuration that its family replaces.
    """

    tiled: bool = False
    tiles: TileSize | None = None
    file_config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TinyAutoencoder(Component):
    """A small decoder of latents for previews."""
