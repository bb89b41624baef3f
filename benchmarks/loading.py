"""Loading models as large as Stable Diffusion 1.5 and SDXL, beside diffusers' `from_pretrained`.

    python benchmarks/loading.py [--json] [--quick] [--times 3] [--only "SDXL"]

Writes random weights in float16 into a temporary folder (2.1 and 6.9 GB), reads them once so that
the system has them in memory, and then loads denoiser, text encoders with tokenizers, and VAE, each
time in a fresh process that has loaded the embedded model before, so that all is imported, by
turns. Each way's best counts.
CPUs without float16 compute in float32 or bfloat16, so Stable Diffusion 1.5 is loaded in float32
and SDXL in bfloat16. The UNet is then stepped once at 256 x 256 pixels, and both ways must give the
same bits. Peak memory is the process' `VmHWM`, with the pages of files that it has mapped.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers
from common import Figure, options, show
from published_models import MODELS, class_name, write_model

from nodegraph.core.values import DiffusionModel, TextEncoder, Vae
from nodegraph.diffusion import load_component, open_model
from nodegraph.models.model_sources import locate_model

PRECISIONS = {"Stable Diffusion 1.5": "float32", "SDXL": "bfloat16"}
WAYS = ("nodegraph", "diffusers")
GIB = 2**30

Loaded = dict[str, float | str]


def ours(folder: Path, dtype: str) -> tuple[Any, list[Any], dict[str, float]]:
    """The UNet, all else, and the seconds of opening (its digests are made) and of loading."""
    start = time.perf_counter()
    recipes: tuple[DiffusionModel, TextEncoder, Vae] = open_model(
        folder.name, [folder.parent], dtype=dtype
    )
    opened = time.perf_counter()
    with timed() as seconds:
        parts = [load_component(recipe, "cpu") for recipe in recipes]
    return parts[0].module, parts, seconds | {"opening": opened - start}


def theirs(folder: Path, dtype: str) -> tuple[Any, list[Any], dict[str, float]]:
    """The same by `from_pretrained` of each component's class."""
    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    parts = []
    configs = sorted(folder.glob("*/config.json"), key=lambda path: path.parts[-2] != "unet")
    with timed() as seconds:
        for place in configs:
            name = class_name(json.loads(place.read_text("utf-8")))
            library: Any = diffusers if hasattr(diffusers, name) else transformers
            kind = getattr(library, name)
            parts.append(kind.from_pretrained(place.parent, torch_dtype=getattr(torch, dtype)))
        for place in sorted(folder.glob("tokenizer*")):
            parts.append(transformers.CLIPTokenizer.from_pretrained(place))
    return parts[0], parts, seconds


@contextmanager
def timed() -> Iterator[dict[str, float]]:
    """Seconds of the `with`: of the clock, and of processors, which other work disturbs less."""
    found: dict[str, float] = {}
    start, busy = time.perf_counter(), time.process_time()
    yield found
    found |= {"loading": time.perf_counter() - start, "processors": time.process_time() - busy}


@torch.no_grad()
def stepped(unet: Any, side: int) -> str:
    """The digest of one step with a square latent of this side."""
    torch.manual_seed(0)
    dtype = unet.dtype
    latent = torch.randn(1, 4, side, side).to(dtype)
    prompt = torch.randn(1, 77, unet.config["cross_attention_dim"]).to(dtype)
    added = None
    if unet.config.get("addition_embed_type") == "text_time":
        sizes = torch.tensor([[256.0, 256.0, 0.0, 0.0, 256.0, 256.0]]).to(dtype)
        added = {"text_embeds": torch.randn(1, 1280).to(dtype), "time_ids": sizes}
    found = unet(latent, torch.tensor(500), prompt, added_cond_kwargs=added).sample.float()
    assert found.isfinite().all()
    return hashlib.sha256(found.numpy().tobytes()).hexdigest()


def measured(way: str, folder: Path, dtype: str, side: int) -> Loaded:
    """What one loading costs, in this process, which has done nothing else."""
    load = ours if way == "nodegraph" else theirs
    # The libraries import much only when it is used: that isn't loading.
    load(locate_model("tiny", ()).path, dtype)
    before = peak()
    unet, _kept, seconds = load(folder, dtype)
    loaded = peak()
    start = time.perf_counter()
    digest = stepped(unet, side)
    seconds["step"] = time.perf_counter() - start
    memory = {"before": before, "peak": loaded, "peak with step": peak()}
    return {**seconds, **memory, "digest": digest}


def peak() -> float:
    """The most memory that this process has had, in GiB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))
    assert found
    return int(found[1]) * 1024 / GIB


def fresh(way: str, folder: Path, dtype: str, side: int) -> Loaded:
    """`measured` in a process of its own."""
    what = ("--way", way, "--folder", str(folder), "--dtype", dtype, "--side", str(side))
    command = [sys.executable, __file__, *what]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr)
    found: Loaded = json.loads(done.stdout.splitlines()[-1])
    return found


def figures(name: str, times: int, *, small: bool) -> Iterator[Figure]:
    """What loading one model costs."""
    dtype, side = PRECISIONS[name], 8 if small else 32
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "model"
        write_model(name, folder, small=small)
        size = sum(_read(path) for path in folder.rglob("*.safetensors")) / GIB
        if not small:
            time.sleep(3)  # digests of files that were just written aren't remembered
        turns = [[fresh(way, folder, dtype, side) for way in WAYS] for _ in range(times)]
    digests = {item["digest"] for turn in turns for item in turn}
    assert len(digests) == 1, "both ways load the same weights but compute something else"
    best = [
        {
            key: min(float(turn[place][key]) for turn in turns)
            for key in turns[0][place]
            if key != "digest"
        }
        for place in range(len(WAYS))
    ]
    yield from _compared(f"{name}, {size:.1f} GiB of float16, in {dtype}", 8 * side, *best)


def _compared(
    what: str, pixels: int, own: dict[str, float], other: dict[str, float]
) -> Iterator[Figure]:
    def figure(text: str, key: str, unit: str, aim: float | None = None) -> Figure:
        return Figure(text, own[key], unit, aim, other[key], "diffusers")

    yield figure(f"{what}: loading", "loading", "s", other["loading"])
    yield figure("… time of processors in loading", "processors", "s", other["processors"])
    yield Figure("… opening before it, with digests", own["opening"], "s")
    yield figure("… peak memory in loading", "peak", "GiB", other["peak"])
    yield figure("… peak memory with a step", "peak with step", "GiB", other["peak with step"])
    yield figure("… that of the libraries alone", "before", "GiB")
    yield figure(f"… a step at {pixels} x {pixels}, the first", "step", "s")


def _read(path: Path) -> int:
    """Bytes of a file, which the system has in memory afterwards."""
    with path.open("rb", buffering=0) as file:
        while file.read(2**24):
            pass
        return file.tell()


def _more(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--times", type=int, default=3, help="turns; the best of each counts")
    parser.add_argument("--only", choices=MODELS, help="this model alone")
    for name in ("--way", "--folder", "--dtype"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    parser.add_argument("--side", type=int, help=argparse.SUPPRESS)


def main() -> None:
    given = options(__doc__, _more)
    if given.way:
        print(json.dumps(measured(given.way, Path(given.folder), given.dtype, given.side)))
        return
    times = 1 if given.quick else given.times
    # The last one has all that the others have, and more.
    names = [given.only] if given.only else list(MODELS)[-1 if given.quick else 0 :]
    found = (item for name in names for item in figures(name, times, small=given.quick))
    show(found, as_json=given.json)


if __name__ == "__main__":
    main()
