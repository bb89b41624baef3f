"""`nodegraph doctor`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from nodegraph.cli.options import Common, JsonOption
from nodegraph.cli.output import FAILED, FINE, counted, print_json, print_table, say, shown_size

if TYPE_CHECKING:
    from nodegraph.cli.diagnosis import Diagnosis, Folder


def doctor(common: Common, json: JsonOption = False) -> int:
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
    say(
        ("nodegraph", "bold"),
        f" {diagnosis.nodegraph}, Python {diagnosis.python} at {sys.executable}",
    )
    memory = f", {shown_size(diagnosis.memory)} of memory" if diagnosis.memory else ""
    free = f" ({shown_size(diagnosis.memory_available)} free)" if diagnosis.memory_available else ""
    say(f"{diagnosis.system}, {counted(diagnosis.threads, 'thread')}{memory}{free}")
    libraries = [(item.name, item.version or "missing") for item in diagnosis.libraries]
    _print_section("Libraries", libraries)
    devices = [
        (item.name, item.title + (f", {shown_size(item.bytes)}" if item.bytes else ""))
        for item in diagnosis.devices
    ]
    _print_section("Devices", devices)
    _print_section("Folders", [(item.role, item.path, _state(item)) for item in diagnosis.folders])
    _print_section("Packs", list(diagnosis.packs.items()))
    unusable = diagnosis.models - diagnosis.usable_models
    say()
    say(
        f"{counted(diagnosis.node_types, 'node type')}, {counted(diagnosis.usable_models, 'model')}"
        + (f", and {unusable} that can't be used: see `nodegraph models`" if unusable else "")
    )
    _print_findings(diagnosis)


def _print_section(title: str, rows: Sequence[Sequence[str]]) -> None:
    if rows:
        say()
        say((title, "bold"))
        print_table(rows, indent=2)


def _state(folder: Folder) -> str:
    parts = [
        "" if folder.exists else "not there yet",
        "" if folder.writable else "can't be written to",
        f"{shown_size(folder.free)} free" if folder.free is not None else "",
    ]
    return ", ".join(part for part in parts if part)


def _print_findings(diagnosis: Diagnosis) -> None:
    say()
    for text in diagnosis.warnings:
        say(("warning: ", "yellow"), text)
    for text in diagnosis.problems:
        say(("problem: ", "red"), text)
    if not diagnosis.problems:
        say(("Everything that is needed works.", "green"))
