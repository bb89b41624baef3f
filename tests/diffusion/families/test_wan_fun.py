"""Wan's Fun control with a reference image, and Fun camera, against a reference of their own.

diffusers has neither the networks nor the pipelines. The reference is a network written here
from the description in VideoX-Fun, around diffusers' blocks, in the sampling loop of diffusers'
pipeline of prompts. Its convolutions are separate ones, so that results differ by rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from nodegraph.errors import InvalidValue
from nodegraph.families.camera_rays import rays
from nodegraph.families.image_conditioning import mask_and_video
from nodegraph.models.camera_motion import camera_poses, encode_camera
from nodegraph.models.camera_path import MOTIONS, CameraPath
from nodegraph.models.image_to_video import embed_first_frame, encode_control_video
from nodegraph.models.vae import encode_video
from nodegraph.sampling.inpainting import with_tensors
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Model, stock
from .test_image_to_video import picture, pipeline_of_prompts
from .video_models import (
    ltx,
    wan22_5b_fun_control,
    wan22_fun_camera,
    wan22_fun_control,
    wan_control,
    wan_fun_camera,
)

ModelOf = Callable[[Callable[[], Any]], Pair]


class Described(torch.nn.Module):
    """The network as VideoX-Fun describes it.

    Args:
        network: Has the weights.
        shown: What lies behind the channels of the noise.
        reference: The latent of the reference image.
        camera: Plücker coordinates by pixel, (1, 24, frames, height, width).
        seen: Image embeddings.
    """

    def __init__(
        self,
        network: Any,
        shown: Tensor,
        reference: Tensor | None = None,
        camera: Tensor | None = None,
        seen: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.network, self.shown, self.seen = network, shown, seen
        self.reference, self.camera = reference, camera
        self.dtype, self.device = network.dtype, network.device
        made = {"in_channels": network.config["out_channels"]}
        self.config = SimpleNamespace(**{**network.config, **made})
        self.cache_context = network.cache_context

    def forward(
        self, hidden_states: Tensor, timestep: Tensor, encoder_hidden_states: Tensor, **_: Any
    ) -> Any:
        net, count = self.network, len(hidden_states)
        first = net.patch_embedding
        video = torch.cat([hidden_states, self.shown.expand(count, -1, -1, -1, -1)], 1)
        frames, rows, columns = video.shape[2], video.shape[3] // 2, video.shape[4] // 2
        tokens = by_frame(video, first.weight[:, :, 0], first.bias, 2)
        if self.camera is not None:
            tokens = tokens + adapted(first.camera, self.camera)
        tokens = tokens.flatten(2).transpose(1, 2)
        before = 0
        if self.reference is not None:
            shown = by_frame(self.reference, first.reference.weight, first.reference.bias, 2)
            shown = shown.flatten(2).transpose(1, 2).expand(count, -1, -1)
            tokens, before = torch.cat([shown, tokens], 1), rows * columns
        if timestep.ndim == 2:
            # Those of the reference are as noisy as the last token.
            timestep = torch.cat([timestep[:, -1:].expand(-1, before), timestep], 1)
        place = net.rope(video.new_zeros(1, 1, frames + bool(before), *video.shape[3:]))
        length = timestep.shape[1] if timestep.ndim == 2 else None
        embedded, shift, text, seen = net.condition_embedder(
            timestep.flatten(), encoder_hidden_states, self.seen, timestep_seq_len=length
        )
        shift = shift.unflatten(-1, (6, -1))
        if seen is not None:
            text = torch.cat([seen.expand(count, -1, -1), text], 1)
        for block in net.blocks:
            tokens = block(tokens, text, shift, place)
        table = net.scale_shift_table
        offset, scale = (
            (table[None] + embedded[:, :, None]).unbind(2)
            if embedded.ndim == 3
            else (table + embedded[:, None]).chunk(2, 1)
        )
        out = net.proj_out(net.norm_out(tokens) * (1 + scale) + offset)[:, before:]
        out = out.unflatten(1, (frames, rows, columns)).unflatten(-1, (2, 2, -1))
        return (out.permute(0, 6, 1, 2, 4, 3, 5).flatten(5).flatten(3, 4),)


def by_frame(video: Tensor, weight: Tensor, bias: Tensor, stride: int, padding: int = 0) -> Tensor:
    """A convolution of each frame by itself."""
    frames = [
        functional.conv2d(video[:, :, at], weight, bias, stride, padding)
        for at in range(video.shape[2])
    ]
    return torch.stack(frames, 2)


def adapted(adapter: Any, camera: Tensor) -> Tensor:
    """What is added to the tokens of a video for its camera."""
    count, channels, frames, height, width = camera.shape
    cells = camera.view(count, channels, frames, height // 8, 8, width // 8, 8)
    cells = cells.permute(0, 1, 4, 6, 2, 3, 5).reshape(
        count, channels * 64, frames, height // 8, width // 8
    )
    hidden = by_frame(cells, adapter.conv.weight, adapter.conv.bias, 2)
    for block in adapter.residual_blocks:
        inner = by_frame(hidden, block.conv1.weight, block.conv1.bias, 1, 1).relu()
        hidden = hidden + by_frame(inner, block.conv2.weight, block.conv2.bias, 1, 1)
    return hidden


def sampled(pipeline: Any, nets: dict[str, Any], **options: Any) -> Tensor:
    """Latents of the stock loop with other networks."""
    parts = (pipeline.tokenizer, pipeline.text_encoder, pipeline.vae, pipeline.scheduler)
    made = pipeline_of_prompts(*parts)
    made.transformer, made.transformer_2 = nets["transformer"], nets.get("transformer_2")
    kept = {name: pipeline.config.get(name) for name in ("boundary_ratio", "expand_timesteps")}
    made.register_to_config(**kept)
    latents: Tensor = stock(made, out="frames", **options).latents
    return latents


def experts(pipeline: Any) -> dict[str, Any]:
    names = ("transformer", "transformer_2")
    return {name: getattr(pipeline, name, None) for name in names if getattr(pipeline, name, None)}


def latent(model: Model, frames: Tensor) -> Tensor:
    samples = encode_video(model.part("vae"), frames).samples
    assert samples is not None
    return samples


@pytest.mark.parametrize(
    ("build", "side", "has_reference", "has_image", "batch"),
    [
        (wan22_fun_control, 16, True, False, 2),
        (wan22_fun_control, 16, False, True, 1),
        (wan22_5b_fun_control, 32, True, False, 1),
        pytest.param(wan22_fun_control, 16, True, True, 1, marks=pytest.mark.slow),
        pytest.param(wan22_5b_fun_control, 32, False, False, 2, marks=pytest.mark.slow),
    ],
)
def test_a_control_video_with_a_reference_image(
    model_of: ModelOf,
    build: Callable[[], Any],
    side: int,
    has_reference: bool,
    has_image: bool,
    batch: int,
) -> None:
    pipeline, model = model_of(build)
    width, height = 4 * side, 2 * side
    video, image = picture(width, height).repeat(9, 1, 1, 1), picture(width, height).flip(1)
    reference = picture(width, height).flip(2)
    prompt = model.encode(PROMPT)
    assert prompt is not None
    tensors = encode_control_video(
        model.part("vae"),
        prompt,
        video,
        9,
        image if has_image else None,
        reference if has_reference else None,
    )
    found = model.make(
        width,
        height,
        frames=9,
        cfg=7.3,
        sampler="uni_pc",
        steps=3,
        batch=batch,
        negative=NEGATIVE,
        change=lambda each: with_tensors(each, tensors),
    )
    control = latent(model, video)
    beside = mask_and_video(torch.zeros_like(control), 4)
    beside[:, :4] = 0
    if has_image:
        gray = torch.full((8, height, width, 3), 0.5)
        beside = mask_and_video(latent(model, torch.cat([image, gray])), 4)
    shown = torch.cat([control, beside], 1)
    seen = latent(model, reference) if has_reference else torch.zeros_like(control[:, :, :1])
    nets = {name: Described(net, shown, seen) for name, net in experts(pipeline).items()}
    expected = sampled(
        pipeline,
        nets,
        width=width,
        height=height,
        num_frames=9,
        guidance_scale=7.3,
        steps=3,
        batch=batch,
        negative=NEGATIVE,
    )
    torch.testing.assert_close(found.latents, expected, rtol=1e-3, atol=1e-4)


def test_a_first_image_of_wan22_5b_is_kept_as_its_makers_do(model_of: ModelOf) -> None:
    _, model = model_of(wan22_5b_fun_control)
    image, video = picture(64, 64), picture(64, 64).flip(1).repeat(5, 1, 1, 1)
    prompt = model.encode(PROMPT)
    assert prompt is not None
    tensors = encode_control_video(model.part("vae"), prompt, video, 5, image)
    found = model.make(
        64,
        64,
        frames=5,
        cfg=1.0,
        sampler="uni_pc",
        change=lambda each: with_tensors(each, tensors),
    )
    torch.testing.assert_close(found.latents[:, :, :1], latent(model, image), rtol=0, atol=1e-6)


def test_a_reference_image_changes_the_video(model_of: ModelOf) -> None:
    _, model = model_of(wan22_fun_control)
    video, prompt = picture(64, 32).repeat(5, 1, 1, 1), model.encode(PROMPT)
    assert prompt is not None

    def made(reference: Tensor | None) -> Tensor:
        tensors = encode_control_video(model.part("vae"), prompt, video, 5, None, reference)
        options = {"frames": 5, "cfg": 1.0, "sampler": "uni_pc"}
        change: Any = lambda each: with_tensors(each, tensors)  # noqa: E731
        latents: Tensor = model.make(64, 32, change=change, **options).latents
        return latents

    assert not torch.equal(made(None), made(picture(64, 32)))


def test_references_that_do_not_fit_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(wan22_fun_control)
    _, plain = model_of(wan_control)
    video, vae = picture(64, 32), model.part("vae")
    options = {"frames": 5, "cfg": 1.0, "sampler": "uni_pc"}
    prompt = model.encode(PROMPT)
    assert prompt is not None
    with raises(InvalidValue, port="reference", given="1 of 48 x 32 pixels"):
        encode_control_video(vae, prompt, video, 5, None, picture(48, 32))
    with raises(InvalidValue, port="frames", given="6 frames", expected="5 or 9"):
        encode_control_video(vae, prompt, video, 6)
    tensors = encode_control_video(vae, prompt, video, 5, None, video)
    tensors |= embed_first_frame(plain.part("text_encoder"), video)
    with raises(InvalidValue, port="positive"):
        plain.make(64, 32, change=lambda each: with_tensors(each, tensors), **options)
    with raises(InvalidValue, port="positive"):
        model.make(48, 32, change=lambda each: with_tensors(each, tensors), **options)
    with raises(InvalidValue, port="positive"):
        model.make(64, 32, **options)


MOVED = {
    "pan up": (0, -1, 0),
    "pan down": (0, 1, 0),
    "pan left": (-1, 0, 0),
    "pan right": (1, 0, 0),
    "zoom in": (0, 0, 2),
    "zoom out": (0, 0, -2),
}


def plucker(path: CameraPath) -> Tensor:
    """Rays by pixel, in latent frames of four frames, by the formulas of CameraCtrl in float64."""
    focal = [path.focal_x * path.width, path.focal_y * path.height]
    if path.width / path.height < 1280 / 720:
        focal[0] = path.focal_x * path.height * 1280 / 720
    else:
        focal[1] = path.focal_y * path.width * 720 / 1280
    frames = []
    for index in range(path.frames):
        part = index / path.frames * path.speed
        angle = part * numpy.pi / 3 * {"clockwise": 1, "counterclockwise": -1}.get(path.motion, 0)
        turn = numpy.array(
            [
                [numpy.cos(angle), -numpy.sin(angle), 0],
                [numpy.sin(angle), numpy.cos(angle), 0],
                [0, 0, 1],
            ]
        )
        origin = 1.5 * part * numpy.array(MOVED.get(path.motion, (0, 0, 0)))
        rays = numpy.zeros((6, path.height, path.width))
        for row in range(path.height):
            for column in range(path.width):
                x = (column + 0.5 - path.center_x * path.width) / focal[0]
                y = (row + 0.5 - path.center_y * path.height) / focal[1]
                seen = turn @ (numpy.array([x, y, 1]) / numpy.sqrt(x * x + y * y + 1))
                rays[:, row, column] = [*numpy.cross(origin, seen), *seen]
        frames.append(torch.from_numpy(rays).float())
    grouped = [frames[:1] * 4] + [frames[at : at + 4] for at in range(1, path.frames, 4)]
    # Six coordinates, each of four frames.
    return torch.stack([torch.stack(group, 1).flatten(0, 1) for group in grouped], 1)[None]


@pytest.mark.parametrize(
    ("build", "motion", "has_image"),
    [
        (wan_fun_camera, "zoom in", True),
        (wan22_fun_camera, "clockwise", True),
        (wan22_fun_camera, "pan left", False),
    ],
)
def test_a_camera_moves_through_a_video(
    model_of: ModelOf, build: Callable[[], Any], motion: str, has_image: bool
) -> None:
    pipeline, model = model_of(build)
    width, height = 64, 48
    path = CameraPath(motion, width, height, 9, 1.7, 0.6, 0.4, 0.45, 0.55)
    image, prompt = picture(width, height), model.encode(PROMPT)
    assert prompt is not None
    tensors = encode_camera(model.part("vae"), prompt, path, image if has_image else None)
    seen: dict[str, Tensor] = {}
    if build is wan_fun_camera:
        seen = embed_first_frame(model.part("text_encoder"), image)
    options = {"steps": 3, "batch": 2, "negative": NEGATIVE}
    found = model.make(
        width,
        height,
        frames=9,
        cfg=5.0,
        sampler="uni_pc",
        change=lambda each: with_tensors(each, {**tensors, **seen}),
        **options,
    )
    film = latent(model, torch.cat([image, torch.full((8, height, width, 3), 0.5)]))
    if build is wan_fun_camera:
        shown = torch.cat([latent(model, image), torch.zeros_like(film[:, :, 1:])], 2)
    elif has_image:
        shown = mask_and_video(film, 4)
    else:
        shown = torch.zeros_like(mask_and_video(film, 4))
    camera = plucker(path)
    nets = {
        name: Described(net, shown, None, camera, *seen.values())
        for name, net in experts(pipeline).items()
    }
    size = {"width": width, "height": height, "num_frames": 9, "guidance_scale": 5.0}
    expected = sampled(pipeline, nets, **size, **options)
    torch.testing.assert_close(found.latents, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("motion", MOTIONS)
def test_motions_begin_alike_and_differ(motion: str) -> None:
    paths = [CameraPath(name, 32, 16, 5) for name in ("static", motion)]
    still, moved = (plucker(path) for path in paths)
    found = [rays(poses_of(path), 8, torch.float32) for path in paths]
    for expected, made in zip((still, moved), found, strict=True):
        cells = torch.nn.functional.pixel_unshuffle(expected[0].transpose(0, 1), 8)
        torch.testing.assert_close(made[0].transpose(0, 1), cells, rtol=1e-5, atol=1e-6)
    assert torch.equal(found[0][:, :, 0], found[1][:, :, 0])
    assert torch.equal(found[0][:, :, 1], found[1][:, :, 1]) == (motion == "static")


def poses_of(path: CameraPath) -> Tensor:
    poses = camera_poses(path)
    return torch.cat([poses[:1]] * 3 + [poses]).view(1, -1, 4, 18, 1).permute(0, 3, 1, 2, 4)


def test_cameras_that_do_not_fit_are_refused(model_of: ModelOf) -> None:
    _, model = model_of(wan22_fun_camera)
    _, plain = model_of(wan_control)
    _, other = model_of(ltx)
    vae, path = model.part("vae"), CameraPath("static", 64, 48, 5)
    prompt, unlike = model.encode(PROMPT), other.encode(PROMPT)
    assert prompt is not None
    assert unlike is not None
    options = {"cfg": 1.0, "sampler": "uni_pc", "frames": 5}
    tensors = encode_camera(vae, prompt, path)

    def change(given: Any) -> Any:
        return with_tensors(given, tensors)

    with raises(InvalidValue, port="positive"):
        model.make(64, 48, **options)
    with raises(InvalidValue, port="positive"):
        plain.make(64, 48, change=change, **options)
    with raises(InvalidValue, port="positive", given="(2, 6, 8) in latent cells"):
        model.make(48, 48, change=change, **options)
    with raises(InvalidValue, port="conditioning", given="ltx"):
        encode_camera(other.part("vae"), unlike, path)
    with raises(InvalidValue, port="camera", given="6 frames", expected="5 or 9"):
        encode_camera(vae, prompt, CameraPath("static", 64, 48, 6))
    with raises(InvalidValue, port="image", given="48 x 48 pixels"):
        encode_camera(vae, prompt, path, picture(48, 48))
