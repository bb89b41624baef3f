"""Model calls of several samplings joined into one batch, and the measured gain."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Literal, Protocol

import torch
from torch import Tensor
from torch.nn.functional import linear
from torch.overrides import TorchFunctionMode

from nodegraph.core.digests import digest_value
from nodegraph.families.base import Family
from nodegraph.families.components import Denoiser
from nodegraph.families.family_plugins import check_prediction
from nodegraph.families.model_step import Batch, Moment

Kind = tuple[Any, ...]
"""What questions must agree in to be asked as one."""


@dataclass(frozen=True, slots=True)
class ModelCall:
    """The arguments of `Family.predict`.

    Attributes:
        rows: Items times prompts.
    """

    family: Family
    model: Denoiser
    x: Tensor
    moment: Moment
    batch: Batch

    @property
    def rows(self) -> int:
        return len(self.x)

    def kind(self) -> Kind | None:
        """What tells it from others besides its rows' content; None if it is asked alone.

        Alone is whatever isn't plainly a matter of rows: control networks, images beside a
        prompt, attention of another way, slices, step caches, compiled blocks, gradients.
        """
        model, moment = self.model, self.moment
        named = self.family.row_names
        is_usual = not model.one_by_one and model.caching is None and not model.compiled
        if not (named and is_usual and model.attention == "auto") or torch.is_grad_enabled():
            return None
        if not all(
            name in named and _is_of_rows(item, self.rows) for name, item in _of(self.batch)
        ):
            return None
        shapes = tuple((name, tuple(item.shape), item.dtype) for name, item in _of(self.batch))
        times = (moment.timestep.dtype, moment.timestep.ndim, moment.training_timesteps)
        parts = tuple((role, id(module)) for role, module in sorted(model.modules.items()))
        return (parts, tuple(self.x.shape), self.x.dtype, self.x.device, *times, shapes)

    def key_parts(self) -> list[Any]:
        """The same as plain values that mean the same in another process, without the weights."""
        tensors = [[name, list(item.shape), str(item.dtype)] for name, item in _of(self.batch)]
        return [self.family.name, list(self.x.shape), str(self.x.dtype), tensors]

    def evaluate(self) -> Tensor:
        """What the model says, asked for this alone."""
        output = self.family.predict(self.model, self.x, self.moment, self.batch)
        return check_prediction(self.family, output, self.x)


def join_calls(questions: Sequence[ModelCall]) -> ModelCall:
    """Questions of one kind as one; each row has its own timestep."""
    first = questions[0]
    timesteps = torch.cat([item.moment.timestep.expand(item.rows) for item in questions])
    following = torch.cat([item.moment.following.expand(item.rows) for item in questions])
    names = first.batch.keys()
    return ModelCall(
        first.family,
        first.model,
        torch.cat([item.x for item in questions]),
        replace(first.moment, timestep=timesteps, following=following),
        {name: torch.cat([item.batch[name] for item in questions]) for name in names},
    )


def _of(batch: Batch) -> list[tuple[str, Any]]:
    return sorted(batch.items())


def _is_of_rows(item: Any, rows: int) -> bool:
    return isinstance(item, Tensor) and item.ndim > 0 and len(item) == rows


class LinearApart(TorchFunctionMode):
    """Inside the `with`, this thread's linear layers take the parts of a batch one by one.

    Libraries sum up a product of matrices in another order where it has more rows. Convolutions,
    norms and attention go item by item, mostly, so that these layers alone would change bits; and
    they are the smaller part of the time of a UNet.

    Args:
        parts: How many samplings the batch is of, each with as many rows.
    """

    def __init__(self, parts: int) -> None:
        super().__init__()
        self._parts = parts

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        if func is not linear or not args:
            return func(*args, **options)
        rows: Tensor = args[0]
        if len(rows) % self._parts:
            return func(*args, **options)  # not of the batch, such as a table of positions
        return torch.cat([func(part, *args[1:], **options) for part in rows.chunk(self._parts)])


MergeMode = Literal["exact", "tolerance"]

ULPS = 16
"""Of the precision, that the root mean square of a difference may be of that of the answers: where
different bits are consented to."""
_TIMES = 3
"""Pairs of measurements, of which the quickest of each count: a busy machine only slows down."""
_MOST_SECONDS = 2.0
"""After which no further pair is begun."""
_RATIO, _DIFFERENCE = "merged steps", "merged steps differ"
"""What figures are kept as."""


class MergeFigures(Protocol):
    """Where figures outlive the process; `nodegraph.store.costs.Costs` is one."""

    def expected(self, node_type: str, shape: str, device: str) -> KeptFigure | None: ...

    def record(self, node_type: str, shape: str, device: str, seconds: float) -> None: ...


class KeptFigure(Protocol):
    """A figure that was kept; `exact` says whether it is of this very shape."""

    @property
    def seconds(self) -> float: ...
    @property
    def exact(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class MergePoint:
    """A point of the curve.

    Attributes:
        ratio: The time of one sampling's rows in the common batch, as a share of its own batch's.
        difference: Root mean square of the difference over that of the answers, by the unit in the
            last place of the precision; 0 only where all bits are equal.
    """

    ratio: float
    difference: float


class MergeCurve:
    """Which numbers of samplings pay to be asked at once, of a model, a shape and a device.

    A point is measured with the first questions for which it matters: they are answered by the
    answers that each has alone. Batches are compared with these again in the first round of a
    process, the second, the fourth, the eighth and so on: other inputs may round in another way.

    Args:
        mode: ``exact`` admits only what gives every bit as alone; ``tolerance`` a difference of
            `ULPS`.
        margin: Share of the time that has to be spared.
        profile: What may change last bits on a device besides, by the device.
        costs: Where figures outlive the process; None if nowhere.
    """

    def __init__(
        self,
        mode: MergeMode,
        margin: float,
        profile: Callable[[str], str],
        costs: MergeFigures | None = None,
    ) -> None:
        self.mode = mode
        self._margin = margin
        self._profile = profile
        self._costs = costs
        self._points: dict[tuple[str, int], MergePoint] = {}
        self._rounds: Counter[tuple[str, int]] = Counter()

    def admits(self, point: MergePoint) -> bool:
        """Whether a point pays, and gives what it has to."""
        most = 0.0 if self.mode == "exact" else ULPS
        return point.difference <= most and point.ratio <= 1 - self._margin

    def name(self, label: str, question: ModelCall) -> str:
        """What points are of.

        Args:
            label: Names the weights.
        """
        device = str(question.x.device)
        return digest_value([label, self.mode, self._profile(device), *question.key_parts()])

    def point(self, name: str, count: int, device: torch.device) -> MergePoint | None:
        """What is known of asking for so many samplings at once."""
        merge_point = self._points.get((name, count))
        if merge_point is None and self._costs is not None:
            shape, where = f"{name} x {count}", str(device)
            ratio = self._costs.expected(_RATIO, shape, where)
            difference = self._costs.expected(_DIFFERENCE, shape, where)
            if ratio and difference and ratio.exact and difference.exact:
                merge_point = MergePoint(ratio.seconds, difference.seconds)
                self._points[name, count] = merge_point
        return merge_point

    def note(self, name: str, count: int, device: torch.device, point: MergePoint) -> None:
        """Remember a point that was measured; beyond the process only where all of it is finite."""
        self._points[name, count] = point
        is_finite = math.isfinite(point.ratio) and math.isfinite(point.difference)
        if self._costs is not None and is_finite:
            shape, where = f"{name} x {count}", str(device)
            self._costs.record(_RATIO, shape, where, point.ratio)
            self._costs.record(_DIFFERENCE, shape, where, point.difference)

    def refuse(self, name: str, count: int) -> None:
        """Try a number of samplings no more in this process, as it can't be computed."""
        self._points[name, count] = MergePoint(math.inf, math.inf)

    def evaluate_merged(self, questions: Sequence[ModelCall]) -> list[Tensor]:
        """The answers to questions of one kind, asked at once."""
        apart: AbstractContextManager[object] = nullcontext()
        if self.mode == "exact":
            apart = LinearApart(len(questions))
        with apart:
            answer = join_calls(questions).evaluate()
        # Copies: a caller may keep its rows, and must not keep those of others.
        return [rows.clone() for rows in answer.chunk(len(questions))]

    def answers(self, name: str, questions: Sequence[ModelCall]) -> tuple[list[Tensor], bool]:
        """The answers where a point is admitted, and whether they are those of the batch.

        They are those that each has alone where a comparison shows that the batch's differ by too
        much; that many are asked at once no more.
        """
        count = len(questions)
        merged = self.evaluate_merged(questions)
        self._rounds[name, count] += 1
        rounds = self._rounds[name, count]
        if rounds & (rounds - 1):
            return merged, True
        alone = [question.evaluate() for question in questions]
        device, point = questions[0].x.device, self._points[name, count]
        measured_point = replace(point, difference=max(map(_difference, alone, merged)))
        if self.admits(measured_point):
            return merged, True
        self.note(name, count, device, measured_point)
        return alone, False

    def measure(self, questions: Sequence[ModelCall]) -> tuple[MergePoint, list[Tensor]]:
        """A point of the curve, and the answers that each question has alone."""
        begun = perf_counter()
        answers = [question.evaluate() for question in questions]
        merged = self.evaluate_merged(questions)
        difference = max(map(_difference, answers, merged))
        alone, at_once = math.inf, math.inf
        for _ in range(_TIMES):
            alone = min(alone, _seconds(lambda: [item.evaluate() for item in questions], questions))
            at_once = min(at_once, _seconds(lambda: self.evaluate_merged(questions), questions))
            if perf_counter() - begun > _MOST_SECONDS:
                break
        return MergePoint(at_once / alone, difference), answers


def _seconds(action: Callable[[], object], questions: Sequence[ModelCall]) -> float:
    device = questions[0].x.device
    _settle(device)
    begun = perf_counter()
    action()
    _settle(device)
    return perf_counter() - begun


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _difference(alone: Tensor, merged: Tensor) -> float:
    """See `MergePoint`."""
    if torch.equal(alone, merged):
        return 0.0
    expected, actual = alone.double(), merged.double()
    share = (expected - actual).square().mean().sqrt() / expected.square().mean().sqrt()
    epsilons = float(share) / torch.finfo(alone.dtype).eps
    return epsilons if math.isfinite(epsilons) else math.inf
