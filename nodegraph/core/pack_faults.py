"""Faults of packs: functions that can't be nodes, and what a hook raised, as a node's problems."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from types import ModuleType
from typing import Any

from nodegraph.core.spec import NodeSpec
from nodegraph.errors import NodegraphError, PackError, Problem

_FAULTS = "__nodegraph_faults__"
_IS_LENIENT: ContextVar[bool] = ContextVar("is_lenient", default=False)


@contextmanager
def lenient() -> Iterator[None]:
    """Inside, a function that can't be a node is left out; `faults_in` its module tells of it.

    For importing packs, where one such function is to hurt no other.
    """
    token = _IS_LENIENT.set(True)
    try:
        yield
    finally:
        _IS_LENIENT.reset(token)


def is_lenient() -> bool:
    """Whether this is inside of `lenient`."""
    return _IS_LENIENT.get()


def skip_function(function: Callable[..., Any], fault: PackError) -> None:
    """Note in a function's module that it can't be a node, and why."""
    function.__globals__.setdefault(_FAULTS, []).append(fault)


def faults_in(module: ModuleType) -> Sequence[PackError]:
    """What is wrong with the functions that were left out of a module; see `lenient`."""
    faults: Sequence[PackError] = vars(module).get(_FAULTS, ())
    return faults


def hook_problems(error: Exception, hook: str, node: str, spec: NodeSpec) -> list[Problem]:
    """Problems of a node whose pack raised `error` in a function other than the node's own.

    Args:
        hook: Which function: ``infer``, ``validate``, ``migration``.
    """
    if isinstance(error, NodegraphError):
        return [replace(problem, node=node, node_type=spec.type) for problem in error.problems]
    text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    pack = f"the pack `{spec.pack}`" if spec.pack else f"`{spec.module}`"
    return [
        Problem(
            "hook-failed",
            f"its type's {hook} function failed: {text}",
            node,
            spec.type,
            hint=f"This is a fault of {pack}, not of the workflow.",
        )
    ]
