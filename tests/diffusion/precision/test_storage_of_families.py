"""Models of each family with weights in few bits: numbers of a plain reference, and planned bytes.

The reference is a model whose weights were rounded by the formulas written here, as tensors of full
precision. Which layers are rounded, is decided as `diffusers.hooks.apply_layerwise_casting` does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers.hooks.layerwise_casting import DEFAULT_SKIP_MODULES_PATTERN
from nodegraph_nodes._sound_facts import music_size
from torch import Tensor, nn

from nodegraph.core.values import Latent, Recipe
from nodegraph.diffusion import FAMILIES, load_component, open_model
from nodegraph.families.building import library_class
from nodegraph.models.adapters.recipes import OpenedAdapter
from nodegraph.models.conditioning import encode_image_prompt
from nodegraph.models.derived_components import adapt_modules, derive
from nodegraph.residency import component_bytes
from nodegraph.weights.precision.module_quantization import iter_quantizable
from nodegraph.weights.precision.quantized_weights import NF4, quantized_shape
from nodegraph.weights.precision.storage import bytes_in_memory
from tests.accelerator.test_families import SIDE, as_it_is, conditioned
from tests.diffusion.adapters import files
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import PROMPT, Model, picture
from tests.diffusion.families.image_to_image import as_tensor
from tests.diffusion.families.test_stable_cascade import (
    SHOWN,
    following,
    stable_cascade,
    stable_cascade_decoder,
)
from tests.diffusion.families.tiny_models import TINY, TINY_SOLIDS, TINY_SOUND, Tiny

ModelOf = Callable[[Callable[[], Any]], Pair]

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning"),
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

STORAGES = ("float8", "int8", "int4")
STAGES = {
    "stable-cascade": Tiny(stable_cascade, "ddpm"),
    "stable-cascade-decoder": Tiny(stable_cascade_decoder, "ddpm"),
}
ALL = {**TINY, **TINY_SOUND, **TINY_SOLIDS, **STAGES}
QUICK = {("flux", "float8"), ("wan", "int8"), ("sana", "int4")}
CASES = [
    pytest.param(family, storage, marks=() if (family, storage) in QUICK else pytest.mark.slow)
    for family in ALL
    for storage in STORAGES
]
LIMIT = 448
"""The greatest number of float8."""
BLOCK, TABLE_BYTES = 64, 256 * 8
"""Numbers of a layer in int4 that share a factor, and the table of what its bytes stand for."""


def layers_to_round(module: Any, storage: str) -> Iterator[str]:
    """Paths of the layers that are kept in few bits."""
    patterns = [*DEFAULT_SKIP_MODULES_PATTERN]
    for name in ("_skip_layerwise_casting_patterns", "_keep_in_fp32_modules"):
        # Libraries have classes with the same attributes for other purposes.
        patterns += (getattr(module, name, None) or ()) if hasattr(module, "config_name") else ()
    shared = [id(item.weight) for item in module.modules() if hasattr(item, "weight")]

    def visit(layer: Any, path: str) -> Iterator[str]:
        if any(re.search(pattern, path) for pattern in patterns):
            return
        kinds = (nn.Linear,) if storage == "int4" else (nn.Linear, *CONVOLUTIONS)
        is_alone = isinstance(layer, kinds) and shared.count(id(layer.weight)) == 1
        if is_alone and (storage != "int4" or layer.weight.numel() % BLOCK == 0):
            yield path
        for name, child in layer.named_children():
            yield from visit(child, f"{path}.{name}" if path else name)

    yield from visit(module, "")


CONVOLUTIONS = (
    *(nn.Conv1d, nn.Conv2d, nn.Conv3d),
    *(nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
)


def rounded(weight: Tensor, storage: str) -> Tensor:
    """What is left of a weight in few bits, in float32."""
    if storage == "float8":
        return weight.to(torch.float8_e4m3fn).float()
    if storage == "int8":
        rows = weight.flatten(1)
        scale = (rows.abs().amax(1, keepdim=True) / 127.5).clamp(min=2.0**-23)
        whole = (rows * (1 / scale)).round().clamp(-128, 127)
        return (whole * scale).view_as(weight)
    levels = torch.tensor(NF4)
    blocks = weight.reshape(-1, BLOCK)
    largest = blocks.abs().amax(1, keepdim=True)
    shares = (blocks * (1 / largest.clamp(min=1e-38))).clamp(-1, 1)
    nearest = torch.bucketize(shares, (levels[1:] + levels[:-1]) / 2)
    return (levels[nearest] * largest).view_as(weight)


def packed_bytes(weight: Tensor, storage: str) -> int:
    """What the documented formats take for a weight."""
    count = weight.numel()
    extra = {
        "float8": 0,
        "int8": 4 * len(weight),
        "int4": 4 * count // BLOCK + TABLE_BYTES - count // 2,
    }
    return count + extra[storage]


def round_component(component: Any, storage: str) -> int:
    """Round the weights of a component in full precision, in place.

    Returns:
        Bytes that the formats spare.
    """
    spared = 0
    for module in component.modules.values():
        for path in [*layers_to_round(module, storage)]:
            layer: Any = module.get_submodule(path)
            parts = [item for item in (layer.weight, layer.bias) if item is not None]
            if storage == "float8":
                if any(bool(item.abs().max() > LIMIT) for item in parts):
                    continue
                if layer.bias is not None:
                    layer.bias = frozen(rounded(layer.bias, storage))
            spared += 4 * layer.weight.numel() - packed_bytes(layer.weight, storage)
            layer.weight = frozen(rounded(layer.weight, storage))
    return spared


def frozen(tensor: Tensor) -> nn.Parameter:
    return nn.Parameter(tensor, requires_grad=False)


def latents(model: Model, family: str) -> Tensor:
    """A sampling of one step, with all that the family needs."""
    tiny = ALL[family]
    options: dict[str, Any] = {"sampler": tiny.sampler, "cfg": 3.0, "steps": 1}
    width = height = SIDE
    if family in TINY_SOUND:
        width, height = music_size(family, 1.0)
        options["latent"] = Latent(None, width, height)
    elif family in TINY_SOLIDS:
        width = height = 1024
        options |= {"sampler": "heun", "schedule": "karras"}
        if family == "shap-e-image":
            drawn = as_tensor(picture(SIDE, SIDE))
            shown = encode_image_prompt(model.part("text_encoder"), drawn)
            model.encoded[PROMPT] = model.part("text_encoder"), shown
    elif family in STAGES:
        width, height = 168, 128
        options["change"] = as_it_is if family == "stable-cascade" else following(SHOWN[:1])
    else:
        # The first frame of this one is the image that it sees.
        frames = 5 if family == "hunyuan-video-i2v" else tiny.frames
        options |= {"frames": frames, "change": conditioned(model)}
    return model.make(width, height, **options).latents


def assert_equal(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 1e-4
    assert torch.equal(found, expected), (found - expected).abs().max()


@pytest.mark.parametrize(("family", "storage"), CASES)
def test_results_and_memory_are_those_of_the_rounded_weights(
    model_of: ModelOf,  # noqa: F811
    family: str,
    storage: str,
    tmp_path: Path,
) -> None:
    """Two thirds of the cases leave out LoRAs: each family has one with each kind of layer."""
    _, model = model_of(ALL[family].build)
    kept = open_model(str(model.folder), [], storage=storage, dtype="float32")
    full = open_model(str(model.folder), [], storage="full", dtype="float32")
    found, expected = Model(model.folder), Model(model.folder)
    for port in ("model", "text_encoder"):
        recipe: Recipe = getattr(kept, port)
        found.loaded[port] = load_component(recipe, "cpu")
        expected.loaded[port] = load_component(getattr(full, port), "cpu")
        before = component_bytes(expected.loaded[port])
        spared = round_component(expected.loaded[port], storage)
        assert component_bytes(found.loaded[port]) == before - spared
        assert any(map(quantized_shape, all_layers(found.loaded[port])))

    assert_equal(latents(found, family), latents(expected, family))

    turn = [*ALL].index(family) % len(STORAGES)
    if storage != STORAGES[turn]:
        return
    own = expected.loaded["model"].modules
    role = next(part.role for part in FAMILIES[family].denoisers if not part.conditioner)
    torch.manual_seed(0)
    pairs = files.peft_file(files.own_pairs(own[role]), "transformer.")
    lora = files.saved(pairs, tmp_path / "lora.safetensors")
    adapted = OpenedAdapter(lora).apply_to(kept.model, 0.7).recipe
    base = found.loaded["model"]
    found.loaded["model"] = derive(base, adapted)
    plain = latents(expected, family)
    modules = adapt_modules(own, adapted.adapters, dtype="float32")
    expected.loaded["model"] = replace(expected.loaded["model"], modules=modules)
    with_lora = latents(expected, family)
    assert not torch.equal(with_lora, plain)
    assert_equal(latents(found, family), with_lora)


def all_layers(component: Any) -> Iterator[nn.Module]:
    for module in component.modules.values():
        yield from module.modules()


def published_classes() -> list[str]:
    """Classes of denoisers and text encoders."""
    parts = [
        part
        for family in FAMILIES.values()
        if family.encoders
        for part in (*family.denoisers, *family.encoders)
    ]
    return list(dict.fromkeys(name for part in parts for name in part.classes))


WITHOUT_DEFAULTS = frozenset(
    {
        "ChatGLMModel",
        "HiDreamImageTransformer2DModel",
        "HunyuanDiT2DModel",
        "StableAudioProjectionModel",
        "T5GemmaEncoder",
        "T5GemmaEncoderModel",
    }
)
"""Classes of which nothing installed says the published widths."""
LOOSE = {"AceStepAudioTokenizer": 0.11, "AceStepAudioTokenDetokenizer": 0.11}
"""Small parts beside an encoder, of which a linear layer has the name of an embedding."""


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted({*published_classes()} - WITHOUT_DEFAULTS))
def test_plans_know_what_stays_at_the_widths_that_classes_have_by_default(name: str) -> None:
    """Most defaults are the widths of a published model."""
    kind = library_class(name)
    with torch.device("meta"):
        module = kind(kind.config_class()) if getattr(kind, "config_class", None) else kind()
    shapes = {path: tuple(item.shape) for path, item in module.named_parameters()}
    stored = [(path, shape, "BF16") for path, shape in shapes.items()]
    for storage, size in (("float8", 1.0), ("int8", 1.0), ("int4", 4.5 / 8)):
        narrow = {f"{path}.weight" for path, _ in iter_quantizable(module, storage)}
        held = sum(prod(shape) * (size if path in narrow else 2) for path, shape in shapes.items())
        planned = bytes_in_memory(stored, "bfloat16", storage)
        assert planned == pytest.approx(held, rel=LOOSE.get(name, 0.05)), storage
