"""Whole models of other families in one file: told by their tensors, all of which come back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from safetensors.torch import save_file

from nodegraph.diffusion import estimate_bytes, load_component, locate_model, open_model
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.facts import weight_bytes
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.models.vae_files import open_vae
from tests.diffusion.ldm_export import _vae_tensors
from tests.diffusion.single_files import double_stream
from tests.diffusion.single_files.models import SMALL
from tests.diffusion.single_files.originals import WRITERS
from tests.diffusion.test_vae_layouts import BUILDS, built, kl, random_weights
from tests.diffusion.vae_export import Tensors

from .denoiser_writing import chroma
from .equality import random_pipeline
from .language_files import ministral3, mistral3, qwen3, qwen3_vl, qwen25_vl, text_file
from .test_cogvideox import cogvideox
from .test_cosmos import network
from .test_ernie_image import ernie_image
from .test_fibo2 import fibo2
from .test_flux3 import flux3_klein
from .test_ideogram4 import ideogram4
from .test_joyimage import joyimage_edit
from .test_kandinsky5 import kandinsky5_image, kandinsky5_video
from .test_krea2 import krea2
from .test_longcat_image import longcat_image
from .test_mochi import mochi
from .test_ovis_image import ovis_image
from .test_qwen_image_21 import qwen_image_21
from .test_qwen_image_layered import qwen_image_layered
from .text_files import BYT5_WORDS, UMT5_WORDS, clip, clip_file, named, t5

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

DENOISER, VAE = "model.diffusion_model.", "vae."


@dataclass(frozen=True)
class Whole:
    """What lies in a file, in the names of ComfyUI's checkpoints.

    Attributes:
        denoiser: Its module, and its tensors as files have them: in their original names for those
            of `SMALL`, and in diffusers' names, which such files have, too, for the others.
        encoders: By the name of ComfyUI.
        vae: Of `vae_of`, in its original names; or what makes one with its tensors.
    """

    denoiser: Callable[[], tuple[Any, Tensors]]
    encoders: Mapping[str, Callable[[], Any]]
    vae: str | Callable[[], tuple[Any, Tensors]]


def small(name: str) -> tuple[Any, Tensors]:
    torch.manual_seed(0)
    module = SMALL[name].build()
    return module, WRITERS[SMALL[name].writer](module.state_dict())


def tiny(build: Callable[[], Any]) -> tuple[Any, Tensors]:
    module = random_pipeline(build).components["transformer"]
    return module, module.state_dict()


def part(build: Callable[[], Any], name: str) -> tuple[Any, Tensors]:
    """A part of a pipeline, in diffusers' names."""
    module = random_pipeline(build).components[name]
    return module, module.state_dict()


def _umt5() -> Any:
    return t5(UMT5_WORDS, tf.UMT5EncoderModel)


def _deep_qwen3() -> Any:
    return qwen3(tf.Qwen3ForCausalLM, 28)


def _old_t5() -> Any:
    """The first version of T5, which Cosmos reads prompts with."""
    config = tf.T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    torch.manual_seed(0)
    return tf.T5EncoderModel(config).eval()


def _cosmos() -> tuple[Any, Tensors]:
    """With heads of the published width."""
    torch.manual_seed(0)
    sizes = {"num_attention_heads": 1, "attention_head_dim": 128}
    module = random_weights(network(positions=None, rope_scale=(1.0, 4.0, 4.0), **sizes))
    return module, module.state_dict()


def _cogvideox_vae() -> tuple[Any, Tensors]:
    """With groups of the published number."""
    module = random_weights(
        d.AutoencoderKLCogVideoX(block_out_channels=(32,) * 4, layers_per_block=1)
    )
    return module, module.state_dict()


def _byt5() -> Any:
    return t5(BYT5_WORDS)


def flux_like(build: Callable[[], Any]) -> tuple[Any, Tensors]:
    module = random_pipeline(build).transformer
    return module, double_stream.flux(module.state_dict())


WHOLE = {
    "chroma": Whole(partial(flux_like, chroma), {"t5xxl": t5}, "flux"),
    "pixart-sigma": Whole(partial(small, "pixart-sigma"), {"t5xxl": t5}, "sdxl"),
    "ltx": Whole(partial(small, "ltx"), {"t5xxl": t5}, "ltx 0.9.0"),
    "wan": Whole(partial(small, "wan"), {"umt5xxl": _umt5}, "wan"),
    "wan22-5b": Whole(partial(small, "wan22-5b"), {"umt5xxl": _umt5}, "wan22"),
    "qwen-image": Whole(partial(small, "qwen-image"), {"qwen25_7b": qwen25_vl}, "qwen-image"),
    "hunyuan-image": Whole(
        partial(small, "hunyuan-image"),
        {"qwen25_7b": qwen25_vl, "byt5_small": _byt5},
        "hunyuan-image",
    ),
    "z-image": Whole(partial(small, "z-image"), {"qwen3_4b": qwen3}, "flux"),
    "flux2": Whole(partial(small, "flux2"), {"mistral3_24b": mistral3}, "flux2"),
    "flux2-klein": Whole(
        partial(small, "flux2-klein"), {"qwen3_4b": lambda: qwen3(tf.Qwen3ForCausalLM, 28)}, "flux2"
    ),
    "hunyuan-video-15": Whole(
        partial(small, "hunyuan-video-15"),
        {"qwen25_7b": qwen25_vl, "byt5_small": _byt5},
        "hunyuan-video-15",
    ),
    "ernie-image": Whole(partial(tiny, ernie_image), {"ministral3_3b": ministral3}, "flux2"),
    "ovis-image": Whole(partial(tiny, ovis_image), {"qwen3_2b": qwen3}, "flux"),
    "longcat-image": Whole(partial(tiny, longcat_image), {"qwen25_7b": qwen25_vl}, "flux"),
    "krea2": Whole(partial(tiny, krea2), {"qwen3vl_4b": qwen3_vl}, "qwen-image"),
    "flux3-klein": Whole(partial(tiny, flux3_klein), {"qwen3vl_4b": lambda: qwen3_vl(36)}, "flux2"),
    "ideogram4": Whole(partial(tiny, ideogram4), {"qwen3vl_8b": qwen3_vl}, "flux2"),
    "mochi": Whole(partial(tiny, mochi), {"t5xxl": t5}, "mochi"),
    "kandinsky5-image": Whole(
        partial(tiny, kandinsky5_image), {"qwen25_7b": qwen25_vl, "clip_l": clip}, "flux"
    ),
    "kandinsky5-video": Whole(
        partial(tiny, kandinsky5_video), {"qwen25_7b": qwen25_vl, "clip_l": clip}, "hunyuan-video"
    ),
    "cosmos-predict2": Whole(_cosmos, {"t5xxl": _old_t5}, "wan"),
    "cogvideox": Whole(partial(tiny, cogvideox), {"t5xxl": t5}, _cogvideox_vae),
    "fibo2": Whole(partial(tiny, fibo2), {"qwen3vl_4b": partial(qwen3_vl, 36)}, "flux2"),
    "joyimage-edit": Whole(partial(tiny, joyimage_edit), {"qwen3vl_8b": qwen3_vl}, "wan"),
    "qwen-image-layered": Whole(
        partial(tiny, qwen_image_layered), {"qwen25_7b": qwen25_vl}, "qwen-image-layered"
    ),
    "qwen-image-21": Whole(
        partial(tiny, qwen_image_21),
        {"qwen3vl_8b": qwen3_vl},
        partial(part, qwen_image_21, "vae"),
    ),
}


def vae_of(name: str) -> tuple[Any, Tensors]:
    """An autoencoder, and its tensors in their original names."""
    if name == "sdxl":
        module = random_weights(kl(4, 0.13025))
        return module, _vae_tensors(module)
    return built(name), BUILDS[name][2](built(name))


def encoder_file(module: Any) -> Tensors:
    if isinstance(module, tf.CLIPTextModel):
        return clip_file(module)
    is_t5 = isinstance(module, (tf.T5EncoderModel, tf.UMT5EncoderModel))
    return named(module) if is_t5 else text_file(module)


def write_whole(file: Path, whole: Whole) -> tuple[Any, dict[str, Any], Any]:
    """Denoiser, text encoders and autoencoder, which are written to a file."""
    denoiser, denoiser_file = whole.denoiser()
    encoders = {name: build() for name, build in whole.encoders.items()}
    vae, vae_file = vae_of(whole.vae) if isinstance(whole.vae, str) else whole.vae()
    parts = {DENOISER: denoiser_file}
    parts |= {
        f"text_encoders.{name}.transformer.": encoder_file(module)
        for name, module in encoders.items()
    }
    parts[VAE] = vae_file
    save_file(
        {f"{a}{b}": item.contiguous() for a, part in parts.items() for b, item in part.items()},
        file,
    )
    return denoiser, encoders, vae


@pytest.mark.parametrize(
    "family",
    [
        pytest.param(family, marks=() if family in ("z-image", "qwen-image") else pytest.mark.slow)
        for family in WHOLE
    ],
)
def test_every_tensor_comes_back(family: str, tmp_path: Path) -> None:
    whole, file = WHOLE[family], tmp_path / "whole.safetensors"
    denoiser, encoders, vae = write_whole(file, whole)
    recipes = open_model(str(file), [])
    assert recipes.model.family == family
    loaded = {name: load_component(recipe, "cpu") for name, recipe in recipes._asdict().items()}
    sizes = {name: estimate_bytes(recipe) for name, recipe in recipes._asdict().items()}
    assert weight_bytes(locate_model(str(file), [])) == sizes
    for name, expected in {"model": denoiser, "vae": vae}.items():
        found = loaded[name].module.state_dict()
        assert found.keys() == expected.state_dict().keys()
        assert all(torch.equal(found[key], item) for key, item in expected.state_dict().items())
    given = {key: item for module in encoders.values() for key, item in known(module).items()}
    modules = loaded["text_encoder"].modules.values()
    held = {key: item for module in modules for key, item in known(module).items()}
    assert held.keys() == given.keys()
    assert all(torch.equal(held[key], item) for key, item in given.items())


def known(module: Any) -> Tensors:
    """Its tensors by the ends of their names, without the head of a language model.

    Args:
        module: Of transformers, alone or inside a model with a head.
    """
    kind = type(module).__name__[:3].lower()
    names = (
        (re.sub(r"^(model\.|language_model\.)+", "", name), item)
        for name, item in encoder_file(module).items()
    )
    return {f"{kind}.{name}": item for name, item in names if name != "lm_head.weight"}


@pytest.mark.slow
@pytest.mark.parametrize("family", ["qwen-image-edit", "qwen-image-edit-plus"])
def test_parts_of_an_editing_model_are_taken_out_of_its_file(family: str, tmp_path: Path) -> None:
    """It looks like Qwen-Image's, and so `LoadModel` takes it for one."""
    file = tmp_path / "whole.safetensors"
    write_whole(file, WHOLE["qwen-image"])
    assert open_model(str(file), []).model.family == "qwen-image"
    assert open_denoiser(DenoiserRequest(str(file), family=family), []).family == family
    encoder: Any = load_component(open_text_encoder(family, {"file": str(file)}, []), "cpu")
    assert encoder.tokenizers.keys() == {"tokenizer", "processor"}
    assert open_vae(str(file), [], latents="qwen-image").family == "qwen-image"
