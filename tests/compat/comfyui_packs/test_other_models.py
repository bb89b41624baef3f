"""Handles of flow models, video VAEs and CLIP vision models give what native nodes give."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import pytest
import torch

from nodegraph.core.values import Video
from nodegraph.interop.comfyui.packs import latents
from tests.compat.comfyui_packs.direct_calls import PackBench, pack_bench
from tests.compat.comfyui_packs.test_stand_ins_models import drawn, picture
from tests.compat.comfyui_packs.test_stand_ins_sampling import LOAD, native
from tests.nodes.conftest import link
from tests.pipelines.tiny import saved
from tests.pipelines.tiny.parts import clip_vision

FLOW, VIDEO = "ZImagePipeline", "WanPipeline"


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackBench]:
    with pack_bench(tmp_path_factory.mktemp("packs")) as made:
        for name in (FLOW, VIDEO):
            saved(name, made.folder / "models")
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            clip_vision().save_pretrained(made.folder / "models" / "eyes")
        yield made


@pytest.mark.parametrize("patch", ["", "ModelSamplingSD3", "comfy.model_sampling"])
def test_a_flow_model_is_sampled_as_by_native_nodes(bench: PackBench, patch: str) -> None:
    code = LOAD.replace('"tiny"', f'"{FLOW}"')
    if patch == "ModelSamplingSD3":
        code += "from comfy_extras.nodes_model_advanced import ModelSamplingSD3\n"
        code += "model = ModelSamplingSD3().patch(model, 5.0)[0]\n"
    elif patch:
        code += """
from comfy.model_sampling import CONST, ModelSamplingDiscreteFlow

class Shifted(ModelSamplingDiscreteFlow, CONST):
    pass

shifted = Shifted(model.model.model_config)
shifted.set_parameters(shift=5.0, multiplier=1000)
model = model.clone()
model.add_object_patch("model_sampling", shifted)
"""
    code += drawn()
    nodes = native()
    nodes["load"]["inputs"]["model"] = FLOW
    if patch:
        nodes["shift"] = {
            "type": "SetFlowShift",
            "inputs": {"model": link("load.model"), "shift": 5.0},
        }
        nodes["sample"]["inputs"]["model"] = link("shift.model")
    expected = bench.native(nodes, "sample.latent")
    assert expected.format == "flux"
    assert torch.equal(bench.run(code), latents.unscale(expected.samples, expected.format))


def test_a_sampler_of_the_pack_walks_a_flow_model(bench: PackBench) -> None:
    from tests.compat.comfyui_packs.test_patches import EULER

    code = LOAD.replace('"tiny"', f'"{FLOW}"') + EULER
    code += """
def run():
    samples = comfy.sample.fix_empty_latent_channels(model, empty["samples"])
    noise = comfy.sample.prepare_noise(samples, 5)
    levels = comfy.samplers.calculate_sigmas(model.model_sampling, "normal", 4)
    sampler = comfy.samplers.KSAMPLER(euler)
    return comfy.sample.sample_custom(
        model, noise, 6.0, sampler, levels, positive, negative, samples, seed=5
    )
"""
    nodes = native(sampler="euler")
    nodes["load"]["inputs"]["model"] = FLOW
    expected = latents.unscale(bench.native(nodes, "sample.latent").samples, "flux")
    assert torch.allclose(bench.run(code), expected, atol=1e-4)


def test_a_video_vae_encodes_and_decodes_frames(bench: PackBench) -> None:
    frames = picture(5, 64, 48, 3)
    code = (
        LOAD.replace('"tiny"', f'"{VIDEO}"')
        + """
def run():
    samples = vae.encode(frames)
    images = nodes.VAEDecode().decode(vae, {"samples": samples})[0]
    return samples, vae.decode(samples), images, vae.temporal_compression_decode()
"""
    )
    samples, decoded, images, compression = bench.run(code, frames=frames)
    nodes = {
        "load": {"type": "LoadModel", "inputs": {"model": VIDEO}},
        "encode": {
            "type": "VAEEncodeVideo",
            "inputs": {"vae": link("load.vae"), "video": Video(frames, Fraction(16))},
        },
        "decode": {
            "type": "VAEDecodeVideo",
            "inputs": {"vae": link("load.vae"), "latent": link("encode.latent")},
        },
    }
    encoded = bench.native(nodes, "encode.latent")
    expected = bench.native(nodes, "decode.video").frames
    assert samples.shape == (1, 16, 2, 8, 6)
    assert torch.equal(samples, latents.unscale(encoded.samples, encoded.format))
    assert decoded.shape == (1, *expected.shape)
    assert torch.equal(decoded[0], expected)
    assert torch.equal(images, expected)
    assert compression == 4


def test_a_clip_vision_model_encodes_images(bench: PackBench) -> None:
    image = picture(2, 32, 32, 3)
    code = """
import comfy.clip_vision

def run():
    eyes = comfy.clip_vision.load("eyes")
    output = eyes.encode_image(image)
    return output.image_embeds, output["penultimate_hidden_states"]
"""
    embeds, hidden = bench.run(code, image=image)
    from transformers import CLIPImageProcessor, CLIPVisionModelWithProjection

    from nodegraph.media.images.images import to_pil

    folder = bench.folder / "models" / "eyes"
    model = CLIPVisionModelWithProjection.from_pretrained(folder)
    side = model.config.image_size
    pixels = CLIPImageProcessor(size=side, crop_size=side)(
        [to_pil(item[None]).convert("RGB") for item in image], return_tensors="pt"
    ).pixel_values
    with torch.no_grad():
        expected = model(pixels, output_hidden_states=True)
    assert torch.equal(embeds, expected.image_embeds)
    assert torch.equal(hidden, expected.hidden_states[-2])


def test_keys_of_a_masked_image_are_those_of_the_node(bench: PackBench) -> None:
    image, mask = picture(1, 64, 64, 3), torch.zeros(1, 64, 64)
    mask[:, 16:40, 32:] = 1
    code = (
        LOAD
        + """
import node_helpers

def run():
    native, _, latent = nodes.InpaintModelConditioning().encode(
        positive, negative, image, vae, mask
    )
    hole = native[0][1]
    own = node_helpers.conditioning_set_values(positive, {
        "concat_latent_image": hole["concat_latent_image"], "concat_mask": mask[:, None]
    })
    from nodegraph.interop.comfyui.packs.border import from_comfy_conditioning as back
    results = [back(each).entries[0].tensors for each in (native, own)]
    return [{key: item[key] for key in ("hole", "hole_mask")} for item in results]
"""
    )
    native_keys, own = bench.run(code, image=image, mask=mask)
    nodes = native()
    nodes["inpaint"] = {
        "type": "InpaintConditioning",
        "inputs": {
            "conditioning": link("positive"),
            "vae": link("load.vae"),
            "image": image,
            "mask": mask,
        },
    }
    expected = bench.native(nodes, "inpaint.conditioning").entries[0].tensors
    for name in ("hole", "hole_mask"):
        assert torch.equal(native_keys[name], expected[name])
        assert torch.allclose(own[name], expected[name], atol=1e-5)
    code = LOAD + 'positive[0][1]["gligen"] = (1, 2)\n' + drawn()
    assert "gligen" in bench.failure(code)
