"""Make a home folder as this version leaves it, for later versions to open.

    python -m tests.homes.make /srv/studio tests/homes/NAME.tar.gz PICTURE.png

A run that ended, a sampling that was killed between two steps, and a server's queue with a job that
finished, one that failed and one that waits; an upload, a saved workflow, settings, a token. The
folder's name is kept in its files. Made once for a release, and never again.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from nodegraph.client import Client
from tests.server.hosting import Process, eventually

TOKEN = "ng_" + "0" * 12 + "_" + "1" * 48
CONFIG = """\
checkpoint_seconds = 0

[server]
workers = 1
cancel_seconds = 11

[server.retention]
seconds = 10_000_000_000
failed_seconds = 10_000_000_000
upload_seconds = 10_000_000_000
"""


def sampling(steps: int, seed: int) -> dict[str, Any]:
    """An image by the embedded model, as small as it makes them."""
    return {
        "format": "nodegraph/1",
        "nodes": {
            "load": {"type": "LoadModel", "inputs": {"model": "tiny"}},
            "prompt": {
                "type": "EncodePrompt",
                "inputs": {"encoder": {"from": "load.text_encoder"}, "text": "a red apple"},
            },
            "size": {"type": "EmptyLatent", "inputs": {"width": 64, "height": 64}},
            "sample": {
                "type": "KSampler",
                "inputs": {
                    "model": {"from": "load.model"},
                    "positive": {"from": "prompt"},
                    "latent": {"from": "size"},
                    "seed": seed,
                    "steps": steps,
                    "sampler": "dpmpp_2m",
                },
            },
            "decode": {
                "type": "VAEDecode",
                "inputs": {"vae": {"from": "load.vae"}, "latent": {"from": "sample"}},
            },
            "save": {"type": "SaveImage", "inputs": {"image": {"from": "decode"}, "name": "apple"}},
        },
    }


def inverted(path: str) -> dict[str, Any]:
    """The negative of an uploaded image."""
    return {
        "format": "nodegraph/1",
        "nodes": {
            "load": {"type": "LoadImage", "inputs": {"path": path}},
            "invert": {"type": "InvertImage", "inputs": {"image": {"from": "load.image"}}},
            "save": {
                "type": "SaveImage",
                "inputs": {"image": {"from": "invert"}, "name": "negative"},
            },
        },
    }


FAILING = {
    "format": "nodegraph/1",
    "nodes": {
        "pick": {"type": "PickJson", "inputs": {"text": "{}", "path": "missing"}},
        "show": {"type": "ShowValue", "inputs": {"value": {"from": "pick"}}},
    },
}


def _command(home: Path, *arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "nodegraph", "--home", str(home), *map(str, arguments)]


def _run(home: Path) -> None:
    """One run that ends, and one that is killed between two steps of its sampling."""
    workflow = home / "apple.json"
    workflow.write_text(json.dumps(sampling(steps=3, seed=1)))
    subprocess.run(_command(home, "run", workflow), check=True, cwd=home)
    workflow.write_text(json.dumps(sampling(steps=120, seed=2)))
    index = home / "cache" / "store" / "index.sqlite"
    with subprocess.Popen(_command(home, "run", workflow), cwd=home) as process:
        with sqlite3.connect(index) as connection:
            eventually(lambda: connection.execute("SELECT count(*) FROM checkpoints").fetchone()[0])
        process.kill()
    workflow.unlink()


def _serve(home: Path, picture: Path) -> None:
    with Process(home) as server:
        server.ready()
        with Client(server.url, token=TOKEN) as client:
            upload = client.upload(picture)
            client.workflows.save("apple", sampling(steps=3, seed=1))
            client.wait(client.submit(sampling(steps=3, seed=3))).checked()
            client.wait(client.submit(FAILING))
            client.queue.pause()
            client.submit(inverted(upload.value))
        assert server.stop() == 0
    for name in ("stdout.txt", "stderr.txt"):
        (home / name).unlink()


def main() -> None:
    home, target, picture = map(Path, sys.argv[1:])
    home.mkdir(parents=True)
    (home / "config.toml").write_text(CONFIG)
    token = home / "token.txt"
    token.write_text(TOKEN)
    subprocess.run(
        _command(home, "token", "add", "owner", "--scope", "admin", "--from", token), check=True
    )
    token.unlink()
    _run(home)
    _serve(home, picture)
    shutil.rmtree(home / "cache" / "specs")
    with tarfile.open(target, "w:gz", compresslevel=9) as archive:
        archive.add(home, "home")


if __name__ == "__main__":
    main()
