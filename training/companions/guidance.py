"""A classifier of noisy latents, whose gradient leads sampling to what is asked for.

After Dhariwal and Nichol, "Diffusion Models Beat GANs on Image Synthesis" (arXiv:2105.05233),
section 4: it names the object and the background colour of a scene from its noised latents.

`guidance_classifier.safetensors` holds float16 weights of `GuidanceClassifier`; its metadata, all
JSON: `format`; `labels` and `backgrounds`, the names in the order of the logits; `latent_channels`
and `channels`, the network's shape; `latent_size`, [height, width] in cells that it was trained on
(others work); `scaling_factor` of the latents; `schedule`, the noise levels as in a diffusers
scheduler file. The network itself needs nothing but torch.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from diffusers import StableDiffusionPipeline
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.models.helper_files import FORMAT as FORMAT
from nodegraph.models.noisy_classifier import GuidanceClassifier as GuidanceClassifier
from training.companions.latent_scenes import decode
from training.models import SCALING_FACTOR, build_scheduler
from training.pixels import Pixels

_SCHEDULE = ("num_train_timesteps", "beta_start", "beta_end", "beta_schedule")


def save_guidance_classifier(
    model: GuidanceClassifier, path: Path, latent_size: tuple[int, int]
) -> None:
    """Write what this module's docstring says."""
    weights = {name: value.detach().half().contiguous() for name, value in _state(model).items()}
    about = {
        "format": FORMAT,
        "labels": model.labels,
        "backgrounds": model.backgrounds,
        "latent_channels": model.latent_channels,
        "channels": model.channels,
        "latent_size": latent_size,
        "scaling_factor": SCALING_FACTOR,
        "schedule": {name: build_scheduler().config[name] for name in _SCHEDULE},
    }
    save_file(weights, path, {name: json.dumps(value) for name, value in about.items()})


def _state(model: nn.Module) -> dict[str, Tensor]:
    state: dict[str, Tensor] = model.state_dict()
    return state


def load_guidance_classifier(path: Path) -> GuidanceClassifier:
    """Read what `save_guidance_classifier` wrote; float32, CPU, frozen.

    Raises:
        ValueError: the file holds something else.
    """
    with safe_open(path, framework="pt") as file:
        about = {name: json.loads(value) for name, value in (file.metadata() or {}).items()}
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    if about.get("format") != FORMAT:
        raise ValueError(f"{path} is no {FORMAT}")
    model = GuidanceClassifier(
        about["labels"], about["backgrounds"], about["latent_channels"], tuple(about["channels"])
    )
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class Wish:
    """What pictures should show: rows of the classifier's labels, int64 (n,); None is anything."""

    objects: Tensor | None = None
    backgrounds: Tensor | None = None


def log_chance_gradient(
    model: GuidanceClassifier, noisy: Tensor, timestep: int, wish: Wish
) -> Tensor:
    """Gradient, by the noisy latents, of the log of the chance that they show what is wished."""
    with torch.enable_grad():
        latents = noisy.detach().requires_grad_()
        times = torch.full((len(noisy),), timestep, device=noisy.device)
        chance = latents.new_zeros(())
        for logits, rows in zip(
            model(latents, times), (wish.objects, wish.backgrounds), strict=True
        ):
            if rows is not None:
                chance = chance - functional.cross_entropy(logits, rows, reduction="sum")
        (gradient,) = torch.autograd.grad(chance, latents)
    return gradient


def guided_noise(noise: Tensor, gradient: Tensor, alpha: Tensor, scale: float) -> Tensor:
    """The noise to remove instead of the predicted one (arXiv:2105.05233, algorithm 2).

    Args:
        noise: Predicted by the denoiser, (n, c, h, w).
        gradient: Of the log-chance by the noisy latents, (n, c, h, w).
        alpha: Cumulative product of the alphas at the timestep, a scalar.
        scale: How strongly to guide.
    """
    return noise - (1.0 - alpha).sqrt() * scale * gradient


def guided_velocity(velocity: Tensor, gradient: Tensor, alpha: Tensor, scale: float) -> Tensor:
    """`guided_noise` for a denoiser that predicts v (arXiv:2202.00512).

    With the noisy latents x as they are, noise is sqrt(alpha) v + sqrt(1 - alpha) x: what is
    added to the noise is added to v over sqrt(alpha).
    """
    change = guided_noise(torch.zeros_like(gradient), gradient, alpha, scale)
    return velocity + change / alpha.sqrt()


@torch.no_grad()
def sample_guided(
    pipeline: StableDiffusionPipeline,
    model: GuidanceClassifier,
    wish: Wish,
    seeds: Sequence[int],
    *,
    scale: float,
    steps: int,
) -> Pixels:
    """Pictures for the empty prompt, led by the classifier alone; scale 0 leaves them alone."""
    unet, scheduler = pipeline.unet, pipeline.scheduler
    side = unet.config.sample_size
    shape = (unet.config.in_channels, side, side)
    draws = [torch.randn(shape, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    latents = torch.stack(draws)
    states = pipeline.encode_prompt("", "cpu", 1, False)[0].expand(len(seeds), -1, -1)
    scheduler.set_timesteps(steps)
    for timestep in scheduler.timesteps:
        velocity = unet(latents, timestep, states).sample
        if scale:
            gradient = log_chance_gradient(model, latents, int(timestep), wish)
            alpha = scheduler.alphas_cumprod[timestep]
            velocity = guided_velocity(velocity, gradient, alpha, scale)
        latents = scheduler.step(velocity, timestep, latents).prev_sample
    return decode(pipeline.vae, latents)
