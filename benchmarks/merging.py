"""Merged steps: samplings a second, one after the other and with steps in common batches.

    python benchmarks/merging.py [--json] [--quick] [--device cpu] [--mode exact] [--server]

Two, four and eight samplings of ten steps with guidance, each with a seed of its own: the embedded
model at 64 and 128 pixels on a CPU, a network as large as Stable Diffusion 1.5's with random
weights in bfloat16 at 512 pixels on CUDA. By turns, so that other work disturbs both alike; the
ratio is the median over the pairs, and the interval holds their middle half. What the measured
curve admits is printed with it: where nothing is admitted, all are asked alone, and the ratio is
about 1. In mode exact the latents are compared bit for bit, and a difference ends it with an error.

With --server it is jobs of two real servers instead, of one worker each, of which one merges steps:
jobs a second, from the moment that both have them all to the end of the last one.
"""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from common import Figure, by_turns, options, show
from serving import Server, prepared, sampling, serving

from nodegraph import Latent
from nodegraph.diffusion import encode_prompt, load_component, open_model, sample
from nodegraph.families.components import Denoiser
from nodegraph.sampling.merging.merged_calls import MergeCurve, MergeMode
from nodegraph.sampling.merging.step_batching import SIZES, MergeCounts, StepBatcher
from nodegraph.weights.numerics import LibraryNumerics

_LONGER = 5
"""Times as many steps has a job of a server: it has to be handed over while another one goes on."""
Sampling = Callable[[Denoiser, int], torch.Tensor]
"""A latent, of a model and a seed."""
Case = tuple[str, Denoiser, Sampling]
"""What it is in words, with a model and how to sample by it."""


@dataclass
class Points:
    """The points of a curve as they are measured; satisfies `MergeFigures`.

    Attributes:
        kept: By what each is, and how many samplings it is of.
    """

    kept: dict[tuple[str, int], float] = field(default_factory=dict)

    def expected(self, node_type: str, shape: str, device: str) -> None:
        """Nothing: each curve is measured anew."""

    def record(self, node_type: str, shape: str, device: str, seconds: float) -> None:
        """Keep one."""
        self.kept[node_type, int(shape.rpartition(" x ")[2])] = seconds


def embedded(size: int, steps: int, device: str = "cpu") -> Case:
    """The embedded model at a size in pixels."""
    recipes = open_model("tiny", ())
    denoiser: Any = load_component(recipes.model, device)
    text = "a red apple on a white background"
    prompt = encode_prompt(load_component(recipes.text_encoder, "cpu"), text)  # type: ignore[arg-type]

    def run(model: Denoiser, seed: int) -> torch.Tensor:
        latent = Latent(None, size, size)
        how: dict[str, Any] = {"cfg": 4.0, "sampler": "ddim", "schedule": "normal"}
        found = sample(model, prompt, None, latent, steps=steps, seed=seed, **how).samples
        assert found is not None
        return found

    return f"tiny, {size} px", denoiser, run


def as_large_as_sd15(device: str, steps: int) -> Case:
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
        # Kept, as a worker keeps its own: what cuDNN plans in a thread is lost with it.
        self._threads = ThreadPoolExecutor(jobs)
        self.counts = MergeCounts()

    def single(self) -> list[torch.Tensor]:
        """One after the other."""
        return [self._run(self._model, seed) for seed in self._seeds]

    def merged(self) -> list[torch.Tensor]:
        """Beside each other, each in a thread of its own."""
        meeting = StepBatcher("benchmark", self._curve, counts=self.counts)
        with ExitStack() as stack:
            seats = [stack.enter_context(meeting.seat()) for _ in self._seeds]

            def one(seat: Any, seed: int) -> torch.Tensor:
                # It leaves once it is through: others needn't wait for it.
                try:
                    return self._run(replace(self._model, seat=seat), seed)
                finally:
                    meeting.leave(seat)

            return list(self._threads.map(one, seats, self._seeds))


def figures(
    device: str, mode: MergeMode, steps: int, times: int, sizes: Sequence[int]
) -> Iterator[Figure]:
    if device == "cpu":
        cases = [embedded(size, steps) for size in (64, 128)]
    else:
        cases = [as_large_as_sd15(device, steps)]
    for case in cases:
        yield from compared(case, mode, times, sizes)


def compared(case: Case, mode: MergeMode, times: int, sizes: Sequence[int]) -> Iterator[Figure]:
    """Both ways of some numbers of samplings, and the points of the curve that were measured."""
    name, model, run = case
    points = Points()
    curve = MergeCurve(mode, 0.05, LibraryNumerics().profile, points)
    for jobs in sizes:
        yield from _compared(name, Samplings(model, run, jobs, curve), jobs, times, mode)
    for (kind, at_once), value in points.kept.items():
        unit = "ulp" if "differ" in kind else "x"
        yield Figure(f"{name}, {mode}, {at_once} at once: {kind}", value, unit)


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


def jobs_of_servers(
    mode: MergeMode, steps: int, times: int, sizes: Sequence[int]
) -> Iterator[Figure]:
    """As `figures`, of jobs that servers run."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        single, merged = (
            stack.enter_context(serving(_home(folder / str(most), mode, most)))
            for most in (1, SIZES[-1])
        )
        for server in (single, merged):
            _ran(server, SIZES[0], count(), steps)  # loads what there is to load
        for jobs in sizes:
            seeds = count(1000 * jobs)
            sides = {"single": single, "merged": merged}
            actions = {
                name: partial(_ran, server, jobs, seeds, steps) for name, server in sides.items()
            }
            before = _merged_steps(merged)
            seen = by_turns(actions, times)
            pairs = zip(seen["single"], seen["merged"], strict=True)
            ratios = sorted(one / other for one, other in pairs)
            low, high = ratios[len(ratios) // 4], ratios[-1 - len(ratios) // 4]
            share = (_merged_steps(merged) - before) / (steps * jobs * len(ratios))
            plain = jobs / statistics.median(seen["single"])
            yield Figure(
                f"{jobs} jobs of a server ({low:.2f} to {high:.2f} x, {share:.0%} of steps merged)",
                plain * statistics.median(ratios),
                "/s",
                baseline=plain,
                against="single",
            )


def _home(folder: Path, mode: MergeMode, most: int) -> Path:
    config = f'device = "cpu"\nmerge_steps = "{mode}"\n[server]\nmerge_jobs = {most}\n'
    home = prepared(folder)
    (home / "config.toml").write_text(config)
    return home


def _ran(server: Server, jobs: int, seeds: Iterator[int], steps: int) -> None:
    """Jobs with seeds that none had before, all at once, to their ends."""
    server.pause()
    ids = [server.submit(sampling(steps, next(seeds))) for _ in range(jobs)]
    server.resume()
    for job in ids:
        server.until(job, "finished")


def _merged_steps(server: Server) -> int:
    text = server.client.get(server.client.base_url.copy_with(path="/metrics")).text
    found = re.search(r"nodegraph_worker_merged_steps_total{[^}]*} (\S+)", text)
    return 0 if found is None else int(float(found[1]))


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for large random weights")
    parser.add_argument("--mode", choices=("exact", "tolerance"), default="exact")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--server", action="store_true", help="measure jobs of a server")
    parser.add_argument("--times", type=int, default=9, help="pairs of each comparison")


def main() -> None:
    given = options(__doc__, _more)
    steps, times = (2, 1) if given.quick else (given.steps, given.times)
    sizes = SIZES[:1] if given.quick else SIZES
    if given.server:
        make = partial(jobs_of_servers, given.mode, _LONGER * steps, times, sizes)
    else:
        make = partial(figures, given.device, given.mode, steps, times, sizes)
    show(make(), as_json=given.json)


if __name__ == "__main__":
    main()
