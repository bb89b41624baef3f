"""Names of samplers in other tools lead to ours."""

from __future__ import annotations

import diffusers
import pytest

from nodegraph.errors import InvalidValue
from nodegraph.families.sampler_names import (
    ELSEWHERE,
    NOT_HERE,
    SAMPLER_NAMES,
    check_sampler,
    comfyui_sampler,
    suggest_sampler,
)
from tests.diffusion.test_samplers_page import rows
from tests.messages import raises


def test_they_lead_to_samplers_that_there_are() -> None:
    for names in ELSEWHERE.values():
        assert set(names.values()) <= set(SAMPLER_NAMES)
        assert not set(names) & set(SAMPLER_NAMES)
    assert not set(NOT_HERE) & set(SAMPLER_NAMES)


def test_those_of_diffusers_are_classes_of_it() -> None:
    for name in ELSEWHERE["diffusers"]:
        assert hasattr(diffusers, name)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("DPM++ 2M Karras", "It is called `dpmpp_2m` here, with schedule `karras`."),
        ("dpmpp_sde_k", "It is called `dpmpp_sde` here, with schedule `karras`."),
        ("Euler a", "It is called `euler_ancestral` here."),
        ("k_euler_a", "It is called `euler_ancestral` here."),
        (
            "DPM++ 3M SDE Exponential",
            "It is called `dpmpp_3m_sde` here, with schedule `exponential`.",
        ),
        ("Heun", "It is called `heun` here."),
        ("UniPCMultistepScheduler", "It is called `uni_pc` here."),
        ("DPM adaptive", "It is not available here: it chooses its steps"),
        ("eular", "Did you mean `euler`?"),
    ],
)
def test_a_name_from_elsewhere_is_told_with_what_it_is_here(name: str, hint: str) -> None:
    with raises(InvalidValue, port="sampler") as caught:
        check_sampler(name, "discrete")
    assert (caught.value.problem.hint or "").startswith(hint)


def test_what_is_nothing_anywhere_has_no_name_here() -> None:
    assert suggest_sampler("flux", SAMPLER_NAMES) is None


def test_the_page_tells_them_all() -> None:
    told = {name: row["Here"].strip("`") for name, row in rows("Names elsewhere").items()}
    known = {name: here for names in ELSEWHERE.values() for name, here in names.items()}
    assert {name: here for name, here in told.items() if here in SAMPLER_NAMES} == known
    assert {name for name, here in told.items() if here not in SAMPLER_NAMES} >= set(NOT_HERE)


def test_samplers_of_comfyui_are_those_that_step_alike() -> None:
    found = {
        name: comfyui_sampler(name, SAMPLER_NAMES)
        for name in (
            "euler",
            "ddim",
            "ddpm",
            "dpmpp_2m_sde_gpu",
            "uni_pc",
            "uni_pc_bh2",
            "dpm_adaptive",
        )
    }
    assert found == {
        "euler": "euler",
        "ddim": "euler",
        "ddpm": "euler_ancestral",
        "dpmpp_2m_sde_gpu": "dpmpp_2m_sde",
        "uni_pc": "uni_pc_bh1",
        "uni_pc_bh2": "uni_pc",
        "dpm_adaptive": None,
    }
