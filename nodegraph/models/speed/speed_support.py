"""Speed options each network supports, checks of them, torch.compile for blocks, and FreeU.

Imports no torch.
"""

from __future__ import annotations

import copyreg
import importlib.util
import os
import pkgutil
import shutil
import sys
import sysconfig
from collections.abc import Callable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from nodegraph.core.recipe_options import SPEED_PREFIX
from nodegraph.core.values import DiffusionModel, Recipe, TextEncoder
from nodegraph.errors import InvalidValue
from nodegraph.families.base import Family
from nodegraph.families.key_values import KEY_VALUES
from nodegraph.families.registry import FAMILIES
from nodegraph.families.speed_options import (
    ATTENTIONS,
    AUTO,
    CUDA_ONLY,
    FASTEST,
    MATMULS,
    PROMPTS,
    TORCHAO,
    AnyModel,
    Magnitude,
    SpeedOptions,
    StepCaching,
    Taylor,
    cache_name,
    check_caching,
    find_step_cache,
    matmul_version,
    read_speed_options,
    with_option,
)
from nodegraph.models.adapters.adapter_files import FUSED, INVERSION, MIXED_MODEL
from nodegraph.weights.precision.storage import FLOAT8, INT4, INT8, STORED, UINT4, recipe_storage

_SHAPES = 64
"""Sizes that one kind of block may be compiled for in a process, before it computes as ever."""


def compile_blocks(module: Any) -> None:
    """Compile a network's repeated blocks, in place; each size of inputs by itself, at its first
    use.

    What was compiled is found again for others of the same blocks.
    """
    import torch
    import torch._dynamo.config as dynamo

    # Else pickle names the first module that has an attribute `torch`. That differs by process, and
    # with it the keys of what was compiled.
    copyreg.pickle(torch.memory_format, _memory_format_name)
    dynamo.recompile_limit = max(dynamo.recompile_limit, _SHAPES)
    # For one size at a time: else it would depend on the sizes before which kernels compute, and
    # with them the last bits.
    if getattr(module, "_repeated_blocks", None):
        module.compile_repeated_blocks(dynamic=False)
        return
    for block in _blocks(module):
        block.compile(dynamic=False)


def _memory_format_name(value: object) -> tuple[Callable[[str], Any], tuple[str]]:
    return pkgutil.resolve_name, (str(value).replace("torch.", "torch:"),)


def _blocks(module: Any) -> list[Any]:
    from torch import nn

    lists = [child for child in module.children() if isinstance(child, nn.ModuleList)]
    return [block for blocks in lists for block in blocks]


def missing_compiler(device: str) -> str | None:
    """What torch.compile lacks to compile for a device, in words; None if nothing is known to."""
    if sys.platform == "win32" and not device.startswith("cuda"):
        return None  # Which compiler there is, torch finds in many places.
    if device.startswith("cuda"):
        return None if importlib.util.find_spec("triton") else "the package triton"
    if device == "cpu":
        compilers = (os.environ.get("CXX") or "g++", "clang++")
        if not any(map(shutil.which, compilers)):
            return "a C++ compiler (g++ or clang++)"
        if not (Path(sysconfig.get_paths()["include"]) / "Python.h").is_file():
            return "Python's header files (Python.h)"
    return None


CACHE_TITLES = {
    "first_block": "first-block caching",
    "mag": "MagCache",
    "taylorseer": "TaylorSeer",
    "lite": "TaylorSeer's lite mode",
    "broadcast": "attention broadcast",
    "key_values": "a key-value cache",
    "fused": "fused projections",
    "channels_last": "channels-last weights",
}
_PORTS = {"lite": "lite", "fused": "fused_projections", "channels_last": "channels_last"}


def check_supported(family: Family, ability: str) -> None:
    """Refuse what a family's network can't be sped up by.

    Raises:
        InvalidValue: So it is.
    """
    if ability in family.speedups:
        return
    others = ", ".join(title for name, title in CACHE_TITLES.items() if name in family.speedups)
    raise InvalidValue(
        f"{family.title} does not support {CACHE_TITLES[ability]}: {_reason(ability)}",
        port=_PORTS.get(ability, "model"),
        expected=f"one of these: {others}" if others else None,
    )


def _reason(ability: str) -> str:
    if ability == "channels_last":
        return "it has almost no convolutions"
    if ability == "fused":
        return "its class in diffusers does not fuse them"
    if ability == KEY_VALUES:
        able = [family.title for family in FAMILIES.values() if KEY_VALUES in family.speedups]
        return f"only {' and '.join(able)} do"
    return "the hooks of diffusers do not fit the blocks of its network"


def check_step_cache(family: Family, caching: StepCaching) -> None:
    """Refuse a step cache whose numbers are out of range, or that doesn't fit a family.

    Raises:
        InvalidValue: So it is.
    """
    check_caching(caching)
    check_supported(family, cache_name(caching))
    if isinstance(caching, Taylor) and caching.lite:
        check_supported(family, "lite")
    if isinstance(caching, Magnitude) and not caching.ratios and not family.has_mag_ratios:
        raise InvalidValue(
            f"MagCache needs ratios measured with {family.title}, and diffusers has only "
            "those of Flux.1",
            port="ratios",
            expected="the numbers that diffusers prints with MagCacheConfig(calibrate=True)",
        )


def check_speed(family: Family | None, speed: SpeedOptions, device: str) -> None:
    """Refuse options that a family's network or a device can't do.

    Args:
        family: None where it isn't known yet.
        device: Such as ``cpu`` or ``cuda:0``.
    Raises:
        InvalidValue: So it is.
    """
    for ability in ("fused", "channels_last"):
        if family is not None and getattr(speed, ability):
            check_supported(family, ability)
    if speed.attention not in ATTENTIONS:
        raise InvalidValue(
            "there is no such attention backend",
            port="attention",
            given=speed.attention,
            expected=", ".join(ATTENTIONS),
        )
    if speed.attention in CUDA_ONLY and not device.startswith("cuda"):
        raise InvalidValue(
            f"torch has this kernel on CUDA only, and the device is {device}",
            port="attention",
            given=speed.attention,
            expected="auto, math or sliced",
        )
    if speed.prompts not in PROMPTS:
        raise InvalidValue(
            "there is no such way to evaluate prompts",
            port="prompts",
            given=speed.prompts,
            expected=", ".join(PROMPTS),
        )
    _check_matmul(speed, device)
    if speed.compiled:
        _check_compiled(speed, device)


def _check_matmul(speed: SpeedOptions, device: str) -> None:
    if speed.matmul not in MATMULS:
        raise InvalidValue(
            "there is no such way to multiply quantized weights",
            port="matmul",
            given=speed.matmul,
            expected=", ".join(MATMULS),
        )
    if speed.matmul != TORCHAO:
        return
    if not matmul_version(TORCHAO):
        raise InvalidValue(
            "the package torchao is not installed",
            port="matmul",
            given=TORCHAO,
            hint="Install it: pip install 'nodegraph[torchao]'. Or set matmul to auto.",
        )
    if device.partition(":")[0] not in ("cpu", "cuda"):
        raise InvalidValue(
            f"torchao multiplies on a CPU or on CUDA, and the device is {device}",
            port="matmul",
            given=TORCHAO,
            expected="auto",
        )
    if speed.compiled:
        raise InvalidValue(
            "torchao's products cannot be compiled here",
            port="compiled",
            given="on",
            expected="off, or matmul auto",
        )


_CAPABILITIES = {FLOAT8: (8, 9), UINT4: (8, 0)}
"""Of a CUDA device that multiplies weights in a storage."""


def _check_matmul_weights(recipe: DiffusionModel, device: str) -> None:
    """Refuse weights that torchao does not multiply on a device."""
    storage = recipe_storage(recipe)
    if storage not in (FLOAT8, INT8, UINT4, STORED):
        raise InvalidValue(
            "torchao multiplies weights that are stored in int8, float8 or uint4",
            port="matmul",
            given=f"a model with storage {storage or 'full'}",
            expected="storage int8, float8 or uint4 in the node that loads the model",
            hint="Its int4 kernels need evenly spaced levels, which NF4 does not have: use uint4."
            if storage == INT4
            else None,
        )
    if storage == UINT4 and recipe.dtype != "bfloat16":
        raise InvalidValue(
            "torchao multiplies int4 weights by inputs in bfloat16 only",
            port="matmul",
            given=f"a model in {recipe.dtype}",
            expected="dtype bfloat16, or storage int8",
        )
    if storage not in _CAPABILITIES or not device.startswith("cuda"):
        return
    import torch

    if recipe.dtype != "bfloat16":
        raise InvalidValue(
            "float8 is multiplied on CUDA in bfloat16 only",
            port="matmul",
            given=f"a model in {recipe.dtype}",
            expected="dtype bfloat16, or storage int8",
        )
    least = _CAPABILITIES[storage]
    if torch.cuda.get_device_capability(device) < least:
        raise InvalidValue(
            f"the device {device} does not multiply in {storage}",
            port="matmul",
            given=torch.cuda.get_device_name(device),
            expected=f"compute capability {least[0]}.{least[1]} or higher, or storage int8",
        )


def _check_compiled(speed: SpeedOptions, device: str) -> None:
    if speed.attention != AUTO:
        raise InvalidValue(
            "compiled models choose their attention kernels themselves",
            port="attention",
            given=speed.attention,
            expected="auto, or a model that is not compiled",
        )
    missing = missing_compiler(device)
    if missing is not None:
        raise InvalidValue(
            f"torch.compile needs {missing}, which was not found",
            port="compiled",
            given="on",
            hint="Install it, or leave compiled off.",
        )


def check_recipe(recipe: DiffusionModel, device: str) -> None:
    """Refuse a recipe whose speed options don't go with its family, weights or adapters.

    Raises:
        InvalidValue: So it is.
    """
    speed, caching, family = (
        read_speed_options(recipe),
        find_step_cache(recipe),
        FAMILIES.get(recipe.family),
    )
    check_speed(family, speed, device)
    if family is not None and caching is not None:
        check_step_cache(family, caching)
    for name in ("fused", "channels_last"):
        if getattr(speed, name) and recipe_storage(recipe):
            raise InvalidValue(
                f"{CACHE_TITLES[name]} would expand quantized weights",
                port=_PORTS[name],
                expected="a model with storage full",
            )
    if speed.compiled and isinstance(caching, Magnitude):
        raise InvalidValue(
            "MagCache uses hooks that prevent its blocks from being compiled",
            port="model",
            expected="a model that is not compiled, or another step cache",
        )
    if speed.prompts == FASTEST and caching is not None:
        raise InvalidValue(
            "measuring how prompts are evaluated faster would change what a step cache keeps",
            port="model",
            given="prompts fastest and a step cache",
            expected="prompts together or separate, or a model without a step cache",
        )
    if speed.matmul == TORCHAO:
        _check_matmul_weights(recipe, device)
    check_fused(recipe)


def check_fused(recipe: Recipe) -> None:
    """Refuse fused projections of layers that adapters work beside: they would pass those by.

    Raises:
        InvalidValue: So it is.
    """
    if attention_factors(recipe) and read_speed_options(recipe).fused:
        raise InvalidValue(
            "fused projections cannot be scaled apart",
            port="model",
            hint="Leave `fused_projections` off in SpeedUp.",
        )
    unfused = [item for item in recipe.adapters if item.kind not in (FUSED, INVERSION, MIXED_MODEL)]
    if unfused and read_speed_options(recipe).fused:
        raise InvalidValue(
            "projections cannot be fused if a LoRA is not fused with the weights",
            port="model",
            given=unfused[0].source,
            hint="Turn `fused` on in LoadLora, or leave `fused_projections` off in SpeedUp.",
        )


# Factors of attention, and FreeU, which change how a network computes over the same weights

Version = Literal["v2", "v1", "diffusers"]
VERSIONS: tuple[str, ...] = get_args(Version)
MOST = 10.0
_OPTION = f"{SPEED_PREFIX}freeu"
_UNET = "UNet2DConditionModel"


@dataclass(frozen=True, slots=True)
class FreeUFactors:
    """How much of what a UNet's upward half is given counts: from below, and from across.

    Attributes:
        b1, b2: Factors of half of the features from below, in the deepest stage and the next.
        s1, s2: Factors of the low frequencies in the features from across, there.
        version: ``v2``: the factors b count where features are strong, and stages are told by
            their width; ``v1``: they count everywhere; ``diffusers``: so they do, and stages are
            the first two.
    Source: Si et al. 2023, arXiv:2309.11497, and their repository, ChenyangSi/FreeU.
    """

    b1: float = 1.3
    b2: float = 1.4
    s1: float = 0.9
    s2: float = 0.2
    version: str = "v2"


def with_freeu(recipe: DiffusionModel, freeu: FreeUFactors) -> DiffusionModel:
    """A recipe with FreeU, in place of one that it may have.

    Raises:
        InvalidValue: See `check_freeu`.
    """
    check_freeu(recipe.family, freeu)
    return with_option(recipe, _OPTION, " ".join(map(str, astuple(freeu))))


def freeu_of(recipe: object) -> FreeUFactors | None:
    """FreeU as a recipe has it; None without."""
    text = recipe.option(_OPTION) if isinstance(recipe, DiffusionModel) else ""
    if not text:
        return None
    *numbers, version = text.split()
    b1, b2, s1, s2 = map(float, numbers)
    return FreeUFactors(b1, b2, s1, s2, version)


def check_freeu(family: str | None, freeu: FreeUFactors) -> None:
    """Refuse what can't be.

    Args:
        family: None where it isn't known yet.
    Raises:
        InvalidValue: A number is out of range, there is no such version, or the model is no UNet.
    """
    for name in ("b1", "b2", "s1", "s2"):
        if not 0 <= getattr(freeu, name) <= MOST:
            strength = str(getattr(freeu, name))
            raise InvalidValue(
                f"{name} is out of range", port=name, given=strength, expected=f"0 to {MOST:g}"
            )
    if freeu.version not in VERSIONS:
        raise InvalidValue(
            "there is no such version",
            port="version",
            given=freeu.version,
            expected=", ".join(VERSIONS),
        )
    if freeu.version == "diffusers" and not all((freeu.b1, freeu.b2, freeu.s1, freeu.s2)):
        raise InvalidValue(
            "diffusers switches FreeU off entirely if a factor is 0",
            port="version",
            given=freeu.version,
            expected="v1 or v2, or factors above 0",
        )
    known = FAMILIES.get(family or "")
    if known is not None and _UNET not in known.denoisers[0].classes:
        raise InvalidValue(
            f"{known.title} is not a UNet, which FreeU needs",
            port="model",
            expected="Stable Diffusion 1, 2 or XL",
        )


_FACTORS = f"{SPEED_PREFIX}attention_factors."
AttentionFactors = tuple[float, float, float, float]
"""Factors of the query, key, value and output projections of attention."""
LAYERS = ("self", "cross")
"""Layers that factors are for: self-attention, and cross-attention with the prompt."""


def with_attention_factors(
    recipe: AnyModel, factors: AttentionFactors, layers: str = "self"
) -> AnyModel:
    """Scale the attention of a recipe's networks, in addition to earlier factors.

    Args:
        recipe: A UNet, or text encoders with CLIP.
        layers: One of `LAYERS`.
    Raises:
        InvalidValue: See `check_attention_factors`.
    """
    check_attention_factors(recipe.family, is_encoder=isinstance(recipe, TextEncoder))
    before = attention_factors(recipe).get(layers, (1.0, 1.0, 1.0, 1.0))
    product = [old * new for old, new in zip(before, factors, strict=True)]
    scaled = with_option(recipe, f"{_FACTORS}{layers}", " ".join(map(str, product)))
    check_fused(scaled)
    return scaled


def attention_factors(recipe: Recipe) -> dict[str, AttentionFactors]:
    """Return the factors of a recipe, by the layers that they are for."""
    factors: dict[str, AttentionFactors] = {}
    for layers in LAYERS:
        if text := recipe.option(f"{_FACTORS}{layers}"):
            query, key, value, output = map(float, text.split())
            factors[layers] = query, key, value, output
    return factors


def check_attention_factors(family: str | None, *, is_encoder: bool = False) -> None:
    """Refuse networks whose attention cannot be scaled.

    Args:
        family: Name of the family; None if it is not known yet.
        is_encoder: Whether its text encoders are scaled, not its UNet.
    Raises:
        InvalidValue: The network is no UNet, or the text encoder has no CLIP.
    """
    known = FAMILIES.get(family or "")
    if known is None:
        return
    if is_encoder and not known.clip_layer:
        raise InvalidValue(
            f"the prompts of {known.title} are not taken from CLIP, whose attention is scaled",
            port="encoder",
            expected="a text encoder of Stable Diffusion",
        )
    if not is_encoder and _UNET not in known.denoisers[0].classes:
        raise InvalidValue(
            f"{known.title} is not a UNet, whose attention is scaled",
            port="model",
            expected="Stable Diffusion 1, 2 or XL",
        )
