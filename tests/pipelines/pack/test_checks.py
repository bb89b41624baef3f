"""What is wrong with a pipeline's node is told before anything is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nodegraph.core.context import Environment
from nodegraph.core.hooks import Facts, Finding, HookInputs
from nodegraph.packs.registry import Registry

OWN = {"vae", "text_encoder", "tokenizer", "unet", "scheduler", "safety_checker"}


def given(facts: Facts | None = None, /, **literals: Any) -> HookInputs:
    """Literals, and what is known of the linked pipeline."""
    environment = Environment((), Path(), Path(), Path(), allow_pickle=False, device="cpu")
    return HookInputs(literals, {} if facts is None else {"pipeline": facts}, environment)


def findings(registry: Registry, name: str, inputs: HookInputs) -> list[Finding]:
    hook = registry.hook(f"diffusers:{name}", "validate")
    assert hook is not None
    return list(hook(inputs))


def facts_of(name: str, parts: set[str]) -> Facts:
    return {"pipeline": name, "parts": sorted(parts | {"feature_extractor", "image_encoder"})}


def test_a_folder_of_its_own_class_is_fine(registry: Registry) -> None:
    inputs = given(facts_of("StableDiffusionPipeline", OWN), prompt="a fox")
    assert findings(registry, "StableDiffusionPipeline", inputs) == []


def test_one_of_another_class_with_the_same_parts_is_fine(registry: Registry) -> None:
    inputs = given(facts_of("StableDiffusionPipeline", OWN), prompt="a fox", image=0)
    assert findings(registry, "StableDiffusionImg2ImgPipeline", inputs) == []


def test_one_without_the_parts_is_told(registry: Registry) -> None:
    inputs = given(facts_of("StableDiffusionPipeline", OWN), prompt="a fox", image=0)
    (found,) = findings(registry, "StableDiffusionControlNetPipeline", inputs)
    assert found.port == "pipeline"
    assert "controlnet" in found.message
    assert found.given == "StableDiffusionPipeline"


def test_a_prompt_or_what_stands_for_it_must_be_given(registry: Registry) -> None:
    (found,) = findings(registry, "StableDiffusionPipeline", given())
    assert (found.port, found.message) == (
        "prompt",
        "the input is required, or `prompt_embeds` instead",
    )
    linked = HookInputs({}, {"prompt_embeds": {}}, given().environment)
    assert findings(registry, "StableDiffusionPipeline", linked) == []


def test_a_package_that_fails_late_is_told_early(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodegraph.interop.pipelines.checks._is_there", lambda name: name != "ftfy")
    inputs = given(prompt="a fox", image=0)
    (found,) = findings(registry, "WanImageToVideoPipeline", inputs)
    assert "needs ftfy" in found.message
    assert found.hint == "Run `pip install ftfy`."
    assert findings(registry, "WanPipeline", given(prompt="a fox")) == []


def test_sizes_and_numbers_are_known_before_it_runs(registry: Registry) -> None:
    hook = registry.hook("diffusers:WanPipeline", "infer")
    assert hook is not None
    found = hook(given(prompt="a fox", width=832, height=480, num_frames=81))
    assert found == {"video": {"width": 832, "height": 480, "frames": 81}}


def test_a_size_that_would_be_refused_is_told(registry: Registry) -> None:
    spec = registry.spec("diffusers:LTXPipeline")
    assert spec is not None
    (found,) = findings(registry, "LTXPipeline", given(prompt="a fox", width=500, height=512))
    assert (found.port, found.given, found.hint) == ("width", "500", "Use 480 or 512.")


def test_several_where_one_comes_out_are_told(registry: Registry) -> None:
    inputs = given(prompt="a fox", num_videos_per_prompt=2)
    (found,) = findings(registry, "WanPipeline", inputs)
    assert (found.port, found.given) == ("num_videos_per_prompt", "2")


def test_an_estimate_counts_the_steps(registry: Registry) -> None:
    hook = registry.hook("diffusers:StableAudioPipeline", "estimate")
    assert hook is not None
    assert hook(given(prompt="a fox", num_inference_steps=30)).passes == 30
    assert hook(given(prompt="a fox")).passes is None
