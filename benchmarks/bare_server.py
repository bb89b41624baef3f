"""A server that takes jobs in and does nothing else: what a framework and a safe commit cost.

    python benchmarks/bare_server.py queue.sqlite

The baseline of `server.py`: FastAPI and uvicorn as they come, a row for each job, committed in a
thread with a wait for the disk before it is answered, by id.
"""

from __future__ import annotations

import json
import socket
import sqlite3
import sys
from typing import Any
from uuid import uuid4

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel


class Wish(BaseModel):
    """A job to be."""

    workflow: dict[str, Any]
    parameters: dict[str, Any] = {}


def application(path: str) -> FastAPI:
    """One route."""
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE jobs (number INTEGER PRIMARY KEY, id TEXT, body TEXT)")
    app = FastAPI()

    @app.post("/api/v1/jobs", status_code=202)
    def submit(wish: Wish) -> dict[str, str]:
        job = uuid4().hex
        body = json.dumps(wish.model_dump())
        connection.execute("INSERT INTO jobs (id, body) VALUES (?, ?)", (job, body))
        return {"id": job}

    return app


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    config = uvicorn.Config(application(sys.argv[1]), access_log=False, log_level="warning")
    uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    main()
