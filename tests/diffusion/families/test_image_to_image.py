"""What goes on from an image or a video is what diffusers makes of it, to the last bit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import diffusers as d
import pytest
import torch
from torch import Tensor

from nodegraph.core.values import Latent
from nodegraph.diffusion import encode_image, encode_video
from nodegraph.families.patches import pack_latents
from nodegraph.media.images.images import to_pil

from .conftest import Pair
from .equality import NEGATIVE, Made, Model, assert_same, picture, stock
from .image_to_image import STRENGTHS, as_tensor, assert_starts_like_stock
from .late_start import late_start
from .test_auraflow import auraflow
from .test_flux import chroma, unpack
from .test_flux2 import denormalised, flux2, flux2_klein, tokens
from .test_hidream import hidream, hidream_by_uni_pc
from .test_hunyuan_image import hunyuan, hunyuan_distilled
from .test_krea2 import krea2
from .test_longcat_image import longcat_image
from .test_lumina2 import lumina2
from .test_ovis_image import ovis_image
from .test_pixart import pixart_sigma
from .test_qwen_image_21 import qwen_image_21
from .test_sana import sana
from .test_skyreels import skyreels_v2
from .video_models import ltx, wan, wan22, wan22_5b

ModelOf = Callable[[Callable[[], Any]], Pair]

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")

AS_ASKED = {"use_resolution_binning": False}


@dataclass(frozen=True)
class Case:
    """A family of which diffusers has no pipeline that goes on from an image.

    Attributes:
        sampler: The pipeline's own.
        cfg: None where the pipeline takes none by this name.
        options: Of the stock pipeline.
        pack: What makes its latents of nodegraph's.
    """

    build: Callable[[], Any]
    sampler: str = "euler"
    width: int = 96
    height: int = 64
    frames: int = 1
    cfg: float | None = 4.0
    negative: str | None = NEGATIVE
    options: Mapping[str, Any] = field(default_factory=dict)
    pack: Callable[[Tensor], Tensor] = lambda latents: latents

    def __str__(self) -> str:
        return self.build.__name__

    @property
    def size(self) -> dict[str, int]:
        return {"width": self.width, "height": self.height}


def film(case: Case) -> Tensor:
    """An image, or frames in which it moves on, pixel by pixel."""
    drawn = as_tensor(picture(case.width, case.height))
    return torch.cat([drawn.roll(place, 2) for place in range(case.frames)])


def start_of(model: Model, case: Case) -> Latent:
    """What is gone on from."""
    encode = encode_image if case.frames == 1 else encode_video
    return encode(model.part("vae"), film(case))


def by_stock(pipeline: Any, latent: Tensor, case: Case, *, steps: int = 4, walked: int = 2) -> Made:
    """The last steps by the pipeline, from the latent with the noise of the first of them."""
    called = {**case.size, "negative": case.negative, "steps": steps, **case.options}
    if case.cfg is not None:
        called["guidance_scale"] = case.cfg
    if case.frames > 1:
        called |= {"out": "frames", "num_frames": case.frames}
    with late_start(pipeline, walked=walked) as noised:
        stock(pipeline, **called)
        return stock(pipeline, latents=case.pack(noised(latent)), **called)


QUICK = [
    Case(pixart_sigma, "dpmpp_2m", options={**AS_ASKED, "clean_caption": False}),
    Case(lumina2),
    Case(wan22_5b, "uni_pc", frames=5),
    Case(ltx, frames=9, pack=tokens),
    Case(
        qwen_image_21,
        cfg=None,
        options={"true_cfg_scale": 4.0, "use_kv_cache": False},
        pack=lambda latents: latents.flatten(2).transpose(1, 2),
    ),
]
OTHERS = [
    Case(sana, "dpmpp_2m", options=AS_ASKED),
    Case(hidream, width=160, height=96),
    Case(hidream_by_uni_pc, "uni_pc", width=128, height=128),
    Case(hunyuan, cfg=None),
    Case(krea2, cfg=None, options={"guidance_scale": 3.0}, pack=pack_latents),
    Case(ovis_image, pack=pack_latents),
    Case(longcat_image, options={"enable_prompt_rewrite": False}, pack=pack_latents),
    Case(hunyuan_distilled, cfg=None, negative=None),
    Case(wan22, "uni_pc", frames=5),
    Case(auraflow),
    Case(skyreels_v2, "uni_pc", frames=9),
]


@pytest.mark.parametrize(
    "case", [*QUICK, *(pytest.param(case, marks=pytest.mark.slow) for case in OTHERS)], ids=str
)
def test_the_last_steps_from_a_picture_are_diffusers(model_of: ModelOf, case: Case) -> None:
    pipeline, model = model_of(case.build)
    latent = start_of(model, case)
    options = {"negative": case.negative, "steps": 4, "denoise": 0.5, "sampler": case.sampler}
    found = model.make(**case.size, latent=latent, cfg=case.cfg or 4.0, **options)
    assert latent.samples is not None
    expected = by_stock(pipeline, latent.samples, case)
    assert_same(replace(found, latents=case.pack(found.latents)), expected)


@pytest.mark.slow
@pytest.mark.parametrize(("denoise", "walked"), [(0.13, 1), (0.99, 7)])
@pytest.mark.parametrize("case", [*QUICK, *OTHERS], ids=str)
def test_little_and_much_noise_are_as_in_diffusers(
    model_of: ModelOf, case: Case, denoise: float, walked: int
) -> None:
    pipeline, model = model_of(case.build)
    latent = start_of(model, case)
    options = {"negative": case.negative, "steps": 8, "denoise": denoise, "sampler": case.sampler}
    found = model.make(**case.size, latent=latent, cfg=case.cfg or 4.0, **options)
    assert latent.samples is not None
    expected = by_stock(pipeline, latent.samples, case, steps=8, walked=walked)
    assert_same(replace(found, latents=case.pack(found.latents)), expected)


@pytest.mark.slow
@pytest.mark.parametrize(("denoise", "walked"), [(0.13, 1), (0.5, 4), (0.99, 7)])
@pytest.mark.parametrize("build", [flux2, flux2_klein])
def test_the_last_steps_of_flux2_are_diffusers(
    model_of: ModelOf, build: Callable[[], Any], denoise: float, walked: int
) -> None:
    pipeline, model = model_of(build)
    case = Case(build, negative=None)
    latent = start_of(model, case)
    found = model.make(**case.size, latent=latent, cfg=4.0, steps=8, denoise=denoise)
    assert latent.samples is not None
    pack = tokens if build is flux2 else denormalised(pipeline.vae)
    expected = by_stock(pipeline, latent.samples, case, steps=8, walked=walked)
    assert_same(replace(found, latents=pack(found.latents)), expected)


@pytest.mark.parametrize(("denoise", "steps"), STRENGTHS)
def test_chroma_goes_on_from_a_picture_as_diffusers(
    model_of: ModelOf, denoise: float, steps: int
) -> None:
    options = {"cfg": 4.0, "guidance_scale": 4.0, "unpack": unpack}
    options |= {"denoise": denoise, "steps": steps}
    assert_starts_like_stock(model_of(chroma), d.ChromaImg2ImgPipeline, **options)


@pytest.mark.parametrize(
    ("denoise", "steps"),
    [(0.5, 4), *(pytest.param(each, 8, marks=pytest.mark.slow) for each in (0.13, 0.99))],
)
def test_wan_goes_on_from_a_video_as_diffusers(
    model_of: ModelOf, denoise: float, steps: int
) -> None:
    """The pipeline encodes the video itself here."""
    pipeline, model = model_of(wan)
    names = ("tokenizer", "text_encoder", "transformer", "vae", "scheduler")
    other = d.WanVideoToVideoPipeline(**{name: pipeline.components[name] for name in names})
    other.set_progress_bar_config(disable=True)
    case = Case(wan, frames=9)
    both = {"negative": NEGATIVE, "steps": steps}
    options = {"latent": start_of(model, case), "cfg": 5.0, "sampler": "uni_pc"}
    found = model.make(**case.size, denoise=denoise, **both, **options)
    frames = [to_pil(frame) for frame in film(case)]
    called = {**case.size, "video": frames, "strength": denoise, "guidance_scale": 5.0}
    assert_same(found, stock(other, out="frames", **both, **called))


@pytest.mark.parametrize("case", [Case(pixart_sigma), Case(lumina2), Case(ltx, frames=9)], ids=str)
def test_what_is_encoded_is_the_most_likely(model_of: ModelOf, case: Case) -> None:
    pipeline, model = model_of(case.build)
    pixels = (film(case) * 2 - 1).movedim(-1, 1).contiguous()
    given = pixels if case.frames == 1 else pixels.movedim(0, 1)[None]
    vae = pipeline.vae
    with torch.no_grad():
        mode = vae.encode(given).latent_dist.mode()
    if case.frames > 1:
        normal = d.LTXImageToVideoPipeline._normalize_latents
        expected = normal(mode, vae.latents_mean, vae.latents_std, vae.config.scaling_factor)
    else:
        expected = (mode - (vae.config.shift_factor or 0)) * vae.config.scaling_factor
    found = start_of(model, case).samples
    assert found is not None
    assert torch.equal(found, expected)


@pytest.mark.parametrize("build", [pytest.param(sana, marks=pytest.mark.slow), hunyuan_distilled])
def test_how_a_latent_lies_in_memory_changes_nothing(
    model_of: ModelOf, build: Callable[[], Any]
) -> None:
    """It is read from the cache in another order than some autoencoders give it in."""
    _, model = model_of(build)
    latent = start_of(model, Case(build))
    assert latent.samples is not None
    assert latent.samples.is_contiguous()
    turned = replace(latent, samples=latent.samples.to(memory_format=torch.channels_last))
    options = {"steps": 4, "denoise": 0.5, "cfg": 4.0}
    found = [model.make(96, 64, latent=each, **options).latents for each in (latent, turned)]
    assert torch.equal(*found)
