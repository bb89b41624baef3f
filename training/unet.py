"""Train the denoiser and the text encoder together, on encoded scenes."""

from pathlib import Path

import numpy as np
import torch
from diffusers import DDIMScheduler
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTokenizer

from training.config import Config, command_line
from training.latents import load_latents
from training.models import build_scheduler, build_text_encoder, build_unet, seeded
from training.tokenizer import encode, load_tokenizer
from training.trainer import Trainer, load_average, place


def build_denoiser(config: Config, tokenizer: CLIPTokenizer) -> nn.ModuleDict:
    """Untrained `unet` and `text`, as one module to fit."""
    seeded(config.seed)
    size, bos, eos = len(tokenizer), tokenizer.bos_token_id, tokenizer.eos_token_id
    return nn.ModuleDict(
        {"unet": build_unet(config), "text": build_text_encoder(config, size, bos, eos)}
    )


def stratified_timesteps(count: int, total: int, rng: np.random.Generator) -> Tensor:
    """One timestep from each of `count` equal parts of 0..total, in random order; int64."""
    places = (rng.permutation(count) + rng.random(count)) / count
    return torch.from_numpy((places * total).astype(np.int64))


def denoiser_loss(
    denoiser: nn.ModuleDict,
    scheduler: DDIMScheduler,
    latents: Tensor,
    tokens: Tensor,
    timesteps: Tensor,
) -> Tensor:
    """Mean squared error of the predicted v.

    On v this weighs a timestep by its signal-to-noise ratio plus one; no further weighting.

    Args:
        latents: Clean and scaled, (n, 4, h, w).
        tokens: (n, max_length).
        timesteps: (n,).
    """
    noise = torch.randn_like(latents)
    noisy = scheduler.add_noise(latents, noise, timesteps)
    states = denoiser["text"](tokens)[0]
    predicted = denoiser["unet"](noisy, timesteps, states).sample
    return functional.mse_loss(predicted.float(), scheduler.get_velocity(latents, noise, timesteps))


def load_trained(config: Config, work: Path) -> nn.ModuleDict:
    """The averaged weights of the checkpoint in a work folder; float32, CPU."""
    denoiser = build_denoiser(config, load_tokenizer(work / "tokenizer"))
    load_average(denoiser, work / "unet")
    return denoiser.eval().requires_grad_(False)


def train(config: Config, work: Path) -> None:
    """Fit both networks and write their checkpoint into `work`/unet."""
    tokenizer = load_tokenizer(work / "tokenizer")
    denoiser = build_denoiser(config, tokenizer)
    device = place(denoiser, config.unet.fit)
    scheduler = build_scheduler()
    groups = [tuple(part.to(device) for part in group) for group in load_latents(work)]
    empty = torch.tensor(encode(tokenizer, [""]), device=device)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        latents, tokens = groups[_pick_group(len(groups), config.unet.sized_share, rng)]
        # As many latent cells in every step, whatever the size of its pictures.
        count = max(1, count * groups[0][0][0, 0].numel() // latents[0, 0].numel())
        rows = torch.from_numpy(rng.integers(len(latents), size=count)).to(device)
        dropped = torch.from_numpy(rng.random(count) < config.unet.drop_caption).to(device)
        # Without a caption now and then, there is nothing for guidance to push away from.
        words = torch.where(dropped[:, None], empty, tokens[rows])
        times = stratified_timesteps(count, scheduler.config.num_train_timesteps, rng)
        return denoiser_loss(denoiser, scheduler, latents[rows].float(), words, times.to(device))

    Trainer(denoiser, loss, config.unet.fit, seed=config.seed, folder=work / "unet").run()


def _pick_group(count: int, share: float, rng: np.random.Generator) -> int:
    """Index of the group of latents to train on: the first, or with chance `share` another."""
    if count == 1 or rng.random() >= share:
        return 0
    return 1 + int(rng.integers(count - 1))


def main() -> None:
    """Train the denoiser and the text encoder on the encoded scenes."""
    config, work = command_line(main.__doc__)
    train(config, work)


if __name__ == "__main__":
    main()
