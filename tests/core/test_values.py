"""Values on links, and what hooks see of inputs."""

from __future__ import annotations

import json

import pytest

from nodegraph.api import DiffusionModel, HookInputs, Latent, RecipeFile
from nodegraph.core.spec import InputSpec, NodeSpec, to_document
from nodegraph.core.values import Recipe
from tests.core.support import ENVIRONMENT
from tests.messages import raises


def test_an_items_noise_goes_by_its_place_in_the_batch_it_comes_from() -> None:
    assert Latent(None, 64, 64, 3).noise_indices == (0, 1, 2)
    assert Latent(None, 64, 64, 2, batch_index=(5, 7)).noise_indices == (5, 7)


def test_a_recipe_has_options() -> None:
    recipe = DiffusionModel("sd1", (RecipeFile("", "/a", "0" * 64),), options=(("lora", "x"),))
    assert recipe.option("lora") == "x"
    assert recipe.option("vae", "none") == "none"


def test_an_unknown_fact_is_none() -> None:
    inputs = HookInputs({}, {"latent": {"width": 64}}, ENVIRONMENT)
    assert inputs.fact("latent", "width") == 64
    assert inputs.fact("latent", "height") is None
    assert inputs.fact("other", "width") is None


def test_a_spec_survives_json_and_refuses_what_it_does_not_know() -> None:
    spec = NodeSpec(type="A", inputs=(InputSpec(name="a", type="list[int]", json_schema={}),))
    assert spec.inputs_by_name["a"].expr.is_list
    assert NodeSpec.from_dict(json.loads(json.dumps(to_document(spec)))) == spec
    with raises(TypeError):
        NodeSpec.from_dict({"type": "A", "colour": "red"})


@pytest.mark.parametrize(
    ("paths", "source"),
    [
        (["/m/a/x.safetensors"], "/m/a/x.safetensors"),
        (["/m/a/unet/x.safetensors", "/m/a/vae/x.safetensors"], "/m/a"),
        (
            ["/home/me/a.safetensors", "/opt/nodegraph/qwen/tokenizer.json"],
            "/home/me/a.safetensors",
        ),
        (["hf://a/x.safetensors"], "hf://a/x.safetensors"),
    ],
)
def test_a_recipe_comes_from_a_file_or_the_folder_of_a_model(paths: list[str], source: str) -> None:
    files = tuple(RecipeFile("model", path, "0" * 64) for path in paths)
    assert Recipe("sd1", files).source == source
