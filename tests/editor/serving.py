"""A server with a worker that tests of the editor speak to, and may kill and start again."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import httpx

from tests.server.hosting import ONCE, PATIENCE, Process, eventually

DOT = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "YPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
"""An image of one pixel, in base 64."""

PACK = f'''
from __future__ import annotations

import base64
import time
from pathlib import Path

from nodegraph import Context, Image, InvalidValue, Plot, Series, node
from nodegraph.core import Preview


@node
def Wait(ctx: Context, image: Image, until: str = "") -> Image:
    """Hands an image on once a file of that name lies in the server's home folder."""
    path = Path(__file__).parents[1] / until
    while not path.exists():
        ctx.check_cancelled()
        time.sleep(0.02)
    return image


@node
def Refuse(ctx: Context, image: Image, least: int = 0) -> Image:
    """Fails on images that are too small."""
    if least > 0:
        message = "the image is smaller than " + str(least)
        raise InvalidValue(message, port="least", hint="Ask for less.")
    return image


@node
def Tint(color: str = "#ff8800") -> str:
    """Hands on a color."""
    return color


@node
def Show(ctx: Context, image: Image, until: str = "") -> Image:
    """Does as `Wait` does, and shows a dot meanwhile."""
    path = Path(__file__).parents[1] / until
    shown = 0.0
    while not path.exists():
        if time.monotonic() > shown + 1:
            ctx.preview(Preview(base64.b64decode("{DOT}")))
            shown = time.monotonic()
        ctx.check_cancelled()
        time.sleep(0.02)
    return image


@node(output="files")
def KeepPlot(ctx: Context, plot: str = "") -> None:
    """Writes a plot."""
    path = ctx.environment.outputs / "loss_00001.json"
    path.write_text(plot)
    ctx.wrote(path, kind="plot")


@node(output=True)
def Learn(ctx: Context, until: str = "") -> None:
    """Shows a plot that grows until a file of that name lies in the server's home folder."""
    steps = 0
    while not (Path(__file__).parents[1] / until).exists():
        ctx.check_cancelled()
        steps += 10
        xs = range(1, steps + 1)
        series = Series("Loss", xs, [1 / x for x in xs])
        ctx.preview(Plot("Learning", "Step", "Loss", (series,)))
        time.sleep(0.05)
'''


class Server:
    """`nodegraph serve` on a free port of this machine, with a home folder of its own.

    Args:
        home: Its home folder.
        pack: A node pack in it; empty for none.
        options: Others of the command.
        environment: Variables of its process.

    Attributes:
        url: Where it answers, also after it has been started again.
        home: Its home folder.
    """

    def __init__(
        self,
        home: Path,
        pack: str = PACK,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home
        self._pack = pack
        self._options = options
        self._environment = environment
        self.url = ""
        self._stack = ExitStack()
        self._process: Process | None = None
        self._before_end: list[Callable[[], object]] = []

    def __enter__(self) -> Server:
        (self.home / "packs").mkdir(parents=True)
        if self._pack:
            (self.home / "packs" / "trials.py").write_text(self._pack)
        # What is cached must not depend on how fast this machine's disk is.
        (self.home / "config.toml").write_text("keep_cheap = true\n")
        self.start()
        self.client = self._stack.enter_context(
            httpx.Client(
                base_url=f"{self.url}/api/v1", timeout=PATIENCE, trust_env=False, limits=ONCE
            )
        )
        return self

    def __exit__(self, *_: object) -> None:
        for call in self._before_end:
            call()
        self._stack.close()

    def before_end(self, call: Callable[[], object]) -> None:
        """Have something called before it ends."""
        self._before_end.append(call)

    @property
    def host(self) -> str:
        """Its name and port."""
        return self.url.removeprefix("http://")

    def start(self) -> None:
        """Start it: at first on any port, later on the one that it had."""
        port = self.url.rpartition(":")[2] or "0"
        options = ("--port", port, "--workers", "1", "--devices", "cpu", *self._options)
        process = Process(self.home, *options, environment=self._environment)
        self._process = self._stack.enter_context(process)
        self.url = process.ready().url

    def kill(self) -> None:
        """End it as if the machine's power had failed, its workers too."""
        assert self._process is not None
        children = self._process.children()
        self._process.stop(signal.SIGKILL)
        for pid in children:
            _kill(pid)

    def kill_worker(self) -> None:
        """End the process that runs jobs, and wait until there is another one."""
        first = self.worker["pid"]
        _kill(first)
        eventually(lambda: self.worker["pid"] not in (None, first))

    @property
    def worker(self) -> dict[str, Any]:
        """What is known of the process that runs jobs."""
        found: list[dict[str, Any]] = self.get("system")["workers"]
        return next(worker for worker in found if worker["role"] == "worker")

    def get(self, path: str, **query: Any) -> Any:
        """Ask it for something."""
        return self.client.get(path, params=query).raise_for_status().json()

    def jobs(self) -> list[dict[str, Any]]:
        """All jobs, newest first."""
        found: list[dict[str, Any]] = self.get("jobs")["items"]
        return found

    def submit(self, workflow: dict[str, Any], **more: Any) -> str:
        """Have a workflow run; gives the job's id."""
        answer = self.client.post("jobs", json={"workflow": workflow, **more})
        found: str = answer.raise_for_status().json()["id"]
        return found

    def outputs(self, job: str) -> list[dict[str, Any]]:
        """The files of a job, once it has finished."""
        eventually(lambda: self.get(f"jobs/{job}")["state"] not in ("queued", "running"))
        assert self.get(f"jobs/{job}")["state"] == "finished"
        found: list[dict[str, Any]] = self.get(f"jobs/{job}")["outputs"]["files"]
        return found

    def cancel_all(self) -> None:
        """Leave nothing for the next test that would keep it waiting."""
        for job in self.jobs():
            if job["state"] in ("queued", "running", "held"):
                self.client.post(f"jobs/{job['id']}/cancel")
        eventually(lambda: all(job["state"] not in ("queued", "running") for job in self.jobs()))

    def forget_all(self) -> None:
        """Have no jobs, results, uploads, saved workflows, models and inputs any more."""
        self.client.post("queue/resume").raise_for_status()
        self.cancel_all()
        self.client.delete("jobs").raise_for_status()
        for kind, name in (("workflows", "name"), ("uploads", "digest")):
            while items := self.get(kind)["items"]:
                # The same image may have been brought under several names.
                for key in {item[name] for item in items}:
                    self.client.delete(f"{kind}/{key}").raise_for_status()
        for folder in ("models", "inputs", "prompt_lists"):
            shutil.rmtree(self.home / folder, ignore_errors=True)

    def let(self, name: str) -> None:
        """Let a node `Wait` that waits for this go on."""
        (self.home / name).touch()


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
