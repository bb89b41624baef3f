"""Single files are read as diffusers' `from_single_file` converts them: the same tensors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import diffusers
import pytest
import torch
from diffusers.loaders.single_file_model import SINGLE_FILE_LOADABLE_CLASSES
from torch import Tensor, nn

from nodegraph.families.checkpoint_parts import checkpoint_part
from nodegraph.families.registry import FAMILIES, get_latent_format
from nodegraph.weights.single_files.base import FileLayout
from tests.diffusion.families.test_published_files import PUBLISHED
from tests.diffusion.test_vae_layouts import BUILDS, built

from .models import SMALL
from .originals import WRITERS

Tensors = dict[str, Tensor]

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

LAYOUTS: Mapping[str, FileLayout] = {
    layout.name: layout
    for family in FAMILIES.values()
    for part in family.denoisers
    for layout in part.files
}


def original_file(module: nn.Module, write: Callable[[Mapping[str, Tensor]], Tensors]) -> Tensors:
    """A published model's file in its original names and true sizes.

    diffusers' converters have widths written in. They move and split rows, so that all columns of a
    tensor are one here, in a thousandth of the memory.
    """
    generator = torch.Generator().manual_seed(0)
    state = module.state_dict()
    narrow = {
        name: torch.rand((*item.shape[:1], *(1 for _ in item.shape[1:])), generator=generator)
        for name, item in state.items()
    }
    shapes = {name: item.shape for name, item in write(state).items()}
    return {name: item.expand(shapes[name]) for name, item in write(narrow).items()}


def shapes_of(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(item.shape) for name, item in tensors.items()}


def convert_by_diffusers(kind: str, tensors: Tensors, config: Any) -> Tensors:
    """As `from_single_file` of that class does."""
    convert: Callable[..., Tensors] = SINGLE_FILE_LOADABLE_CLASSES[kind]["checkpoint_mapping_fn"]
    return convert(checkpoint=dict(tensors), config=config)


def assert_equal(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert shapes_of(found) == shapes_of(expected)
    different = [
        name
        for name, item in expected.items()
        if not torch.equal(first_column(found[name]), first_column(item))
    ]
    assert not different


def first_column(tensor: Tensor) -> Tensor:
    return tensor.permute(*range(1, tensor.ndim), 0)[(0,) * (tensor.ndim - 1)]


DROPPED = {"sana-1.5"}
"""diffusers' converter of Sana leaves out the norms of queries and keys, which only 1.5 has."""
KNOWN = [
    name
    for name, small in SMALL.items()
    if small.kind in SINGLE_FILE_LOADABLE_CLASSES and name not in DROPPED
]
FEW = {"num_layers": 3, "num_single_layers": 2}
"""Blocks are alike, and diffusers' converters count them."""


@pytest.mark.parametrize("name", KNOWN)
def test_a_published_diffusion_model(name: str) -> None:
    small = SMALL[name]
    module = small.on_meta()
    tensors = original_file(module, WRITERS[small.writer])
    if name.startswith("sana"):
        # What diffusers' converter removes has to be there.
        tensors |= {"pos_embed": torch.zeros(1), "y_embedder.y_embedding": torch.zeros(1)}
    layout = LAYOUTS[small.layout]
    found = layout.convert(tensors, layout.config(shapes_of(tensors)))
    expected = convert_by_diffusers(small.kind, tensors, module.config)
    # The kernels of Wan Animate's blurs are fixed numbers, which its converter passes on.
    assert_equal(found, {k: item for k, item in expected.items() if not k.endswith(".kernel")})


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_model_of_two_streams(name: str) -> None:
    family, kind, write, config = PUBLISHED[name]
    config = {**config, **{key: FEW[key] for key in FEW.keys() & config.keys()}}
    if "dual_attention_layers" in config:
        config["dual_attention_layers"] = (0, 1)
    with torch.device("meta"):
        module: Any = getattr(diffusers, kind)(**config)
    part = FAMILIES[family].denoisers[0]
    tensors = original_file(module, write)
    found = checkpoint_part(part, shapes_of(tensors), "").convert(tensors)
    assert_equal(found, convert_by_diffusers(kind, tensors, module.config))


VAES = {
    "wan": "AutoencoderKLWan",
    "qwen-image": "AutoencoderKLWan",
    "ltx 0.9.0": "AutoencoderKLLTXVideo",
    "ltx 0.9.1": "AutoencoderKLLTXVideo",
    "ltx 0.9.5": "AutoencoderKLLTXVideo",
    "sana": "AutoencoderDC",
}


@pytest.mark.parametrize("name", VAES)
def test_a_vae(name: str) -> None:
    latents, _, write = BUILDS[name]
    tensors = write(built(name))
    if name == "ltx 0.9.5":
        # The width by which diffusers tells it.
        last = "encoder.conv_out.conv.weight"
        tensors[last] = tensors[last][:, :1].expand(-1, 2048, -1, -1, -1)
    layout = next(
        item for item in get_latent_format(latents).files if item.matches(shapes_of(tensors))
    )
    found = layout.convert(tensors, layout.config(shapes_of(tensors)))
    prefix = "vae." if name.startswith("ltx") else ""
    named = {f"{prefix}{key}": item for key, item in tensors.items()}
    expected = convert_by_diffusers(VAES[name], named, built(name).config)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], item) for key, item in expected.items())
