"""Regions: where masks and tiles have them, filters, and what is pasted."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from nodegraph.media.images.inpainting import fit_region, region_around
from nodegraph.media.images.mask_morphology import dilate_mask, soften_mask
from nodegraph.media.images.regions import Region, enlarge_box, tile_boxes
from nodes.detail import detail_size
from tests.nodes.conftest import Bench, link

_BOXES = "4 4 10 6\n30 20 8 8\n50 2 6 20"


def _graph(**nodes: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Three boxes in an image of 64 x 32 pixels, their regions, and further nodes."""
    boxes = {"image": link("picture"), "boxes": _BOXES, "unit": "pixels"}
    every: dict[str, tuple[str, dict[str, Any]]] = {
        "picture": ("Picture", {"width": 64, "height": 32}),
        "mask": ("MaskFromBoxes", boxes),
        "regions": ("RegionsFromMask", {"mask": link("mask"), "crop": 1.5, "smallest": 2}),
        **nodes,
    }
    return {name: {"type": kind, "inputs": inputs} for name, (kind, inputs) in every.items()}


def _boxes(regions: list[Region]) -> list[Any]:
    return [region.box for region in regions]


@pytest.mark.parametrize(
    ("box", "factor", "expected"),
    [
        ((40, 20, 10, 10), 2, (35, 15, 20, 20)),
        ((0, 0, 10, 10), 2, (0, 0, 20, 20)),
        ((90, 40, 10, 10), 2, (80, 30, 20, 20)),
        ((40.5, 20.5, 10.2, 10.2), 1, (40, 20, 10, 10)),
        ((20, 10, 60, 30), 3, (0, 0, 100, 50)),
    ],
)
def test_a_box_is_enlarged_about_its_middle(box: Any, factor: float, expected: Any) -> None:
    assert enlarge_box(box, factor, (100, 50)) == expected


def test_each_part_of_a_mask_has_a_region(bench: Bench) -> None:
    regions = bench.value(_graph(), "regions.regions")
    assert _boxes(regions) == [(50, 2, 6, 20), (4, 4, 10, 6), (30, 20, 8, 8)]
    first = regions[1]
    assert first.rectangle == (1, 2, 15, 9)
    assert first.mask.sum() == 60


def test_parts_may_be_joined_filled_and_boxed(bench: Bench) -> None:
    def made(**inputs: Any) -> Any:
        shape = {"width": 64, "height": 32, "boxes": _BOXES, "unit": "pixels"}
        both = {"first": link("mask"), "second": link("inner")}
        nodes = _graph(
            inner=("MaskFromBoxes", {**shape, "boxes": "6 6 4 2"}),
            ring=("CombineMasks", {**both, "how": "subtract"}),
            made=("RegionsFromMask", {"mask": link("ring"), "smallest": 2, **inputs}),
        )
        return bench.value(nodes, "made.regions")

    assert [region.mask.sum() for region in made()] == [120, 52, 64]
    assert [region.mask.sum() for region in made(fill_holes=True)] == [120, 60, 64]
    assert [region.mask.sum() for region in made(boxes=True)] == [120, 60, 64]
    assert _boxes(made(joined=True)) == [(4, 2, 52, 26)]
    assert _boxes(made(order="from the bottom"))[0] == (30, 20, 8, 8)
    assert _boxes(made(smallest=7)) == [(30, 20, 8, 8)]


def test_regions_make_their_mask_again(bench: Bench) -> None:
    found = bench.run(
        _graph(joined=("RegionsMask", {"regions": link("regions")})), "joined", "mask"
    )
    assert torch.equal(found["joined.mask"], found["mask.mask"])
    assert [float(each.sum()) for each in found["joined.masks"]] == [120, 60, 64]


def test_without_regions_an_image_tells_the_size(bench: Bench) -> None:
    none = ("FilterRegions", {"regions": link("regions"), "least": 1000})
    alone = {"regions": link("none.regions")}
    sized = _graph(none=none, joined=("RegionsMask", {**alone, "image": link("picture")}))
    assert bench.value(sized, "joined.mask").shape == (1, 32, 64)
    unsized = _graph(none=none, joined=("RegionsMask", alone))
    assert "Link the image" in str(bench.failure(unsized, "joined"))


def test_regions_are_filtered_by_a_measure(bench: Bench) -> None:
    inputs = {"regions": link("regions"), "by": "elongation", "most": 200}
    found = bench.run(_graph(some=("FilterRegions", inputs)), "some")
    assert _boxes(found["some.regions"]) == [(4, 4, 10, 6), (30, 20, 8, 8)]
    assert _boxes(found["some.others"]) == [(50, 2, 6, 20)]


def test_regions_are_sorted_and_some_taken(bench: Bench) -> None:
    inputs = {"regions": link("regions"), "by": "left", "descending": False, "count": 1, "first": 1}
    found = bench.run(_graph(some=("SortRegions", inputs)), "some")
    assert _boxes(found["some.regions"]) == [(30, 20, 8, 8)]
    assert _boxes(found["some.others"]) == [(4, 4, 10, 6), (50, 2, 6, 20)]


@pytest.mark.parametrize(("keep", "left"), [("inside", [0, 60, 0]), ("outside", [120, 0, 64])])
def test_a_mask_limits_regions(bench: Bench, keep: str, left: list[int]) -> None:
    size = {"width": 64, "height": 32, "unit": "pixels"}
    nodes = _graph(
        other=("MaskFromBoxes", {**size, "boxes": "0 0 16 16"}),
        some=("MaskRegions", {"regions": link("regions"), "mask": link("other"), "keep": keep}),
    )
    assert [region.mask.sum() for region in bench.value(nodes, "some.regions")] == left


def test_a_list_of_regions_gives_a_list_of_images(bench: Bench) -> None:
    crop = ("CropRegion", {"image": link("picture"), "region": link("regions")})
    found = bench.run(_graph(crop=crop), "crop", "picture")
    assert [tuple(image.shape[1:3]) for image in found["crop.image"]] == [
        (30, 9),
        (9, 15),
        (12, 12),
    ]
    assert torch.equal(found["crop.image"][1], found["picture.image"][:, 2:11, 1:16])


def test_parts_change_only_what_is_masked(bench: Bench) -> None:
    nodes = _graph(
        crop=("CropRegion", {"image": link("picture"), "region": link("regions")}),
        turned=("InvertImage", {"image": link("crop.image")}),
        pasted=(
            "PasteRegions",
            {
                "image": link("picture"),
                "regions": link("regions"),
                "parts": link("turned"),
                "feather": 0,
            },
        ),
    )
    found = bench.run(nodes, "pasted", "picture", "mask")
    mask, before, after = found["mask.mask"] > 0, found["picture.image"], found["pasted.image"]
    assert torch.equal(after[~mask], before[~mask])
    torch.testing.assert_close(after[mask], 1 - before[mask])
    few = {**nodes, "turned": {"type": "InvertImage", "inputs": {"image": link("picture")}}}
    assert "3" in str(bench.failure(few, "pasted"))


def test_a_region_fits_a_larger_image() -> None:
    mask = torch.zeros(20, 40)
    mask[4:8, 10:20] = 1
    region = region_around(mask, (10, 4, 10, 4), 1.0, "face", 0.5)
    fitted = fit_region(region, (80, 40))
    assert (fitted.rectangle, fitted.box) == ((20, 8, 20, 8), (20, 8, 20, 8))
    assert (fitted.label, fitted.confidence, fitted.mask.shape) == ("face", 0.5, (1, 8, 20))


def test_tiles_cover_an_image(bench: Bench) -> None:
    assert tile_boxes((100, 50), (64, 32), "rows") == [
        (0, 0, 64, 32), (64, 0, 36, 32), (0, 32, 64, 18), (64, 32, 36, 18),
    ]  # fmt: skip
    assert [box[:2] for box in tile_boxes((100, 50), (64, 32), "checkerboard")] == [
        (0, 0), (64, 32), (64, 0), (0, 32),
    ]  # fmt: skip
    inputs = {"image": link("picture"), "tile_width": 24, "tile_height": 16, "padding": 8}
    regions = bench.value(_graph(tiles=("TileRegions", inputs)), "tiles.regions")
    total = sum(region.mask.sum() for region in regions)
    assert (len(regions), total) == (6, 64 * 32)
    # All have the proportions of a tile with its padding.
    assert {(region.width, region.height) for region in regions} <= {(32, 24), (36, 27), (40, 30)}


@pytest.mark.parametrize(
    ("size", "of", "largest", "skips", "expected"),
    [
        (40, "box", 1000, False, (80, 80)),
        (40, "crop", 1000, False, (40, 40)),
        (40, "box", 60, False, (60, 60)),
        (5, "box", 1000, False, (20, 20)),
        (5, "box", 1000, True, None),
        (40, "box", 10, True, None),
    ],
)
def test_the_size_of_a_detail(
    size: float, of: str, largest: float, skips: bool, expected: Any
) -> None:
    region = region_around(torch.ones(50, 50), (20, 20, 10, 10), 2.0)
    assert detail_size(region, size, of, largest, skips=skips) == expected


def test_a_mask_grows_by_an_even_square() -> None:
    mask = torch.zeros(1, 9, 9)
    mask[0, 4, 4] = 1
    rows, columns = dilate_mask(mask, 4)[0].nonzero().unbind(1)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 6, 3, 6)
    assert torch.equal(dilate_mask(dilate_mask(mask, 3), -3), mask)


def test_small_masks_are_softened_less() -> None:
    mask = torch.zeros(1, 8, 8)
    mask[:, 2:6, 2:6] = 1
    assert torch.equal(soften_mask(mask[:, :2, :2], 5, 10.0), mask[:, :2, :2])
    soft = soften_mask(mask, 20, 10.0)
    # A window of five pixels, as half of the side is four.
    assert 0 < float(soft[0, 0, 3]) < float(soft[0, 3, 3]) < 1


def _detail(box: str, picture: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """A box of an image, painted."""
    boxes = ("MaskFromBoxes", {"width": 64, "height": 32, "boxes": box, "unit": "pixels"})
    painted = {"size": 64, "largest": 64, "steps": 2, "sampler": "euler", "feather": 0}
    return _graph(
        picture=picture,
        mask=boxes,
        regions=("RegionsFromMask", {"mask": link("mask"), "crop": 1.0, "smallest": 0}),
        load=("LoadModel", {"model": "tiny"}),
        words=("EncodePrompt", {"encoder": link("load.text_encoder"), "text": "a line"}),
        detail=(
            "DetailRegions",
            {"model": link("load.model"), "vae": link("load.vae"), "image": link("picture"),
             "regions": link("regions"), "positive": link("words"), **painted},
        ),
    )  # fmt: skip


def test_a_line_is_painted_alone(bench: Bench) -> None:
    """Enlarged to 64 x 1 pixels it would have less than a cell of the VAE."""
    result = bench.run(
        _detail("0 8 64 1", ("Picture", {"width": 64, "height": 32})), "detail", "picture", "mask"
    )
    assert not result.errors
    before, after, mask = result["picture.image"], result["detail.image"], result["mask.mask"] > 0
    assert torch.equal(after[~mask], before[~mask])
    assert not torch.equal(after[mask], before[mask])


def test_details_are_of_one_image(bench: Bench) -> None:
    """Its facts do not tell how many images this node returns."""
    nodes = _detail("0 8 64 8", ("Picture", {"width": 64, "height": 32, "batch": 2}))
    assert "a batch of 2" in str(bench.failure(nodes, "detail"))


def test_a_detail_needs_a_prompt(bench: Bench) -> None:
    nodes = _graph(
        load=("LoadModel", {"model": "tiny"}),
        detail=(
            "DetailRegions",
            {"model": link("load.model"), "vae": link("load.vae"), "image": link("picture"),
             "regions": link("regions")},
        ),
    )  # fmt: skip
    [problem] = bench.problems(nodes, "detail")
    assert "there is no prompt" in str(problem)
