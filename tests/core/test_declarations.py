"""What a workflow says of itself: required packs and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from nodegraph.core.analysis import check_workflow
from nodegraph.core.workflow import Workflow
from tests.core.support import ENVIRONMENT, NODES, Functions, check, text_to_image, texts


class WithPacks(Functions):
    """A catalog that knows which packs there are."""

    def pack_versions(self) -> Mapping[str, str]:
        return {"upscale": "1.4.0", "odd": "unknown", "plain": ""}


@pytest.mark.parametrize(
    ("pack", "wanted", "told"),
    [
        ("upscale", ">=1.2,<2", []),
        ("upscale", "*", []),
        ("upscale", "", []),
        ("odd", ">=1", []),
        ("plain", ">=1", []),
        ("upscale", ">=2", ["requires another version of the pack `upscale` "
                            "(given: 1.4.0; expected: >=2). Update `upscale`."]),
        ("upscale", "new", ["requires the pack `upscale`, but its version specifier cannot be read "
                            "(given: new; expected: a specifier such as `>=1.2,<2`)"]),
        ("faces", ">=1", ["requires the pack `faces`, which is not loaded "
                          "(expected: >=1). Install it, or give its file or folder with --pack."]),
    ],
)  # fmt: skip
def test_requirements_are_checked(pack: str, wanted: str, told: list[str]) -> None:
    workflow = replace(text_to_image(), requires={pack: wanted})
    problems = check_workflow(workflow, WithPacks(*NODES), ENVIRONMENT)
    assert texts(problems) == told


def test_a_catalog_without_packs_cannot_tell() -> None:
    assert check(replace(text_to_image(), requires={"faces": ">=1"})) == []


def test_two_parameters_may_lead_to_one_input() -> None:
    workflow = text_to_image().to_dict()
    workflow["parameters"] = {"prompt": "positive.text", "text": {"input": "positive.text"}}
    assert check(Workflow.from_dict(workflow)) == []
