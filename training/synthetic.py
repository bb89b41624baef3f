"""Whether drawn pictures lift a small classifier that has seen few real ones.

Real pictures are renders of one thing each, as `training.scenes` makes them; synthetic ones are
drawn by the embedded model for captions of such scenes, by nodes as in the gallery. The same small
network learns from a few real ones, from those with the synthetic ones, from synthetic ones alone,
and from many real ones; each is judged by renders that none has seen.

    python -m training.synthetic [--quick] [--drawn 20] [--real 3] [--seeds 3] [--work FOLDER]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph import Augmentation, Dataset, Environment, Example, Session, Settings, Workflow
from nodegraph.media.datasets.disk_formats import load_dataset
from nodegraph.media.datasets.editing import join_datasets
from nodegraph.media.datasets.faults import DatasetFaults
from nodegraph.media.datasets.folders import FolderOptions
from nodegraph.media.datasets.image_folder import resize_for_training
from nodegraph.media.datasets.reading import read_training_picture
from nodegraph.training.examples import Visit, epoch_batches, epoch_visits
from training.objects import ObjectSpec, load_objects
from training.scenes import SceneMaker

LABELS = ("red apple", "lemon", "carrot", "doughnut", "fox face", "penguin", "car", "balloon")
SIDE = 32
"""Pixels of the pictures that the classifier sees."""
_KEPT = 48
"""Pixels of those that they are cut from."""
RENDERED = 128
ALONE = (0.4, 0.6, 0.0, 0.0)
"""Shares of scenes with one large object, and with one elsewhere; see `SceneMaker`."""
CHANGES = Augmentation(flip=0.5, crop=0.6, brightness=0.15, contrast=0.15)
MANY = 30
"""Real pictures a class, where there are many."""
_BATCH = 24
_RATE = 2e-3


def scene_maker(objects: Path, font: Path | None) -> SceneMaker:
    """Makes scenes of one thing of the classes; draws only where there is a font."""
    known = {item.name: item for item in load_objects(objects)}
    chosen: list[ObjectSpec] = [known[label] for label in LABELS]
    return SceneMaker(chosen, font, RENDERED, ALONE)


def prompts(maker: SceneMaker, per_class: int, seed: int) -> list[tuple[str, str]]:
    """Captions of random scenes and their classes: as many of each."""
    rng = np.random.default_rng(seed)
    left = dict.fromkeys(LABELS, per_class)
    found = []
    while any(left.values()):
        scene = maker.scene(rng)
        label = maker.objects[scene.placements[0].index].name
        if left[label]:
            left[label] -= 1
            found.append((scene.caption, label))
    return found


def real_pictures(maker: SceneMaker, per_class: int, seed: int, split: str = "train") -> Dataset:
    """Renders: as many of each class."""
    rng = np.random.default_rng(seed)
    left = dict.fromkeys(LABELS, per_class)
    examples = []
    while any(left.values()):
        scene = maker.scene(rng)
        label = maker.objects[scene.placements[0].index].name
        if left[label]:
            left[label] -= 1
            picture = torch.from_numpy(maker.draw(scene)).float() / 255
            name = f"{label}-{left[label]}"
            examples.append(Example(picture, name, scene.caption, label=label, split=split))  # type: ignore[arg-type]
    return small(Dataset(tuple(examples), "real"))


def small(dataset: Dataset) -> Dataset:
    """The same with pictures little larger than they are learned from, which are read sooner."""
    return replace(resize_for_training(replace(dataset, size=(_KEPT, _KEPT))), size=(SIDE, SIDE))


def drawing_nodes(wished: list[tuple[str, str]], steps: int, name: str) -> dict[str, Any]:
    """Nodes that draw prompts and make a labelled set of them, with masks and boxes."""

    def link(name: str) -> dict[str, str]:
        return {"from": name}

    sampling = {"seed": 1, "steps": steps, "cfg": 4.0, "sampler": "dpmpp_2m", "schedule": "karras"}
    drawn = {"model": link("load.model"), "positive": link("words"), "latent": link("size")}
    made = {"images": link("drawn"), "masks": link("cut.mask"), "boxes": True, "name": "synthetic"}
    said = {"captions": [text for text, _ in wished], "labels": [label for _, label in wished]}
    return {
        "load": _node("LoadModel", model="tiny"),
        "prompts": _node("Lines", text="\n".join(said["captions"])),
        "words": _node("EncodePrompt", encoder=link("load.text_encoder"), text=link("prompts")),
        "size": _node("EmptyLatent", width=RENDERED, height=RENDERED),
        "latent": _node("KSampler", **drawn, **sampling),
        "drawn": _node("VAEDecode", vae=link("load.vae"), latent=link("latent")),
        "cut": _node("RemoveBackground", image=link("drawn")),
        "made": _node("DatasetFromImages", **made, **said),
        "different": _node("RemoveDuplicates", dataset=link("made"), by="pixels", distance=0.03),
        "balance": _node("DatasetReport", dataset=link("different.dataset")),
        "save": _node("SaveDataset", dataset=link("different.dataset"), format="coco", name=name),
    }


def _node(type: str, **inputs: Any) -> dict[str, Any]:
    return {"type": type, "inputs": inputs}


def drawn_pictures(
    maker: SceneMaker, per_class: int, seed: int, *, steps: int, work: Path
) -> Dataset:
    """Pictures that the embedded model drew, read back from the COCO files that they were saved in.

    The work folder keeps them: they are drawn once.
    """
    outputs, name = work / "outputs", f"drawn-{per_class}-{seed}-{steps}"
    kept = outputs / f"{name}_00001"
    environment = Environment(models=(), inputs=work, outputs=outputs, temporary=work)
    if not kept.exists():
        nodes = drawing_nodes(prompts(maker, per_class, seed), steps, name)
        workflow = Workflow.from_dict({"format": "nodegraph/1", "nodes": nodes})
        with Session(Settings(home=work, outputs=outputs, device="cpu")) as session:
            result = session.run(workflow, targets=["different", "balance", "save"])
        if result.errors:
            raise SystemExit(str(result.errors[0]))
        print(f"{result['different.report']}\n{result['balance.report']}", flush=True)
    found = load_dataset(str(kept.resolve()), environment, FolderOptions(), DatasetFaults("refuse"))
    return small(found)


def network(labels: int) -> nn.Module:
    """A small classifier of pictures (n, 3, side, side)."""
    layers: list[nn.Module] = []
    for before, after in ((3, 16), (16, 32), (32, 64), (64, 64)):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(8, after), nn.SiLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(256, labels))


def taught(dataset: Dataset, steps: int, seed: int) -> nn.Module:
    """The classifier, once it has learned from a dataset."""
    torch.manual_seed(seed)
    model = network(len(LABELS))
    optimiser = torch.optim.AdamW(model.parameters(), _RATE, weight_decay=0.02)
    course = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    for _, (epoch, visits) in zip(range(steps), _batches(dataset, seed), strict=False):
        pictures, labels = _read(dataset, visits, epoch)
        loss = functional.cross_entropy(model(pictures * 2 - 1), labels, label_smoothing=0.05)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        course.step()
    return model.eval()


def _batches(dataset: Dataset, seed: int) -> Iterator[tuple[int, list[Visit]]]:
    epoch = 0
    while True:
        for visits in epoch_batches(dataset, _BATCH, seed=seed, epoch=epoch):
            yield epoch, visits
        epoch += 1


def _read(dataset: Dataset, visits: list[Visit], epoch: int) -> tuple[Tensor, Tensor]:
    pictures = [
        read_training_picture(dataset, at, epoch=epoch, repeat=again) for at, again in visits
    ]
    labels = [LABELS.index(dataset.examples[at].label) for at, _ in visits]
    return torch.stack(pictures), torch.tensor(labels)


@torch.no_grad()
def accuracy(model: nn.Module, held: Dataset) -> float:
    """Share of the pictures whose class is found."""
    pictures, labels = _read(held, epoch_visits(held, split="test"), 0)
    return float((model(pictures * 2 - 1).argmax(1) == labels).float().mean())


def measured(
    maker: SceneMaker,
    drawn: Dataset,
    known: Path,
    *,
    real: int,
    steps: int,
    seeds: int,
    held: int,
) -> dict[str, list[float]]:
    """Accuracies on held-out renders by what was learned from, one a seed.

    Each seed has real pictures, first weights and an order of its own; all see as many pictures.

    Args:
        known: File of what was measured before: one that was interrupted goes on from there.
    """
    test = real_pictures(maker, held, 10_000, "test")
    found: dict[str, list[float]] = json.loads(known.read_text()) if known.is_file() else {}
    for seed in range(seeds):
        for name, dataset in _sets(maker, drawn, real, seed).items():
            if len(found.setdefault(name, [])) > seed:
                continue
            changed = replace(dataset, augmentation=replace(CHANGES, seed=seed))
            found[name].append(accuracy(taught(changed, steps, seed), test))
            print(f"seed {seed}, {name}: {found[name][-1]:.3f}", flush=True)
            known.write_text(json.dumps(found, indent=1))
    return found


def _sets(maker: SceneMaker, drawn: Dataset, real: int, seed: int) -> Mapping[str, Dataset]:
    few = real_pictures(maker, real, 100 + seed)
    # Real ones are few, but right: they have a third of the readings.
    often = max(1, round(len(drawn.examples) / (2 * len(few.examples))))
    repeated = few.with_examples(tuple(replace(each, repeats=often) for each in few.examples))
    return {
        f"{real} real a class": few,
        f"{real} real a class and synthetic": join_datasets([repeated, drawn]),
        "synthetic alone": drawn,
        f"{MANY} real a class": real_pictures(maker, MANY, 200 + seed),
    }


def main() -> None:
    """Measure, and print a table."""
    from training.config import ROOT
    from training.fonts import require_font

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--drawn", type=int, default=20, help="synthetic pictures a class")
    parser.add_argument("--real", type=int, default=3, help="real pictures a class")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=120, help="of the classifier")
    parser.add_argument("--work", type=Path, default=Path("build/synthetic"))
    parser.add_argument("--draw-only", action="store_true", help="leave the classifiers")
    parser.add_argument("--quick", action="store_true", help="only see whether it runs")
    asked = parser.parse_args()
    sampling = 12
    if asked.quick:
        asked.drawn, asked.seeds, asked.steps, sampling = 1, 1, 3, 2
    maker = scene_maker(ROOT / "training" / "objects.json", require_font())
    start = time.monotonic()
    drawn = drawn_pictures(maker, asked.drawn, 1, steps=sampling, work=asked.work)
    print(
        f"{len(drawn.examples)} drawn pictures after {time.monotonic() - start:.0f} s", flush=True
    )
    if asked.draw_only:
        return
    found = measured(
        maker,
        drawn,
        asked.work / f"{asked.drawn}-{asked.real}-{asked.steps}.json",
        real=asked.real,
        steps=asked.steps,
        seeds=asked.seeds,
        held=2 if asked.quick else 30,
    )
    for name, values in found.items():
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        print(f"{name}: {statistics.mean(values):.3f} ± {spread:.3f}")


if __name__ == "__main__":
    main()
