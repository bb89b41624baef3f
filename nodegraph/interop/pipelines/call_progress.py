"""Progress, previews and cancellation of a pipeline call."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from torch import Tensor, nn

from nodegraph.core.context import Context, Preview
from nodegraph.core.values import DiffusionModel
from nodegraph.interop.pipelines.values import Pipeline
from nodegraph.weights.lazy import diffusers

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
