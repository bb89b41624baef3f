"""Handles of models in packs: their calls give what native nodes give; unknown ones are refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.compat.comfyui_packs.direct_calls import PackBench, pack_bench
from tests.compat.comfyui_packs.test_stand_ins_sampling import LOAD, native
from tests.nodes.conftest import link

LORA = """
import comfy.utils
from nodegraph.models.adapters.adapter_files import locate_adapter
lora = comfy.utils.load_torch_file(str(locate_adapter("tiny/style_lora", ())))
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackBench]:
    with pack_bench(tmp_path_factory.mktemp("packs")) as made:
        yield made


def picture(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(4))


def drawn(model: str = "model", latent: str = "empty", more: str = "") -> str:
    """Code that samples and returns the latent."""
    return f"""
def run():
    return nodes.KSampler().sample(
        {model}, 5, 4, 6.0, "euler_ancestral", "normal", positive, negative, {latent}{more}
    )[0]["samples"]
"""


def unscaled(bench: PackBench, nodes: dict[str, Any]) -> torch.Tensor:
    samples = bench.native(nodes, "sample.latent").samples
    return samples / 0.18215


def test_a_lora_of_a_file_is_that_of_the_node(bench: PackBench) -> None:
    code = (
        LOAD
        + LORA
        + """
model, clip = comfy.sd.load_lora_for_models(model, clip, lora, 0.7, 0.5)
positive = nodes.CLIPTextEncode().encode(clip, "a (red:1.3) fox")[0]
negative = nodes.CLIPTextEncode().encode(clip, "blurry")[0]
"""
        + drawn()
    )
    nodes = native()
    nodes["lora"] = {
        "type": "LoadLora",
        "inputs": {
            "model": link("load.model"),
            "text_encoder": link("load.text_encoder"),
            "lora": "tiny/style_lora",
            "strength_model": 0.7,
            "strength_encoder": 0.5,
        },
    }
    nodes["sample"]["inputs"]["model"] = link("lora.model")
    for side in ("positive", "negative"):
        nodes[side]["inputs"]["encoder"] = link("lora.text_encoder")
    assert torch.equal(bench.run(code), unscaled(bench, nodes))


def test_an_image_is_changed_as_by_native_nodes(bench: PackBench) -> None:
    image, mask = picture(1, 68, 64, 3), torch.zeros(1, 64, 64)
    mask[:, :, 32:] = 1
    code = (
        LOAD
        + """
latent = nodes.VAEEncode().encode(vae, image)[0]
latent = nodes.SetLatentNoiseMask().set_mask(latent, mask)[0]
"""
        + drawn(latent="latent", more=", 0.6")
    )
    nodes = native(denoise=0.6)
    nodes["encode"] = {
        "type": "VAEEncode",
        "inputs": {"vae": link("load.vae"), "image": image, "crop": True},
    }
    nodes["mask"] = {
        "type": "SetNoiseMask",
        "inputs": {"latent": link("encode.latent"), "mask": mask},
    }
    nodes["sample"]["inputs"]["latent"] = link("mask.latent")
    assert torch.equal(bench.run(code, image=image, mask=mask), unscaled(bench, nodes))


def test_a_control_image_is_that_of_the_node(bench: PackBench) -> None:
    image = picture(1, 64, 64, 3)
    code = (
        LOAD
        + """
import comfy.controlnet
net = comfy.controlnet.load_controlnet("tiny/controlnet")
positive, negative = nodes.ControlNetApplyAdvanced().apply_controlnet(
    positive, negative, net, image, 0.8, 0.0, 0.9
)
"""
        + drawn()
    )
    nodes = native()
    nodes["net"] = {"type": "LoadControlNet", "inputs": {"control_net": "tiny/controlnet"}}
    nodes["apply"] = {
        "type": "ApplyControlNet",
        "inputs": {
            "positive": link("positive"),
            "negative": link("negative"),
            "control_net": link("net.control_net"),
            "image": image,
            "strength": 0.8,
            "end": 0.9,
        },
    }
    nodes["sample"]["inputs"] |= {
        "positive": link("apply.positive"),
        "negative": link("apply.negative"),
    }
    assert torch.equal(bench.run(code, image=image), unscaled(bench, nodes))


def test_a_patch_of_guidance_is_that_of_the_guider(bench: PackBench) -> None:
    code = (
        LOAD
        + """
from comfy_extras.nodes_model_advanced import RescaleCFG
patched = RescaleCFG().patch(model, 0.7)[0]
"""
        + drawn(model="patched")
    )
    nodes = native()
    links = {name: nodes["sample"]["inputs"][name] for name in ("model", "latent")}
    prompts = {name: nodes["sample"]["inputs"][name] for name in ("positive", "negative")}
    nodes["cfg"] = {"type": "CFGGuider", "inputs": {**prompts, "cfg": 6.0}}
    nodes["rescale"] = {
        "type": "RescaleGuidance",
        "inputs": {"guider": link("cfg.guider"), "rescale": 0.7, "of": "velocity"},
    }
    nodes["noise"] = {"type": "RandomNoise", "inputs": {"seed": 5, "draw": "per batch"}}
    nodes["sampler"] = {"type": "SelectSampler", "inputs": {"sampler": "euler_ancestral"}}
    nodes["schedule"] = {"type": "BasicSchedule", "inputs": {"schedule": "normal", "steps": 4}}
    nodes["sample"] = {
        "type": "SampleCustom",
        "inputs": {
            **links,
            "noise": link("noise"),
            "guider": link("rescale.guider"),
            "sampler": link("sampler"),
            "schedule": link("schedule"),
            "convention": "comfyui",
        },
    }
    assert torch.equal(bench.run(code), unscaled(bench, nodes))


def test_prompts_are_tokenized_as_the_encoder_reads_them(bench: PackBench) -> None:
    code = (
        LOAD
        + """
def run():
    tokens = clip.tokenize("a (red:1.3) fox")
    cond, pooled = clip.encode_from_tokens(tokens, return_pooled=True)
    return dict(tokens), torch.equal(cond, positive[0][0]), vae.latent_channels
"""
    )
    tokens, is_same, channels = bench.run(code)
    [window] = tokens["l"]
    assert is_same
    assert channels == 8
    assert len(window) == 32
    assert [weight for _, weight in window[:5]] == [1.0, 1.0, 1.3, 1.0, 1.0]


def test_tiles_are_those_of_the_node(bench: PackBench) -> None:
    image = picture(1, 96, 96, 3)
    code = (
        LOAD
        + """
def run():
    latent = nodes.VAEEncode().encode(vae, image)[0]
    return nodes.VAEDecodeTiled().decode(vae, latent, 64, 16)[0]
"""
    )
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "encode": {"type": "VAEEncode", "inputs": {"vae": link("load.vae"), "image": image}},
        "decode": {
            "type": "VAEDecode",
            "inputs": {
                "vae": link("load.vae"),
                "latent": link("encode.latent"),
                "tile": 64,
                "overlap": 16,
            },
        },
    }
    assert torch.equal(bench.run(code, image=image), bench.native(nodes, "decode.image"))


def test_noise_levels_of_a_model_are_comfyuis(bench: PackBench) -> None:
    code = (
        LOAD
        + """
def run():
    sampling = model.get_model_object("model_sampling")
    middle = sampling.sigma(sampling.timestep(sampling.sigmas[500]))
    percent = [sampling.percent_to_sigma(share) for share in (0.0, 0.5, 1.0)]
    return float(sampling.sigma_min), float(sampling.sigma_max), float(middle), percent
"""
    )
    low, high, middle, percent = bench.run(code)
    assert low == pytest.approx(0.0292, abs=1e-3)
    assert high == pytest.approx(14.61, abs=1e-2)
    assert low < percent[1] < high
    assert middle == pytest.approx(1.6, abs=0.2)
    assert percent[2] == 0


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("model.set_model_attn1_patch(print)", "MODEL.set_model_attn1_patch"),
        ("model.add_object_patch('diffusion_model.x', 1)", "MODEL.add_object_patch"),
        ("model.add_patches({}, 1.0)", "MODEL.add_patches"),
        ("model.model.diffusion_model", "MODEL.model.diffusion_model"),
        ("model.get_model_object('diffusion_model')", "MODEL.get_model_object"),
        ("clip.cond_stage_model", "CLIP.cond_stage_model"),
        ("vae.first_stage_model", "VAE.first_stage_model"),
        ("comfy.sd.VAE(sd={})", "comfy.sd.VAE with tensors of the pack"),
        ("clip.encode_from_tokens({'l': [[(1, 1.0)]]})", "other tokens of `l`"),
        ("comfy.samplers.ksampler('my_own')", "there is no such sampler"),
    ],
)
def test_what_reaches_into_models_is_refused_by_name(
    bench: PackBench, line: str, named: str
) -> None:
    assert named in bench.failure(LOAD + f"def run():\n    return {line}\n")


def test_options_that_no_guider_knows_are_refused_when_sampling(bench: PackBench) -> None:
    code = LOAD + 'model.model_options["model_function_wrapper"] = print\n' + drawn()
    assert "model_options['model_function_wrapper']" in bench.failure(code)
