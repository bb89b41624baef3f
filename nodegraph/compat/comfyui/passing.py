"""What stands for the outputs of a node that is bypassed."""

from __future__ import annotations

from collections.abc import Sequence

from nodegraph.compat.comfyui.translating import Signal

_ANY = ("", "*")


def pass_through(
    outputs: Sequence[str], inputs: Sequence[tuple[str, Signal | None]]
) -> list[Signal | None]:
    """The first linked input of an output's type, for each; None where there is none.

    Args:
        outputs: Types.
        inputs: Of those that are linked, type and what they are given.
    """
    return [_first(kind, inputs) for kind in outputs]


def _first(kind: str, inputs: Sequence[tuple[str, Signal | None]]) -> Signal | None:
    linked = [(given, signal) for given, signal in inputs if signal is not None]
    same = [signal for given, signal in linked if given == kind]
    likely = [signal for given, signal in linked if kind in _ANY or given in _ANY]
    return next(iter([*same, *likely]), None)
