"""Evaluate a model for prompts: in batches, item by item, or from a step cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.family_plugins import check_prediction
from nodegraph.families.image_conditioning import OVER_CELLS, mask_names
from nodegraph.families.key_values import store_in
from nodegraph.families.model_step import Moment, item_tensors
from nodegraph.families.registry import get_family
from nodegraph.families.speed_options import FASTEST, SEPARATE, TOGETHER, KeyValues
from nodegraph.models.attention import SlicedAttention, using_attention
from nodegraph.sampling.controls.control_residuals import ActiveControls
from nodegraph.sampling.prompt_adapters import AdapterSet, active_adapters
from nodegraph.sampling.prompt_batching import restored_names
from nodegraph.sampling.prompts import Prompt, Prompts, mean_of
from nodegraph.sampling.regions import Window

if TYPE_CHECKING:
    from nodegraph.families.model_step import Batch
    from nodegraph.families.speed_options import StepCaching
    from nodegraph.models.speed.key_values import KeyValueSteps
    from nodegraph.models.speed.step_caches import CachedSteps


class ModelEvaluator:
    """A model as it is asked in one sampling.

    As many of a step's prompts as fit are evaluated in one batch, in the order that the stock
    pipelines have, so that results are equal to the bit.

    Args:
        size: Width and height in pixels.
        shape: Of the latent.
    Attributes:
        model: What is asked; a copy of the given one where that has a step cache.
        family: Its family.
        controls: The images that lead beside prompts.
        window: What it is shown of the latent now, for who looks into it; None: all of it.
    """

    def __init__(self, model: Denoiser, size: tuple[int, int], shape: Sequence[int]) -> None:
        self._steps = None if model.caching is None else cached_steps(model, model.caching)
        self.model = model if self._steps is None else self._steps.model
        self.family = get_family(model.family)
        self.controls = ActiveControls(self.family, self.model, size, shape)
        self.window: Window | None = None
        self._of = size, shape

    def for_model(self, model: Denoiser) -> ModelEvaluator:
        """Another network of the family in the same sampling: the same images lead it."""
        evaluator = ModelEvaluator(replace(model, caching=None), *self._of)
        evaluator.controls = self.controls
        return evaluator

    def begin(self, first: Prompt) -> None:
        """Begin a step.

        Args:
            first: The first positive prompt that applies.
        """
        self.controls.begin(first.tensors)

    def evaluate(self, x: Tensor, moment: Moment, prompts: Sequence[Prompt]) -> list[Tensor]:
        """The network's output for each prompt.

        Args:
            x: The latent as the model takes it.
        """
        outputs_by_index: dict[int, Tensor] = {}
        self.controls.set_latent(x)
        for window in dict.fromkeys(prompt.window for prompt in prompts):
            places = [at for at, prompt in enumerate(prompts) if prompt.window == window]
            shown, here = x, [prompts[at] for at in places]
            self.window = window
            if window is not None:
                shown = window.crop(x).contiguous()
                here = [_cropped(prompt, window, x) for prompt in here]
            for model, group in self._groups(here, moment):
                output = self._evaluated(model, shown, moment, [here[at] for at in group])
                whole = output if window is None else window.paste(output, x)
                outputs_by_index |= zip(
                    [places[at] for at in group], whole.chunk(len(group)), strict=True
                )
        return [outputs_by_index[index] for index in range(len(prompts))]

    def _groups(
        self, prompts: Sequence[Prompt], moment: Moment
    ) -> Iterator[tuple[Denoiser, list[int]]]:
        """Positions of prompts that are evaluated in one batch, with the model for each batch."""
        positions: dict[AdapterSet, list[int]] = {}
        for position, prompt in enumerate(prompts):
            adapters = active_adapters(prompt.adapters, moment.begun, moment.progress_after)
            positions.setdefault(adapters, []).append(position)
        for adapters, members in positions.items():
            model = self._adapted(adapters, prompts[members[0]])
            for group in self.family.groups([prompts[member].tensors for member in members]):
                yield model, [members[at] for at in group]

    def _adapted(self, adapters: AdapterSet, prompt: Prompt) -> Denoiser:
        """The model with adapters of a prompt.

        Raises:
            InvalidValue: The caller has not loaded it.
        """
        if not adapters:
            return self.model
        if adapters not in self.model.adapted:
            raise InvalidValue(
                "the LoRA or model of a prompt is not loaded here",
                port=prompt.name.partition(" ")[0],
                hint="Sample with a node of a workflow. Or put the LoRA on the model by LoadLora, "
                "and mix models by MergeModels.",
            )
        # It computes without a step cache: what the model cached is not for it.
        return replace(self.model.adapted[adapters], caching=None, seat=self.model.seat)

    @property
    def is_savable(self) -> bool:
        """Whether `state` is small enough to be saved now and then."""
        return self._steps is None or self._steps.is_savable

    @property
    def reuse(self) -> str:
        """What a step cache has spared, in words; empty where there is nothing to tell."""
        return "" if self._steps is None else self._steps.reuse

    def state(self) -> dict[str, Tensor]:
        """What a step cache keeps, and how prompts were found to share batches, by name."""
        decided = {} if self.model.batching is None else self.model.batching.state()
        return decided if self._steps is None else {**decided, **self._steps.state()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned.

        Raises:
            ValueError: It is damaged.
        """
        decided = restored_names(state)
        if self.model.batching is not None:
            self.model.batching.restore(state)
        if self._steps is not None:
            self._steps.restore({name: state[name] for name in state.keys() - decided})

    def _evaluated(
        self, model: Denoiser, x: Tensor, moment: Moment, prompts: Sequence[Prompt]
    ) -> Tensor:
        if not model.one_by_one:
            if len(prompts) == 1 or not self._is_separate(model, x, moment, prompts):
                return self._together(model, x, moment, prompts)
            return torch.cat([self._together(model, x, moment, [item]) for item in prompts])
        # Guidance asks for several prompts in one batch: this halves what layers hold, at least.
        with SlicedAttention():
            singles = [
                self._forward(model, item[None], moment, [prompt], index)
                for prompt in prompts
                for index, item in enumerate(x)
            ]
        return torch.cat(singles)

    def _together(
        self, model: Denoiser, x: Tensor, moment: Moment, prompts: Sequence[Prompt]
    ) -> Tensor:
        xs = torch.cat([x] * len(prompts))
        return self._forward(model, xs, moment, prompts)

    def _is_separate(
        self, model: Denoiser, x: Tensor, moment: Moment, prompts: Sequence[Prompt]
    ) -> bool:
        """Whether prompts that could share a batch are evaluated one by one."""
        if model.prompts != FASTEST or model.batching is None:
            return model.prompts == SEPARATE
        # Not in a batch with other samplings, whose steps it would wait for.
        alone = replace(model, seat=None)
        actions = {
            TOGETHER: lambda: self._together(alone, x, moment, prompts),
            SEPARATE: lambda: [self._together(alone, x, moment, [item]) for item in prompts],
        }
        adapters = {item.adapter.digest for prompt in prompts for item in prompt.adapters}
        tensors = [
            sorted([name, str(item.dtype), list(item.shape)] for name, item in prompt.items())
            for prompt in (prompt.tensors for prompt in prompts)
        ]
        kind = [list(x.shape), str(x.dtype), tensors, sorted(adapters)]
        return model.batching.is_separate(kind, actions, x.device)

    def _forward(
        self,
        model: Denoiser,
        xs: Tensor,
        moment: Moment,
        prompts: Sequence[Prompt],
        item: int | None = None,
    ) -> Tensor:
        """The network's output.

        Args:
            item: Place of the only item that is asked for; None for all.
        """
        tensors = [prompt.tensors for prompt in prompts]
        evaluated = [item_tensors(each, item) for each in tensors]
        batch = self.family.join(evaluated, len(xs) // len(prompts))
        keeping: AbstractContextManager[Mapping[str, object]] = nullcontext({})
        if self._steps is not None and model is self.model:
            name = "+".join(prompt.name for prompt in prompts)
            keeping = self._steps.call(name, moment, tensors, item)
        with using_attention(model.attention):
            batch = self.controls.with_residuals(batch, xs, moment, prompts, item)
        with using_attention(model.attention), keeping as kept:
            batch = {**batch, **kept}
            self._fill_store(model, xs, moment, batch)
            if model.seat is not None:
                return model.seat.ask(model, xs, moment, batch)
            output = self.family.predict(model, xs, moment, batch)
        return check_prediction(self.family, output, xs)

    def _fill_store(self, model: Denoiser, xs: Tensor, moment: Moment, batch: Batch) -> None:
        """Compute keys and values that a sampling had before it was resumed.

        The output of such a call may differ in the last bits from that of one that reads them.
        """
        store = store_in(batch)
        if store is not None and store.is_due:
            self.family.predict(model, xs, moment, batch)
            store.is_due = False


def _cropped(prompt: Prompt, window: Window, x: Tensor) -> Prompt:
    """A prompt whose images and masks that lie over the latent are cut to a window.

    Args:
        x: The whole latent.
    """
    cut = {
        name: window.crop(tensor)
        for name, tensor in prompt.tensors.items()
        if name in OVER_CELLS and tensor.shape[-2:] == x.shape[-2:]
    }
    for name in mask_names(prompt.tensors):
        cut[name] = window.crop_image(prompt.tensors[name], x.shape[-2:])
    return replace(prompt, tensors={**prompt.tensors, **cut}) if cut else prompt


def evaluate_mean(evaluator: ModelEvaluator, prompts: Prompts, x: Tensor, moment: Moment) -> Tensor:
    """What a model says about the prompts of one side.

    Args:
        x: The latent as the model takes it.
    """
    now = prompts.at(moment.progress, moment.step, moment.begun)
    return mean_of(evaluator.evaluate(x, moment, now), now)


def cached_steps(model: Denoiser, caching: StepCaching) -> CachedSteps | KeyValueSteps:
    """The model with a step cache of its own."""
    if isinstance(caching, KeyValues):
        from nodegraph.models.speed.key_values import KeyValueSteps

        return KeyValueSteps(model, caching)
    # Its hooks take a while to import, which only those wait for who use them.
    from nodegraph.models.speed.step_caches import CachedSteps

    return CachedSteps(model, caching)
