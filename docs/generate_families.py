"""Write what is made of the families' modules, `nodegraph/families/*.py`.

These are the index (`index.py`, `index.json`), which says what is asked of families before one is
imported, and tables of docs/families.md and docs/speed.md.

python docs/generate_families.py
"""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from nodegraph.families.base import Family, Part
from nodegraph.families.index import INDEX

PAGE, SPEED = (Path(__file__).parent / name for name in ("families.md", "speed.md"))
FOLDER = Path(__file__).parents[1] / "nodegraph" / "families"
FILE = FOLDER / "index.py"
RECORDS = FOLDER / "index.json"
_START, _END = "= {\n", "}\n"


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


def index_texts() -> dict[Path, str]:
    """The texts of the index's module and of its records."""
    return {FILE: _module_text(), RECORDS: _records_text()}


def _module_text() -> str:
    imports = [
        f'    "{item.family.name}": lambda: import_module("{item.name}").{item.variable},\n'
        for item in family_modules()
    ]
    before, _, remaining = FILE.read_text("utf-8").partition(_START)
    return _formatted(before + _START + "".join(imports) + _END + remaining.partition(_END)[2])


def _records_text() -> str:
    modules = family_modules()
    uses = Counter(
        name for item in modules for group in _mark_groups(item.family) for name in set(group)
    )
    records = {item.family.name: _record(item.family, uses) for item in modules}
    return json.dumps(records, indent=1, ensure_ascii=False) + "\n"


def _record(family: Family, uses: Counter[str]) -> dict[str, Any]:
    optional = {
        "pipelines": family.pipelines,
        "denoisers": family.denoisers[0].classes,
        "marks": _marks(family, uses),
        "controls": family.control.classes if family.control else (),
        "control_modes": tuple(family.control_modes),
        "lora_signs": [(sign.pattern, sign.title) for sign in family.lora_signs],
        "resolutions": tuple(family.resolutions),
        "comfyui_type": family.comfyui_type,
        "text_width": family.text_width,
        "accepts_prompts_of": family.accepts_prompts_of,
    }
    record = {"latent": family.latent.name, **{key: each for key, each in optional.items() if each}}
    has_files = any(part.files for part in family.encoders)
    return record if has_files else {**record, "encoder_files": False}


def _formatted(source: str) -> str:
    command = [sys.executable, "-m", "ruff", "format", "--stdin-filename", str(FILE), "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=True)  # noqa: S603 - of this environment
    return done.stdout


def page_text() -> str:
    """The text of docs/families.md."""
    families = [item.family for item in family_modules()]
    page = _with_table(PAGE.read_text("utf-8"), "families", [_HEAD, *map(row_of, families)])
    images = [family for family in families if family.latent.only_size is None]
    rows = [["family", *ABILITIES]]
    for family in images:
        lacking = lacks(family)
        rows.append([family.title, *("" if name in lacking else "✓" for name in ABILITIES)])
    return _with_table(page, "lacking", [_row(cells) for cells in rows])


def speed_text() -> str:
    """The text of docs/speed.md."""
    titles: dict[frozenset[str], list[str]] = {}
    for item in family_modules():
        if item.family.speedups:
            titles.setdefault(item.family.speedups, []).append(item.family.title)
    rows = [["family", *_SPEEDUPS.values()]]
    for speedups, named in titles.items():
        rows.append([", ".join(named), *("✓" if name in speedups else "" for name in _SPEEDUPS)])
    return _with_table(SPEED.read_text("utf-8"), "speedups", [_row(cells) for cells in rows])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


_SPEEDUPS = {
    "first_block": "first block",
    "mag": "MagCache",
    "taylorseer": "TaylorSeer",
    "lite": "lite",
    "broadcast": "broadcast",
    "key_values": "key-value",
    "fused": "fused projections",
    "channels_last": "channels last",
}
"""Columns, by the name in `Family.speedups`."""


_HEAD = "| family | name | pipelines of diffusers | latents | noise |"


def row_of(family: Family) -> str:
    """Its row in the table of families."""
    pipelines = ", ".join(f"`{name.removesuffix('Pipeline')}`" for name in family.pipelines)
    noise = "continuous" if family.preconditioned else family.noise
    cells = (family.title, f"`{family.name}`", pipelines, f"`{family.latent.name}`", noise)
    return _row(cells)


def _with_table(page: str, mark: str, rows: Sequence[str]) -> str:
    start = f"<!-- {mark} -->\n"
    before, _, remaining = page.partition(start)
    ruler = "|" + "---|" * (rows[0].count("|") - 1)
    table = "\n".join([rows[0], ruler, *rows[1:]])
    return f"{before}{start}{table}\n<!-- end -->{remaining.partition('<!-- end -->')[2]}"


ABILITIES: Mapping[str, Callable[[Family], bool]] = {
    "one file": lambda family: family.single_file is not None or _has_files(family),
    "diffusion model file": lambda family: bool(family.denoisers[0].files),
    "text encoder files": lambda family: all(part.files for part in _needed(family.encoders)),
    "LoRA names": lambda family: bool(family.lora_signs),
    "ComfyUI's encoder loaders": lambda family: bool(family.comfyui_type),
    "other attention": lambda family: family.perturbs_attention,
    "skipped blocks": lambda family: family.skips_blocks,
    "ControlNet": lambda family: family.control is not None,
    "image to image": lambda family: _has_pipeline(family, "Img2Img", "VideoToVideo"),
    "inpainting": lambda family: _has_pipeline(family, "Inpaint"),
}
"""What a family may have, in the words of the table's columns."""


def _needed(parts: Sequence[Part]) -> list[Part]:
    return [part for part in parts if not part.optional]


def _has_files(family: Family) -> bool:
    parts = [family.denoisers[0], *_needed(family.encoders)]
    return all(part.files for part in parts) and bool(family.latent.files)


def _has_pipeline(family: Family, *kinds: str) -> bool:
    return any(kind in name for name in family.pipelines for kind in kinds)


def lacks(family: Family) -> list[str]:
    """Which of `ABILITIES` a family hasn't."""
    return [name for name, has in ABILITIES.items() if not has(family)]


if __name__ == "__main__":
    for path, content in {**index_texts(), PAGE: page_text(), SPEED: speed_text()}.items():
        path.write_text(content, encoding="utf-8")
