"""A process of its own that runs workflows: ``python -m tests.adversarial.process``.

It reads a line of JSON for each thing to do, and answers with one.

Most of what a process takes to begin is the import of torch. A `Nursery` has done that once, and
each process that it forks imports nodegraph and all else itself: what is ours is never shared.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from tests.processes import PATIENCE

if TYPE_CHECKING:
    # Processes of a nursery import it when they are there.
    from tests.adversarial.driving import Answer, Wish

_ROOT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """Variables of a process such as people have: with byte code that is kept."""
    dropped = ("PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(_ROOT)}


class Remote:
    """A driver in another process; has the methods of `Driver`.

    Args:
        answers, orders: The process' ends; None begins one.
    """

    def __init__(
        self, root: Path, answers: TextIO | None = None, orders: TextIO | None = None
    ) -> None:
        self._process: subprocess.Popen[str] | None = None
        if answers is None or orders is None:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(root)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=root,
                env=environment(),
                text=True,
            )
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            answers, orders = self._process.stdout, self._process.stdin
        self._answers, self._orders = answers, orders

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
        self.begin(wish)
        return self.answer()

    def begin(self, wish: Wish) -> None:
        """Begin to run a workflow; `answer` waits for it."""
        self._say("run", asdict(wish))

    def answer(self) -> Answer:
        """What came of the run that was begun."""
        from tests.adversarial.driving import Answer

        return Answer(**self._heard())

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
        self._orders.close()
        self._await_answer()
        self._answers.read()  # until it has ended
        self._answers.close()
        if self._process is not None:
            self._process.wait(120)

    def _ask(self, do: str, what: Any = None) -> Any:
        self._say(do, what)
        return self._heard()

    def _say(self, do: str, what: Any) -> None:
        self._orders.write(json.dumps([do, what]) + "\n")
        self._orders.flush()

    def _await_answer(self) -> None:
        if not select.select([self._answers], [], [], PATIENCE)[0]:
            raise RuntimeError(f"the process says nothing for {PATIENCE:g} s")

    def _heard(self) -> Any:
        self._await_answer()
        line = self._answers.readline()
        if not line:
            raise RuntimeError("the process ended by itself")
        return json.loads(line)


class Nursery:
    """A process that has imported torch, and forks others that take it from there."""

    def __init__(self) -> None:
        self._socket, other = socket.socketpair()
        with other:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, "--nursery", str(other.fileno())],
                pass_fds=[other.fileno()],
                env=environment(),
            )

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()
        self._process.wait(120)

    def begin(self, root: Path) -> Remote:
        """Another process."""
        answers, written = os.pipe()
        read, orders = os.pipe()
        socket.send_fds(self._socket, [str(root).encode()], [read, written])
        os.close(read)
        os.close(written)
        return Remote(root, os.fdopen(answers), os.fdopen(orders, "w"))


def _nurse(descriptor: int) -> None:
    """Fork for each folder that is sent."""
    import numpy  # noqa: F401 - what takes time and isn't ours
    import pydantic  # noqa: F401
    import torch  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=descriptor) as asked:
        while True:
            place, handed, *_ = socket.recv_fds(asked, 4096, 2)
            if not handed:
                return
            if os.fork() == 0:
                break
            for each in handed:
                os.close(each)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(place.decode())
    with os.fdopen(handed[0]) as orders, os.fdopen(handed[1], "w") as answers:
        serve(Path(place.decode()), orders, answers)


def serve(root: Path, orders: TextIO, answers: TextIO) -> None:
    """Do what is asked for until nothing more is."""
    from tests.adversarial.driving import Driver, Wish

    driver = Driver(root)
    for line in orders:
        do, what = json.loads(line)
        if do == "run":
            found: Any = asdict(driver.run(Wish(**what)))
        else:
            found = getattr(driver, do)(*([] if what is None else [what]))
        answers.write(json.dumps(found) + "\n")
        answers.flush()
    driver.close()


if __name__ == "__main__":
    if sys.argv[1] == "--nursery":
        _nurse(int(sys.argv[2]))
    else:
        # What nodes print goes elsewhere: standard output is for the answers.
        written, sys.stdout = sys.stdout, sys.stderr
        serve(Path(sys.argv[1]), sys.stdin, written)
