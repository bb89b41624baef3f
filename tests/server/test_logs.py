"""Log lines: their two forms, what they never tell, and that nobody waits for who reads them."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodegraph.server.operations.logs import (
    CURRENT,
    RECENT,
    CurrentRequest,
    JsonLines,
    LineWriter,
    TextLines,
    configure,
)
from tests.server.hosting import Hosted, hosted, workflow

PATIENCE = 60.0
JOB = "job_01hzy3m7q8r9s0t1v2w3x4y5z6"
SECRET = "b1" * 24
FORMS = (TextLines(), TextLines(is_colored=True), JsonLines())
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


def record(text: str, *values: Any, level: int = logging.INFO, **fields: Any) -> logging.LogRecord:
    made = logging.LogRecord("a.b", level, "", 0, text, values, None)
    made.fields = fields
    return made


def as_json(made: logging.LogRecord) -> dict[str, Any]:
    line = JsonLines().format(made)
    assert "\n" not in line
    found: dict[str, Any] = json.loads(line)
    return found


# Forms.


def test_a_json_line_says_what_it_is_about() -> None:
    found = as_json(record("%s finished", JOB, seconds=0.25, is_big=False, worker="worker-1"))
    assert found["job"] == JOB
    assert (found["seconds"], found["is_big"], found["worker"]) == (0.25, False, "worker-1")
    assert (found["level"], found["logger"], found["message"]) == ("info", "a.b", f"{JOB} finished")
    assert found["time"].endswith("+00:00")


def test_half_a_character_is_replaced_in_lines_for_programs() -> None:
    found = as_json(record("a\ud800 %s", "b\udfff", why="c\ud800"))
    assert (found["message"], found["why"]) == ("a\ufffd b\ufffd", "c\ufffd")


def test_no_field_takes_the_place_of_what_every_line_has() -> None:
    found = as_json(record("hello", message="another", level_="x", time=0))
    assert (found["message"], found["message_"], found["time_"]) == ("hello", "another", 0)


def test_a_field_that_is_called_a_secret_is_none_to_be_read() -> None:
    found = as_json(record("hello", authorization="plain words", password=7, cookie="a=b"))
    assert "plain" not in str(found)
    assert found["password"] == "***"


@given(before=words, after=words, name=st.sampled_from(["path", "origin", "given"]))
def test_no_line_tells_a_token_wherever_it_stands(before: str, after: str, name: str) -> None:
    text = f"{before} ng_{'0a' * 6}_{SECRET} {after}"
    try:
        raise ValueError(text)
    except ValueError as error:
        made = record("%s", text, **{name: text})
        made.exc_info = (type(error), error, error.__traceback__)
    for form in FORMS:
        assert SECRET not in form.format(made)


@given(words)
def test_a_line_for_people_is_one_line_whatever_was_logged(text: str) -> None:
    first, *rest = TextLines().format(record("told: %s", text)).split("\n")
    assert "a.b: told: " in first
    # What follows is indented, so that it can't pass for another line.
    assert all(line.startswith("    ") for line in rest)
    assert not {*"".join([first, *rest])} & {*map(chr, range(32)), "\x7f", "\x9b"} - {"\t"}


def test_warnings_are_seen_from_afar_only_on_a_terminal() -> None:
    loud = record("careful", level=logging.WARNING)
    assert TextLines(is_colored=True).format(loud).startswith("\x1b[33m")
    assert "\x1b" not in TextLines().format(loud)
    assert "\x1b" not in TextLines(is_colored=True).format(record("fine"))


# Writing.


@contextmanager
def logging_to(handler: logging.Handler, level: int = logging.INFO) -> Iterator[logging.Logger]:
    logger = logging.getLogger("tests.logs")
    logger.propagate, logger.handlers = False, [handler]
    logger.setLevel(level)
    try:
        yield logger
    finally:
        handler.close()
        logger.propagate, logger.handlers = True, []


def test_the_last_lines_are_kept_without_secrets() -> None:
    writer = LineWriter(io.StringIO())
    writer.setFormatter(TextLines())
    writer.handle(record("a token: ng_0a1b2c_%s", SECRET))
    writer.close()
    moment, line = RECENT[-1]
    assert moment == pytest.approx(time.time(), abs=PATIENCE)
    assert "a token" in line
    assert SECRET not in line


def test_lines_are_written_in_order_as_they_were_when_they_were_logged() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    with logging_to(writer) as logger:
        changing: list[int] = []
        for at in range(1_000):
            changing.append(at)
            logger.info("%s", changing[-1:])
        writer.flush()
        assert stream.getvalue().splitlines() == [f"[{at}]" for at in range(1_000)]


def test_a_line_that_cant_be_made_costs_nobody_elses(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)

    class Broken:
        def __str__(self) -> str:
            raise RuntimeError

    with logging_to(writer) as logger:
        logger.info("one")
        logger.info("%s", Broken())
        logger.info("%s", *("too", "many"))
        logger.info("two")
    assert stream.getvalue().splitlines() == ["one", "two"]
    assert "not all arguments converted" in capsys.readouterr().err


def is_alive(writer: LineWriter) -> bool:
    """Whether its thread hasn't ended."""
    thread = writer._listener._thread
    return thread is not None and thread.is_alive()


@contextmanager
def stuck() -> Iterator[tuple[LineWriter, int]]:
    """A writer to a pipe that nobody reads, with room for some 130 lines of 500 characters."""
    reading, writing = os.pipe()
    try:
        with os.fdopen(writing, "w") as stream:
            yield LineWriter(stream, most=100), reading
    finally:
        os.close(reading)


def test_whoever_logs_waits_for_no_reader_and_what_is_missing_is_told() -> None:
    with stuck() as (writer, reading), logging_to(writer) as logger:
        for _ in range(3_000):
            logger.info("x" * 500)
        # It came to here though nobody reads. Now somebody does.
        found, count = b"", 0
        while count < 3_000:
            found += os.read(reading, 65_536)
            count = sum(map(_stands_for, found.decode().splitlines()))
    assert count == 3_000
    assert b"not shown" in found


def _stands_for(line: str) -> int:
    """How many lines it is, or tells of."""
    left_out = re.search(r"(\d+) lines are not shown", line)
    return int(left_out[1]) if left_out else int(len(line) == 500)


def test_the_end_comes_though_nobody_reads() -> None:
    with stuck() as (writer, reading), logging_to(writer) as logger:
        for _ in range(1_000):
            logger.info("x" * 2_000)  # what may wait is more than the pipe holds
        start = time.monotonic()
        writer.close()
        assert time.monotonic() - start < PATIENCE / 2
        assert is_alive(writer)
        while is_alive(writer):
            # It may end between the two looks, with nothing left to read.
            if select.select([reading], [], [], 0.05)[0]:
                os.read(reading, 65_536)


def test_a_disk_that_is_full_breaks_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        writer = LineWriter(full)
        with logging_to(writer) as logger:
            logger.info("one")
            writer.flush()
            logger.info("two")
            writer.flush()
            assert is_alive(writer)


# Settings.


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, as it was before in the end."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    for handler in logger.handlers:
        if isinstance(handler, LineWriter):
            handler.close()
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logging.captureWarnings(False)
    logging.getLogger("nodegraph.server.refused").setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.error").setLevel(logging.NOTSET)


def test_refused_requests_are_logged_at_any_level(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("json", "error")
    logging.getLogger("nodegraph.server.refused").warning("refused: no")
    logging.getLogger("nodegraph.server.requests").info("GET / 200")
    logging.getLogger("nodegraph.other").warning("careful")
    configure("text", "error")
    out = capsys.readouterr().err.splitlines()
    assert [json.loads(line)["message"] for line in out] == ["refused: no"]


# Requests.


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """What is logged meanwhile, as JSON has it."""
    stream = io.StringIO()
    writer = LineWriter(stream)
    writer.setFormatter(JsonLines())
    logger = logging.getLogger("nodegraph")
    logger.addHandler(writer)
    logger.setLevel(logging.DEBUG)

    def found() -> list[dict[str, Any]]:
        writer.flush()
        return [json.loads(line) for line in stream.getvalue().splitlines()]

    yield found
    logger.removeHandler(writer)
    logger.setLevel(logging.NOTSET)
    writer.close()


def about(found: list[dict[str, Any]], id: str) -> list[dict[str, Any]]:
    return [line for line in found if line.get("request") == id]


def until(is_so: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def test_each_request_has_one_line_with_its_id_and_whose_it_is(
    own_server: Hosted, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    headers = own_server.token("ann", "run")
    until(lambda: own_server.services.tokens.caller(headers["Authorization"].split()[1]))
    done = own_server.client.get("/jobs?tag=private", headers=headers)
    name = done.headers["x-request-id"]
    until(lambda: about(lines(), name))
    (line,) = about(lines(), name)
    assert line["logger"] == "nodegraph.server.requests"
    assert (line["method"], line["path"], line["status"]) == ("GET", "/api/v1/jobs", 200)
    assert (line["client"], line["level"], line["address"]) == ("ann", "info", "127.0.0.1")
    assert line["bytes"] == len(done.content)
    assert 0 < line["seconds"] < PATIENCE
    assert "private" not in str(line)
    assert headers["Authorization"].rpartition("_")[2] not in str(lines())


def test_a_refused_request_has_one_line_that_tells_why(
    own_server: Hosted, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    own_server.token("ann", "read")
    until(lambda: own_server.client.get("/queue").status_code == 401)
    for options, code in (
        ({}, "unauthenticated"),
        ({"headers": {"Origin": "http://evil.example"}}, "origin-not-allowed"),
        ({"headers": {"Host": "evil.example"}}, "host-not-allowed"),
    ):
        name = own_server.client.get("/jobs", **options).headers["x-request-id"]
        until(lambda name=name: about(lines(), name))
        (line,) = about(lines(), name)
        assert (line["level"], line["event"], line["code"]) == ("warning", "refused", code)


def test_an_id_that_comes_along_is_kept_if_it_can_stand_in_a_log(server: Hosted) -> None:
    good = "proxy-7f.A_1"
    assert (
        server.client.get("/jobs", headers={"X-Request-Id": good}).headers["x-request-id"] == good
    )
    for bad in ("a b", "x" * 65, "é", "", "a;b", "<b>"):
        answer = server.client.get("/jobs", headers={"X-Request-Id": bad.encode()})
        assert len(answer.headers["x-request-id"]) == 16


def test_two_requests_have_two_ids(server: Hosted) -> None:
    ids = {server.client.get("/queue").headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


def test_probes_have_no_line_unless_something_is_wrong(
    home: Path, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    with hosted(home, least_free="900000GB") as server:
        for path, level in (("healthz", "debug"), ("metrics", "debug"), ("readyz", "info")):
            name = server.client.get(f"{server.url}/{path}").headers["x-request-id"]
            until(lambda name=name: about(lines(), name))
            levels = [line["level"] for line in about(lines(), name) if "status" in line]
            assert levels == [level], path


def test_what_a_request_has_done_in_another_thread_bears_its_id(
    server: Hosted, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    job = server.client.post("/jobs", json={"workflow": workflow()}).json()["id"]
    queue = server.services.queue
    claimed = queue.claim("w").result()
    assert claimed is not None
    queue.finish(job, 1, {"files": [{"without": "a path"}]}).result()
    name = server.client.get("/artifacts").headers["x-request-id"]
    until(lambda: len(about(lines(), name)) == 2)
    (warning,) = [line for line in about(lines(), name) if line["level"] == "warning"]
    assert warning["job"] == job
    assert "cannot be read" in warning["message"]


def test_a_websocket_has_a_line_when_it_ends(
    server: Hosted, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    from tests.server.talking import talk

    with talk(server):
        assert not [line for line in lines() if line.get("method") == "WEBSOCKET"]
    until(lambda: [line for line in lines() if line.get("method") == "WEBSOCKET"])
    (line,) = [line for line in lines() if line.get("method") == "WEBSOCKET"]
    assert (line["path"], line["status"]) == ("/api/v1/events", 101)


def test_jobs_have_a_line_when_they_end(
    server: Hosted, lines: Callable[[], list[dict[str, Any]]]
) -> None:
    queue = server.services.queue
    ids = [server.client.post("/jobs", json={"workflow": workflow()}).json()["id"] for _ in "abc"]
    for each in ids:
        claimed = queue.claim("worker-7").result()
        assert claimed is not None
        assert claimed.id == each
    queue.finish(ids[0], 1, {}).result()
    queue.fail(
        ids[1], 1, {"code": "x", "message": f"it broke: ng_0a0a0a_{SECRET}\nforged"}
    ).result()
    queue.release(ids[2], 1).result()

    def told() -> dict[str, dict[str, Any]]:
        return {
            line["event"]: line for line in lines() if line["logger"] == "nodegraph.server.jobs"
        }

    until(lambda: len(told()) == 3)
    found = told()
    assert [line["job"] for line in found.values()] == ids
    assert {line["worker"] for line in found.values()} == {"worker-7"}
    assert found["job.failed"]["level"] == "warning"
    assert SECRET not in str(found)
    assert found["job.requeued"]["reason"] == "released"
    assert found["job.finished"]["client"] == "local"


def test_what_is_logged_for_no_request_bears_no_id() -> None:
    stream = io.StringIO()
    writer = LineWriter(stream)
    writer.setFormatter(JsonLines())
    with logging_to(writer) as logger:
        logger.info("before")
        token = CURRENT.set(CurrentRequest("one", {}))
        logger.info("during")
        CURRENT.reset(token)
        logger.info("after")
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line.get("request") for line in found] == [None, "one", None]
