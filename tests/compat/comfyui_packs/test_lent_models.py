"""Models that a pack patched, and samplers and noise of its own, in native nodes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph import Session, Settings
from nodegraph.engine.result import RunResult
from tests.compat.comfyui_packs.conftest import comfy_pack
from tests.compat.comfyui_packs.test_stand_ins_sampling import native
from tests.nodes.conftest import link

pytestmark = pytest.mark.slow

PATCH = """
import os
import comfy.sample
import comfy.samplers
import nodes
import torch


class Patch:
    @classmethod
    def INPUT_TYPES(cls):
        kinds = ["halve", "look", "fail", "end", "rescale", "mask"]
        return {"required": {"model": ("MODEL",), "kind": (kinds,)}}

    RETURN_TYPES = ("MODEL",)
    FUNCTION = "run"

    def run(self, model, kind):
        patched = model.clone()

        def post(args):
            if kind == "fail":
                raise ValueError("the function is faulty")
            if kind == "end":
                os._exit(3)
            if kind == "look":
                # What a function may look at is as in ComfyUI, and it may ask for more.
                assert args["cond"][0][0].shape == args["uncond"][0][0].shape
                assert patched.model_sampling.percent_to_sigma(0.5) > 0
                levels = args["model_options"]["transformer_options"]["sample_sigmas"]
                assert float(args["sigma"][0]) in levels.tolist()
            return args["denoised"] / 2

        if kind == "rescale":
            from comfy_extras.nodes_model_advanced import RescaleCFG
            return RescaleCFG().patch(patched, 0.7)
        if kind == "mask":
            patched.set_model_denoise_mask_function(lambda sigma, mask, extra_options: mask * 0)
        else:
            patched.set_model_sampler_post_cfg_function(post)
        return (patched,)


class Sample:
    @classmethod
    def INPUT_TYPES(cls):
        kinds = {"model": "MODEL", "positive": "CONDITIONING", "negative": "CONDITIONING"}
        kinds["latent"] = "LATENT"
        return {"required": {name: (kind,) for name, kind in kinds.items()}}

    RETURN_TYPES = ("LATENT",)
    FUNCTION = "run"

    def run(self, **values):
        numbers = {"seed": 5, "steps": 4, "cfg": 6.0}
        names = {"sampler_name": "euler", "scheduler": "normal", "denoise": 1.0}
        values["latent_image"] = values.pop("latent")
        return nodes.KSampler().sample(**numbers, **names, **values)


def euler(model, x, sigmas, extra_args=None, callback=None, disable=None, **options):
    for i in range(len(sigmas) - 1):
        denoised = model(x, sigmas[i] * x.new_ones([len(x)]), **extra_args)
        if callback is not None:
            callback({"x": x, "i": i, "sigma": sigmas[i], "denoised": denoised})
        x = x + (x - denoised) / sigmas[i] * (sigmas[i + 1] - sigmas[i])
    return x


def cut(model, x, sigmas, extra_args=None, callback=None, disable=None, **options):
    return euler(model, x, sigmas, extra_args, callback)[..., 1:]


class Noise:
    def __init__(self, shape):
        self.seed, self.shape = 5, shape

    def generate_noise(self, latent):
        noise = comfy.sample.prepare_noise(latent["samples"], self.seed)
        return noise[..., 1:] if self.shape == "wrong" else noise


class Parts:
    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"sampler": (["euler", "cut"],), "noise": (["right", "wrong"],)}}

    RETURN_TYPES = ("SAMPLER", "NOISE")
    FUNCTION = "run"

    def run(self, sampler, noise):
        return comfy.samplers.KSAMPLER(globals()[sampler]), Noise(noise)


NODE_CLASS_MAPPINGS = {"Patch": Patch, "Sample": Sample, "Parts": Parts}
"""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    folder = tmp_path_factory.mktemp("packs")
    packs = []
    for name in ("patches", "others"):
        (folder / name).mkdir()
        (folder / name / "__init__.py").write_text(PATCH)
        packs.append(comfy_pack(folder / name))
    home: Path = tmp_path_factory.mktemp("home")
    with Session(Settings(home=home, device="cpu"), packs=packs) as session:
        yield session


def patched(kind: str, **settings: Any) -> dict[str, Any]:
    """A native sampling of a patched model, and one in the pack's own process."""
    nodes = native(sampler="euler", **settings)
    inputs = {"model": link("load.model"), "kind": kind}
    nodes["patch"] = {"type": "patches:Patch", "inputs": inputs}
    sampled = nodes["sample"]["inputs"]
    sampled["model"] = link("patch")
    names = ("model", "positive", "negative", "latent")
    nodes["own"] = {"type": "patches:Sample", "inputs": {name: sampled[name] for name in names}}
    return nodes


def run(session: Session, nodes: dict[str, Any], *targets: str) -> RunResult:
    return session.run({"format": "nodegraph/1", "nodes": nodes}, targets=[*targets])


@pytest.mark.parametrize("kind", ["halve", "look", "rescale"])
def test_a_native_node_samples_as_the_packs_own(session: Session, kind: str) -> None:
    result = run(session, patched(kind), "own", "sample")
    assert not result.errors
    assert torch.equal(result["own"].samples, result["sample"].samples)
    plain = run(session, native(sampler="euler"), "sample")["sample"].samples
    assert not torch.allclose(result["sample"].samples, plain, atol=1e-2)


def test_a_function_changes_the_noise_mask(session: Session) -> None:
    nodes = patched("mask")
    nodes["mask"] = {"type": "SolidMask", "inputs": {"width": 64, "height": 64, "value": 1.0}}
    inputs = {"latent": link("empty"), "mask": link("mask")}
    nodes["masked"] = {"type": "SetNoiseMask", "inputs": inputs}
    for name in ("sample", "own"):
        nodes[name]["inputs"]["latent"] = link("masked")
    result = run(session, nodes, "own", "sample")
    assert not result.errors
    assert torch.equal(result["own"].samples, result["sample"].samples)


def test_a_native_node_passes_the_patches_on(session: Session) -> None:
    nodes = patched("halve")
    expected = run(session, nodes, "sample")["sample"].samples
    numbers = {"b1": 1.3, "b2": 1.4, "s1": 0.9, "s2": 0.2}
    freeu = {"type": "FreeU", "inputs": {"model": link("patch"), **numbers}}
    nodes = {**nodes, "freeu": freeu}
    nodes["sample"]["inputs"]["model"] = nodes["own"]["inputs"]["model"] = link("freeu")
    result = run(session, nodes, "own", "sample")
    assert not result.errors
    assert torch.equal(result["own"].samples, result["sample"].samples)
    assert not torch.allclose(result["sample"].samples, expected, atol=1e-3)


def test_the_result_is_kept_as_others_are(session: Session) -> None:
    nodes = patched("halve", seed=77)
    first = run(session, nodes, "sample")
    second = run(session, nodes, "sample")
    assert first.nodes["sample"].status == "ran"
    assert second.nodes["sample"].status == "cached"


def test_a_patched_model_of_a_prompt_is_refused(session: Session) -> None:
    """The mix would leave the patches out without a word."""
    nodes = patched("halve")
    inputs = {"conditioning": link("positive"), "model": link("patch")}
    nodes["mix"] = {"type": "ModelConditioning", "inputs": inputs}
    [error] = run(session, nodes, "mix").errors
    assert "cannot use a model, sampler or noise of a pack" in str(error)


def test_a_native_node_that_does_not_sample_refuses_a_patched_model(session: Session) -> None:
    nodes = patched("halve")
    nodes["basic"] = {"type": "BasicGuider", "inputs": {"conditioning": link("positive")}}
    inputs = {"guider": link("basic"), "weaker": link("patch")}
    nodes["guider"] = {"type": "AutoGuidance", "inputs": inputs}
    nodes["noise"] = {"type": "RandomNoise", "inputs": {"seed": 5}}
    nodes["sampler"] = {"type": "SelectSampler", "inputs": {"sampler": "euler"}}
    nodes["schedule"] = {"type": "BasicSchedule", "inputs": {"steps": 2}}
    parts = {name: link(name) for name in ("noise", "guider", "sampler", "schedule")}
    parts |= {"model": link("load.model"), "latent": link("empty")}
    nodes["custom"] = {"type": "SampleCustom", "inputs": parts}
    [error] = run(session, nodes, "custom").errors
    assert "node `guider`" in str(error)
    assert "cannot use a model, sampler or noise of a pack" in str(error)


@pytest.mark.parametrize(
    ("kind", "message"),
    [("fail", "the function is faulty"), ("end", "ended")],
)
def test_a_faulty_function_fails_the_node_that_samples(
    session: Session, kind: str, message: str
) -> None:
    nodes = patched(kind)
    nodes["other"] = native(sampler="euler", seed=8)["sample"]
    result = run(session, nodes, "sample", "other")
    [error] = result.errors
    assert "node `sample`" in str(error)
    assert message in str(error)
    assert result["other"].samples is not None


def test_two_packs_lend_their_models_to_one_node(session: Session) -> None:
    nodes = patched("halve")
    nodes["second"] = {"type": "others:Patch", "inputs": {**nodes["patch"]["inputs"]}}
    inputs = {"model": link("patch"), "second": link("second")}
    nodes["merge"] = {"type": "MergeModels", "inputs": inputs}
    # It reads the weights, so it has both models by then.
    [error] = run(session, nodes, "merge").errors
    assert "cannot use a model that a pack patched" in str(error)
    assert "as it was before" in str(error)


def in_parts(**inputs: Any) -> dict[str, Any]:
    """A native sampling from parts, of which some are a pack's."""
    nodes = patched("halve")
    values = {"sampler": inputs.pop("kind", "euler"), "noise": inputs.pop("shape", "right")}
    nodes["parts"] = {"type": "patches:Parts", "inputs": values}
    guided = {name: link(name) for name in ("positive", "negative")} | {"cfg": 6.0}
    nodes["guider"] = {"type": "CFGGuider", "inputs": guided}
    nodes["noise"] = {"type": "RandomNoise", "inputs": {"seed": 5, "draw": "per batch"}}
    nodes["sampler"] = {"type": "SelectSampler", "inputs": {"sampler": "euler"}}
    levels = {"schedule": "normal", "steps": 4}
    nodes["schedule"] = {"type": "BasicSchedule", "inputs": levels}
    parts = {name: link(name) for name in ("noise", "guider", "sampler", "schedule")}
    parts |= {"model": link("load.model"), "latent": link("empty"), "convention": "comfyui"}
    nodes["custom"] = {"type": "SampleCustom", "inputs": parts | inputs}
    nodes["half"] = {"type": "SplitSchedule", "inputs": {"schedule": link("schedule"), "step": 2}}
    nodes["mask"] = {"type": "SolidMask", "inputs": {"width": 64, "height": 64, "value": 0.5}}
    masked = {"latent": link("sample"), "mask": link("mask")}
    nodes["masked"] = {"type": "SetNoiseMask", "inputs": masked}
    return nodes


@pytest.mark.parametrize("latent", ["empty", "masked"])
@pytest.mark.parametrize("model", ["load.model", "patch"])
def test_a_native_node_samples_with_a_sampler_and_noise_of_the_pack(
    session: Session, model: str, latent: str
) -> None:
    shared = {"model": link(model), "latent": link(latent)}
    expected = run(session, in_parts(**shared), "custom")
    own = {"sampler": link("parts.sampler"), "noise": link("parts.noise")}
    result = run(session, in_parts(**shared, **own), "custom")
    assert not (*expected.errors, *result.errors)
    for output in ("custom.latent", "custom.denoised"):
        assert torch.allclose(result[output].samples, expected[output].samples, atol=1e-4)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (
            {"sampler": link("parts.sampler"), "schedule": link("half.high")},
            "schedule that ends at 0",
        ),
        ({"sampler": link("parts.sampler"), "kind": "cut"}, "returns no latent of its size"),
        ({"noise": link("parts.noise"), "shape": "wrong"}, "returns no noise for this latent"),
    ],
)
def test_a_sampler_or_noise_that_does_not_fit_fails_with_its_reason(
    session: Session, inputs: dict[str, Any], message: str
) -> None:
    [error] = run(session, in_parts(**inputs), "custom").errors
    assert message in str(error)
