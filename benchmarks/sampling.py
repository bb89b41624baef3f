"""What the denoising loop costs, against the diffusers pipeline on the same model in the same run.

    python benchmarks/sampling.py [--steps 20] [--times 9]

Both make a picture's latent from the embedded model with guidance, by turns, so that other work on
the machine disturbs both alike. Loading and decoding are left out.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from nodegraph import Latent
from nodegraph.diffusion import encode_prompt, load_component, open_model, sample
from nodegraph.diffusion.models import locate_model

PROMPT = "a red apple on a white background"
CFG = 4.0


def ours(steps: int) -> Callable[[int], torch.Tensor]:
    """One sampling by nodegraph, by seed."""
    recipes = open_model("tiny", ())
    denoiser: Any = load_component(recipes.model, "cpu")
    conditioning = encode_prompt(load_component(recipes.text_encoder, "cpu"), PROMPT)  # type: ignore[arg-type]
    empty = Latent(None, 64, 64)
    options = {"steps": steps, "cfg": CFG, "sampler": "ddim", "schedule": "normal"}

    def run(seed: int) -> torch.Tensor:
        done = sample(denoiser, conditioning, None, empty, seed=seed, **options)  # type: ignore[arg-type]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--times", type=int, default=9)
    options = parser.parse_args()
    both = {"nodegraph": ours(options.steps), "diffusers": theirs(options.steps)}
    taken: dict[str, list[float]] = {name: [] for name in both}
    for seed in range(options.times + 1):
        for name, run in both.items():
            start = time.perf_counter()
            run(seed)
            if seed:  # the first one warms up
                taken[name].append(time.perf_counter() - start)
    same = torch.equal(both["nodegraph"](7), both["diffusers"](7))
    print(f"{options.steps} steps, guidance {CFG}, {torch.get_num_threads()} threads")
    for name, times in taken.items():
        print(f"{name:10} median {statistics.median(times):.3f} s, best {min(times):.3f} s")
    ratio = statistics.median(taken["nodegraph"]) / statistics.median(taken["diffusers"])
    print(f"ratio {ratio:.2f}; latents equal bit for bit: {same}")


if __name__ == "__main__":
    main()
