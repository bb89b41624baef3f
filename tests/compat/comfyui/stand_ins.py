"""Tiny models of random weights that stand in for those that templates of ComfyUI name."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from safetensors.torch import load_file, save_file

from nodegraph.core.parts import NodeEntry
from tests.diffusion.families import test_controls as controls
from tests.diffusion.families.equality import random_pipeline
from tests.diffusion.families.language import qwen3_text
from tests.diffusion.families.qwen_parts import qwen_net
from tests.diffusion.families.test_anima_control import anima_fill, anima_lllite
from tests.diffusion.families.test_following import flux_canny
from tests.diffusion.families.test_hunyuan_video_15 import (
    eye,
    hunyuan_video_15_i2v,
    hunyuan_video_15_unified,
)
from tests.diffusion.families.test_inpainting import flux_fill
from tests.diffusion.families.test_ltx2_files import upsampler
from tests.diffusion.families.test_redux import folder
from tests.diffusion.families.tiny_models import TINY, TINY_SOUND
from tests.diffusion.families.video_models import (
    wan22_5b_fun_control,
    wan22_5b_inpaint,
    wan22_fun_camera,
    wan22_fun_control,
    wan22_i2v,
    wan_control,
    wan_flf,
    wan_fun_camera,
    wan_i2v,
    wan_vace,
)
from tests.diffusion.families.words import qwen_words
from tests.diffusion.language.seeing_models import gemma4_file, qwen35_folder
from tests.diffusion.test_frame_interpolation import network as film
from tests.vision.foreground_files import TINY as FOREGROUND
from tests.vision.foreground_files import birefnet_shapes, weights_of
from tests.vision.sam3_files import authors_tensors, tiny_sam3

MODELS = {**TINY, **TINY_SOUND}
"""Tiny models by the family's name."""

_NETS: Mapping[str, tuple[tuple[str, Callable[[], Any]], ...]] = {
    "sd1": (("", controls.sd1_net),),
    "sdxl": (("union", controls.sdxl_union), ("", controls.sdxl_net)),
    "sd3": (("", controls.sd3_net),),
    "flux": (("union", controls.flux_union), ("", controls.flux_control)),
    "z-image": (("", controls.z_image_second),),
    "qwen-image": (
        ("inpaint_diffsynth", controls.qwen_blockwise_fill),
        ("diffsynth", controls.qwen_blockwise),
        ("fun", controls.qwen_fun),
        ("inpaint", controls.qwen_fill),
        ("instantx", controls.qwen_control),
    ),
    "anima": (("lllite.*inpaint", anima_fill), ("lllite", anima_lllite)),
}
"""Control networks of a family, by what their files are called."""

_KINDS: tuple[tuple[str, str, Callable[[], Any]], ...] = (
    ("wan", "vace", wan_vace),
    ("wan", r"wan2[._]2.*fun_control", wan22_fun_control),
    ("wan", "fun_control", wan_control),
    ("wan", r"wan2[._]2.*fun_camera", wan22_fun_camera),
    ("wan", "fun_camera", wan_fun_camera),
    ("wan22-5b", "fun_control", wan22_5b_fun_control),
    ("wan22-5b", "fun_inp", wan22_5b_inpaint),
    ("wan", "flf2v", wan_flf),
    ("wan", r"wan2[._]1.*(i2v|fun_inp)", wan_i2v),
    ("wan", "i2v|chrono|fun_inp", wan22_i2v),
    ("hunyuan-video-15", "i2v", hunyuan_video_15_i2v),
    ("hunyuan-video-15", "capybara", hunyuan_video_15_unified),
    ("flux", "canny|depth", flux_canny),
    ("flux", "fill", flux_fill),
)
"""Models that are shown images beside what they make, by family and what they are called."""

TOKENS = 5
"""Of a prompt in a file."""

_UNKNOWN = {
    "LoadVisionModel": "depth_anything_3|moge|sdpose",
    "LoadFrameInterpolationModel": "rife",
    # Teaches Krea 2 to look at images, which diffusers' pipeline can't.
    "LoadLora": "krea2_style_reference",
}
"""What models are called that nothing here opens, though others of the loader are, by its type."""


class UnknownKind(Exception):
    """Nothing here opens models of this kind."""


class Tinies:
    """Files and folders of tiny models, made when they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, family: str) -> str:
        return self._made(
            family, lambda to: random_pipeline(MODELS[family].build).save_pretrained(to)
        )

    def stand_in(self, node: NodeEntry, family: str) -> None:
        """Have a node load a tiny model, if it loads one.

        Raises:
            UnknownKind: It would load one that nothing here opens.
        """
        inputs = node.inputs
        name = str(inputs.get("lora" if node.type == "LoadLora" else "model"))
        if node.type in _UNKNOWN and re.search(_UNKNOWN[node.type], name, re.IGNORECASE):
            raise UnknownKind(name)
        match node.type:
            case "LoadModel" | "LoadDiffusionModel":
                inputs["model"] = self._model(family, name)
                for port in ("second", "storage", "family"):
                    inputs.pop(port, None)
            case "LoadTextEncoder":
                node.inputs = {"family": family, "file": self[family]}
            case "LoadLanguageModel":
                like = next(item for item in _LANGUAGE_MODELS if item in name)
                file = f"language-{like}" + (".safetensors" if like == "gemma4" else "")
                node.inputs = {"model": self._made(file, _LANGUAGE_MODELS[like])}
            case "LoadVae":
                node.inputs = {"vae": self[family]}
            case "LoadControlNet":
                inputs["control_net"] = self._net(family, str(inputs["control_net"]))
            case "LoadLora":
                # Those of Flux.1 that follow an image make its first layer wider.
                follows = family == "flux" and re.search("depth|canny", str(inputs["lora"]))
                made = "flux-control-lora" if follows else f"{family}-lora"
                layer = "x_embedder.weight" if follows else "to_q.weight"
                inputs["lora"] = self._made(made, lambda to: self._lora(family, to, layer))
            case "LoadRedux":
                node.inputs = {"redux": self._made("redux", self._redux)}
            case "LoadConditioning":
                inputs["conditioning"] = self._made("conditioning.safetensors", _conditioning)
            case "LoadUpscaleModel":
                inputs["model"] = "tiny/upscaler"
            case "LoadLatentUpscaleModel":
                inputs["model"] = self._made("latent_upscaler.safetensors", _latent_upscaler)
            case "LoadFrameInterpolationModel":
                inputs["model"] = self._made("film.safetensors", _frame_interpolator)
            case "LoadImageEncoder":
                inputs["image_encoder"] = self._made(
                    f"{family}-eyes", lambda to: self._eyes(family, to)
                )
            case "LoadVisionModel" if "sam3" in name:
                inputs["model"] = self._made("sam3.safetensors", _finder)
            case "LoadVisionModel":
                inputs["model"] = self._made("birefnet.safetensors", _foreground)

    def _made(self, name: str, make: Callable[[Path], object]) -> str:
        path = self._folder / name
        if not path.exists():
            self._folder.mkdir(exist_ok=True)
            make(path)
        return str(path)

    def _net(self, family: str, name: str) -> str:
        nets = _NETS.get(family, ())
        build = next((build for like, build in nets if re.search(like, name.lower())), None)
        if build is None:
            raise UnknownKind(name)
        return self._made(
            build.__name__, lambda to: controls.random_net(build, 0).save_pretrained(to)
        )

    def _model(self, family: str, name: str) -> str:
        """Of a kind of its own, where its name says so."""
        for of, like, build in _KINDS:
            if family == of and re.search(like, name, re.IGNORECASE):
                made = build
                break
        else:
            return self[family]
        return self._made(made.__name__, lambda to: random_pipeline(made).save_pretrained(to))

    def _redux(self, to: Path) -> None:
        folder(random_pipeline(TINY["flux"].build), to)

    def _lora(self, family: str, to: Path, ending: str) -> None:
        """Two ranks beside one layer, which takes twice as much where it is the first."""
        whole = Path(self[family])
        [part] = [name for name in ("transformer", "unet") if (whole / name).exists()]
        weights = load_file(next((whole / part).glob("*.safetensors")))
        layer = next(name for name in weights if name.endswith(ending))
        made, given = weights[layer].shape
        given *= 2 if ending == "x_embedder.weight" else 1
        stem = f"{part}.{layer.removesuffix('.weight')}"
        pair = {
            f"{stem}.lora_A.weight": 0.1 * torch.randn(2, given),
            f"{stem}.lora_B.weight": 0.1 * torch.randn(made, 2),
        }
        to.mkdir()
        save_file(pair, to / "pytorch_lora_weights.safetensors")

    def _eyes(self, family: str, to: Path) -> None:
        if family == "hunyuan-video-15":
            eye().save_pretrained(to)
            return
        if family == "wan":
            # As those of `wan_i2v`.
            sizes = {"hidden_size": 16, "image_size": 28, "patch_size": 14, "projection_dim": 16}
        elif family == "wan-animate-2":
            # Its class takes one width.
            sizes = {"hidden_size": 1280, "image_size": 28, "patch_size": 14, "projection_dim": 16}
        else:
            config = json.loads((Path(self[family]) / "text_encoder_2/config.json").read_text())
            sizes = {"hidden_size": 32, "image_size": 16, "patch_size": 8}
            sizes["projection_dim"] = config["projection_dim"]
        more = {"intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
        eyes = tf.CLIPVisionConfig(**sizes, **more)
        tf.CLIPVisionModelWithProjection(eyes).save_pretrained(to)


def _language_model(to: Path) -> None:
    words = qwen_words()
    model = qwen3_text(words).eval()
    # Its words are few, so that instructions have many tokens.
    model.config.max_position_embeddings = 40_960
    model.save_pretrained(to)
    words.save_pretrained(to)


_LANGUAGE_MODELS: Mapping[str, Callable[[Path], object]] = {
    "gemma4": gemma4_file,
    "qwen3.5": qwen35_folder,
    "": _language_model,
}
"""Language models, by what the names of their files have in them."""


def _latent_upscaler(to: Path) -> None:
    save_file(upsampler(use_rational_resampler=False).state_dict(), to)


def _frame_interpolator(to: Path) -> None:
    save_file(film().state_dict(), to)


def _conditioning(to: Path) -> None:
    """As Marigold 2 has it, for a Qwen-Image."""
    width = qwen_net().config.joint_attention_dim
    save_file({"conditioning": torch.randn(1, TOKENS, width)}, to)


def _finder(to: Path) -> None:
    tensors = authors_tensors(tiny_sam3().state_dict(), levels=3)
    save_file({name: item.contiguous() for name, item in tensors.items()}, to)


def _foreground(to: Path) -> None:
    save_file(weights_of(birefnet_shapes(**FOREGROUND, inner=8, branch=8)), to)
