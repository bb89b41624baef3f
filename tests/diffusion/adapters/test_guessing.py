"""What a file seems to be for is told by names and widths, and never wrongly refused."""

from __future__ import annotations

import pytest

from nodegraph.families.registry import FAMILIES
from nodegraph.models.adapters.adapter_files import guess_target, may_fit
from nodegraph.models.adapters.layer_changes import layers_of
from nodegraph.models.adapters.tensor_names import LayerParts

from . import files
from .denoisers import DENOISERS, on_meta

pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed`:FutureWarning")  # Chroma


def _parts(names: list[str], width: int = 8) -> dict[str, LayerParts]:
    shapes = {"down": (2, width), "up": (8, 2)}
    return {name: LayerParts(dict.fromkeys(shapes, name), shapes) for name in names}


@pytest.mark.parametrize("denoiser", DENOISERS)
def test_no_file_is_taken_for_one_of_another_kind(denoiser: str) -> None:
    module = on_meta(denoiser)
    kind = type(module).__name__
    own = [f"transformer.{name}" for name in layers_of(module).shapes]
    with_underscores = [
        "lora_unet_" + name.replace(".", "_") for name in files.original_names(module)
    ]
    for names in (own, with_underscores, *([name] for name in own + with_underscores)):
        found = guess_target(_parts(names))
        assert found is None or may_fit(found, "?", [kind]), (names, found)


@pytest.mark.parametrize(
    ("width", "families"),
    [
        (768, {"sd1"}),
        (1024, {"sd2"}),
        (1280, {"sdxl-refiner"}),
        # Their attention is equally wide.
        (2048, {"sdxl", "kolors"}),
    ],
)
def test_unets_are_told_apart_by_the_width_of_their_text(width: int, families: set[str]) -> None:
    stem = "lora_unet_down_blocks_1_attentions_0_transformer_blocks_0_attn2_to_k"
    found = guess_target(_parts([stem], width))
    assert found is not None
    unets = [name for name in FAMILIES if "UNet" in FAMILIES[name].denoisers[0].classes[0]]
    fits = {name for name in unets if may_fit(found, name, FAMILIES[name].denoisers[0].classes)}
    assert fits == families


def test_a_family_that_a_package_brings_is_none_of_ours() -> None:
    found = guess_target(_parts(["lora_unet_joint_blocks_0_x_block_attn_qkv"]))
    assert found is not None
    assert may_fit(found, "theirs", ["TheirTransformer"])
    assert not may_fit(found, "flux", ["FluxTransformer2DModel"])
