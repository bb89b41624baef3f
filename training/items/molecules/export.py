"""The trained model as the folder that comes with the package."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from nodegraph.diffusion.items.molecules import MoleculeTransformer
from training.config import ROOT
from training.items.fitting import averaged
from training.items.molecules.data import Tables
from training.items.molecules.model import MoleculeConfig, build_model

SHIPPED = ROOT / "nodegraph/diffusion/embedded/items/molecules"


def export(config: MoleculeConfig, tables: Tables, work: Path, folder: Path) -> dict[str, Any]:
    """Write the averaged weights of a checkpoint, of a run that still goes on, too, in float16.

    Returns:
        What is told of the run.
    """
    model = build_model(config, tables.part(config.held))
    assert isinstance(averaged(model, work), MoleculeTransformer)
    model.half().save_pretrained(folder)
    for file in folder.iterdir():
        file.chmod(0o644)
    state = torch.load(work / "checkpoint.pt", map_location="cpu", weights_only=True)
    return {
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "bytes": sum(file.stat().st_size for file in folder.glob("*.safetensors")),
        "progress": state["progress"],
        "settings": asdict(config),
    }
