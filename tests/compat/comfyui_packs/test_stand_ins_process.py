"""A pack of ComfyUI that samples, in a process of its own: the picture of native nodes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from nodegraph import Session, Settings
from nodegraph.core.events import Event
from tests.compat.comfyui_packs.conftest import comfy_pack
from tests.nodes.conftest import link

PACK = '''
import comfy.samplers
import comfy.utils
import folder_paths
import nodes
from comfy.ldm.modules.attention import optimized_attention
from comfy.model_patcher import ModelPatcher


class Picture:
    """A picture of a prompt, by the classes of ComfyUI itself."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {
            "model": ("MODEL",), "clip": ("CLIP",), "vae": ("VAE",), "latent": ("LATENT",),
            "text": ("STRING", {"default": ""}), "seed": ("INT", {"default": 0}),
            "sampler": (comfy.samplers.KSampler.SAMPLERS,),
            "scheduler": (comfy.samplers.KSampler.SCHEDULERS,),
        }}

    RETURN_TYPES = ("IMAGE", "LATENT", "MODEL", "CONDITIONING")
    FUNCTION = "draw"
    CATEGORY = "test"

    def draw(self, model, clip, vae, latent, text, seed, sampler, scheduler):
        assert isinstance(model, ModelPatcher)
        positive = nodes.CLIPTextEncode().encode(clip, text)[0]
        negative = nodes.CLIPTextEncode().encode(clip, "")[0]
        made = nodes.common_ksampler(
            model, seed, 4, 6.0, sampler, scheduler, positive, negative, latent
        )[0]
        image = nodes.VAEDecode().decode(vae, made)[0]
        return image, made, model.clone(), positive


class Attend:
    """Uses what is not offered."""

    @classmethod
    def INPUT_TYPES(cls):
        return {"required": {"image": ("IMAGE",)}}

    RETURN_TYPES = ("IMAGE",)
    FUNCTION = "attend"

    def attend(self, image):
        return (optimized_attention(image, image, image, 8),)


NODE_CLASS_MAPPINGS = {"Picture": Picture, "Attend": Attend}
'''


def workflow(kinds: dict[str, str], native: bool) -> dict[str, Any]:
    nodes: dict[str, Any] = {
        "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
        "empty": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
    }
    if not native:
        inputs = {"text": "a fox", "seed": 7, "sampler": "euler_ancestral", "scheduler": "karras"}
        links = {
            "model": link("load.model"),
            "clip": link("load.text_encoder"),
            "vae": link("load.vae"),
            "latent": link("empty"),
        }
        nodes["picture"] = {"type": kinds["Picture"], "inputs": inputs | links}
        positive, latent, model = "picture.conditioning", "picture.latent", "picture.model"
    else:
        positive, model = "prompt", "load.model"
        encoded = {"encoder": link("load.text_encoder"), "syntax": "comfyui"}
        nodes["prompt"] = {"type": "EncodePrompt", "inputs": {**encoded, "text": "a fox"}}
        latent = "empty"
    encoded = {"encoder": link("load.text_encoder"), "syntax": "comfyui", "text": ""}
    nodes["nothing"] = {"type": "EncodePrompt", "inputs": encoded}
    settings = {"seed": 7, "steps": 4, "cfg": 6.0, "sampler": "euler_ancestral"}
    settings |= {"schedule": "karras", "convention": "comfyui", "draw": "per batch"}
    settings |= {"denoise_steps": "all"}
    links = {"model": link(model), "positive": link(positive), "negative": link("nothing")}
    nodes["sample"] = {
        "type": "KSampler",
        "inputs": {**settings, **links, "latent": link("empty" if native else latent)},
    }
    nodes["decode"] = {
        "type": "VAEDecode",
        "inputs": {"vae": link("load.vae"), "latent": link("sample.latent")},
    }
    if not native:
        nodes["attend"] = {"type": kinds["Attend"], "inputs": {"image": link("picture.image")}}
        nodes["passed"] = {
            "type": "VAEDecode",
            "inputs": {"vae": link("load.vae"), "latent": link("picture.latent")},
        }
    return {"format": "nodegraph/1", "nodes": nodes}


@pytest.mark.slow
def test_a_pack_samples_in_its_process_as_native_nodes_do(tmp_path: Path) -> None:
    root = tmp_path / "drawing"
    root.mkdir()
    (root / "__init__.py").write_text(PACK)
    settings = Settings(home=tmp_path / "home", device="cpu")
    events: list[Event] = []
    with Session(settings, packs=[comfy_pack(root)]) as session:
        kinds = {name: f"drawing:{name}" for name in ("Picture", "Attend")}
        native = session.run(workflow(kinds, native=True), targets=["decode"])
        expected = native["decode.image"]
        made = session.run(
            workflow(kinds, native=False),
            targets=["picture", "passed", "sample", "attend"],
            listener=events.append,
        )
        assert torch.equal(made["picture.image"], expected)
        assert torch.equal(made["passed.image"], expected)
        assert made["picture.model"] == native["load.model"]
        [error] = made.errors
        assert "comfy.ldm.modules.attention.optimized_attention" in str(error)
        steps = [
            event.data["step"]
            for event in events
            if event.kind == "node.progress" and event.node == "picture"
        ]
        assert steps[-1] == 4
