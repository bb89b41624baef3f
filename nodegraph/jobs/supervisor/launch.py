"""What a worker process is told when it is started."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nodegraph.jobs.supervisor.messages import RoleName
from nodegraph.jobs.supervisor.rules import WorkerSpec

if TYPE_CHECKING:
    from nodegraph.session.settings import Settings


def settings_flags(settings: Settings) -> dict[str, object]:
    """What settings say, as `WorkerSpec.settings` has it."""
    return {name: _plain(value) for name, value in vars(settings).items() if value is not None}


def _plain(value: object) -> object:
    """A setting as JSON has it."""
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


@dataclass(frozen=True, slots=True)
class Launch:
    """The one argument of `nodegraph.jobs.worker`.

    Attributes:
        parent: Id of the process that starts it.
        recorder: Path of its `Recorder`.
        role, settings, packs, warm: See `WorkerSpec`.
    """

    parent: int
    recorder: str
    role: RoleName
    settings: dict[str, Any]
    packs: Sequence[str]
    warm: bool

    @classmethod
    def of(cls, spec: WorkerSpec, recorder: str) -> Launch:
        """For a worker that this process starts."""
        settings = dict(spec.settings)
        if spec.device is not None:
            settings["device"] = spec.device
        return cls(os.getpid(), recorder, spec.role, settings, tuple(spec.packs), spec.warm)

    @classmethod
    def read(cls, argument: str) -> Launch:
        """What `command` has written."""
        return cls(**json.loads(argument))

    def command(self) -> list[str]:
        """The command line."""
        # The current folder is no place to import from: it may be anybody's.
        safely = ["-P"] if sys.version_info >= (3, 11) else []
        argument = json.dumps(asdict(self), default=os.fspath)
        return [sys.executable, *safely, "-m", "nodegraph.jobs.worker", argument]
