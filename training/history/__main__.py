"""Make both: train them, write their decoders into the package, measure them, write their card."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from nodegraph.families.embedded_models import DECODER_FOLDER
from nodegraph.families.vector_decoders import VectorDecoder, save_decoder
from training.history import gan, vae
from training.history.measuring import CARD, card, measure
from training.history.scenes import shown
from training.pixels import sheet

_PARTS = {"vae": vae, "gan": gan}
_TIME = "time.json"


def export(name: str, model: VectorDecoder, work: Path) -> None:
    """Write the weights, and a sheet of samples into the work folder."""
    DECODER_FOLDER.mkdir(parents=True, exist_ok=True)
    path = DECODER_FOLDER / f"{name}.safetensors"
    told = {"samples": _PARTS[name].learned(work), **_time(work / name)}
    save_decoder(model, path, {"kind": name} | {key: str(value) for key, value in told.items()})
    # safetensors writes files that only their owner may read
    path.chmod(0o644)
    preview(name, model, work)
    print(f"{name}: {path.stat().st_size / 1e6:.2f} MB", flush=True)


@torch.no_grad()
def preview(name: str, model: VectorDecoder, work: Path) -> None:
    """A sheet of samples in the work folder."""
    vectors = torch.randn(64, model.latent, generator=torch.Generator().manual_seed(0))
    sheet(shown(model(vectors)), 8).save(work / f"{name}.png")


def timed(train: Callable[[], VectorDecoder], folder: Path) -> VectorDecoder:
    """Train, and add the processor's seconds to those of earlier goes, stopped ones, too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    begun = time.process_time()
    try:
        return train()
    finally:
        told = {
            "processor_seconds": _time(folder)["processor_seconds"] + time.process_time() - begun
        }
        (folder / _TIME).write_text(json.dumps(told) + "\n", encoding="utf-8")


def _time(folder: Path) -> dict[str, float]:
    log = folder / _TIME
    if not log.exists():
        return {"processor_seconds": 0.0}
    found: dict[str, float] = json.loads(log.read_text(encoding="utf-8"))
    return found


def main() -> None:
    """Go on from where an earlier run got to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for all that is made")
    parser.add_argument("--only", choices=tuple(_PARTS), help="one of them")
    parser.add_argument("--samples", type=int, help="latents that each learns from, in all")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--train", action="store_true", help="write nothing into the package")
    group.add_argument(
        "--export", action="store_true", help="write what checkpoints have by now, train no more"
    )
    group.add_argument("--card", action="store_true", help="measure the package's, write the card")
    given = parser.parse_args()
    if given.card:
        CARD.write_text(card(measure()), encoding="utf-8")
        return
    for name, part in _PARTS.items():
        if given.only not in (None, name):
            continue
        if not given.export:
            wanted = {"samples": given.samples} if given.samples else {}
            timed(partial(part.train, given.work, **wanted), given.work / name)
        model = part.decoder(given.work)
        (preview if given.train else export)(name, model, given.work)


if __name__ == "__main__":
    main()
