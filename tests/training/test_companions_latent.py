"""The companions that leave the denoiser alone: preview decoder, guidance classifier, inpainting,
upscaler."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import StableDiffusionPipeline

from training.companions import (
    guidance,
    guidance_classifier,
    inpainting,
    preview_decoder,
    upscaler,
)
from training.companions.guidance import GuidanceClassifier, Wish
from training.companions.job import load_settings
from training.config import ROOT, FitConfig, load_config
from training.models import build_scheduler, build_text_encoder, build_unet, build_vae
from training.objects import PALETTE
from training.pixels import to_pixels
from training.scenes import PAIR
from training.tokenizer import load_tokenizer, write_tokenizer

SMOKE = load_config(ROOT / "training/configs/smoke.toml")
CONFIG = replace(SMOKE, vae=replace(SMOKE.vae, channels=(8, 8, 8, 16), latent_channels=8))
"""As small as the smoke run's, but with the shipped model's eight pixels to a cell."""
SIDE = CONFIG.latent_size
COMPANIONS = (
    (preview_decoder, preview_decoder.PreviewConfig),
    (guidance_classifier, guidance_classifier.GuidanceConfig),
    (inpainting, inpainting.InpaintingConfig),
    (upscaler, upscaler.UpscalerConfig),
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An untrained model as the export writes it."""
    torch.manual_seed(0)
    work = tmp_path_factory.mktemp("model")
    write_tokenizer(work / "tokenizer", [], CONFIG.text.max_length)
    tokenizer = load_tokenizer(work / "tokenizer")
    size, bos, eos = len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id
    StableDiffusionPipeline(
        vae=build_vae(CONFIG),
        text_encoder=build_text_encoder(CONFIG, size, bos, eos),
        tokenizer=tokenizer,
        unet=build_unet(CONFIG),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    ).save_pretrained(work / "model")
    for name in ("vocab.json", "merges.txt"):
        path = work / "tokenizer" / name
        (work / "model/tokenizer" / name).write_bytes(path.read_bytes())
    return work / "model"


@pytest.fixture
def pipeline(folder):
    found = StableDiffusionPipeline.from_pretrained(folder, local_files_only=True)
    found.set_progress_bar_config(disable=True)
    return found


def draw_latents(count, seed=0, side=SIDE):
    return torch.randn(count, 8, side, side, generator=torch.Generator().manual_seed(seed))


def ask(pipeline, **options):
    seeds = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    return pipeline(["an apple"] * 2, num_inference_steps=2, generator=seeds, **options).images


@pytest.mark.parametrize(("module", "kind"), COMPANIONS)
def test_the_shipped_settings_are_known(module, kind):
    config, settings = load_settings(ROOT / "training/configs/companions.toml", module.NAME, kind)
    assert config.name == "tiny"
    assert isinstance(settings, kind)


# preview decoder


def build_preview():
    torch.manual_seed(1)
    return preview_decoder.build_preview(
        preview_decoder.PreviewConfig(fit=FitConfig(samples=1)), 8, 4
    )


def test_the_preview_decoder_stands_in_for_the_autoencoder_of_a_stock_pipeline(pipeline, tmp_path):
    build_preview().half().save_pretrained(tmp_path)
    model = preview_decoder.load_preview(tmp_path)
    latents = ask(pipeline, output_type="latent")
    pipeline.vae = model
    pictures = ask(pipeline, output_type="np")
    assert pictures.shape == (2, 8 * SIDE, 8 * SIDE, 3)
    shown = preview_decoder.preview(model, latents)
    assert np.abs((255 * pictures).round() - shown).max() <= 1


def test_the_preview_decoder_takes_the_latents_that_the_autoencoder_takes_scaled_back(pipeline):
    model = build_preview()
    assert model.config.scaling_factor == 1.0
    assert model.config.shift_factor == 0.0
    assert len(model.config.block_out_channels) == len(pipeline.vae.config.block_out_channels)
    assert sum(part.numel() for part in model.parameters()) * 2 < 2_000_000


def test_softening_touches_only_its_share_and_takes_variance_away():
    latents, rng = draw_latents(64), np.random.default_rng(0)
    assert torch.equal(preview_decoder.soften(latents, 0.0, rng), latents)
    soft = preview_decoder.soften(latents, 1.0, rng)
    assert soft.std() < 0.9 * latents.std()
    half = preview_decoder.soften(latents, 0.5, rng)
    same = (half == latents).flatten(1).all(1).float().mean()
    assert 0.2 < same < 0.8


def test_the_linear_factors_find_a_linear_truth():
    latents, rng = draw_latents(16), np.random.default_rng(0)
    truth = rng.normal(size=(9, 3)) * 0.1
    colours = latents.permute(0, 2, 3, 1).double() @ torch.from_numpy(truth[:-1])
    images = (colours + torch.from_numpy(truth[-1])).permute(0, 3, 1, 2).float()
    pictures = to_pixels(images.repeat_interleave(8, 2).repeat_interleave(8, 3))
    factors = preview_decoder.rgb_factors(latents, pictures)
    assert np.abs(factors - truth).max() < 0.01
    assert preview_decoder.rgb_psnr(factors, latents, pictures) > 40


# guidance classifier


@pytest.fixture
def classifier():
    torch.manual_seed(2)
    model = GuidanceClassifier(["apple", "dog", "cat"], list(PALETTE), 8, (16, 24))
    return model.eval().requires_grad_(False)


def test_the_guidance_classifier_comes_back_from_its_file(classifier, tmp_path):
    path = tmp_path / "guidance.safetensors"
    guidance.save_guidance_classifier(classifier.half().float(), path, (16, 16))
    again = guidance.load_guidance_classifier(path)
    assert (again.labels, again.backgrounds) == (classifier.labels, list(PALETTE))
    times = torch.tensor([0, 999])
    pairs = zip(again(draw_latents(2), times), classifier(draw_latents(2), times), strict=True)
    for one, other in pairs:
        assert torch.equal(one, other)


def test_a_file_of_another_kind_is_refused(tmp_path):
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="is no nodegraph guidance classifier"):
        guidance.load_guidance_classifier(tmp_path / "other.safetensors")


def test_other_sizes_and_timesteps_are_answered_for(classifier):
    objects, colours = classifier(torch.randn(2, 8, 12, 20), torch.tensor([5, 700]))
    assert objects.shape == (2, 3)
    assert colours.shape == (2, 12)
    latents = draw_latents(1).expand(2, -1, -1, -1)
    early, late = classifier(latents, torch.tensor([0, 900]))[0]
    assert not torch.allclose(early, late)


def chance(model, latents, wish):
    objects, _ = model(latents, torch.full((len(latents),), 300))
    return objects.log_softmax(1)[torch.arange(len(latents)), wish.objects]


def test_a_step_along_the_gradient_makes_the_wish_likelier(classifier):
    latents, wish = draw_latents(4), Wish(objects=torch.tensor([0, 1, 2, 0]))
    gradient = guidance.log_chance_gradient(classifier, latents, 300, wish)
    after = chance(classifier, latents + 0.05 * gradient / gradient.norm(), wish)
    assert (after > chance(classifier, latents, wish)).all()


def test_each_picture_is_led_by_its_own_wish_alone(classifier):
    latents = draw_latents(3)
    one = guidance.log_chance_gradient(
        classifier, latents[:1], 300, Wish(torch.tensor([1]), torch.tensor([4]))
    )
    many = guidance.log_chance_gradient(
        classifier, latents, 300, Wish(torch.tensor([1, 0, 2]), torch.tensor([4, 5, 6]))
    )
    assert torch.allclose(one[0], many[0], atol=1e-6)


def test_guiding_v_is_guiding_the_noise():
    noisy, velocity, gradient = (draw_latents(2, seed) for seed in range(3))
    alpha = torch.tensor(0.3)
    root, rest = alpha.sqrt(), (1 - alpha).sqrt()
    noise = root * velocity + rest * noisy
    wanted = guidance.guided_noise(noise, gradient, alpha, 2.0)
    guided = guidance.guided_velocity(velocity, gradient, alpha, 2.0)
    assert torch.allclose(root * guided + rest * noisy, wanted, atol=1e-5)


def test_without_a_scale_the_stock_pipeline_draws_the_same(pipeline, classifier):
    wish = Wish(objects=torch.tensor([0, 1]))
    draw = guidance.sample_guided
    plain = draw(pipeline, classifier, wish, [1, 2], scale=0.0, steps=2)
    seeds = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    stock = pipeline(
        ["", ""], num_inference_steps=2, guidance_scale=1.0, generator=seeds, output_type="np"
    ).images
    assert np.abs((255 * stock).round() - plain).max() <= 1
    led = draw(pipeline, classifier, wish, [1, 2], scale=100.0, steps=2)
    assert (led != plain).any()


# inpainting


def right_half(count=2):
    return inpainting.mask_of([(4 * SIDE, 0, 8 * SIDE, 8 * SIDE)] * count, SIDE, 8)


def test_what_is_kept_is_the_original(pipeline):
    latents, mask = draw_latents(2), right_half()
    painted = inpainting.inpaint(
        pipeline, latents, mask, ["a dog", "a cat"], [1, 2], steps=2, guidance=3.0
    )
    left = slice(0, SIDE // 2)
    assert torch.equal(painted[..., left], latents[..., left])
    assert (painted[..., SIDE // 2 :] != latents[..., SIDE // 2 :]).any()


def test_it_paints_what_nodegraph_paints(folder, pipeline):
    from nodegraph.core.values import Latent
    from nodegraph.diffusion import encode_prompt, load_component, open_model, sample

    latents, mask = draw_latents(1), right_half(1)
    recipes = open_model(str(folder), [])
    texts = load_component(recipes.text_encoder, "cpu")
    pixels = mask[:, 0].repeat_interleave(8, 1).repeat_interleave(8, 2)
    result = sample(
        load_component(recipes.model, "cpu"),
        encode_prompt(texts, "a dog"),
        encode_prompt(texts, ""),
        Latent(latents, 8 * SIDE, 8 * SIDE, noise_mask=pixels, format="sd"),
        seed=7,
        steps=3,
        cfg=3.0,
        sampler="ddim",
        schedule="trailing",
    )
    own = inpainting.inpaint(pipeline, latents, mask, ["a dog"], [7], steps=3, guidance=3.0)
    assert torch.allclose(own, result.samples, atol=1e-3)


def test_a_box_case_covers_the_object_in_whole_cells():
    from training.objects import ObjectSpec

    objects = [ObjectSpec(1, ("apple",)), ObjectSpec(2, ("dog",)), ObjectSpec(3, ("cat",))]
    rng = np.random.default_rng(0)
    for number in range(8):
        case = inpainting.box_case(objects, number, 128, 8, 0.15, rng)
        (item,) = case.scene.placements
        assert all(edge % 8 == 0 and 0 <= edge <= 128 for edge in case.box)
        assert case.box[0] <= 128 * (item.x - item.side / 2)
        assert case.box[3] >= 128 * (item.y + item.side / 2)
        assert objects[case.wanted.index].name in case.prompt
        assert objects[item.index].name not in case.prompt
    half = inpainting.half_case(objects, 1, 128, rng)
    assert half.box == (64, 0, 128, 128)
    assert half.wanted.side == PAIR
    assert objects[half.scene.placements[0].index].name in half.prompt
    assert objects[half.scene.placements[1].index].name not in half.prompt


def test_a_seam_is_the_step_between_the_sides_of_the_border():
    picture = np.full((64, 64, 3), 100, np.uint8)
    box = (16, 16, 48, 48)
    assert inpainting.seam(picture, box) == 0
    picture[16:48, 16:48] = 110
    picture[24:40, 24:40] = 0
    assert inpainting.seam(picture, box) == 10


def test_what_lies_inside_is_not_compared():
    before = np.full((1, 64, 64, 3), 100, np.uint8)
    after = before.copy()
    after[:, 16:48, 16:48] = 0
    assert inpainting.outside_psnr(before, after, [(16, 16, 48, 48)]) == 99.0
    after[:, 15, 16:48] = 101
    assert 60 < inpainting.outside_psnr(before, after, [(16, 16, 48, 48)]) < 99
    assert inpainting.outside_psnr(before, after, [(16, 16, 48, 48)], far=4) == 99.0


# the commands


@pytest.mark.slow
@pytest.mark.usefixtures("font")
@pytest.mark.parametrize("module", [module for module, _ in COMPANIONS])
def test_the_smoke_run_leaves_weights_and_an_honest_record(module, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [module.NAME, "--work", str(tmp_path), "--smoke"])
    module.main()
    folder = tmp_path / "smoke" / "companions" / module.NAME
    record = json.loads((folder / "train.json").read_text())
    assert record["good"] is False
    assert {bar["figure"] for bar in record["bars"]} <= set(record["figures"])
    has_weights = any(folder.glob("*.safetensors"))
    assert has_weights is (module is not inpainting)
