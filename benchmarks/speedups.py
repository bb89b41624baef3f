"""What speed options give and cost: steps a second beside diffusers' pipelines, eager and compiled,
and what each loses against the exact result.

    python benchmarks/speedups.py [--json] [--quick] [--only "SD 1.5"]
                                  [--part speed|loss|precision|quantized]
                                  [--device cuda] [--steps 20] [--times 3] [--no-compiling]

On a CPU: the embedded model, and a small Flux of random weights. On CUDA: networks as large as
those of Stable Diffusion 1.5, SDXL and Flux.1, of random weights in bfloat16, at the sizes that
they were trained on. The pipelines' own samplers and prompts of random numbers, by turns.

Losses are of images by the embedded model, over several prompts and seeds; of caches that a UNet
can't have, of the latents of the small Flux, whose random weights say what is left out rather than
what it would look like.

The part `precision` compares bfloat16 with float32 on a CPU, which decides what `cpu_precision` is:
a network as large as Stable Diffusion 1.5's, of random weights, at 256 pixels, the embedded model,
and its VAE.

The part `quantized` needs the package torchao, which multiplies weights stored in 8 bits or 4. It
is compared with widened weights and with the unquantized model.
"""

from __future__ import annotations

import argparse
import copy
import gc
import math
import statistics
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import diffusers
import torch
from common import Figure, best, by_turns, options, show, taken
from rivals import CFG, Rival, embedded, flux, small_flux, unet
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from nodegraph import Latent
from nodegraph.diffusion import decode_latent, encode_prompt, load_component, open_model
from nodegraph.families.components import Denoiser
from nodegraph.families.patches import unpack_latents
from nodegraph.families.speed_options import (
    SEPARATE,
    TORCHAO,
    Broadcast,
    FirstBlock,
    Magnitude,
    SpeedOptions,
    StepCaching,
    Taylor,
    matmul_version,
)
from nodegraph.models.adapters.layer_changes import structural_copy
from nodegraph.models.speed.speed_support import compile_blocks
from nodegraph.sampling.denoise import Denoising
from nodegraph.weights.numerics import bfloat16_speedup
from nodegraph.weights.precision.module_quantization import apply_storage
from nodegraph.weights.precision.storage import FLOAT8, INT8, UINT4

MIB = 2**20
PEAK_AIM = 50.0
"""Percent of the measured peak that a compiled transformer is to reach."""
PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "RTX 4090": 165e12}
"""Multiplications and additions a second of chips in bfloat16, dense, by their makers' sheets."""
WAYS: Mapping[str, SpeedOptions | StepCaching] = {
    "fused projections": SpeedOptions(fused=True),
    "channels last": SpeedOptions(channels_last=True),
    "attention math": SpeedOptions(attention="math"),
    "attention sliced": SpeedOptions(attention="sliced"),
    "prompts separate": SpeedOptions(prompts=SEPARATE),
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


def eager_speed(
    rival: Rival, device: str, steps: int, times: int, peak: float | None
) -> Iterator[Figure]:
    """Steps a second of both by turns, what they hold at most, and how far apart they are.

    Args:
        peak: Operations a second of the device that shares are told of.
    """
    ways = _sides(rival, rival.denoiser, rival.denoiser.module)
    made = {name: way() for name, way in ways.items()}  # warms up
    yield from _rates(rival, ways, "", device, steps, times, peak)
    if device != "cpu":
        for name, way in ways.items():
            yield _held(f"{rival.name}: {name}", way)
    other = made["diffusers"].cpu().float()
    if "transformer" in rival.denoiser.modules:
        other = unpack_latents(other, *made["nodegraph"].shape[-2:])
    apart = float((made["nodegraph"].cpu().float() - other).abs().max())
    yield Figure(f"{rival.name}: largest difference of latents", apart, "")


def separate_prompts(rival: Rival, device: str, times: int) -> Iterator[Figure]:
    """How many times as fast as in one batch the prompts of a step are one by one."""
    if "transformer" in rival.denoiser.modules:
        return  # it is sampled with one prompt
    ways = {"together": rival.denoiser, "separate": rival.sped_up(SpeedOptions(prompts=SEPARATE))}
    actions = {name: _waited(partial(rival.sample, way, 7), device) for name, way in ways.items()}
    for action in actions.values():
        action()  # warms up
    yield _ratio(f"{rival.name}: prompts one by one, speed", actions, times)


def quantized(rival: Rival, device: str, times: int) -> Iterator[Figure]:
    """What products of torchao lose beside widened weights, and how many times as fast they are."""
    exact = rival.sample(rival.denoiser, 7)
    spread = 4 * exact.std()  # as an image's values, which span 1
    storages = (INT8, FLOAT8, UINT4) if rival.denoiser.dtype == torch.bfloat16 else (INT8, FLOAT8)
    for storage in storages:
        module = copy.deepcopy(rival.denoiser.module)
        apply_storage(module, storage, rival.denoiser.dtype)
        module.to(device)
        role = next(iter(rival.denoiser.modules))
        stored = replace(rival, denoiser=replace(rival.denoiser, modules={role: module}))
        ways = {"widened": stored.denoiser, TORCHAO: stored.sped_up(SpeedOptions(matmul=TORCHAO))}
        for name, way in ways.items():
            found = rival.sample(way, 7)
            yield from _loss(f"{rival.name}: {storage}, {name}", exact / spread, found / spread)
        actions = {
            name: _waited(partial(rival.sample, way, 7), device) for name, way in ways.items()
        }
        yield _ratio(
            f"{rival.name}: {storage}, {TORCHAO} instead of widened, speed", actions, times
        )


def compiled_speed(
    rival: Rival, device: str, steps: int, times: int, peak: float | None
) -> Iterator[Figure]:
    """Steps a second of both once they are compiled, and seconds of the first sampling of each."""
    stock = structural_copy(rival.denoiser.module)
    compile_blocks(stock)
    ways = _sides(rival, rival.sped_up(SpeedOptions(compiled=True)), stock)
    for name, way in ways.items():
        seconds = taken(_waited(way, device))
        yield Figure(f"{rival.name}: {name}, compiled: first sampling, compiling", seconds, "s")
    yield from _rates(rival, ways, ", compiled", device, steps, times, peak)


def _sides(rival: Rival, ours: Denoiser, theirs: Any) -> dict[str, Callable[[], Tensor]]:
    return {
        "nodegraph": lambda: rival.sample(ours, 7),
        "diffusers": lambda: rival.pipe(theirs, 7),
    }


def _rates(
    rival: Rival,
    ways: Mapping[str, Callable[[], Tensor]],
    how: str,
    device: str,
    steps: int,
    times: int,
    peak: float | None,
) -> Iterator[Figure]:
    """Steps a second, ours beside theirs; then the share of the peak, where that is known."""
    seen = by_turns({name: _waited(way, device) for name, way in ways.items()}, times)
    rates = {name: steps / statistics.median(seconds) for name, seconds in seen.items()}
    ours, theirs = rates["nodegraph"], rates["diffusers"]
    what = f"{rival.name}: nodegraph{how}"
    yield Figure(what, ours, "steps/s", theirs, theirs, "diffusers", more_is_better=True)
    yield Figure(f"{rival.name}: diffusers{how}", theirs, "steps/s")
    if peak is not None:
        operations = operations_of(rival) / steps
        for name, rate in rates.items():
            done = rate * operations
            what = f"{rival.name}: {name}{how}, {done / 1e12:.0f} Tflop/s, of the peak"
            is_aimed = how and name == "nodegraph" and "transformer" in rival.denoiser.modules
            aim = PEAK_AIM if is_aimed else None
            yield Figure(what, 100 * done / peak, "%", aim, more_is_better=True)


def _waited(way: Callable[[], Tensor], device: str) -> Callable[[], object]:
    def run() -> None:
        way()
        settle(device)

    return run


def settle(device: str) -> None:
    """Wait until a device has done all that it was given."""
    if device != "cpu":
        torch.cuda.synchronize()


def operations_of(rival: Rival) -> int:
    """Multiplications and additions of one sampling; counted anew at each call."""
    with FlopCounterMode(display=False) as counter:
        rival.sample(rival.denoiser, 7)
    return int(counter.get_total_flops())


def peak_operations(device: str, side: int = 8192, times: int = 20) -> float:
    """Multiplications and additions a second of a product of large matrices in bfloat16."""
    factors = torch.randn(2, side, side, device=device, dtype=torch.bfloat16)

    def multiply() -> None:
        for _ in range(times):
            factors[0] @ factors[1]
        settle(device)

    multiply()
    return 2 * side**3 * times / best(multiply, 3)


def peak_figure(peak: float) -> Figure:
    """What was measured of a card, beside what its maker tells, where that is known."""
    chip = torch.cuda.get_device_name()
    told = next((value / 1e12 for name, value in PEAKS.items() if name in chip), None)
    what = f"peak of {chip}: a large product in bfloat16"
    return Figure(what, peak / 1e12, "Tflop/s", None, told, "what its maker tells")


def _held(label: str, way: Callable[[], Tensor]) -> Figure:
    """The most memory that is taken meanwhile, beside what is there before: the weights."""
    gc.collect()
    weights = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    way()
    most = torch.cuda.max_memory_allocated() / MIB
    what = "what is there before"
    return Figure(f"{label}, peak memory", most, "MiB", None, weights / MIB, what)


def pictures(
    rival: Rival, steps: int, given: argparse.Namespace, *, compiled: bool
) -> Iterator[Figure]:
    """What each way loses of the embedded model's images, and how fast it is."""
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
        # As an image's values, which span 1.
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
        yield from _loss(f"{rival.name}: {name}", exact, *made(denoiser))
        ways_by_name = {"exact": rival.denoiser, "fast": denoiser}
        yield _speed(f"{rival.name}: {name}", rival, ways_by_name, 3)


def _loss(name: str, exact: Tensor, found: Tensor, kept: int = 0) -> Iterator[Figure]:
    apart = float((found - exact).square().mean().sqrt())
    told = f"{name}, PSNR {_decibels(apart)}" + (f", keeps {kept / MIB:.1f} MiB" if kept else "")
    yield Figure(f"{told}: RMS", apart, "")


def _speed(name: str, rival: Rival, ways: Mapping[str, Denoiser], times: int) -> Figure:
    """How many times as fast as the first the second way is."""
    actions = {key: partial(rival.sample, denoiser, 7) for key, denoiser in ways.items()}
    return _ratio(f"{name}, speed", actions, times)


def _ratio(name: str, actions: Mapping[str, Callable[[], object]], times: int) -> Figure:
    slow, fast = by_turns(actions, times).values()
    ratios = [one / other for one, other in zip(slow, fast, strict=True)]
    return Figure(name, statistics.median(ratios), "×", None, min(slow) / min(fast), "best of each")


def precision(steps: int, times: int, *, small: bool) -> Iterator[Figure]:
    """How much faster than float32 bfloat16 is on this CPU, and what it loses."""
    yield Figure("the measurement of `cpu_precision`", bfloat16_speedup(), "×")
    sized = {"block_out_channels": (32, 64, 64, 64)} if small else {}
    for rival in (
        embedded(steps),
        unet("Stable Diffusion 1.5", 256, "cpu", torch.float32, 2, **sized),
    ):
        half = copy.deepcopy(rival.denoiser)
        half.module.to(torch.bfloat16)
        name = f"{rival.name}: bfloat16"
        latents = {key: rival.sample(way, 7) for key, way in (("f", rival.denoiser), ("h", half))}
        exact = latents["f"] / latents["f"].std() / 4  # as an image's values, which span 1
        rounded = latents["h"].float() / latents["f"].std() / 4
        yield from _loss(f"{name}, latents", exact, rounded)
        yield _speed(name, rival, {"float32": rival.denoiser, "bfloat16": half}, times)
        if rival.name == "embedded":
            yield from _decoded(latents, times)


def _decoded(latents: Mapping[str, Tensor], times: int) -> Iterator[Figure]:
    """The embedded model's image by a sampling in bfloat16, and by a VAE in bfloat16."""
    recipe = open_model("tiny", ()).vae
    vae: Any = load_component(recipe, "cpu")
    half: Any = load_component(replace(recipe, dtype="bfloat16"), "cpu")
    exact, rounded = (Latent(item.float(), 128, 128) for item in latents.values())
    image = decode_latent(vae, exact)
    yield from _loss("embedded: bfloat16, image", image, decode_latent(vae, rounded))
    yield from _loss("embedded: VAE in bfloat16, image", image, decode_latent(half, exact))
    actions = {key: partial(decode_latent, one, exact) for key, one in (("f", vae), ("h", half))}
    yield _ratio("embedded: VAE in bfloat16, speed", actions, 3 * times)


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
    if given.part == "precision":
        yield from precision(steps, times, small=given.quick)
        return
    compiled = not (given.no_compiling or given.quick)
    made = rivals(given.device, steps)
    peak = None
    if given.device != "cpu" and given.part in (None, "speed"):
        peak = peak_operations(given.device)
        yield peak_figure(peak)
    for name, make in made.items():
        if given.only and given.only != name:
            continue
        rival = make()
        if given.part == "quantized":
            yield from quantized(rival, given.device, times)
        if given.part in (None, "speed"):
            yield from eager_speed(rival, given.device, steps, times, peak)
            yield from separate_prompts(rival, given.device, times)
            if compiled:
                yield from compiled_speed(rival, given.device, steps, times, peak)
        if given.part in (None, "loss") and name == "embedded":
            yield from pictures(rival, steps, given, compiled=compiled)
        if given.part in (None, "loss") and name != "embedded" and "Flux" in name:
            yield from latents(rival, given)
        del rival


def _more(parser: argparse.ArgumentParser) -> None:
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=default)
    parser.add_argument("--only")
    parser.add_argument("--part", choices=("speed", "loss", "precision", "quantized"))
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--no-compiling", action="store_true")


def main() -> None:
    given = options(__doc__, _more)
    warnings.simplefilter("ignore")
    diffusers.utils.logging.set_verbosity_error()
    if given.part == "quantized" and not matmul_version(TORCHAO):
        raise SystemExit("The part `quantized` needs torchao: pip install 'nodegraph[torchao]'")
    with torch.no_grad():
        show(figures(given), as_json=given.json)


if __name__ == "__main__":
    main()
