"""Cosmos 1.0 and Cosmos Predict2 give what diffusers' pipelines give, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import diffusers as d
import pytest
import torch
import transformers as tf
from diffusers.loaders import single_file_utils as converters
from diffusers.models.transformers import transformer_cosmos
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Conditioning, Latent
from nodegraph.diffusion import encode_prompt, encode_video, load_component, sample
from nodegraph.errors import InvalidValue
from nodegraph.families.base import RATE
from nodegraph.families.identification import identify_tensors
from nodegraph.families.image_conditioning import FIRST_FRAME
from nodegraph.families.registry import FAMILIES
from nodegraph.media.images.images import to_pil
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.models.text_encoder_files import open_text_encoder
from nodegraph.sampling.inpainting import with_tensors
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, SEED, Made, Model, assert_same, picture, stock
from .image_to_image import MostLikely, as_tensor
from .parts import flow, t5_text
from .video_models import wan_vae
from .words import t5_words

ModelOf = Callable[[Callable[[], Any]], Pair]

if not hasattr(transformer_cosmos, "transforms"):
    # Without torchvision, the pipelines need its one function that they use.
    def _resize(image: Tensor, size: list[int], interpolation: str) -> Tensor:
        return torch.nn.functional.interpolate(image, size=size, mode=interpolation)

    vars(transformer_cosmos)["transforms"] = SimpleNamespace(
        functional=SimpleNamespace(resize=_resize),
        InterpolationMode=SimpleNamespace(NEAREST="nearest"),
    )


class SafetyChecker:
    """Finds nothing unsafe; the pipelines need one, and the original is a package of its own."""

    def to(self, device: Any) -> SafetyChecker:
        return self

    def check_text_safety(self, prompt: str) -> bool:
        return True

    def check_video_safety(self, frames: Any) -> Any:
        return frames


def cosmos_vae() -> Any:
    return d.AutoencoderKLCosmos(
        encoder_block_out_channels=(8, 8, 8, 8),
        decode_block_out_channels=(8, 8, 8, 8),
        attention_resolutions=(8,),
        resolution=64,
        num_layers=1,
    )


def network(taken: int = 16, positions: str | None = "learnable", **more: Any) -> Any:
    usual = {
        "num_attention_heads": 2,
        "attention_head_dim": 16,
        "adaln_lora_dim": 4,
        "num_layers": 2,
    }
    return d.CosmosTransformer3DModel(
        in_channels=taken,
        mlp_ratio=2.0,
        text_embed_dim=32,
        max_size=(8, 24, 24),
        extra_pos_embed_type=positions,
        **{**usual, **more},
    )


def edm() -> Any:
    return d.EDMEulerScheduler(sigma_data=0.5, final_sigmas_type="zero")


def parts(net: Any, vae: Any, scheduler: Any) -> tuple[Any, ...]:
    words = t5_words()
    return t5_text(words), words, net, vae, scheduler, SafetyChecker()


def cosmos() -> Any:
    return d.CosmosTextToWorldPipeline(*parts(network(), cosmos_vae(), edm()))


def cosmos_v2w() -> Any:
    return d.CosmosVideoToWorldPipeline(*parts(network(17), cosmos_vae(), edm()))


def ending_at_zero(pipeline: Any) -> Any:
    pipeline.scheduler.register_to_config(final_sigmas_type="zero")
    return pipeline


def cosmos_predict2() -> Any:
    scheduler = flow(use_karras_sigmas=True)
    net = network(positions=None, rope_scale=(1.0, 4.0, 4.0))
    return ending_at_zero(d.Cosmos2TextToImagePipeline(*parts(net, wan_vae(), scheduler)))


def predict2_v2w() -> Any:
    scheduler = flow(use_karras_sigmas=True)
    net = network(17, positions=None, rope_scale=(1.0, 3.0, 3.0))
    return ending_at_zero(d.Cosmos2VideoToWorldPipeline(*parts(net, wan_vae(), scheduler)))


def images(made: Made) -> Made:
    """A pipeline's images as videos of one frame, which nodegraph has them as."""
    return Made(made.latents.unsqueeze(2), lambda: made.pixels.unsqueeze(1))


def assert_same_pixels(found: Made, expected: Made) -> None:
    """The pipelines' safety check rounds to bytes, downwards."""
    rounded = (found.pixels * 255).floor() / 255
    torch.testing.assert_close(rounded, expected.pixels, rtol=0, atol=1e-6)


def test_videos_of_cosmos_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(cosmos)
    for width, frames, batch, negative, scale in (
        (64, 9, 1, NEGATIVE, 7.3),
        (96, 1, 3, None, 4.0),
        (64, 1, 1, None, 0.0),
    ):
        both = {"batch": batch, "negative": negative, "steps": 3}
        found = model.make(width, 64, frames=frames, cfg=scale + 1, **both)
        size = {"width": width, "height": 64, "num_frames": frames}
        expected = stock(pipeline, out="frames", **both, **size, guidance_scale=scale)
        assert_same(found, expected)
        if frames == 9:
            assert_same_pixels(found, expected)


def test_images_of_predict2_are_those_of_diffusers(model_of: ModelOf) -> None:
    pipeline, model = model_of(cosmos_predict2)
    for width, batch, negative, scale in (
        (64, 1, NEGATIVE, 7.3),
        (96, 3, None, 4.0),
        (64, 1, None, 0.0),
    ):
        both = {"batch": batch, "negative": negative, "steps": 3}
        found = model.make(width, 64, cfg=scale + 1, **both)
        expected = stock(pipeline, **both, width=width, height=64, guidance_scale=scale)
        assert_same(found, images(expected))
        if batch == 1 and scale:
            assert_same_pixels(found, images(expected))


@pytest.mark.slow
def test_in_bfloat16_as_diffusers(model_of: ModelOf) -> None:
    _, model = model_of(cosmos_predict2)
    loaded = d.Cosmos2TextToImagePipeline.from_pretrained(
        model.folder, dtype=torch.bfloat16, safety_checker=SafetyChecker()
    )
    ending_at_zero(loaded).set_progress_bar_config(disable=True)
    half = Model(model.folder, "bfloat16")
    # The pipeline rounds what guidance adds up to bfloat16, which has 8 bits; nodegraph does not.
    for scale, tolerance in ((0.0, 0.0), (4.0, 2**-5)):
        found = half.make(64, 64, cfg=scale + 1, negative=NEGATIVE)
        options = {"width": 64, "height": 64, "guidance_scale": scale, "negative": NEGATIVE}
        expected = images(stock(loaded, **options)).latents.float()
        torch.testing.assert_close(found.latents, expected, rtol=tolerance, atol=tolerance)


def cosmos_from_64() -> Any:
    """Its greatest noise level is a power of two, which latents are multiplied by exactly."""
    scheduler = d.EDMEulerScheduler(sigma_max=64.0, sigma_data=0.5, final_sigmas_type="zero")
    return d.CosmosTextToWorldPipeline(*parts(network(), cosmos_vae(), scheduler))


@pytest.mark.slow
def test_a_latent_gets_the_noise_of_the_first_level(model_of: ModelOf) -> None:
    pipeline, model = model_of(cosmos_from_64)
    drawn = as_tensor(picture(96, 64))
    film = torch.cat([drawn.roll(place, 2) for place in range(9)])
    latent = encode_video(model.part("vae"), film)
    found = model.make(96, 64, frames=9, latent=latent, cfg=5.0, negative=NEGATIVE)
    assert latent.samples is not None
    noise = torch.randn(latent.samples.shape, generator=torch.Generator().manual_seed(SEED))
    start = (latent.samples + 64 * noise) / 64
    options = {"width": 96, "height": 64, "num_frames": 9, "guidance_scale": 4.0}
    expected = stock(pipeline, out="frames", negative=NEGATIVE, latents=start, **options)
    assert_same(found, expected)


def test_the_last_steps_keep_more_of_a_picture(model_of: ModelOf) -> None:
    _, model = model_of(cosmos_predict2)
    latent = encode_video(model.part("vae"), as_tensor(picture(96, 64)))
    assert latent.samples is not None
    changes = [
        (
            model.make(96, 64, latent=latent, denoise=share, steps=8, cfg=1.0).latents
            - latent.samples
        ).std()
        for share in (0.13, 0.5, 0.99)
    ]
    assert changes == sorted(changes)
    assert changes[0] < changes[-1] / 2


def test_the_pipelines_last_step_changes_nothing(model_of: ModelOf) -> None:
    """With the published files they end at the least noise level; nodegraph takes it away, too."""
    pipeline, model = model_of(cosmos_predict2)
    published = d.Cosmos2TextToImagePipeline(**pipeline.components)
    published.set_progress_bar_config(disable=True)
    expected = stock(published, width=64, height=64, guidance_scale=0.0, steps=4)
    ending_at_zero(pipeline)
    steps: list[Tensor] = []
    prompt = model.encode("a red cat")
    assert prompt is not None
    sample(
        model.part("model"),
        prompt,
        None,
        Latent(None, 64, 64, 1, frames=1),
        callback=lambda info: steps.append(info.latent),
        seed=SEED,
        steps=4,
        cfg=1.0,
        sampler="euler",
        schedule="normal",
    )
    assert torch.equal(steps[2], expected.latents.unsqueeze(2))
    # The step that is left takes away noise of the deviation 0.002.
    assert (steps[3] - steps[2]).abs().max() < 0.002 * 6


def conditioning_of(
    pipeline: Any, model: Model, film: Tensor, frames: int
) -> Callable[[Conditioning], Conditioning]:
    """The first frames of a video as the pipeline has them.

    Predict2's divide by the deviation, where nodegraph encodes as Wan's do, which round otherwise.
    """

    def change(given: Conditioning) -> Conditioning:
        tensors = encode_first_frame(model.part("vae"), given, film, frames)
        if isinstance(pipeline.vae, d.AutoencoderKLWan):
            pixels = (film.movedim(-1, 0)[None] * 2 - 1).contiguous()
            mean, deviation = (
                torch.tensor(pipeline.vae.config[name]).view(1, -1, 1, 1, 1)
                for name in ("latents_mean", "latents_std")
            )
            own = (pipeline.vae.encode(pixels).latent_dist.mode() - mean) / deviation
            torch.testing.assert_close(tensors[FIRST_FRAME], own, rtol=1e-5, atol=1e-6)
            tensors = {FIRST_FRAME: own}
        return with_tensors(given, tensors)

    return change


def assert_same_world(pair: Pair, film: Tensor, frames: int, rate: int | None) -> None:
    """A world from the first frames of a video: all others are equal to the last bit.

    Where there is guidance, the rate is the published models'. The first frames are the
    conditioning itself here; the pipelines step to it.
    """
    pipeline, model = pair
    other = type(pipeline)(**pipeline.components)
    other.set_progress_bar_config(disable=True)
    ending_at_zero(other).vae = MostLikely(pipeline.vae)
    pictures = [to_pil(frame[None]) for frame in film]
    named: dict[str, Any] = {"video": pictures} if len(film) > 1 else {"image": pictures[0]}
    if isinstance(pipeline, d.CosmosVideoToWorldPipeline):
        # Else it adds noise of that deviation to the frames, in each step.
        named["augment_sigma"] = 0.0
    named |= {} if rate is None else {"fps": rate}
    scale = 4.0 if rate is None else 0.0
    size = {"width": film.shape[2], "height": film.shape[1]}
    both = {"negative": NEGATIVE, "steps": 3}
    expected = stock(
        other, out="frames", num_frames=frames, guidance_scale=scale, **named, **size, **both
    )
    first = conditioning_of(pipeline, model, film, frames)

    def change(given: Conditioning) -> Conditioning:
        paced = {} if rate is None else {RATE: torch.tensor([[rate, 1]])}
        return with_tensors(first(given), paced)

    found = model.make(**size, frames=frames, cfg=scale + 1, change=change, **both)
    kept = change(model.encode("a cat")).entries[0].tensors[FIRST_FRAME].shape[2]
    assert found.latents.std() > 1e-4
    assert torch.equal(found.latents[:, :, kept:], expected.latents[:, :, kept:])
    torch.testing.assert_close(found.latents, expected.latents, rtol=0, atol=1e-4)


@pytest.mark.parametrize("rate", [pytest.param(None, marks=pytest.mark.slow), 24])
def test_worlds_of_a_picture_are_those_of_diffusers(model_of: ModelOf, rate: int | None) -> None:
    image = as_tensor(picture(96, 64))
    assert_same_world(model_of(cosmos_v2w), image, 17, rate)
    assert_same_world(model_of(predict2_v2w), image, 9, rate)


@pytest.mark.slow
def test_worlds_that_continue_a_video_are_those_of_diffusers(model_of: ModelOf) -> None:
    drawn = as_tensor(picture(64, 64))
    film = torch.cat([drawn.roll(place, 2) for place in range(9)])
    assert_same_world(model_of(cosmos_v2w), film, 17, None)
    assert_same_world(model_of(predict2_v2w), film[:5], 13, None)


def test_what_does_not_fit_the_model_is_refused(model_of: ModelOf) -> None:
    _, model = model_of(cosmos_v2w)
    with raises(InvalidValue, port="positive"):
        model.make(64, 64, frames=9, cfg=1.0)
    drawn = as_tensor(picture(64, 64))
    prompt = model.encode("a cat")
    assert prompt is not None
    for frames in (3, 9):
        with raises(InvalidValue, port="image"):
            film = drawn.expand(frames, -1, -1, -1)
            encode_first_frame(model.part("vae"), prompt, film, 9)
    _, of_text = model_of(cosmos)
    with raises(InvalidValue, port="latent"):
        of_text.make(64, 64, frames=73, cfg=1.0)
    first = {FIRST_FRAME: torch.zeros(1, 16, 1, 8, 8)}
    with raises(InvalidValue, port="positive"):
        of_text.make(64, 64, frames=9, cfg=1.0, change=lambda given: with_tensors(given, first))


@pytest.mark.slow
def test_other_samplers_work_on_the_same_noise_levels(model_of: ModelOf) -> None:
    _, model = model_of(cosmos_predict2)
    samplers = {"dpmpp_2m": "karras", "heun": "beta", "ddim": "normal", "uni_pc": "exponential"}
    for sampler, schedule in samplers.items():
        made = model.make(64, 64, cfg=3.0, steps=6, sampler=sampler, schedule=schedule)
        assert torch.isfinite(made.latents).all(), sampler
        assert 1e-2 < made.latents.std() < 100, sampler


def test_networks_run_without_torchvision(
    model_of: ModelOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, model = model_of(cosmos_predict2)
    expected = model.make(64, 64, cfg=1.0).latents
    monkeypatch.delattr(transformer_cosmos, "transforms")
    assert torch.equal(model.make(64, 64, cfg=1.0).latents, expected)


_ORIGINAL = {
    "cosmos": {"logvar.0.freqs": 8, "logvar.1.weight": 8, "pos_embedder.seq": 128},
    "cosmos-predict2": {
        "pos_embedder.seq": 128,
        "pos_embedder.dim_spatial_range": 8,
        "accum_iteration": 1,
        "blocks.0.self_attn.attn_op._extra_state": 1,
    },
    "cosmos-transfer25": {"accum_iteration": 1, "blocks.0.self_attn.q_norm._extra_state": 1},
}
"""Tensors of original files that no image depends on, and how long they are."""


def original(tensors: dict[str, Tensor], family: str) -> dict[str, Tensor]:
    """A transformer's tensors under the names of the original code."""
    table = FAMILIES[family].denoisers[0].files[0].names.table
    written = {}
    for name, tensor in tensors.items():
        block = next((part for part in name.split(".") if part.isdecimal()), "")
        here, there = next(
            (layer.replace("*", block), theirs.replace("*", block))
            for layer, theirs in table
            if f"{name}.".startswith(f"{layer.replace('*', block)}.")
        )
        if family == "cosmos":
            there = there.replace("blocks.", "blocks.block", 1)
        written[f"{there}{name.removeprefix(here)}"] = tensor
    more = {name: torch.zeros(length) for name, length in _ORIGINAL[family].items()}
    return {f"net.{name}": tensor for name, tensor in {**written, **more}.items()}


class Checkpoint(dict[str, Tensor]):
    """Keeps what is taken out of it.

    diffusers' converter tells Cosmos 1.0 by a tensor that it has already taken out.
    """

    def pop(self, name: str) -> Tensor:  # type: ignore[override]
        return self[name]


@pytest.mark.parametrize(
    ("family", "taken"),
    [("cosmos", 16), ("cosmos", 17), ("cosmos-predict2", 16), ("cosmos-predict2", 17)],
)
def test_a_file_of_the_original_names_is_read_as_diffusers_reads_it(
    tmp_path: Path, family: str, taken: int
) -> None:
    positions = "learnable" if family == "cosmos" else None
    net = network(taken, positions, num_attention_heads=1, attention_head_dim=128)
    tensors = original(net.state_dict(), family)
    expected = converters.convert_cosmos_transformer_checkpoint_to_diffusers(Checkpoint(tensors))
    assert expected.keys() == net.state_dict().keys()
    file = tmp_path / "cosmos.safetensors"
    save_file({name: item.contiguous() for name, item in tensors.items()}, file)
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    title = f"the transformer of {FAMILIES[family].title}"
    assert identify_tensors(shapes).title == title
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    assert loaded.family == family
    assert loaded.scheduler_config["sigma_data"] == (0.5 if family == "cosmos" else 1.0)
    assert {name: loaded.module.config[name] for name in ("in_channels", "mlp_ratio")} == {
        "in_channels": taken,
        "mlp_ratio": 2.0,
    }
    for name, item in loaded.module.state_dict().items():
        assert torch.equal(item, expected[name]), name


@pytest.mark.parametrize(
    ("family", "heads", "taken", "scale"),
    [
        ("cosmos", 32, 16, (2.0, 1.0, 1.0)),
        ("cosmos", 40, 17, (2.0, 2.0, 2.0)),
        ("cosmos-predict2", 16, 16, (1.0, 4.0, 4.0)),
        ("cosmos-predict2", 40, 16, (1.0, 4.0, 4.0)),
        ("cosmos-predict2", 16, 17, (1.0, 3.0, 3.0)),
        ("cosmos-predict2", 40, 17, (20 / 24, 2.0, 2.0)),
    ],
)
def test_what_no_tensor_shows_is_as_published(
    family: str, heads: int, taken: int, scale: tuple[float, ...]
) -> None:
    positions = "learnable" if family == "cosmos" else None
    sizes = {"num_attention_heads": heads, "attention_head_dim": 128, "num_layers": 2}
    with torch.device("meta"):
        net = network(taken, positions, **sizes)
    shapes = {name: tuple(item.shape) for name, item in net.state_dict().items()}
    config = FAMILIES[family].denoisers[0].files[0].config(shapes)
    assert config["rope_scale"] == scale
    assert (config["num_attention_heads"], config["in_channels"]) == (heads, taken)


def test_an_encoder_in_a_file_is_read_as_t5_11b(tmp_path: Path) -> None:
    config = tf.T5Config(d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    torch.manual_seed(0)
    encoder = tf.T5EncoderModel(config).eval()
    file = tmp_path / "t5.safetensors"
    tensors = encoder.state_dict()
    tensors.pop("encoder.embed_tokens.weight", None)
    save_file(tensors, file)
    model = load_component(open_text_encoder("cosmos", {"file": str(file)}, []), "cpu")
    with torch.no_grad():
        tokens = model.tokenizers["tokenizer"](
            "a red cat", padding="max_length", max_length=512, return_tensors="pt"
        )
        states = encoder(**tokens).last_hidden_state
    found = encode_prompt(model, "a red cat").entries[0].embeddings
    length = int(tokens["attention_mask"].sum())
    assert torch.equal(found[:, :length], states[:, :length])
    assert not found[:, length:].any()
