"""Samplings whose steps share batches: each gets what it would get alone, whatever others do."""

from __future__ import annotations

import math
import random
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.diffusion import encode_prompt, load_component, open_model
from nodegraph.families.components import Denoiser
from nodegraph.families.model_step import Batch, Moment
from nodegraph.families.stable_diffusion import SD1, StableDiffusion
from nodegraph.sampling.denoise import Denoising, StepInfo
from nodegraph.sampling.merging.merged_calls import (
    ULPS,
    MergeCurve,
    MergeMode,
    MergePoint,
    ModelCall,
)
from nodegraph.sampling.merging.step_batching import BatchSlot, StepBatcher
from nodegraph.sampling.sampling_parts import build_sampling_parts

ALWAYS, NEVER = -1e9, 0.999
"""Margins of time: one that any merging keeps, and one that none does."""
FOREVER = 600.0
"""Seconds of patience: who is expected is waited for, however busy the machine is."""


@cache
def model() -> Denoiser:
    found: Any = load_component(open_model("tiny", ()).model, "cpu")
    return found


@cache
def prompt(text: str) -> Conditioning:
    return encode_prompt(load_component(open_model("tiny", ()).text_encoder, "cpu"), text)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Job:
    """A sampling; what `after` raises after a step ends it."""

    seed: int
    text: str = "a red apple"
    steps: int = 4
    cfg: float = 4.0
    sampler: str = "ddim"
    size: int = 64
    after: Callable[[StepInfo], object] = lambda info: None

    def run(self, seat: BatchSlot | None = None) -> Tensor:
        parts = build_sampling_parts(
            prompt(self.text),
            None,
            seed=self.seed,
            steps=self.steps,
            cfg=self.cfg,
            sampler=self.sampler,
            schedule="normal",
        )
        latent = Latent(None, self.size, self.size)
        denoising = Denoising(replace(model(), seat=seat), latent, parts)
        for info in denoising:
            self.after(info)
        found = denoising.result().samples
        assert found is not None
        return found


def profile(device: str) -> str:
    return "as it is"


def meeting_of(mode: MergeMode = "exact", margin: float = ALWAYS, **more: Any) -> StepBatcher:
    more = {"patience": FOREVER, **more}
    return StepBatcher("tiny", MergeCurve(mode, margin, profile), **more)


def together(meeting: StepBatcher, jobs: Sequence[Job]) -> list[Tensor | Exception]:
    """What each of the jobs gives, or raises."""
    model()  # once, before several threads ask for it
    with ExitStack() as stack:
        seats = [stack.enter_context(meeting.seat()) for _ in jobs]
        threads = stack.enter_context(ThreadPoolExecutor(len(jobs)))

        def one(job: Job, seat: BatchSlot) -> Tensor | Exception:
            try:
                return job.run(seat)
            except (ValueError, RuntimeError) as error:
                return error
            finally:
                meeting.leave(seat)

        return list(threads.map(one, jobs, seats))


def equal(found: Sequence[Any], jobs: Sequence[Job]) -> list[bool]:
    return [torch.equal(item, job.run()) for item, job in zip(found, jobs, strict=True)]


def test_two_samplings_share_their_batches_to_the_same_bits() -> None:
    jobs, meeting = [Job(1), Job(2, "a green leaf", cfg=7.5)], meeting_of()
    assert equal(together(meeting, jobs), jobs) == [True, True]
    # The first step of both measures the curve; kernels that change bits are refused by it.
    assert meeting.counts.merged == (0 if meeting.is_refused else 6)


@pytest.mark.parametrize(
    "round_", [*(pytest.param(at, marks=pytest.mark.slow) for at in range(2)), 2]
)
def test_any_mix_of_samplings_gives_what_each_gives_alone(round_: int) -> None:
    drawn = random.Random(round_)
    samplers = ("ddim", "euler_ancestral", "dpmpp_2m", "heun")
    jobs = [
        Job(
            seed=drawn.randrange(2**32),
            text=drawn.choice(["a red apple", "a green leaf", ""]),
            steps=drawn.randint(2, 5),
            cfg=drawn.choice([1.0, 2.5, 6.0]),
            sampler=drawn.choice(samplers),
            size=drawn.choice([64, 64, 64, 96]),
        )
        for _ in range(drawn.randint(3, 5))
    ]
    assert all(equal(together(meeting_of(patience=0.5), jobs), jobs))


def test_who_ends_or_fails_leaves_the_others_going_on() -> None:
    def fail(info: StepInfo) -> None:
        if info.step == 2:
            raise ValueError("cancelled")

    jobs = [Job(1, steps=6), Job(2, after=fail), Job(3, steps=3)]
    meeting = meeting_of()
    found = together(meeting, jobs)
    assert isinstance(found[1], ValueError)
    assert equal([found[0], found[2]], [jobs[0], jobs[2]]) == [True, True]
    assert meeting.counts.merged > 0


@pytest.mark.slow
def test_a_curve_that_does_not_pay_refuses() -> None:
    jobs, meeting = [Job(1), Job(2)], meeting_of(margin=NEVER)
    assert equal(together(meeting, jobs), jobs) == [True, True]
    assert (meeting.counts.merged, meeting.is_refused) == (0, True)


def test_different_bits_are_within_the_tolerance_and_need_consent() -> None:
    jobs, meeting = [Job(1), Job(2)], meeting_of("tolerance")
    for item, job in zip(together(meeting, jobs), jobs, strict=True):
        assert isinstance(item, Tensor)
        # A step's difference grows over four steps, which a sampling's guidance amplifies.
        assert torch.allclose(item, job.run(), rtol=0, atol=1e-3)
    assert meeting.counts.merged > 0
    assert not meeting.curve.admits(MergePoint(0.1, ULPS + 1))
    assert not MergeCurve("exact", ALWAYS, profile).admits(MergePoint(0.1, 1e-9))


class Narrow(StableDiffusion):
    """A family whose models fail where a batch has more rows than one sampling's."""

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        if any(held() is not None for held in HELD):
            raise RuntimeError("the memory of what failed before is held yet")
        activations = torch.ones(8)
        HELD.append(weakref.ref(activations))
        if len(x) > 2:
            raise RuntimeError("out of memory")
        if float(x.sum()) == 0:
            raise ValueError("no noise in it")
        return x * 2


class Rounding(StableDiffusion):
    """A family whose models round larger numbers in another way where a batch has more rows."""

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        return x * 2 + (1e-3 if len(x) > 2 and float(x.max()) > 5 else 0.0)


class Threaded(StableDiffusion):
    """A family whose models tell in whose thread they are asked."""

    def predict(self, model: Denoiser, x: Tensor, moment: Moment, batch: Batch) -> Tensor:
        return torch.full_like(x, getattr(THREAD, "number", -1.0))


HELD: list[weakref.ref[Tensor]] = []
"""What calls of `Narrow` held."""
THREAD = threading.local()
MOMENT = Moment(torch.tensor(9.0), torch.tensor(8.0), 1000, 0.0)
BATCH: Mapping[str, Any] = {"embeddings": torch.zeros(2, 7, 4)}


def family_of(kind: type[StableDiffusion]) -> StableDiffusion:
    return kind(**{**vars(SD1), "name": kind.__name__})


def latents(*numbers: float) -> list[Tensor]:
    return [torch.full((2, 4, 2, 2), float(number)) for number in numbers]


def asked(
    meeting: StepBatcher, family: StableDiffusion, given: Sequence[Tensor], **of_model: Any
) -> list[Tensor | Exception]:
    """What samplings are answered that ask one question each, in threads numbered from 0."""
    asking = replace(model(), **of_model)
    with ExitStack() as stack:
        seats = [stack.enter_context(meeting.seat()) for _ in given]
        threads = stack.enter_context(ThreadPoolExecutor(len(given)))

        def ask(number: int, x: Tensor) -> Tensor | Exception:
            THREAD.number = float(number)
            with torch.inference_mode():
                try:
                    question = ModelCall(family, asking, x, MOMENT, BATCH)
                    return meeting.ask(seats[number], question)
                except (ValueError, RuntimeError) as error:
                    return error

        return list(threads.map(ask, range(len(given)), given))


def test_what_fails_at_once_is_asked_one_by_one_and_not_tried_again() -> None:
    family, meeting, given = family_of(Narrow), meeting_of(), latents(1, 0, 1)
    found = asked(meeting, family, given)
    assert [str(item) for item in found if isinstance(item, Exception)] == ["no noise in it"]
    assert [torch.equal(found[place], given[place] * 2) for place in (0, 2)] == [True, True]  # type: ignore[arg-type]
    name = meeting.curve.name("tiny", ModelCall(family, model(), given[0], MOMENT, BATCH))
    point = meeting.curve.point(name, 2, given[0].device)
    assert point is not None
    assert not meeting.curve.admits(point)


def test_what_shares_no_batch_is_asked_in_its_own_thread_and_refuses() -> None:
    meeting = meeting_of()
    found = asked(meeting, family_of(Threaded), latents(1, 1, 1), attention="sliced")
    assert [float(item.max()) for item in found if isinstance(item, Tensor)] == [0.0, 1.0, 2.0]
    assert (meeting.is_refused, meeting.counts.steps) == (True, 3)
    # Where others ask what may share one, they are waited for again.
    asked(meeting, family_of(Rounding), latents(1, 1))
    assert not meeting.is_refused


def test_batches_are_compared_again_and_refused_where_they_differ() -> None:
    family, meeting = family_of(Rounding), meeting_of()
    for number in (1, 2, 9):  # measured, compared in the first round, and in the second
        given = latents(number, number)
        found = asked(meeting, family, given)
        assert [torch.equal(item, given[0] * 2) for item in found] == [True, True]  # type: ignore[arg-type]
    assert (meeting.counts.merged, meeting.is_refused) == (2, True)


class KeptCosts:
    """Figures by kind, shape and device."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str, str], Kept] = {}

    def expected(self, node_type: str, shape: str, device: str) -> Kept | None:
        return self.rows.get((node_type, shape, device))

    def record(self, node_type: str, shape: str, device: str, seconds: float) -> None:
        self.rows[node_type, shape, device] = Kept(seconds)


@dataclass(frozen=True)
class Kept:
    seconds: float
    exact: bool = True


def test_what_was_measured_is_remembered_beyond_the_process() -> None:
    costs, jobs = KeptCosts(), [Job(1), Job(2)]
    for steps in (6, 8):  # the second time, no step measures
        curve = MergeCurve("exact", ALWAYS, profile, costs)
        meeting = StepBatcher("tiny", curve, patience=FOREVER)
        together(meeting, jobs)
        assert meeting.counts.merged == steps


def test_what_is_not_finite_is_remembered_by_this_process_alone() -> None:
    costs, device = KeptCosts(), torch.device("cpu")
    curve = MergeCurve("exact", ALWAYS, profile, costs)
    for point in (MergePoint(0.5, math.inf), MergePoint(math.nan, 0.0)):
        curve.note("name", 2, device, point)
        assert curve.point("name", 2, device) == point
    assert costs.rows == {}
