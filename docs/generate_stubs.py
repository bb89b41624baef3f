"""Write the stubs in nodegraph/python/builder from the specs of the built-in pack.

python docs/generate_stubs.py
"""

from __future__ import annotations

from pathlib import Path

from nodegraph.packs.pack import installed_packs
from nodegraph.packs.registry import Registry
from nodegraph.python.builder.stubs import FunctionStub, Stub

FOLDER = Path(__file__).parents[1] / "nodegraph" / "python" / "builder"


def stubs() -> dict[Path, str]:
    """What editors and type checkers are told where no other stubs were made, by file.

    The node types of the pack `diffusers` are those of its installed version.
    """
    registry = Registry([pack for pack in installed_packs() if not pack.name])
    specs = [spec for name in registry.node_types() if (spec := registry.spec(name))]
    kinds = {"builtin": Stub, "builtin_functions": FunctionStub}
    return {
        FOLDER / f"{module}.pyi": kind(registry.types, specs, untyped=["diffusers"]).text()
        for module, kind in kinds.items()
    }


if __name__ == "__main__":
    for file, text in stubs().items():
        file.write_text(text, encoding="utf-8")
