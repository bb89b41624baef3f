"""Values that a pack lends to native nodes of all kinds that sample."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from time import sleep
from typing import Any

import pytest
import torch

from nodegraph import Session, Settings
from nodegraph.engine.options import CancelToken
from nodegraph.engine.result import RunResult
from tests.compat.comfyui_packs.conftest import comfy_pack
from tests.compat.comfyui_packs.test_stand_ins_sampling import native
from tests.nodes.conftest import Picture, link

pytestmark = pytest.mark.slow

PACK = """
import time
from pathlib import Path

import comfy.sample
import comfy.samplers

FACTOR = 0.5


class Patch:
    @classmethod
    def INPUT_TYPES(cls):
        texts = {"kind": ("STRING", {}), "file": ("STRING", {"default": ""})}
        return {"required": {"model": ("MODEL",), **texts}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "run"

    def run(self, model, kind, file):
        patched = model.clone()

        def post(args):
            if kind == "slow":
                Path(file).write_text("")
                time.sleep(0.1)
            if kind == "same":
                return args["denoised"]
            return args["denoised"] * FACTOR

        def cfg(args):
            return args["uncond"] + (args["cond"] - args["uncond"]) * args["cond_scale"]

        if kind == "cfg":
            patched.set_model_sampler_cfg_function(cfg)
        elif kind != "clone":
            patched.set_model_sampler_post_cfg_function(post)
        return (patched,)


def euler(model, x, sigmas, extra_args=None, callback=None, disable=None):
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones([len(x)]), **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "denoised": denoised})
        x = x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i])
    return x


class Noise:
    seed = 5

    def generate_noise(self, latent):
        return comfy.sample.prepare_noise(latent["samples"], 5)


class Parts:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {}}

    RETURN_TYPES = ("SAMPLER", "NOISE")
    FUNCTION = "run"

    def run(self):
        return comfy.samplers.KSAMPLER(euler), Noise()


class Guide:
    @classmethod
    def INPUT_TYPES(cls):
        kinds = {"model": "MODEL", "positive": "CONDITIONING", "negative": "CONDITIONING"}
        return {"required": {name: (kind,) for name, kind in kinds.items()}}

    RETURN_TYPES = ("GUIDER",)
    FUNCTION = "run"

    def run(self, model, positive, negative):
        guider = comfy.samplers.CFGGuider(model)
        guider.set_conds(positive, negative)
        guider.set_cfg(6.0)
        return (guider,)


NODE_CLASS_MAPPINGS = {kind.__name__: kind for kind in (Patch, Parts, Guide)}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packs") / "runs"
    folder.mkdir()
    (folder / "__init__.py").write_text(PACK)
    return folder


@pytest.fixture(scope="module")
def session(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    home: Path = tmp_path_factory.mktemp("home")
    packs = [comfy_pack(folder)]
    with Session(Settings(home=home, device="cpu"), packs=packs, nodes=[Picture]) as session:
        yield session


def run(session: Session, nodes: dict[str, Any], *targets: str, **options: Any) -> RunResult:
    return session.run({"format": "nodegraph/1", "nodes": nodes}, targets=[*targets], **options)


def samples(session: Session, nodes: dict[str, Any], target: str = "sample") -> torch.Tensor:
    result = run(session, nodes, target)
    assert not result.errors
    found: torch.Tensor = result[target if "." in target else f"{target}.latent"].samples
    return found


def with_patch(
    nodes: dict[str, Any], kind: str, *sampled: str, file: object = ""
) -> dict[str, Any]:
    """The same nodes, where those that sample take the pack's model."""
    inputs = {"model": link("load.model"), "kind": kind, "file": str(file)}
    changed = {name: {**each, "inputs": {**each["inputs"]}} for name, each in nodes.items()}
    for name in sampled or ("sample",):
        changed[name]["inputs"]["model"] = link("patch")
    return {**changed, "patch": {"type": "runs:Patch", "inputs": inputs}}


@pytest.mark.parametrize("kind", ["clone", "same", "cfg"])
@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m"])
def test_a_patch_that_changes_nothing_gives_the_same_bits(
    session: Session, kind: str, sampler: str
) -> None:
    nodes = native(sampler=sampler)
    same = samples(session, with_patch(nodes, kind))
    expected = samples(session, nodes)
    if kind == "cfg":
        torch.testing.assert_close(same, expected, atol=1e-4, rtol=1e-4)
    else:
        assert torch.equal(same, expected)


def controlled() -> dict[str, Any]:
    nodes = native(sampler="euler")
    nodes["net"] = {"type": "LoadControlNet", "inputs": {}}
    nodes["picture"] = {"type": "Picture", "inputs": {"width": 64, "height": 64}}
    inputs = {"positive": link("positive"), "control_net": link("net"), "image": link("picture")}
    inputs["negative"] = link("negative")
    nodes["lead"] = {"type": "ApplyControlNet", "inputs": {**inputs, "start": 0.2, "end": 0.8}}
    for name in ("positive", "negative"):
        nodes["sample"]["inputs"][name] = link(f"lead.{name}")
    return nodes


def test_a_control_network_leads_a_patched_model(session: Session) -> None:
    nodes = controlled()
    led = samples(session, nodes)
    assert torch.equal(samples(session, with_patch(nodes, "same")), led)
    assert not torch.equal(led, samples(session, native(sampler="euler")))
    halved = samples(session, with_patch(nodes, "halve"))
    plain = samples(session, with_patch(native(sampler="euler"), "halve"))
    assert not torch.equal(halved, led)
    assert not torch.equal(halved, plain)


def regions(**detail: Any) -> dict[str, Any]:
    size = {"width": 128, "height": 64}
    nodes: dict[str, tuple[str, dict[str, Any]]] = {
        "picture": ("Picture", size),
        "load": ("LoadModel", {"model": "tiny"}),
        "words": ("EncodePrompt", {"encoder": link("load.text_encoder"), "text": "a red apple"}),
        "boxes": ("MaskFromBoxes", {**size, "boxes": "8 8 40 40\n80 10 30 40", "unit": "pixels"}),
        "regions": ("RegionsFromMask", {"mask": link("boxes"), "crop": 1.0, "smallest": 2}),
        "net": ("LoadControlNet", {}),
        "led": (
            "ApplyControlNet",
            {"positive": link("words"), "control_net": link("net"), "image": link("picture")},
        ),
        "detail": (
            "DetailRegions",
            {
                "model": link("load.model"),
                "vae": link("load.vae"),
                "encoder": link("load.text_encoder"),
                "image": link("picture"),
                "regions": link("regions"),
                "positive": link("led.positive"),
                "size": 64,
                "largest": 64,
                "steps": 2,
                "sampler": "euler",
                "feather": 0,
                **detail,
            },
        ),
    }
    return {name: {"type": kind, "inputs": inputs} for name, (kind, inputs) in nodes.items()}


@pytest.mark.parametrize("detail", [{}, {"prompts": "a fox [SEP] a hare"}, {"cycles": 2}])
def test_regions_are_painted_with_a_patched_model(session: Session, detail: dict[str, Any]) -> None:
    nodes = regions(**detail)
    plain, same, halved = (
        run(session, each, "detail")
        for each in (nodes, with_patch(nodes, "same", "detail"), with_patch(nodes, "h", "detail"))
    )
    assert not [*plain.errors, *same.errors, *halved.errors]
    assert torch.equal(plain["detail.image"], same["detail.image"])
    changed = (plain["detail.image"] != halved["detail.image"]).any(-1)[0]
    assert changed[8:48, 8:48].any()
    assert changed[10:50, 80:110].any()


def test_regions_are_painted_with_a_guider_of_the_pack(session: Session) -> None:
    nodes = regions(convention="comfyui", draw="per batch", guider=link("guider"))
    del nodes["detail"]["inputs"]["positive"], nodes["detail"]["inputs"]["model"]
    nodes["detail"]["inputs"]["model"] = link("load.model")
    nodes["negative"] = {**nodes["words"], "inputs": {**nodes["words"]["inputs"], "text": ""}}
    prompts = {"positive": link("words"), "negative": link("negative")}
    nodes["guider"] = {"type": "CFGGuider", "inputs": {**prompts, "cfg": 6.0}}
    nodes["guide"] = {"type": "runs:Guide", "inputs": {**prompts, "model": link("load.model")}}
    expected = run(session, nodes, "detail")
    nodes["detail"]["inputs"]["guider"] = link("guide")
    result = run(session, nodes, "detail")
    assert not [*expected.errors, *result.errors]
    images = result["detail.image"], expected["detail.image"]
    torch.testing.assert_close(*images, atol=1e-4, rtol=0)
    assert result.nodes["detail"].status == "ran"


def two_passes(sampler: str = "euler") -> dict[str, Any]:
    nodes = native(sampler=sampler, kind="KSamplerAdvanced", leave_noise=True, end_step=2)
    inputs = {**nodes["sample"]["inputs"], "latent": link("sample"), "add_noise": False}
    inputs |= {"start_step": 2, "end_step": None, "leave_noise": False}
    nodes["second"] = {"type": "KSamplerAdvanced", "inputs": inputs}
    return nodes


def test_two_passes_of_a_patched_model_are_one(session: Session) -> None:
    nodes, whole, both = two_passes("euler"), native(sampler="euler"), ("sample", "second")
    same, halved = (
        samples(session, with_patch(nodes, kind, *both), "second") for kind in ("same", "halve")
    )
    assert torch.equal(same, samples(session, whole))
    assert torch.equal(halved, samples(session, with_patch(whole, "halve")))


def test_two_passes_that_draw_noise_on_the_way(session: Session) -> None:
    nodes = two_passes("euler_ancestral")
    same = with_patch(nodes, "same", "sample", "second")
    assert torch.equal(samples(session, same, "second"), samples(session, nodes, "second"))


@pytest.mark.parametrize("kind", ["same", "halve"])
def test_each_item_of_a_batch_has_its_own_seed(session: Session, kind: str) -> None:
    nodes = native(sampler="euler_ancestral", draw="per item")
    nodes["empty"]["inputs"]["batch_size"] = 3
    batch = samples(session, with_patch(nodes, kind))
    if kind == "same":
        assert torch.equal(batch, samples(session, nodes))
    nodes["empty"]["inputs"]["batch_size"] = 1
    for item in range(3):
        nodes["sample"]["inputs"]["seed"] = 5 + item
        single = samples(session, with_patch(nodes, kind))
        torch.testing.assert_close(batch[item : item + 1], single, atol=1e-4, rtol=1e-4)


def custom(**inputs: Any) -> dict[str, Any]:
    nodes = native(sampler="euler")
    del nodes["sample"]
    guided = {name: link(name) for name in ("positive", "negative")}
    nodes["parts"] = {"type": "runs:Parts", "inputs": {}}
    nodes["guider"] = {"type": "CFGGuider", "inputs": guided | {"cfg": 6.0}}
    nodes["noise"] = {"type": "RandomNoise", "inputs": {"seed": 5, "draw": "per batch"}}
    nodes["sampler"] = {"type": "SelectSampler", "inputs": {"sampler": "euler"}}
    nodes["schedule"] = {"type": "BasicSchedule", "inputs": {"schedule": "normal", "steps": 4}}
    parts = {name: link(name) for name in ("noise", "guider", "sampler", "schedule")}
    parts |= {"model": link("load.model"), "latent": link("empty"), "convention": "comfyui"}
    nodes["sample"] = {"type": "SampleCustom", "inputs": parts | inputs}
    return nodes


GUIDERS: dict[str, dict[str, Any]] = {
    "LimitGuidance": {"start": 0.3, "end": 0.7},
    "ChangingGuidance": {},
    "PerturbedAttentionGuidance": {},
    "SelfAttentionGuidance": {},
    "AddNegative": {"negative": link("positive")},
    "TiledGuidance": {"tile_width": 64, "tile_height": 64},
    "PositiveBiasedGuidance": {},
    "ToneMapGuidance": {},
}
METHODS = (
    *("BasicGuider", "ProjectedGuider", "ZeroStarGuider", "TangentialGuider", "FrequencyGuider"),
    *("MagnitudeGuider", "AdaptiveGuider", "ThresholdGuider"),
)


@pytest.mark.parametrize("kind", [*GUIDERS, *METHODS])
def test_functions_that_change_nothing_change_no_bit_of_any_guidance(
    session: Session, kind: str
) -> None:
    nodes = custom()
    if kind in GUIDERS:
        inputs = {"guider": link("guider"), **GUIDERS[kind]}
        if kind == "TiledGuidance":
            nodes["empty"]["inputs"] |= {"width": 128, "height": 64}
        nodes["other"] = {"type": kind, "inputs": inputs}
    elif kind == "BasicGuider":
        nodes["other"] = {"type": kind, "inputs": {"conditioning": link("positive")}}
    else:
        prompts = {"positive": link("positive"), "negative": link("negative")}
        nodes["other"] = {"type": kind, "inputs": prompts}
    nodes["sample"]["inputs"]["guider"] = link("other")
    plain, same = run(session, nodes, "sample"), run(session, with_patch(nodes, "same"), "sample")
    assert [str(error) for error in plain.errors] == [] == [str(error) for error in same.errors]
    assert torch.equal(plain["sample.latent"].samples, same["sample.latent"].samples)
    assert torch.equal(plain["sample.denoised"].samples, same["sample.denoised"].samples)


@pytest.mark.parametrize("kind", ["LimitGuidance", "ChangingGuidance"])
def test_a_function_that_guides_rests_where_guidance_does(session: Session, kind: str) -> None:
    nodes = custom()
    nodes["other"] = {"type": kind, "inputs": {"guider": link("guider"), **GUIDERS[kind]}}
    nodes["sample"]["inputs"]["guider"] = link("other")
    guided = samples(session, with_patch(nodes, "cfg"))
    torch.testing.assert_close(guided, samples(session, nodes), atol=1e-4, rtol=1e-4)


def placed(nodes: dict[str, Any], kind: str) -> dict[str, Any]:
    """With a positive prompt of two, of which the second has a place or a span."""
    more = {
        "area": {"type": "AreaConditioning", "inputs": {"conditioning": link("negative")}},
        "cut": {
            "type": "AreaConditioning",
            "inputs": {"conditioning": link("negative"), "sampled": "area"},
        },
        "mask": {
            "type": "MaskConditioning",
            "inputs": {"conditioning": link("negative"), "mask": link("half")},
        },
        "span": {
            "type": "SpanConditioning",
            "inputs": {"conditioning": link("negative"), "start": 0.5},
        },
        "strength": {
            "type": "StrengthConditioning",
            "inputs": {"conditioning": link("negative"), "strength": 0.3},
        },
    }[kind]
    size = {"width": 64, "height": 64}
    nodes = {**nodes, "half": {"type": "SolidMask", "inputs": {**size, "value": 0.5}}}
    both = {"first": link("positive"), "second": link("place")}
    nodes["both"] = {"type": "CombineConditioning", "inputs": both}
    return {**nodes, "place": more}


@pytest.mark.parametrize("kind", ["area", "cut", "mask", "span", "strength"])
def test_a_guider_of_the_pack_keeps_places_and_spans(session: Session, kind: str) -> None:
    nodes = placed(custom(), kind)
    nodes["guider"]["inputs"]["positive"] = link("both")
    expected = samples(session, nodes)
    without = custom()
    assert not torch.equal(expected, samples(session, without))
    guide = {"model": link("load.model"), "positive": link("both"), "negative": link("negative")}
    nodes["guide"] = {"type": "runs:Guide", "inputs": guide}
    nodes["sample"]["inputs"]["guider"] = link("guide")
    del nodes["sample"]["inputs"]["model"]
    torch.testing.assert_close(samples(session, nodes), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["area", "cut", "mask", "span", "strength"])
def test_a_sampler_of_the_pack_keeps_places_and_spans(session: Session, kind: str) -> None:
    nodes = placed(custom(), kind)
    nodes["guider"]["inputs"]["positive"] = link("both")
    expected = samples(session, nodes)
    nodes["sample"]["inputs"]["sampler"] = link("parts.sampler")
    torch.testing.assert_close(samples(session, nodes), expected, atol=1e-4, rtol=1e-4)


def test_a_part_of_a_schedule_by_a_sampler_of_the_pack_is_refused(session: Session) -> None:
    nodes = custom()
    whole = samples(session, nodes)
    nodes["split"] = {"type": "SplitSchedule", "inputs": {"schedule": link("schedule"), "step": 2}}
    nodes["none"] = {"type": "NoNoise", "inputs": {}}
    second = {**nodes["sample"]["inputs"], "latent": link("sample.latent"), "noise": link("none")}
    nodes["second"] = {"type": "SampleCustom", "inputs": second}
    nodes["sample"]["inputs"]["schedule"] = link("split.high")
    nodes["second"]["inputs"]["schedule"] = link("split.low")
    torch.testing.assert_close(samples(session, nodes, "second"), whole, atol=1e-5, rtol=1e-5)
    for name in ("second", "sample"):
        nodes[name]["inputs"]["sampler"] = link("parts.sampler")
        [error] = run(session, nodes, "second").errors
        assert f"node `{name}` (SampleCustom), input `schedule`: a sampler or guider" in str(error)


def test_a_cancelled_run_leaves_the_next_one_alone(session: Session, tmp_path: Path) -> None:
    nodes = native(sampler="euler", seed=77, steps=6)
    file = tmp_path / "began"
    slow, cancel = with_patch(nodes, "slow", file=file), CancelToken()
    results: list[RunResult] = []
    thread = Thread(target=lambda: results.append(run(session, slow, "sample", cancel=cancel)))
    thread.start()
    while not file.exists():
        sleep(0.02)
    cancel.cancel()
    thread.join()
    assert results[0].status == "cancelled"
    again = samples(session, slow)
    assert torch.equal(again, samples(session, with_patch(nodes, "halve")))


def test_an_item_of_the_pack_s_noise_is_that_of_its_batch(session: Session) -> None:
    nodes = custom(noise=link("parts.noise"))
    nodes["empty"]["inputs"]["batch_size"] = 3
    batch = samples(session, with_patch(nodes, "halve"))
    assert torch.equal(batch, samples(session, with_patch(nodes, "halve")))
    nodes["noise"]["inputs"]["seed"] = 5
    nodes["sample"]["inputs"]["noise"] = link("noise")
    assert torch.equal(batch, samples(session, with_patch(nodes, "halve")))


def test_spans_of_prompts_hold_for_a_patched_model(session: Session) -> None:
    nodes = native(sampler="euler")
    nodes["halved"] = with_patch(nodes, "halve")["patch"]
    guided = {"positive": link("positive"), "negative": link("negative")}
    nodes["limit"] = {
        "type": "SpanConditioning",
        "inputs": {"conditioning": link("positive"), "end": 0.5},
    }
    nodes["other"] = {
        "type": "SpanConditioning",
        "inputs": {"conditioning": link("negative"), "start": 0.5},
    }
    nodes["both"] = {
        "type": "CombineConditioning",
        "inputs": {"first": link("limit"), "second": link("other")},
    }
    nodes["sample"]["inputs"] |= guided | {"positive": link("both")}
    plain, same = samples(session, nodes), samples(session, with_patch(nodes, "same"))
    assert torch.equal(plain, same)


def test_a_mask_holds_in_a_sampling_of_a_patched_model(session: Session) -> None:
    nodes = native(sampler="dpmpp_2m", denoise=0.6)
    nodes["first"] = {**native(sampler="euler")["sample"]}
    nodes["half"] = {
        "type": "MaskFromBoxes",
        "inputs": {"width": 64, "height": 64, "boxes": "0 0 32 64", "unit": "pixels"},
    }
    nodes["masked"] = {
        "type": "SetNoiseMask",
        "inputs": {"latent": link("first"), "mask": link("half")},
    }
    nodes["sample"]["inputs"]["latent"] = link("masked")
    plain, same = samples(session, nodes), samples(session, with_patch(nodes, "same"))
    assert torch.equal(plain, same)
    halved = samples(session, with_patch(nodes, "halve"))
    assert torch.equal(halved[..., 4:], plain[..., 4:])
    assert not torch.equal(halved, plain)


def test_an_edit_of_the_pack_is_seen(session: Session, folder: Path) -> None:
    nodes = with_patch(native(sampler="euler"), "halve")
    before = samples(session, nodes)
    text = (folder / "__init__.py").read_text()
    (folder / "__init__.py").write_text(text.replace("FACTOR = 0.5", "FACTOR = 0.25"))
    after = samples(session, nodes)
    assert not torch.equal(before, after)
    (folder / "__init__.py").write_text(text)
    assert torch.equal(samples(session, nodes), before)
