"""Two models as large as Stable Diffusion 1.5 by turns, where memory holds hardly more than one.

systemd-run --scope -p MemoryMax=7G python benchmarks/turns.py [--turns N] [--models DIR] [--json]

Writes 4.3 GB of random weights into a temporary folder, or into DIR once and for all. The bare loop
reads the same files with diffusers, anew for each image, with nothing kept.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from common import Figure, options, sampling_nodes, show, taken
from serving import Server, prepared, serving

import nodegraph.diffusion as diffusion
from nodegraph.core.host_memory import total_memory

NAMES = ("one", "other")
UNET = {
    "sample_size": 64,
    "block_out_channels": (320, 640, 1280, 1280),
    "cross_attention_dim": 768,
    "attention_head_dim": 8,
    "layers_per_block": 2,
}
VAE = {
    "sample_size": 512,
    "block_out_channels": (128, 256, 512, 512),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 4,
    "layers_per_block": 2,
}
TEXT = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "vocab_size": 49408,
}
_WRITE = """
import json, sys
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel
small, (unet, vae, text), folders, device = map(json.loads, sys.argv[1:])
torch.set_default_device(device)
if small:
    unet["block_out_channels"], vae["block_out_channels"] = (32,) * 4, (32,) * 4
    unet["cross_attention_dim"] = text["hidden_size"] = 16
    text |= {"num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
for seed, folder in folders.items():
    torch.manual_seed(int(seed))
    made = {
        "unet": UNet2DConditionModel(**unet),
        "vae": AutoencoderKL(**vae),
        "text_encoder": CLIPTextModel(CLIPTextConfig(**text)),
    }
    for name, module in made.items():
        module.half().save_pretrained(f"{folder}/{name}")
"""
_BARE = """
import sys, time
import torch
from diffusers import StableDiffusionPipeline
for folder in [*sys.argv[1:], *sys.argv[1:]]:
    start = time.perf_counter()
    pipeline = StableDiffusionPipeline.from_pretrained(folder, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline("an apple", width=64, height=64, num_inference_steps=1)
    del pipeline
    print(time.perf_counter() - start)
"""


def write(folders: Iterable[Path], *, quick: bool, device: str = "cpu") -> None:
    """Models' folders: the embedded model's with large components of random weights.

    Those that were written before stay as they are.

    Args:
        device: Where the numbers are drawn.
    """
    embedded = Path(diffusion.__file__).parent / "families" / "embedded" / "tiny"
    ignored = shutil.ignore_patterns("*.safetensors", "train.json")
    lacking = {
        seed: str(folder)
        for seed, folder in enumerate(folders)
        if not (folder / "vae" / "config.json").exists()
    }
    for folder in lacking.values():
        shutil.copytree(embedded, folder, ignore=ignored)
    if lacking:
        run("-c", _WRITE, *map(json.dumps, (quick, [UNET, VAE, TEXT], lacking, device)))


def run(*arguments: str) -> str:
    """What Python prints."""
    command = [sys.executable, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr or f"it ended with {done.returncode}")
    return done.stdout


def picture(model: str, number: int, dtype: str, *, size: int = 64, steps: int = 1) -> Any:
    """The workflow of an image by a model, `decode` its last node."""
    nodes: dict[str, Any] = sampling_nodes(
        f"an apple {number}", size=size, steps=steps, seed=number
    )
    nodes["model"]["inputs"] |= {"model": model, "dtype": dtype}
    nodes["decode"] = {
        "type": "VAEDecode",
        "inputs": {"vae": {"from": "model.vae"}, "latent": {"from": "sample"}},
    }
    return {"format": "nodegraph/1", "nodes": nodes}


def turn(server: Server, number: int, dtype: str) -> None:
    """An image by the model whose turn it is."""
    workflow = picture(NAMES[number % 2], number, dtype)
    server.run({"workflow": workflow, "targets": ["decode"]})


def figures(turns: int, models: Path | None, *, quick: bool) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as name:
        home = prepared(Path(name) / "home")
        place = models or Path(name) / "models"
        folders = [place / each for each in NAMES]
        write(folders, quick=quick)
        (home / "models").symlink_to(place.resolve())
        plain = bare(folders)
        with serving(home) as server:
            for dtype in ("auto", "bfloat16"):
                yield from changes(server, turns, dtype, plain)


def bare(folders: Sequence[Path]) -> float:
    """Seconds for an image by diffusers that begins with reading its model.

    Each is read twice, and the second time counts: by then all is imported.
    """
    seconds = run("-c", _BARE, *map(str, folders)).splitlines()[-len(folders) :]
    return mean(map(float, seconds))


def changes(server: Server, turns: int, dtype: str, plain: float) -> Iterator[Figure]:
    """What each change costs, with weights in one precision."""
    limit = (total_memory() or 0) / 2**30
    for number in range(2):  # what isn't known yet is imported
        turn(server, number, dtype)
    worker, before = server.worker().pid, cpu_seconds(server)
    times = [taken(lambda at=at: turn(server, at, dtype)) for at in range(2, turns + 2)]  # type: ignore[misc]
    what = f"a change of models in {limit:.1f} GiB, {dtype}, median of {turns}"
    yield Figure(what, median(times), "s", 2.5, plain, "diffusers, nothing kept")
    yield Figure("… the slowest of them", max(times), "s", None, plain, "the same")
    used = (cpu_seconds(server) - before) / turns
    yield Figure("… processor time of the worker for each", used, "s")
    yield Figure("… times that the worker died", int(server.worker().pid != worker), "", 0)


def cpu_seconds(server: Server) -> float:
    """Processor time that the worker has taken."""
    times = server.worker().cpu_times()
    return float(times.user + times.system)


def main() -> None:
    given = options(
        __doc__,
        lambda parser: parser.add_argument("--turns", type=int, default=100),
        lambda parser: parser.add_argument("--models", type=Path, help="keep the weights here"),
    )
    turns = 2 if given.quick else given.turns
    show(figures(turns, given.models, quick=given.quick), as_json=given.json)


if __name__ == "__main__":
    main()
