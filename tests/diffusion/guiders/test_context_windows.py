"""Long videos in context windows: which frames they hold, and that their average is sampled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import diffusers as d
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load, save
from torch import Tensor

from nodegraph.core.values import Area, Conditioning, ConditioningEntry, Latent
from nodegraph.errors import InvalidValue
from nodegraph.families.components import Denoiser
from nodegraph.families.conditionings import combine, with_area
from nodegraph.families.image_conditioning import CONDITION_VIDEO, FIRST_FRAME, LAST_LATENT
from nodegraph.families.model_step import Moment, SamplingRequest
from nodegraph.families.noise import draw_noise
from nodegraph.families.registry import FAMILIES, get_family
from nodegraph.families.speed_options import Broadcast
from nodegraph.sampling.denoise import Denoising
from nodegraph.sampling.guidance import Guidance
from nodegraph.sampling.guiders.added_guidance import SkippedLayers
from nodegraph.sampling.guiders.base import TiledEvaluation
from nodegraph.sampling.guiders.context_windows import (
    CONTEXT_FRAMES,
    CONTEXT_SCHEDULES,
    FUSE_METHODS,
    WindowedEvaluation,
    check_windowed,
    fusion_shares,
    plan_windows,
    window_weights,
)
from nodegraph.sampling.guiders.methods import Projected
from nodegraph.sampling.sampling_parts import GuiderChoice, SamplingParts, build_sampling_parts
from tests.diffusion.families.parts import dynamic_flow, flow
from tests.diffusion.families.test_skyreels import sky_net
from tests.diffusion.families.video_models import uni_pc_flow, wan_net
from tests.diffusion.stand_in import ONE_OF_EACH
from tests.messages import raises
from tests.properties import examples

FRAMES = 9
"""Latent frames of the videos here."""
SHORT = WindowedEvaluation(4, 2, "latent frames", free_noise=False, context_frame="none")
SAMPLERS_OF_FLOWS = [name for name in ONE_OF_EACH if name != "tcd"]
SIZES = {"wan": (16, 32, 32), "wan22-5b": (48, 64, 64), "ltx": (128, 64, 64)}
"""Channels, width and height of videos of some families."""


def ltx_net() -> Any:
    return d.LTXVideoTransformer3DModel(
        in_channels=128,
        out_channels=128,
        num_attention_heads=2,
        attention_head_dim=16,
        cross_attention_dim=32,
        num_layers=2,
        caption_channels=32,
    )


def mochi_net() -> Any:
    return d.MochiTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        num_layers=1,
        pooled_projection_dim=24,
        text_embed_dim=32,
        time_embed_dim=16,
    )


def cosmos_net(taken: int = 16) -> Any:
    return d.CosmosTransformer3DModel(
        in_channels=taken,
        num_attention_heads=2,
        attention_head_dim=16,
        adaln_lora_dim=4,
        num_layers=1,
        mlp_ratio=2.0,
        text_embed_dim=32,
        max_size=(5, 24, 24),
        extra_pos_embed_type="learnable",
    )


def denoiser(net: Callable[[], Any], family: str, scheduler: Any, **more: Any) -> Denoiser:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = net().eval().requires_grad_(False)
        for weight in module.parameters():
            if not weight.any():
                weight.normal_(0, 0.02)
    config = {**scheduler.config, "_class_name": type(scheduler).__name__}
    return Denoiser({"transformer": module}, family, config, **more)


def wan(**more: Any) -> Denoiser:
    return denoiser(wan_net, "wan", uni_pc_flow(), **more)


def wan_film() -> Denoiser:
    return denoiser(lambda: wan_net(36), "wan", uni_pc_flow())


def wan22_5b() -> Denoiser:
    settings = {"expand_timesteps": True}
    return denoiser(lambda: wan_net(48, 48), "wan22-5b", uni_pc_flow(5.0), settings=settings)


def ltx() -> Denoiser:
    scheduler = dynamic_flow(
        shift=1.0, base_shift=0.95, max_shift=2.05, base_image_seq_len=1024, shift_terminal=0.1
    )
    return denoiser(ltx_net, "ltx", scheduler)


def mochi() -> Denoiser:
    return denoiser(mochi_net, "mochi", flow())


def edm() -> Any:
    return d.EDMEulerScheduler(sigma_data=0.5, final_sigmas_type="zero")


def cosmos() -> Denoiser:
    return denoiser(cosmos_net, "cosmos", edm())


def cosmos_v2w() -> Denoiser:
    return denoiser(lambda: cosmos_net(17), "cosmos", edm())


def text(number: int, family: str = "wan", **tensors: Tensor) -> Conditioning:
    words: dict[str, Tensor] = {"embeddings": draw_noise((7, 32), number, [0])}
    if family in ("ltx", "mochi"):
        words["mask"] = torch.ones(1, 7, dtype=torch.bool)
    entry = ConditioningEntry({**words, **tensors})
    return Conditioning((entry,), family, entry)


def video(family: str, frames: int = FRAMES, seed: int = 5) -> Tensor:
    own = get_family(family)
    channels, width, height = SIZES.get(family, (own.latent.channels, 64, 64))
    cells = own.latent.cells(height), own.latent.cells(width)
    return draw_noise((channels, frames, *cells), seed, [0])


def moment(step: int = 0) -> Moment:
    at = torch.tensor(500.0)
    return Moment(at, torch.tensor(0.0), 1000, 0.5, 500.0, step, step, 8, sigma=0.5)


@torch.no_grad()
def guided(
    model: Denoiser, choice: GuiderChoice, x: Tensor | None = None, step: int = 0
) -> dict[str, Tensor]:
    family = get_family(model.family)
    x = video(model.family) if x is None else x
    height, width = (cells * family.latent.spatial for cells in x.shape[-2:])
    guidance = Guidance(model, choice, width=width, height=height, shape=tuple(x.shape))
    return guidance.evaluate(x, moment(step))


def in_windows(choice: GuiderChoice, windows: WindowedEvaluation = SHORT) -> GuiderChoice:
    return replace(choice, windows=windows)


# What the description says, in plain loops that share nothing with the implementation.


def plain_windows(schedule: str, length: int, overlap: int, frames: int, step: int) -> Any:
    """Windows of stride 1."""
    if schedule == "batched":
        return [list(range(frames))[at : at + length] for at in range(0, frames, length)]
    windows: list[list[int]] = []
    if schedule == "standard_static":
        start = 0
        while start + length < frames:
            windows.append(list(range(start, start + length)))
            start += length - overlap
        return [*windows, list(range(frames - length, frames))]
    start = round(frames * {0: 0.0, 1: 0.5, 2: 0.25, 3: 0.75, 4: 0.125, 5: 0.625}[step])
    begin = start
    while begin < start + frames - overlap:
        windows.append([at % frames for at in range(begin, begin + length)])
        begin += length - overlap
    if schedule == "looped_uniform":
        return windows
    straight: list[list[int]] = []
    for at, window in enumerate(windows):
        if window == sorted(window):
            straight.append(window)
            continue
        straight.append(list(range(frames - length, frames)))
        after = straight[0] if at + 1 == len(windows) else windows[at + 1]
        if 0 not in after:
            straight.append(list(range(length)))
    return [each for at, each in enumerate(straight) if each not in straight[:at]]


def plain_weights(fuse_method: str, window: Sequence[int], overlap: int, frames: int) -> Tensor:
    count = len(window)
    if fuse_method == "flat":
        return torch.ones(count)
    if fuse_method == "pyramid":
        return torch.tensor([min(at + 1, count - at) for at in range(count)]).float()
    if fuse_method == "relative":
        half = (count - 1 + 0.01) / 2
        return torch.tensor(
            [max(0.01, 1 - abs(at - (count - 1) / 2) / half) for at in range(count)]
        )
    weights = torch.ones(count)
    if min(window) > 0:
        weights[:overlap] = torch.linspace(1e-37, 1, overlap)
    if max(window) < frames - 1:
        weights[count - overlap :] = torch.linspace(1, 1e-37, overlap)
    return weights


def plain_average(
    predict: Callable[[list[int]], Tensor],
    windows: Sequence[list[int]],
    weights: Sequence[Tensor],
    like: Tensor,
) -> Tensor:
    """The weighted mean of what `predict` says about the frames of each window."""
    total, count = torch.zeros_like(like), torch.zeros(like.shape[2])
    for window, weight in zip(windows, weights, strict=True):
        output = predict(window)
        for at, frame in enumerate(window):
            total[:, :, frame] += weight[at] * output[:, :, at]
            count[frame] += weight[at]
    return total / count.view(1, 1, -1, 1, 1)


CHOICES = st.builds(
    lambda length, overlap, **more: WindowedEvaluation(
        length, min(overlap, length - 1), "latent frames", **more
    ),
    length=st.integers(1, 24),
    overlap=st.integers(0, 23),
    schedule=st.sampled_from(CONTEXT_SCHEDULES),
    fuse_method=st.sampled_from(FUSE_METHODS),
    stride=st.integers(1, 5),
    closed_loop=st.booleans(),
)


@settings(max_examples=examples(200), deadline=None)
@given(choice=CHOICES, frames=st.integers(1, 120), step=st.integers(0, 60))
def test_each_frame_counts_in_some_window(
    choice: WindowedEvaluation, frames: int, step: int
) -> None:
    windows = plan_windows(choice, frames, step)
    assert all(len(set(window)) == len(window) <= choice.length for window in windows)
    shares = [0.0] * frames
    for window, share in zip(
        windows, fusion_shares(choice, windows, frames, choice.overlap), strict=True
    ):
        assert min(window_weights(choice, window, frames, choice.overlap)) > 0
        for frame, of_frame in zip(window, share, strict=True):
            shares[frame] += of_frame
    assert shares == pytest.approx([1.0] * frames)


@pytest.mark.parametrize("schedule", CONTEXT_SCHEDULES)
@pytest.mark.parametrize(("length", "overlap"), [(4, 2), (5, 1), (16, 4), (7, 0)])
def test_windows_are_those_of_the_description(schedule: str, length: int, overlap: int) -> None:
    choice = WindowedEvaluation(length, overlap, "latent frames", schedule)
    for frames in (17, 21, 40):
        for step in range(6):
            expected = plain_windows(schedule, length, overlap, frames, step)
            assert plan_windows(choice, frames, step) == expected


def test_a_stride_adds_windows_of_every_second_frame_as_far_as_they_fit() -> None:
    choice = WindowedEvaluation(4, 1, "latent frames", "standard_uniform", stride=3)
    every = [[0, 1, 2, 3], [3, 4, 5, 6], [4, 5, 6, 7]]
    assert plan_windows(choice, 8) == [*every, [0, 2, 4, 6]]
    spacings = {window[1] - window[0] for window in plan_windows(choice, 40)}
    assert spacings == {1, 2, 4}


def test_lengths_in_frames_are_those_of_the_latent() -> None:
    assert WindowedEvaluation(81, 30).in_latent_frames(4) == (21, 7)
    assert WindowedEvaluation(145, 40).in_latent_frames(8) == (19, 5)
    assert WindowedEvaluation(81, 30, "latent frames").in_latent_frames(4) == (81, 30)


@pytest.mark.parametrize("schedule", CONTEXT_SCHEDULES)
@pytest.mark.parametrize("fuse_method", FUSE_METHODS)
def test_overlapping_windows_are_averaged(schedule: str, fuse_method: str) -> None:
    model, x, positive = wan(), video("wan"), GuiderChoice(text(1))
    windows = replace(SHORT, schedule=schedule, fuse_method=fuse_method)
    found = guided(model, in_windows(positive, windows), x, step=1)["guided"]
    expected_windows = plain_windows(schedule, 4, 2, FRAMES, 1)
    overlap = 0 if schedule == "batched" else 2
    expected = plain_average(
        lambda window: guided(model, positive, x[:, :, window], step=1)["guided"],
        expected_windows,
        [plain_weights(fuse_method, window, overlap, FRAMES) for window in expected_windows],
        x,
    )
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(found, guided(model, positive, x)["guided"], atol=1e-4)


@pytest.mark.parametrize("build", [wan, wan22_5b, ltx, mochi, cosmos])
def test_videos_of_each_family_are_averaged(build: Callable[[], Denoiser]) -> None:
    model = build()
    x, positive = video(model.family, 5), GuiderChoice(text(1, model.family))
    windows = replace(SHORT, length=3, overlap=1, fuse_method="flat")
    found = guided(model, in_windows(positive, windows), x)["guided"]
    parts = [guided(model, positive, x[:, :, at])["guided"] for at in (slice(3), slice(2, 5))]
    both = (parts[0][:, :, 2:] + parts[1][:, :, :1]) / 2
    expected = torch.cat([parts[0][:, :, :2], both, parts[1][:, :, 1:]], 2)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


def test_guidance_sees_the_averages_of_both_sides() -> None:
    model, x = wan(), video("wan")
    answers = guided(model, in_windows(GuiderChoice(text(1), text(2), 4.0)), x)
    for side, number in (("positive", 1), ("negative", 2)):
        alone = guided(model, in_windows(GuiderChoice(text(number))), x)["guided"]
        torch.testing.assert_close(answers[side], alone, rtol=1e-5, atol=1e-6)
    towards, away = answers["positive"], answers["negative"]
    assert torch.equal(answers["guided"], away + 4.0 * (towards - away))


def test_added_guidance_is_averaged() -> None:
    model, added = wan(), (SkippedLayers(2.0, 0.0, 1.0, layers=("0",)),)
    choice = GuiderChoice(text(1), text(2), 4.0, added=added)
    batched = replace(SHORT, length=5, overlap=0, schedule="batched")
    found, x = guided(model, in_windows(choice, batched)), video("wan")
    parts = [guided(model, choice, x[:, :, at])["guided"] for at in (slice(5), slice(5, 9))]
    torch.testing.assert_close(found["guided"], torch.cat(parts, 2), rtol=1e-5, atol=1e-5)


def request(x: Tensor, family: str) -> SamplingRequest:
    height, width = (cells * get_family(family).latent.spatial for cells in x.shape[-2:])
    return SamplingRequest("positive", width, height, tuple(x.shape), 1.0)


def cut(tensors: Mapping[str, Tensor], frames: Sequence[int], whole: int) -> dict[str, Tensor]:
    return {
        name: tensor[:, :, list(frames)] if tensor.shape[2:3] == (whole,) else tensor
        for name, tensor in tensors.items()
    }


@pytest.mark.parametrize("context_frame", CONTEXT_FRAMES)
def test_films_of_a_first_image_are_cut_to_the_windows(context_frame: str) -> None:
    model, x, family = wan_film(), video("wan"), get_family("wan")
    film = draw_noise(x.shape[1:], 8, [0])
    prompt = text(1, **{CONDITION_VIDEO: film})
    windows = replace(SHORT, context_frame=context_frame)
    found = guided(model, in_windows(GuiderChoice(prompt), windows), x)["guided"]
    fitted = family.fit(model, prompt.entries[0], request(x, "wan"))

    def predict(window: list[int]) -> Tensor:
        shown = conditioned = window
        if window[0] and context_frame != "none":
            shown = conditioned = [window[0] - 1, *window]
            if context_frame == "first frame":
                conditioned = [0, *window]
        batch = family.join([cut(fitted, conditioned, FRAMES)], 1)
        with torch.no_grad():
            output = family.predict(model, x[:, :, shown], moment(), batch)
        return output[:, :, -len(window) :]

    expected_windows = plain_windows("standard_static", 4, 2, FRAMES, 0)
    weights = [plain_weights("pyramid", window, 2, FRAMES) for window in expected_windows]
    expected = plain_average(predict, expected_windows, weights, x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("build", [wan22_5b, ltx, cosmos_v2w])
@pytest.mark.parametrize("context_frame", CONTEXT_FRAMES)
def test_a_first_image_in_the_latent_conditions_windows_that_show_it(
    build: Callable[[], Denoiser], context_frame: str
) -> None:
    model = build()
    x, family = video(model.family, 5), get_family(model.family)
    first = video(model.family, 1, seed=9)
    prompt = text(1, model.family, **{FIRST_FRAME: first})
    windows = replace(SHORT, length=3, overlap=1, context_frame=context_frame)
    found = guided(model, in_windows(GuiderChoice(prompt), windows), x)["guided"]
    fitted = dict(family.fit(model, prompt.entries[0], request(x, model.family)))
    before = {"none": [], "previous frame": lambda at: [at - 1], "first frame": lambda at: [0]}

    def predict(window: list[int]) -> Tensor:
        ahead: Any = before[context_frame]
        shown = [*(ahead(window[0]) if window[0] and ahead else []), *window]
        own = cut(fitted, shown, 5)
        if 0 not in shown:
            del own[FIRST_FRAME]
        with torch.no_grad():
            output = family.predict(model, x[:, :, shown], moment(), family.join([own], 1))
        return output[:, :, -len(window) :]

    expected_windows = plain_windows("standard_static", 3, 1, 5, 0)
    weights = [plain_weights("pyramid", window, 1, 5) for window in expected_windows]
    expected = plain_average(predict, expected_windows, weights, x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_last_image_follows_the_last_window_alone() -> None:
    """SkyReels V2 sees it behind the last frame."""
    model = denoiser(sky_net, "skyreels-v2-df", uni_pc_flow())
    x, family = video("wan", 5), get_family(model.family)
    prompt = text(1, model.family, **{LAST_LATENT: video("wan", 1, seed=9)})
    windows = replace(SHORT, length=3, overlap=1)
    found = guided(model, in_windows(GuiderChoice(prompt), windows), x)["guided"]
    fitted = dict(family.fit(model, prompt.entries[0], request(x, model.family)))

    def predict(window: list[int]) -> Tensor:
        own = {name: item for name, item in fitted.items()
               if name != LAST_LATENT or window[-1] == 4}  # fmt: skip
        with torch.no_grad():
            return family.predict(model, x[:, :, window], moment(), family.join([own], 1))

    expected_windows = plain_windows("standard_static", 3, 1, 5, 0)
    assert expected_windows == [[0, 1, 2], [2, 3, 4]]
    weights = [plain_weights("pyramid", window, 1, 5) for window in expected_windows]
    expected = plain_average(predict, expected_windows, weights, x)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def parts(
    windows: WindowedEvaluation | None, sampler: str = "euler", family: str = "wan", **more: Any
) -> SamplingParts:
    usual: dict[str, Any] = {"seed": 3, "steps": 3, "cfg": 4.0, "schedule": "normal"}
    prompts = text(1, family), text(2, family)
    built = build_sampling_parts(*prompts, sampler=sampler, **{**usual, **more})
    return replace(built, guider=replace(built.guider, windows=windows))


def sampled(model: Denoiser, of: SamplingParts, frames: int = FRAMES, **more: Any) -> Tensor:
    family = get_family(model.family)
    _, width, height = SIZES.get(model.family, (0, 64, 64))
    pixels = family.latent.pixel_frames(frames)
    denoising = Denoising(model, Latent(None, width, height, frames=pixels, **more), of)
    list(denoising)
    samples = denoising.result().samples
    assert samples is not None
    return samples


@pytest.mark.parametrize(
    "sampler",
    [
        pytest.param(name, marks=pytest.mark.slow if turn else ())
        for turn, name in enumerate(SAMPLERS_OF_FLOWS)
    ],
)
def test_one_window_gives_the_bits_of_none(sampler: str) -> None:
    for schedule in CONTEXT_SCHEDULES:
        windows = WindowedEvaluation(4 * FRAMES, 4, schedule=schedule)
        found = sampled(wan(), parts(windows, sampler))
        assert torch.equal(found, sampled(wan(), parts(None, sampler)))


@pytest.mark.parametrize("build", [wan22_5b, ltx, mochi, cosmos])
def test_one_window_gives_the_bits_of_none_in_each_family(build: Callable[[], Denoiser]) -> None:
    model = build()
    whole = WindowedEvaluation(5, 1, "latent frames")
    found = sampled(model, parts(whole, family=model.family), 3)
    assert torch.equal(found, sampled(model, parts(None, family=model.family), 3))


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS_OF_FLOWS)
def test_every_sampler_walks_windows(sampler: str) -> None:
    windows = replace(SHORT, schedule="standard_uniform", free_noise=True)
    found = sampled(wan(), parts(windows, sampler))
    assert found.isfinite().all()
    assert not torch.equal(found, sampled(wan(), parts(None, sampler)))


def test_a_video_may_be_longer_than_the_model_has_positions_for() -> None:
    of = {"family": "cosmos", "cfg": 1.0, "steps": 1}
    with raises(InvalidValue, port="latent"):
        sampled(cosmos(), parts(None, **of), frames=8)
    found = sampled(cosmos(), parts(SHORT, **of), frames=8)
    assert found.shape[2] == 8


def test_each_item_of_a_batch_is_as_if_it_were_alone() -> None:
    windows = replace(SHORT, free_noise=True)
    both = sampled(wan(), parts(windows), batch_size=2)
    second = sampled(wan(), parts(windows), batch_index=(1,))
    torch.testing.assert_close(both[1:], second, rtol=1e-4, atol=1e-5)


def test_a_noise_mask_keeps_its_part_in_all_windows() -> None:
    original = video("wan")
    mask = torch.zeros(1, 32, 32)
    mask[..., 16:] = 1
    denoising = Denoising(
        wan(),
        Latent(original, 32, 32, frames=33, format="wan", noise_mask=mask),
        parts(replace(SHORT, free_noise=True)),
    )
    list(denoising)
    samples = denoising.result().samples
    assert samples is not None
    assert torch.equal(samples[..., :2], original[..., :2])
    assert not torch.allclose(samples[..., 2:], original[..., 2:], atol=0.1)


def test_later_frames_start_from_the_noise_of_earlier_ones() -> None:
    def noise(free: bool) -> Tensor:
        of = parts(replace(SHORT, free_noise=free), steps=1, cfg=1.0)
        return Denoising(wan(), Latent(None, 32, 32, frames=33), of)._sampler.x

    plain, free = noise(False), noise(True)
    # windows advance by 2 frames: 4, 5 are of 0, 1; 6, 7 of 2, 3; 8 of what 4 has
    order = torch.Generator().manual_seed(3)
    at = list(range(FRAMES))
    for start, count in ((0, 2), (2, 2), (4, 1)):
        drawn = torch.randperm(count, generator=order).tolist()
        at[start + 4 : start + 4 + count] = [at[start + source] for source in drawn]
    assert torch.equal(free, plain[:, :, at])
    assert sorted(at[4:6]) == [0, 1]


def test_prompts_that_are_split_lead_the_windows_of_their_part() -> None:
    model, x = wan(), video("wan", 8)
    windows = replace(SHORT, schedule="batched", split_prompts=True)
    found = guided(model, in_windows(GuiderChoice(combine([text(1), text(2)])), windows), x)
    for number, at in ((1, slice(4)), (2, slice(4, 8))):
        alone = guided(model, GuiderChoice(text(number)), x[:, :, at])["guided"]
        torch.testing.assert_close(found["guided"][:, :, at], alone, rtol=1e-5, atol=1e-6)


def test_prompts_of_areas_are_not_split() -> None:
    prompts = combine([with_area(text(1), Area(0, 0, 0.5, 1)), text(2)])
    windows = replace(SHORT, split_prompts=True)
    with raises(InvalidValue, port="guider"):
        guided(wan(), in_windows(GuiderChoice(prompts), windows))


@pytest.mark.parametrize("schedule", CONTEXT_SCHEDULES)
def test_stopped_and_resumed_it_gives_the_same_bits(schedule: str) -> None:
    of = parts(WindowedEvaluation(4, 2, "latent frames", schedule), "dpmpp_2m")
    of = replace(of, guider=replace(of.guider, method=Projected()))
    latent = Latent(None, 32, 32, frames=33)
    begun, resumed = (Denoising(wan(), latent, of) for _ in "ab")
    begun.advance()
    resumed.restore(load(save(begun.state())))
    list(begun), list(resumed)
    first, second = begun.result().samples, resumed.result().samples
    assert first is not None
    assert second is not None
    assert torch.equal(first, second)


def test_it_stops_between_two_windows() -> None:
    class Stopped(Exception):
        pass

    asked: list[int] = []

    def stop() -> None:
        asked.append(1)
        raise Stopped

    denoising = Denoising(wan(), Latent(None, 32, 32, frames=33), parts(SHORT))
    with pytest.raises(Stopped):
        denoising.advance(stop)
    assert (len(asked), denoising.step) == (1, 0)


def test_what_has_no_windows_is_refused() -> None:
    for family in ("sd1", "ltx2"):
        with raises(InvalidValue, port="guider"):
            check_windowed(FAMILIES[family])
    with raises(InvalidValue, port="model"):
        guided(wan(caching=Broadcast()), in_windows(GuiderChoice(text(1))))
    with raises(InvalidValue, port="guider"):
        GuiderChoice(text(1), tiling=TiledEvaluation(), windows=SHORT)
    looped = replace(SHORT, schedule="looped_uniform")
    first = text(1, "wan22-5b", **{FIRST_FRAME: video("wan22-5b", 1)})
    with raises(InvalidValue, port="guider"):
        guided(wan22_5b(), in_windows(GuiderChoice(first), looped))


@pytest.mark.parametrize(
    ("port", "values"),
    [
        ("overlap", {"length": 4, "overlap": 4}),
        ("length", {"length": 0}),
        ("stride", {"stride": 0}),
        ("schedule", {"schedule": "other"}),
        ("fuse_method", {"fuse_method": "other"}),
        ("context_frame", {"context_frame": "other"}),
        ("unit", {"unit": "seconds"}),
    ],
)
def test_settings_out_of_range_are_refused(port: str, values: dict[str, Any]) -> None:
    with raises(InvalidValue, port=port):
        WindowedEvaluation(**values)
