"""Samplings that are put together of parts, and those of some steps, in a graph."""

from __future__ import annotations

from itertools import cycle
from typing import Any

import pytest
import torch

from nodegraph import Latent
from nodegraph.core.events import Event
from nodegraph.families.noise import draw_noise
from tests.diffusion.stand_in import ONE_OF_EACH
from tests.nodes import sampling_graphs
from tests.nodes.sampling_graphs import link, problems, sampler, value

SETTINGS: dict[str, Any] = {"seed": 5, "steps": 5, "cfg": 4.0, "sampler": "euler"}
REMEMBERS_NOTHING = (
    *("euler", "euler_ancestral", "heun", "dpm_2", "dpm_2_ancestral", "ddim", "ddpm"),
    *("heunpp2", "restart", "dpmpp_2s_ancestral", "dpmpp_sde", "seeds_3", "exp_heun_2_x0_sde"),
    *("lcm", "tcd", "euler_ancestral_cfg_pp"),
)
MASKED = {
    "type": "SetNoiseMask",
    "inputs": {"latent": link("picture"), "mask": link("mask")},
}


def parts(**changes: Any) -> dict[str, Any]:
    """A SampleCustom of the four usual parts, any of which may be another node."""
    nodes: dict[str, Any] = {
        "noise": {"type": "RandomNoise", "inputs": {"seed": 5}},
        "guider": {"type": "CFGGuider", "inputs": {"positive": link("positive"), "cfg": 4.0}},
        "sampler": {"type": "SelectSampler", "inputs": {"sampler": "euler"}},
        "schedule": {"type": "BasicSchedule", "inputs": {"schedule": "karras", "steps": 5}},
    }
    given: dict[str, Any] = {name: link(name) for name in nodes}
    given |= {"model": link("model"), "latent": link("size")}
    for name, change in changes.items():
        if name in nodes:
            nodes[name] = change
        elif name == "inputs":
            given |= change
        else:
            nodes[name] = change
    return nodes | {"sample": {"type": "SampleCustom", "inputs": given}}


def named(name: str) -> dict[str, Any]:
    return {"type": "SelectSampler", "inputs": {"sampler": name}}


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if turn % 5 else ())
        for turn, name in enumerate(ONE_OF_EACH)
    ],
)
def test_the_usual_parts_give_what_ksampler_gives(name: str) -> None:
    basic = {"type": "BasicSchedule", "inputs": {"schedule": "normal", "steps": 5}}
    expected = value(
        {"sample": sampler(**SETTINGS | {"sampler": name, "schedule": "normal"})}, "sample.latent"
    )
    found = value(parts(sampler=named(name), schedule=basic), "sample.latent")
    assert torch.equal(found.samples, expected.samples)
    assert found.leftover is None


@pytest.mark.parametrize("start", ["picture", "masked"])
def test_parts_keep_pictures_and_masks_as_ksampler_does(start: str) -> None:
    basic = {"type": "BasicSchedule", "inputs": {"steps": 5, "denoise": 0.6}}
    expected = value(
        {"masked": MASKED, "sample": sampler(**SETTINGS, latent=link(start), denoise=0.6)},
        "sample.latent",
    )
    nodes = parts(masked=MASKED, schedule=basic, inputs={"latent": link(start)})
    assert torch.equal(value(nodes, "sample.latent").samples, expected.samples)


def test_the_prediction_of_the_last_step_comes_along() -> None:
    nodes = parts(half=cut(2), inputs={"schedule": link("half.high")})
    steps = value({"sample": sampler("DenoisingSteps", **SETTINGS)}, "sample.latents")
    found = value(nodes, "sample.denoised")
    assert torch.equal(found.samples, steps[1].samples)
    assert found.leftover is None
    assert value(nodes, "sample.latent").leftover is not None


def test_progress_is_reported_step_by_step() -> None:
    events: list[Event] = []
    value(parts(), "sample.latent", events.append)
    assert [event.data["step"] for event in events if event.kind == "node.progress"] == [
        *range(1, 6)
    ]


def cut(step: int) -> dict[str, Any]:
    return {"type": "SplitSchedule", "inputs": {"schedule": link("schedule"), "step": step}}


def two_custom(name: str, step: int, start: str = "size") -> dict[str, Any]:
    """A sampling by parts, cut in two after a step."""
    nodes = parts(masked=MASKED, sampler=named(name), half=cut(step))
    nodes["schedule"]["inputs"]["schedule"] = "normal"
    first = nodes.pop("sample")
    first["inputs"] |= {"schedule": link("half.high"), "latent": link(start)}
    rest = {"schedule": link("half.low"), "latent": link("first.latent"), "noise": link("none")}
    return nodes | {
        "none": {"type": "NoNoise", "inputs": {"seed": 5}},
        "first": first,
        "sample": {"type": "SampleCustom", "inputs": first["inputs"] | rest},
    }


def two_advanced(name: str, step: int, start: str = "size") -> dict[str, Any]:
    """A sampling by KSamplerAdvanced, cut in two after a step."""
    options = SETTINGS | {"sampler": name, "schedule": "normal"}
    first = {"latent": link(start), "end_step": step, "leave_noise": True}
    second = {"latent": link("first.latent"), "start_step": step, "add_noise": False}
    return {
        "masked": MASKED,
        "first": sampler("KSamplerAdvanced", **options, **first),
        "sample": sampler("KSamplerAdvanced", **options, **second),
    }


WAYS = ((two_custom, "masked", 3), (two_advanced, "size", 1))


@pytest.mark.parametrize(
    ("name", "build", "start", "step"),
    [
        pytest.param(name, *way, marks=() if turn < 2 * len(WAYS) else pytest.mark.slow)
        for turn, (name, way) in enumerate(zip(REMEMBERS_NOTHING, cycle(WAYS)))
    ],
)
def test_two_in_a_row_are_one(name: str, build: Any, start: str, step: int) -> None:
    options = SETTINGS | {"sampler": name, "schedule": "normal"}
    nodes = {"masked": MASKED, "sample": sampler(**options, latent=link(start))}
    expected = value(nodes, "sample.latent")
    found = value(build(name, step, start), "sample.latent")
    assert torch.equal(found.samples, expected.samples)
    assert found.leftover is None


@pytest.mark.parametrize("name", ["dpmpp_2m", "uni_pc", "lms", "dpmpp_2m_sde"])
def test_what_remembers_goes_on_near_to_where_it_would(name: str) -> None:
    options = SETTINGS | {"sampler": name, "schedule": "normal"}
    expected = value({"sample": sampler(**options)}, "sample.latent").samples
    found = value(two_advanced(name, 3), "sample.latent").samples
    assert not torch.equal(found, expected)
    assert (found - expected).std() < expected.std() / 4


@pytest.mark.parametrize(
    ("first", "second", "step"), [("euler", "dpmpp_2m", 4), ("dpmpp_2m", "euler", 1)]
)
def test_noise_is_handed_on_to_a_sampler_that_keeps_it_otherwise(
    first: str, second: str, step: int
) -> None:
    """A step of first order is euler's, in a latent of another scale."""
    nodes = two_advanced(first, step, "picture")
    nodes["sample"]["inputs"]["sampler"] = second
    for name in ("first", "sample"):
        nodes[name]["inputs"]["schedule"] = "trailing"
    whole = sampler(**SETTINGS | {"schedule": "trailing"}, latent=link("picture"))
    expected = value({"sample": whole}, "sample.latent").samples
    found = value(nodes, "sample.latent").samples
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_noise_that_addnoise_left_is_gone_on_with() -> None:
    options = SETTINGS | {"sampler": "ddim", "schedule": "trailing", "start_step": 2}
    added = {"model": link("model"), "latent": link("picture"), "timestep": 599, "seed": 5}
    nodes = {
        "noisy": {"type": "AddNoise", "inputs": added},
        "sample": sampler("KSamplerAdvanced", **options, latent=link("noisy"), add_noise=False),
    }
    alone = {"sample": sampler("KSamplerAdvanced", **options, latent=link("picture"))}
    found, expected = (value(given, "sample.latent").samples for given in (nodes, alone))
    assert torch.equal(found, expected)


def test_where_noise_is_added_what_is_left_counts_as_the_picture() -> None:
    early = sampler(**SETTINGS, end_step=2)
    masked = {"type": "SetNoiseMask", "inputs": {"latent": link("early"), "mask": link("mask")}}
    nodes = {"early": early, "masked": masked, "sample": sampler(latent=link("masked"))}
    noisy, found = (value(nodes, output) for output in ("early.latent", "sample.latent"))
    assert noisy.leftover is not None
    assert torch.equal(found.samples[..., :4], noisy.samples[..., :4])


def test_without_leftover_noise_the_last_step_takes_all_of_it() -> None:
    options = SETTINGS | {"end_step": 3}
    clean = value({"sample": sampler("KSamplerAdvanced", **options)}, "sample.latent")
    steps = value({"sample": sampler("DenoisingSteps", **SETTINGS)}, "sample.latents")
    assert clean.leftover is None
    # euler's step to no noise at all is the prediction itself
    torch.testing.assert_close(clean.samples, steps[2].samples)


def test_all_steps_are_ksampler_s() -> None:
    expected = value({"sample": sampler(**SETTINGS)}, "sample.latent")
    found = value({"sample": sampler("KSamplerAdvanced", **SETTINGS)}, "sample.latent")
    assert torch.equal(found.samples, expected.samples)


def test_a_schedule_walked_up_and_down_again_leads_back_to_the_picture() -> None:
    flat = {"type": "CFGGuider", "inputs": {"positive": link("positive"), "cfg": 1.0}}

    def gone_astray(steps: int) -> float:
        up = {"type": "FlipSchedule", "inputs": {"schedule": link("schedule")}}
        nodes = parts(guider=flat, up=up, none={"type": "NoNoise"})
        nodes["schedule"]["inputs"]["steps"] = steps
        down = nodes.pop("sample")["inputs"] | {"noise": link("none")}
        rising = down | {"schedule": link("up"), "latent": link("picture")}
        nodes["noisy"] = {"type": "SampleCustom", "inputs": rising}
        down |= {"latent": link("noisy.latent")}
        nodes["sample"] = {"type": "SampleCustom", "inputs": down}
        found = value(nodes, "sample.latent").samples
        return float((found - draw_noise((4, 8, 8), 3, [0])).std())

    assert gone_astray(40) < 0.7 * gone_astray(10)


def test_noise_of_a_latent_is_that_noise() -> None:
    own = {"type": "LatentNoise", "inputs": {"latent": link("own"), "seed": 5}}
    source = {"type": "AddNoise", "inputs": {"model": link("model"), "latent": link("picture")}}
    one, again, other = (
        value(parts(own=source, noise=noise), "sample.latent").samples
        for noise in (own, own, {"type": "RandomNoise", "inputs": {"seed": 5}})
    )
    assert torch.equal(one, again)
    assert not torch.equal(one, other)


def test_a_share_of_other_noise_varies_the_picture() -> None:
    def mixed(share: float) -> Any:
        node = {"type": "MixNoise", "inputs": {"noise": link("first"), "seed": 9, "share": share}}
        first = {"type": "RandomNoise", "inputs": {"seed": 5}}
        return value(parts(first=first, noise=node), "sample.latent").samples

    expected = value(parts(), "sample.latent").samples
    assert torch.equal(mixed(0.0), expected)
    slight, strong = ((mixed(share) - expected).std() for share in (0.05, 0.5))
    assert 0 < slight < strong
    other = value(parts(noise={"type": "RandomNoise", "inputs": {"seed": 9}}), "sample.latent")
    torch.testing.assert_close(mixed(1.0), other.samples)


def guided(kind: str, **inputs: Any) -> Any:
    node = {"type": kind, "inputs": {"positive": link("positive")} | inputs}
    second = {"type": "Prompt", "inputs": {"said": 2}}
    return value(parts(guider=node, second=second), "sample.latent").samples


def test_guiders_meet_where_they_are_the_same() -> None:
    plain = guided("CFGGuider", cfg=4.0)
    basic = {"type": "BasicGuider", "inputs": {"conditioning": link("positive")}}
    assert torch.equal(
        value(parts(guider=basic), "sample.latent").samples, guided("CFGGuider", cfg=1.0)
    )
    assert torch.equal(guided("CFGGuider", cfg=4.0, rescale=0.0, end=1.0), plain)
    # a way that is neither averaged, cut nor projected
    straight = guided("ProjectedGuider", cfg=4.0, momentum=0.0, longest=0.0, along=1.0)
    torch.testing.assert_close(straight, plain, rtol=1e-4, atol=1e-3)
    # towards the positive prompt by way of itself
    both = guided("DualCFGGuider", cfg=3.0, second_cfg=4.0, second=link("positive"))
    torch.testing.assert_close(both, plain, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("CFGGuider", {"cfg": 4.0, "rescale": 0.7}),
        ("CFGGuider", {"cfg": 4.0, "start": 0.2, "end": 0.6}),
        ("ProjectedGuider", {"cfg": 4.0}),
        ("DualCFGGuider", {"cfg": 4.0, "second": link("second")}),
        ("ZeroStarGuider", {"cfg": 4.0, "zero_steps": 0}),
        ("TangentialGuider", {"cfg": 4.0}),
        ("FrequencyGuider", {"low_cfg": 2.0, "high_cfg": 6.0}),
        ("MagnitudeGuider", {"cfg": 4.0}),
        ("ThresholdGuider", {"cfg": 4.0, "mimic_cfg": 2.0}),
        ("AdaptiveGuider", {"cfg": 4.0, "threshold": 0.5}),
    ],
)
def test_each_guider_leads_elsewhere(kind: str, inputs: dict[str, Any]) -> None:
    found = guided(kind, **inputs)
    assert found.isfinite().all()
    assert not torch.equal(found, guided("CFGGuider", cfg=4.0))


def test_half_of_the_sampling_is_guided_for_half_of_the_cost() -> None:
    half = guided("CFGGuider", cfg=4.0, end=0.0)
    assert torch.equal(half, guided("CFGGuider", cfg=1.0))


CHURNED = {"type": "SelectSampler", "inputs": {"sampler": "euler", "s_churn": 2.0}}


@pytest.mark.parametrize(
    ("port", "changes"),
    [
        ("schedule", {"sampler": named("ddim"), "schedule": {"type": "ListedSchedule"}}),
        ("schedule", {"sampler": named("ddim")}),
        ("schedule", {"sampler": named("ddim"), "schedule": {"type": "KarrasSchedule"}}),
        ("schedule", {"sampler": named("ddim"), "schedule": {"type": "VPSchedule"}}),
        ("schedule", {"sampler": named("lcm"), "schedule": {"type": "LaplaceSchedule"}}),
        ("sampler", {"inputs": {"schedule": link("up")}, "sampler": named("heun")}),
        ("sampler", {"inputs": {"schedule": link("up")}, "sampler": CHURNED}),
    ],
)
def test_parts_that_do_not_go_together_are_found_before_running(
    port: str, changes: dict[str, Any]
) -> None:
    up = {"type": "FlipSchedule", "inputs": {"schedule": link("schedule")}}
    found = problems(parts(up=up, **changes), "sample")
    assert [(problem.node, problem.port) for problem in found] == [("sample", port)]


CFGPP = named("euler_cfg_pp")
BASIC = {"type": "BasicGuider", "inputs": {"conditioning": link("positive")}}
PROJECTED = {"type": "ProjectedGuider", "inputs": {"positive": link("positive")}}
DUAL = {
    "type": "DualCFGGuider",
    "inputs": {"positive": link("positive"), "second": link("positive")},
}
DISTILLED = {"guides_itself": True}
UNLED = {"needs_negative": False}


@pytest.mark.parametrize(
    ("model", "port", "changes"),
    [
        (DISTILLED, "sampler", {"sampler": CFGPP}),
        (DISTILLED, "guider", {"guider": PROJECTED}),
        (DISTILLED, "guider", {"guider": DUAL}),
        (UNLED, "guider", {"sampler": CFGPP}),
        (UNLED, "guider", {"sampler": CFGPP, "guider": BASIC}),
        (UNLED, "guider", {"guider": DUAL}),
    ],
)
def test_asking_a_model_as_it_can_not_be_is_found_before_running(
    model: dict[str, bool], port: str, changes: dict[str, Any]
) -> None:
    nodes = parts(**changes) | {"model": {"type": "Model", "inputs": model}}
    assert [(item.node, item.port) for item in problems(nodes, "sample")] == [("sample", port)]
    assert not problems(nodes | {"model": {"type": "Model"}}, "sample")


@pytest.mark.parametrize("kind", ["KSampler", "KSamplerAdvanced", "DenoisingSteps"])
@pytest.mark.parametrize(("model", "port"), [(DISTILLED, "sampler"), (UNLED, "negative")])
def test_samplers_that_ask_without_guidance_are_found_before_running(
    kind: str, model: dict[str, bool], port: str
) -> None:
    def found(**inputs: Any) -> list[str | None]:
        nodes = {"sample": sampler(kind, **inputs), "model": {"type": "Model", "inputs": model}}
        return [problem.port for problem in problems(nodes, "sample")]

    assert found(sampler="euler_cfg_pp", schedule="normal") == [port]
    assert found(sampler="euler", schedule="normal") == []
    if model is UNLED:
        assert found(sampler="euler_cfg_pp", negative=link("positive")) == []


def at_node(**inputs: Any) -> dict[str, Any]:
    return {"type": inputs.pop("kind"), "inputs": inputs}


@pytest.mark.parametrize(
    ("port", "node"),
    [
        ("sigmas", at_node(kind="ListedSchedule", sigmas="")),
        ("sigmas", at_node(kind="ListedSchedule", sigmas="1, 2, 0")),
        ("sigmas", at_node(kind="ListedSchedule", sigmas="3, nan, 0")),
        ("sigmas", at_node(kind="ListedSchedule", sigmas="3, inf")),
        ("sigmas", at_node(kind="ListedSchedule", sigmas="3, two, 0")),
        ("sigmas", at_node(kind="ListedSchedule", sigmas="3, 1, -1")),
        ("sigma_min", at_node(kind="KarrasSchedule", sigma_max=1.0, sigma_min=2.0)),
        ("steps", at_node(kind="SDTurboSchedule", steps=11)),
        ("denoise", at_node(kind="BasicSchedule", steps=5, denoise=0.1)),
    ],
)
def test_levels_that_cannot_be_walked_are_found_before_running(port: str, node: Any) -> None:
    (found,) = problems(parts(schedule=node), "sample")
    assert (found.node, found.port) == ("schedule", port)


def test_guidance_that_ends_before_it_begins_is_found_before_running() -> None:
    guider = at_node(kind="CFGGuider", positive=link("positive"), start=0.8, end=0.2)
    (found,) = problems(parts(guider=guider), "sample")
    assert (found.node, found.port) == ("guider", "start")


@pytest.mark.parametrize("step", [0, 5, 9])
def test_a_cut_beyond_the_end_is_found_before_running(step: int) -> None:
    found = problems(parts(half=cut(step), inputs={"schedule": link("half.low")}), "sample")
    assert [(problem.node, problem.port) for problem in found] == [("half", "step")]


@pytest.mark.parametrize(
    ("port", "change"),
    [
        ("end_step", {"end_step": 6}),
        ("start_step", {"start_step": 5}),
        ("start_step", {"start_step": 3, "end_step": 3}),
        ("schedule", {"sampler": "ddim", "schedule": "karras"}),
        ("steps", {"steps": 0}),
    ],
)
def test_steps_that_there_are_not_are_found_before_running(port: str, change: Any) -> None:
    node = sampler("KSamplerAdvanced", **SETTINGS | change)
    found = problems({"sample": node}, "sample")
    assert [(problem.node, problem.port) for problem in found] == [("sample", port)]


@pytest.mark.parametrize(
    ("said", "changes"),
    [
        (
            "input `schedule`.*above the model's maximum.*at most 14.6",
            {"schedule": at_node(kind="ListedSchedule", sigmas="80, 2, 0")},
        ),
        (
            "input `schedule`.*above the model's maximum",
            {"schedule": at_node(kind="KarrasSchedule", sigma_max=80.0)},
        ),
        ("input `latent`.*nothing to sample", {"noise": {"type": "NoNoise"}}),
        (
            "input `guider`.*no default empty one",
            {
                "sampler": named("euler_cfg_pp"),
                "guider": at_node(kind="BasicGuider", conditioning=link("alone")),
            },
        ),
        (
            "input `latent`.*mask before|input `latent`.*SetNoiseMask before",
            {"noise": {"type": "NoNoise"}, "inputs": {"latent": link("late")}},
        ),
        (
            "input `guider`.*to the whole image",
            {"guider": at_node(kind="CFGGuider", positive=link("half"), cfg=2.0)},
        ),
    ],
)
def test_what_only_a_run_can_tell_is_told_before_weights_load(
    said: str, changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    early = sampler("KSamplerAdvanced", **SETTINGS, end_step=3, leave_noise=True)
    late = {"type": "SetNoiseMask", "inputs": {"latent": link("early"), "mask": link("mask")}}
    half = {"type": "Prompt", "inputs": {"empty": False, "end": 0.5}}
    alone = {"type": "Prompt", "inputs": {"empty": False}}
    nodes = parts(**changes) | {"half": half, "alone": alone}
    if "inputs" in changes:
        nodes |= {"early": early, "late": late}
    else:
        monkeypatch.setattr(sampling_graphs, "denoiser", None)
    with pytest.raises(AssertionError, match=said):
        value(nodes, "sample.latent")


def test_noise_of_another_size_is_told_at_its_port() -> None:
    large = {"type": "Picture", "inputs": {"batch": 3}}
    nodes = parts(large=large, noise={"type": "LatentNoise", "inputs": {"latent": link("large")}})
    with pytest.raises(AssertionError, match=r"`sample`.*input `noise`.*does not fit"):
        value(nodes, "sample.latent")


def test_noise_left_at_another_level_is_warned_of() -> None:
    events: list[Event] = []
    nodes = two_advanced("euler", 3)
    nodes["sample"]["inputs"]["start_step"] = 1
    value(nodes, "sample.latent", events.append)
    told = [event.data["message"] for event in events if event.kind == "log"]
    assert any("too noisy or too smooth" in message for message in told)


def test_levels_can_be_looked_at() -> None:
    inputs = {"model": link("model"), "schedule": link("half.low")}
    nodes = parts(half=cut(2), levels={"type": "ScheduleLevels", "inputs": inputs})
    low = value(nodes, "levels.numbers")
    nodes["levels"]["inputs"]["schedule"] = link("schedule")
    whole = value(nodes, "levels.numbers")
    assert whole[2:] == low
    assert (len(whole), whole[-1]) == (6, 0.0)


def test_a_latent_that_has_no_noise_left_says_so() -> None:
    assert Latent(None, 64, 64).leftover is None


@pytest.mark.parametrize("name", ["euler", "euler_ancestral"])
def test_parts_draw_and_count_as_ksampler_does(name: str) -> None:
    asked = {"draw": "per batch"}
    counted = {"denoise": 0.5, "denoise_steps": "all"}
    basic = {"type": "BasicSchedule", "inputs": {"steps": 5, **counted}}
    latent = {"type": "Picture", "inputs": {"batch": 2}}
    alone = sampler(**SETTINGS | {"sampler": name}, **asked, **counted, latent=link("two.latent"))
    expected = value({"two": latent, "sample": alone}, "sample.latent")
    noise = {"type": "RandomNoise", "inputs": {"seed": 5, **asked}}
    nodes = parts(
        two=latent,
        noise=noise,
        sampler=named(name),
        schedule=basic,
        inputs={"latent": link("two.latent")},
    )
    assert torch.equal(value(nodes, "sample.latent").samples, expected.samples)
    assert not torch.equal(
        value(
            {"two": latent, "sample": sampler(**SETTINGS, **counted, latent=link("two.latent"))},
            "sample.latent",
        ).samples,
        expected.samples,
    )


@pytest.mark.parametrize("name", ["dpm_2", "dpmpp_2m", "lcm", "uni_pc"])
def test_parts_follow_a_convention_as_ksampler_does(name: str) -> None:
    settings = {"schedule": "simple", "steps": 5}
    asked = {"convention": "comfyui"}
    alone = sampler(**SETTINGS | {"sampler": name}, **asked, schedule="simple")
    expected = value({"sample": alone}, "sample.latent")
    drops = {"drop_last": name in ("dpm_2", "uni_pc")}
    basic = {"type": "BasicSchedule", "inputs": settings | drops}
    nodes = parts(sampler=named(name), schedule=basic, inputs=asked)
    assert torch.equal(value(nodes, "sample.latent").samples, expected.samples)
    [first, *_] = value(
        nodes
        | {
            "levels": {
                "type": "ScheduleLevels",
                "inputs": {"model": link("model"), "schedule": link("schedule"), **asked},
            }
        },
        "levels.numbers",
    )
    assert first == pytest.approx(14.6146, rel=1e-4)


def test_two_parts_of_a_sampling_by_a_convention_are_the_whole() -> None:
    settings = {**SETTINGS, "schedule": "karras", "convention": "comfyui", "draw": "per batch"}
    nodes = {
        "whole": sampler("KSamplerAdvanced", **settings),
        "first": sampler("KSamplerAdvanced", **settings, end_step=3, leave_noise=True),
        "second": sampler(
            "KSamplerAdvanced",
            **settings,
            start_step=3,
            add_noise=False,
            latent=link("first.latent"),
        ),
    }
    expected, found = (value(nodes, f"{name}.latent").samples for name in ("whole", "second"))
    assert torch.equal(found, expected)


def test_lcm_follows_any_schedule_by_a_convention_alone() -> None:
    settings = {**SETTINGS, "sampler": "lcm", "schedule": "karras"}
    assert problems({"sample": sampler(**settings)}, "sample")
    freed = {"sample": sampler(**settings, convention="comfyui")}
    assert problems(freed, "sample") == []
    assert value(freed, "sample.latent").samples.isfinite().all()
    nodes = parts(sampler=named("lcm"), inputs={"convention": "comfyui"})
    assert problems(nodes, "sample") == []
    assert torch.equal(value(nodes, "sample.latent").samples, value(freed, "sample.latent").samples)
