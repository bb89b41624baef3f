"""Training options, and checks of what can be trained. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from nodegraph.core.ports import port_type
from nodegraph.core.recipe_options import SPEED_PREFIX
from nodegraph.core.training_values import Dataset
from nodegraph.core.values import NOT_CONTENT, DiffusionModel, Recipe, TextEncoder, Vae
from nodegraph.errors import InvalidValue
from nodegraph.families.family_checks import has_solids
from nodegraph.families.registry import get_family
from nodegraph.weights.precision.storage import STORED, recipe_storage

_SECOND = "transformer_2"


def check_full_weights(recipe: Recipe, port: str, action: str = "changed") -> None:
    """Refuse quantized weights.

    Args:
        action: What cannot be done to them.
    Raises:
        InvalidValue: They are quantized.
    """
    if storage := recipe_storage(recipe):
        raise InvalidValue(
            f"quantized weights cannot be {action}",
            port=port,
            given="low-bit weights as in the file"
            if storage == STORED
            else f"weights as {storage}",
            expected="float32, float16 or bfloat16",
            hint="Load it with storage `full`, or use a file that is not quantized.",
        )


def check_trainable(model: DiffusionModel, encoder: TextEncoder | None, vae: Vae | None) -> None:
    """Refuse models that cannot be trained, and parts of different ones.

    Raises:
        InvalidValue: Says on which port, and why.
    """
    family = get_family(model.family)
    check_full_weights(model, "model", "trained")
    if family.preconditioned:
        raise InvalidValue(
            f"models of {family.title} cannot be trained",
            port="model",
            given=family.name,
            hint="Train a model of another family.",
        )
    if family.needs_image:
        raise InvalidValue(
            f"models of {family.title} cannot be trained, as training shows them no image",
            port="model",
            given=family.name,
            hint="Train a model of another family.",
        )
    if family.needs_seed:
        raise InvalidValue(
            f"models of {family.title} cannot be trained, as training has no prior tokens",
            port="model",
            given=family.name,
            hint="Train a model of another family.",
        )
    if has_solids(family.latent):
        raise InvalidValue(
            f"models of {family.title} cannot be trained, as nothing encodes solids",
            port="model",
            given=family.name,
            hint="Train a model of another family.",
        )
    if any(file.role == _SECOND for file in model.files):
        raise InvalidValue(
            f"a {family.title} with two experts cannot be trained",
            port="model",
            hint="Load a model with a single transformer.",
        )
    check_same_model(model, encoder, vae)


def check_same_model(model: DiffusionModel, encoder: TextEncoder | None, vae: Vae | None) -> None:
    """Refuse parts of different models.

    Raises:
        InvalidValue: Names the port.
    """
    family = get_family(model.family)
    if encoder is not None and encoder.family != model.family:
        raise InvalidValue(
            "the text encoder belongs to another family than the model",
            port="text_encoder",
            given=encoder.family,
            expected=model.family,
        )
    if vae is not None and vae.family != family.latent.name:
        raise InvalidValue(
            "the VAE has another latent format than the model",
            port="vae",
            given=vae.family,
            expected=family.latent.name,
        )


def check_dataset(dataset: Dataset, *, port: str = "dataset") -> None:
    """Refuse a dataset of which nothing can be learned.

    Raises:
        InvalidValue: It has no examples to learn from, or images without captions.
    """
    learned = [item for item in dataset.examples if item.split == "train"]
    if not learned:
        raise InvalidValue(
            "the dataset has no training examples",
            port=port,
            given=f"{len(dataset.examples)} examples, none of the split train",
            hint="Add images, or choose another split.",
        )
    silent = [
        item.name or f"example {index + 1}"
        for index, item in enumerate(dataset.examples)
        if item.split == "train" and not (item.caption or item.tags or item.label)
    ]
    if silent:
        names = ", ".join(silent[:3]) + (", …" if len(silent) > 3 else "")
        raise InvalidValue(
            "some images have no caption",
            port=port,
            given=f"{len(silent)} of {len(learned)}: {names}",
            hint="Add captions (one caption for all is enough), or remove these images.",
        )


def without_speed(recipe: DiffusionModel) -> DiffusionModel:
    """A model as it is taught: step caches and the like would change what is learned."""
    kept = tuple(item for item in recipe.options if not item[0].startswith(SPEED_PREFIX))
    return replace(recipe, options=kept)


def check_no_adapters(recipe: Recipe) -> None:
    """Refuse adapters where all weights are taught: they would be taught in part, and lost.

    Raises:
        InvalidValue: There are some.
    """
    if recipe.adapters:
        raise InvalidValue(
            "a model with a LoRA cannot be trained as a whole",
            port="model",
            given=recipe.adapters[0].source,
            hint="Remove the LoRA, or train another LoRA on top of it.",
        )


OptimizerName = Literal["adamw", "adamw8bit", "adafactor", "sgd"]
RateSchedule = Literal["constant", "linear", "cosine", "cosine_with_restarts", "polynomial"]
TrainingPrecision = Literal["auto", "float32", "bfloat16", "float16"]
LevelSpread = Literal["auto", "uniform", "logit_normal"]
ClassifierSize = Literal["tiny", "small", "medium"]
DistillationKind = Literal["trajectory", "consistency"]
TaughtLayers = Literal["attention", "attention and feed-forward", "all"]

_RANGES: dict[str, tuple[float, float]] = {
    "steps": (1, 10_000_000),
    "batch": (1, 4096),
    "accumulate": (1, 4096),
    "learning_rate": (0, 100),
    "warmup": (0, 10_000_000),
    "weight_decay": (0, 10),
    "clip": (0, 1e6),
    "average": (0, 0.99999),
    "min_snr": (0, 1000),
    "noise_offset": (0, 1),
    "kept_weight": (0, 1000),
    "variations": (1, 1000),
    "embedded_guidance": (0, 100),
}


@port_type(color="#c9a06b")
@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How a model is taught, besides what each node asks for.

    Attributes:
        optimizer: adamw (Loshchilov & Hutter 2017, arXiv:1711.05101), the same with moments in 8
            bits (Dettmers et al. 2021, arXiv:2110.02861; needs bitsandbytes), adafactor (Shazeer &
            Stern 2018, arXiv:1804.04235), or sgd.
        schedule: How the learning rate goes on after the warm-up; as diffusers has them.
        warmup: Steps over which it rises from 0.
        weight_decay: What weights are drawn to 0 by.
        clip: Longest gradient, over all weights; 0 for any.
        accumulate: Batches that a step is made of.
        precision: What is computed in; auto: what the model's weights are kept in.
        saves_memory: Whether what layers hold is computed again in place of being kept (gradient
            checkpointing: Chen et al. 2016, arXiv:1604.06174).
        average: How slowly the averaged weights follow, that are given in the end; 0: the last
            ones are.
        min_snr: Signal-to-noise ratio above which levels count for no more; 0: all count alike.
            Source: Hang et al. 2023, arXiv:2303.09556; usually 5.
        noise_offset: How much of the noise is one number for a whole channel; about 0.05 lets
            images become darker and brighter.
        levels: How noise levels are drawn: all alike, or those in the middle more often (Esser et
            al. 2024, arXiv:2403.03206); auto: the latter for flow models.
        kept_weight: What the loss of kept images is multiplied by.
        variations: Of each image at most, where the dataset changes them at random: each is
            encoded once.
        embedded_guidance: The scale that models are told while they learn which were distilled
            from guidance.
    """

    optimizer: OptimizerName = "adamw"
    schedule: RateSchedule = "constant"
    warmup: int = 0
    weight_decay: float = 0.01
    clip: float = 1.0
    accumulate: int = 1
    precision: TrainingPrecision = "auto"
    saves_memory: bool = False
    average: float = 0.0
    min_snr: float = 0.0
    noise_offset: float = 0.0
    levels: LevelSpread = "auto"
    kept_weight: float = 1.0
    variations: int = 8
    embedded_guidance: float = 1.0

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True, slots=True)
class TrainingPlan:
    """A whole training, in numbers.

    Attributes:
        steps: Of the optimizer.
        batch: Images that are learned from at once, besides kept ones.
        learning_rate: The highest.
        seed: Of all that is drawn: 0 to 2**64 - 1.
    """

    steps: int
    batch: int = 4
    learning_rate: float = 1e-4
    seed: int = 0
    options: TrainingOptions = field(default_factory=TrainingOptions)

    def __post_init__(self) -> None:
        _check(self)

    def to_settings(self) -> tuple[tuple[str, str], ...]:
        """Its settings by name, for who looks at what it made."""
        own = {name: getattr(self, name) for name in ("steps", "batch", "learning_rate", "seed")}
        chosen = {item.name: getattr(self.options, item.name) for item in fields(self.options)}
        return tuple((name, str(value)) for name, value in {**own, **chosen}.items())


@port_type(color="#b7a7c9")
@dataclass(frozen=True, slots=True)
class TrainingSamples:
    """Images that are made while a model learns, to look at.

    None of it is content: what is learned is the same whatever is looked at.

    Attributes:
        prompts: One image for each.
        every: Steps from one time to the next.
        steps, cfg, seed: As of a sampler.
        width, height: In pixels; 0: as large as the model was trained on.
    """

    prompts: tuple[str, ...] = field(metadata=NOT_CONTENT)
    every: int = field(default=100, metadata=NOT_CONTENT)
    steps: int = field(default=20, metadata=NOT_CONTENT)
    cfg: float = field(default=5.0, metadata=NOT_CONTENT)
    seed: int = field(default=0, metadata=NOT_CONTENT)
    width: int = field(default=0, metadata=NOT_CONTENT)
    height: int = field(default=0, metadata=NOT_CONTENT)


def _check(options: Any) -> None:
    for item in fields(options):
        value, bounds = getattr(options, item.name), _RANGES.get(item.name)
        if bounds is not None and not bounds[0] <= value <= bounds[1]:
            raise InvalidValue(
                f"{item.name} is out of range",
                port=item.name,
                given=str(value),
                expected=f"{bounds[0]:g} to {bounds[1]:g}",
            )
