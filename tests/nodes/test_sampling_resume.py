"""KSampler stops and goes on: after an interruption, at an end step, from a damaged checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from nodegraph_nodes.sampling import KSampler, KSamplerAdvanced, SampleCustom

from nodegraph import (
    Cancelled,
    Conditioning,
    ConditioningEntry,
    DiffusionModel,
    Environment,
    InvalidValue,
    Latent,
    RecipeFile,
)
from nodegraph.core.events import Event, EventStream
from nodegraph.core.node import definition_of
from nodegraph.engine.checkpointing import Saver
from nodegraph.engine.node_context import NodeContext
from nodegraph.engine.options import CancelToken
from nodegraph.families.noise import draw_noise
from nodegraph.families.scheduler_file import scheduler_option
from nodegraph.sampling.composed_schedules import named_schedule
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.guiders.added_guidance import (
    FurtherNegative,
    PerturbedAttention,
    SelfAttention,
)
from nodegraph.sampling.guiders.base import ChangingScale
from nodegraph.sampling.guiders.methods import Adaptive, Projected
from nodegraph.sampling.sampling_parts import GuiderChoice, SamplerChoice, SamplingNoise
from nodegraph.store.checkpoints import Checkpoints
from nodegraph.store.store import Store
from tests.diffusion.conftest import SD1_SCHEDULER
from tests.diffusion.stand_in import ONE_OF_EACH
from tests.messages import raises
from tests.nodes.sampling_graphs import Weights, denoiser

HERE = Path()
PROMPT = Conditioning(
    (ConditioningEntry({"embeddings": draw_noise((7, 32), 1, [0])}),),
    "sd1",
    ConditioningEntry({"embeddings": draw_noise((7, 32), 0, [0])}),
)
KEY = "ab" * 32
QUICK = ("euler_ancestral", "dpm_2_ancestral", "dpmpp_3m_sde", "uni_pc_bh1", "pndm", "ddim")
"""Of samplers that each module has, those of a plain run. That all of them come back as they were
is tested without a model."""
MODEL = DiffusionModel(
    "sd1", (RecipeFile("", "memory", "0" * 64),), options=(scheduler_option(SD1_SCHEDULER),)
)
USUAL: Mapping[str, Any] = {
    "positive": PROMPT,
    "seed": 5,
    "steps": 6,
    "cfg": 3.0,
    "sampler": "euler_ancestral",
    "schedule": "karras",
}
PARTS: Mapping[str, Any] = {
    "noise": SamplingNoise(5),
    "guider": GuiderChoice(PROMPT, cfg=3.0, method=Projected(-0.5, 10.0, 0.0)),
    "sampler": SamplerChoice("dpmpp_2m_sde"),
    "schedule": named_schedule("karras", 8).part(1, 7),
}

MANY_WAYS: Mapping[str, Any] = {
    "method": Adaptive(0.9),
    "changing": ChangingScale(1.0),
    "added": (
        PerturbedAttention(2.0, 0.0, 1.0, ("down.0",)),
        SelfAttention(0.5, 0.0, 0.8),
        FurtherNegative(1.0, 0.2, 1.0, negative=PROMPT),
    ),
}


class Attempts:
    """Runs a node again and again at one piece of work; remembers the last one's events.

    Args:
        usual: Its inputs besides model and latent.
    """

    def __init__(
        self,
        interval: float = 0.0,
        checkpoints: Checkpoints | None = None,
        node: Callable[..., Any] = KSampler,
        usual: Mapping[str, Any] = USUAL,
    ) -> None:
        self.node = node
        self.usual = usual
        self.saver = Saver(checkpoints, interval=interval)
        self.events: list[Event] = []

    def run(
        self, watch: Callable[[CancelToken, Event], object] | None = None, **inputs: Any
    ) -> Any:
        """One attempt.

        Args:
            watch: Is handed each event, with the control of the run.
        """
        token = CancelToken()
        self.events = []

        def listen(event: Event) -> None:
            self.events.append(event)
            if watch is not None:
                watch(token, event)

        call = self.saver.for_call(KEY)
        ctx = NodeContext(
            "sample",
            device="cpu",
            environment=Environment((), HERE, HERE, HERE),
            workflow={},
            events=EventStream(listen),
            cancel=token,
            weights=Weights(),
            files=[],
            checkpoints=call,
        )
        given: dict[str, Any] = {
            "model": MODEL,
            "latent": Latent(None, 64, 64),
            **self.usual,
        }
        found = self.node(ctx, **given | inputs)
        call.finish()
        self.saver.flush()
        return found

    def stopped_at(self, step: int, **inputs: Any) -> None:
        """An attempt that is cancelled once a step is reported."""

        def stop(token: CancelToken, event: Event) -> None:
            if event.kind == "node.progress" and event.data["step"] == step:
                token.cancel()

        with pytest.raises(Cancelled):
            self.run(stop, **inputs)

    def told(self, kind: str) -> list[Mapping[str, Any]]:
        return [event.data for event in self.events if event.kind == kind]

    @property
    def steps(self) -> list[int]:
        """Those that the last attempt walked."""
        return [data["step"] for data in self.told("node.progress")]


@pytest.fixture
def attempts() -> Iterator[Attempts]:
    made = Attempts()
    yield made
    made.saver.close()


def test_where_it_stops_is_no_part_of_the_work() -> None:
    assert definition_of(KSampler).spec.continues == ("end_step",)


@pytest.mark.parametrize(
    ("name", "interval"),
    [
        *(
            pytest.param(name, 0.0, marks=() if name in QUICK else pytest.mark.slow)
            for name in ONE_OF_EACH
        ),
        ("euler_ancestral", 1000.0),
    ],
)
def test_what_was_interrupted_goes_on_from_there_to_the_same_bits(
    name: str, interval: float
) -> None:
    options = {"sampler": name, "schedule": "normal"}
    attempts = Attempts(interval)
    whole = attempts.run(**options)
    assert attempts.told("node.restored") == []
    attempts.stopped_at(2, **options)
    attempts.stopped_at(5, **options)
    assert attempts.steps == [3, 4, 5]
    found = attempts.run(**options)
    assert attempts.told("node.restored") == [{"step": 5, "total": 6}]
    assert attempts.steps == [6]
    assert torch.equal(found.samples, whole.samples)
    attempts.run(**options)
    assert attempts.steps == [1, 2, 3, 4, 5, 6], "a finished sampling leaves nothing behind"
    attempts.saver.close()


def test_interrupted_after_the_last_step_only_the_result_is_left_to_give(
    attempts: Attempts,
) -> None:
    whole = attempts.run()
    attempts.stopped_at(6)
    found = attempts.run()
    assert attempts.steps == []
    assert torch.equal(found.samples, whole.samples)


def test_a_sampling_that_stops_early_is_gone_on_with(attempts: Attempts) -> None:
    whole = attempts.run()
    attempts.run(end_step=2)
    assert attempts.steps == [1, 2]
    assert {data["total"] for data in attempts.told("node.progress")} == {2}
    attempts.run(end_step=4)
    assert attempts.told("node.restored") == [{"step": 2, "total": 6}]
    assert attempts.steps == [3, 4]
    found = attempts.run()
    assert attempts.steps == [5, 6]
    assert torch.equal(found.samples, whole.samples)


@pytest.mark.parametrize(
    ("node", "usual"),
    [
        (KSamplerAdvanced, {**USUAL, "steps": 8, "start_step": 1, "end_step": 7}),
        pytest.param(
            KSamplerAdvanced,
            {**USUAL, "leave_noise": True, "steps": 9, "end_step": 6},
            marks=pytest.mark.slow,
        ),
        (SampleCustom, PARTS),
        pytest.param(
            SampleCustom,
            {**PARTS, "guider": GuiderChoice(PROMPT, cfg=3.0, **MANY_WAYS)},
            marks=pytest.mark.slow,
        ),
    ],
)
def test_parts_of_a_sampling_go_on_from_each_step_to_the_same_bits(
    node: Callable[..., Any], usual: Mapping[str, Any]
) -> None:
    made = Attempts(node=node, usual=usual)
    whole = _latents(made.run())
    for step in range(1, 6):
        made.stopped_at(step)
        found = _latents(made.run())
        assert made.steps == list(range(step + 1, 7))
        assert all(torch.equal(*pair) for pair in zip(found, whole, strict=True))
    made.stopped_at(6)
    found = _latents(made.run())
    assert all(torch.equal(*pair) for pair in zip(found, whole, strict=True))
    made.saver.close()


def _latents(found: Any) -> list[Any]:
    """The samples that a node gave."""
    return [item.samples for item in (found if isinstance(found, tuple) else (found,))]


def test_it_gives_the_latent_with_the_noise_that_is_left(attempts: Attempts) -> None:
    arguments: dict[str, Any] = {"seed": 5, "steps": 6, "cfg": 3.0}
    arguments |= {"sampler": "euler", "schedule": "karras"}
    denoising = Denoising.named(denoiser(), PROMPT, None, Latent(None, 64, 64), **arguments)
    for _ in range(3):
        info = denoising.advance()
    found = attempts.run(sampler="euler", end_step=3)
    assert torch.equal(found.samples, info.latent)
    assert not torch.equal(found.samples, info.denoised)


def test_what_went_further_is_not_gone_back_on(attempts: Attempts) -> None:
    attempts.run(end_step=5)
    found = attempts.run(end_step=3)
    assert attempts.told("node.restored") == []
    assert attempts.steps == [1, 2, 3]
    other = Attempts()
    assert torch.equal(found.samples, other.run(end_step=3).samples)
    other.saver.close()


def test_the_end_may_be_the_last_step(attempts: Attempts) -> None:
    whole = attempts.run()
    found = attempts.run(end_step=6)
    assert torch.equal(found.samples, whole.samples)
    assert attempts.saver.load(KEY) is None


def test_a_checkpoint_that_does_not_fit_is_told_of_and_left(attempts: Attempts) -> None:
    whole = attempts.run()
    attempts.stopped_at(3, latent=Latent(None, 64, 64, batch_size=2))
    found = attempts.run()
    (told,) = attempts.told("log")
    assert told["level"] == "warning"
    assert "another batch or latent size: sampling starts at step 1, not at 4" in told["message"]
    assert attempts.steps == [1, 2, 3, 4, 5, 6]
    assert torch.equal(found.samples, whole.samples)


def test_a_part_of_the_schedule_has_steps_of_its_own(attempts: Attempts) -> None:
    picture = Latent(draw_noise((4, 8, 8), 3, [0]), 64, 64, format="sd")
    whole = attempts.run(latent=picture, denoise=0.5)
    assert attempts.steps == [1, 2, 3]
    attempts.run(latent=picture, denoise=0.5, end_step=2)
    found = attempts.run(latent=picture, denoise=0.5)
    assert attempts.told("node.restored") == [{"step": 2, "total": 3}]
    assert torch.equal(found.samples, whole.samples)
    with raises(InvalidValue, port="end_step", given="4"):
        attempts.run(latent=picture, denoise=0.5, end_step=4)


@contextmanager
def attempts_in(folder: Path) -> Iterator[Attempts]:
    """Attempts of one process, with checkpoints in a store."""
    store = Store(folder)
    made = Attempts(checkpoints=Checkpoints(store))
    try:
        yield made
    finally:
        made.saver.close()
        store.close()


@pytest.mark.parametrize(
    "name",
    [
        "dpmpp_sde",
        "uni_pc",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("ddpm", "lms")),
    ],
)
def test_another_process_goes_on_from_the_store_to_the_same_bits(name: str, tmp_path: Path) -> None:
    options = {"sampler": name, "schedule": "normal"}
    with attempts_in(tmp_path) as first:
        whole = first.run(**options)
        first.stopped_at(3, **options)
    with attempts_in(tmp_path) as second:
        found = second.run(**options)
        assert second.told("node.restored") == [{"step": 3, "total": 6}]
        assert second.steps == [4, 5, 6]
    assert torch.equal(found.samples, whole.samples)
    assert not list((tmp_path / "checkpoints").rglob("*.safetensors"))


def test_a_damaged_checkpoint_is_as_good_as_none(tmp_path: Path) -> None:
    with attempts_in(tmp_path) as first:
        whole = first.run()
        first.stopped_at(3)
    (file,) = (tmp_path / "checkpoints").rglob("*.safetensors")
    damaged = bytearray(file.read_bytes())
    damaged[-3] ^= 1
    file.chmod(0o644)
    file.write_bytes(damaged)
    with attempts_in(tmp_path) as second:
        found = second.run()
        assert second.steps == [1, 2, 3, 4, 5, 6]
    assert torch.equal(found.samples, whole.samples)
