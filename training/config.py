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
        count: How many of them to take, the most iconic first; 0 is all.
        font: Path of the colour emoji font; empty searches the usual font folders.
        resolution: Side of a scene in pixels.
        mix: Shares of scenes with one large object; one small or medium object, maybe in a place;
            two objects; two or three alike.
    """

    objects: str = "training/objects.json"
    count: int = 0
    font: str = ""
    resolution: int = 128
    mix: tuple[float, ...] = (0.45, 0.2, 0.23, 0.12)


@dataclass(frozen=True)
class FitConfig:
    """One training run.

    Attributes:
        samples: Training samples in all; the run ends after these ...
        minutes: ... or after this much training time, whichever comes first; 0 is no limit.
        batch: Samples per step, over all workers.
        lr: Peak learning rate.
        muon: Whether the updates of matrices are orthogonalised; if not, all is AdamW.
        warmup: Steps of linear warm-up.
        tail: Share of the run, at its end, in which the rate falls to zero.
        shape: How it falls: "cosine" or "linear".
        weight_decay, beta2, clip: AdamW's decay and second beta, gradient norm limit.
        ema: Decay of the averaged weights, reached gradually.
        workers: Single-threaded processes that share a batch on a CPU; ignored on CUDA.
        bf16: Compute in bfloat16 where torch's autocast allows it and the device does it.
        channels_last: Memory format of the convolutions.
        checkpoint_seconds: Time between checkpoints.
    """

    samples: int
    minutes: float = 0.0
    batch: int = 64
    lr: float = 1e-3
    muon: bool = False
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

    vocabulary: int = 2600
    max_length: int = 32
    width: int = 160
    layers: int = 2
    heads: int = 4


@dataclass(frozen=True)
class VaeConfig:
    """Autoencoder and its training.

    Attributes:
        channels: Per level; each level but the last halves the size.
        groups: Of its group norms.
        latent_channels: Numbers per latent cell.
        kl, edge, squared: Weights of the loss's terms beside the mean absolute error.
        crop: Side in pixels of the pieces, cut round objects, that most steps train on.
        whole: Share of the steps that train on whole scenes instead, a fitting number of them.
        mix: The shares of `DataConfig.mix` for the scenes it sees.
        fit: Training of the whole.
        decoder_fit: Training of the decoder alone, after that.
        decoder_noise: Most noise added to the unit-variance latents in that second training.
    """

    channels: tuple[int, ...] = (16, 32, 64, 96)
    groups: int = 4
    latent_channels: int = 4
    kl: float = 3e-5
    edge: float = 0.3
    squared: float = 4.0
    crop: int = 64
    whole: float = 0.35
    mix: tuple[float, ...] = (0.4, 0.25, 0.2, 0.15)
    fit: FitConfig = FitConfig(samples=0)
    decoder_fit: FitConfig = FitConfig(samples=0)
    decoder_noise: float = 0.05

    @property
    def factor(self) -> int:
        """Pixels per latent cell, along one side."""
        return int(2 ** (len(self.channels) - 1))


@dataclass(frozen=True)
class UnetConfig:
    """Denoiser and its training.

    Attributes:
        channels: Per level.
        attention: Which levels attend to the text.
        layers: Residual blocks per level.
        heads: Attention heads.
        groups: Of its group norms.
        scenes: How many are drawn and encoded at the usual size.
        sizes: Other sizes to train on, width and height in pixels.
        sized_scenes: How many are encoded of each of these.
        sized_share: Share of the steps that train on one of these.
        drop_caption: Share of the samples that are trained without their caption.
    """

    channels: tuple[int, ...] = (64, 128, 128)
    attention: tuple[bool, ...] = (False, True, True)
    layers: int = 1
    heads: int = 4
    groups: int = 16
    scenes: int = 120_000
    sizes: tuple[tuple[int, int], ...] = ()
    sized_scenes: int = 500
    sized_share: float = 0.1
    drop_caption: float = 0.1
    fit: FitConfig = FitConfig(samples=0)


@dataclass(frozen=True)
class ClassifierConfig:
    """The judge: trained on real renders, never on samples of the model.

    Attributes:
        resolution: Side in pixels of the pictures it sees.
        channels: Per level; each level halves the picture.
    """

    resolution: int = 64
    channels: tuple[int, ...] = (32, 64, 128, 192)
    fit: FitConfig = FitConfig(samples=0)


@dataclass(frozen=True)
class EvaluateConfig:
    """How the finished model is measured.

    Attributes:
        seeds: Pictures of each object, on its own and large.
        steps, guidance: Of the sampler, where the sampler is not what is measured.
        pairs: Prompts for two objects.
        small: Prompts for one small or medium object in a place.
        sizes: Objects that are asked for in all three sizes.
        counts: Prompts for two or three of one object.
        colours: Prompts for objects in a colour that they were taught in, and as many at most in
            the colour that was held out.
        hues: Prompts that name the colour an object has anyway.
        robust: Prompts with unknown words, capitals and the like.
        empty: Pictures of the empty prompt.
        diverse: Prompts that are drawn by several seeds.
        frechet: Pictures for the Fréchet distance.
        sampler_singles, sampler_pairs: Prompts that every sampler draws.
        scenes: On which the autoencoder is measured, and its latents before that.
        batch: Pictures sampled at once.
    """

    seeds: int = 5
    steps: int = 20
    guidance: float = 4.0
    pairs: int = 400
    small: int = 450
    sizes: int = 120
    counts: int = 300
    colours: int = 400
    hues: int = 120
    robust: int = 400
    empty: int = 200
    diverse: int = 24
    frechet: int = 1000
    sampler_singles: int = 240
    sampler_pairs: int = 120
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
        data=section(DataConfig, table.pop("data", {}), "data"),
        text=section(TextConfig, table.pop("text", {}), "text"),
        vae=section(VaeConfig, table.pop("vae", {}), "vae"),
        unet=section(UnetConfig, table.pop("unet", {}), "unet"),
        classifier=section(ClassifierConfig, table.pop("classifier", {}), "classifier"),
        evaluate=section(EvaluateConfig, table.pop("evaluate", {}), "evaluate"),
        name=table.pop("name"),
        seed=table.pop("seed"),
        folder=table.pop("folder"),
    )
    _refuse_rest(table, set(), path.name)
    return config


def section(kind: type[Section], table: dict[str, Any], where: str) -> Section:
    """A dataclass of settings from one table of a TOML file; runs in it are tables too.

    Raises:
        ValueError: a setting is unknown, or a run has no samples; says `where`.
    """
    _refuse_rest(table, {item.name for item in fields(kind)}, where)
    values: dict[str, Any] = {name: _frozen(value) for name, value in table.items()}
    for name in [name for name in values if name.endswith("fit")]:
        values[name] = section(FitConfig, values[name], f"{where}.{name}")
        if values[name].samples < 1:
            raise ValueError(f"{where}.{name}.samples must be at least 1")
    return kind(**values)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value


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
