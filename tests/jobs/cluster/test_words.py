"""Ray's reasons in our words."""

from __future__ import annotations

import pytest

from nodegraph.jobs.cluster.failure_detection import HeadGone, exit_of, reason_of


class ActorUnavailableError(Exception):
    """Named as Ray's, which isn't imported for this."""


@pytest.mark.parametrize(
    ("text", "reason", "is_lost"),
    [
        (
            "The actor is dead because its node has died.",
            "its node is no longer in the cluster",
            True,
        ),
        ("... the node was preempted by the provider", "its node was removed", True),
        (
            "Worker exit type: NODE_OUT_OF_MEMORY",
            "its node had no memory left, so Ray ended it",
            False,
        ),
        (
            "The actor is dead because its worker process has died.",
            "the actor that had started it was killed",
            False,
        ),
    ],
)
def test_how_a_worker_ended_that_had_a_place(text: str, reason: str, is_lost: bool) -> None:
    found = exit_of(RuntimeError(f"The actor died.\n{text}"), "node-7")
    assert (found.reason, found.is_lost) == (f"{reason} (node-7)", is_lost)


def test_a_node_that_cant_be_reached_is_lost_and_so_is_one_without_a_head() -> None:
    assert exit_of(ActorUnavailableError("RpcError"), "node-7").is_lost
    found = exit_of(HeadGone("the head of its cluster is no longer running"), "node-7")
    assert (found.reason, found.is_lost) == (
        "the head of its cluster is no longer running (node-7)",
        True,
    )


def test_a_node_without_nodegraph_is_told_what_to_install() -> None:
    error = RuntimeError("ModuleNotFoundError: No module named 'nodegraph.jobs.cluster'")
    found = exit_of(error, "")
    assert found.reason is not None
    assert "install the server's version there" in found.reason
    assert found.begun == {}


_RPC = """GRPC connection failed: <_InactiveRpcError of RPC that terminated with:
\tstatus = StatusCode.UNAVAILABLE
\tdetails = "failed to connect to all addresses"
\tdebug_error_string = "UNKNOWN:..."
>"""
_TRACE = """Initialization failure from server:
Traceback (most recent call last):
  File "proxier.py", line 1, in Datapath
RuntimeError: Starting Ray client server failed. See the head's logs.
"""
_VERSIONS = """Version mismatch: The cluster was started with:
    Ray: 2.49.0
This process on Ray Client was started with:
    Ray: 2.60.0
"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_RPC, "GRPC connection failed: failed to connect to all addresses"),
        (
            _TRACE,
            "Initialization failure from server: "
            "RuntimeError: Starting Ray client server failed. See the head's logs.",
        ),
        (
            _VERSIONS,
            "Version mismatch: The cluster was started with: Ray: 2.49.0 "
            "This process on Ray Client was started with: Ray: 2.60.0",
        ),
        ("It can't.\n\nC++ stack:\n  at 0x1", "It can't."),
        ("", "RuntimeError"),
    ],
)
def test_what_ray_says_on_several_lines_keeps_its_reason(text: str, reason: str) -> None:
    assert reason_of(RuntimeError(text)) == reason
