"""Scripts that packs bring into the editor: widgets of inputs, and panels.

A pack keeps them in its folders ``widgets`` and ``panels``, one file each. What counts is what the
pack declares: a file that no input and no panel names is nobody's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from nodegraph.core.panels import Panel
from nodegraph.core.spec import OF_PACK, InputSpec
from nodegraph.errors import InvalidFile
from nodegraph.packs.pack import OWN_DISTRIBUTION, Pack
from nodegraph.packs.script_tokens import token_fault
from nodegraph.packs.snapshot import LARGEST

ScriptKind = Literal["widgets", "panels"]
_DEFAULT = re.compile(r"(?m)^[ \t]*export\s+(?:default\b|\{[^}]*\bdefault\b)")
_IMPORT = re.compile(r"(?m)^[ \t]*(?:import\b(?!\s*[.(])|export\b[^;\n]*\bfrom\s*[\"'])")


@dataclass(frozen=True, slots=True)
class PackScript:
    """A script that a pack declares; its file may lack.

    Attributes:
        pack: The pack's name.
        kind: Folder that it lies in.
        name: Of its file, without the ending.
        file: None for a pack that is a single file, and has no folders.
        label, help: Of a panel.
    """

    pack: str
    kind: ScriptKind
    name: str
    file: Path | None
    label: str = ""
    help: str = ""

    def text(self) -> str:
        """What the file says.

        Raises:
            InvalidFile: It can't be used.
        """
        what = f"pack `{self.pack}`: the {self.kind[:-1]} `{self.name}`"
        if self.file is None:
            hint = f"Make the pack a folder, with {self.kind}/{self.name}.js in it."
            raise InvalidFile(f"{what} lies in no folder, as the pack is a single file", hint=hint)
        path = f"{self.kind}/{self.file.name}"
        try:
            data = self.file.read_bytes()
        except FileNotFoundError:
            hint = f"Write {path} in the pack's folder."
            raise InvalidFile(f"{what} has no file {path}", hint=hint) from None
        except OSError as error:
            raise InvalidFile(f"{what}: {path} can't be read: {error.strerror}") from error
        if len(data) > LARGEST:
            size, most = f"{len(data)} bytes", f"at most {LARGEST}"
            raise InvalidFile(f"{what}: {path} is too large", given=size, expected=most)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise InvalidFile(f"{what}: {path} isn't UTF-8") from None
        if not _DEFAULT.search(text):
            hint = "It is called with what it edits, and puts its elements into `widget.root`."
            wanted = "`export default function (widget) { … }`"
            raise InvalidFile(f"{what}: {path} exports no default", expected=wanted, hint=hint)
        return text

    def check(self) -> None:
        """See that the file can be used, and reads like a module.

        Raises:
            InvalidFile: It can't, or doesn't.
        """
        text = self.text()
        location = f"pack `{self.pack}`: {self.kind}/{self.name}.js"
        fault = token_fault(text)
        if fault is not None:
            raise InvalidFile(f"{location}, {fault}")
        match = _IMPORT.search(text)
        if match is not None:
            line = text.count("\n", 0, match.end()) + 1
            hint = "A script stands alone in its frame: put all that it needs into the one file."
            raise InvalidFile(f"{location}, line {line}: it imports another module", hint=hint)


def scripts_of(
    pack: Pack, inputs: Iterable[InputSpec], panels: Sequence[Panel]
) -> Iterator[PackScript]:
    """The scripts that a pack declares, each once."""
    folder = pack.root if pack.root.is_dir() else None
    name = pack.name or OWN_DISTRIBUTION

    def file(kind: ScriptKind, name: str) -> Path | None:
        return None if folder is None else folder / kind / f"{name}.js"

    named = (port.widget for port in inputs if port.widget.startswith(OF_PACK))
    for widget in dict.fromkeys(each.removeprefix(OF_PACK) for each in named):
        yield PackScript(name, "widgets", widget, file("widgets", widget))
    for panel in panels:
        path = file("panels", panel.name)
        yield PackScript(name, "panels", panel.name, path, panel.label, panel.help)
