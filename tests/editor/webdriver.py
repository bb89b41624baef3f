"""Other browsers than Chromium, driven by W3C standards.

Firefox speaks WebDriver BiDi, and WebKit speaks WebDriver.

They are the browsers that Debian has: ``firefox-esr`` and ``webkit2gtk-driver``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
from websockets.sync.client import ClientConnection, connect

from tests.server.hosting import eventually

PATIENCE = 120.0
"""Seconds for an answer of a browser: the machine may have much else to do."""
SIZE = (1440, 900)


class Browser(Protocol):
    """One window of a browser."""

    name: str

    def goto(self, url: str) -> None:
        """Load a page and wait until it is there."""

    def evaluate(self, function: str, *values: Any) -> Any:
        """The result of a JavaScript function, as JSON gives it."""

    def perform(self, actions: list[dict[str, Any]]) -> None:
        """Move the mouse and press keys, by actions as WebDriver describes them."""

    def faults(self) -> list[str]:
        """Errors that scripts and the console have told of since the last call."""


class Firefox:
    """Firefox, which speaks WebDriver BiDi over a websocket by itself."""

    name = "Firefox"

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._count = 0
        self._faults: list[str] = []
        self._send("session.new", capabilities={})
        self._send("session.subscribe", events=["log.entryAdded"])
        [tab] = self._send("browsingContext.getTree")["contexts"]
        self._tab = tab["context"]
        viewport = {"width": SIZE[0], "height": SIZE[1]}
        self._send("browsingContext.setViewport", context=self._tab, viewport=viewport)

    def goto(self, url: str) -> None:
        self._send("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    def evaluate(self, function: str, *values: Any) -> Any:
        call = f"async () => JSON.stringify(await ({function})(...{json.dumps(values)}))"
        answer = self._send(
            "script.callFunction",
            functionDeclaration=call,
            awaitPromise=True,
            target={"context": self._tab},
            userActivation=True,
        )
        assert answer["type"] == "success", answer
        text = answer["result"].get("value")
        return None if text is None else json.loads(text)

    def perform(self, actions: list[dict[str, Any]]) -> None:
        self._send("input.performActions", context=self._tab, actions=actions)

    def faults(self) -> list[str]:
        faults, self._faults = self._faults, []
        return faults

    def _send(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        self._connection.send(json.dumps(message))
        while True:
            answer = json.loads(self._connection.recv(PATIENCE))
            if answer.get("method") == "log.entryAdded":
                entry = answer["params"]
                if entry["level"] == "error":
                    self._faults.append(f"{entry.get('type')}: {entry.get('text')}")
            if answer.get("id") == self._count:
                assert answer["type"] == "success", answer
                result: dict[str, Any] = answer["result"]
                return result


@contextmanager
def firefox(profile: Path) -> Iterator[Browser]:
    """Firefox without a window, with a profile of its own."""
    command = [str(shutil.which("firefox-esr")), "--headless", "--no-remote"]
    command += ["--profile", str(profile), "--remote-debugging-port", "0", "about:blank"]
    # Where a window is asked for by the machine, none is there.
    environment = {**os.environ, "MOZ_HEADLESS": "1", "HOME": str(profile)}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=environment
    ) as process:
        try:
            assert process.stderr is not None
            url = next(
                found[1]
                for line in process.stderr
                if (found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line))
            )
            with connect(f"{url}/session", max_size=None, open_timeout=PATIENCE) as connection:
                yield Firefox(connection)
        finally:
            process.kill()


_WATCH = """() => {
    if (window.seenFaults !== undefined) return;
    window.seenFaults = [];
    addEventListener("error", ({ message }) => message && window.seenFaults.push(message));
    addEventListener("unhandledrejection", ({ reason }) => window.seenFaults.push(`${reason}`));
    const { error } = console;
    console.error = (...all) => { window.seenFaults.push(all.join(" ")); error(...all); };
}"""
"""WebDriver tells nothing of the console: errors are noted from when a page is there."""


class WebKit:
    """WebKit's small browser, which a driver of its own answers for over HTTP."""

    name = "WebKit"

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        wanted = {"browserName": "MiniBrowser", "pageLoadStrategy": "normal"}
        binary = next(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"))
        options = {"binary": str(binary), "args": ["--automation"]}
        capabilities = {"alwaysMatch": {**wanted, "webkitgtk:browserOptions": options}}
        answer = self._post("/session", {"capabilities": capabilities})
        self._path = f"/session/{answer['sessionId']}"
        self._post(f"{self._path}/timeouts", {"script": int(PATIENCE * 1000)})
        size = {"x": 0, "y": 0, "width": SIZE[0], "height": SIZE[1]}
        self._post(f"{self._path}/window/rect", size)

    def goto(self, url: str) -> None:
        self._post(f"{self._path}/url", {"url": url})
        self.evaluate(_WATCH)

    def evaluate(self, function: str, *values: Any) -> Any:
        script = (
            "const [values, done] = arguments;"
            f"Promise.resolve(({function})(...values)).then("
            "(found) => done({ found }), (error) => done({ error: String(error) }));"
        )
        arguments = {"script": script, "args": [list(values)]}
        answer = self._post(f"{self._path}/execute/async", arguments)
        assert "error" not in answer, answer["error"]
        return answer.get("found")

    def perform(self, actions: list[dict[str, Any]]) -> None:
        self._post(f"{self._path}/actions", {"actions": actions})

    def faults(self) -> list[str]:
        found: list[str] = self.evaluate("() => window.seenFaults?.splice(0) ?? []")
        return found

    def end(self) -> None:
        self._client.delete(self._path)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = self._client.post(path, json=body)
        value = answer.json()["value"]
        assert answer.status_code == 200, value
        return value


@contextmanager
def webkit(home: Path) -> Iterator[Browser]:
    """WebKit on a screen that nobody sees, with a home folder of its own."""
    port, number = _free_port(), os.getpid() % 10_000 + 100
    screen = [str(shutil.which("Xvfb")), f":{number}", "-screen", "0", "1600x1000x24"]
    environment = {**os.environ, "DISPLAY": f":{number}", "HOME": str(home)}
    # Containers allow no sandbox within them, and have no graphics card.
    environment |= {"WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS": "1", "LIBGL_ALWAYS_SOFTWARE": "1"}
    environment |= {"WEBKIT_DISABLE_COMPOSITING_MODE": "1", "XDG_RUNTIME_DIR": str(home)}
    driver = [str(shutil.which("WebKitWebDriver")), f"--port={port}"]
    url = f"http://127.0.0.1:{port}"
    with (
        _running(screen, environment),
        _running(driver, environment),
        httpx.Client(base_url=url, timeout=PATIENCE, trust_env=False) as client,
    ):
        eventually(lambda: _answers(client))
        browser = WebKit(client)
        yield browser
        browser.end()


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, env=environment, stdout=quiet, stderr=quiet) as process:
        try:
            yield
        finally:
            process.kill()


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/status").status_code == 200
    except httpx.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
