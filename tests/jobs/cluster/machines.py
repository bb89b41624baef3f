"""A Ray cluster of several nodes on this machine, as a process of its own that is told what to do.

    python -m tests.jobs.cluster.machines COUNT [FOLDER]

Each node for a worker has a cache folder of its own below FOLDER, if that is given.
It prints its address, then takes lines: ``add`` (prints the new node's number), ``kill NUMBER``,
``behead`` (kills the head and all nodes, and starts others where the head was). It ends with its
standard input, and all nodes with it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any

from nodegraph.session.settings import NODE_CACHE
from tests.processes import PATIENCE, killed_after

QUIET = {
    # Every node is 127.0.0.1.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_enable_metrics_collection": "0",
    # Workers here are neither nicer than the server nor less so.
    "RAY_worker_niceness": "0",
    "RAY_memory_monitor_refresh_ms": "0",
}
ROOT = Path(__file__).parents[3]
_NODE = {"object_store_memory": 80 << 20, "include_dashboard": False}


class Machines:
    """A cluster of nodes with a place for one worker each; the first, the head, has none.

    Attributes:
        address: Where it is joined.
    """

    def __init__(self, process: subprocess.Popen[str], count: int) -> None:
        self._process = process
        self._alive = list(range(count))
        self.address = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("= "):
                return line[2:].strip()
        raise AssertionError(f"the cluster ended: {self._process.wait()}")

    def _say(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        return self._line()

    def kill_one(self, random: Random) -> int:
        """Kill a node with all its processes, as when its power is off, and add another.

        Returns:
            Its number.
        """
        node = random.choice(self._alive)
        self._alive.remove(node)
        self._say(f"kill {node}")
        self._alive.append(int(self._say("add")))
        return node

    def behead(self) -> int:
        """Kill the head, which takes all nodes along, and start others at its address.

        Returns:
            How many nodes for workers there are then.
        """
        count = int(self._say("behead"))
        self._alive = list(range(count))
        return count


@contextmanager
def machines(count: int, caches: Path | None = None) -> Iterator[Machines]:
    """A cluster with so many nodes for workers, until the end of the `with`.

    Args:
        caches: Below which each node has a cache folder of its own.
    """
    command = [sys.executable, "-m", "tests.jobs.cluster.machines", str(count)]
    command += [] if caches is None else [str(caches)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **QUIET},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            # All tests of a run may use it: so long as no call of it is stuck for ever.
            with killed_after(process, 3600):
                yield Machines(process, count)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(PATIENCE)


def main(count: int, caches: str | None = None) -> None:
    from ray.cluster_utils import Cluster

    head = {**_NODE, "num_cpus": 0, "gcs_server_port": _free_port()}

    def start() -> tuple[Any, list[Any]]:
        cluster: Any = Cluster(initialize_head=True, head_node_args=head)
        return cluster, [cluster.add_node(num_cpus=1, **own(at), **_NODE) for at in range(count)]

    def own(at: int) -> dict[str, Any]:
        return {} if caches is None else {"env_vars": {NODE_CACHE: f"{caches}/node-{at}"}}

    cluster, nodes = start()
    _print(cluster.address)
    for line in sys.stdin:
        what, *which = line.split()
        if what == "add":
            nodes.append(cluster.add_node(num_cpus=1, **own(len(nodes)), **_NODE))
            _print(len(nodes) - 1)
        elif what == "behead":
            for node in (cluster.head_node, *cluster.worker_nodes):
                node.kill_all_processes(check_alive=False, allow_graceful=False, wait=True)
            cluster, nodes = start()
            _print(count)
        else:
            cluster.remove_node(nodes[int(which[0])], allow_graceful=False)
            _print("gone")
    cluster.shutdown()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def _print(what: object) -> None:
    sys.stdout.write(f"= {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), *sys.argv[2:])
