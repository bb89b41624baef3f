"""Whether the devices that workers are to compute on are there, told before any is started."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterable, Sequence

from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue
from nodegraph.server.settings import ServerSettings
from nodegraph.session.cards import visible_cards

_NAME = re.compile(r"auto|cpu|mps|cuda(:\d+)?")
_KINDS = ("auto", "cpu", "cuda", "cuda:0", "cuda:1", "mps")
_ASK = "from nodegraph.session.devices import devices_there; print(*devices_there())"
_SECONDS = 60.0


def check_devices(server: ServerSettings) -> None:
    """Refuse devices that there aren't.

    Those of a cluster are for its nodes to have; of them only the names are looked at.

    Raises:
        InvalidValue: One isn't there; says which are.
    """
    for name in server.devices:
        if _NAME.fullmatch(name) is None:
            raise _missing(name, "auto, cpu, cuda, cuda:N or mps", _KINDS)
    if server.cluster is not None or all(map(_is_plain, server.devices)):
        return
    there = _asked()
    for name in server.devices:
        if there and name != "auto" and (f"{name}:0" if name == "cuda" else name) not in there:
            raise _missing(name, ", ".join(["auto", *there]), there)


def _missing(name: str, expected: str, known: Iterable[str]) -> InvalidValue:
    return InvalidValue(
        "there is no such device for workers",
        given=name,
        expected=expected,
        hint=did_you_mean(name, known),
    )


def _is_plain(name: str) -> bool:
    """Whether a device is there for sure, as far as the system tells without torch."""
    if name in ("auto", "cpu"):
        return True
    kind, _, number = name.partition(":")
    return kind == "cuda" and int(number or 0) < visible_cards()


def _asked() -> Sequence[str]:
    """The devices that torch finds; none where it can't be asked.

    Another process asks, as loading torch would make this one large and slow to start.
    """
    safely = ["-P"] if sys.version_info >= (3, 11) else []
    command = [sys.executable, *safely, "-c", _ASK]
    try:
        told = subprocess.run(  # noqa: S603 - nothing in it comes from elsewhere
            command, check=False, capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return ()  # the worker that is to compute there will tell
    return told.stdout.split() if told.returncode == 0 else ()
