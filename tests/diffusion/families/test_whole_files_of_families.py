"""Whole models of other families in one file: told by their tensors, all of which come back."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from safetensors.torch import load_file, save_file
from torch import Tensor

from nodegraph.diffusion import estimate_bytes, load_component, locate_model, open_model
from nodegraph.errors import InvalidFile
from nodegraph.families.checkpoint_parts import (
    checkpoint_prefix,
    find_checkpoint_parts,
    get_checkpoint_part,
)
from nodegraph.families.registry import FAMILIES
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
from tests.messages import raises

from .denoiser_writing import chroma
from .equality import random_pipeline
from .language_files import (
    gemma2,
    llama3,
    ministral3,
    mistral3,
    qwen3,
    qwen3_vl,
    qwen25_vl,
    sentencepiece,
    text_file,
)
from .test_anima import conditioner, original
from .test_cogvideox import cogvideox
from .test_cosmos import network
from .test_ernie_image import ernie_image
from .test_fibo2 import fibo2
from .test_flux3 import flux3_klein
from .test_ideogram4 import ideogram4
from .test_joyimage import joyimage_edit
from .test_kandinsky5 import kandinsky5_image, kandinsky5_video
from .test_kandinsky5 import transformer as kandinsky5
from .test_krea2 import krea2
from .test_language_files import gemma_pieces
from .test_longcat_image import longcat_image
from .test_mochi import mochi
from .test_ovis_image import ovis_image
from .test_published_encoders import PUBLISHED
from .test_qwen_image_21 import qwen_image_21
from .test_qwen_image_layered import qwen_image_layered
from .test_sana_video import sana_video_720p
from .text_files import BYT5_WORDS, UMT5_WORDS, clip, clip_file, named, t5
from .words import llama_words, t5_words

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
        tokenizer: Of Gemma, as such files have it.
    """

    denoiser: Callable[[], tuple[Any, Tensors]]
    encoders: Mapping[str, Callable[[], Any]]
    vae: str | Callable[[], tuple[Any, Tensors]]
    tokenizer: Callable[[], Tensor] | None = None


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


def _gemma2() -> Any:
    return gemma2(len(gemma_pieces()))


def _gemma_tokenizer() -> Tensor:
    return sentencepiece(gemma_pieces())


def _anima() -> tuple[Any, Tensors]:
    """With heads of the published width, and the text conditioner that such files have."""
    module, _ = _cosmos()
    return module, original(module, conditioner(t5_words()), "")


def _kandinsky5_edit() -> tuple[Any, Tensors]:
    """With the published width, by which it is identified."""
    torch.manual_seed(0)
    module = random_weights(kandinsky5(width=2560)).bfloat16()
    return module, module.state_dict()


def _long_clip(layers: int = 2) -> Any:
    return clip(layers, projects=True, length=248)


def _llama() -> Any:
    return llama3(len(llama_words()))


GEMMA: dict[str, Any] = {"encoders": {"gemma2_2b": _gemma2}, "tokenizer": _gemma_tokenizer}


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
    "lumina2": Whole(partial(small, "lumina2"), vae="flux", **GEMMA),
    "sana": Whole(partial(small, "sana"), vae="sana", **GEMMA),
    "sana-video": Whole(partial(small, "sana-video"), vae="wan", **GEMMA),
    "sana-video-720p": Whole(
        partial(small, "sana-video-720p"), vae=partial(part, sana_video_720p, "vae"), **GEMMA
    ),
    "hidream": Whole(
        partial(small, "hidream"),
        {"clip_l": _long_clip, "clip_g": partial(_long_clip, 17), "t5xxl": t5, "llama": _llama},
        "flux",
    ),
    "anima": Whole(_anima, {"qwen3_06b": qwen3}, "qwen-image"),
    "kandinsky5-edit": Whole(_kandinsky5_edit, {"qwen25_7b": qwen25_vl, "clip_l": clip}, "flux"),
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
    if isinstance(module, (tf.CLIPTextModel, tf.CLIPTextModelWithProjection)):
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
    if whole.tokenizer is not None:
        parts["text_encoders."] = {"spiece_model": whole.tokenizer()}
    if "llama" in encoders:
        # No file has it: it is copied beside.
        llama_words().save_pretrained(file.parent / "tokenizers" / "llama3")
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
    modules = loaded["text_encoder"].modules.values()
    for module, expected in zip(modules, encoders.values(), strict=True):
        held, given = known(module), known(expected)
        assert held.keys() == given.keys()
        assert all(torch.equal(held[key], item) for key, item in given.items())


def test_gemmas_tokenizer_is_read_from_the_file_of_a_whole_model(tmp_path: Path) -> None:
    """`LoadModel` and `LoadTextEncoder` take it from there, and none has to lie beside."""
    file = tmp_path / "lumina_2.safetensors"
    write_whole(file, WHOLE["lumina2"])
    alone = open_text_encoder("lumina2", {"file": str(file)}, [])
    for recipe in (open_model(str(file), []).text_encoder, alone):
        tokenizer = load_component(recipe, "cpu").tokenizers["tokenizer"]
        ids = tokenizer("a red cat").input_ids
        assert tokenizer.convert_ids_to_tokens(ids) == ["<bos>", "a", "▁red", "▁cat"]


def test_a_tokenizer_is_read_by_its_whole_name(tmp_path: Path) -> None:
    file = tmp_path / "lumina_2.safetensors"
    write_whole(file, WHOLE["lumina2"])
    longer = {"text_encoders.spiece_model_2": torch.zeros(9, dtype=torch.uint8)}
    save_file(load_file(file) | longer, file)
    recipe = open_model(str(file), []).text_encoder
    tokenizer = load_component(recipe, "cpu").tokenizers["tokenizer"]
    assert len(tokenizer) == len(gemma_pieces())


def test_a_whole_model_without_its_tokenizer_says_where_one_belongs(tmp_path: Path) -> None:
    file = tmp_path / "lumina_2.safetensors"
    write_whole(file, replace(WHOLE["lumina2"], tokenizer=None))
    with raises(InvalidFile):
        load_component(open_model(str(file), []).text_encoder, "cpu")


def known(module: Any) -> Tensors:
    """Its tensors by the ends of their names, without the head of a language model.

    Args:
        module: Of transformers, alone or inside a model with a head.
    """
    names = (
        (re.sub(r"^(model\.|language_model\.)+", "", name), item)
        for name, item in encoder_file(module).items()
    )
    return {name: item for name, item in names if name != "lm_head.weight"}


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


def published(name: str) -> Callable[[], tuple[Any, Tensors]]:
    """A denoiser as wide as the published one, in its original names."""

    def build() -> tuple[Any, Tensors]:
        module = SMALL[name].on_meta()
        return module, WRITERS[SMALL[name].writer](module.state_dict())

    return build


def _published_anima() -> tuple[Any, Tensors]:
    module = d.CosmosTransformer3DModel(
        in_channels=16,
        num_attention_heads=16,
        num_layers=28,
        text_embed_dim=1024,
        adaln_lora_dim=256,
        rope_scale=(1.0, 4.0, 4.0),
        extra_pos_embed_type=None,
    )
    return module, original(module, d.AnimaTextConditioner(), "")


def _published_kandinsky5_edit() -> tuple[Any, Tensors]:
    module = kandinsky5(width=2560)
    return module, module.state_dict()


def _flux_vae() -> tuple[Any, Tensors]:
    down, up = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    module = d.AutoencoderKL(
        block_out_channels=(128, 256, 512, 512),
        down_block_types=down,
        up_block_types=up,
        latent_channels=16,
        layers_per_block=2,
        use_quant_conv=False,
        use_post_quant_conv=False,
    )
    return module, _vae_tensors(module)


def _sana_vae() -> tuple[Any, Tensors]:
    config = dict(built("sana").config)
    widths = (128, 256, 512, 512, 1024, 1024)
    config |= {"attention_head_dim": 32, "encoder_layers_per_block": (2, 2, 2, 3, 3, 3)}
    config |= {f"{half}_block_out_channels": widths for half in ("encoder", "decoder")}
    config["decoder_layers_per_block"] = (3, 3, 3, 3, 3, 3)
    module = d.AutoencoderDC.from_config(config)
    return module, BUILDS["sana"][2](module)


def _wan_vae(kind: Any) -> tuple[Any, Tensors]:
    module = kind()
    return module, BUILDS["wan"][2](module)


def _ltx2_vae() -> tuple[Any, Tensors]:
    """In diffusers' names."""
    module = d.AutoencoderKLLTX2Video()
    return module, module.state_dict()


_GEMMA2_2B = {"gemma2_2b": "gemma_2_2b"}
WIDE: dict[str, tuple[Callable[[], Any], Mapping[str, str], Callable[[], Any]]] = {
    "lumina2": (published("lumina2"), _GEMMA2_2B, _flux_vae),
    "sana": (published("sana"), _GEMMA2_2B, _sana_vae),
    "sana-video": (published("sana-video"), _GEMMA2_2B, partial(_wan_vae, d.AutoencoderKLWan)),
    "sana-video-720p": (published("sana-video-720p"), _GEMMA2_2B, _ltx2_vae),
    "hidream": (
        published("hidream"),
        {
            "clip_l": "clip_l_hidream",
            "clip_g": "clip_g_hidream",
            "t5xxl": "t5xxl",
            "llama": "llama_3.1_8b",
        },
        _flux_vae,
    ),
    "anima": (
        _published_anima,
        {"qwen3_06b": "qwen_3_06b_base"},
        partial(_wan_vae, d.AutoencoderKLQwenImage),
    ),
    "kandinsky5-edit": (
        _published_kandinsky5_edit,
        {"qwen25_7b": "qwen_2.5_vl_7b", "clip_l": "clip_l"},
        _flux_vae,
    ),
}
"""Denoiser, text encoders by the names of ComfyUI and of `PUBLISHED`, and autoencoder."""


@pytest.mark.slow
@pytest.mark.parametrize("family", WIDE)
def test_files_as_wide_as_published_have_all_parts(family: str) -> None:
    """By names and shapes alone: each part is recognised, and every tensor has its name."""
    denoiser, encoders, vae = WIDE[family]
    with torch.device("meta"):
        parts = {DENOISER: denoiser(), VAE: vae()}
        for name, encoder in encoders.items():
            build, write, _ = PUBLISHED[encoder]
            module = build()
            parts[f"text_encoders.{name}.transformer."] = module, write(module)
    whole = {f"{a}{b}": item for a, (_, part) in parts.items() for b, item in part.items()}
    whole["text_encoders.spiece_model"] = torch.zeros(3, dtype=torch.uint8)
    whole["text_encoders.gemma2_2b.logit_scale"] = torch.zeros(())
    shapes = {name: tuple(item.shape) for name, item in whole.items()}
    known = FAMILIES[family]
    assert known.recognises(shapes)
    modules = iter([module for module, _ in (parts[DENOISER], *[*parts.values()][2:], parts[VAE])])
    for group in find_checkpoint_parts(known, shapes):
        for item in group:
            if item.conditioner:
                continue
            found = get_checkpoint_part(known, item, shapes)
            prefix = checkpoint_prefix(known, item, shapes)
            own = {name: part for name, part in whole.items() if name.startswith(prefix)}
            assert_shapes(found.convert(own), next(modules))
    assert next(modules, None) is None


def assert_shapes(found: Tensors, module: Any) -> None:
    """What was read has the names and shapes of the module, but for a head that writes text."""
    expected = {
        name: item.shape
        for name, item in module.state_dict().items()
        if not name.startswith("lm_head.") and name != "encoder.embed_tokens.weight"
    }
    shapes = {name: item.shape for name, item in found.items()}
    shapes.pop("lm_head.weight", None)
    shapes.pop("encoder.embed_tokens.weight", None)
    if expected.keys() != shapes.keys():
        # An encoder of transformers in a file may be the inner model of one with a head.
        expected = {name.removeprefix("model."): shape for name, shape in expected.items()}
        shapes = {name.removeprefix("model."): shape for name, shape in shapes.items()}
    assert shapes == expected
