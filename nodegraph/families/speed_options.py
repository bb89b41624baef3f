"""Speed options of recipes: step caches, attention kernels, compilation. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TypeVar

from nodegraph.core.recipe_options import SPEED_PREFIX
from nodegraph.core.values import Recipe
from nodegraph.errors import InvalidValue

AUTO = "auto"
ANYWHERE = (AUTO, "math", "sliced")
"""Ways to compute attention that every device has."""
CUDA_ONLY = ("flash", "efficient", "cudnn")
"""Kernels of torch for CUDA, of which it chooses one itself where none is named."""
KERNEL_PACKAGES: Mapping[str, str] = {
    "sage": "sageattention",
    "flash_attn": "flash-attn",
    "xformers": "xformers",
}
"""Packages with attention kernels for CUDA, by the name of the backend. Where a package is missing,
torch chooses a kernel."""
ATTENTIONS = (*ANYWHERE, *CUDA_ONLY, *KERNEL_PACKAGES)

TORCHAO = "torchao"
MATMULS = (AUTO, TORCHAO)
"""How quantized weights are multiplied: widened, or by the kernels of this package."""

TOGETHER, SEPARATE, FASTEST = "together", "separate", "fastest"
PROMPTS = (TOGETHER, SEPARATE, FASTEST)
"""How the prompts of a step are evaluated: in one batch where they fit, one by one, or on an
accelerator in the way that was measured to be faster."""

_CACHE = f"{SPEED_PREFIX}cache"
_KERNEL = f"{SPEED_PREFIX}attention version"
_MATMUL = f"{SPEED_PREFIX}matmul version"
_ON = "on"


@dataclass(frozen=True, slots=True)
class SpeedOptions:
    """How a denoiser computes, over the same weights.

    Attributes:
        compiled: Its repeated blocks are compiled by torch.compile.
        fused: Attention's projections of one input are one layer.
        channels_last: Convolutions' weights lie in memory with the channels last.
        attention: One of `ATTENTIONS`.
        prompts: One of `PROMPTS`.
        matmul: One of `MATMULS`.
    """

    compiled: bool = False
    fused: bool = False
    channels_last: bool = False
    attention: str = AUTO
    prompts: str = TOGETHER
    matmul: str = AUTO

    @property
    def is_plain(self) -> bool:
        """Whether nothing is asked for."""
        return self == SpeedOptions()


@dataclass(frozen=True, slots=True)
class FirstBlock:
    """Where the first block does nearly what it did, what the others added is added again.

    Attributes:
        threshold: Relative change of what the first block adds, above which all is computed.
    """

    threshold: float = 0.1


@dataclass(frozen=True, slots=True)
class Magnitude:
    """Steps are left out where the model's outputs are known to change little in size (MagCache).

    Attributes:
        threshold: Error that may add up.
        most: Steps in a row that may be left out.
        retained: Part of the sampling, from its start, in which all is computed.
        ratios: Of the sizes of each step's residual to the one before, over a whole sampling;
            empty for those that diffusers has for the family.
    """

    threshold: float = 0.06
    most: int = 3
    retained: float = 0.2
    ratios: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Taylor:
    """Between full steps, outputs of attention are continued by their differences (TaylorSeer).

    Attributes:
        interval: Of so many calls of the network, one is computed in full.
        warm_up: Calls at the start that are.
        order: Of the highest difference.
        lite: Only the network's last layer is continued, and all blocks are left out.
    """

    interval: int = 3
    warm_up: int = 4
    order: int = 1
    lite: bool = False


@dataclass(frozen=True, slots=True)
class Broadcast:
    """Attention's outputs are used for several steps (Pyramid Attention Broadcast).

    Attributes:
        own, cross: Calls that one output of self-attention, of cross-attention, is used for.
        noisiest, cleanest: Where outputs are used again, as parts of the training timesteps.
    """

    own: int = 2
    cross: int = 3
    noisiest: float = 0.8
    cleanest: float = 0.1


DEVICE, HOST = "device", "host"
MEMORIES = (DEVICE, HOST)
"""Which memory keeps keys and values between the steps."""


@dataclass(frozen=True, slots=True)
class KeyValues:
    """Keys and values of prompts and reference images are computed once for a sampling.

    Attributes:
        memory: One of `MEMORIES`.
    """

    memory: str = DEVICE


StepCaching = FirstBlock | Magnitude | Taylor | Broadcast | KeyValues
_KINDS: dict[str, type[StepCaching]] = {
    "first_block": FirstBlock,
    "mag": Magnitude,
    "taylorseer": Taylor,
    "broadcast": Broadcast,
    "key_values": KeyValues,
}
_RANGES: dict[str, tuple[float, float]] = {
    "FirstBlock.threshold": (0, 10),
    "Magnitude.threshold": (0, 10),
    "Magnitude.most": (1, 100),
    "Magnitude.retained": (0, 1),
    "Taylor.interval": (2, 100),
    "Taylor.warm_up": (1, 1000),
    "Taylor.order": (0, 4),
    "Broadcast.own": (1, 100),
    "Broadcast.cross": (1, 100),
    "Broadcast.noisiest": (0, 1),
    "Broadcast.cleanest": (0, 1),
}
AnyModel = TypeVar("AnyModel", bound=Recipe)


def cache_name(caching: StepCaching) -> str:
    """What a step cache is called in recipes."""
    return next(name for name, kind in _KINDS.items() if isinstance(caching, kind))


def check_caching(caching: StepCaching) -> None:
    """Refuse numbers out of range.

    Raises:
        InvalidValue: On the port of that name.
    """
    for name, value in _numbers(caching).items():
        low, high = _RANGES.get(f"{type(caching).__name__}.{name}", (-math.inf, math.inf))
        if not low <= value <= high:
            raise InvalidValue(
                f"{name} is out of range", port=name, given=str(value), expected=f"{low} to {high}"
            )
    if isinstance(caching, Broadcast) and caching.cleanest >= caching.noisiest:
        raise InvalidValue(
            "cleanest must be below noisiest", port="cleanest", given=str(caching.cleanest)
        )
    if isinstance(caching, KeyValues) and caching.memory not in MEMORIES:
        raise InvalidValue(
            "there is no such memory",
            port="memory",
            given=caching.memory,
            expected=", ".join(MEMORIES),
        )
    if isinstance(caching, Magnitude) and not all(
        math.isfinite(item) and item > 0 for item in caching.ratios
    ):
        raise InvalidValue("ratios must be numbers above 0", port="ratios")


def _numbers(caching: StepCaching) -> dict[str, float]:
    values = {item.name: getattr(caching, item.name) for item in fields(caching)}
    return {name: value for name, value in values.items() if isinstance(value, (int, float))}


def parse_ratios(text: str) -> tuple[float, ...]:
    """Numbers, divided by commas or spaces, as diffusers prints them when it calibrates MagCache.

    Raises:
        InvalidValue: On the port ``ratios``: there is something else.
    """
    words = text.strip().strip("[]").replace(",", " ").split()
    try:
        return tuple(float(word) for word in words)
    except ValueError:
        raise InvalidValue(
            "these are not numbers",
            port="ratios",
            given=text[:60],
            expected="for example 1.0, 1.21, …",
        ) from None


def kernel_version(attention: str) -> str:
    """The installed version of the package that a backend's kernel comes from; empty if there is
    none."""
    try:
        return version(KERNEL_PACKAGES[attention]) if attention in KERNEL_PACKAGES else ""
    except PackageNotFoundError:
        return ""


def matmul_version(matmul: str) -> str:
    """The installed version of the package that multiplies quantized weights; empty if there is
    none."""
    try:
        return version(TORCHAO) if matmul == TORCHAO else ""
    except PackageNotFoundError:
        return ""


def usable_attention(attention: str) -> str:
    """A backend, or ``auto`` in place of one whose package is not installed."""
    return AUTO if attention in KERNEL_PACKAGES and not kernel_version(attention) else attention


def with_speed(recipe: AnyModel, speed: SpeedOptions) -> AnyModel:
    """A recipe with these speed options in place of others; its step cache stays.

    It notes the version of a kernel's package, as another one may compute other bits.
    """
    chosen = {
        f"{SPEED_PREFIX}{name}": value if isinstance(value, str) else _ON
        for name, value in ((item.name, getattr(speed, item.name)) for item in fields(speed))
        if value not in (False, AUTO, TOGETHER)
    }
    if kernel := kernel_version(speed.attention):
        chosen[_KERNEL] = kernel
    if release := matmul_version(speed.matmul):
        chosen[_MATMUL] = release
    names = [f"{SPEED_PREFIX}{item.name}" for item in fields(speed)]
    return _with(recipe, chosen, [*names, _KERNEL, _MATMUL])


def with_caching(recipe: AnyModel, caching: StepCaching) -> AnyModel:
    """A recipe with a step cache.

    Raises:
        InvalidValue: It has one.
    """
    check_caching(caching)
    before = find_step_cache(recipe)
    if before is not None:
        raise InvalidValue(
            f"the model already has a step cache: {cache_name(before)}",
            port="model",
            hint="Use one step cache only: remove one of the nodes.",
        )
    values = {item.name: getattr(caching, item.name) for item in fields(caching)}
    chosen = {f"{_CACHE}.{name}": _text(value) for name, value in values.items()}
    return _with(recipe, {_CACHE: cache_name(caching), **chosen}, [])


def read_speed_options(recipe: Recipe) -> SpeedOptions:
    """How a recipe's denoiser is to compute."""
    return SpeedOptions(
        compiled=bool(recipe.option(f"{SPEED_PREFIX}compiled")),
        fused=bool(recipe.option(f"{SPEED_PREFIX}fused")),
        channels_last=bool(recipe.option(f"{SPEED_PREFIX}channels_last")),
        attention=recipe.option(f"{SPEED_PREFIX}attention", AUTO),
        prompts=recipe.option(f"{SPEED_PREFIX}prompts", TOGETHER),
        matmul=recipe.option(f"{SPEED_PREFIX}matmul", AUTO),
    )


def find_step_cache(recipe: Recipe) -> StepCaching | None:
    """The step cache of a recipe."""
    name = recipe.option(_CACHE)
    if not name:
        return None
    kind: Any = _KINDS[name]
    plain = kind()
    values = {
        item.name: _value(recipe.option(f"{_CACHE}.{item.name}"), getattr(plain, item.name))
        for item in fields(kind)
    }
    caching: StepCaching = kind(**values)
    return caching


def speed_text(recipe: Recipe) -> str:
    """All speed options of a recipe in one line; empty where there are none.

    What is said in JSON isn't among them: it tells how a model is sampled, not how it computes.
    """
    phrases = [
        name.removeprefix(SPEED_PREFIX)
        if value == _ON
        else f"{name.removeprefix(SPEED_PREFIX)} {value}"
        for name, value in recipe.options
        if name.startswith(SPEED_PREFIX) and value and not value.startswith("{")
    ]
    return ", ".join(phrases)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return _ON if value else ""
    if isinstance(value, str):
        return value
    return " ".join(map(repr, value)) if isinstance(value, tuple) else repr(value)


def _value(text: str, like: object) -> object:
    if isinstance(like, bool):
        return text == _ON
    if isinstance(like, tuple):
        return tuple(float(word) for word in text.split())
    return type(like)(text)  # type: ignore[call-arg]


def with_option(recipe: AnyModel, name: str, value: str) -> AnyModel:
    """A recipe with an option, in place of one of this name."""
    return _with(recipe, {name: value}, [])


def _with(recipe: AnyModel, chosen: dict[str, str], dropped: list[str]) -> AnyModel:
    kept = {name: value for name, value in recipe.options if name not in dropped}
    return replace(recipe, options=tuple(sorted((kept | chosen).items())))
