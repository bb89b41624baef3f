"""A file applies in full, whatever its layers are called, and changes what it should."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from nodegraph.models.adapters.adapter_files import read_adapter
from nodegraph.models.adapters.layer_changes import layers_of
from nodegraph.models.adapters.layer_matching import match, originals
from nodegraph.models.derived_components import FUSED, adapt_modules
from nodegraph.training.trained_weights import kohya_names

from . import files
from .denoisers import DENOISERS, build
from .files import ALPHA, RANK, Pairs

pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed`:FutureWarning")  # Chroma

Writer = Callable[[Pairs, str], dict[str, Tensor]]

_Layout = tuple[Writer, str, bool]
LAYOUTS: dict[str, _Layout] = {
    "diffusers": (files.peft_file, "transformer.", False),
    "kohya on diffusers": (files.flat_file, "lora_unet_", False),
    "original, peft's matrices": (files.peft_file, "diffusion_model.", True),
    "original, kohya's matrices": (files.dotted_file, "diffusion_model.", True),
    "kohya on the original": (files.flat_file, "lora_unet_", True),
}
"""Who writes it, what its names begin with, and whether they are the original ones."""
RARE_LAYOUTS: dict[str, _Layout] = {
    "peft": (files.peft_file, "base_model.model.", False),
    "onetrainer": (files.flat_file, "lora_transformer_", False),
    "lycoris": (files.flat_file, "lycoris_", False),
    "original, bare": (files.peft_file, "", True),
    "original, whole name": (files.dotted_file, "model.diffusion_model.", True),
}


@lru_cache(maxsize=1)
def denoiser(name: str) -> nn.Module:
    torch.manual_seed(0)
    return build(name)


def _is_quick(name: str, layout: str) -> bool:
    """Whether a plain run takes it: all layouts of some models, and one of each other."""
    turn = list(DENOISERS).index(name) % len(LAYOUTS)
    return name in QUICK or list(LAYOUTS)[turn] == layout


QUICK = ("sd1", "flux", "wan")
CASES = [
    pytest.param(name, layout, marks=() if _is_quick(name, layout) else pytest.mark.slow)
    for name in DENOISERS
    for layout in LAYOUTS
]


@pytest.mark.parametrize(("name", "layout"), CASES)
def test_every_layer_takes_its_change(name: str, layout: str, tmp_path: Path) -> None:
    _check(denoiser(name), LAYOUTS[layout], tmp_path / "lora.safetensors")


@pytest.mark.parametrize("layout", RARE_LAYOUTS)
def test_so_it_does_by_rarer_names(layout: str, tmp_path: Path) -> None:
    _check(build("z_image"), RARE_LAYOUTS[layout], tmp_path / "lora.safetensors")


def test_what_was_taught_on_a_unet_is_written_as_kohya_does() -> None:
    pairs = files.own_pairs(denoiser("sd1"))
    encoder = {"a.b": (torch.ones(RANK, 3), torch.ones(4, RANK))}
    taught = files.peft_file(pairs, "unet.") | files.peft_file(encoder, "text_encoder.")
    written = kohya_names(save(taught, metadata={"about": "a fox"}))
    assert written is not None
    assert b"a fox" in written
    found = load(written)
    expected = files.flat_file(pairs, "lora_unet_") | files.flat_file(encoder, "lora_te_")
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        # The product is scaled already.
        wanted = torch.tensor(float(RANK)) if name.endswith("alpha") else expected[name]
        assert torch.equal(tensor, wanted), name

    second = {"a.b": (torch.ones(RANK, 3), torch.ones(4, RANK))}
    two = kohya_names(save(taught | files.peft_file(second, "text_encoder_2.")))
    assert {"lora_te1", "lora_te2"} <= {name.partition("_a_")[0] for name in load(two or b"")}
    assert kohya_names(save(files.peft_file(pairs, "transformer."))) is None


def _check(denoiser: nn.Module, layout: _Layout, path: Path) -> None:
    """A file with a change for every layer changes each weight by what it says."""
    write, prefix, is_original = layout
    pairs = files.original_pairs(denoiser) if is_original else files.own_pairs(denoiser)
    if write is files.flat_file:
        # A layer may go by two names, and underscores for points make them the same.
        pairs = dict({name.replace(".", "_"): (name, pairs[name]) for name in pairs}.values())
    name = "unet" if "UNet" in type(denoiser).__name__ else "transformer"
    files.saved(write(pairs, f"{name}." if prefix == "transformer." else prefix), path)

    matched = match(read_adapter(path).parts, {name: layers_of(denoiser)})
    assert (len(matched.applied), matched.total) == (len(pairs), len(pairs))

    scale = 1.0 if write is files.peft_file else ALPHA / RANK
    expected = _expected(denoiser, pairs, scale, is_original=is_original)
    fused = adapt_modules({name: denoiser}, [files.adapter(path, kind=FUSED)], dtype="float32")[
        name
    ]
    for layer, weight in expected.items():
        torch.testing.assert_close(fused.get_parameter(f"{layer}.weight"), weight, msg=layer)


def _expected(
    module: nn.Module, pairs: Pairs, scale: float, *, is_original: bool
) -> dict[str, Tensor]:
    """The weights that the layers should have."""
    changes = {
        name: (up.flatten(1) @ down.flatten(1)) * scale for name, (down, up) in pairs.items()
    }
    layers = layers_of(module)
    weights = {path: module.get_parameter(f"{path}.weight").clone() for path in layers.shapes}
    for path in layers.shapes.keys() & changes.keys():
        weights[path] += changes[path].reshape(weights[path].shape)
    if is_original:
        # A layer that goes by two names takes the changes of both.
        for name, parts in originals(layers.kind, layers.shapes).items():
            for part in parts if name in changes and name not in layers.shapes else ():
                spans = part.spans or ((0, part.rows),)
                change = torch.cat([changes[name][begin:end] for begin, end in spans])
                weights[part.path] += change.reshape(weights[part.path].shape)
    return weights
