"""Write nodegraph/client/blocking from nodegraph/client/asynchronous: the same, without waiting.

python docs/generate_blocking_client.py
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CLIENT = Path(__file__).parents[1] / "nodegraph" / "client"
SOURCE, TARGET = CLIENT / "asynchronous", CLIENT / "blocking"
HEAD = "# Made from ../asynchronous/{} by docs/generate_blocking_client.py: don't edit.\n"
PACKAGE = '''"""Blocking client of a nodegraph server."""
'''
# In this order; each must be found somewhere.
RULES = (
    (r"nodegraph\.client\.asynchronous", "nodegraph.client.blocking"),
    (r"nodegraph\.client\.async_wire", "nodegraph.client.wire"),
    (r"one server, for one event loop\.", "one server, safe to use from several threads."),
    (r"asynchronous generators", "generators"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAsyncGenerator\[(.+), None\]", r"Generator[\1, None, None]"),
    (r"\bAsyncGenerator\b", "Generator"),
    (r"\bAwaitable\[(\w+)\]", r"\1"),
    (r"\bAwaitable, ", ""),
    (r"\bAsync(?=[A-Z])", ""),
    (r"\b__a(enter|exit)__\b", r"__\1__"),
    (r"\ba(closing|close|read)\b", r"\1"),
    (r"\baiter_bytes\b", "iter_bytes"),
)


def blocking_modules() -> Mapping[str, str]:
    """The text of each module by its name."""
    found = {"__init__.py": PACKAGE}
    unused = {pattern for pattern, _ in RULES}
    for path in sorted(SOURCE.glob("*.py")):
        if path.name == "__init__.py":
            continue
        text = path.read_text(encoding="utf-8")
        for pattern, plain in RULES:
            text, count = re.subn(pattern, plain, text)
            if count:
                unused.discard(pattern)
        found[path.name] = _formatted(HEAD.format(path.name) + text, TARGET / path.name)
    if unused:
        raise SystemExit(f"nothing is as these rules say: {sorted(unused)}")
    return found


def _formatted(text: str, path: Path) -> str:
    for command in (("check", "--select", "I", "--fix", "--quiet"), ("format", "--quiet")):
        arguments = [sys.executable, "-m", "ruff", *command, "--stdin-filename", path, "-"]
        text = subprocess.run(  # noqa: S603 - our own tool
            arguments, input=text, capture_output=True, text=True, encoding="utf-8", check=True
        ).stdout
    return text


def write() -> None:
    """Write them all, and remove what is none of them."""
    made = blocking_modules()
    for path in TARGET.glob("*.py"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        (TARGET / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write()
