"""Cosmos Transfer2.5 gives what diffusers' pipeline gives, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import diffusers as d
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nodegraph.core.values import Conditioning, Control
from nodegraph.diffusion import encode_prompt, encode_video, load_component
from nodegraph.errors import InvalidValue
from nodegraph.families.cosmos_transfer25 import TRANSFER25_CONTROL, TRANSFER25_FILE
from nodegraph.families.identification import identify_tensors
from nodegraph.media.images.images import to_pil
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.image_to_video import encode_first_frame
from nodegraph.sampling.controls.control_conditioning import with_control
from nodegraph.sampling.controls.files import open_control
from nodegraph.sampling.guiders.context_windows import WindowedEvaluation
from nodegraph.sampling.inpainting import with_tensors
from nodegraph.sampling.sampling_parts import GuiderChoice
from tests.diffusion.guiders.test_context_windows import guided
from tests.messages import raises

from . import test_controls
from .checks import assert_refuses, assert_samples_by
from .conftest import Pair
from .equality import NEGATIVE, PROMPT, SEED, Made, Model, assert_same, stock
from .image_to_image import MostLikely
from .language import qwen_vl_text
from .test_controls import Net, NetOf, beside, seen
from .test_cosmos import SafetyChecker, original
from .test_cosmos25 import LateLevels, film, scheduler
from .video_models import wan_vae
from .words import qwen_words

# diffusers 0.42 hands tensors to numpy in a way that numpy 2 deprecates
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

ModelOf = Callable[[Callable[[], Any]], Pair]
net_of = test_controls.net_of
"""A fixture."""
_LAYERS, _WIDTH = 3, 32
"""Of the text encoder."""
_TEXT = {
    "use_crossattn_projection": True,
    "crossattn_proj_in_channels": _LAYERS * _WIDTH,
    "encoder_hidden_states_channels": 24,
}
_SIZES = {
    "num_attention_heads": 2,
    "attention_head_dim": 16,
    "adaln_lora_dim": 4,
    "mlp_ratio": 2.0,
    "text_embed_dim": 24,
    "max_size": (8, 32, 32),
    "img_context_dim_in": 12,
    "img_context_dim_out": 32,
    "rope_scale": (1.0, 3.0, 3.0),
    "extra_pos_embed_type": None,
}


def network(**more: Any) -> Any:
    usual = {"num_layers": 4, "controlnet_block_every_n": 2, "img_context_num_tokens": 5}
    sizes = {**_SIZES, **_TEXT, **usual, **more}
    return d.CosmosTransformer3DModel(in_channels=17, **sizes)


def control_network(**more: Any) -> Any:
    sizes = {**_SIZES, **_TEXT, "model_channels": 32, "n_controlnet_blocks": 2, **more}
    return d.CosmosControlNetModel(**sizes)


def other_control_network() -> Any:
    return control_network()


def cosmos_transfer25() -> Any:
    """As it is published: each control network is a folder of its own."""
    words = qwen_words()
    encoder = qwen_vl_text(words, _WIDTH, _LAYERS)
    parts = encoder, words, network(), wan_vae(), scheduler()
    return d.Cosmos2_5_TransferPipeline(*parts, None, SafetyChecker())


def cosmos_transfer25_with_network() -> Any:
    """A folder of all that the pipeline needs."""
    pipeline = cosmos_transfer25()
    return type(pipeline)(**{**pipeline.components, "controlnet": control_network()})


def controlled(pipeline: Any, net: Any, vae: Any = None) -> Any:
    """The pipeline with a control network, which encodes as nodegraph does."""
    other = type(pipeline)(**{**pipeline.components, "controlnet": net})
    other.vae = vae or MostLikely(pipeline.vae)
    other.set_progress_bar_config(disable=True)
    return other


def as_frames(video: Tensor) -> list[Any]:
    return [to_pil(frame[None]) for frame in video]


def sampled(
    model: Model,
    nets: Sequence[Net],
    controls: Sequence[Control],
    size: tuple[int, int],
    change: Callable[[Conditioning], Conditioning] = lambda given: given,
    **options: Any,
) -> Made:
    """A video of a model with control networks beside it."""

    def led(given: Conditioning) -> Conditioning:
        for control in controls:
            given = with_control(given, control)
        return given

    away = model.encode(options.pop("negative", None))
    away = None if away is None else led(away)
    with beside(model, *nets):
        return model.make(
            *size, change=lambda given: led(change(given)), away=away, sampler="uni_pc", **options
        )


def assert_like_diffusers(
    pair: Pair,
    net: Net,
    video: Tensor,
    scale: float = 3.0,
    *,
    strength: float = 1.0,
    batch: int = 1,
    negative: str | None = NEGATIVE,
    pixels: bool = False,
    steps: int = 3,
) -> None:
    """A world that follows a control video. Without guidance, the pipeline's scale is 0."""
    pipeline, model = pair
    size = video.shape[2], video.shape[1]
    both = {"batch": batch, "negative": negative, "steps": steps}
    control = seen(model, net, video, strength=strength)
    found = sampled(model, [net], [control], size, frames=len(video), cfg=scale + 1, **both)
    # The pipeline makes several videos of several prompts alone.
    prompts = {"prompt": [PROMPT] * batch, "num_videos_per_prompt": 1}
    against = {} if negative is None else {"negative_prompt": [negative] * batch}
    expected = stock(
        controlled(pipeline, net.module),
        batch=batch,
        steps=steps,
        out="frames",
        controls=as_frames(video),
        controls_conditioning_scale=strength,
        width=size[0],
        height=size[1],
        num_frames=len(video),
        num_frames_per_chunk=len(video),
        guidance_scale=scale,
        **{**prompts, **against},
    )
    assert_same(found, expected)
    if pixels:
        # The pipeline rounds to bytes in its safety check.
        levels = (found.pixels * 255).to(torch.uint8)
        torch.testing.assert_close(levels / 255, expected.pixels, rtol=0, atol=1e-6)
        assert levels.float().std() > 1
    if strength:
        bare = model.make(*size, frames=len(video), cfg=scale + 1, sampler="uni_pc", **both)
        assert (bare.latents - found.latents).abs().max() > 1e-3


def test_worlds_that_follow_a_video_are_those_of_diffusers(
    model_of: ModelOf, net_of: NetOf
) -> None:
    net = net_of(control_network)
    assert_like_diffusers(model_of(cosmos_transfer25), net, film(5, 96), pixels=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("width", "frames", "scale", "strength", "batch", "steps"),
    [
        (64, 5, 0.0, 1.0, 1, 4),
        (80, 5, 3.0, 0.35, 3, 3),
        (64, 13, 7.3, 1.6, 1, 2),
        (96, 9, 3.0, 1.0, 1, 3),
        (64, 5, 3.0, 1.0, 1, 11),
    ],
)
def test_all_sizes_strengths_and_batches_are_those_of_diffusers(
    model_of: ModelOf,
    net_of: NetOf,
    width: int,
    frames: int,
    scale: float,
    strength: float,
    batch: int,
    steps: int,
) -> None:
    pair, net = model_of(cosmos_transfer25), net_of(control_network)
    options = {"strength": strength, "batch": batch, "steps": steps}
    assert_like_diffusers(pair, net, film(frames, width), scale, **options)


@pytest.mark.slow
def test_without_a_control_network_it_is_the_pipeline_at_strength_0(
    model_of: ModelOf, net_of: NetOf
) -> None:
    pipeline, model = model_of(cosmos_transfer25)
    both = {"steps": 3, "negative": NEGATIVE}
    found = model.make(64, 64, frames=5, cfg=4.0, sampler="uni_pc", **both)
    expected = stock(
        controlled(pipeline, net_of(control_network).module),
        out="frames",
        controls=as_frames(film(5)),
        controls_conditioning_scale=0.0,
        width=64,
        height=64,
        num_frames_per_chunk=5,
        guidance_scale=3.0,
        **both,
    )
    assert_same(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("prompt", ["", "a cat" * 400, "a {red} cat <|im_end|> é"])
def test_prompts_are_read_as_diffusers_reads_them(model_of: ModelOf, prompt: str) -> None:
    pipeline, model = model_of(cosmos_transfer25)
    with torch.no_grad():
        expected, _ = pipeline.encode_prompt(prompt, do_classifier_free_guidance=False)
    (entry,) = encode_prompt(model.part("text_encoder"), prompt).entries
    assert expected.shape == (1, 512, _LAYERS * _WIDTH)
    assert torch.equal(entry.embeddings, expected)


@pytest.mark.slow
def test_without_a_negative_prompt_it_is_the_pipelines(model_of: ModelOf, net_of: NetOf) -> None:
    pair, net = model_of(cosmos_transfer25), net_of(control_network)
    assert_like_diffusers(pair, net, film(5), negative=None, steps=2)


class Sum(nn.Module):
    """Several control networks as one: what they add is added up.

    The pipeline takes one network and one control video.

    Args:
        nets: Networks and their strengths.
        controls: Latents of the control video of each.
    """

    def __init__(self, nets: Sequence[tuple[Any, float]], controls: Sequence[Tensor]) -> None:
        super().__init__()
        self.nets, self.controls = nets, controls
        self.device, self.dtype = torch.device("cpu"), torch.float32

    def forward(self, controls_latents: Tensor, conditioning_scale: float, **more: Any) -> Any:
        added = [
            net(controls_latents=latents, conditioning_scale=strength, **more)[0]
            for (net, strength), latents in zip(self.nets, self.controls, strict=True)
        ]
        return ([sum(each[1:], each[0]) for each in zip(*added, strict=True)],)


def test_several_controls_with_weights_add_up(model_of: ModelOf, net_of: NetOf) -> None:
    pipeline, model = model_of(cosmos_transfer25)
    nets = [net_of(control_network), net_of(other_control_network)]
    videos, strengths = (film(5), film(5).flip(2)), (0.8, 0.3)
    controls = [
        seen(model, net, video, strength=strength)
        for net, video, strength in zip(nets, videos, strengths, strict=True)
    ]
    both = {"steps": 2, "negative": NEGATIVE}
    found = sampled(model, nets, controls, (64, 64), frames=5, cfg=4.0, **both)
    together = Sum(
        [(net.module, strength) for net, strength in zip(nets, strengths, strict=True)],
        [control.hint for control in controls],
    )
    expected = stock(
        controlled(pipeline, together),
        out="frames",
        controls=as_frames(videos[0]),
        width=64,
        height=64,
        num_frames_per_chunk=5,
        guidance_scale=3.0,
        **both,
    )
    assert_same(found, expected)


class Chunks(MostLikely):
    """As `MostLikely`, and what was encoded last begins what is decoded.

    The pipeline leaves 1 / 201 of the first noise in the frames that a chunk begins with, and hands
    unrounded frames to the next chunk. nodegraph keeps the frames as they are, and hands on images.

    Args:
        kept: Latent frames that a chunk begins with.
    """

    def __init__(self, vae: Any, kept: int) -> None:
        super().__init__(vae)
        self.kept = kept
        self.begun: list[Tensor] = []

    def encode(self, pixels: Tensor) -> Any:
        encoded = super().encode(pixels)
        self.begun.append(encoded.latents)
        return encoded

    def decode(self, latents: Tensor, return_dict: bool = True) -> Any:
        number = len(self.begun) // 2 - 1
        if number:
            # A chunk encodes the frames that it begins with, and then its control video.
            first = self.begun[2 * number][:, :, : self.kept]
            latents = torch.cat([self._scaled_twice(first), latents[:, :, self.kept :]], 2)
        images = self._vae.decode(latents, return_dict=False)[0] / 2 + 0.5
        return (images * 2 - 1,)

    def _scaled_twice(self, latents: Tensor) -> Tensor:
        """Latents as they are after they were scaled for the model and back."""
        mean, deviation = (
            torch.tensor(self._vae.config[name]).view(1, -1, 1, 1, 1)
            for name in ("latents_mean", "latents_std")
        )
        return (latents - mean) / deviation * deviation + mean


@pytest.mark.slow
@pytest.mark.parametrize(("overlap", "parts"), [(1, (0, 8, 16)), (5, (0, 4, 8))])
def test_long_videos_in_chunks_are_those_of_diffusers(
    model_of: ModelOf, net_of: NetOf, overlap: int, parts: Sequence[int]
) -> None:
    """Three chunks of nine frames: each begins with the last frames of the one before."""
    pipeline, model = model_of(cosmos_transfer25)
    net = net_of(control_network)
    whole = film(parts[-1] + 9)
    both = {"steps": 3, "negative": NEGATIVE}
    previous, latents, frames = None, [], []
    kept = (overlap - 1) // 4 + 1
    for start in parts:
        control = seen(model, net, whole[start : start + 9])

        def begun(given: Conditioning, beginning: Tensor | None = previous) -> Conditioning:
            if beginning is None:
                return given
            tensors = encode_first_frame(model.part("vae"), given, beginning, 9)
            return with_tensors(given, tensors)

        found = sampled(model, [net], [control], (64, 64), begun, frames=9, cfg=4.0, **both)
        images = found.pixels[0].movedim(1, -1)
        latents.append(found.latents[:, :, kept if start else 0 :])
        frames.append(images[overlap if start else 0 :])
        previous = images[-overlap:]
    called = {
        "prompt": PROMPT,
        "negative_prompt": NEGATIVE,
        "num_inference_steps": 3,
        "controls": as_frames(whole),
        "width": 64,
        "height": 64,
        "num_frames_per_chunk": 9,
        "num_ar_conditional_frames": overlap,
        "guidance_scale": 3.0,
    }

    def run(out: str) -> Tensor:
        # As each sampler of a chain draws the noise of the same seed.
        noise = torch.randn(1, 16, 3, 8, 8, generator=torch.Generator().manual_seed(SEED))
        other = controlled(pipeline, net.module, Chunks(pipeline.vae, kept))
        with torch.no_grad():
            answer = other(latents=noise, output_type=out, **called)
        return torch.as_tensor(answer.frames)

    expected = run("latent")
    assert torch.equal(torch.cat(latents, 2), expected)
    levels = (torch.cat(frames).movedim(-1, 1) * 255).to(torch.uint8)
    torch.testing.assert_close(levels / 255, run("pt")[0], rtol=0, atol=1e-6)


@pytest.mark.slow
def test_in_bfloat16_as_diffusers(model_of: ModelOf, net_of: NetOf, tmp_path: Path) -> None:
    pipeline, model = model_of(cosmos_transfer25)
    net = net_of(control_network)
    networks = {
        role: type(part).from_pretrained(model.folder / role, dtype=torch.bfloat16).eval()
        for role, part in pipeline.components.items()
        if isinstance(part, nn.Module)
    }
    loaded = type(pipeline)(**{**pipeline.components, **networks})
    net.module.save_pretrained(tmp_path / "net")
    half = type(net.module).from_pretrained(tmp_path / "net", dtype=torch.bfloat16).eval()
    live = replace(net.live, modules={"controlnet": half})
    beside_it = Net(half, net.recipe, live)
    assert_like_diffusers((loaded, Model(model.folder, "bfloat16")), beside_it, film(5))


@pytest.mark.slow
@pytest.mark.parametrize(("denoise", "walked"), [(0.13, 1), (0.5, 4), (0.99, 7)])
def test_the_last_steps_from_a_video_are_diffusers(
    model_of: ModelOf, net_of: NetOf, denoise: float, walked: int
) -> None:
    pipeline, model = model_of(cosmos_transfer25)
    net = net_of(control_network)
    latent = encode_video(model.part("vae"), film(5).flip(1))
    assert latent.samples is not None
    both = {"steps": 8, "negative": NEGATIVE}
    control = seen(model, net, film(5))
    options = {"latent": latent, "cfg": 4.0, "denoise": denoise}
    found = sampled(model, [net], [control], (64, 64), **options, **both)
    late = LateLevels(scheduler(), walked)
    late.set_timesteps(8)
    level = late.sigmas[0]
    noise = torch.randn(latent.samples.shape, generator=torch.Generator().manual_seed(SEED))
    other = controlled(pipeline, net.module)
    other.scheduler = late
    expected = stock(
        other,
        out="frames",
        latents=(1 - level) * latent.samples + level * noise,
        controls=as_frames(film(5)),
        width=64,
        height=64,
        num_frames_per_chunk=5,
        guidance_scale=3.0,
        **both,
    )
    assert_same(found, expected)


@pytest.mark.slow
def test_a_part_of_the_steps_is_controlled(model_of: ModelOf, net_of: NetOf) -> None:
    _, model = model_of(cosmos_transfer25)
    net = net_of(control_network)
    both = {"steps": 2, "negative": NEGATIVE, "frames": 5, "cfg": 4.0}

    def made(start: float, end: float) -> Tensor:
        control = seen(model, net, film(5), start=start, end=end)
        return sampled(model, [net], [control], (64, 64), **both).latents

    bare = model.make(64, 64, sampler="uni_pc", **both).latents
    assert torch.equal(made(0.6, 0.9), bare)
    assert not torch.equal(made(0.0, 0.5), bare)
    assert not torch.equal(made(0.0, 0.5), made(0.0, 1.0))


@pytest.mark.slow
def test_a_longer_control_video_is_cut(model_of: ModelOf, net_of: NetOf) -> None:
    _, model = model_of(cosmos_transfer25)
    net = net_of(control_network)
    controls = [seen(model, net, film(count)) for count in (9, 5)]
    options = {"steps": 2, "frames": 5, "cfg": 1.0}
    longer, own = (
        sampled(model, [net], [control], (64, 64), **options).latents for control in controls
    )
    assert torch.equal(longer, own)


def test_a_control_video_continues_with_its_last_frame(model_of: ModelOf, net_of: NetOf) -> None:
    """As many frames as the autoencoder takes: the pipeline pads in this way."""
    _, model = model_of(cosmos_transfer25)
    net = net_of(control_network)
    short, whole = film(7), film(9)
    whole[7:] = short[6]
    assert torch.equal(seen(model, net, short).hint, seen(model, net, whole).hint)


@pytest.mark.slow
def test_context_windows_see_their_part_of_the_control_video(
    model_of: ModelOf, net_of: NetOf
) -> None:
    """Windows that overlap are videos of their own, each with its part of the control video."""
    _, model = model_of(cosmos_transfer25)
    net = net_of(control_network)
    control = seen(model, net, film(17))
    prompt = model.encode(PROMPT)
    assert prompt is not None
    x = torch.randn(1, 16, 5, 8, 8, generator=torch.Generator().manual_seed(SEED))

    def evaluated(frames: slice, windows: WindowedEvaluation | None = None) -> Tensor:
        own = replace(control, hint=control.hint[:, :, frames].contiguous())
        choice = GuiderChoice(with_control(prompt, own), windows=windows)
        with beside(model, net):
            return guided(model.part("model"), choice, x[:, :, frames].contiguous())["guided"]

    windows = WindowedEvaluation(
        3, 1, "latent frames", free_noise=False, context_frame="none", fuse_method="flat"
    )
    found = evaluated(slice(5), windows)
    first, second = evaluated(slice(3)), evaluated(slice(2, 5))
    both = (first[:, :, 2:] + second[:, :, :1]) / 2
    expected = torch.cat([first[:, :, :2], both, second[:, :, 1:]], 2)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_what_does_not_fit_the_model_is_refused(model_of: ModelOf, net_of: NetOf) -> None:
    _, model = model_of(cosmos_transfer25)
    assert_refuses(model, near="64 x 64")
    net = net_of(control_network)
    control = seen(model, net, film(5))
    with raises(InvalidValue, port="positive", given="2 latent frames for a latent of 3"):
        sampled(model, [net], [control], (64, 64), frames=9, cfg=1.0)
    with raises(InvalidValue, port="positive"):
        sampled(model, [net], [control], (96, 64), frames=5, cfg=1.0)
    small = net_of(shallow_network)
    with raises(InvalidValue, port="positive", given="width 32, 1 blocks"):
        control = seen(model, small, film(5))
        sampled(model, [small], [control], (64, 64), frames=5, cfg=1.0)


@pytest.mark.parametrize(
    ("change", "given"),
    [
        ({"latent_channels": 20}, "latents of 20"),
        ({"crossattn_proj_in_channels": 50}, "prompts of 50"),
        ({"img_context_dim_in": 7}, "images of 7"),
    ],
)
def test_a_control_network_that_sees_something_else_is_refused(
    model_of: ModelOf, net_of: NetOf, change: dict[str, int], given: str
) -> None:
    _, model = model_of(cosmos_transfer25)
    net = net_of(lambda: control_network(**change))
    control = seen(model, net, film(5))
    with raises(InvalidValue, port="positive", given=given):
        sampled(model, [net], [control], (64, 64), frames=5, cfg=1.0)


def shallow_network() -> Any:
    return control_network(n_controlnet_blocks=1)


@pytest.mark.slow
def test_other_samplers_work(model_of: ModelOf) -> None:
    _, model = model_of(cosmos_transfer25)
    samplers = {"euler": "normal", "dpmpp_2m": "karras", "heun": "beta", "lcm": "simple"}
    assert_samples_by(model, samplers)


@pytest.mark.parametrize("with_control_network", [False, True])
def test_a_file_of_the_original_names_is_read_whole(
    tmp_path: Path, with_control_network: bool
) -> None:
    """An original file also holds the control network, without what it shares with the model."""
    wide = {"num_attention_heads": 1, "attention_head_dim": 128, "img_context_dim_out": 128}
    net = network(**wide)
    control = control_network(**wide, model_channels=128)
    with torch.no_grad():
        for name, item in control.state_dict().items():
            shared = name.replace("patch_embed_base.", "patch_embed.")
            if not name.startswith(("control_blocks.", "patch_embed.")):
                item.copy_(net.state_dict()[shared])
    state = net.state_dict()
    same = ("crossattn_proj.", "img_context_proj.")
    tensors = original(
        {name: item for name, item in state.items() if not name.startswith(same)},
        "cosmos-transfer25",
    )
    tensors |= {f"net.{name}": item for name, item in state.items() if name.startswith(same)}
    if with_control_network:
        tensors |= original_control(control.state_dict())
    file = tmp_path / "transfer25.safetensors"
    save_file({name: item.contiguous() for name, item in tensors.items()}, file)
    shapes = {name: tuple(item.shape) for name, item in tensors.items()}
    kind = "a ControlNet for" if with_control_network else "the transformer of"
    assert identify_tensors(shapes).title == f"{kind} Cosmos Transfer2.5"
    loaded = load_component(open_denoiser(DenoiserRequest(str(file)), []), "cpu")
    assert loaded.family == "cosmos-transfer25"
    assert loaded.scheduler_config["sigma_max"] == 200.0
    assert_same_tensors(loaded.module, net)
    if with_control_network:
        recipe = open_control(str(file), [])
        assert recipe.family == "cosmos-transfer25"
        assert_same_tensors(load_component(recipe, "cpu").module, control)


def assert_same_tensors(found: Any, expected: Any) -> None:
    state = expected.state_dict()
    assert found.state_dict().keys() == state.keys()
    for name, item in found.state_dict().items():
        assert torch.equal(item, state[name]), name


def original_control(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """What a control network does not share with the transformer, in the original names."""
    blocks = {
        name.replace("control_blocks.", "transformer_blocks."): item
        for name, item in tensors.items()
        if name.startswith("control_blocks.") and "_proj." not in name
    }
    named = {
        name.replace("net.blocks.", "net.control_blocks."): item
        for name, item in original(blocks, "cosmos-transfer25").items()
        if name.startswith("net.blocks.")
    }
    named |= {f"net.{name}": item for name, item in tensors.items() if "er_proj" in name}
    named |= {f"net.{name}": item for name, item in tensors.items() if "fore_proj" in name}
    named["net.control_embedder.proj.1.weight"] = tensors["patch_embed.proj.weight"]
    return named


def test_a_file_of_a_control_network_is_read_whole(tmp_path: Path) -> None:
    wide = {"num_attention_heads": 1, "attention_head_dim": 128, "img_context_dim_out": 128}
    control = control_network(**wide, model_channels=128)
    file = tmp_path / "edge.safetensors"
    save_file(control.state_dict(), file)
    assert_same_tensors(load_component(open_control(str(file), []), "cpu").module, control)


def test_a_folder_of_the_whole_pipeline_has_a_control_network(model_of: ModelOf) -> None:
    pipeline, model = model_of(cosmos_transfer25_with_network)
    live = load_component(open_control(str(model.folder), []), "cpu")
    assert_same_tensors(live.module, pipeline.controlnet)


def test_what_no_tensor_shows_is_as_published() -> None:
    """2B, by the configurations of diffusers' ``convert_cosmos_to_diffusers.py``."""
    common = {
        "num_attention_heads": 16,
        "attention_head_dim": 128,
        "mlp_ratio": 4.0,
        "text_embed_dim": 1024,
        "adaln_lora_dim": 256,
        "max_size": (128, 240, 240),
        "crossattn_proj_in_channels": 100352,
        "encoder_hidden_states_channels": 1024,
        "img_context_dim_in": 1152,
        "img_context_dim_out": 2048,
    }
    published = {"num_layers": 28, "controlnet_block_every_n": 7, "img_context_num_tokens": 256}
    with torch.device("meta"):
        net = network(**common, **published)
        control = control_network(**common, model_channels=2048, n_controlnet_blocks=4)
    for module, layout in ((net, TRANSFER25_FILE), (control, TRANSFER25_CONTROL)):
        shapes = {name: tuple(item.shape) for name, item in module.state_dict().items()}
        assert layout.prefix(shapes) == ""
        config = layout.config(shapes)
        assert {name: module.config[name] for name in config} == config
        defaults = {name for name in module.config if name.startswith("_")} | {"out_channels"}
        assert module.config.keys() - defaults == config.keys() - defaults
