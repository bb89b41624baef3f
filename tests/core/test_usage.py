"""Counts of use, and that those that come with nodegraph are of what comes with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from nodegraph.core.catalog import Usage, usage_of
from nodegraph.core.suggestions import NodeTypeSuggestions, OpenInput
from nodegraph.core.types import named_type
from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry

DOCS = Path(__file__).parents[2] / "docs"
FILE = Path(__file__).parents[2] / "nodes" / "usage.json"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry([pack for pack in installed_packs() if not pack.name])


def test_links_are_counted_by_family_and_by_their_ends() -> None:
    usage = Usage({}, {"A.x": {"B.y": {"sd1": 2, "": 1}, "C.y": {"sd1": 1}}})
    assert (usage.link("A.x", "B.y"), usage.link("A.x", "B.y", "sd1")) == (3, 2)
    assert (usage.output_count("A.x"), usage.input_count("B.y"), usage.input_count("A.x")) == (
        4,
        3,
        0,
    )
    assert usage.points("A.x", "B.y", "sd1") > usage.points("A.x", "C.y", "sd1")


def test_families_say_nothing_of_a_port_whose_links_are_mostly_of_none() -> None:
    """As those of a VAE are: the one node knows the model's family, and the other doesn't."""
    into = {"load.vae": {"decode.vae": {"": 9, "sd1": 2}}, "open.vae": {"decode.vae": {"": 8}}}
    positive = {"encode.out": {"sample.positive": {"": 2, "sd1": 9}}}
    shape = {"ask.out": {"sample.positive": {"shapes": 2}}}
    usage = Usage({}, {**into, **positive, **shape, "own.vae": {"decode.vae": {"sd1": 3}}})

    def best(target: str, family: str | None) -> list[str]:
        sources = [source for source, targets in usage.links.items() if target in targets]
        return sorted(sources, key=lambda each: usage.points(each, target, family), reverse=True)

    for family in (None, "sd1", "shapes"):
        assert best("decode.vae", family) == ["load.vae", "open.vae", "own.vae"]
    assert best("sample.positive", "shapes") == ["ask.out", "encode.out"]
    assert best("sample.positive", "sd1") == ["encode.out", "ask.out"]


def test_what_is_counted_are_ports_that_there_are(registry: Registry) -> None:
    usage = usage_of(registry)
    assert usage.types["KSampler"] > usage.types["AddGrain"]
    for source, targets in usage.links.items():
        node_type, _, port = source.partition(".")
        spec = registry.spec(node_type)
        assert spec is not None, source
        assert port in spec.outputs_by_name, source
        for target in targets:
            node_type, _, port = target.partition(".")
            spec = registry.spec(node_type)
            assert spec is not None, target
            assert port in spec.inputs_by_name, target


@pytest.mark.parametrize(
    ("port", "carries", "family", "first"),
    [
        ("KSampler.positive", "Conditioning", None, "EncodePrompt"),
        ("KSampler.positive", "Conditioning", "molecules", "MoleculeConditioning"),
        ("KSampler.latent", "Latent", None, "EmptyLatent"),
        ("KSampler.latent", "Latent", "molecules", "EmptyItems"),
        ("KSampler.model", "DiffusionModel", None, "LoadModel"),
        ("VAEDecode.vae", "Vae", None, "LoadModel"),
        ("SaveImage.image", "Image", None, "VAEDecode"),
        # A sampler takes a latent itself, and is what people decode.
        ("VAEDecode.latent", "Latent", None, "KSampler"),
        ("VAEDecode.latent", "Latent", "sd1", "KSampler"),
    ],
)
def test_the_first_advice_is_what_people_link(
    registry: Registry, port: str, carries: str, family: str | None, first: str
) -> None:
    givers = NodeTypeSuggestions(registry).source_types(
        OpenInput(named_type(carries), port, family)
    )
    assert givers.split(" or ")[0] == first


@pytest.mark.parametrize("port", ["PreviewImage.image", "SaveImage.image", "BlurImage.image"])
def test_advice_names_what_is_used_most_anywhere(registry: Registry, port: str) -> None:
    """Where few workflows link an input, as that of a preview."""
    sources = NodeTypeSuggestions(registry).source_types(OpenInput(named_type("Image"), port))
    assert "VAEDecode" in sources.split(" or ")


def test_a_node_of_many_pictures_is_no_source_of_one(registry: Registry) -> None:
    wanted = OpenInput(named_type("Image"), "SaveImage.image")
    assert usage_of(registry).link("ImageGrid.image", wanted.port) > 0
    assert "ImageGrid" not in NodeTypeSuggestions(registry).source_types(wanted)


def test_nothing_is_put_between_that_has_to_be_linked_more_and_is_hardly_used_for_it(
    registry: Registry,
) -> None:
    def converter(source: str, target: str, family: str | None = None) -> str | None:
        types = named_type(source), named_type(target)
        return NodeTypeSuggestions(registry).converter(*types, family)

    assert converter("Vae", "Conditioning") is None
    assert converter("Image", "Conditioning") is None
    assert converter("Vae", "DiffusionModel") is None
    assert converter("ControlNet", "Conditioning") == "ApplyControlNet"
    assert converter("DiffusionModel", "Latent") == "KSampler"
    assert converter("IPAdapter", "DiffusionModel", "sd1") == "ApplyIPAdapter"


def test_nothing_is_put_between_that_only_happens_to_take_the_one(registry: Registry) -> None:
    mends = NodeTypeSuggestions(registry)
    assert mends.converter(named_type("TextEncoder"), named_type("Latent")) is None
    assert mends.converter(named_type("TextEncoder"), named_type("Conditioning")) == "EncodePrompt"
    assert mends.converter(named_type("Latent"), named_type("Image")) == "VAEDecode"
    assert mends.converter(named_type("Image"), named_type("Latent")) == "VAEEncode"


@pytest.mark.slow
def test_the_counts_are_current() -> None:
    sys.path.insert(0, str(DOCS))
    try:
        from generate_usage import text, usage
    finally:
        sys.path.remove(str(DOCS))
    assert json.loads(FILE.read_text(encoding="utf-8")) == json.loads(text(usage())), (
        "run python docs/generate_usage.py"
    )
