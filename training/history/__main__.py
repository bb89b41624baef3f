"""Make both: train them, write their decoders into the package."""

import argparse
from pathlib import Path

import torch

from nodegraph.diffusion.decoder_names import EMBEDDED
from nodegraph.diffusion.vector_decoders import VectorDecoder, save_decoder
from training.history import gan, vae
from training.history.scenes import shown
from training.pixels import sheet

_PARTS = {"vae": vae, "gan": gan}


def export(name: str, model: VectorDecoder, work: Path) -> None:
    """Write the weights, and a sheet of samples into the work folder."""
    EMBEDDED.mkdir(parents=True, exist_ok=True)
    path = EMBEDDED / f"{name}.safetensors"
    save_decoder(model, path, {"kind": name})
    vectors = torch.randn(64, model.latent, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        sheet(shown(model(vectors)), 8).save(work / f"{name}.png")
    print(f"{name}: {path.stat().st_size / 1e6:.2f} MB", flush=True)


def main() -> None:
    """Go on from where an earlier run got to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--only", choices=tuple(_PARTS), help="one of them")
    parser.add_argument("--samples", type=int, help="pictures that each learns from, in all")
    parser.add_argument(
        "--export", action="store_true", help="write what checkpoints have by now, train no more"
    )
    given = parser.parse_args()
    for name, part in _PARTS.items():
        if given.only in (None, name):
            if given.export:
                export(name, part.decoder(given.work), given.work)
            else:
                wanted = {"samples": given.samples} if given.samples else {}
                export(name, part.train(given.work, **wanted), given.work)


if __name__ == "__main__":
    main()
