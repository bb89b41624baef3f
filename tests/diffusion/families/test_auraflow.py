"""AuraFlow gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import diffusers as d
import torch
import transformers as tf
from diffusers.loaders import single_file_utils as converters
from safetensors.torch import save_file

from nodegraph.diffusion import encode_image, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.auraflow import AURAFLOW
from nodegraph.families.identification import identify_tensors
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from tests.messages import raises

from .checks import assert_like_stock, assert_refuses, assert_samples_by, in_bfloat16
from .conftest import Pair
from .equality import picture
from .image_to_image import as_tensor
from .parts import flow, t5_text, vae
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]


def transformer(head: int = 16) -> Any:
    return d.AuraFlowTransformer2DModel(
        sample_size=8,
        num_mmdit_layers=2,
        num_single_dit_layers=2,
        attention_head_dim=head,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=2 * head,
        pos_embed_max_size=64,
    )


def auraflow() -> Any:
    words = t5_words(256)
    encoder = t5_text(words, kind=tf.UMT5EncoderModel)
    return d.AuraFlowPipeline(words, encoder, vae(scale=0.13025), transformer(), flow(shift=1.73))


def test_auraflow_is_diffusers(model_of: ModelOf) -> None:
    assert_like_stock(model_of(auraflow))


def test_bfloat16_is_diffusers(model_of: ModelOf) -> None:
    found, expected = in_bfloat16(model_of(auraflow))
    assert torch.equal(found.latents, expected.latents.float())


def test_pictures_of_pictures_start_from_them(model_of: ModelOf) -> None:
    _, model = model_of(auraflow)
    latent = encode_image(model.part("vae"), as_tensor(picture(96, 64)))
    near, far = (
        model.make(96, 64, latent=latent, denoise=share, steps=4, cfg=4.0).latents
        for share in (0.25, 1.0)
    )
    assert latent.samples is not None
    assert (near - latent.samples).abs().mean() < (far - latent.samples).abs().mean()


def test_other_samplers_and_wrong_inputs(model_of: ModelOf) -> None:
    _, model = model_of(auraflow)
    assert_samples_by(model, {"dpmpp_2m": "normal", "heun": "beta"})
    assert_refuses(model, near="64 x 64")


def test_a_latent_without_positions_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(auraflow)
    with raises(InvalidValue, port="latent"):
        model.make(144, 64, cfg=1.0)


def original(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A transformer's tensors under the names of the original code."""
    written = {}
    for name, tensor in tensors.items():
        for here, theirs in AURAFLOW.denoisers[0].files[0].names.table:
            block = next((part for part in name.split(".") if part.isdecimal()), "")
            layer = here.replace("*", block)
            if name == layer or name.startswith(f"{layer}."):
                is_output = layer == "norm_out.linear"
                kept = torch.cat(tensor.chunk(2)[::-1]) if is_output else tensor
                written[theirs.replace("*", block) + name.removeprefix(layer)] = kept
                break
        else:
            written[name] = tensor
    return written


def test_a_file_of_the_original_names_is_read_as_diffusers_reads_it(tmp_path: Path) -> None:
    network = transformer(head=256).eval()
    tensors = original(network.state_dict())
    assert tensors.keys() & network.state_dict().keys() == {"register_tokens"}
    expected = converters.convert_auraflow_transformer_checkpoint_to_diffusers(dict(tensors))
    assert expected.keys() == network.state_dict().keys()
    file = tmp_path / "aura.safetensors"
    save_file({f"model.diffusion_model.{name}": item for name, item in tensors.items()}, file)
    shapes = {f"model.diffusion_model.{name}": tuple(item.shape) for name, item in tensors.items()}
    assert identify_tensors(shapes).title == "the transformer of AuraFlow"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    assert loaded.module.config["num_single_dit_layers"] == 2
    for name, item in loaded.module.state_dict().items():
        assert torch.equal(item, expected[name]), name
