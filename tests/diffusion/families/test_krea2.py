"""Krea 2 gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.loaders import single_file_utils as converters
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion import encode_prompt, load_component
from nodegraph.families.identification import identify_tensors
from nodegraph.families.krea2 import KREA2
from nodegraph.families.patches import unpack_latents
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.text_encoder_files import open_text_encoder

from .checks import assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, assert_same, stock
from .language import qwen3_vl_text
from .parts import dynamic_flow
from .qwen_parts import qwen_vae
from .words import qwen_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def transformer() -> Any:
    return d.Krea2Transformer2DModel(
        in_channels=64,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=64,
        timestep_embed_dim=32,
        text_hidden_dim=32,
        num_text_layers=2,
        text_num_attention_heads=4,
        text_num_key_value_heads=2,
        text_intermediate_size=48,
        num_layerwise_text_blocks=1,
        num_refiner_text_blocks=1,
        axes_dims_rope=(4, 6, 6),
    )


def krea2(*, is_distilled: bool = False) -> Any:
    words = qwen_words()
    return d.Krea2Pipeline(
        dynamic_flow(shift=1.0, max_image_seq_len=6400),
        qwen_vae(),
        qwen3_vl_text(words, kind=tf.Qwen3VLModel),
        words,
        transformer(),
        text_encoder_select_layers=(1, 2),
        is_distilled=is_distilled,
    )


def krea2_distilled() -> Any:
    return krea2(is_distilled=True)


def unpack(width: int, height: int) -> Callable[[Tensor], Tensor]:
    return lambda tokens: unpack_latents(tokens, height // 8, width // 8)


@pytest.mark.slow
@pytest.mark.parametrize("build", [krea2, krea2_distilled])
def test_krea2_is_diffusers(model_of: ModelOf, build: Callable[[], Any]) -> None:
    pipeline, model = model_of(build)
    for width, height, batch, negative, guidance in (
        (64, 64, 1, None, 4.5),
        (96, 64, 2, NEGATIVE, 3.0),
        (64, 64, 1, None, 0.0),
    ):
        options = {"batch": batch, "negative": negative, "steps": 3}
        # 1 is the positive prompt alone here, 0 there
        found = model.make(width, height, cfg=guidance + 1, **options)
        expected = stock(pipeline, width=width, height=height, guidance_scale=guidance, **options)
        assert_same(found, expected, unpack(width, height), pixels=guidance == 4.5)


def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    found, expected = in_bfloat16(model_of(krea2), cfg=4.0, guidance_scale=3.0)
    assert torch.equal(found.latents, unpack(64, 64)(expected.latents).float())


def test_a_prompt_that_is_cut_is_reported(model_of: ModelOf) -> None:
    _, model = model_of(krea2)
    warnings: list[str] = []
    encoder = model.part("text_encoder")
    (entry,) = encode_prompt(encoder, "cat " * 400, warn=warnings.append).entries
    assert entry.embeddings.shape == (1, 512 + 34 - 34 + added(model), 64)
    assert len(warnings) == 1
    encode_prompt(encoder, PROMPT, warn=warnings.append)
    assert len(warnings) == 1


def added(model: Any) -> int:
    """Tokens of the template's end beyond the five of Qwen's vocabulary."""
    words = model.part("text_encoder").tokenizers["tokenizer"]
    return len(words("<|im_end|>\n<|im_start|>assistant\n")["input_ids"]) - 5


def test_a_text_encoder_of_a_folder_reads_the_layers_that_its_index_says(model_of: ModelOf) -> None:
    _, model = model_of(krea2)
    names = {"file": str(model.folder)}
    encoder = load_component(open_text_encoder("krea2", names, [], dtype="float32"), "cpu")
    found, expected = (
        encode_prompt(each, PROMPT).entries[0].embeddings
        for each in (encoder, model.part("text_encoder"))
    )
    assert torch.equal(found, expected)


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(krea2)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def original(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """A transformer's tensors under the names of the original code."""
    written = {}
    for name, tensor in tensors.items():
        block = next((part for part in name.split(".") if part.isdecimal()), "")
        for here, theirs in KREA2.denoisers[0].files[0].names.table:
            layer = here.replace("*", block, 1)
            if name == layer or name.startswith(f"{layer}."):
                end = name.removeprefix(layer)
                is_norm = "norm" in layer.rpartition(".")[2] and end == ".weight"
                is_block = name.startswith("transformer_blocks.") and not end
                kept = tensor.flatten() if is_block else tensor
                written[theirs.replace("*", block) + (".scale" if is_norm else end)] = kept
                break
        else:
            raise AssertionError(name)
    return written


def test_a_file_of_the_original_names_is_read_as_diffusers_reads_it(tmp_path: Path) -> None:
    network = transformer().eval()
    tensors = original(network.state_dict())
    assert not tensors.keys() & network.state_dict().keys()
    expected = converters.convert_krea2_transformer_checkpoint_to_diffusers(dict(tensors))
    assert expected.keys() == network.state_dict().keys()
    file = tmp_path / "krea.safetensors"
    save_file({f"model.diffusion_model.{name}": item for name, item in tensors.items()}, file)
    shapes = {f"model.diffusion_model.{name}": tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of Krea 2"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu").module
    assert loaded.config["num_text_layers"] == 2
    assert loaded.config["text_num_key_value_heads"] == 2
    for name, item in loaded.state_dict().items():
        assert torch.equal(item, expected[name]), name
