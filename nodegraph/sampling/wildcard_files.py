"""Wildcards in files: ``wildcards/pets/small.txt`` in the inputs folder is ``__pets/small__``.

Imports no torch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nodegraph.core.suggest import did_you_mean, nearest
from nodegraph.errors import InvalidFile
from nodegraph.sampling.wildcards import can_name

FOLDER = "wildcards"
MOST_BYTES = 16 * 2**20
"""Of a file; larger ones are refused."""


@dataclass(frozen=True)
class WildcardFiles:
    """The files of a folder, each read once.

    Attributes:
        inputs: The folder that theirs is in.
        names: Whether an error may name what else is there.
        reading: Called with each file before it is read.
    """

    inputs: Path
    names: bool = True
    reading: Callable[[Path], object] = lambda path: path
    _known: dict[str, Sequence[str]] = field(default_factory=dict)

    def __call__(self, name: str) -> Sequence[str]:
        """The lines of a wildcard, at least one; without empty ones and comments.

        Raises:
            InvalidFile: There is no such file, or it holds no lines.
        """
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def _read(self, name: str) -> list[str]:
        folder = self.inputs / FOLDER
        path = folder / f"{name}.txt"
        self.reading(path)
        if not path.is_file() or not path.resolve().is_relative_to(folder.resolve()):
            raise InvalidFile(
                f"there is no wildcard `{name}`",
                port="text",
                given=name,
                expected=f"a file {FOLDER}/{name}.txt in the inputs folder",
                hint=self._hint(name, folder) if self.names else None,
            )
        if path.stat().st_size > MOST_BYTES:
            raise InvalidFile(f"the wildcard `{name}` is larger than 16 MiB", port="text")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError as error:
            raise InvalidFile(f"the wildcard `{name}` is no UTF-8 text", port="text") from error
        stripped = (line.strip() for line in text.splitlines())
        lines = [line for line in stripped if line and not line.startswith("#")]
        if not lines:
            raise InvalidFile(f"the wildcard `{name}` has no lines", port="text")
        return lines

    def _hint(self, name: str, folder: Path) -> str:
        others = self._others(folder)
        near = nearest(name, others)
        if near is not None and not can_name(near):
            signs = "letters, digits and _-().'&+"
            return f"Rename {FOLDER}/{near}.txt: names in prompts have {signs} in them."
        return did_you_mean(name, filter(can_name, others))

    def _others(self, folder: Path) -> list[str]:
        candidates = folder.rglob("*.txt") if folder.is_dir() else ()
        return [
            path.relative_to(folder).with_suffix("").as_posix()
            for path in candidates
            if path.is_file()
        ]
