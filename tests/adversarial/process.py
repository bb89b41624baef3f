"""A process of its own that runs workflows: ``python -m tests.adversarial.process``.

It reads a line of JSON for each thing to do, and answers with one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Any

from tests.adversarial.driving import Answer, Driver, Wish

_ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """Variables of a process such as people have: with byte code that is kept."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT)}


class Remote:
    """A driver in another process; has the methods of `Driver`."""

    def __init__(self, root: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.adversarial.process", str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=root,
            env=environment(),
            text=True,
        )

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def run(self, wish: Wish) -> Answer:
        """As `Driver.run`."""
        return Answer(**self._ask("run", asdict(wish)))

    def restart(self) -> None:
        """As `Driver.restart`."""
        self._ask("restart")

    def cell(self, text: str) -> None:
        """As `Driver.cell`."""
        self._ask("cell", text)

    def poke(self, text: str) -> None:
        """As `Driver.poke`."""
        self._ask("poke", text)

    def script(self, path: str) -> None:
        """As `Driver.script`."""
        self._ask("script", path)

    def close(self) -> None:
        """End the process, which closes its session first."""
        if self._process.poll() is None and self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(120)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _ask(self, do: str, what: Any = None) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([do, what]) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process ended with {self._process.wait(120)}")
        return json.loads(line)


def serve(root: Path) -> None:
    """Do what standard input asks for until it ends."""
    driver = Driver(root)
    # What nodes print goes elsewhere: standard output is for the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    for line in sys.stdin:
        do, what = json.loads(line)
        if do == "run":
            found: Any = asdict(driver.run(Wish(**what)))
        else:
            found = getattr(driver, do)(*([] if what is None else [what]))
        answers.write(json.dumps(found) + "\n")
        answers.flush()
    driver.close()


if __name__ == "__main__":
    serve(Path(sys.argv[1]))
