"""The companions that change or steer the denoiser: LoRAs and the edge ControlNet."""

import json
import sys

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, LCMScheduler
from safetensors.torch import load_file

from training.companions import controlnet, lcm_lora, lora, style_lora
from training.companions.edges import agreement, find_edges
from training.companions.job import Bar, load_settings
from training.config import ROOT, load_config
from training.models import build_scheduler, build_unet
from training.scenes import Placement, Scene, SceneMaker

SMOKE = load_config(ROOT / "training/configs/smoke.toml")
COMPANIONS = {
    "controlnet": (controlnet, controlnet.ControlConfig),
    "style_lora": (style_lora, style_lora.StyleConfig),
    "lcm_lora": (lcm_lora, lcm_lora.LcmConfig),
}

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(autouse=True)
def seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def unet():
    return build_unet(SMOKE).eval().requires_grad_(False)


@pytest.fixture
def inputs():
    channels, side = SMOKE.vae.latent_channels, SMOKE.latent_size
    states = torch.randn(2, SMOKE.text.max_length, SMOKE.text.width)
    return torch.randn(2, channels, side, side), torch.tensor([999, 20]), states


def disturbed(unet, rank=2):
    """An adapter whose change is far from nothing."""
    adapter = lora.Adapter(unet, rank)
    for pair in adapter.pairs.values():
        torch.nn.init.normal_(pair.b, std=0.05)
    return adapter


def square(side=32, low=8, high=24):
    picture = torch.ones(1, 3, side, side)
    picture[:, :, low:high, low:high] = torch.tensor([0.9, 0.1, 0.1]).view(1, 3, 1, 1)
    return picture


@pytest.mark.parametrize("name", COMPANIONS)
def test_the_settings_are_read_and_train_something(name):
    config, settings = load_settings(
        ROOT / "training/configs/companions.toml", name, COMPANIONS[name][1]
    )
    assert config.name == "tiny"
    assert settings.fit.samples > 10_000


def test_a_bar_has_a_least_and_a_most():
    bar = Bar("share", least=3.0, most=97.0)
    assert [bar.met({"share": value}) for value in (2.0, 3.0, 97.0, 98.0)] == [0, 1, 1, 0]


def test_a_plain_picture_has_no_edges():
    assert find_edges(torch.full((2, 3, 32, 32), 0.4)).sum() == 0


def test_a_square_has_its_outline_and_nothing_else():
    edges = find_edges(square())
    assert edges.shape == (1, 1, 32, 32)
    assert edges[..., 11:21, 11:21].sum() == 0
    assert edges[..., :6, :].sum() == 0
    assert 48 <= edges.sum() <= 64  # a line one pixel wide; corners may be rounded


def test_weak_edges_count_only_beside_strong_ones():
    faint = torch.full((1, 3, 32, 32), 0.5)
    faint[..., 16:] += 0.2
    assert find_edges(faint, low=0.05, high=0.5).sum() == 0
    assert find_edges(faint, low=0.05, high=0.06).sum() == 32


def test_edges_agree_within_their_reach():
    edges = find_edges(square())
    shifted = torch.roll(edges, 2, dims=3)
    assert agreement(edges, edges).item() == 1.0
    assert agreement(edges, shifted, reach=2).item() == 1.0
    assert agreement(edges, shifted, reach=1).item() < 0.95
    assert agreement(edges, torch.zeros_like(edges)).item() == 0.0


def test_an_untrained_change_changes_nothing_and_adds_no_weights(unet, inputs):
    names, before = list(unet.state_dict()), unet(*inputs).sample
    lora.Adapter(unet, 2)
    assert list(unet.state_dict()) == names
    assert torch.equal(unet(*inputs).sample, before)


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_merged_from_its_file_it_is_what_was_trained(unet, inputs, tmp_path, weight):
    plain = build_unet(SMOKE).eval().requires_grad_(False)
    plain.load_state_dict(unet.state_dict())
    adapter = disturbed(unet)
    file = lora.save(adapter, unet, tmp_path)
    lora.merge(plain, file, weight)
    with adapter.weighing(weight):
        changed = unet(*inputs).sample
    assert (changed - plain(*inputs).sample).abs().max() < 5e-3  # the file has 16 bits
    with adapter.weighing(0.0):
        assert (unet(*inputs).sample - changed).abs().max() > 0.05


def test_only_the_change_is_trained(unet, inputs):
    adapter = disturbed(unet)
    unet(*inputs).sample.square().mean().backward()
    assert all(pair.a.grad.abs().sum() > 0 for pair in adapter.pairs.values())
    assert all(parameter.grad is None for parameter in unet.parameters())


def test_the_file_has_the_keys_that_diffusers_reads(unet, tmp_path):
    adapter = lora.Adapter(unet, 3, leave_out=("time_emb",))
    weights = load_file(lora.save(adapter, unet, tmp_path))
    assert weights["unet.conv_in.lora_A.weight"].shape == (3, SMOKE.vae.latent_channels, 3, 3)
    assert weights["unet.conv_in.lora_B.weight"].shape == (32, 3, 1, 1)
    assert not [name for name in weights if "time_emb" in name]
    assert {name.split(".lora_")[1] for name in weights} == {"A.weight", "B.weight"}


def test_a_file_for_another_network_is_refused(unet, tmp_path):
    file = lora.save(disturbed(unet), unet, tmp_path)
    other = build_unet(load_config(ROOT / "training/configs/tiny.toml"))
    with pytest.raises(ValueError, match=r"pytorch_lora_weights\.safetensors"):
        lora.merge(other, file)


def test_leaving_everything_out_is_refused(unet):
    with pytest.raises(ValueError, match="leaves no layer"):
        lora.Adapter(unet, 2, leave_out=("",))


@pytest.mark.parametrize(("name", "limit"), [("lcm_lora", 600_000), ("style_lora", 1_000_000)])
def test_a_lora_of_the_shipped_model_is_small(name, limit, tmp_path):
    config, settings = load_settings(
        ROOT / "training/configs/companions.toml", name, COMPANIONS[name][1]
    )
    network = build_unet(config)
    adapter = lora.Adapter(network, settings.rank, settings.leave_out)
    assert lora.save(adapter, network, tmp_path).stat().st_size <= limit


@pytest.fixture
def distillation(unet):
    return lcm_lora.Distillation(unet, disturbed(unet), build_scheduler())


def test_at_time_zero_the_end_is_where_one_is(distillation, inputs):
    noisy, _, states = inputs
    assert torch.equal(distillation.end(noisy, torch.zeros(2, dtype=torch.long), states), noisy)


@pytest.mark.parametrize("steps", [2, 4, 8])
def test_the_stock_scheduler_takes_the_end_that_was_trained(distillation, inputs, steps):
    noisy, _, states = inputs
    scheduler = LCMScheduler.from_config(build_scheduler().config)
    scheduler.set_timesteps(steps)
    assert scheduler.timesteps[0] == 999
    time = scheduler.timesteps[-1]
    with torch.no_grad():
        v = distillation.unet(noisy, time, states).sample
        stock = scheduler.step(v, time, noisy).denoised
        assert (distillation.end(noisy, time.repeat(2), states) - stock).abs().max() < 1e-4


def test_the_teacher_takes_ddim_steps_without_the_lora(distillation, inputs):
    noisy, _, states = inputs
    stock = DDIMScheduler.from_config(
        build_scheduler().config, timestep_spacing="linspace", set_alpha_to_one=True
    )
    times, latent = [600, 400, 200], noisy
    with torch.no_grad(), distillation.adapter.weighing(0.0):
        for time, to in zip(times, [*times[1:], 0], strict=True):
            stock.num_inference_steps = 1000 // (time - to)  # it steps by that part of 1000
            v = distillation.unet(latent, torch.tensor(time), states).sample
            step = stock.step(v, time, latent)
            latent = step.prev_sample
    start = torch.full((2,), 600)
    empty = torch.zeros_like(states)
    found = distillation.followed(noisy, start, (states, empty), 1.0, 3)
    assert (found - step.pred_original_sample).abs().max() < 1e-4


def test_times_are_never_zero_and_some_are_the_last():
    times = lcm_lora.pick_times(400, 1000, 0.25, np.random.default_rng(0))
    assert times.min() >= 1
    assert times.max() == 999
    assert 0.15 < (times == 999).float().mean() < 0.35


def test_the_distillation_loss_reaches_the_lora_alone(distillation, inputs):
    clean, times, states = inputs
    settings = lcm_lora.LcmConfig(fit=SMOKE.unet.fit)
    distillation.loss(clean, times, (states, torch.zeros_like(states)), settings).backward()
    pairs = distillation.adapter.pairs.values()
    assert sum(float(pair.b.grad.abs().sum()) for pair in pairs) > 0


def test_a_new_control_changes_nothing(unet, inputs):
    control = controlnet.build_control(unet, (4, 8, 8)).eval()
    condition = torch.rand(2, 3, SMOKE.data.resolution, SMOKE.data.resolution)
    down, mid = control(*inputs, condition, return_dict=False)
    steered = unet(
        *inputs, down_block_additional_residuals=down, mid_block_additional_residual=mid
    ).sample
    assert torch.equal(steered, unet(*inputs).sample)
    assert torch.equal(control.conv_in.weight, unet.conv_in.weight)
    name = "down_blocks.1.resnets.0.conv1"
    assert torch.equal(control.get_submodule(name).weight, unet.get_submodule(name).weight)


def test_the_control_of_the_shipped_model_is_at_most_two_megabytes_and_loads(tmp_path):
    config, settings = load_settings(
        ROOT / "training/configs/companions.toml", "controlnet", controlnet.ControlConfig
    )
    control = controlnet.build_control(build_unet(config), settings.channels)
    controlnet.save(control, tmp_path)
    assert (tmp_path / controlnet.FILE_NAME).stat().st_size <= 2_000_000
    loaded = controlnet.load(tmp_path)
    before, after = (net.down_blocks[2].resnets[0].conv1.weight for net in (control, loaded))
    assert after.dtype == torch.float32
    assert torch.equal(after, before.to(torch.float8_e4m3fn).float())
    assert torch.equal(loaded.conv_in.weight, control.conv_in.weight.half().float())


def test_edges_survive_being_stored_as_bits():
    edges = find_edges(square())
    packed = torch.from_numpy(np.packbits(edges.bool().numpy(), axis=3))
    assert torch.equal(controlnet.unpacked(packed), edges.expand(-1, 3, -1, -1))


def test_a_vague_caption_names_no_object():
    scene = Scene("a cat on blue", "blue", (0, 0, 255), ())
    captions = {controlnet.vague_caption(scene, np.random.default_rng(n)) for n in range(30)}
    assert not any("cat" in caption for caption in captions)
    assert all("blue" in caption for caption in captions)


def test_a_line_drawing_has_the_scene_and_no_colour_of_its_own(font):
    lines = style_lora.LineMaker.from_config(SMOKE)
    plain = SceneMaker.from_config(SMOKE)
    scene = Scene("", "blue", (0, 0, 255), (Placement(0, 0.5, 0.5, 0.8),))
    drawn, coloured = (maker.draw(scene, 96, 96) for maker in (lines, plain))
    inked = [(picture != (0, 0, 255)).any(axis=2) for picture in (drawn, coloured)]
    assert (inked[0] & inked[1]).sum() > 0.9 * inked[1].sum()
    # Seen on white, so that no pixel at the rim mixes with a colored background.
    on_white = Scene("", "white", (255, 255, 255), scene.placements)
    pictures = [maker.draw(on_white, 96, 96)[None] for maker in (lines, plain)]
    assert style_lora.colourful(pictures[0]) == 0.0
    assert style_lora.colourful(pictures[1]) > 20.0


@pytest.mark.slow
@pytest.mark.parametrize("name", COMPANIONS)
def test_the_command_runs_in_small(name, tmp_path, monkeypatch, font):
    monkeypatch.setattr(sys, "argv", [name, "--work", str(tmp_path), "--smoke"])
    COMPANIONS[name][0].main()
    folder = tmp_path / "smoke/companions" / name
    record = json.loads((folder / "train.json").read_text())
    assert record["progress"]["samples"] == 32
    assert record["good"] == (record["missed"] == [])
    assert record["bytes"] > 1000
