"""Small models as the folders that come with the package."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from nodegraph.families.items.transformer import ItemTransformer
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


def told_of(run: dict[str, Any], *, planned: int, batch: int, pool: int) -> dict[str, Any]:
    """What the record says of a run.

    Args:
        run: As `ship` told it.
        planned: Steps that it was to take.
        batch: Items of a step.
        pool: Items in all.
    """
    progress = run.pop("progress")
    return run | {
        "steps": progress["step"],
        "planned": planned,
        "batch": batch,
        "pool": pool,
        "seconds": round(progress["seconds"]),
        "loss": progress["loss"],
    }


def words_of(run: dict[str, Any]) -> dict[str, Any]:
    """What cards say of what `told_of` gave, by the names of its places there."""
    named = {name: run[name] for name in ("steps", "planned", "batch", "pool", "loss")}
    return named | {
        "parameters": run["parameters"] / 1e6,
        "megabytes": run["bytes"] / 1e6,
        "hours": run["seconds"] / 3600,
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
