"""What sampling costs: the engine against the bare loop, the loop against the diffusers pipeline,
with previews against without.

    python benchmarks/sampling.py [--json] [--quick] [--steps 20] [--times 15]

All make an image's latent from the embedded model with guidance, by turns, so that other work on
the machine disturbs them alike. Loading and decoding are left out. The engine runs a workflow with
a KSampler, with a listener and a store; all but the sampling is cached.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from common import Figure, by_turns, options, sampling_nodes, show

from nodegraph import Latent, Session, Workflow
from nodegraph.core.events import Event
from nodegraph.diffusion import encode_prompt, load_component, open_model, sample
from nodegraph.models.model_sources import locate_model
from nodegraph.session.settings import Settings

PROMPT = "a red apple on a white background"
SIZE = 128
CFG = 4.0
SAMPLING: dict[str, Any] = {"cfg": CFG, "sampler": "ddim", "schedule": "normal"}


def ours(steps: int) -> Callable[[int], torch.Tensor]:
    """One sampling by nodegraph, by seed."""
    recipes = open_model("tiny", ())
    denoiser: Any = load_component(recipes.model, "cpu")
    conditioning = encode_prompt(load_component(recipes.text_encoder, "cpu"), PROMPT)  # type: ignore[arg-type]
    empty = Latent(None, SIZE, SIZE)

    def run(seed: int) -> torch.Tensor:
        done = sample(denoiser, conditioning, None, empty, steps=steps, seed=seed, **SAMPLING)
        assert done.samples is not None
        return done.samples

    return run


def theirs(steps: int) -> Callable[[int], torch.Tensor]:
    """One sampling by the diffusers pipeline, by seed."""
    from diffusers import StableDiffusionPipeline

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipe = StableDiffusionPipeline.from_pretrained(
            locate_model("tiny", ()).path, torch_dtype=torch.float32
        )
    pipe.set_progress_bar_config(disable=True)
    positive, negative = pipe.encode_prompt(PROMPT, "cpu", 1, True, "")

    def run(seed: int) -> torch.Tensor:
        found: torch.Tensor = pipe(
            prompt_embeds=positive,
            negative_prompt_embeds=negative,
            num_inference_steps=steps,
            guidance_scale=CFG,
            generator=torch.Generator().manual_seed(seed),
            output_type="latent",
        ).images
        return found

    return run


class Engine:
    """The same sampling as a node of a workflow.

    Attributes:
        rest: Of each run, the seconds that weren't the sampling node's call.
        shown: Previews so far.
    """

    def __init__(self, steps: int, folder: Path) -> None:
        settings = Settings(home=folder, device="cpu", checkpoint_seconds=1e9)
        self._session = Session(settings)
        self._workflow = Workflow.from_dict(
            {
                "format": "nodegraph/1",
                "parameters": {"seed": {"input": "sample.seed"}},
                "nodes": sampling_nodes(PROMPT, size=SIZE, steps=steps, **SAMPLING),
            }
        )
        self._inside = 0.0
        self.shown = 0
        self.rest: list[float] = []

    def run(self, seed: int) -> torch.Tensor:
        """As `nodegraph run` does, which shows no images."""
        return self._run(seed, previews=False)

    def watched(self, seed: int) -> torch.Tensor:
        """As the server's workers do."""
        return self._run(seed, previews=True)

    def _run(self, seed: int, *, previews: bool) -> torch.Tensor:
        result = self._session.run(
            self._workflow,
            parameters={"seed": seed},
            targets=["sample"],
            listener=self._listen,
            previews=previews,
        )
        assert result.is_ok, result.errors
        self.rest.append(result.seconds - self._inside)
        latent: Latent = result["sample.latent"]
        assert latent.samples is not None
        return latent.samples

    def _listen(self, event: Event) -> None:
        if event.kind == "node.finished" and event.node == "sample":
            self._inside = event.data["seconds"]
        self.shown += event.kind == "node.preview"

    def close(self) -> None:
        self._session.close()


def _anew(way: Callable[[int], object], seeds: Iterator[int]) -> object:
    return way(next(seeds))


def figures(steps: int, times: int) -> Iterator[Figure]:
    seeds = iter(range(10**9))
    with tempfile.TemporaryDirectory() as name:
        engine = Engine(steps, Path(name))
        ways = {"engine": engine.run, "loop": ours(steps), "diffusers": theirs(steps)}
        ways["watched"] = engine.watched
        for way in ways.values():
            way(next(seeds))  # the first one warms up
        seen = by_turns({name: partial(_anew, way, seeds) for name, way in ways.items()}, times)
        for other in ("engine", "watched"):
            same = torch.equal(ways["loop"](7), ways[other](7))
            assert same, f"latents differ from the loop's: {other}"
        equal = torch.equal(ways["loop"](7), ways["diffusers"](7))
        engine.close()
    loop = statistics.median(seen["loop"]) * 1e3
    yield Figure(f"{steps} steps in the bare loop", loop, "ms")
    pairs = zip(seen["engine"], seen["loop"], strict=True)
    more = 100 * (statistics.median(one / other for one, other in pairs) - 1)
    yield Figure("engine over the bare loop, median of pairs", more, "%", 1)
    pairs = zip(seen["watched"], seen["engine"], strict=True)
    more = 100 * (statistics.median(one / other for one, other in pairs) - 1)
    label = f"with previews, {engine.shown / (times + 1):.1f} a run, over without"
    yield Figure(label, more, "%", 5)
    rest = statistics.median(engine.rest[1:]) * 1e3
    yield Figure("engine's time outside the node's call", rest, "ms", loop / 100, loop, "the loop")
    pairs = zip(seen["loop"], seen["diffusers"], strict=True)
    ratio = statistics.median(one / other for one, other in pairs)
    what = "bare loop to diffusers' pipeline"
    yield Figure(f"{what}, latents {'equal' if equal else 'DIFFER'}", ratio, "×")


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--times", type=int, default=15)


def main() -> None:
    given = options(__doc__, _more)
    steps, times = (2, 2) if given.quick else (given.steps, given.times)
    print(f"{torch.get_num_threads()} threads") if not given.json else None
    show(figures(steps, times), as_json=given.json)


if __name__ == "__main__":
    main()
