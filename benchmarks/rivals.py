"""Networks that nodegraph and a pipeline of diffusers sample from alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import diffusers
import torch
from published_models import MODELS
from torch import Tensor

from nodegraph import Conditioning, ConditioningEntry, DiffusionModel, Latent, RecipeFile
from nodegraph.diffusion import load_component, open_model
from nodegraph.families.components import Denoiser
from nodegraph.families.speed_options import SpeedOptions, StepCaching, with_caching, with_speed
from nodegraph.models.derived_components import derive
from nodegraph.sampling.denoise import Denoising

CFG = 4.0


@dataclass
class Rival:
    """A network with what it takes to sample by both.

    Attributes:
        sample: One sampling by nodegraph, of a denoiser and a seed.
        pipe: One by diffusers' pipeline, of a network and a seed.
    """

    name: str
    denoiser: Denoiser
    recipe: DiffusionModel
    sample: Callable[[Denoiser, int], Tensor]
    pipe: Callable[[Any, int], Tensor]

    def sped_up(self, way: SpeedOptions | StepCaching) -> Denoiser:
        """The denoiser with options, over the same weights."""
        is_speed = isinstance(way, SpeedOptions)
        recipe = with_speed(self.recipe, way) if is_speed else with_caching(self.recipe, way)  # type: ignore[arg-type]
        found = derive(self.denoiser, recipe)
        assert isinstance(found, Denoiser)
        return found


def _recipe(family: str) -> DiffusionModel:
    return DiffusionModel(family, (RecipeFile("model", "random", "0" * 64),))


def _random(kind: Any, config: Mapping[str, Any], device: str, dtype: torch.dtype) -> Any:
    """A network of random weights, made where it computes."""
    torch.manual_seed(0)
    with torch.device("meta"):
        net = kind.from_config(dict(config))
    net = net.to(dtype).to_empty(device=device)
    for tensor in net.parameters():
        tensor.data.normal_(0, 0.02)
    for name, tensor in net.named_parameters():
        if tensor.ndim == 1 and name.endswith("weight"):
            tensor.data.fill_(1)
    return net.eval().requires_grad_(False)


def _prompts(family: str, device: str, **sizes: tuple[int, ...]) -> tuple[Conditioning, ...]:
    """A positive and a negative one of random numbers."""
    found = []
    for seed in (1, 2):
        generator = torch.Generator().manual_seed(seed)
        tensors = {name: torch.randn(1, *size, generator=generator) for name, size in sizes.items()}
        found.append(Conditioning((ConditioningEntry(tensors),), family))
    return tuple(found)


def _ours(
    prompts: tuple[Conditioning, ...], size: int, steps: int, **how: Any
) -> Callable[[Denoiser, int], Tensor]:
    def run(denoiser: Denoiser, seed: int) -> Tensor:
        options = {"seed": seed, "steps": steps, "schedule": "normal", **how}
        negative = prompts[1] if how["cfg"] > 1 else None
        latent = Latent(None, size, size)
        denoising = Denoising.named(denoiser, prompts[0], negative, latent, **options)
        for _ in denoising:
            pass
        found = denoising.result().samples
        assert found is not None
        return found

    return run


def _theirs(pipeline: Any, size: int, steps: int, **how: Any) -> Callable[[Any, int], Tensor]:
    pipeline.set_progress_bar_config(disable=True)

    def run(net: Any, seed: int) -> Tensor:
        pipeline.register_modules(**{"unet" if hasattr(pipeline, "unet") else "transformer": net})
        found: Tensor = pipeline(
            height=size,
            width=size,
            num_inference_steps=steps,
            generator=torch.Generator().manual_seed(seed),
            output_type="latent",
            **how,
        ).images
        return found

    return run


def unet(name: str, size: int, device: str, dtype: torch.dtype, steps: int, **config: Any) -> Rival:
    """As large as Stable Diffusion 1.5's or SDXL's, but for what is given of its configuration."""
    config, scheduler = MODELS[name]["unet"] | config, MODELS[name]["scheduler"]
    net = _random(diffusers.UNet2DConditionModel, config, device, dtype)
    is_xl, width = name == "SDXL", config["cross_attention_dim"]
    family = "sdxl" if is_xl else "sd1"
    sizes = {"embeddings": (77, width)} | ({"pooled": (1280,)} if is_xl else {})
    prompts = _prompts(family, device, **sizes)
    schedule = diffusers.DDIMScheduler.from_config(dict(scheduler))
    empty = dict.fromkeys(("vae", "text_encoder", "tokenizer"))
    if is_xl:
        empty |= dict.fromkeys(("text_encoder_2", "tokenizer_2"))
        pipeline = diffusers.StableDiffusionXLPipeline(**empty, unet=net, scheduler=schedule)
    else:
        more = dict.fromkeys(("safety_checker", "feature_extractor"))
        pipeline = diffusers.StableDiffusionPipeline(**empty, **more, unet=net, scheduler=schedule)
    given = _embedded(
        prompts, device, dtype, {"embeddings": "prompt_embeds", "pooled": "pooled_prompt_embeds"}
    )
    return Rival(
        name,
        Denoiser(
            {"unet": net}, family, dict(schedule.config) | {"_class_name": type(schedule).__name__}
        ),
        _recipe(family),
        _ours(prompts, size, steps, cfg=CFG, sampler="ddim"),
        _theirs(pipeline, size, steps, guidance_scale=CFG, **given),
    )


def flux(
    name: str,
    size: int,
    device: str,
    dtype: torch.dtype,
    steps: int,
    *,
    tokens: int = 512,
    **config: Any,
) -> Rival:
    """Flux.1, or a small one; `tokens` are the prompt's."""
    net = _random(
        diffusers.FluxTransformer2DModel, {"guidance_embeds": True, **config}, device, dtype
    )
    given = net.config
    prompts = _prompts(
        "flux",
        device,
        embeddings=(tokens, given.joint_attention_dim),
        pooled=(given.pooled_projection_dim,),
    )
    schedule = diffusers.FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    empty = dict.fromkeys(("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    pipeline = diffusers.FluxPipeline(**empty, transformer=net, scheduler=schedule)
    names = {"embeddings": "prompt_embeds", "pooled": "pooled_prompt_embeds"}
    embeds = {
        key: value
        for key, value in _embedded(prompts, device, dtype, names).items()
        if not key.startswith("negative")
    }
    return Rival(
        name,
        Denoiser(
            {"transformer": net},
            "flux",
            dict(schedule.config) | {"_class_name": type(schedule).__name__},
        ),
        _recipe("flux"),
        _ours(prompts, size, steps, cfg=1.0, sampler="euler"),
        _theirs(pipeline, size, steps, guidance_scale=3.5, **embeds),
    )


def _embedded(
    prompts: tuple[Conditioning, ...], device: str, dtype: torch.dtype, names: Mapping[str, str]
) -> dict[str, Tensor]:
    found = {}
    for before, prompt in zip(("", "negative_"), prompts, strict=True):
        for name, tensor in prompt.entries[0].tensors.items():
            found[f"{before}{names[name]}"] = tensor.to(device, dtype)
    return found


def embedded(steps: int, device: str = "cpu", size: int = 128) -> Rival:
    """The model that comes along."""
    recipes = open_model("tiny", ())
    denoiser: Any = load_component(recipes.model, device)
    width = denoiser.module.config.cross_attention_dim
    prompts = _prompts("sd1", device, embeddings=(77, width))
    schedule = diffusers.DDIMScheduler.from_config(dict(denoiser.scheduler_config))
    empty = dict.fromkeys(
        ("vae", "text_encoder", "tokenizer", "safety_checker", "feature_extractor")
    )
    pipeline = diffusers.StableDiffusionPipeline(**empty, unet=denoiser.module, scheduler=schedule)
    given = _embedded(prompts, device, torch.float32, {"embeddings": "prompt_embeds"})
    return Rival(
        "embedded",
        denoiser,
        recipes.model,
        _ours(prompts, size, steps, cfg=CFG, sampler="ddim"),
        _theirs(pipeline, size, steps, guidance_scale=CFG, **given),
    )


def small_sdxl(steps: int, device: str = "cpu", size: int = 64) -> Rival:
    """An SDXL of some 2 million parameters."""
    shape = {"block_out_channels": (32, 64, 64), "attention_head_dim": (2, 4, 4)}
    shape |= {"transformer_layers_per_block": (1, 1, 2)}
    return unet("SDXL", size, device, torch.float32, steps, **shape)


def small_flux(steps: int, device: str = "cpu", size: int = 256) -> Rival:
    """A Flux of some 10 million parameters."""
    shape = {"num_layers": 2, "num_single_layers": 4, "num_attention_heads": 4}
    shape |= {"attention_head_dim": 64, "joint_attention_dim": 256, "pooled_projection_dim": 256}
    axes = {"axes_dims_rope": (16, 24, 24)}
    return flux("small Flux", size, device, torch.float32, steps, tokens=64, **shape, **axes)
