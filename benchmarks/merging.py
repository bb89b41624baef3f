"""Merged steps: samplings a second, one after the other and with steps in common batches.

    python benchmarks/merging.py [--json] [--quick] [--device cpu] [--mode exact] [--steps 10]

Two, four and eight samplings of ten steps with guidance, each with a seed of its own: the embedded
model at 64 and 128 pixels on a CPU, a network as large as Stable Diffusion 1.5's with random
weights in bfloat16 at 512 pixels on CUDA. By turns, so that other work disturbs both alike; the
ratio is the median over the pairs, and the interval holds their middle half. What the measured
curve admits is printed with it: where nothing is admitted, all are asked alone, and the ratio is
about 1. In mode exact the latents are compared bit for bit, and a difference ends it with an error.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from common import Figure, by_turns, options, show

from nodegraph import Latent
from nodegraph.diffusion import encode_prompt, load_component, open_model, sample
from nodegraph.diffusion.components import Denoiser
from nodegraph.diffusion.merging.curve import MergeCurve, MergeMode
from nodegraph.diffusion.merging.meeting import SIZES, Meeting, MergeCounts
from nodegraph.diffusion.numerics import LibraryNumerics

Sampling = Callable[[Denoiser, int], torch.Tensor]
"""A latent, of a model and a seed."""


def embedded(size: int, steps: int) -> tuple[str, Denoiser, Sampling]:
    """The embedded model at a size in pixels."""
    recipes = open_model("tiny", ())
    denoiser: Any = load_component(recipes.model, "cpu")
    text = "a red apple on a white background"
    prompt = encode_prompt(load_component(recipes.text_encoder, "cpu"), text)  # type: ignore[arg-type]

    def run(model: Denoiser, seed: int) -> torch.Tensor:
        latent = Latent(None, size, size)
        how: dict[str, Any] = {"cfg": 4.0, "sampler": "ddim", "schedule": "normal"}
        found = sample(model, prompt, None, latent, steps=steps, seed=seed, **how).samples
        assert found is not None
        return found

    return f"tiny, {size} px", denoiser, run


def as_large_as_sd15(device: str, steps: int) -> tuple[str, Denoiser, Sampling]:
    """Random weights, as many as Stable Diffusion 1.5's UNet has."""
    from rivals import unet

    rival = unet("Stable Diffusion 1.5", 512, device, torch.bfloat16, steps)
    return "SD 1.5, 512 px", rival.denoiser, rival.sample


class Samplings:
    """Some samplings of a model, in the two ways.

    Attributes:
        counts: What was merged.
    """

    def __init__(self, model: Denoiser, run: Sampling, jobs: int, curve: MergeCurve) -> None:
        self._model = model
        self._run = run
        self._seeds = range(jobs)
        self._curve = curve
        self.counts = MergeCounts()

    def single(self) -> list[torch.Tensor]:
        """One after the other."""
        return [self._run(self._model, seed) for seed in self._seeds]

    def merged(self) -> list[torch.Tensor]:
        """Beside each other, each in a thread of its own."""
        meeting = Meeting("benchmark", self._curve, counts=self.counts)
        with ExitStack() as stack:
            seats = [stack.enter_context(meeting.seat()) for _ in self._seeds]
            threads = stack.enter_context(ThreadPoolExecutor(len(seats)))

            def one(seat: Any, seed: int) -> torch.Tensor:
                # It leaves once it is through: others needn't wait for it.
                try:
                    return self._run(replace(self._model, seat=seat), seed)
                finally:
                    meeting.leave(seat)

            return list(threads.map(one, seats, self._seeds))


def figures(device: str, mode: MergeMode, steps: int, times: int) -> Iterator[Figure]:
    if device == "cpu":
        cases = [embedded(size, steps) for size in (64, 128)]
    else:
        cases = [as_large_as_sd15(device, steps)]
    for name, model, run in cases:
        curve = MergeCurve(mode, 0.05, LibraryNumerics().profile)
        for jobs in SIZES:
            yield from _compared(name, Samplings(model, run, jobs, curve), jobs, times, mode)


def _compared(
    name: str, samplings: Samplings, jobs: int, times: int, mode: MergeMode
) -> Iterator[Figure]:
    # Warms up, and measures the curve.
    first, second = samplings.single(), samplings.merged()
    if mode == "exact":
        assert all(map(torch.equal, first, second)), f"{name}: latents differ from single ones"
    samplings.counts.steps = samplings.counts.merged = samplings.counts.largest = 0
    seen = by_turns({"single": samplings.single, "merged": samplings.merged}, times)
    ratios = sorted(one / other for one, other in zip(seen["single"], seen["merged"], strict=True))
    low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
    counts = samplings.counts
    told = f"{low:.2f} to {high:.2f} x, " + (
        f"up to {counts.largest} at once" if counts.merged else "refused by the curve"
    )
    single = jobs / statistics.median(seen["single"])
    measured = single * statistics.median(ratios)
    yield Figure(
        f"{name}, {jobs} samplings ({told})", measured, "/s", baseline=single, against="single"
    )


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for large random weights")
    parser.add_argument("--mode", choices=("exact", "tolerance"), default="exact")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--times", type=int, default=9, help="pairs of each comparison")


def main() -> None:
    given = options(__doc__, _more)
    steps, times = (2, 2) if given.quick else (given.steps, given.times)
    make = partial(figures, given.device, given.mode, steps, times)
    show(make(), as_json=given.json)


if __name__ == "__main__":
    main()
