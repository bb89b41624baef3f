"""Run a pipeline call from node inputs to node outputs."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from inspect import Parameter, signature
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nodegraph.core.context import Context, Preview
from nodegraph.core.values import DiffusionModel
from nodegraph.errors import InvalidValue
from nodegraph.interop.pipelines.assembly import assembled_pipeline
from nodegraph.interop.pipelines.checks import OUTPUT_TYPE, PIPELINE, check_call
from nodegraph.interop.pipelines.classes import Pipeline, PipelineClass
from nodegraph.interop.pipelines.conversion import (
    Rates,
    call_arguments,
    output_values,
    rate_arguments,
    rate_unknown,
)
from nodegraph.interop.pipelines.rates import AUDIO_RATE, audio_rate, frame_rate, live_audio_rate
from nodegraph.weights.lazy import diffusers


@contextmanager
def own_random_state(seed: int, device: str) -> Iterator[None]:
    """Random numbers by a seed inside the `with`, whoever draws them; afterwards all as before."""
    theirs, numbers = random.getstate(), np.random.get_state()
    devices = [device] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices):
        try:
            random.seed(seed)
            np.random.seed(seed % 2**32)
            torch.manual_seed(seed)
            yield
        finally:
            random.setstate(theirs)
            np.random.set_state(numbers)


_MEDIA_KINDS = frozenset({"image", "video", "audio"})


def run_pipeline(
    ctx: Context, pipeline_class: PipelineClass, pipeline: Pipeline, inputs: Mapping[str, Any]
) -> tuple[Any, ...]:
    """Call a pipeline, and tell its steps on the way.

    Args:
        pipeline_class: The class to make of the pipeline's parts; the folder's own, or one that
            does with the same parts.
        inputs: By port, as the values of links are; None for the pipeline's own default.
            ``output_type`` asks for another answer, such as ``latent``.
    Returns:
        As many values as the class has outputs.
    Raises:
        InvalidValue: The call can't be made, as far as that is known before anything is loaded; or
            the pipeline refused it, or
            fails with parts that are of another class's folder.
        Cancelled: The run was, at the latest when a module was to be called.
    """
    check_call(pipeline_class, pipeline, inputs)
    seed = next(
        (inputs[name] for name in _seeds(pipeline_class) if inputs.get(name) is not None), 0
    )
    with (
        _without_warnings(),
        _made_of_others(pipeline_class, pipeline),
        assembled_pipeline(ctx, pipeline_class, pipeline) as made,
        own_random_state(seed, ctx.device),
    ):
        takes = signature(type(made).__call__).parameters
        sound = _audio_rate(pipeline_class, pipeline, inputs, made)
        following = CallProgress(
            ctx, _steps(takes, pipeline_class, inputs), previews_of(ctx, pipeline)
        )
        following.follow(made)
        output_type = _output_type(pipeline_class, inputs)
        call = {
            **({} if output_type is None else {OUTPUT_TYPE: output_type}),
            **following.callbacks(pipeline_class.settings.get("callbacks", ())),
            **call_arguments(pipeline_class, inputs, ctx.device),
            **rate_arguments(pipeline_class, inputs),
        }
        try:
            answer = made(**call)
        except ValueError as error:
            raise InvalidValue(f"{pipeline_class.name} rejected its inputs: {error}") from error
        return output_values(
            pipeline_class, answer, Rates(frame_rate(pipeline_class, inputs), sound), output_type
        )


@contextmanager
def _without_warnings() -> Iterator[None]:
    """What the libraries say of each other's use is nothing that whoever runs a node could mend."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _made_of_others(pipeline_class: PipelineClass, pipeline: Pipeline) -> Iterator[None]:
    """Parts of another class's folder may bear the right names and be of the wrong kind."""
    try:
        yield
    except (AttributeError, TypeError, RuntimeError) as error:
        if pipeline.class_name == pipeline_class.name:
            raise
        # Told apart by its cause: whether memory ran out.
        raise InvalidValue(
            f"{pipeline_class.name} fails with the components of a {pipeline.class_name}: "
            f"{type(error).__name__}: {error}",
            port=PIPELINE,
            given=pipeline.class_name,
            hint=f"It may need other components: load the folder of a {pipeline_class.name}, or "
            "check which scheduler it supports.",
        ) from error


def _seeds(pipeline_class: PipelineClass) -> list[str]:
    return [item.name for item in pipeline_class.inputs if item.kind == "seed"]


def _steps(
    takes: Mapping[str, Parameter], pipeline_class: PipelineClass, inputs: Mapping[str, Any]
) -> int | None:
    """Steps of the call, by what counts them; None where nothing does."""
    for name in pipeline_class.settings.get("steps", ()):
        count = inputs.get(name)
        if count is None and name in takes:
            count = takes[name].default
        if isinstance(count, int):
            return count
    return None


def _audio_rate(
    pipeline_class: PipelineClass, pipeline: Pipeline, inputs: Mapping[str, Any], made: Any
) -> int | None:
    """Samples a second of the sound that comes, before it is made: as told, else as a part says.

    Raises:
        InvalidValue: There comes some, and nothing says it.
    """
    if not any(output.kind == "audio" for output in pipeline_class.outputs):
        return None
    rate = inputs.get(AUDIO_RATE) or audio_rate(pipeline) or live_audio_rate(made)
    if rate is None:
        raise rate_unknown()
    return int(rate)


def _output_type(pipeline_class: PipelineClass, inputs: Mapping[str, Any]) -> str | None:
    """The form to ask for: numbers, so that nothing is rounded to 8 bits; None for the class's
    own."""
    default = pipeline_class.settings.get(OUTPUT_TYPE)
    if default is None or inputs.get(OUTPUT_TYPE) is not None:
        return inputs.get(OUTPUT_TYPE)
    if not any(output.kind in _MEDIA_KINDS for output in pipeline_class.outputs):
        return None
    # What makes images of PIL makes them of arrays.
    knows = default == "pil" or "np" in pipeline_class.settings.get("output_types", ())
    return "np" if knows else None


_STEP_END = "callback_on_step_end"
_OLDER, _EVERY = "callback", "callback_steps"


class CallProgress:
    """Tells the steps of one call, and ends it where the run is cancelled.

    Bars know the total and count best, but some classes show none; callbacks know the latents, but
    are called for some loops only; modules are called everywhere, encoders and decoders included.

    Args:
        ctx: Is told of progress; says whether the run is cancelled.
        steps: To be expected where no bar says it.
        preview: Makes what makes a preview of latents.
    """

    def __init__(
        self,
        ctx: Context,
        steps: int | None = None,
        preview: Callable[[Tensor], Callable[[], Preview | None]] | None = None,
    ) -> None:
        self._ctx = ctx
        self._steps = steps
        self._preview = preview
        self._latents: Tensor | None = None
        self._bars = 0

    def follow(self, made: Any) -> None:
        """Watch a pipeline's object and those that it holds."""
        for pipeline in pipelines_in(made):
            pipeline.set_progress_bar_config(disable=True)
            pipeline.progress_bar = self.bar
            for part in pipeline.components.values():
                if isinstance(part, nn.Module):
                    self._hook(part)

    def _hook(self, part: nn.Module) -> None:
        check = self._ctx.check_cancelled

        def before(_: nn.Module, __: Any) -> None:
            # None, as anything else would take the place of what the module is given.
            check()

        for layer in part.modules():
            layer.register_forward_pre_hook(before)

    def callbacks(self, names: Collection[str]) -> dict[str, Any]:
        """What to call a pipeline with.

        Args:
            names: Of its step callbacks.
        """
        newer: dict[str, Any] = {name: self.step_end for name in names if name.endswith(_STEP_END)}
        if newer or _OLDER not in names:
            return newer
        return {_OLDER: self.older, _EVERY: 1}

    def step_end(self, _: Any, step: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        """As ``callback_on_step_end``; changes nothing."""
        self._stepped(step, tensors.get("latents"))
        return {}

    def older(self, step: int, _: Any, latents: Any) -> None:
        """As ``callback``."""
        self._stepped(step, latents)

    def _stepped(self, step: int, latents: Any) -> None:
        self._ctx.check_cancelled()
        self._latents = latents if isinstance(latents, Tensor) else None
        if not self._bars:
            self.report(step + 1, self._steps)

    def bar(self, iterable: Any = None, total: int | None = None, **_: Any) -> Bar:
        """In place of a pipeline's ``progress_bar``."""
        return Bar(self, iterable, total)

    def open_bar(self) -> None:
        """A bar is there."""
        self._bars += 1

    def close_bar(self) -> None:
        """It is gone."""
        self._bars -= 1

    def report(self, step: int, total: int | None) -> None:
        """So many steps are done; of how many, if that is known.

        Raises:
            Cancelled: The run was.
        """
        latents, preview = self._latents, self._preview
        shown = preview(latents) if preview is not None and latents is not None else None
        known = total if total is not None else self._steps
        if known:
            # Some count more calls than steps.
            self._ctx.progress(min(step, known), known, preview=shown)
        else:
            self._ctx.check_cancelled()


class Bar:
    """What stands for a progress bar of tqdm; whatever else one is asked for does nothing."""

    def __init__(self, following: CallProgress, iterable: Any, total: int | None):
        self._following = following
        self._iterable = iterable
        length = getattr(iterable, "__len__", None)
        self.total = total if total is not None or length is None else length()
        self.n = 0

    def __iter__(self) -> Iterator[Any]:
        with self:
            for item in () if self._iterable is None else self._iterable:
                yield item
                self.update()

    def __enter__(self) -> Bar:
        self._following.open_bar()
        return self

    def __exit__(self, *_: object) -> None:
        self._following.close_bar()

    def update(self, count: int = 1) -> None:
        """More steps are done."""
        self.n += count
        self._following.report(int(self.n), self.total)

    def __getattr__(self, name: str) -> Any:
        return lambda *_, **__: None


def pipelines_in(made: Any) -> list[Any]:
    """A pipeline's object, and those that it holds as attributes."""
    inner = [item for item in vars(made).values() if isinstance(item, diffusers.DiffusionPipeline)]
    return [made, *inner]


def previews_of(
    ctx: Context, pipeline: Pipeline
) -> Callable[[Tensor], Callable[[], Preview | None]] | None:
    """What makes previews of a pipeline's latents; None where its latents aren't known here."""
    models = [item for item in pipeline.recipes if isinstance(item, DiffusionModel)]
    if len(models) != 1:
        return None
    from nodegraph.sampling.previews import Previews

    previews = Previews(ctx, models[0])

    def preview(latents: Tensor) -> Callable[[], Preview | None]:
        made = previews.of(latents.detach())
        # Packed ones don't tell their size.
        return made if latents.ndim in (4, 5) else lambda: None

    return preview
