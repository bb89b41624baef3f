"""Home folders with something of everything in them, and what is to be the same after a restore."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import closing
from pathlib import Path
from typing import Any

from nodegraph.core.workflow import Workflow
from nodegraph.jobs.queue import JobQueue
from nodegraph.server.access.tokens import TokenFile
from nodegraph.server.content.saved import SavedWorkflows
from nodegraph.server.content.uploads import Uploads
from tests.jobs.queue.support import submit
from tests.server.resources import finished, picture, pieces, written

CONFIG = "[server]\nport = 8421\n"
PACK = "from nodegraph import node\n\n@node\ndef One() -> int:\n    return 1\n"


def workflow(**inputs: Any) -> dict[str, Any]:
    """One that reads what it is given."""
    return {"format": "nodegraph/1", "nodes": {"load": {"type": "Load", "inputs": inputs}}}


def filled(home: Path, *, name: str = "first") -> Path:
    """A home folder with two jobs, an upload, a saved workflow, packs, models, tokens, a cache.

    Args:
        name: Of the job that waits, and in what is written.
    """
    home.mkdir(parents=True, exist_ok=True)
    with JobQueue(home / "queue.sqlite", synced=False) as queue:
        done = [written(home / "outputs" / "day" / f"{name}.png", picture(color=(1, 2, 3)))]
        finished(queue, done, name="done")
        with closing(Uploads(home / "uploads", queue)) as uploads:
            data = picture(20, 20, color=(len(name), 9, 9))
            upload, _ = asyncio.run(uploads.receive(pieces(data), "in.png", "ann"))
            path = str(uploads.path(upload))
            submit(queue, name=name, workflow=workflow(image=path), parameters={"also": path})
    document = Workflow.from_dict({"format": "nodegraph/1", "title": name, "nodes": {}})
    saved = SavedWorkflows(home / "workflows")
    saved.put("kept", document)
    saved.put("kept", Workflow.from_dict({**document.to_dict(), "description": "changed"}))
    TokenFile(home / "tokens.json").add(name, ("run",))
    for path, text in (
        ("config.toml", CONFIG),
        ("packs/one.py", PACK),
        ("inputs/notes.txt", f"notes of {name}"),
        ("models/big.safetensors", "weights"),
        ("cache/store/index", "can be made again"),
    ):
        (home / path).parent.mkdir(parents=True, exist_ok=True)
        (home / path).write_text(text)
    return home


def tree(home: Path) -> dict[str, str]:
    """Digests of all files by their paths; databases, journals and locks aside."""
    found = {}
    for path in sorted(home.rglob("*")):
        inner = path.relative_to(home).as_posix()
        if path.is_file() and ".sqlite" not in inner and not inner.endswith("-lock"):
            found[inner] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def jobs(home: Path) -> list[tuple[str, str, str]]:
    """Names, states and workflows of the jobs in a home folder, the oldest first."""
    with JobQueue(home / "queue.sqlite", synced=False) as queue:
        return [
            (job.name, job.state, queue.workflow(queue.get(job.id).workflow))
            for job in queue.page(order="oldest").jobs
        ]
