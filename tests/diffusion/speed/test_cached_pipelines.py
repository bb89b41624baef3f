"""Step caches of each network equal those of its pipeline in diffusers, to the last bit."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import pytest
import torch
from diffusers.hooks import (
    FirstBlockCacheConfig,
    MagCacheConfig,
    PyramidAttentionBroadcastConfig,
    TaylorSeerCacheConfig,
    apply_first_block_cache,
    apply_mag_cache,
    apply_pyramid_attention_broadcast,
    apply_taylorseer_cache,
)
from diffusers.hooks.hooks import CacheContext, _set_cache_context
from torch import Tensor, nn

from nodegraph.families.patches import pack_latents
from nodegraph.families.registry import FAMILIES
from nodegraph.families.speed_options import (
    Broadcast,
    FirstBlock,
    Magnitude,
    StepCaching,
    Taylor,
)
from nodegraph.models.adapters.layer_changes import structural_copy
from nodegraph.models.speed.step_caches import CachedSteps
from tests.diffusion.families.conftest import Pair, model_of  # noqa: F401 - a fixture
from tests.diffusion.families.equality import NEGATIVE, stock
from tests.diffusion.families.test_auraflow import auraflow
from tests.diffusion.families.test_cosmos import cosmos, cosmos_predict2
from tests.diffusion.families.test_cosmos25 import cosmos_predict25, film
from tests.diffusion.families.test_cosmos_transfer25 import (
    as_frames,
    cosmos_transfer25_with_network,
)
from tests.diffusion.families.test_ernie_image import ernie_image
from tests.diffusion.families.test_flux import chroma, flux, sd3
from tests.diffusion.families.test_flux2 import denormalised, flux2, flux2_klein, tokens
from tests.diffusion.families.test_hidream import hidream
from tests.diffusion.families.test_hunyuan_image import hunyuan
from tests.diffusion.families.test_hunyuan_video import hunyuan_video
from tests.diffusion.families.test_hunyuan_video_15 import hunyuan_video_15
from tests.diffusion.families.test_kandinsky5 import (
    as_images,
    kandinsky5_image,
    noise_with_channels_first,  # noqa: F401 - a fixture
)
from tests.diffusion.families.test_krea2 import krea2
from tests.diffusion.families.test_longcat_image import longcat_image
from tests.diffusion.families.test_lumina2 import lumina2
from tests.diffusion.families.test_mochi import mochi
from tests.diffusion.families.test_ovis_image import ovis_image
from tests.diffusion.families.test_pixart import pixart_sigma
from tests.diffusion.families.test_qwen_image import qwen_image
from tests.diffusion.families.test_qwen_image_21 import qwen_image_21
from tests.diffusion.families.test_sana import sana
from tests.diffusion.families.test_stable_diffusion import sd1, sd2, sdxl
from tests.diffusion.families.test_z_image import z_image
from tests.diffusion.families.tiny_models import TINY
from tests.diffusion.families.video_models import ltx, wan, wan22, wan22_5b

from .speedy import ALWAYS, sampling, sped_up, walked

ModelOf = Callable[[Callable[[], Any]], Pair]
Put = Callable[[Any, Callable[[], float]], None]
"""Puts a hook on a network; the second argument returns the current timestep."""

pytestmark = pytest.mark.filterwarnings("ignore:.*FluxPosEmbed:FutureWarning")
STEPS = 6


def _first_block(network: Any, _: Callable[[], float]) -> None:
    apply_first_block_cache(network, FirstBlockCacheConfig(0.4))


def _mag(network: Any, _: Callable[[], float]) -> None:
    config = MagCacheConfig(0.5, 2, 0.2, num_inference_steps=STEPS, mag_ratios=list(ALWAYS))
    apply_mag_cache(network, config)


def _taylor(network: Any, _: Callable[[], float], *, lite: bool = False) -> None:
    names = [re.escape(name) for name, layer in network.named_modules() if _is_attention(layer)]
    config = TaylorSeerCacheConfig(
        3,
        2,
        taylor_factors_dtype=torch.float32,
        use_lite_mode=lite,
        cache_identifiers=None if lite else names,
    )
    apply_taylorseer_cache(network, config)


def _is_attention(layer: nn.Module) -> bool:
    """By what it consists of: a projection of the queries, or one of queries, keys and values."""
    return any(name.startswith("to_q") for name, _ in layer.named_children())


def _broadcast(network: Any, now: Callable[[], float]) -> None:
    config = PyramidAttentionBroadcastConfig(
        spatial_attention_block_skip_range=2,
        cross_attention_block_skip_range=3,
        current_timestep_callback=now,
    )
    apply_pyramid_attention_broadcast(network, config)


CACHES: Mapping[str, tuple[StepCaching, Put]] = {
    "first_block": (FirstBlock(0.4), _first_block),
    "mag": (Magnitude(0.5, 2, 0.2, ALWAYS), _mag),
    "taylorseer": (Taylor(3, 2), _taylor),
    "lite": (Taylor(3, 2, lite=True), partial(_taylor, lite=True)),
    "broadcast": (Broadcast(2, 3), _broadcast),
}


@dataclass(frozen=True)
class Case:
    """How the pipeline of a family is called.

    Attributes:
        family: Its name; the caches that it claims are compared.
        has_contexts: The pipeline calls the network for one prompt after the other, and separates
            the state of its caches by prompt. It does not separate that of attention broadcast.
        pack: Converts nodegraph's latents to the pipeline's.
    """

    build: Callable[[], Any]
    family: str
    sampler: str = "euler"
    frames: int = 1
    side: int = 64
    cfg: float = 3.0
    negative: str | None = NEGATIVE
    has_contexts: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)
    pack: Callable[[Tensor], Tensor] = lambda latents: latents

    def __str__(self) -> str:
        return self.family


def _scale(by: float = 3.0, name: str = "guidance_scale") -> dict[str, Any]:
    return {name: by}


_BINNED = {"use_resolution_binning": False}
_TRUE = _scale(3.0, "true_cfg_scale")
_UNGUIDED: dict[str, Any] = {"cfg": 1.0, "negative": None, "options": _scale(1.0)}
CASES = (
    Case(sd1, "sd1", "ddim", options=_scale()),
    Case(sd2, "sd2", "ddim", options=_scale()),
    Case(sdxl, "sdxl", options=_scale()),
    Case(sd3, "sd3", options=_scale()),
    Case(
        pixart_sigma,
        "pixart-sigma",
        "dpmpp_2m",
        options={**_scale(), **_BINNED, "clean_caption": False},
    ),
    Case(flux, "flux", has_contexts=True, options={**_scale(3.5), **_TRUE}, pack=pack_latents),
    Case(sana, "sana", "dpmpp_2m", options={**_scale(), **_BINNED}),
    Case(ltx, "ltx", frames=9, has_contexts=True, options=_scale(), pack=tokens),
    Case(lumina2, "lumina2", **_UNGUIDED),
    Case(wan, "wan", "uni_pc", frames=5, has_contexts=True, options=_scale()),
    Case(wan22, "wan", "uni_pc", frames=5, has_contexts=True, options=_scale()),
    Case(wan22_5b, "wan22-5b", "uni_pc", frames=5, has_contexts=True, options=_scale()),
    Case(chroma, "chroma", **_UNGUIDED, pack=pack_latents),
    Case(qwen_image, "qwen-image", has_contexts=True, options=_TRUE, pack=pack_latents),
    Case(hunyuan, "hunyuan-image", cfg=4.0, has_contexts=True),
    Case(flux2, "flux2", negative=None, options=_scale(4.0), pack=tokens),
    Case(flux2_klein, "flux2-klein", negative=None, has_contexts=True, options=_scale()),
    Case(z_image, "z-image", cfg=1.0, negative=None, options=_scale(0.0)),
    Case(auraflow, "auraflow", options=_scale()),
    Case(mochi, "mochi", frames=7, has_contexts=True, options=_scale()),
    Case(krea2, "krea2", cfg=1.0, negative=None, options=_scale(0.0), pack=pack_latents),
    Case(ovis_image, "ovis-image", has_contexts=True, options=_scale(), pack=pack_latents),
    Case(hidream, "hidream", side=128, options=_scale()),
    Case(
        qwen_image_21,
        "qwen-image-21",
        has_contexts=True,
        options={**_TRUE, "use_kv_cache": False},
        pack=tokens,
    ),
    Case(cosmos, "cosmos", frames=9, cfg=1.0, negative=None, options=_scale(0.0)),
    Case(
        cosmos_predict2,
        "cosmos-predict2",
        cfg=1.0,
        negative=None,
        options=_scale(0.0),
        pack=lambda latents: latents.squeeze(2),
    ),
    Case(
        cosmos_predict25,
        "cosmos-predict25",
        "uni_pc",
        frames=5,
        cfg=1.0,
        negative=None,
        options=_scale(0.0),
    ),
    Case(
        cosmos_transfer25_with_network,
        "cosmos-transfer25",
        "uni_pc",
        frames=5,
        cfg=1.0,
        negative=None,
        # nodegraph has no control network beside it here.
        options=_scale(0.0)
        | {
            "controls": as_frames(film(5)),
            "controls_conditioning_scale": 0.0,
            "num_frames_per_chunk": 5,
        },
    ),
    Case(ernie_image, "ernie-image", options=_scale()),
    Case(
        hunyuan_video,
        "hunyuan-video",
        frames=5,
        has_contexts=True,
        options={**_scale(6.0), **_TRUE},
    ),
    Case(hunyuan_video_15, "hunyuan-video-15", frames=5, cfg=6.0, has_contexts=True),
    Case(
        kandinsky5_image,
        "kandinsky5-image",
        **_UNGUIDED,
        pack=lambda latents: latents.permute(0, 2, 3, 1).unsqueeze(1),
    ),
    Case(
        longcat_image,
        "longcat-image",
        has_contexts=True,
        options={**_scale(), "enable_prompt_rewrite": False},
        pack=pack_latents,
    ),
)


QUICK = ("sd1-taylorseer", "sd3-mag", "ltx-first_block", "wan-broadcast", "ernie_image-taylorseer")
EACH = [
    pytest.param(case, cache, id=name, marks=() if name in QUICK else pytest.mark.slow)
    for case in CASES
    for cache in CACHES
    if cache in FAMILIES[case.family].speedups
    for name in [f"{case.build.__name__}-{cache}"]
]


def alone(case: Case) -> Case:
    """The same with one prompt."""
    name = "true_cfg_scale" if "true_cfg_scale" in case.options else "guidance_scale"
    options = {**case.options, name: 1.0} if case.options else {}
    return replace(case, negative=None, cfg=1.0, options=options)


@contextmanager
def hooked(pipeline: Any, put: Put, *, has_contexts: bool) -> Iterator[Any]:
    """A copy of the pipeline over the same weights, whose networks have the hook."""
    is_cosmos = "Cosmos" in type(pipeline).__name__
    role = "unet" if hasattr(pipeline, "unet") else "transformer"
    roles = [name for name in (role, f"{role}_2") if getattr(pipeline, name, None) is not None]
    other = copy(pipeline)
    other.scheduler = scheduler = copy(pipeline.scheduler)
    done = [0]

    def step(*args: Any, usual: Any = scheduler.step, **more: Any) -> Any:
        done[0] += 1
        return usual(*args, **more)

    def now() -> float:
        """The timestep of the network's next call, where timesteps are counted up to 1000."""
        return 500.0 if is_cosmos else float(scheduler.timesteps[done[0]])

    scheduler.step = step
    for name in roles:
        network = structural_copy(getattr(pipeline, name))
        # A run of the pipeline before leaves it there, and it knows the other network only.
        vars(network).pop("_diffusers_hook", None)
        put(network, now)
        if not has_contexts:
            _set_cache_context(network, CacheContext("all"))
        setattr(other, name, network)
    yield other


@pytest.mark.parametrize(("case", "cache"), EACH)
def test_a_cache_is_that_of_the_pipeline(
    model_of: ModelOf,  # noqa: F811 - the fixture
    case: Case,
    cache: str,
) -> None:
    pipeline, model = model_of(case.build)
    caching, put = CACHES[cache]
    if cache == "broadcast" and case.has_contexts:
        case = alone(case)
    if cache == "broadcast" and "cosmos" in case.family:
        # Its pipelines count timesteps in another way, so that their ranges cannot be the same.
        caching = Broadcast(2, 3, 1.0, 0.0)
    both = {"negative": case.negative, "steps": STEPS}
    options: dict[str, Any] = {
        "sampler": case.sampler,
        "frames": case.frames,
        "cfg": case.cfg,
        "side": case.side,
        **both,
    }
    found = walked(sampling(model, sped_up(model, caching), **options))
    called = {"width": case.side, "height": case.side, **both, **case.options}
    if case.frames > 1:
        called |= {"out": "frames", "num_frames": case.frames}
    with hooked(pipeline, put, has_contexts=case.has_contexts) as other:
        if case.cfg == 1 and hasattr(other, "guider"):
            other.guider = type(other.guider)(enabled=False)
        is_kandinsky = case.build is kandinsky5_image
        expected = stock(as_images(other) if is_kandinsky else other, **called)
    pack = denormalised(pipeline.vae) if case.build is flux2_klein else case.pack
    assert torch.equal(pack(found), expected.latents)
    exact = walked(sampling(model, model.part("model"), **options))
    assert not torch.equal(found, exact)


@pytest.mark.parametrize(
    "family",
    [
        "ernie-image",
        pytest.param("ltx2", marks=pytest.mark.slow),
        pytest.param("kandinsky5-video", marks=pytest.mark.slow),
    ],
)
def test_taylorseer_is_on_all_attention_layers(
    model_of: ModelOf,  # noqa: F811
    family: str,
) -> None:
    """Whatever a network calls them: `self_attention`, `audio_attn1`, `video_to_audio_attn`."""
    _, model = model_of(TINY[family].build)
    network = CachedSteps(sped_up(model, Taylor()), Taylor()).model.module
    layers = {name: layer for name, layer in network.named_modules() if _is_attention(layer)}
    assert layers
    assert all(hasattr(layer, "_diffusers_hook") for layer in layers.values())
