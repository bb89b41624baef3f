"""The judge: a small network that names the object in a picture, trained on real renders only.

It never sees a sample of the model it judges. Its training pictures are blurred, shrunk and made
noisy, so that softness alone does not fool it.
"""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from training.config import Config, command_line
from training.objects import ObjectSpec
from training.pixels import Pixels, to_tensor
from training.scenes import LARGE, Placement, Scene, SceneMaker
from training.trainer import Trainer, load_average, place

_CHANNELS = (24, 48, 96, 144)


class Classifier(nn.Module):
    """Object logits, (n, labels), of pictures in -1..1, (n, 3, size, size)."""

    def __init__(self, labels: list[str], size: int) -> None:
        super().__init__()
        self.labels, self.size = labels, size
        layers: list[nn.Module] = []
        wide = 3
        for channels in _CHANNELS:
            layers += [nn.Conv2d(wide, channels, 3, 2, 1), nn.GroupNorm(8, channels), nn.SiLU()]
            layers += [nn.Conv2d(channels, channels, 3, 1, 1, groups=8), nn.SiLU()]
            wide = channels
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(wide * 4, len(labels))

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits, (n, labels); pictures of another size are resized."""
        sides = (self.size, self.size)
        if pictures.shape[-2:] != sides:
            pictures = functional.interpolate(pictures, sides, mode="bilinear", antialias=True)
        # Four quarters, not one mean: what is where tells many glyphs apart.
        features = functional.adaptive_avg_pool2d(self.body(pictures), 2)
        logits: Tensor = self.head(features.flatten(1))
        return logits

    @torch.no_grad()
    def rank(self, pictures: Pixels) -> Tensor:
        """Label indices, the likeliest first, (n, labels); pictures are (n, h, w, 3) uint8."""
        logits: Tensor = self(to_tensor(pictures))
        return logits.argsort(dim=1, descending=True)


def save_classifier(model: Classifier, path: Path) -> None:
    """Write float16 weights, with the labels in the file's metadata."""
    weights = {
        name: value.detach().half().contiguous() for name, value in model.state_dict().items()
    }
    save_file(weights, path, {"labels": json.dumps(model.labels), "size": str(model.size)})


def load_classifier(path: Path) -> Classifier:
    """Read what `save_classifier` wrote; float32, for inference."""
    with safe_open(path, framework="pt") as file:
        about = file.metadata()
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    model = Classifier(json.loads(about["labels"]), int(about["size"]))
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


def large_scene(maker: SceneMaker, index: int, rng: np.random.Generator) -> Scene:
    """One object of any largeness, off centre by up to a tenth, on any background."""
    colour = maker.one(rng)
    x, y = 0.5 + rng.uniform(-0.1, 0.1, 2)
    side = LARGE * rng.uniform(0.75, 1.2)
    return Scene("", colour.colour, colour.rgb, (Placement(index, x, y, side),))


def worsen(pictures: Tensor, rng: np.random.Generator) -> Tensor:
    """Shrink and enlarge again (down to a third), shift the brightness, add noise; -1..1."""
    size = pictures.shape[-1]
    small = int(rng.integers(size // 3, size + 1))
    if small < size:
        low = functional.interpolate(pictures, (small, small), mode="bilinear", antialias=True)
        pictures = functional.interpolate(low, (size, size), mode="bilinear")
    shift = torch.from_numpy(rng.normal(0, 0.06, (len(pictures), 3, 1, 1))).float()
    noise = torch.from_numpy(rng.normal(0, rng.uniform(0, 0.12), pictures.shape)).float()
    return (pictures + shift + noise).clamp(-1, 1)


def labelled(maker: SceneMaker, count: int, rng: np.random.Generator) -> tuple[Pixels, Tensor]:
    """Renders of large objects, (n, size, size, 3), and their labels, int64 (n,)."""
    indices = rng.integers(len(maker.objects), size=count)
    scenes = [large_scene(maker, int(index), rng) for index in indices]
    return np.stack([maker.draw(scene) for scene in scenes]), torch.from_numpy(indices)


def build_classifier(config: Config, objects: list[ObjectSpec]) -> Classifier:
    """Untrained, one label per object, in the order of the list."""
    torch.manual_seed(config.seed + 3)
    return Classifier([item.name for item in objects], config.classifier.resolution)


def train(config: Config, work: Path) -> Classifier:
    """Fit the classifier, write `classifier.safetensors` and give it back on the CPU."""
    maker = SceneMaker.from_config(config)
    model = build_classifier(config, maker.objects)
    device = place(model, config.classifier.fit)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        pictures, labels = labelled(maker, count, rng)
        worse = worsen(to_tensor(pictures), rng)
        return functional.cross_entropy(model(worse.to(device)).float(), labels.to(device))

    folder = work / "classifier"
    Trainer(model, loss, config.classifier.fit, seed=config.seed + 3, folder=folder).run()
    best = build_classifier(config, maker.objects)
    load_average(best, folder)
    save_classifier(best, work / "classifier.safetensors")
    return load_classifier(work / "classifier.safetensors")


def accuracy(model: Classifier, maker: SceneMaker, count: int, seed: int, worse: bool) -> float:
    """Share of renders, never trained on, that are named right."""
    rng = np.random.default_rng((seed, 4))
    pictures, labels = labelled(maker, count, rng)
    images = to_tensor(pictures)
    with torch.no_grad():
        logits = model(worsen(images, rng) if worse else images)
    return float((logits.argmax(1) == labels).float().mean())


def main() -> None:
    """Train the judge on real renders and write `classifier.safetensors`."""
    config, work = command_line(main.__doc__)
    model = train(config, work)
    maker = SceneMaker.from_config(config)
    for worse in (False, True):
        share = accuracy(model, maker, 1200, config.seed, worse)
        print(f"{100 * share:.2f} % of 1200 held-out renders right, worsened: {worse}")


if __name__ == "__main__":
    main()
