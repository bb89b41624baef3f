"""Write the index of the built-in families: what is asked of them before one is imported.

All of it stands in the families' modules, `nodegraph/families/*.py`.

python docs/generate_families.py
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from nodegraph.families.base import Family
from nodegraph.families.index import INDEX

FOLDER = Path(__file__).parents[1] / "nodegraph" / "families"
FILE = FOLDER / "index.py"
_START, _END = "    {\n", "    }\n"


class FamilyModule(NamedTuple):
    """Where a family is defined.

    Attributes:
        name: Dotted name of the module.
        variable: The family's in the module.
    """

    name: str
    variable: str
    family: Family


def family_modules() -> list[FamilyModule]:
    """The families in the order of the index; new ones come last, by module."""
    modules = {item.family.name: item for path in FOLDER.glob("*.py") for item in _defined(path)}
    known = [name for name in INDEX if name in modules]
    new = sorted(modules.keys() - INDEX.keys(), key=lambda name: modules[name].name)
    return [modules[name] for name in (*known, *new)]


def _defined(path: Path) -> Iterator[FamilyModule]:
    name = f"nodegraph.families.{path.stem}"
    assigned = [
        target.id
        for statement in ast.parse(path.read_text("utf-8")).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    ]
    module = import_module(name)
    for variable in assigned:
        family = getattr(module, variable, None)
        if isinstance(family, Family):
            yield FamilyModule(name, variable, family)


def _mark_groups(family: Family) -> list[tuple[str, ...]]:
    parts = [part for part in (*family.denoisers, family.control) if part is not None]
    layouts = [layout for part in parts for layout in part.files]
    groups = [group for layout in layouts for group in layout.marks]
    if family.single_file is not None:
        groups.append(tuple(family.single_file.prefixes.values()))
    return groups


def _marks(family: Family, uses: Counter[str]) -> tuple[str, ...]:
    """Of each group the name that the fewest families share, and of these the longest."""
    marks: list[str] = []
    for group in _mark_groups(family):
        if not any(mark in name for mark in marks for name in group):
            marks.append(min(group, key=lambda name: (uses[name], -len(name))))
    return tuple(marks)


def _listed(items: Sequence[str]) -> str:
    """Source of a tuple of sources."""
    return f"({', '.join(items)}{',' if len(items) == 1 else ''})"


def _quoted(items: Iterable[str]) -> list[str]:
    return [f'"{item}"' for item in items]


def text() -> str:
    """The text of the index's module."""
    modules = family_modules()
    uses = Counter(
        name for item in modules for group in _mark_groups(item.family) for name in set(group)
    )
    entries = []
    for item in modules:
        family = item.family
        fields = {
            "pipelines": _quoted(family.pipelines),
            "denoisers": _quoted(family.denoisers[0].classes),
            "marks": _quoted(_marks(family, uses)),
            "controls": _quoted(family.control.classes if family.control else ()),
            "control_modes": _quoted(family.control_modes),
            "lora_signs": [f'(r"{sign.pattern}", "{sign.title}")' for sign in family.lora_signs],
            "resolutions": _quoted(family.resolutions),
        }
        lines = [f"{name}={_listed(items)}" for name, items in fields.items() if items]
        if family.text_width:
            lines.append(f"text_width={family.text_width}")
        if not any(part.files for part in family.encoders):
            lines.append("encoder_files=False")
        imported = f'lambda: import_module("{item.name}").{item.variable}'
        arguments = ", ".join([imported, f'"{family.latent.name}"', *lines])
        entries.append(f'"{family.name}": IndexedFamily({arguments}),\n')
    before, _, remaining = FILE.read_text("utf-8").partition(_START)
    return _formatted(before + _START + "".join(entries) + _END + remaining.partition(_END)[2])


def _formatted(source: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FILE), "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)  # noqa: S603 - of this environment
    return done.stdout


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
