"""What speed options give and cost: steps a second beside diffusers' pipelines, eager and compiled,
and what each loses against the exact result.

    python benchmarks/speedups.py [--json] [--quick] [--only "SD 1.5"] [--part speed|loss]
                                  [--device cuda] [--steps 20] [--times 3] [--no-compiling]

On a CPU: the embedded model, and a small Flux of random weights. On CUDA: networks as large as
those of Stable Diffusion 1.5, SDXL and Flux.1, of random weights in bfloat16, at the sizes that
they were trained on. The pipelines' own samplers and prompts of random numbers, by turns.

Losses are of pictures by the embedded model, over several prompts and seeds; of caches that a UNet
can't have, of the latents of the small Flux, whose random weights say what is left out rather than
what it would look like.
"""

from __future__ import annotations

import argparse
import math
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import diffusers
import torch
from common import Figure, by_turns, options, show
from rivals import CFG, Rival, embedded, flux, small_flux, unet
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nodegraph import Latent
from nodegraph.diffusion import decode_latent, encode_prompt, load_component, open_model
from nodegraph.diffusion.adapters.layers import structural_copy
from nodegraph.diffusion.components import Denoiser
from nodegraph.diffusion.denoise import Denoising
from nodegraph.diffusion.families.patches import unpacked
from nodegraph.diffusion.speed.compiling import compile_blocks
from nodegraph.diffusion.speed.options import (
    Broadcast,
    FirstBlock,
    Magnitude,
    SpeedOptions,
    StepCaching,
    Taylor,
)

MIB = 2**20
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}
"""Multiplications and additions a second of chips in bfloat16, dense, by their makers' sheets."""
WAYS: Mapping[str, SpeedOptions | StepCaching] = {
    "fused projections": SpeedOptions(fused=True),
    "channels last": SpeedOptions(channels_last=True),
    "attention math": SpeedOptions(attention="math"),
    "attention sliced": SpeedOptions(attention="sliced"),
    "compiled": SpeedOptions(compiled=True),
    "broadcast 2, 3": Broadcast(),
    "broadcast 3, 4": Broadcast(3, 4),
    "broadcast 2, 3 throughout": Broadcast(2, 3, 1.0, 0.0),
    "TaylorSeer 3": Taylor(),
    "TaylorSeer 3, order 0": Taylor(order=0),
    "TaylorSeer 5, order 2": Taylor(5, 4, 2),
}
BLOCK_WAYS: Mapping[str, StepCaching] = {
    "first block 0.05": FirstBlock(0.05),
    "first block 0.1": FirstBlock(0.1),
    "first block 0.2": FirstBlock(0.2),
    "MagCache 0.06": Magnitude(),
    "TaylorSeer 3": Taylor(),
    "TaylorSeer 3, lite": Taylor(lite=True),
    "broadcast 2, 3": Broadcast(),
}
PROMPTS = ("a fox face", "a red apple on a white background", "a butterfly on a blue background")


def rivals(device: str, steps: int) -> dict[str, Callable[[], Rival]]:
    """By name, made when asked for, as they are large."""
    if device == "cpu":
        return {"embedded": partial(embedded, steps), "small Flux": partial(small_flux, steps)}
    half = torch.bfloat16
    return {
        "SD 1.5": partial(unet, "Stable Diffusion 1.5", 512, device, half, steps),
        "SDXL": partial(unet, "SDXL", 1024, device, half, steps),
        "Flux.1": partial(flux, "Flux.1", 1024, device, half, steps),
    }


def speed(rival: Rival, device: str, steps: int, times: int, *, compiled: bool) -> Iterator[Figure]:
    """Steps a second of both, eager and compiled, of one run."""
    network = rival.denoiser.module
    ways: dict[str, Callable[[], Tensor]] = {
        "nodegraph": lambda: rival.sample(rival.denoiser, 7),
        "diffusers": lambda: rival.pipe(network, 7),
    }
    if compiled:
        fast = rival.sped_up(SpeedOptions(compiled=True))
        stock = structural_copy(network)
        compile_blocks(stock)
        ways |= {
            "nodegraph, compiled": lambda: rival.sample(fast, 7),
            "diffusers, compiled": lambda: rival.pipe(stock, 7),
        }
    made = {name: way() for name, way in ways.items()}  # the first one compiles, and warms up
    seen = by_turns({name: _waited(way, device) for name, way in ways.items()}, times)
    rates = {name: steps / statistics.median(seconds) for name, seconds in seen.items()}
    for name, rate in rates.items():
        theirs = name.replace("nodegraph", "diffusers")
        against = {} if theirs == name else {"baseline": rates[theirs], "against": "diffusers"}
        aim = None if theirs == name else rates[theirs]
        yield Figure(f"{rival.name}: {name}", rate, "steps/s", aim, **against, more_is_better=True)  # type: ignore[arg-type]
    yield from _shares(rival, device, steps, rates)
    for name in ("nodegraph", "diffusers"):
        yield from _peak(f"{rival.name}: {name}", ways[name], device)
    other = made["diffusers"].cpu().float()
    if "transformer" in rival.denoiser.modules:
        other = unpacked(other, *made["nodegraph"].shape[-2:])
    apart = float((made["nodegraph"] - other).abs().max())
    yield Figure(f"{rival.name}: largest difference of latents", apart, "")


def _waited(way: Callable[[], Tensor], device: str) -> Callable[[], object]:
    def run() -> None:
        way()
        if device != "cpu":
            torch.cuda.synchronize()

    return run


def _shares(rival: Rival, device: str, steps: int, rates: Mapping[str, float]) -> Iterator[Figure]:
    """Of the chip's peak, where that is known."""
    if device == "cpu":
        return
    chip = torch.cuda.get_device_name()
    peak = next((value for name, value in PEAKS.items() if name in chip), None)
    with FlopCounterMode(display=False) as counter:
        rival.sample(rival.denoiser, 7)
    operations = counter.get_total_flops() / steps
    for name, rate in rates.items():
        done = rate * operations
        label = f"{rival.name}: {name}, {done / 1e12:.0f} Tflop/s"
        if peak is not None:
            yield Figure(f"{label}, of {chip}'s peak", 100 * done / peak, "%")


def _peak(label: str, way: Callable[[], Tensor], device: str) -> Iterator[Figure]:
    if device == "cpu":
        return
    torch.cuda.reset_peak_memory_stats()
    way()
    yield Figure(f"{label}, peak memory", torch.cuda.max_memory_allocated() / MIB, "MiB")


def pictures(
    rival: Rival, steps: int, given: argparse.Namespace, *, compiled: bool
) -> Iterator[Figure]:
    """What each way loses of the embedded model's pictures, and how fast it is."""
    recipes = open_model("tiny", ())
    encoder: Any = load_component(recipes.text_encoder, "cpu")
    vae: Any = load_component(recipes.vae, "cpu")
    prompts = [encode_prompt(encoder, text) for text in PROMPTS[: 1 if given.quick else None]]
    how = {"cfg": CFG, "sampler": "dpmpp_2m", "schedule": "karras", "steps": steps}

    def made(denoiser: Denoiser) -> tuple[Tensor, int]:
        found, kept = [], 0
        for prompt in prompts:
            for seed in range(1 if given.quick else 2):
                latent = Latent(None, 128, 128)
                denoising = Denoising.named(denoiser, prompt, None, latent, seed=seed, **how)  # type: ignore[arg-type]
                for _ in denoising:
                    pass
                kept = _cached_bytes(denoising)
                found.append(decode_latent(vae, denoising.result()))
        return torch.cat(found), kept

    yield from _losses(rival, _some(WAYS, given), made, compiled=compiled)


def latents(rival: Rival, given: argparse.Namespace) -> Iterator[Figure]:
    """What each cache loses of the small Flux's latents."""

    def made(denoiser: Denoiser) -> tuple[Tensor, int]:
        found = torch.cat([rival.sample(denoiser, seed) for seed in range(1 if given.quick else 3)])
        # As a picture's values, which span 1.
        return found / found.std() / 4, 0

    yield from _losses(rival, _some(BLOCK_WAYS, given), made, compiled=False)


def _some(
    ways: Mapping[str, SpeedOptions | StepCaching], given: argparse.Namespace
) -> Mapping[str, SpeedOptions | StepCaching]:
    return dict(list(ways.items())[:: 5 if given.quick else 1])


def _losses(
    rival: Rival,
    ways: Mapping[str, SpeedOptions | StepCaching],
    made: Callable[[Denoiser], tuple[Tensor, int]],
    *,
    compiled: bool,
) -> Iterator[Figure]:
    exact, _ = made(rival.denoiser)
    for name, way in ways.items():
        if isinstance(way, SpeedOptions) and way.compiled and not compiled:
            continue
        denoiser = rival.sped_up(way)
        found, kept = made(denoiser)
        apart = float((found - exact).square().mean().sqrt())
        told = f"{rival.name}: {name}, PSNR {_decibels(apart)}"
        told += f", keeps {kept / MIB:.1f} MiB" if kept else ""
        yield Figure(f"{told}: RMS", apart, "")
        fast = partial(rival.sample, denoiser, 7)
        times = by_turns({"exact": partial(rival.sample, rival.denoiser, 7), "fast": fast}, 3)
        ratios = [one / other for one, other in zip(times["exact"], times["fast"], strict=True)]
        yield Figure(f"{rival.name}: {name}, speed", statistics.median(ratios), "×")


def _decibels(rms: float) -> str:
    return f"{-20 * math.log10(rms):.0f} dB" if rms else "∞"


def _cached_bytes(denoising: Denoising) -> int:
    """What a step cache keeps: what a checkpoint holds of it."""
    return sum(
        item.numel() * item.element_size()
        for name, item in denoising.state().items()
        if "cached." in name
    )


def figures(given: argparse.Namespace) -> Iterator[Figure]:
    steps, times = (4, 1) if given.quick else (given.steps, given.times)
    compiled = not (given.no_compiling or given.quick)
    made = rivals(given.device, steps)
    for name, make in made.items():
        if given.only and given.only != name:
            continue
        rival = make()
        if given.part in (None, "speed"):
            yield from speed(rival, given.device, steps, times, compiled=compiled)
        if given.part in (None, "loss") and name == "embedded":
            yield from pictures(rival, steps, given, compiled=compiled)
        if given.part in (None, "loss") and name != "embedded" and "Flux" in name:
            yield from latents(rival, given)
        del rival


def _more(parser: argparse.ArgumentParser) -> None:
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=default)
    parser.add_argument("--only")
    parser.add_argument("--part", choices=("speed", "loss"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--no-compiling", action="store_true")


def main() -> None:
    given = options(__doc__, _more)
    warnings.simplefilter("ignore")
    diffusers.utils.logging.set_verbosity_error()
    with torch.no_grad():
        show(figures(given), as_json=given.json)


if __name__ == "__main__":
    main()
