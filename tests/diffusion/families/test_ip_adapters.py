"""What images show leads as in diffusers' pipelines, to the last bit."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers as tf
from diffusers.image_processor import IPAdapterMaskProcessor
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.core.values import Area, Conditioning
from nodegraph.diffusion import load_component, open_model
from nodegraph.errors import InvalidFile, InvalidValue
from nodegraph.families.conditionings import combine, with_area, with_strength
from nodegraph.families.model_step import Moment
from nodegraph.media.images.images import to_pil
from nodegraph.models.derived_components import derive
from nodegraph.models.ip_adapters.image_prompt_files import IPAdapterChoice, open_ip_adapter
from nodegraph.models.ip_adapters.image_prompts import (
    embed_images,
    picture_mask,
    with_image_embeds,
    with_ip_adapter,
)
from nodegraph.sampling.guidance import Guidance
from nodegraph.sampling.sampling_parts import GuiderChoice
from tests.messages import raises

from .conftest import Pair
from .equality import NEGATIVE, PROMPT, Made, Model, assert_same, stock
from .test_stable_diffusion import sd1, sdxl

ModelOf = Callable[[Callable[[], Any]], Pair]
WIDTH, HEIGHT = 96, 64
EYES, PROJECTED = 32, 24


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with eyes, to which adapters are written."""
    folder = tmp_path_factory.mktemp("ip")
    torch.manual_seed(5)
    eyes = tf.CLIPVisionModelWithProjection(
        tf.CLIPVisionConfig(
            hidden_size=EYES,
            intermediate_size=64,
            projection_dim=PROJECTED,
            num_hidden_layers=3,
            num_attention_heads=4,
            image_size=32,
            patch_size=8,
        )
    )
    eyes.save_pretrained(folder / "image_encoder")
    return folder


def write(folder: Path, pipeline: Any, name: str, projection: Any, seed: int = 0) -> Path:
    """An adapter for a pipeline's UNet, as those who train them name its tensors."""
    torch.manual_seed(seed)
    unet = pipeline.unet
    reads = unet.config.cross_attention_dim
    tensors = {f"image_proj.{key}": item for key, item in projection(reads).items()}
    weights = unet.state_dict()
    places = [key for key in unet.attn_processors if key.endswith("attn2.processor")]
    for number, place in enumerate(places):
        shape = weights[place.replace("processor", "to_k.weight")].shape
        for part in ("k", "v"):
            key = f"ip_adapter.{2 * number + 1}.to_{part}_ip.weight"
            tensors[key] = torch.randn(shape) * 0.2
    path = folder / f"{name}.safetensors"
    save_file({key: item.contiguous().clone() for key, item in tensors.items()}, path)
    return path


def plain(reads: int) -> dict[str, Tensor]:
    return {
        "proj.weight": torch.randn(4 * reads, PROJECTED) * 0.2,
        "proj.bias": torch.randn(4 * reads) * 0.1,
        "norm.weight": torch.ones(reads),
        "norm.bias": torch.zeros(reads),
    }


def plus(reads: int) -> dict[str, Tensor]:
    """Named as in published files: a resampler of two layers, four queries."""
    hidden, inner = 32, 64
    found = {
        "latents": torch.randn(1, 4, hidden),
        "proj_in.weight": torch.randn(hidden, EYES) * 0.2,
        "proj_in.bias": torch.zeros(hidden),
        "proj_out.weight": torch.randn(reads, hidden) * 0.2,
        "proj_out.bias": torch.zeros(reads),
        "norm_out.weight": torch.ones(reads),
        "norm_out.bias": torch.zeros(reads),
    }
    for layer in range(4):
        found |= {
            f"layers.{layer}.0.norm1.weight": torch.ones(hidden),
            f"layers.{layer}.0.norm1.bias": torch.zeros(hidden),
            f"layers.{layer}.0.norm2.weight": torch.ones(hidden),
            f"layers.{layer}.0.norm2.bias": torch.zeros(hidden),
            f"layers.{layer}.0.to_q.weight": torch.randn(inner, hidden) * 0.2,
            f"layers.{layer}.0.to_kv.weight": torch.randn(2 * inner, hidden) * 0.2,
            f"layers.{layer}.0.to_out.weight": torch.randn(hidden, inner) * 0.2,
            f"layers.{layer}.1.0.weight": torch.ones(hidden),
            f"layers.{layer}.1.0.bias": torch.zeros(hidden),
            f"layers.{layer}.1.1.weight": torch.randn(4 * hidden, hidden) * 0.2,
            f"layers.{layer}.1.3.weight": torch.randn(hidden, 4 * hidden) * 0.2,
        }
    return found


def picture(seed: int = 1) -> Tensor:
    return torch.rand(1, 40, 56, 3, generator=torch.Generator().manual_seed(seed))


def led(
    model: Model,
    choices: list[IPAdapterChoice],
    pictures: list[Tensor],
    *,
    weights: tuple[float, ...] = (1.0, 1.0),
    masks: list[Tensor] | None = None,
    **options: Any,
) -> Made:
    recipe = open_model(str(model.folder), []).model
    positive_of: list[Callable[..., Conditioning]] = []
    for place, choice in enumerate(choices):
        recipe = with_ip_adapter(recipe, choice, weights[place])
        eyes = load_component(choice.encoder, "cpu")
        seen = embed_images(eyes, pictures[place], reads_patches=choice.reads_patches)
        where = None if masks is None else picture_mask(masks[place], len(pictures[place]))

        def told(
            given: Conditioning,
            *,
            leads_away: bool = False,
            at: int = place,
            of: Any = seen,
            where: Tensor | None = where,
        ) -> Conditioning:
            return with_image_embeds(given, at, *of, where, is_negative=leads_away)

        positive_of.append(told)
    away = model.encode(options.pop("negative", None))

    def change(given: Conditioning) -> Conditioning:
        for tell in positive_of:
            given = tell(given)
        return given

    for tell in positive_of:
        away = None if away is None else tell(away, leads_away=True)
    own = model.part("model")
    model.loaded["model"] = derive(own, recipe)
    try:
        return model.make(WIDTH, HEIGHT, change=change, away=away, **options)
    finally:
        model.loaded["model"] = own


def led_stock(pipeline: Any, files: list[Path], pictures: list[Any], **options: Any) -> Made:
    scales = options.pop("weights", [1.0] * len(files))
    folder = files[0].parent
    pipeline = deepcopy(pipeline)
    pipeline.load_ip_adapter(
        str(folder),
        subfolder="",
        weight_name=[file.name for file in files],
        image_encoder_folder="image_encoder",
    )
    pipeline.unet.requires_grad_(False)
    pipeline.image_encoder.requires_grad_(False)
    pipeline.set_ip_adapter_scale(scales)
    return stock(pipeline, ip_adapter_image=pictures, width=WIDTH, height=HEIGHT, **options)


@pytest.mark.parametrize(
    ("build", "projection"),
    [
        (sd1, plain),
        (sdxl, plus),
        pytest.param(sd1, plus, marks=pytest.mark.slow),
        pytest.param(sdxl, plain, marks=pytest.mark.slow),
    ],
)
def test_a_picture_leads_as_in_diffusers(
    model_of: ModelOf,
    adapters: Path,
    build: Callable[[], Any],
    projection: Callable[[int], dict[str, Tensor]],
) -> None:
    pipeline, model = model_of(build)
    file = write(adapters, pipeline, f"{build.__name__}-{projection.__name__}", projection)
    choice = open_ip_adapter(str(file), [])
    assert choice.reads_patches == (projection is plus)
    sampler = "ddim" if build is sd1 else "euler"
    for batch, negative in ((1, None), (2, NEGATIVE)):
        usual = {"batch": batch, "negative": negative}
        found = led(model, [choice], [picture()], weights=(0.7,), cfg=5.0, sampler=sampler, **usual)
        expected = led_stock(
            pipeline, [file], [to_pil(picture())], weights=[0.7], guidance_scale=5.0, **usual
        )
        assert_same(found, expected)


def test_two_adapters_and_several_pictures_are_those_of_diffusers(
    model_of: ModelOf, adapters: Path
) -> None:
    pipeline, model = model_of(sd1)
    files = [
        write(adapters, pipeline, "first", plain, 1),
        write(adapters, pipeline, "second", plus, 2),
    ]
    choices = [open_ip_adapter(str(file), []) for file in files]
    several = torch.cat([picture(1), picture(2)])
    found = led(model, choices, [several, picture(3)], weights=(0.5, 0.8), cfg=5.0, sampler="ddim")
    shown = [[to_pil(item[None]) for item in several], to_pil(picture(3))]
    expected = led_stock(pipeline, files, shown, weights=[0.5, 0.8], guidance_scale=5.0)
    assert_same(found, expected)


def test_pictures_lead_where_their_masks_are(model_of: ModelOf, adapters: Path) -> None:
    pipeline, model = model_of(sd1)
    file = write(adapters, pipeline, "masked", plain, 3)
    choice = open_ip_adapter(str(file), [])
    masks = torch.zeros(2, HEIGHT, WIDTH)
    masks[0, :, :48] = 1
    masks[1, :, 48:] = 1
    several = torch.cat([picture(1), picture(2)])
    found = led(model, [choice], [several], masks=[masks], weights=(0.7,), cfg=5.0, sampler="ddim")
    ready = IPAdapterMaskProcessor().preprocess(masks[:, None], height=HEIGHT, width=WIDTH)
    expected = led_stock(
        pipeline,
        [file],
        [[to_pil(item[None]) for item in several]],
        weights=[[0.7, 0.7]],
        cross_attention_kwargs={"ip_adapter_masks": [ready.reshape(1, 2, HEIGHT, WIDTH)]},
        guidance_scale=5.0,
    )
    assert_same(found, expected)


@torch.no_grad()
def test_an_area_that_is_sampled_alone_has_its_part_of_the_mask(
    model_of: ModelOf, adapters: Path
) -> None:
    pipeline, model = model_of(sd1)
    choice = open_ip_adapter(str(write(adapters, pipeline, "in areas", plain, 4)), [])
    recipe = with_ip_adapter(open_model(str(model.folder), []).model, choice, 0.7)
    denoiser, plain_prompt = derive(model.part("model"), recipe), model.encode(PROMPT)
    eyes = load_component(choice.encoder, "cpu")
    seen = embed_images(eyes, picture(), reads_patches=choice.reads_patches)
    mask = torch.zeros(1, HEIGHT, 128)
    mask[:, :, :48] = 1
    x = torch.randn(1, 4, HEIGHT // 8, 16, generator=torch.Generator().manual_seed(1))
    moment = Moment(torch.tensor(500), torch.tensor(0), 1000, 0.0, 500.0)

    def told(mask: Tensor) -> Conditioning:
        assert plain_prompt is not None
        return with_image_embeds(plain_prompt, 0, *seen, picture_mask(mask, 1))

    def answer(given: Conditioning, width: int, x: Tensor) -> Tensor:
        choice = GuiderChoice(given, None, 1.0)
        return Guidance(denoiser, choice, width=width, height=HEIGHT, shape=x.shape)(x, moment)

    starts = (0.0, 0.5)
    halves = [with_area(told(mask), Area(at, 0, 0.5, 1, "shares", 0.0, "area")) for at in starts]
    found = answer(combine(halves), 128, x)
    for half, own, lit in zip(*(each.chunk(2, -1) for each in (found, x, mask)), strict=True):
        expected = answer(told(lit), 64, own)
        torch.testing.assert_close(half, expected, rtol=1e-4, atol=1e-4)

    # a flat one is shown with what is around it
    flat = with_area(told(mask), Area(0, 0, 128, 8, "pixels", 0.0, "area"))
    around = answer(combine([flat, with_strength(told(mask), 0.0)]), 128, x)
    assert torch.equal(around[..., :1, :], answer(told(mask), 128, x)[..., :1, :])


@dataclass(frozen=True)
class Answers:
    """What a model with an IP-Adapter answers to prompts that say what an image shows.

    Attributes:
        prompt: Without images.
        seen: As `embed_images` gave it.
    """

    denoiser: Any
    prompt: Conditioning
    seen: tuple[Tensor, Tensor]

    def told(self, mask: Tensor | None, pictures: int = 1) -> Conditioning:
        shown, nothing = (item.repeat(1, pictures, 1) for item in self.seen)
        where = None if mask is None else picture_mask(mask, pictures)
        return with_image_embeds(self.prompt, 0, shown, nothing, where)

    def to(
        self, x: Tensor, *parts: Conditioning, away: Conditioning | None = None, cfg: float = 1.0
    ) -> Tensor:
        moment = Moment(torch.tensor(500), torch.tensor(0), 1000, 0.0, 500.0)
        choice = GuiderChoice(combine(parts), away, cfg)
        size = {"width": 8 * x.shape[-1], "height": 8 * x.shape[-2]}
        with torch.no_grad():
            return Guidance(self.denoiser, choice, **size, shape=x.shape)(x, moment)


@pytest.fixture
def answers(model_of: ModelOf, adapters: Path) -> Answers:
    pipeline, model = model_of(sd1)
    choice = open_ip_adapter(str(write(adapters, pipeline, "asked", plain, 4)), [])
    recipe = with_ip_adapter(open_model(str(model.folder), []).model, choice, 0.7)
    prompt, eyes = model.encode(PROMPT), load_component(choice.encoder, "cpu")
    assert prompt is not None
    seen = embed_images(eyes, picture(), reads_patches=choice.reads_patches)
    return Answers(derive(model.part("model"), recipe), prompt, seen)


def latent(width: int = 8) -> Tensor:
    return torch.randn(1, 4, 8, width, generator=torch.Generator().manual_seed(1))


def left_half(height: int = 64, width: int = 64) -> Tensor:
    return (torch.arange(width) < width / 2).float().expand(1, height, width)


@pytest.mark.parametrize(
    "masks",
    [
        (None, left_half()),
        (left_half(), None),
        (left_half(), 1 - left_half()),
        (left_half(), 1 - left_half(32, 32)),
    ],
    ids=["none first", "none last", "two", "two sizes"],
)
def test_each_of_several_prompts_is_led_where_its_own_mask_says(
    answers: Answers, masks: tuple[Tensor | None, Tensor | None]
) -> None:
    told, x = [answers.told(mask) for mask in masks], latent()
    alone = [answers.to(x, each) for each in told]
    assert not torch.allclose(*alone, atol=1e-3)
    torch.testing.assert_close(answers.to(x, *told), sum(alone) / 2, rtol=1e-4, atol=1e-5)


def test_prompts_are_led_by_different_numbers_of_pictures(answers: Answers) -> None:
    told, x = [answers.told(left_half()), answers.told(left_half(), 2)], latent()
    alone = [answers.to(x, each) for each in told]
    torch.testing.assert_close(answers.to(x, *told), sum(alone) / 2, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(32, 96), (100, 30), (128, 128)])
def test_masks_are_scaled_to_the_picture(answers: Answers, size: tuple[int, int]) -> None:
    x = latent()
    found, expected = (answers.to(x, answers.told(left_half(*of))) for of in (size, (64, 64)))
    assert torch.equal(found, expected)


def test_an_area_alone_without_a_mask_beside_a_negative_prompt_with_one(answers: Answers) -> None:
    x, mask = latent(16), left_half(64, 128)
    small = with_area(answers.told(None), Area(0, 0, 8, 8, "pixels", 0.0, "area"))
    rest = with_strength(answers.told(None), 0.0)
    found = answers.to(x, small, rest, away=answers.told(mask), cfg=3.0)
    left, within = x[..., :8].contiguous(), answers.told(mask[..., :64])
    expected = answers.to(left, answers.told(None), away=within, cfg=3.0)
    # there, the negative prompt counts as half of what it says of the whole image
    whole = answers.to(x, answers.told(mask)), answers.to(left, within)
    mean = expected - (1 - 3.0) * (whole[1] - (whole[0][..., :8] + whole[1]) / 2)
    torch.testing.assert_close(found[..., :1, :1], mean[..., :1, :1], rtol=1e-4, atol=1e-4)


def test_the_shared_unet_stays_as_it_is(model_of: ModelOf, adapters: Path) -> None:
    pipeline, model = model_of(sd1)
    choice = open_ip_adapter(str(write(adapters, pipeline, "shared", plain)), [])
    usual: dict[str, Any] = {"cfg": 5.0, "sampler": "ddim"}
    before = model.make(WIDTH, HEIGHT, **usual)
    unet = model.part("model").module
    kinds, config = {type(item) for item in unet.attn_processors.values()}, dict(unet.config)
    led(model, [choice], [picture()], **usual)
    assert torch.equal(model.make(WIDTH, HEIGHT, **usual).latents, before.latents)
    assert {type(item) for item in unet.attn_processors.values()} == kinds
    assert dict(unet.config) == config
    assert unet.encoder_hid_proj is None


def test_what_does_not_go_together_is_refused(model_of: ModelOf, adapters: Path) -> None:
    pipeline, model = model_of(sd1)
    _, larger = model_of(sdxl)
    choice = open_ip_adapter(str(write(adapters, pipeline, "own", plain)), [])
    with raises(InvalidFile):
        with_ip_adapter(open_model(str(larger.folder), []).model, choice, 1.0)
    own = model.part("model")
    recipe = with_ip_adapter(open_model(str(model.folder), []).model, choice, 1.0)
    model.loaded["model"] = derive(own, recipe)
    with raises(InvalidValue, port="positive"):
        model.make(WIDTH, HEIGHT, cfg=1.0)
    model.loaded["model"] = own
    seen = torch.zeros(1, 1, PROJECTED)
    with raises(InvalidValue, port="positive"):
        model.make(
            WIDTH,
            HEIGHT,
            cfg=1.0,
            change=lambda given: with_image_embeds(given, 0, seen, seen, None),
        )


def test_those_that_know_faces_by_other_means_are_told(tmp_path: Path) -> None:
    tensors = {
        "image_proj.norm.weight": torch.ones(4),
        "image_proj.proj.0.weight": torch.ones(8, 4),
        "ip_adapter.1.to_k_ip.weight": torch.ones(4, 4),
    }
    save_file(tensors, tmp_path / "face.safetensors")
    with raises(InvalidFile):
        open_ip_adapter(str(tmp_path / "face.safetensors"), [])
    save_file({"a": torch.ones(1)}, tmp_path / "other.safetensors")
    with raises(InvalidFile, given="tensors such as a"):
        open_ip_adapter(str(tmp_path / "other.safetensors"), [])


def test_eyes_that_it_does_not_read_are_told(model_of: ModelOf, adapters: Path) -> None:
    pipeline, _ = model_of(sd1)
    file = write(adapters, pipeline, "narrow", lambda reads: {"proj.weight": torch.ones(4, 7)})
    with raises(InvalidFile):
        open_ip_adapter(str(file), [])
    with raises(InvalidFile):
        open_ip_adapter(str(file), [], encoder=str(file))


def test_eyes_in_a_file_are_those_of_the_folder(adapters: Path, tmp_path: Path) -> None:
    """As wide as published ones, whose heads are sixteen."""
    torch.manual_seed(6)
    given = tf.CLIPVisionModelWithProjection(
        tf.CLIPVisionConfig(
            hidden_size=64,
            intermediate_size=64,
            projection_dim=PROJECTED,
            num_hidden_layers=2,
            num_attention_heads=16,
            image_size=32,
            patch_size=8,
            hidden_act="gelu",
        )
    ).eval()
    weights = {name: item.contiguous() for name, item in given.state_dict().items()}
    save_file(weights, tmp_path / "eyes.safetensors")
    proj = {"proj.weight": torch.ones(4, PROJECTED)}
    tensors = {f"image_proj.{name}": item for name, item in proj.items()}
    save_file(
        {**tensors, "ip_adapter.1.to_k_ip.weight": torch.ones(4, 4)}, tmp_path / "ip.safetensors"
    )
    choice = open_ip_adapter(
        str(tmp_path / "ip.safetensors"), [], encoder=str(tmp_path / "eyes.safetensors")
    )
    eyes = load_component(choice.encoder, "cpu")
    pixels = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(eyes.module(pixels).image_embeds, given(pixels).image_embeds)
