"""Whether the prompts of a step share a batch, where the faster way is measured and noted."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from nodegraph.core.digests import digest_value
from nodegraph.core.values import Recipe
from nodegraph.families.speed_options import SEPARATE, TOGETHER
from nodegraph.weights.numerics import write_first

MARGIN = 0.02
"""Share of the time that separate prompts have to spare, as clocks are not that exact."""
_ROUNDS, _MOST_SECONDS = 3, 4.0
"""Of a measurement, and seconds after which no further round begins."""

Actions = Mapping[str, Callable[[], object]]
"""The two ways to evaluate a step's prompts, by name."""
Measure = Callable[[Actions, torch.device], Mapping[str, float]]
"""Returns the seconds of each action."""

_NAME = "prompts"
_STATE = f"{_NAME}."


class MeasuredBatching:
    """The faster way to evaluate several prompts of one sampling.

    It is measured once for a model, its shapes and a device, and noted in a file. The note counts
    from then on, for the first step of a sampling, too, so that the bits of a result depend on the
    note and on no clock. Where it can't be noted, prompts share a batch.

    Args:
        folder: Of the notes.
        read: Is called with each note before it counts, such as `Context.file`: a result then
            counts as long as the note stays as it is.
        label: Names the model.
        profile: Names the device and the versions of libraries.
        measure: Measures both ways.
        tell: Is called with a text of what was measured.
    """

    def __init__(
        self,
        folder: Path,
        *,
        read: Callable[[Path], object],
        label: str,
        profile: str,
        measure: Measure | None = None,
        tell: Callable[[str], object] = lambda text: None,
    ) -> None:
        self._folder = folder
        self._read = read
        self._label = label
        self._profile = profile
        self._measure = measure or measure_seconds
        self._tell = tell
        self._separate: dict[str, bool] = {}

    def is_separate(self, kind: Sequence[object], actions: Actions, device: torch.device) -> bool:
        """Whether prompts are evaluated one by one.

        Args:
            kind: All that the time depends on besides model and device, as plain values.
            actions: Evaluate the prompts in each of the ways.
        """
        of_device = _device_title(device)
        name = digest_value([self._label, self._profile, of_device, *kind])[:24]
        known = self._separate.get(name)
        if known is None:
            known = self._separate[name] = self._decided(name, actions, device)
        return known

    def state(self) -> dict[str, Tensor]:
        """The choices, so that a resumed sampling continues in the same way."""
        decided = enumerate(self._separate.items())
        return {f"{_STATE}{at:04}.{name}": torch.tensor(item) for at, (name, item) in decided}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from what `state` returned.

        Raises:
            ValueError: Something else was noted since.
        """
        for key in sorted(key for key in state if key.startswith(_STATE)):
            name, is_separate = key.rpartition(".")[2], bool(state[key])
            path = self._path(name)
            if _noted(path) is None:
                _note(path, {"choice": SEPARATE if is_separate else TOGETHER})
            if _noted(path) != (SEPARATE if is_separate else TOGETHER):
                raise ValueError("how prompts share batches was measured anew")
            self._read(path)
            self._separate[name] = is_separate

    def _decided(self, name: str, actions: Actions, device: torch.device) -> bool:
        path = self._path(name)
        if _noted(path) is None:
            with torch.no_grad():
                seconds = self._measure(actions, device)
            is_faster = seconds[SEPARATE] < seconds[TOGETHER] * (1 - MARGIN)
            choice = SEPARATE if is_faster else TOGETHER
            times = {way: round(time, 6) for way, time in seconds.items()}
            _note(path, {"choice": choice, "seconds": times, "profile": self._profile})
            # Of several processes the first counts, and what cannot be noted does not.
            if _noted(path) == choice:
                self._tell(
                    f"the prompts of a step are evaluated {_WORDS[choice]} from now on: in one "
                    f"batch they took {seconds[TOGETHER]:.3g} s on {device}, and one by one "
                    f"{seconds[SEPARATE]:.3g} s"
                )
        # Also where there is no note: the result then counts as long as there is none.
        self._read(path)
        return _noted(path) == SEPARATE

    def _path(self, name: str) -> Path:
        return self._folder / f"{_NAME}-{name}.json"


_WORDS = {TOGETHER: "in one batch", SEPARATE: "one by one"}


def model_label(recipe: Recipe) -> str:
    """Name a model by its content, alike in all processes; the time depends on no strength."""
    adapters = [[item.kind, item.digest] for item in recipe.adapters]
    options = [list(item) for item in recipe.options]
    return digest_value([recipe.family, recipe.digest, recipe.dtype, options, adapters])


def restored_names(state: Mapping[str, Tensor]) -> set[str]:
    """The names of a saved state that `MeasuredBatching.state` wrote."""
    return {name for name in state if name.startswith(_STATE)}


def measure_seconds(actions: Actions, device: torch.device) -> dict[str, float]:
    """Measure actions in turns, and return the least seconds of each.

    The first turn of each counts only if it takes so long that there is no other.
    """
    seconds = {name: _seconds(action, device) for name, action in actions.items()}
    if sum(seconds.values()) > _MOST_SECONDS:
        return seconds
    begun, best = perf_counter(), dict.fromkeys(actions, float("inf"))
    for _ in range(_ROUNDS):
        for name, action in actions.items():
            best[name] = min(best[name], _seconds(action, device))
        if perf_counter() - begun > _MOST_SECONDS:
            break
    return best


def _seconds(action: Callable[[], object], device: torch.device) -> float:
    _settle(device)
    begun = perf_counter()
    action()
    _settle(device)
    return perf_counter() - begun


def _device_title(device: torch.device) -> str:
    """Name a kind of device: a machine may have several, of one kind or not."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _settle(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def _noted(path: Path) -> str | None:
    """The choice that is noted in a file; None if there is none."""
    try:
        choice = json.loads(path.read_text(encoding="utf-8"))["choice"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
    return choice if choice in (TOGETHER, SEPARATE) else None


def _note(path: Path, note: Mapping[str, object]) -> None:
    """Note a choice; see `write_first`."""
    failure = "how prompts share batches cannot be noted: %s"
    write_first(path, note, lambda: _noted(path) is not None, failure)
