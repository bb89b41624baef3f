"""The residency manager that a session uses: budgets from the settings, loaders of diffusion.

What loads torch is imported when weights are first asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from nodegraph.core.values import Recipe
from nodegraph.residency import ResidencyManager, memory_of
from nodegraph.settings import Settings


def residency_manager(settings: Settings, device: str, models: Sequence[Path]) -> ResidencyManager:
    """Weights in memory, within the settings' budgets.

    Args:
        device: That nodes compute on.
        models: Folders that recipes' files are looked for in.
    """

    def load(recipe: Recipe, where: str) -> Any:
        from nodegraph.diffusion.loading import load_component

        return load_component(recipe, where, folders=tuple(models))

    return ResidencyManager(
        load,
        _budgets(settings, device),
        estimate=_estimate_bytes,
        move=_moved,
        small=_small_footprint,
    )


def _budgets(settings: Settings, device: str) -> dict[str, int]:
    budgets = {}
    host = memory_of("cpu")
    if settings.host_weights_budget is not None:
        budgets["host"] = settings.host_weights_budget
    elif host is not None:
        budgets["host"] = host.total // 2
    if settings.weights_budget is not None:
        budgets[device] = settings.weights_budget
    return budgets


def _estimate_bytes(recipe: Recipe) -> int:
    from nodegraph.diffusion.loading import estimate_bytes

    return estimate_bytes(recipe)


def _moved(component: Any, device: str) -> Any:
    from nodegraph.diffusion.loading import move_component

    return move_component(component, device)


def _small_footprint(component: Any, device: str) -> AbstractContextManager[Any]:
    from nodegraph.diffusion.footprint import small_footprint

    return small_footprint(component, device)
