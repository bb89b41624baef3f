"""Small models as the folders that come with the package."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from nodegraph.diffusion.items.transformer import ItemTransformer
from training.items.fitting import averaged


def ship(model: ItemTransformer, work: Path, folder: Path) -> dict[str, Any]:
    """Write the averaged weights of a checkpoint, of a run that still goes on, too, in float16.

    Args:
        model: An untrained one of the same settings.
        work: Where the checkpoint is.
    Returns:
        What is told of the run: ``parameters``, ``bytes``, ``progress``.
    """
    averaged(model, work).half().save_pretrained(folder)
    for file in folder.iterdir():
        # safetensors writes files that only their owner may read
        file.chmod(0o644)
    state = torch.load(work / "checkpoint.pt", map_location="cpu", weights_only=True)
    return {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "bytes": sum(file.stat().st_size for file in folder.glob("*.safetensors")),
        "progress": state["progress"],
    }


def go_on_from(folder: Path, progress: dict[str, Any], work: Path) -> None:
    """Write a checkpoint with the weights of a shipped model, where the run's own is lost.

    What the optimiser remembered of its last steps begins at nothing.

    Args:
        folder: As `ship` wrote it.
        progress: As `ship` told it.
        work: Where a checkpoint is written, if there is none.
    """
    path = work / "checkpoint.pt"
    if path.exists():
        return
    (file,) = folder.glob("*.safetensors")
    weights = {name: weight.float() for name, weight in load_file(file).items()}
    work.mkdir(parents=True, exist_ok=True)
    torch.save({"values": weights, "average": weights, "progress": progress}, path)
