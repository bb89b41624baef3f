"""The judge: a small network that names the object in a picture, trained on real renders only.

It never sees a sample of the model it judges. Its training pictures are blurred, shrunk and made
noisy, so that softness alone does not fool it, and some have a piece of another object at the rim,
as a crop of one object out of a picture of several has.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from training.config import Config, command_line
from training.objects import PALETTE, ObjectSpec
from training.pixels import Pixels, in_parts, to_tensor
from training.scenes import Placement, Scene, SceneMaker
from training.trainer import Trainer, load_average, place

Floats = npt.NDArray[np.float32]

_GROUPS = 8
_ALONE = 1
"""Levels without a residual block: at full width these would cost more than all others."""
_AT_ONCE = 256
_TINTED_SHARE, _NEIGHBOUR_SHARE, _AGAIN_SHARE, _ANY_COLOUR_SHARE = 0.4, 0.35, 0.3, 0.2
_SHUFFLED_SHARE = 0.1
"""Share of training pictures in which there is nothing to recognise."""
_SIDES = (0.6, 1.0)
_SHIFT = 0.06
"""How far an object that fills the frame may be off its centre, as a share of the side."""
_GAP = (-0.05, 0.1)
"""Distance of a neighbour, as a share of the frame's side; below zero they overlap."""
_FRAMES = (0.8, 1.0)
"""Side of a view as a share of the side of the scene it is cut from."""
_VALIDATION = 4
"""Names the random numbers of renders that no training step draws."""


class _Block(nn.Module):
    """Adds a convolution of its normalised input to the input; (n, channels, h, w)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(_GROUPS, channels)
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1)

    def forward(self, states: Tensor) -> Tensor:
        changed: Tensor = self.conv(functional.silu(self.norm(states)))
        return states + changed


class Classifier(nn.Module):
    """Object logits, (n, labels), of pictures in -1..1, (n, 3, height, width).

    Args:
        labels: Names of the objects, in the order of the logits.
        size: Side in pixels of the pictures it was made for; others are resized.
        channels: Per level; each level halves the picture. The last is the number of features.
    """

    def __init__(self, labels: list[str], size: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.labels, self.size, self.channels = labels, size, channels
        layers: list[nn.Module] = []
        wide = 3
        for level, count in enumerate(channels):
            layers.append(nn.Conv2d(wide, count, 3, 2, 1))
            layers += (
                [nn.GroupNorm(_GROUPS, count), nn.SiLU()] if level < _ALONE else [_Block(count)]
            )
            wide = count
        self.body = nn.Sequential(*layers, nn.GroupNorm(_GROUPS, wide), nn.SiLU())
        self.head = nn.Linear(wide, len(labels))

    def embed(self, pictures: Tensor) -> Tensor:
        """What the logits are computed from, (n, features)."""
        sides = (self.size, self.size)
        if pictures.shape[-2:] != sides:
            pictures = functional.interpolate(pictures, sides, mode="bilinear", antialias=True)
        # The strongest answer anywhere, not the mean: most of a picture may be background.
        features: Tensor = self.body(pictures).amax(dim=(2, 3))
        return features

    def forward(self, pictures: Tensor) -> Tensor:
        """Logits, (n, labels)."""
        logits: Tensor = self.head(self.embed(pictures))
        return logits

    @torch.no_grad()
    def features(self, pictures: Pixels) -> Floats:
        """Features, (n, features), of pictures, (n, h, w, 3) uint8."""
        device = self.head.weight.device
        parts = in_parts(to_tensor(pictures), _AT_ONCE)
        return np.concatenate([self.embed(part.to(device)).cpu().numpy() for part in parts])

    @torch.no_grad()
    def probabilities(self, pictures: Pixels) -> Floats:
        """Chance of each label, (n, labels), of pictures, (n, h, w, 3) uint8."""
        device = self.head.weight.device
        parts = in_parts(to_tensor(pictures), _AT_ONCE)
        return np.concatenate([self(part.to(device)).softmax(1).cpu().numpy() for part in parts])


def save_classifier(model: Classifier, path: Path) -> None:
    """Write float16 weights, with the labels and the shape in the file's metadata."""
    weights = {
        name: value.detach().half().contiguous() for name, value in model.state_dict().items()
    }
    about = {"labels": model.labels, "size": model.size, "channels": model.channels}
    save_file(weights, path, {name: json.dumps(value) for name, value in about.items()})


def load_classifier(path: Path) -> Classifier:
    """Read what `save_classifier` wrote; float32, for inference.

    Raises:
        ValueError: the file was written by an older version, for another network.
    """
    with safe_open(path, framework="pt") as file:
        about = {name: json.loads(value) for name, value in file.metadata().items()}
        weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
    if "channels" not in about:
        raise ValueError(f"{path} holds another kind of network: train the classifier anew")
    model = Classifier(about["labels"], about["size"], tuple(about["channels"]))
    model.load_state_dict(weights)
    return model.eval().requires_grad_(False)


@dataclass(frozen=True)
class View:
    """A part of a scene, such as a judge of one object looks at.

    Attributes:
        left, top, side: The part, as shares of the scene's side.
    """

    scene: Scene
    left: float
    top: float
    side: float

    def draw(self, maker: SceneMaker, drawn: int, size: int) -> Pixels:
        """The part, (size, size, 3), of a scene drawn at another size.

        Scenes have their objects on a grid; cut out anywhere and scaled, these are off it.
        """
        picture = Image.fromarray(maker.draw(self.scene, drawn, drawn))
        left, top, side = (drawn * value for value in (self.left, self.top, self.side))
        box = (left, top, left + side, top + side)
        return np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, box=box))


def random_view(maker: SceneMaker, index: int, rng: np.random.Generator) -> View:
    """One object of any colour on any background, filling most of the frame, maybe not alone.

    Held-out colours are among them: what the judge knows is not what the model was taught.
    """
    frame = float(rng.uniform(*_FRAMES))
    left, top = (float(value) for value in rng.uniform(0.0, 1.0 - frame, 2))
    tints = maker.objects[index].tints
    tinted = tints and rng.random() < _TINTED_SHARE
    tint = tints[int(rng.integers(len(tints)))] if tinted else ""
    share = float(rng.uniform(*_SIDES))
    reach = _SHIFT + (1.0 - share) / 2
    x, y = (float(value) for value in 0.5 + rng.uniform(-reach, reach, 2))
    subject = Placement(index, left + frame * x, top + frame * y, frame * share, tint)
    beside = (_neighbour(maker, subject, rng),) if rng.random() < _NEIGHBOUR_SHARE else ()
    placements = tuple(item for item in beside if _within(item))
    name, rgb = _any_colour(rng)
    return View(Scene("", name, rgb, (*placements, subject)), left, top, frame)


def _neighbour(maker: SceneMaker, subject: Placement, rng: np.random.Generator) -> Placement:
    """Another object, or the same again, on one side of the subject."""
    again = rng.random() < _AGAIN_SHARE
    index = subject.index if again else int(rng.integers(len(maker.objects)))
    side = subject.side * float(rng.uniform(0.85, 1.15))
    along = (subject.side + side) / 2 + float(rng.uniform(*_GAP))
    along *= 1.0 if rng.random() < 0.5 else -1.0
    across = float(rng.uniform(-0.6, 0.6)) * subject.side
    right, down = (along, across) if rng.random() < 0.5 else (across, along)
    tint = subject.tint if again else ""
    return Placement(index, subject.x + right, subject.y + down, side, tint)


def _within(item: Placement) -> bool:
    """Whether any of an object would be seen."""
    return max(abs(item.x - 0.5), abs(item.y - 0.5)) < 0.44 + item.side / 2


def _any_colour(rng: np.random.Generator) -> tuple[str, tuple[int, int, int]]:
    """Mostly a colour near one of the palette, sometimes any at all."""
    name = list(PALETTE)[int(rng.integers(len(PALETTE)))]
    values = np.clip(PALETTE[name] + rng.integers(-12, 13, 3), 0, 255)
    if rng.random() < _ANY_COLOUR_SHARE:
        name, values = "", rng.integers(0, 256, 3)
    red, green, blue = (int(value) for value in values)
    return name, (red, green, blue)


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


def labelled(
    maker: SceneMaker,
    indices: npt.NDArray[np.int64],
    rng: np.random.Generator,
    size: int = 0,
    drawn: int = 0,
) -> Pixels:
    """A view of each object, (n, size, size, 3).

    Args:
        size: Side in pixels; 0 is the maker's own.
        drawn: Side of the scenes that the views are cut from; 0 is the maker's own.
    """
    chosen = [random_view(maker, int(index), rng) for index in indices]
    own = maker.size
    return np.stack([item.draw(maker, drawn or own, size or own) for item in chosen])


def shuffled_tiles(pictures: Pixels, tile: int, rng: np.random.Generator) -> Pixels:
    """Pictures whose square tiles are in random order: nothing to recognise, the same texture."""
    count, size = len(pictures), pictures.shape[1] // tile
    cut = pictures[:, : size * tile, : size * tile]
    tiles = cut.reshape(count, size, tile, size, tile, 3).swapaxes(2, 3)
    tiles = tiles.reshape(count, size * size, tile, tile, 3)
    mixed = np.stack([row[rng.permutation(size * size)] for row in tiles])
    grid = mixed.reshape(count, size, size, tile, tile, 3).swapaxes(2, 3)
    return np.ascontiguousarray(grid.reshape(count, size * tile, size * tile, 3))


def build_classifier(config: Config, objects: list[ObjectSpec]) -> Classifier:
    """Untrained, one label per object, in the order of the list."""
    torch.manual_seed(config.seed + 3)
    settings = config.classifier
    return Classifier([item.name for item in objects], settings.resolution, settings.channels)


def train(config: Config, work: Path) -> Classifier:
    """Fit the classifier, write `classifier.safetensors` and give it back on the CPU.

    Of pictures in which there is nothing to recognise it learns to find every object as likely
    (Hendrycks et al. 2019, arXiv:1812.04606), or it would be sure of anything at all.
    """
    maker = SceneMaker.from_config(config)
    model = build_classifier(config, maker.objects)
    device = place(model, config.classifier.fit)

    def loss(count: int, rng: np.random.Generator) -> Tensor:
        indices = rng.integers(len(maker.objects), size=count)
        pictures = labelled(maker, indices, rng, model.size, model.size * 3 // 2)
        lost = max(1, round(_SHUFFLED_SHARE * count))
        tile = model.size // (8 if rng.random() < 0.5 else 4)
        pictures[:lost] = shuffled_tiles(pictures[:lost], tile, rng)
        # One half stays sharp; the other is worsened in parts, each by another measure.
        parts = in_parts(to_tensor(pictures), max(1, count // 8))
        worse = [part if number % 2 else worsen(part, rng) for number, part in enumerate(parts)]
        chances = model(torch.cat(worse).to(device)).float().log_softmax(dim=1)
        named = functional.nll_loss(chances[lost:], torch.from_numpy(indices[lost:]).to(device))
        total: Tensor = named * (count - lost) / count - chances[:lost].mean() * lost / count
        return total

    folder = work / "classifier"
    Trainer(model, loss, config.classifier.fit, seed=config.seed + 3, folder=folder).run()
    best = build_classifier(config, maker.objects)
    load_average(best, folder)
    save_classifier(best, work / "classifier.safetensors")
    return load_classifier(work / "classifier.safetensors")


def accuracy(model: Classifier, maker: SceneMaker, each: int, seed: int, worse: bool) -> Floats:
    """Share of renders, drawn for this alone, that are named right, per object, (objects,).

    Args:
        each: Renders per object.
        worse: Whether they are blurred and made noisy first.
    """
    rng = np.random.default_rng((seed, _VALIDATION))
    indices = np.tile(np.arange(len(maker.objects)), each)
    right = []
    for part in np.array_split(indices, -(-len(indices) // _AT_ONCE)):
        images = to_tensor(labelled(maker, part, rng, model.size))
        with torch.no_grad():
            logits = model((worsen(images, rng) if worse else images).to(model.head.weight.device))
        right.append(logits.argmax(1).cpu().numpy() == part)
    shares: Floats = np.concatenate(right).reshape(each, -1).mean(axis=0, dtype=np.float32)
    return shares


def main() -> None:
    """Train the judge on real renders and write `classifier.safetensors`."""
    config, work = command_line(main.__doc__)
    model = train(config, work)
    maker = SceneMaker.from_config(config)
    each = 4
    for worse in (False, True):
        shares = accuracy(model, maker, each, config.seed, worse)
        worst = [f"{model.labels[row]} {100 * shares[row]:.0f}" for row in shares.argsort()[:5]]
        print(
            f"{100 * shares.mean():.2f} % of {each} fresh renders of each object right, "
            f"worsened: {worse}; worst: {', '.join(worst)}"
        )
    print(f"{(work / 'classifier.safetensors').stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
