"""Write the number of ComfyUI's node types that the import knows into docs/comfyui.md.

python docs/generate_counts.py
"""

from __future__ import annotations

import re
from pathlib import Path

from nodegraph.interop.comfyui.known_packs import pack_of
from nodegraph.interop.comfyui.table import built_in

PAGE = Path(__file__).parent / "comfyui.md"
BEGIN, END = "<!-- counts: begin -->", "<!-- counts: end -->"
"""Between these lines stands what this script writes."""
_BEFORE = 344
"""Node types with an entry before packs of ComfyUI were supported, counted in the same way."""


def counts() -> str:
    """The lines between `BEGIN` and `END`."""
    # Entries whose names begin with @ are for the export of nodes that ComfyUI does not have.
    types = [entry.type for entry in built_in() if not entry.type.startswith("@")]
    unique = dict.fromkeys(types)
    packs = sum(bool(pack_of(name)) for name in unique)
    exported = len({entry.native for entry in built_in() if entry.native})
    return (
        f"The table has entries for {len(unique)} node types of ComfyUI, {packs} of them "
        "from packs.\n"
        f"Before packs of ComfyUI were supported, it had {_BEFORE}. {exported} node types of\n"
        "nodegraph are exported to types of ComfyUI."
    )


def page(text: str) -> str:
    """The page with the current counts.

    Args:
        text: The page as it is.
    """
    block = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return block.sub(lambda _: f"{BEGIN}\n{counts()}\n{END}", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
