"""The settings of one model, read from a TOML file; every number that shapes a run is here."""

import argparse
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parent.parent
"""Repository root; relative paths in a config start here."""


class _Dataclass(Protocol):
    __dataclass_fields__: ClassVar[dict[str, Any]]


Section = TypeVar("Section", bound=_Dataclass)


@dataclass(frozen=True)
class DataConfig:
    """What the scenes show.

    Attributes:
        objects: JSON list of the objects, relative to the repository root.
        font: Path of the colour emoji font; empty searches the usual font folders.
        resolution: Side of a scene in pixels.
        mix: Shares of scenes with one large object, one small object, two objects.
    """

    objects: str = "training/objects.json"
    font: str = ""
    resolution: int = 64
    mix: tuple[float, ...] = (0.6, 0.2, 0.2)


@dataclass(frozen=True)
class FitConfig:
    """One training run.

    Attributes:
        samples: Training samples in all; the run ends after these ...
        minutes: ... or after this much training time, whichever comes first; 0 is no limit.
        batch: Samples per step, over all workers.
        lr: Peak learning rate of AdamW.
        warmup: Steps of linear warm-up.
        tail: Share of the run, at its end, in which the rate falls to zero.
        shape: How it falls: "cosine" or "linear".
        weight_decay, beta2, clip: AdamW's decay and second beta, gradient norm limit.
        ema: Decay of the averaged weights, reached gradually.
        workers: Single-threaded processes that share a batch on a CPU; ignored on CUDA.
        bf16: Compute in bfloat16 where torch's autocast allows it.
        channels_last: Memory format of the convolutions.
        checkpoint_seconds: Time between checkpoints.
    """

    samples: int
    minutes: float = 0.0
    batch: int = 64
    lr: float = 1e-3
    warmup: int = 100
    tail: float = 0.35
    shape: str = "linear"
    weight_decay: float = 0.01
    beta2: float = 0.99
    clip: float = 1.0
    ema: float = 0.999
    workers: int = 2
    bf16: bool = True
    channels_last: bool = True
    checkpoint_seconds: float = 60.0


@dataclass(frozen=True)
class TextConfig:
    """Tokenizer and CLIP text encoder."""

    vocabulary: int = 1300
    max_length: int = 24
    width: int = 192
    layers: int = 2
    heads: int = 4


@dataclass(frozen=True)
class VaeConfig:
    """Autoencoder: channels per level (each level but the last halves the size) and training."""

    channels: tuple[int, ...] = (16, 32, 64, 96)
    groups: int = 4
    latent_channels: int = 4
    kl: float = 1e-4
    edge: float = 0.3
    squared: float = 0.5
    fit: FitConfig = FitConfig(samples=0)

    @property
    def factor(self) -> int:
        """Pixels per latent cell, along one side."""
        return int(2 ** (len(self.channels) - 1))


@dataclass(frozen=True)
class UnetConfig:
    """Denoiser: channels per level, which levels attend to the text, and training."""

    channels: tuple[int, ...] = (128, 128)
    attention: tuple[bool, ...] = (True, True)
    layers: int = 1
    heads: int = 4
    groups: int = 16
    scenes: int = 60_000
    drop_caption: float = 0.1
    fit: FitConfig = FitConfig(samples=0)


@dataclass(frozen=True)
class ClassifierConfig:
    """The judge: trained on real renders, never on samples of the model."""

    resolution: int = 64
    fit: FitConfig = FitConfig(samples=0)


@dataclass(frozen=True)
class EvaluateConfig:
    """How the finished model is measured."""

    seeds: int = 4
    steps: int = 20
    guidance: float = 4.0
    pairs: int = 120
    small: int = 108
    scenes: int = 512
    batch: int = 60


@dataclass(frozen=True)
class Config:
    """Everything one model is made from."""

    name: str
    seed: int
    folder: str
    data: DataConfig
    text: TextConfig
    vae: VaeConfig
    unet: UnetConfig
    classifier: ClassifierConfig
    evaluate: EvaluateConfig

    @property
    def latent_size(self) -> int:
        """Side of the latent in cells."""
        return self.data.resolution // self.vae.factor


def load_config(path: Path) -> Config:
    """Read a TOML file.

    Raises:
        ValueError: a setting is unknown (a typo must not pass as a default), or a run has no
            samples.
    """
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    config = Config(
        data=_section(DataConfig, table.pop("data", {}), "data"),
        text=_section(TextConfig, table.pop("text", {}), "text"),
        vae=_section(VaeConfig, table.pop("vae", {}), "vae"),
        unet=_section(UnetConfig, table.pop("unet", {}), "unet"),
        classifier=_section(ClassifierConfig, table.pop("classifier", {}), "classifier"),
        evaluate=_section(EvaluateConfig, table.pop("evaluate", {}), "evaluate"),
        name=table.pop("name"),
        seed=table.pop("seed"),
        folder=table.pop("folder"),
    )
    _refuse_rest(table, set(), path.name)
    return config


def _section(kind: type[Section], table: dict[str, Any], where: str) -> Section:
    _refuse_rest(table, {item.name for item in fields(kind)}, where)
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in table.items()
    }
    if "fit" in values:
        values["fit"] = _section(FitConfig, values["fit"], f"{where}.fit")
        if values["fit"].samples < 1:
            raise ValueError(f"{where}.fit.samples must be at least 1")
    return kind(**values)


def _refuse_rest(table: dict[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise ValueError(f"{where}: unknown settings {unknown}, known are {sorted(known)}")


def command_line(description: str | None) -> tuple[Config, Path]:
    """Parse ``--config`` and ``--work``; gives the config and the existing work folder."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--config", type=Path, required=True, help="TOML file of the model")
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    arguments = parser.parse_args()
    arguments.work.mkdir(parents=True, exist_ok=True)
    return load_config(arguments.config), arguments.work
