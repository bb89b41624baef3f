"""Three ways of making pictures beside one another: figures of the gallery's workflow, and more."""

import json
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from safetensors import safe_open

from nodegraph import Session, Settings, Workflow
from nodegraph.families.embedded_models import DECODER_FOLDER
from training.config import ROOT
from training.history.scenes import maker

GALLERY = ROOT / "workflows"
CARD = ROOT / "docs/model-cards/history.md"
COUNT = 128
"""Pictures of each in the workflow."""
NAMES = {"renders": "renders", "gan": "GAN", "vae": "VAE", "diffusion": "diffusion (`tiny`)"}
_LATENTS = {"renders": "encoded", "gan": "gan", "vae": "vae", "diffusion": "sample"}
_ROWS = {
    "frechet": ("Fréchet distance, less is better", "{:.1f}"),
    "precision": ("precision: look like renders", "{:.0%}"),
    "recall": ("recall: renders that could be made", "{:.0%}"),
    "coverage": ("coverage: renders that something is near to", "{:.0%}"),
    "named": ("taken for one of the sixteen things", "{:.0%}"),
    "things": ("of the sixteen came", "{:.0f}"),
    "milliseconds": ("processor's time for a latent, ms", "{:.1f}"),
    "minutes": ("processor's time of training, minutes", "{:.0f}"),
    "learned": ("latents learned from, in all", "{:,.0f}"),
    "parameters": ("weights", "{:,.0f}"),
}


def measure() -> dict[str, dict[str, float]]:
    """Run the workflow with a few nodes more; figures of each name."""
    document = json.loads((GALLERY / "history.json").read_text(encoding="utf-8"))
    nodes = document["nodes"] | _more()
    workflow = Workflow.from_dict(document | {"nodes": nodes})
    with TemporaryDirectory() as folder:
        home = Path(folder)
        settings = Settings(home=home, outputs=home / "output", device="cpu")
        with Session(settings, inputs=GALLERY) as session:
            session.run(workflow, targets=("positive",))
            seconds = {name: _seconds(session, workflow, _LATENTS[name]) for name in NAMES}
            told = [f"told_{name}" for name in NAMES]
            result = session.run(workflow, targets=(*told, *(f"by_{name}" for name in NAMES)))
    assert not result.errors, result.errors
    return {name: _figures(result, name, seconds[name]) for name in NAMES}


def _more() -> dict[str, Any]:
    """Nodes that name what is seen."""
    link = {"vae": {"from": "load.vae"}, "image": {"from": "others"}}
    judge = {"from": "classifier"}
    nodes = {"encoded": {"type": "VAEEncode", "inputs": link}}
    for name, latent in _LATENTS.items():
        asked = {"latent": {"from": latent}, "classifier": judge}
        nodes[f"told_{name}"] = {"type": "ClassifyLatents", "inputs": asked}
    return nodes


def _seconds(session: Session, workflow: Workflow, target: str) -> float:
    begun = time.process_time()
    result = session.run(workflow, targets=(target,))
    assert not result.errors, result.errors
    return time.process_time() - begun


def _figures(result: Any, name: str, seconds: float) -> dict[str, float]:
    shares = ("frechet", "precision", "recall", "coverage")
    things = {item.name for item in maker().objects}
    labels = [label for label in result[f"told_{name}.labels"] if label in things]
    found = {share: float(result[f"by_{name}.{share}"]) for share in shares}
    found |= {"named": len(labels) / COUNT, "things": float(len(set(labels)))}
    if name != "renders":
        found["milliseconds"] = 1000 * seconds / COUNT
    return found | told_of_training(name)


def told_of_training(name: str) -> dict[str, float]:
    """What a file of weights says of how it came about; of `tiny`, docs/embedded-model.md."""
    if name == "diffusion":
        return {"minutes": 450.0, "learned": 1_576_000.0, "parameters": 6_780_000.0}
    path = DECODER_FOLDER / f"{name}.safetensors"
    if not path.exists():
        return {}
    with safe_open(path, framework="pt") as file:
        told = file.metadata()
        weights = sum(file.get_tensor(key).numel() for key in file.keys())  # noqa: SIM118
    return {
        "minutes": float(told["processor_seconds"]) / 60,
        "learned": float(told["samples"]),
        "parameters": float(weights),
    }


def card(figures: dict[str, dict[str, float]]) -> str:
    """The page of both models, in Markdown."""
    page = Path(__file__).with_name("card.md").read_text(encoding="utf-8")
    return page.format(table=table(figures), count=COUNT)


def table(figures: dict[str, dict[str, float]]) -> str:
    """In Markdown; a figure that there is not is left out."""
    lines = ["| | " + " | ".join(NAMES.values()) + " |", "|---|" + "---|" * len(NAMES)]
    for key, (label, form) in _ROWS.items():
        cells = [form.format(each[key]) if key in each else "" for each in figures.values()]
        lines.append(f"| {label} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
