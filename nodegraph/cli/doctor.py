"""`nodegraph doctor`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodegraph.cli.options import CommonOptions, JsonOption
from nodegraph.cli.output import FAILED, FINE, echo, format_size, pluralize, print_json, print_table

if TYPE_CHECKING:
    from nodegraph.cli.diagnosis import Diagnosis, Folder


def doctor(common: CommonOptions, json: JsonOption = False) -> int:
    """Check the installation: libraries, devices, folders, packs.

    Exits with 1 if something essential is broken.
    """
    from nodegraph.cli.diagnosis import diagnose

    diagnosis = diagnose(common.session())
    if json:
        print_json(diagnosis.as_dict())
    else:
        _print(diagnosis)
    return FAILED if diagnosis.problems else FINE


def _print(diagnosis: Diagnosis) -> None:
    echo(
        ("nodegraph", "bold"),
        f" {diagnosis.nodegraph}, Python {diagnosis.python} at {sys.executable}",
    )
    memory = f", {format_size(diagnosis.memory)} of memory" if diagnosis.memory else ""
    free = (
        f" ({format_size(diagnosis.memory_available)} free)" if diagnosis.memory_available else ""
    )
    echo(f"{diagnosis.system}, {pluralize(diagnosis.threads, 'thread')}{memory}{free}")
    libraries = [(item.name, item.version or "missing") for item in diagnosis.libraries]
    _print_section("Libraries", libraries)
    devices = [
        (item.name, item.title + (f", {format_size(item.bytes)}" if item.bytes else ""))
        for item in diagnosis.devices
    ]
    _print_section("Devices", devices)
    _print_section("Folders", [(item.role, item.path, _state(item)) for item in diagnosis.folders])
    _print_section("Packs", list(diagnosis.packs.items()))
    unusable = diagnosis.models - diagnosis.usable_models
    echo()
    echo(
        f"{pluralize(diagnosis.node_types, 'node type')}, {pluralize(diagnosis.usable_models, 'model')}"
        + (f", and {unusable} that can't be used: see `nodegraph models`" if unusable else "")
    )
    _print_findings(diagnosis)


def _print_section(title: str, rows: Sequence[Sequence[str]]) -> None:
    if rows:
        echo()
        echo((title, "bold"))
        print_table(rows, indent=2)


def _state(folder: Folder) -> str:
    parts = [
        "" if folder.exists else "not there yet",
        "" if folder.writable else "can't be written to",
        f"{format_size(folder.free)} free" if folder.free is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _print_findings(diagnosis: Diagnosis) -> None:
    echo()
    for text in diagnosis.warnings:
        echo(("warning: ", "yellow"), text)
    for text in diagnosis.problems:
        echo(("problem: ", "red"), text)
    if not diagnosis.problems:
        echo(("Everything that is needed works.", "green"))
