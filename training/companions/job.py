"""What the companions share: their settings, the finished main model, bars, the record of a run."""

import argparse
import json
import platform
import shutil
import sys
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Generic

import numpy as np
import torch
from diffusers import StableDiffusionPipeline

from training import classifier
from training.config import ROOT, Config, FitConfig, Section, load_config, section
from training.latents import encode_pictures
from training.models import build_scheduler, build_text_encoder, build_unet, build_vae, seeded
from training.objects import PALETTE, ObjectSpec
from training.questions import named, on_colour
from training.sampling import load_pipeline
from training.scenes import SceneMaker
from training.tokenizer import encode, load_tokenizer, write_tokenizer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_PACKAGES = ("torch", "diffusers", "transformers", "pillow", "numpy", "safetensors")
_SMOKE = "training/configs/smoke.toml"
_SMOKE_FIT: dict[str, Any] = {
    "samples": 32,
    "minutes": 0.0,
    "batch": 8,
    "warmup": 2,
    "workers": 1,
    "ema": 0.5,
}


@dataclass(frozen=True)
class Job(Generic[Section]):
    """One companion to be made.

    Attributes:
        name: Of the companion and of its section of settings.
        config: The main model's.
        settings: Its own; has a `fit`.
        work: The main model's work folder, holding `model`, `latents` and `classifier.safetensors`.
    """

    name: str
    config: Config
    settings: Section
    work: Path

    @property
    def folder(self) -> Path:
        """Where the companion goes: weights and `train.json`, nothing else."""
        return self.work / "companions" / self.name

    @property
    def scratch(self) -> Path:
        """Where its checkpoint, its data and its sheets are kept."""
        return self.work / "companions" / f"{self.name}-work"


@dataclass(frozen=True)
class Bar:
    """What a figure must reach for the companion to be shipped."""

    figure: str
    least: float | None = None
    most: float | None = None

    def met(self, figures: dict[str, float]) -> bool:
        """Whether the figure lies within the limits."""
        value = figures[self.figure]
        above = self.least is None or value >= self.least
        return above and (self.most is None or value <= self.most)


def load_settings(path: Path, name: str, kind: type[Section]) -> tuple[Config, Section]:
    """The main model's config, named by the file's `model`, and one companion's section.

    Raises:
        ValueError: the file has no such section, or a setting is unknown.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    if name not in table:
        raise ValueError(f"{path.name} has no section [{name}]")
    return load_config(ROOT / table["model"]), section(kind, table[name], name)


def start(
    name: str, kind: type[Section], description: str | None, toy: dict[str, Any]
) -> Job[Section]:
    """Parse the command line.

    Args:
        toy: Settings that ``--smoke`` puts in place of the file's, beside a very short run.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, default=ROOT / "training/configs/companions.toml")
    parser.add_argument("--work", type=Path, required=True, help="the main model's work folder")
    parser.add_argument("--smoke", action="store_true", help="an untrained toy model instead")
    arguments = parser.parse_args()
    config, settings = load_settings(arguments.config, name, kind)
    work: Path = arguments.work
    if arguments.smoke:
        # A folder of its own: a finished model must not be overwritten by an untrained one.
        config, work = load_config(ROOT / _SMOKE), work / "smoke"
        settings = toy_settings(settings, toy)
        make_toy_work(config, work)
    job = Job(name, config, settings, work)
    for folder in (job.folder, job.scratch):
        folder.mkdir(parents=True, exist_ok=True)
    return job


def toy_settings(settings: Section, toy: dict[str, Any]) -> Section:
    """Settings of a run of seconds."""
    fit: FitConfig | None = getattr(settings, "fit", None)
    short: dict[str, Any] = {} if fit is None else {"fit": replace(fit, **_SMOKE_FIT)}
    changed: Section = replace(settings, **short, **toy)
    return changed


def make_toy_work(config: Config, work: Path) -> None:
    """Fill a work folder with an untrained model, a few encoded scenes and an untrained judge."""
    seeded(config.seed)
    write_tokenizer(work / "tokenizer", [], config.text.max_length)
    tokenizer = load_tokenizer(work / "tokenizer")
    size, bos, eos = len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id
    vae = build_vae(config).eval()
    StableDiffusionPipeline(
        vae=vae,
        text_encoder=build_text_encoder(config, size, bos, eos),
        tokenizer=tokenizer,
        unet=build_unet(config),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(work / "model")
    shutil.copytree(work / "tokenizer", work / "model" / "tokenizer", dirs_exist_ok=True)
    maker = SceneMaker.from_config(config)
    pictures, scenes = maker.batch(32, np.random.default_rng(config.seed))
    side = config.data.resolution
    (work / "latents").mkdir(exist_ok=True)
    np.savez(
        work / "latents" / f"{side}x{side}-00000.npz",
        latents=encode_pictures(vae, pictures),
        tokens=np.asarray(encode(tokenizer, [scene.caption for scene in scenes]), np.uint16),
    )
    judge = classifier.build_classifier(config, maker.objects)
    classifier.save_classifier(judge, work / "classifier.safetensors")


def finished_model(work: Path) -> StableDiffusionPipeline:
    """The exported main model, frozen; float32, CPU."""
    pipeline = load_pipeline(work / "model")
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder):
        part.eval().requires_grad_(False)
    return pipeline


def prompts_for(objects: list[ObjectSpec], count: int, seed: int) -> list[tuple[str, str, str]]:
    """`count` prompts for one object each: the words, the object's name, the background's."""
    rng = np.random.default_rng((seed, 40))
    colours = tuple(PALETTE)
    asked = []
    for number in range(count):
        if number % len(objects) == 0:
            order = rng.permutation(len(objects))
        item = objects[int(order[number % len(objects)])]
        colour = colours[number % len(colours)]
        asked.append((on_colour(named(item), colour), item.name, colour))
    return asked


def write_record(
    job: Job[Section], figures: dict[str, float], bars: tuple[Bar, ...], progress: dict[str, float]
) -> bool:
    """Write `train.json` beside the weights, print the figures; whether all bars are met."""
    missed = [bar for bar in bars if not bar.met(figures)]
    files = list(job.folder.rglob("*.safetensors"))
    record = {
        "companion": job.name,
        "of": job.config.name,
        "good": not missed,
        "missed": [bar.figure for bar in missed],
        "figures": figures,
        "bars": [asdict(bar) for bar in bars],
        "bytes": sum(path.stat().st_size for path in files),
        "progress": progress,
        "settings": asdict(job.settings),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in _PACKAGES}},
        "device": "cuda" if torch.cuda.is_available() else "cpu",
    }
    (job.folder / "train.json").write_text(json.dumps(record, indent=2) + "\n")
    for name, value in figures.items():
        print(f"{name:32} {value:g}")
    print(f"{record['bytes']} bytes; " + (f"MISSED: {record['missed']}" if missed else "good"))
    return not missed
