"""The floor of `server.py`: what a framework, safe commits, a pipe and a websocket cost.

    python benchmarks/bare_server.py queue.sqlite

FastAPI and uvicorn as they come. A job is a row, committed with a wait for the disk before it is
answered, by id. A second process then gets it through a pipe and answers with a sum; that is
committed, too, and all websockets hear that the job has finished. It schedules nothing, checks
nothing, keeps no results and recovers nothing.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import subprocess
import sys
from typing import Any
from uuid import uuid4

import msgpack
import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from pydantic import BaseModel

_WORKER = """
import json, sys
for line in sys.stdin:
    job, body = json.loads(line)
    print(json.dumps([job, body["parameters"]["value"] + 1]), flush=True)
"""
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE jobs (number INTEGER PRIMARY KEY, id TEXT UNIQUE, body TEXT, outputs TEXT);
"""


class Request(BaseModel):
    """A job to be."""

    workflow: dict[str, Any]
    parameters: dict[str, Any] = {}


def application(path: str, worker: subprocess.Popen[str]) -> FastAPI:
    """Two routes, of which one is a websocket."""
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    connection.executescript(_SCHEMA)
    app = FastAPI()
    followers: set[asyncio.Queue[bytes]] = set()
    reading: list[asyncio.Task[None]] = []

    async def read() -> None:
        reader = asyncio.StreamReader()
        loop = asyncio.get_running_loop()
        protocol = asyncio.StreamReaderProtocol(reader)
        await loop.connect_read_pipe(lambda: protocol, worker.stdout)
        while line := await reader.readline():
            job, outputs = json.loads(line)
            connection.execute("UPDATE jobs SET outputs = ? WHERE id = ?", (str(outputs), job))
            event = {"type": "events", "events": [{"kind": "job.finished", "job": job}]}
            for follower in followers:
                follower.put_nowait(msgpack.packb(event))

    @app.post("/api/v1/jobs", status_code=202)
    async def submit(request: Request) -> dict[str, str]:
        if not reading:
            reading.append(asyncio.create_task(read()))
        job = uuid4().hex
        body = request.model_dump()
        connection.execute("INSERT INTO jobs (id, body) VALUES (?, ?)", (job, json.dumps(body)))
        assert worker.stdin is not None
        worker.stdin.write(json.dumps([job, body]) + "\n")
        worker.stdin.flush()
        return {"id": job}

    @app.websocket("/api/v1/events")
    async def follow(websocket: WebSocket) -> None:
        await websocket.accept(subprotocol="nodegraph.v1.msgpack")
        await websocket.receive_bytes()
        messages: asyncio.Queue[bytes] = asyncio.Queue()
        followers.add(messages)
        await websocket.send_bytes(msgpack.packb({"type": "reply"}))
        try:
            while True:
                await websocket.send_bytes(await messages.get())
        except WebSocketDisconnect:
            followers.discard(messages)

    return app


def main() -> None:
    listening = socket.create_server(("127.0.0.1", 0))
    command = [sys.executable, "-c", _WORKER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
        app = application(sys.argv[1], worker)
        config = uvicorn.Config(app, access_log=False, log_level="warning")
        uvicorn.Server(config).run([listening])
        worker.kill()


if __name__ == "__main__":
    main()
