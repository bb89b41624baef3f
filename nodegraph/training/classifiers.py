"""Train a classifier of images, and classify with it.

A ConvNeXt (Liu et al. 2022, arXiv:2201.03545) of transformers, which keeps no statistics of
batches, so that its weights are all of its state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.core.context import Context
from nodegraph.core.training_values import Dataset, TrainedWeights
from nodegraph.errors import InvalidValue
from nodegraph.families.building import build_module
from nodegraph.media.datasets.reading import read_training_picture
from nodegraph.training.examples import BatchOrder, DatasetReader
from nodegraph.training.files import CONFIG, TRANSFORMERS_WEIGHTS, write_trained
from nodegraph.training.loop import Parameters
from nodegraph.training.options import ClassifierSize, TrainingPlan
from nodegraph.training.training_run import run_training
from nodegraph.training.whole_networks import module_tensors, trainable_parameters

_WIDTHS: Mapping[ClassifierSize, tuple[list[int], list[int]]] = {
    "tiny": ([16, 32, 64, 128], [1, 1, 2, 1]),
    "small": ([32, 64, 128, 256], [2, 2, 4, 2]),
    "medium": ([64, 128, 256, 512], [2, 2, 6, 2]),
}
"""Channels and blocks of its four stages: 0.2, 1.6 and 8 million weights."""
_CLASS = "ConvNextForImageClassification"
_PREPARATION = "preprocessor_config.json"
_AT_ONCE = 32


class ClassifierFit(NamedTuple):
    """A classifier that was taught, and how it does.

    Attributes:
        correct: How many images of the split validation it tells right; of those that it learned
            from, where there are none.
        evaluated: How many these are in all.
    """

    weights: TrainedWeights
    correct: int
    evaluated: int

    @property
    def accuracy(self) -> float:
        """Share of these that it tells right."""
        return self.correct / self.evaluated


class ClassAnswer(NamedTuple):
    """What a classifier says of an image.

    Attributes:
        label: The likeliest class.
        share: How likely it takes it to be, 0 to 1.
        shares: Of each class.
    """

    label: str
    share: float
    shares: dict[str, float]


@dataclass(frozen=True)
class ClassificationTask:
    """A classifier that learns to tell labels: by cross-entropy."""

    network: Any
    parameters: Parameters
    reading: DatasetReader
    labels: tuple[str, ...]
    side: int

    @property
    def device(self) -> torch.device:
        network_device: torch.device = self.network.device
        return network_device

    def after_step(self) -> None:
        """Nothing is kept from step to step."""

    def loss(self, number: int) -> Tensor:
        keys = self.reading.batch(number)
        pictures = to_network_input([self.reading.picture(key) for key in keys], self.side)
        examples = [self.reading.dataset.examples[key.example] for key in keys]
        wanted = torch.tensor([self.labels.index(item.label) for item in examples])
        weights = torch.tensor([item.weight for item in examples]).to(self.device)
        logits = self.network(pictures.to(self.device)).logits
        each = functional.cross_entropy(logits, wanted.to(self.device), reduction="none")
        return (each * weights).mean()


def train_classifier(
    ctx: Context, dataset: Dataset, plan: TrainingPlan, size: ClassifierSize, side: int
) -> ClassifierFit:
    """A classifier of a dataset's labels that was taught from nothing.

    Args:
        side: Of the square that images are brought to, in pixels; a multiple of 32.
    Raises:
        InvalidValue: Labels are missing, or all are alike.
        NumericalError: The loss is NaN or infinite.
        OutputError: What was learned can't be written.
    """
    labels = checked_labels(dataset)
    reading = DatasetReader(
        dataset, BatchOrder(dataset, plan.batch, plan.seed), plan.options.variations
    )
    network = new_classifier(labels, size, plan.seed).to(ctx.device)
    with torch.enable_grad():
        task = ClassificationTask(network, trainable_parameters(network), reading, labels, side)
        learned = run_training(ctx, task, plan)
    with torch.no_grad():
        for name, item in task.parameters.items():
            item.copy_(learned.weights[name])
    settings = (*plan.to_settings(), ("size", size), ("side", str(side)))
    configs = {
        CONFIG: {**network.config.to_dict(), "architectures": [_CLASS]},
        _PREPARATION: _preparation(side),
    }
    tensors = module_tensors(network, learned.weights, "float32")
    files = write_trained(
        ctx.environment, "classifier", tensors, name=TRANSFORMERS_WEIGHTS, configs=configs
    )
    weights = TrainedWeights("classifier", "convnext", files, labels, settings, learned.losses)
    return ClassifierFit(weights, *_count_correct(network, dataset, labels, side))


def checked_labels(dataset: Dataset) -> tuple[str, ...]:
    """The classes of a dataset.

    Raises:
        InvalidValue: Some images to learn from have none, or there are fewer than two.
    """
    learned = [item for item in dataset.examples if item.split == "train"]
    bare = [
        item.name or f"example {index + 1}"
        for index, item in enumerate(dataset.examples)
        if item.split == "train" and not item.label
    ]
    if bare:
        raise InvalidValue(
            "some images have no labels",
            port="dataset",
            given=f"{len(bare)} of {len(learned)}: {', '.join(bare[:3])}",
            hint="Sort them into folders by class, or give DatasetFromImages labels.",
        )
    labels = tuple(sorted({item.label for item in learned}))
    if len(labels) < 2:
        raise InvalidValue(
            "there is only one class",
            port="dataset",
            given=f"{len(labels)} classes",
            expected="at least two",
        )
    return labels


def new_classifier(labels: Sequence[str], size: ClassifierSize, seed: int) -> Any:
    """A classifier that has learned nothing; what it begins with is a function of the seed."""
    from transformers import ConvNextConfig, ConvNextForImageClassification

    widths, depths = _WIDTHS[size]
    names = dict(enumerate(labels))
    config = ConvNextConfig(
        hidden_sizes=widths,
        depths=depths,
        num_labels=len(labels),
        id2label=names,
        label2id={label: index for index, label in names.items()},
    )
    state = torch.get_rng_state()
    try:
        torch.manual_seed(seed % 2**63)
        return ConvNextForImageClassification(config).float().eval().requires_grad_(True)
    finally:
        torch.set_rng_state(state)


def to_network_input(pictures: Sequence[Tensor], side: int) -> Tensor:
    """Images as a classifier sees them: squares in -1..1, (batch, 3, side, side).

    Args:
        pictures: In 0..1, each (3, height, width).
    """
    squares = [
        functional.interpolate(item[None], size=(side, side), mode="bilinear", antialias=True)
        for item in pictures
    ]
    return torch.cat(squares) * 2 - 1


def _preparation(side: int) -> dict[str, Any]:
    """The same for transformers' image processors."""
    return {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": side, "width": side},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    }


@torch.no_grad()
def _count_correct(
    network: Any, dataset: Dataset, labels: Sequence[str], side: int
) -> tuple[int, int]:
    """How many images it tells right, and of how many."""
    judged = [at for at, item in enumerate(dataset.examples) if item.split == "validation"]
    judged = judged or [at for at, item in enumerate(dataset.examples) if item.split == "train"]
    right = 0
    for begin in range(0, len(judged), _AT_ONCE):
        places = judged[begin : begin + _AT_ONCE]
        pictures = to_network_input([read_training_picture(dataset, at) for at in places], side)
        predictions = network(pictures.to(network.device)).logits.argmax(1).tolist()
        wanted = [dataset.examples[at].label for at in places]
        right += sum(
            labels[prediction] == label
            for prediction, label in zip(predictions, wanted, strict=True)
        )
    return right, len(judged)


@torch.no_grad()
def classify_pictures(weights: TrainedWeights, images: Tensor, device: str) -> list[ClassAnswer]:
    """What a classifier that was taught says of images.

    Args:
        images: In 0..1, shape (batch, height, width, channels).
    Raises:
        InvalidValue: It is no classifier.
        InvalidFile: Its file is damaged.
    """
    if weights.kind != "classifier":
        raise InvalidValue(
            "these weights are not a classifier",
            port="classifier",
            given=weights.kind,
            expected="a classifier",
        )
    files = [Path(file.path) for file in weights.files if not file.path.endswith(_PREPARATION)]
    network: nn.Module = build_module((_CLASS,), files, "float32").eval().to(device)
    side = int(dict(weights.settings)["side"])
    labels, answers = weights.words, []
    for image in images:
        picture = image[..., :3].expand(*image.shape[:2], 3).movedim(-1, 0)
        shares = network(to_network_input([picture], side).to(device)).logits.softmax(1)[0].tolist()
        best = max(range(len(labels)), key=shares.__getitem__)
        shares_by_label = dict(zip(labels, shares, strict=True))
        answers.append(ClassAnswer(labels[best], shares[best], shares_by_label))
    return answers
