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

    found = diagnose(common.session())
    if json:
        print_json(found.as_dict())
    else:
        _print(found)
    return FAILED if found.problems else FINE


def _print(found: Diagnosis) -> None:
    say(("nodegraph", "bold"), f" {found.nodegraph}, Python {found.python} at {sys.executable}")
    memory = f", {shown_size(found.memory)} of memory" if found.memory else ""
    free = f" ({shown_size(found.memory_available)} free)" if found.memory_available else ""
    say(f"{found.system}, {counted(found.threads, 'thread')}{memory}{free}")
    libraries = [(item.name, item.version or "missing") for item in found.libraries]
    _print_section("Libraries", libraries)
    devices = [
        (item.name, item.title + (f", {shown_size(item.bytes)}" if item.bytes else ""))
        for item in found.devices
    ]
    _print_section("Devices", devices)
    _print_section("Folders", [(item.role, item.path, _state(item)) for item in found.folders])
    _print_section("Packs", list(found.packs.items()))
    unusable = found.models - found.usable_models
    say()
    say(
        f"{counted(found.node_types, 'node type')}, {counted(found.usable_models, 'model')}"
        + (f", and {unusable} that can't be used: see `nodegraph models`" if unusable else "")
    )
    _print_findings(found)


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


def _print_findings(found: Diagnosis) -> None:
    say()
    for text in found.warnings:
        say(("warning: ", "yellow"), text)
    for text in found.problems:
        say(("problem: ", "red"), text)
    if not found.problems:
        say(("Everything that is needed works.", "green"))
