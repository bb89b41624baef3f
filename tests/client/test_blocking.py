"""The client for programs that wait is made from the one within an event loop."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nodegraph.client
from docs.generate_blocking_client import TARGET, blocking_modules
from nodegraph.client import AsyncClient, Client
from tests.messages import raises


def methods(kind: type[Any]) -> Iterator[tuple[str, Any]]:
    return ((name, each) for name, each in inspect.getmembers(kind) if not name.startswith("_"))


def test_it_is_current() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in Path(TARGET).glob("*.py")}
    assert there == dict(blocking_modules()), (
        "make it anew: python docs/generate_blocking_client.py"
    )


def test_both_have_the_same_methods_with_parameters_and_help() -> None:
    blocking, asynchronous = dict(methods(Client)), dict(methods(AsyncClient))
    assert blocking.keys() == asynchronous.keys()
    for name, method in blocking.items():
        other = asynchronous[name]
        assert str(inspect.signature(method).parameters) == str(inspect.signature(other).parameters)
        assert inspect.getdoc(method)
        assert not inspect.iscoroutinefunction(method)


@pytest.mark.parametrize("name", nodegraph.client.__all__)
def test_all_that_is_public_is_there(name: str) -> None:
    assert getattr(nodegraph.client, name) is getattr(nodegraph.client, name)


def test_what_is_not_there_is_said_as_usual() -> None:
    with raises(AttributeError):
        nodegraph.client.Cliend  # noqa: B018 - it fails
