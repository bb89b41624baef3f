"""LTX-2's published files: every tensor comes back, and samplings are those of the folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.loaders import single_file_utils as converters
from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
from diffusers.pipelines.ltx2.latent_upsampler import LTX2LatentUpsamplerModel
from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder, LTX2VocoderWithBWE
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import FrameGuide, Latent, Recipe
from nodegraph.diffusion import decode_video, encode_image, encode_prompt, load_component, sample
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families import ltx2
from nodegraph.families.components import Component
from nodegraph.families.identification import identify_tensors
from nodegraph.families.ltx2 import empty_sound
from nodegraph.families.ltx2_files import AUDIO_VAE, CONNECTORS, TRANSFORMER, VIDEO_VAE, VOCODERS
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.helper_files import open_latent_upscaler
from nodegraph.models.image_to_video import with_frame_guide
from nodegraph.models.loading import estimate_bytes
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.models.upscaling import upscale_latent
from nodegraph.models.vae import decode_sound
from nodegraph.models.vae_files import open_vae
from nodegraph.sampling.latents.combination import with_sound
from nodegraph.weights.single_files.base import FileLayout
from tests.messages import raises

from .conftest import Pair
from .equality import PROMPT, SEED
from .parts import dynamic_flow
from .test_ltx2 import sound_vae
from .words import gemma_words

ModelOf = Callable[[Callable[[], Any]], Pair]

WIDTH, STATES = 60, 49
"""Of the text encoder; 48 layers and the embeddings are published."""

# Pipelines of the published architecture, as diffusers' conversion script says it


def gemma3(words: Any) -> Any:
    eyes = tf.SiglipVisionConfig(
        hidden_size=8,
        intermediate_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        image_size=28,
        patch_size=14,
    )
    text = tf.Gemma3TextConfig(
        vocab_size=len(words),
        hidden_size=WIDTH,
        intermediate_size=32,
        num_hidden_layers=STATES - 1,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=8,
        sliding_window=1024,
        rope_parameters={
            "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
        pad_token_id=words.pad_token_id,
        eos_token_id=words.eos_token_id,
        bos_token_id=words.bos_token_id,
    )
    config = tf.Gemma3Config(text_config=text, vision_config=eyes, mm_tokens_per_image=4)
    return tf.Gemma3ForConditionalGeneration(config)


def transformer(newer: bool, **more: Any) -> Any:
    streams = ("", "audio_")
    options = {f"{stream}{name}": newer for stream in streams for name in _NEWER} | more
    return d.LTX2VideoTransformer3DModel(
        num_attention_heads=32,
        attention_head_dim=8,
        cross_attention_dim=256,
        audio_num_attention_heads=32,
        audio_attention_head_dim=4,
        audio_cross_attention_dim=128,
        num_layers=2,
        caption_channels=WIDTH,
        rope_type="split",
        use_prompt_embeddings=not newer,
        **options,
    )


_NEWER = ("gated_attn", "cross_attn_mod")


def connectors(newer: bool) -> Any:
    heads = {"video": (32, 8), "audio": (32, 4)} if newer else dict.fromkeys(_SIDES, (30, 2))
    options: dict[str, Any] = {}
    for side, (count, width) in heads.items():
        options |= {
            f"{side}_connector_num_attention_heads": count,
            f"{side}_connector_attention_head_dim": width,
            f"{side}_connector_num_layers": 1,
            f"{side}_gated_attn": newer,
            f"{side}_hidden_dim": count * width,
        }
    return LTX2TextConnectors(
        caption_channels=WIDTH,
        text_proj_in_factor=STATES,
        rope_type="split",
        per_modality_projections=newer,
        proj_bias=newer,
        **options,
    )


_SIDES = ("video", "audio")
_VAE_20 = {
    "decoder_block_out_channels": (8, 16, 32),
    "decoder_layers_per_block": (1, 1, 2, 1),
    "upsample_factor": (2, 2, 2),
}
_VAE_23 = {
    "decoder_block_out_channels": (8, 16, 16, 32),
    "decoder_layers_per_block": (1, 1, 2, 1, 1),
    "decoder_spatio_temporal_scaling": (True,) * 4,
    "decoder_inject_noise": (False,) * 5,
    "upsample_type": ("spatiotemporal", "spatiotemporal", "temporal", "spatial"),
    "upsample_residual": (False,) * 4,
    "upsample_factor": (2, 2, 1, 2),
    "decoder_spatial_padding_mode": "zeros",
}


def video_vae(newer: bool) -> Any:
    vae = d.AutoencoderKLLTX2Video(
        block_out_channels=(8, 8, 16, 16) if newer else (8, 8, 8, 16),
        layers_per_block=(1, 2, 1, 1, 1),
        decoder_causal=False,
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
        **(_VAE_23 if newer else _VAE_20),
    )
    vae.latents_mean.normal_(0, 0.1)
    vae.latents_std.uniform_(0.5, 1.5)
    return vae


def vocoder(newer: bool) -> Any:
    if not newer:
        return LTX2Vocoder(hidden_channels=64)
    made = LTX2VocoderWithBWE(hidden_channels=64, bwe_hidden_channels=32)
    for buffer in made.mel_stft.buffers():
        buffer.normal_(0, 0.1)
    return made


def _pipeline(newer: bool) -> Any:
    words = gemma_words()
    scheduler = dynamic_flow(
        shift=1.0, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024, shift_terminal=0.1
    )
    return d.LTX2Pipeline(
        scheduler=scheduler,
        vae=video_vae(newer),
        audio_vae=sound_vae(),
        text_encoder=gemma3(words),
        tokenizer=words,
        connectors=connectors(newer),
        transformer=transformer(newer),
        vocoder=vocoder(newer),
    )


def ltx20() -> Any:
    return _pipeline(newer=False)


def ltx23() -> Any:
    return _pipeline(newer=True)


# The published names


def _original_transformer(name: str) -> str:
    block = next((part for part in name.split(".") if part.isdecimal()), "")
    for here, theirs in TRANSFORMER.names.table:
        layer = here.replace("*", block)
        if name == layer or name.startswith(f"{layer}."):
            return theirs.replace("*", block) + name.removeprefix(layer)
    return name


def _original_vae(name: str) -> str:
    """In the original, each half lists its blocks and what changes the size in one row."""

    def number(match: re.Match[str]) -> str:
        at, resizes = 2 * int(match[2]), match[3].startswith(("down", "up"))
        place = at + resizes if match[1] == "encoder.down" else at + 2 - resizes
        return f"{match[1]}_blocks.{place}." + ("" if resizes else "res_blocks.")

    name = re.sub(
        r"(encoder\.down|decoder\.up)_blocks\.(\d+)\.((?:down|up)samplers\.0|resnets)\.",
        number,
        name,
    )
    name = name.replace("encoder.mid_block.resnets.", "encoder.down_blocks.8.res_blocks.")
    name = name.replace("decoder.mid_block.resnets.", "decoder.up_blocks.0.res_blocks.")
    return _statistic(name)


def _statistic(name: str) -> str:
    names = {"latents_mean": "mean-of-means", "latents_std": "std-of-means"}
    return f"per_channel_statistics.{names[name]}" if name in names else name


def _original_vocoder(name: str) -> str:
    for new, old in (
        ("upsamplers.", "ups."),
        ("resnets.", "resblocks."),
        ("conv_in.", "conv_pre."),
        ("conv_out.", "conv_post."),
        ("act_out.", "act_post."),
        ("downsample.", "downsample.lowpass."),
    ):
        name = name.replace(new, old)
    return name


def _original_connector(name: str) -> str:
    part, _, layer = name.partition(".")
    if part.endswith("text_proj_in"):
        side = part.removesuffix("text_proj_in")
        return f"text_embedding_projection.{side}aggregate_embed.{layer}"
    layer = layer.replace("transformer_blocks.", "transformer_1d_blocks.")
    layer = re.sub(r"norm_([qk])", r"\1_norm", layer)
    side = part.removesuffix("_connector")
    return f"model.diffusion_model.{side}_embeddings_connector.{layer}"


def _named(prefix: str, module: Any, name: Callable[[str], str]) -> dict[str, Tensor]:
    tensors = module.state_dict().items()
    return {f"{prefix}{name(key)}": item.contiguous() for key, item in tensors}


def checkpoint(parts: Mapping[str, Any]) -> dict[str, Tensor]:
    """A whole file in the published names, of modules by role."""
    unused = ("vae.per_channel_statistics.mean-of-stds", "vae.per_channel_statistics.channel")
    return {
        **_named("model.diffusion_model.", parts["transformer"], _original_transformer),
        **_named("vae.", parts["vae"], _original_vae),
        **_named("audio_vae.", parts["audio_vae"], _statistic),
        **_named("vocoder.", parts["vocoder"], _original_vocoder),
        **_named("", parts["connectors"], _original_connector),
        **{name: torch.zeros(1) for name in unused},
    }


def gemma_file(encoder: Any) -> dict[str, Tensor]:
    """In ComfyUI's names, where the eyes lie beside the text."""
    renamed = {}
    for name, item in encoder.state_dict().items():
        plain = name.replace("model.language_model.", "model.")
        plain = plain.replace("model.vision_tower.", "vision_model.").replace(
            "model.multi", "multi"
        )
        if plain != "lm_head.weight":
            renamed[plain] = item.contiguous()
    return renamed


def write_files(pipeline: Any, folder: Path) -> tuple[Path, Path]:
    """The file of a whole model, and that of its text encoder, with its tokenizer beside it."""
    whole, gemma = folder / "ltx-2.safetensors", folder / "gemma_3.safetensors"
    save_file(checkpoint(pipeline.components), whole)
    save_file(gemma_file(pipeline.text_encoder), gemma)
    gemma_words().save_pretrained(folder / "tokenizers" / "gemma3")
    return whole, gemma


@dataclass
class Files:
    """The published files of a pipeline, opened."""

    checkpoint: Path
    model: Recipe
    text_encoder: Recipe
    vae: Recipe
    loaded: dict[str, Any] = field(default_factory=dict)

    def load(self, name: str) -> Any:
        if name not in self.loaded:
            self.loaded[name] = load_component(getattr(self, name), "cpu")
        return self.loaded[name]


@pytest.fixture(scope="module")
def files_of(tmp_path_factory: pytest.TempPathFactory, model_of: ModelOf) -> Callable[[Any], Files]:
    known: dict[Any, Files] = {}

    def made(build: Callable[[], Any]) -> Files:
        if build not in known:
            pipeline, _ = model_of(build)
            folder = tmp_path_factory.mktemp(build.__name__)
            whole, gemma = write_files(pipeline, folder)
            encoders = {"file": str(gemma), "file_2": str(whole)}
            known[build] = Files(
                whole,
                open_denoiser(DenoiserRequest(str(whole)), []),
                open_text_encoder("ltx2", encoders, [folder]),
                open_vae(str(whole), []),
            )
        return known[build]

    return made


def assert_holds(found: Component, role: str, expected: Any, prefix: str = "") -> None:
    module, wanted = found.modules[role], expected.state_dict()
    own = {name.removeprefix(prefix): item for name, item in wanted.items() if prefix in name}
    assert module.state_dict().keys() == own.keys()
    for name, item in module.state_dict().items():
        assert torch.equal(item, own[name]), name


@pytest.mark.parametrize("build", [pytest.param(ltx20, marks=pytest.mark.slow), ltx23])
def test_every_tensor_of_the_published_files_comes_back(
    build: Callable[[], Any], files_of: Callable[[Any], Files], model_of: ModelOf
) -> None:
    pipeline, files = model_of(build)[0], files_of(build)
    model, text, vae = (files.load(name) for name in ("model", "text_encoder", "vae"))
    assert [*vae.modules] == ["vae", "audio_vae", "vocoder"]
    for found, role in (
        (model, "transformer"),
        (text, "connectors"),
        *((vae, r) for r in vae.modules),
    ):
        assert_holds(found, role, getattr(pipeline, role))
    assert_holds(text, "text_encoder", pipeline.text_encoder, "model.language_model.")


@pytest.mark.parametrize("build", [pytest.param(ltx20, marks=pytest.mark.slow), ltx23])
def test_a_sampling_from_the_files_is_that_from_the_folder(
    build: Callable[[], Any],
    files_of: Callable[[Any], Files],
    model_of: ModelOf,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As few tokens as the connectors take: 48 layers over 1024 take seconds.
    monkeypatch.setattr(ltx2, "_TOKENS", 128)
    _, folder = model_of(build)
    files = files_of(build)
    image = torch.rand(1, 64, 64, 3, generator=torch.Generator().manual_seed(SEED))
    results = []
    for load in (folder.part, files.load):
        prompt, vae = encode_prompt(load("text_encoder"), PROMPT), load("vae")
        start = with_frame_guide(vae, Latent(None, 64, 64, 1, frames=9), image, 0, 1.0)
        # Vocoders take seconds, too: a short sound.
        start = with_sound(start, empty_sound(2, 24.0, 1))
        options = {"seed": SEED, "steps": 2, "sampler": "euler", "schedule": "normal"}
        latent = sample(load("model"), prompt, None, start, cfg=1.0, **options)
        results.append(
            (latent.samples, decode_video(vae, latent), decode_sound(vae, latent).waveform)
        )
    for ours, expected in zip(*results, strict=True):
        assert expected.std() > 1e-5
        assert torch.equal(ours, expected)


def test_the_names_are_those_that_diffusers_reads() -> None:
    parts = ltx20().components
    whole = checkpoint(parts)
    for role, prefix, convert in (
        ("transformer", "model.diffusion_model.", converters.convert_ltx2_transformer_to_diffusers),
        ("vae", "vae.", converters.convert_ltx2_vae_to_diffusers),
        ("audio_vae", "audio_vae.", converters.convert_ltx2_audio_vae_to_diffusers),
    ):
        own = {name: item for name, item in whole.items() if name.startswith(prefix)}
        assert convert(own).keys() == parts[role].state_dict().keys(), role


def test_only_what_a_part_has_counts_as_its_memory(files_of: Callable[[Any], Files]) -> None:
    files = files_of(ltx23)
    for name in ("text_encoder", "vae"):
        modules = files.load(name).modules.values()
        sizes = [item.nbytes for module in modules for item in module.state_dict().values()]
        assert sum(sizes) <= estimate_bytes(getattr(files, name)) < 1.3 * sum(sizes)


def test_a_file_of_sound_alone_decodes_sound(tmp_path: Path) -> None:
    parts = ltx20().components
    whole = checkpoint(parts)
    sound = {name: item for name, item in whole.items() if name.startswith(("audio_vae.", "voc"))}
    save_file(sound, tmp_path / "audio_vae.safetensors")
    vae: Any = load_component(open_vae(str(tmp_path / "audio_vae.safetensors"), []), "cpu")
    latent = Latent(None, 0, 0, 1, format="ltx2", sound=torch.randn(1, 8, 2, 16))
    stock, vocoder = parts["audio_vae"].eval(), parts["vocoder"].eval()
    mean, deviation = (item.view(1, 8, 1, 16) for item in (stock.latents_mean, stock.latents_std))
    assert latent.sound is not None
    with torch.no_grad():
        mel = stock.decode(latent.sound * deviation + mean, return_dict=False)[0]
        expected = vocoder(mel)[0]
    assert torch.equal(decode_sound(vae, latent).waveform, expected)
    with raises(InvalidValue, port="vae"):
        encode_image(vae, torch.zeros(1, 64, 64, 3))


def test_a_file_of_videos_alone_has_no_sound(tmp_path: Path, model_of: ModelOf) -> None:
    pipeline, _ = model_of(ltx23)
    save_file(_named("", pipeline.vae, _original_vae), tmp_path / "vae.safetensors")
    vae: Any = load_component(open_vae(str(tmp_path / "vae.safetensors"), []), "cpu")
    assert_holds(vae, "vae", pipeline.vae)
    with raises(InvalidValue, port="vae"):
        decode_sound(vae, Latent(None, 0, 0, 1, format="ltx2", sound=torch.zeros(1, 8, 9, 16)))


def test_a_text_encoder_without_connectors_is_told(
    files_of: Callable[[Any], Files],
) -> None:
    folder = files_of(ltx23).checkpoint.parent
    with raises(InvalidFile):
        open_text_encoder("ltx2", {"file": str(folder / "gemma_3.safetensors")}, [folder])


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(item.shape) for name, item in tensors.items()}


def test_later_versions_are_named(model_of: ModelOf) -> None:
    whole = _shapes(checkpoint(model_of(ltx23)[0].components))
    marked = whole | {"model.diffusion_model.keyframes_abs_pos_embedding": (1, 256)}
    assert identify_tensors(marked).title.startswith("the transformer of LTX-2.5")
    dropped = (".ff.net.0.proj.bias", "prompt_adaln_single.linear.weight")
    for end in dropped:
        newer = {name: shape for name, shape in whole.items() if not name.endswith(end)}
        assert identify_tensors(newer).title == "a version of LTX-2 that is not known here"


@pytest.mark.parametrize("newer", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_published_sizes_are_read_from_shapes(newer: bool) -> None:
    with torch.device("meta"):
        parts = dict(_PUBLISHED_23 if newer else _PUBLISHED_20)
        modules = {role: make() for role, make in parts.items()}
    tensors = checkpoint(modules)
    shapes = _shapes({name: item for name, item in tensors.items() if item.ndim})
    layouts: dict[str, tuple[FileLayout, str]] = {
        "transformer": (TRANSFORMER, "model.diffusion_model."),
        "vae": (VIDEO_VAE, "vae."),
        "audio_vae": (AUDIO_VAE, "audio_vae."),
        "vocoder": (VOCODERS[0 if newer else 1], "vocoder."),
        "connectors": (CONNECTORS, ""),
    }
    for role, (layout, prefix) in layouts.items():
        assert layout.prefix(shapes) == prefix, role
        own = {
            key.removeprefix(prefix): item for key, item in shapes.items() if key.startswith(prefix)
        }
        config, wanted = layout.config(own), modules[role].config
        assert layout.class_name == type(modules[role]).__name__
        for name, value in config.items():
            assert _plain(value) == _plain(wanted[name]), (role, name)


def _plain(value: Any) -> Any:
    return [*map(_plain, value)] if isinstance(value, (list, tuple)) else value


_PUBLISHED_20: dict[str, Callable[[], Any]] = {
    "transformer": partial(d.LTX2VideoTransformer3DModel, rope_type="split"),
    "vae": partial(
        d.AutoencoderKLLTX2Video,
        decoder_causal=False,
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
    ),
    "audio_vae": d.AutoencoderKLLTX2Audio,
    "vocoder": LTX2Vocoder,
    "connectors": partial(LTX2TextConnectors, rope_type="split"),
}
_PUBLISHED_23: dict[str, Callable[[], Any]] = {
    "transformer": partial(
        d.LTX2VideoTransformer3DModel,
        rope_type="split",
        gated_attn=True,
        cross_attn_mod=True,
        audio_gated_attn=True,
        audio_cross_attn_mod=True,
        use_prompt_embeddings=False,
    ),
    "vae": partial(
        d.AutoencoderKLLTX2Video,
        block_out_channels=(256, 512, 1024, 1024),
        layers_per_block=(4, 6, 4, 2, 2),
        decoder_causal=False,
        spatial_compression_ratio=32,
        temporal_compression_ratio=8,
        **{
            **_VAE_23,
            "decoder_block_out_channels": (256, 512, 512, 1024),
            "decoder_layers_per_block": (4, 6, 4, 2, 2),
        },
    ),
    "audio_vae": d.AutoencoderKLLTX2Audio,
    "vocoder": LTX2VocoderWithBWE,
    "connectors": partial(
        LTX2TextConnectors,
        video_connector_num_attention_heads=32,
        video_connector_num_layers=8,
        video_gated_attn=True,
        audio_connector_num_attention_heads=32,
        audio_connector_attention_head_dim=64,
        audio_connector_num_layers=8,
        audio_gated_attn=True,
        rope_type="split",
        per_modality_projections=True,
        proj_bias=True,
    ),
}


def test_gemma_4_is_no_text_encoder_of_it(tmp_path: Path) -> None:
    encoder = gemma_file(gemma3(gemma_words()))
    encoder["model.layers.0.layer_scalar"] = torch.ones(1)
    save_file(encoder, tmp_path / "gemma_4.safetensors")
    with raises(InvalidFile, port="file"):
        open_text_encoder("ltx2", {"file": str(tmp_path / "gemma_4.safetensors")}, [])


# Latent upscale models


def upsampler(**options: Any) -> Any:
    torch.manual_seed(0)
    made = LTX2LatentUpsamplerModel(mid_channels=32, num_blocks_per_stage=1, **options)
    return made.eval().requires_grad_(False)


_PLAIN_UPSAMPLER = {"use_rational_resampler": False}
_UPSAMPLERS: list[tuple[dict[str, Any], tuple[int, int, int]]] = [
    ({}, (3, 4, 8)),
    ({"rational_spatial_scale": 1.5}, (3, 3, 6)),
    ({**_PLAIN_UPSAMPLER}, (3, 4, 8)),
    ({**_PLAIN_UPSAMPLER, "spatial_upsample": False, "temporal_upsample": True}, (5, 2, 4)),
    ({**_PLAIN_UPSAMPLER, "dims": 2}, (3, 4, 8)),
]


@pytest.mark.parametrize(("options", "size"), _UPSAMPLERS)
def test_latents_are_upscaled_as_by_diffusers(
    options: dict[str, Any], size: tuple[int, int, int], tmp_path: Path, model_of: ModelOf
) -> None:
    pipeline, folder = model_of(ltx23)
    network = upsampler(**options)
    save_file(network.state_dict(), tmp_path / "up.safetensors")
    samples = torch.randn(2, 128, 3, 2, 4, generator=torch.Generator().manual_seed(SEED))
    mask, guides = torch.ones(1, 64, 128), (FrameGuide(samples[:1, :, :1]),)
    latent = Latent(samples, 128, 64, 2, format="ltx2", frames=17, noise_mask=mask, guides=guides)
    loaded: Any = load_component(open_latent_upscaler("up", [tmp_path]), "cpu")
    found = upscale_latent(loaded, folder.part("vae"), latent)

    stock = d.LTX2LatentUpsamplePipeline(vae=pipeline.vae, latent_upsampler=network)
    rows = [
        stock(latents=item[None], latents_normalized=True, output_type="latent").frames
        for item in samples
    ]
    mean, deviation = (
        item.view(1, -1, 1, 1, 1) for item in (pipeline.vae.latents_mean, pipeline.vae.latents_std)
    )
    assert found.samples is not None
    assert torch.equal(found.samples, (torch.cat(rows) - mean) / deviation)
    assert found.samples.shape[2:] == size
    assert (found.frames, found.height, found.width) == (
        size[0] * 8 - 7,
        size[1] * 32,
        size[2] * 32,
    )
    assert found.noise_mask is not None
    assert found.noise_mask.shape == (1, found.height, found.width)
    assert found.guides == ()


def test_other_files_are_no_latent_upscale_models(
    tmp_path: Path, files_of: Callable[[Any], Files]
) -> None:
    with raises(InvalidFile):
        open_latent_upscaler(str(files_of(ltx23).checkpoint), [])
    save_file(upsampler().state_dict(), tmp_path / "up.safetensors")
    with raises(InvalidFile):
        open_vae(str(tmp_path / "up.safetensors"), [])
