"""Compatible scheduler classes of the installed diffusers. Imports no torch."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue

CLASS = "_class_name"
"""Key of a scheduler's configuration."""

OWN = "auto"
"""Stands for the scheduler that a folder names."""

_BETAS = frozenset({"beta_start", "beta_end", "beta_schedule"})
_FLOW = "shift"
_STEP = frozenset({"self", "model_output", "timestep", "sample"})
"""What a step is told of by every pipeline."""


@dataclass(frozen=True, slots=True)
class SchedulerClass:
    """A scheduler as its source says it.

    Attributes:
        takes: Parameters of its constructor.
        compatibles: Classes that it names as such.
        step_parameters: What its step has to be told besides what every pipeline tells.
    """

    name: str
    takes: frozenset[str]
    compatibles: frozenset[str]
    step_parameters: frozenset[str] = frozenset()

    @property
    def noise(self) -> str:
        """Of what its configuration tells: ``betas``, a ``flow``, or what is its own."""
        if self.takes >= _BETAS:
            return "betas"
        return "flow" if _FLOW in self.takes and "sigma_data" not in self.takes else self.name

    def can_replace(self, own: SchedulerClass) -> bool:
        """Whether another's configuration and pipelines tell this one all that it has to know."""
        if self.name == own.name:
            return True
        named = self.name in own.compatibles or own.name in self.compatibles
        # Diffusers also names some whose noise the configuration wouldn't tell.
        named = named and (self.noise == "betas") == (own.noise == "betas")
        # Pipelines that call such a step know the others that were made for the same model.
        is_called = (
            not self.step_parameters - own.step_parameters or self.name[:_KIN] == own.name[:_KIN]
        )
        return (named or self.noise == own.noise) and is_called


_KIN = len("Cog")
"""Letters that the names of schedulers for one model begin with."""


def compatible_schedulers(name: str) -> list[str]:
    """Classes that a scheduler's configuration also describes: those that diffusers says are
    compatible, and those that are told the same noise; without those that a pipeline would have to
    tell more at each step.

    Args:
        name: Of a class, such as ``DDIMScheduler``.
    """
    known = scheduler_classes()
    own = known.get(name)
    if own is None:
        return [name]
    return sorted(other.name for other in known.values() if other.can_replace(own))


def replace_scheduler(
    config: Mapping[str, Any], name: str, *, port: str = "scheduler"
) -> dict[str, Any]:
    """A scheduler's configuration for another class.

    Args:
        name: Of the class, `OWN` for none other; ``Scheduler`` at its end may be left out.
    Raises:
        InvalidValue: It isn't compatible, there is none, or it needs a package that isn't there.
    """
    own = str(config.get(CLASS))
    if name == OWN:
        _check_packages(own, port)
        return dict(config)
    valid = compatible_schedulers(own)
    wanted = name if name.endswith("Scheduler") else f"{name}Scheduler"
    if wanted not in valid:
        raise InvalidValue(
            f"{wanted} cannot replace {own}",
            port=port,
            given=name,
            expected=", ".join(valid),
            hint=did_you_mean(wanted, valid),
        )
    _check_packages(wanted, port)
    return {**config, CLASS: wanted}


def _check_packages(name: str, port: str) -> None:
    missing = [item for item in _hidden().get(name, ()) if find_spec(item) is None]
    if missing:
        raise InvalidValue(
            f"{name} needs {' and '.join(missing)}, which is not installed",
            port=port,
            hint=f"Run `pip install {' '.join(missing)}`, or choose another scheduler.",
        )


@lru_cache(maxsize=1)
def _hidden() -> Mapping[str, tuple[str, ...]]:
    """Classes that diffusers stands something else in for where packages are missing, and these."""
    trees = [_parsed(path) for path in sorted(_diffusers().glob(_STAND_INS))]
    return {
        item.name: tuple(sorted(_named(line.value, {})))
        for tree in trees
        for item in tree.body
        if isinstance(item, ast.ClassDef)
        for line in item.body
        if isinstance(line, ast.Assign) and _target(line) == "_backends"
    }


_STAND_INS = "utils/dummy_torch_and_*_objects.py"


def _diffusers() -> Path:
    spec = find_spec("diffusers")
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places or []), ""))


@lru_cache(maxsize=1)
def scheduler_classes() -> Mapping[str, SchedulerClass]:
    """The schedulers of the installed diffusers, by name, from their source."""
    trees = [_parsed(path) for path in sorted(_diffusers().glob("schedulers/scheduling_*.py"))]
    groups = {group: names for tree in trees for group, names in _enums(tree)}
    classes = (item for tree in trees for item in _classes(tree, groups))
    return {item.name: item for item in classes}


def _parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _enums(tree: ast.Module) -> Iterator[tuple[str, frozenset[str]]]:
    """Enumerations of classes: what lists of compatible ones go through."""
    for item in tree.body:
        if isinstance(item, ast.ClassDef) and _is_based_on(item, "Enum"):
            names = [_target(line) for line in item.body]
            yield item.name, frozenset(filter(None, names))


def _classes(tree: ast.Module, groups: Mapping[str, frozenset[str]]) -> Iterator[SchedulerClass]:
    for item in tree.body:
        if not isinstance(item, ast.ClassDef) or not _is_based_on(item, "SchedulerMixin"):
            continue
        takes: frozenset[str] = frozenset()
        compatibles: frozenset[str] = frozenset()
        asks: frozenset[str] = frozenset()
        for line in item.body:
            if isinstance(line, ast.FunctionDef) and line.name == "__init__":
                takes = frozenset(argument.arg for argument in line.args.args)
            elif isinstance(line, ast.FunctionDef) and line.name == "step":
                due = line.args.args[: len(line.args.args) - len(line.args.defaults)]
                asks = frozenset(argument.arg for argument in due) - _STEP
            elif _target(line) == "_compatibles" and isinstance(line, ast.Assign):
                compatibles = _named(line.value, groups)
        yield SchedulerClass(item.name, takes, compatibles, asks)


def _is_based_on(item: ast.ClassDef, name: str) -> bool:
    return any(isinstance(base, ast.Name) and base.id == name for base in item.bases)


def _target(line: ast.stmt) -> str:
    if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
        return line.targets[0].id
    return ""


def _named(value: ast.expr, groups: Mapping[str, frozenset[str]]) -> frozenset[str]:
    """Names in a list, or those of the enumeration that it goes through."""
    if isinstance(value, ast.ListComp) and isinstance(value.generators[0].iter, ast.Name):
        return groups.get(value.generators[0].iter.id, frozenset())
    return frozenset(item.value for item in ast.walk(value) if _is_text(item))  # type: ignore[attr-defined]


def _is_text(item: ast.AST) -> bool:
    return isinstance(item, ast.Constant) and isinstance(item.value, str)
