"""ComfyUI's nodes of Stable Cascade become two samplings, the second following the first."""

from __future__ import annotations

import pytest

from nodegraph.families.stable_cascade import STAGE_C_LATENTS
from nodegraph.interop.comfyui.foreign_workflow import ForeignGraph, Source
from tests.compat.comfyui.supplied import imported, used
from tests.compat.comfyui.test_table_leading import chained, origin


def two_stages(width: int, height: int, compression: int) -> ForeignGraph:
    return chained(
        size=(
            "StableCascade_EmptyLatentImage",
            {"width": width, "height": height, "compression": compression, "batch_size": 2},
        ),
        first=("KSampler", {"latent_image": Source("size", 0), "sampler_name": "euler"}),
        follow=("StableCascade_StageB_Conditioning", {"stage_c": Source("first", 0)}),
        second=(
            "KSampler",
            {"latent_image": Source("size", 1), "positive": Source("follow", 0)},
        ),
        see=("VAEDecode", {"samples": Source("second", 0)}),
    )


@pytest.mark.parametrize(
    ("width", "height", "compression"), [(1024, 1024, 42), (832, 1216, 42), (2048, 1000, 32)]
)
def test_latents_have_the_cells_that_they_have_there(
    width: int, height: int, compression: int
) -> None:
    found = imported(two_stages(width, height, compression))
    assert not found.placeholders
    latents = used(found.workflow, "EmptyLatent")
    small, large = (each for each in latents if each["batch_size"] == 2)
    cells = [STAGE_C_LATENTS.cells(small[side]) for side in ("width", "height")]
    assert cells == [width // compression, height // compression]
    assert (large["width"], large["height"], large["batch_size"]) == (width, height, 2)
    (follow,) = used(found.workflow, "StageBConditioning")
    assert origin(follow, "latent") == "ksampler"


@pytest.mark.parametrize(
    "node", ["StableCascade_StageC_VAEEncode", "StableCascade_SuperResolutionControlnet"]
)
def test_what_comfyui_alone_supports_is_told(node: str) -> None:
    graph = chained(
        picture=("LoadImage", {"image": "a.png"}),
        make=(node, {"image": Source("picture", 0)}),
        sample=("KSampler", {"latent_image": Source("make", 1)}),
        see=("VAEDecode", {"samples": Source("sample", 0)}),
    )
    found = imported(graph)
    assert any("ComfyUI alone" in each.untranslated_reason for each in found.placeholders)
