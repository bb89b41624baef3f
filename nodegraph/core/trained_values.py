"""The value that travels on links of type ``TrainedWeights``: what a training made.

It names files and holds none; see `nodegraph.core.values`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from nodegraph.core.plots import Plot
from nodegraph.core.values import RecipeFile

TrainedKind = Literal["lora", "model", "embedding", "controlnet", "classifier"]
"""What was taught: a LoRA, a whole denoiser, a word, a control network, or a classifier."""


@dataclass(frozen=True, slots=True)
class TrainedWeights:
    """What a training made: files, and what they are.

    Attributes:
        kind: What was taught.
        family: Of the model that it is for, such as ``sd1``; of a classifier its architecture.
        files: The weights, in diffusers' naming, and a configuration behind them where there is
            one.
        words: What prompts say to ask for it: a word that was learned, or a subject's prompt.
        settings: How it was taught, by name.
        losses: How the loss went on.
    """

    kind: TrainedKind
    family: str
    files: tuple[RecipeFile, ...]
    words: tuple[str, ...] = ()
    settings: tuple[tuple[str, str], ...] = ()
    losses: Plot | None = None
