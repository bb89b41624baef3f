"""Another process that does what a test tells it, line by line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from tests.processes import killed_after

_LOOP = """
import json, sys
{script}
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    print(json.dumps(eval(line)), flush=True)
"""


class Other:
    """A Python process; `ask` has it evaluate an expression."""

    def __init__(self, script: str) -> None:
        # Started as one of the tests, so that it finds what they share.
        self._process = subprocess.Popen(
            [sys.executable, "-c", _LOOP.format(script=script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        self._bounds = ExitStack()
        self._bounds.enter_context(killed_after(self._process))

    def ask(self, expression: str) -> str:
        """The value of an expression there, as JSON."""
        self.tell(expression)
        return self.answer()

    def tell(self, expression: str) -> None:
        """As `ask`, without waiting for the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()

    def answer(self) -> str:
        """What it found, as JSON; an error of its own is on its standard error."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the other process failed"
        return line.strip()

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it at once, as a power cut would."""
        self._process.kill()
        self._process.wait()

    def close(self) -> None:
        self._bounds.close()
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


@contextmanager
def other_process(script: str) -> Iterator[Other]:
    """A process that has run a script and waits for what to do next."""
    with other_processes(script, 1) as (other,):
        yield other


@contextmanager
def other_processes(script: str, count: int) -> Iterator[list[Other]]:
    """Several that run the same script at once, and have run it."""
    with ExitStack() as stack:
        others = [stack.enter_context(closing(Other(script))) for _ in range(count)]
        for other in others:
            assert other.answer() == '"ready"'
        yield others
