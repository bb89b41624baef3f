"""Fuzzing for as long as one likes: ``python -m tests.server.fuzz_long --count 100000``.

`--seconds` ends it earlier. Prints how many answers there were of each code, the slowest ones, what
died, and what must not be.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.server.fuzz_sending import Frames, Lives, Requests, Tally, cries
from tests.server.fuzzing import Fuzzer
from tests.server.hosting import Process, prepared_home

_SHOWN = 20
_TOLD_SECONDS = 60.0


def fuzz(count: int, seconds: float, seed: int, home: Path) -> dict[str, Any]:
    """Send so many workflows and frames, four of one to one of the other; what came of it.

    Args:
        seconds: After which no more is sent.
    """
    with Process(prepared_home(home), "--workers", "1") as server:
        server.ready()
        tally, before = Tally(), Lives.of(server)
        fuzzer = Fuzzer(seed)
        workflows, frames = Requests(server, fuzzer, tally), Frames(server, fuzzer, tally)
        since = told = time.monotonic()
        sent = {"workflows": 0, "frames": 0}
        for at in range(count):
            is_frame = at % 5 == 4
            (frames if is_frame else workflows).send()
            sent["frames" if is_frame else "workflows"] += 1
            if time.monotonic() - since > seconds:
                break
            if server.process.poll() is not None:
                tally.fault("the server ended", server.log[-4_000:])
                break
            if time.monotonic() - told > _TOLD_SECONDS:
                told = time.monotonic()
                sys.stderr.write(f"{at + 1} of {count}, {len(tally.faults)} faults\n")
        took = time.monotonic() - since
        workflows.close()
        frames.close()
        is_up = server.process.poll() is None
        after = Lives.of(server) if is_up else before
        return {
            "sent": sent,
            "seed": seed,
            "seconds": round(took, 1),
            "answers": {f"{asked} {code}": n for (asked, code), n in sorted(tally.answers.items())},
            "slowest_seconds": {asked: round(most, 3) for asked, most in tally.slowest.items()},
            "worker_restarts": after.restarts(before),
            "server_restarts": int(not is_up or after.server != before.server),
            "log_errors": cries(server)[:_SHOWN],
            "faults": tally.faults[:_SHOWN],
            "fault_count": len(tally.faults),
        }


def main() -> int:
    """Run it; 1 if anything was that must not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--home", type=Path, help="an empty folder; a temporary one if not given")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = fuzz(
            options.count, options.seconds, options.seed, options.home or Path(folder, "home")
        )
    sys.stdout.write(f"{json.dumps(found, indent=2)}\n")
    is_good = not (found["fault_count"] or found["log_errors"])
    return 0 if is_good and not (found["worker_restarts"] or found["server_restarts"]) else 1


if __name__ == "__main__":
    sys.exit(main())
