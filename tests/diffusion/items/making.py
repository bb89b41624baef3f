"""A tiny model of molecules with random weights, as a folder."""

from __future__ import annotations

from pathlib import Path

import torch

from nodegraph.core.values import Conditioning, Latent
from nodegraph.families.components import Denoiser
from nodegraph.families.item_family import item_conditioning
from nodegraph.families.items.transformer import MoleculeTransformer
from nodegraph.models.denoiser_files import DenoiserRequest, open_denoiser
from nodegraph.models.loading import load_component
from nodegraph.sampling.denoise import Denoising

PROPERTIES = 4


def molecule_folder(folder: Path) -> Path:
    """A folder with the configuration and weights of a network that knows nothing."""
    torch.manual_seed(0)
    network = MoleculeTransformer(9, 37, 24, 2, numbers=PROPERTIES, gives_clean=True)
    with torch.no_grad():
        for name, weight in network.named_parameters():
            if name.startswith(("output", "shared", "last")):
                weight.normal_(0, 0.5)
    network.half().save_pretrained(folder)
    return folder


def molecule_model(folder: Path) -> Denoiser:
    """The same, loaded."""
    recipe = open_denoiser(DenoiserRequest(str(molecule_folder(folder))), [])
    loaded = load_component(recipe, "cpu")
    assert isinstance(loaded, Denoiser)
    return loaded


def asked(*numbers: float | None) -> Conditioning:
    return item_conditioning("molecules", numbers=numbers or (None,) * PROPERTIES)


def sampled(
    model: Denoiser,
    conditioning: Conditioning | None = None,
    latent: Latent | None = None,
    *,
    batch: int = 1,
    steps: int = 4,
    cfg: float = 1.0,
    sampler: str = "euler",
    schedule: str = "normal",
    seed: int = 3,
) -> torch.Tensor:
    sampling = Denoising.named(
        model,
        conditioning or asked(),
        None,
        latent or Latent(None, 37, 9, batch),
        seed=seed,
        steps=steps,
        cfg=cfg,
        sampler=sampler,
        schedule=schedule,
    )
    for _ in sampling:
        pass
    samples = sampling.result().samples
    assert samples is not None
    return samples
