"""Train the autoencoder's decoder further, its encoder staying as it is.

The latents stay what they are, so this can go on while, or after, the denoiser is trained on them.
"""

from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor, nn

from training.config import Config, command_line
from training.pixels import sheet, to_tensor
from training.scenes import SceneMaker
from training.trainer import Trainer, load_average, place
from training.vae import (
    held_out_scenes,
    load_trained,
    psnr,
    reconstruct,
    reconstruction_loss,
    training_pictures,
)


def decoding_half(vae: AutoencoderKL) -> nn.ModuleDict:
    """The layers after the latent, as one module to fit; shared with `vae`."""
    return nn.ModuleDict({"decoder": vae.decoder, "post_quant_conv": vae.post_quant_conv})


def load_polished(config: Config, work: Path) -> AutoencoderKL:
    """The autoencoder of a work folder, with the further trained decoder if there is one."""
    vae = load_trained(config, work)
    if (work / "decoder" / "checkpoint.pt").exists():
        load_average(decoding_half(vae), work / "decoder")
    return vae


def train(config: Config, work: Path) -> None:
    """Fit the decoder and write its checkpoint into `work`/decoder."""
    settings, fit = config.vae, config.vae.decoder_fit
    vae = load_trained(config, work)
    place(vae, fit)
    half = decoding_half(vae).requires_grad_(True)
    maker = SceneMaker.from_config(config, settings.mix)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        pictures = training_pictures(maker, settings, count, rng)
        target = to_tensor(pictures).to(vae.device)
        with torch.no_grad():
            latents = vae.encode(target).latent_dist.mean
        # A sampled latent is never quite right; a decoder that knows only right ones shows that.
        levels = settings.decoder_noise * torch.rand(len(target), 1, 1, 1, device=vae.device)
        noise = levels / vae.config.scaling_factor * torch.randn_like(latents)
        return reconstruction_loss(vae.decode(latents + noise).sample.float(), target, settings)

    Trainer(half, loss, fit, seed=config.seed + 3, folder=work / "decoder").run()


def main() -> None:
    """Train the decoder on; `decoder.png` shows held-out scenes above their reconstructions."""
    config, work = command_line(main.__doc__)
    train(config, work)
    pictures = held_out_scenes(config, config.evaluate.scenes)
    before, after = (
        reconstruct(load(config, work), pictures) for load in (load_trained, load_polished)
    )
    shown = min(12, len(pictures))
    sheet(np.concatenate([pictures[:shown], after[:shown]]), shown).save(work / "decoder.png")
    print(f"{psnr(pictures, before):.2f} dB before, {psnr(pictures, after):.2f} dB after")


if __name__ == "__main__":
    main()
