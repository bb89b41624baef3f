"""What is known before anything runs, the packs' own checks, and families that don't mix."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from nodegraph.api import (
    Conditioning,
    DiffusionModel,
    HookInputs,
    Image,
    InvalidValue,
    Latent,
    node,
)
from nodegraph.core.hooks import Finding
from tests.core.support import (
    ENVIRONMENT,
    EmptyLatent,
    SaveImage,
    build,
    check,
    text_to_image,
    texts,
    written,
)


def test_facts_travel_along_links() -> None:
    graph = build(text_to_image())
    assert graph.nodes["size"].facts == {"latent": {"width": 64, "height": 64}}
    assert graph.nodes["positive"].facts == {"conditioning": {"family": "sd1"}}
    assert graph.nodes["sample"].facts == {"latent": {"family": "sd1", "width": 64}}
    assert graph.nodes["decode"].facts == {"image": {"width": 64}}


def test_an_infer_hook_adds_to_declared_facts() -> None:
    def double(inputs: HookInputs) -> Any:
        assert inputs.environment is ENVIRONMENT
        return {"image": {"width": inputs.fact("latent", "width") * 2}, "unknown": {"x": 1}}

    @node(facts={"image": {"width": "latent.width", "height": "latent.height"}}, infer=double)
    def Enlarge(latent: Latent) -> Image: ...

    workflow = written(
        {"size": {"type": "EmptyLatent"},
         "large": {"type": "Enlarge", "inputs": {"latent": {"from": "size"}}}}
    )  # fmt: skip
    graph = build(workflow, EmptyLatent, Enlarge, targets=["large"])
    assert graph.nodes["large"].facts == {"image": {"width": 128, "height": 64}}


def test_a_validate_hook_checks_inputs_against_each_other() -> None:
    def ordered(inputs: HookInputs) -> Iterable[Finding]:
        if inputs.literals["low"] > inputs.literals["high"]:
            yield Finding("low", "is above `high`", given=str(inputs.literals["low"]))

    @node(output=True, validate=ordered)
    def Between(low: int = 0, high: int = 1) -> None: ...

    assert check(written({"b": {"type": "Between"}}), Between) == []
    found = check(written({"b": {"type": "Between", "inputs": {"low": 5}}}), Between)
    assert texts(found) == ["node `b` (Between), input `low`: is above `high` (given: 5)"]


def test_hooks_are_asked_only_of_nodes_that_are_otherwise_right() -> None:
    def fail(inputs: HookInputs) -> Any:
        raise AssertionError("asked")

    @node(output=True, validate=fail, infer=fail)
    def Strict(size: int) -> None: ...

    workflow = written({"s": {"type": "Strict", "inputs": {"size": "x"}}, "t": {"type": "Strict"}})
    assert [problem.code for problem in check(workflow, Strict)] == [
        "wrong-literal",
        "missing-input",
    ]


@pytest.mark.parametrize("hook", ["infer", "validate"])
def test_a_hook_that_fails_is_named(hook: str) -> None:
    def fail(inputs: HookInputs) -> Any:
        raise KeyError("width")

    options: Any = {hook: fail}

    @node(output=True, **options)
    def Fragile() -> None: ...

    (problem,) = check(written({"f": {"type": "Fragile"}}), Fragile)
    assert problem.code == "hook-failed"
    assert problem.message == f"its type's {hook} function failed: KeyError: 'width'"
    assert "not of the workflow" in str(problem)


def test_an_explained_fault_of_a_hook_keeps_its_fields() -> None:
    def refuse(inputs: HookInputs) -> Any:
        raise InvalidValue("is no model", port="name", hint="Try `tiny`.")

    @node(output=True, infer=refuse)
    def Load(name: str) -> None: ...

    found = check(written({"l": {"type": "Load", "inputs": {"name": "x"}}}), Load)
    assert texts(found) == ["node `l` (Load), input `name`: is no model. Try `tiny`."]


@pytest.mark.parametrize("answer", [3, {"image": 3}, [Image]])
def test_a_hook_that_answers_nonsense_is_named(answer: Any) -> None:
    @node(infer=lambda inputs: answer)
    def Odd() -> Image: ...

    (problem,) = check(written({"o": {"type": "Odd"}}), Odd, targets=["o"])
    assert problem.code == "hook-failed"


def families(*given: str | None) -> Any:
    """Nodes that give a model and prompts of these families, and one that takes them."""

    def model_family(inputs: HookInputs) -> Any:
        return {"diffusion_model": {"family": inputs.literals["family"]}}

    def prompt_family(inputs: HookInputs) -> Any:
        return {"conditioning": {"family": inputs.literals["family"]}}

    @node(infer=model_family)
    def Model(family: str | None) -> DiffusionModel: ...

    @node(infer=prompt_family)
    def Prompt(family: str | None) -> Conditioning: ...

    @node(facts={"latent": {"family": "model.family"}})
    def Sample(model: DiffusionModel, positive: Conditioning, negative: Conditioning) -> Latent: ...

    @node(tags=("mixes-families",))
    def Mix(model: DiffusionModel, positive: Conditioning, negative: Conditioning) -> Latent: ...

    types = ("Model", "Prompt", "Prompt")
    names = ("model", "positive", "negative")
    nodes: dict[str, Any] = {
        f"{name}s": {"type": kind, "inputs": {"family": family}}
        for name, kind, family in zip(names, types, given, strict=True)
    }
    inputs = {name: {"from": f"{name}s"} for name in names}
    nodes["sample"] = {"type": "Sample", "inputs": inputs}
    return nodes, (Model, Prompt, Sample, Mix, SaveImage)


def test_the_odd_family_is_told() -> None:
    nodes, functions = families("sdxl", "sd1", "sdxl")
    assert texts(check(written(nodes), *functions, targets=["sample"])) == [
        "node `sample` (Sample), input `positive`: comes from a different model family than "
        "the node's other inputs (given: sd1 from `positives`; expected: sdxl, as `model` "
        "from `models`). Take both from the same model."
    ]


def test_unknown_families_agree_with_all() -> None:
    nodes, functions = families("sd1", None, "sd1")
    assert check(written(nodes), *functions, targets=["sample"]) == []


def test_a_node_that_mixes_families_may() -> None:
    nodes, functions = families("sd1", "sdxl", "flux")
    nodes["sample"]["type"] = "Mix"
    assert check(written(nodes), *functions, targets=["sample"]) == []


def test_a_conflict_is_not_told_again_downstream() -> None:
    nodes, functions = families("sd1", "sdxl", "sdxl")

    @node
    def Use(latent: Latent, prompt: Conditioning) -> Latent: ...

    inputs = {"latent": {"from": "sample"}, "prompt": {"from": "positives"}}
    nodes["use"] = {"type": "Use", "inputs": inputs}
    (problem,) = check(written(nodes), *functions, Use, targets=["use"])
    assert (problem.node, problem.port) == ("sample", "model")
