"""Samplings by packs give the same bits as native nodes with the settings of the importer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from nodegraph.core.values import Latent
from tests.compat.comfyui_packs.direct_calls import PackBench, pack_bench
from tests.nodes.conftest import link

LOAD = """
import nodes
import comfy.sd
import comfy.samplers
import comfy.sample
import latent_preview

model, clip, vae, _ = comfy.sd.load_checkpoint_guess_config("tiny")
positive = nodes.CLIPTextEncode().encode(clip, "a (red:1.3) fox")[0]
negative = nodes.CLIPTextEncode().encode(clip, "blurry")[0]
empty = nodes.EmptyLatentImage().generate(64, 64, 2)[0]
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackBench]:
    with pack_bench(tmp_path_factory.mktemp("packs")) as made:
        yield made


def native(**settings: Any) -> dict[str, Any]:
    """The workflow that the importer makes of the same nodes."""
    encoded = {"encoder": link("load.text_encoder"), "syntax": "comfyui"}
    values = {"seed": 5, "steps": 4, "cfg": 6.0, "sampler": "euler_ancestral", "schedule": "normal"}
    values |= {"convention": "comfyui", "draw": "per batch"}
    kind = settings.pop("kind", "KSampler")
    if kind == "KSampler":
        values |= {"denoise": 1.0, "denoise_steps": "all"}
    links = {
        "model": link("load.model"),
        "positive": link("positive"),
        "negative": link("negative"),
        "latent": link("empty"),
    }
    return {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "positive": {"type": "EncodePrompt", "inputs": {**encoded, "text": "a (red:1.3) fox"}},
        "negative": {"type": "EncodePrompt", "inputs": {**encoded, "text": "blurry"}},
        "empty": {
            "type": "EmptyLatent",
            "inputs": {"width": 64, "height": 64, "batch_size": 2},
        },
        "sample": {"type": kind, "inputs": values | links | settings},
        "decode": {
            "type": "VAEDecode",
            "inputs": {"vae": link("load.vae"), "latent": link("sample.latent")},
        },
    }


def test_a_picture_by_core_nodes_is_that_of_native_nodes(bench: PackBench) -> None:
    code = (
        LOAD
        + """
def run():
    latent = nodes.common_ksampler(
        model, 5, 4, 6.0, "euler_ancestral", "normal", positive, negative, empty
    )[0]
    return nodes.VAEDecode().decode(vae, latent)[0]
"""
    )
    assert torch.equal(bench.run(code), bench.native(native(), "decode.image"))


@pytest.mark.parametrize(
    ("sampler", "ours", "scheduler", "denoise"),
    [
        ("dpmpp_2m_sde", "dpmpp_2m_sde", "karras", 1.0),
        ("uni_pc", "uni_pc_bh1", "simple", 1.0),
        ("euler", "euler", "sgm_uniform", 0.5),
    ],
)
def test_names_and_denoise_mean_what_they_mean_there(
    bench: PackBench, sampler: str, ours: str, scheduler: str, denoise: float
) -> None:
    code = (
        LOAD
        + f'''
def run():
    return nodes.KSampler().sample(
        model, 5, 4, 6.0, "{sampler}", "{scheduler}", positive, negative, empty, {denoise}
    )[0]
'''
    )
    latent = bench.run(code)
    expected = bench.native(
        native(sampler=ours, schedule=scheduler, denoise=denoise), "sample.latent"
    )
    assert torch.equal(latent["samples"], expected.samples / 0.18215)


def test_leftover_noise_crosses_to_a_second_sampler(bench: PackBench) -> None:
    code = (
        LOAD
        + """
def run():
    settings = (5, 4, 6.0, "euler", "normal", positive, negative)
    first = nodes.KSamplerAdvanced().sample(
        model, "enable", *settings, empty, 0, 2, "enable"
    )[0]
    return nodes.KSamplerAdvanced().sample(
        model, "disable", *settings, first, 2, 10000, "disable"
    )[0]
"""
    )
    whole = bench.native(native(sampler="euler"), "sample.latent")
    assert torch.equal(bench.run(code)["samples"], whole.samples / 0.18215)


def test_a_callback_sees_each_step(bench: PackBench) -> None:
    code = (
        LOAD
        + """
seen = []

def run():
    samples = comfy.sample.fix_empty_latent_channels(model, empty["samples"])
    noise = comfy.sample.prepare_noise(samples, 5)
    made = comfy.sample.sample(
        model, noise, 4, 6.0, "euler_ancestral", "normal", positive, negative, samples, seed=5,
        callback=lambda step, x0, x, total: seen.append((step, total, tuple(x0.shape))),
    )
    return made, seen
"""
    )
    samples, seen = bench.run(code)
    assert seen == [(step, 4, (2, 8, 8, 8)) for step in range(4)]
    expected: Latent = bench.native(native(), "sample.latent")
    assert expected.samples is not None
    assert torch.equal(samples, expected.samples / 0.18215)


def test_sigmas_of_a_model_sample_as_their_name_does(bench: PackBench) -> None:
    code = (
        LOAD
        + """
def run():
    sigmas = comfy.samplers.calculate_sigmas(model.get_model_object("model_sampling"), "karras", 4)
    samples = comfy.sample.fix_empty_latent_channels(model, empty["samples"])
    noise = comfy.sample.prepare_noise(samples, 5)
    sampler = comfy.samplers.sampler_object("euler")
    return comfy.sample.sample_custom(
        model, noise, 6.0, sampler, sigmas, positive, negative, samples, seed=5
    )
"""
    )
    expected = bench.native(native(sampler="euler", schedule="karras"), "sample.latent")
    assert torch.allclose(bench.run(code), expected.samples / 0.18215, atol=1e-4)


def test_a_callback_that_raises_ends_the_sampling(bench: PackBench) -> None:
    code = (
        LOAD
        + """
def stop(step, x0, x, total):
    raise RuntimeError("enough")

def run():
    samples = comfy.sample.fix_empty_latent_channels(model, empty["samples"])
    settings = (4, 6.0, "euler", "normal", positive, negative, samples)
    noise = comfy.sample.prepare_noise(samples, 5)
    try:
        comfy.sample.sample(model, noise, *settings, callback=stop, seed=5)
    except RuntimeError as error:
        return str(error)
"""
    )
    assert bench.run(code) == "enough"
    assert bench.asked[-1] == "sampling.cancel"


def test_a_schedule_of_the_pack_is_sampled(bench: PackBench) -> None:
    code = (
        LOAD
        + """
import torch
names, handlers = comfy.samplers.SCHEDULER_NAMES, comfy.samplers.SCHEDULER_HANDLERS

def own(model_sampling, steps):
    return torch.cat([torch.linspace(14.0, 1.0, steps), torch.zeros(1)])

def run():
    names.append("own")
    handlers["own"] = comfy.samplers.SchedulerHandler(own)
    try:
        assert "own" in nodes.KSampler.INPUT_TYPES()["required"]["scheduler"][0]
        sigmas = comfy.samplers.KSampler(model, 4, scheduler="own", sampler="euler").sigmas
        made = nodes.KSampler().sample(
            model, 5, 4, 6.0, "euler", "own", positive, negative, empty
        )[0]["samples"]
    finally:
        names.remove("own")
        del handlers["own"]
    samples = comfy.sample.fix_empty_latent_channels(model, empty["samples"])
    noise = comfy.sample.prepare_noise(samples, 5)
    sampler = comfy.samplers.sampler_object("euler")
    zeros = torch.zeros_like(noise)
    custom = comfy.sample.sample_custom(
        model, noise, 6.0, sampler, sigmas, positive, negative, zeros, seed=5
    )
    return sigmas.tolist(), torch.equal(made, custom)
"""
    )
    sigmas, is_same = bench.run(code)
    assert sigmas == pytest.approx([14.0, 29 / 3, 16 / 3, 1.0, 0.0])
    assert is_same


@pytest.mark.parametrize("denoise", [1.0, 0.5])
def test_samplers_leave_a_level_of_a_pack_s_schedule_out(bench: PackBench, denoise: float) -> None:
    code = (
        LOAD
        + f"""
names, handlers = comfy.samplers.SCHEDULER_NAMES, comfy.samplers.SCHEDULER_HANDLERS

def own(model_sampling, steps):
    return comfy.samplers.calculate_sigmas(model_sampling, "normal", steps)

def run():
    names.append("own")
    handlers["own"] = comfy.samplers.SchedulerHandler(own)
    try:
        made = [nodes.KSampler().sample(
            model, 5, 4, 6.0, "dpm_2", schedule, positive, negative, empty, {denoise}
        )[0]["samples"] for schedule in ("normal", "own")]
        sigmas = comfy.samplers.KSampler(model, 4, None, "dpm_2", "normal", {denoise}).sigmas
    finally:
        names.remove("own")
        del handlers["own"]
    whole = comfy.samplers.calculate_sigmas(model.model_sampling, "normal", {int(4 / denoise) + 1})
    return made, sigmas.tolist(), [*whole[-6:-2].tolist(), 0.0]
"""
    )
    (named, own), sigmas, expected = bench.run(code)
    assert torch.equal(own, named)
    assert sigmas == expected


def test_progress_and_previews_are_those_of_the_node(bench: PackBench) -> None:
    code = (
        LOAD
        + """
def run():
    nodes.common_ksampler(model, 5, 4, 6.0, "euler", "normal", positive, negative, empty)
"""
    )
    bench.run(code)
    steps = [event.data["step"] for event in bench.events if event.kind == "node.progress"]
    assert steps[-1] == 4
