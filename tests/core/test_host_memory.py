"""How much memory there is: the machine's, or what control groups leave of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nodegraph.core.host_memory import HostMemory, host_memory

GIB = 1 << 30
MEMINFO = f"MemTotal: {16 * GIB >> 10} kB\nMemFree: 1 kB\nMemAvailable: {10 * GIB >> 10} kB\n"


def system(root: Path, groups: str, mounts: str, **files: dict[str, int | str]) -> Path:
    """The files of a system with 16 GiB, 10 of them free."""
    (root / "proc" / "self").mkdir(parents=True)
    (root / "proc" / "meminfo").write_text(MEMINFO)
    (root / "proc" / "self" / "cgroup").write_text(groups)
    (root / "proc" / "self" / "mountinfo").write_text(mounts)
    for folder, content in files.items():
        place = root / "cgroup" / folder.replace("_", "/")
        place.mkdir(parents=True, exist_ok=True)
        for name, value in content.items():
            (place / name.replace("__", ".")).write_text(f"{value}\n")
    return root


def v2(limit: int | str, used: int, cached: int = 0) -> dict[str, int | str]:
    stat = f"anon 5\nfile 7\ninactive_file {cached}\nactive_file 0"
    return {"memory.max": limit, "memory.high": "max", "memory.current": used, "memory.stat": stat}


V2_MOUNT = "30 25 0:26 / /cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"


def test_a_machine_without_control_groups_is_as_it_says(tmp_path: Path) -> None:
    assert host_memory(system(tmp_path, "", "")) == HostMemory(10 * GIB, 16 * GIB)


def test_the_limit_of_a_container_counts_and_its_file_cache_is_free(tmp_path: Path) -> None:
    root = system(tmp_path, "0::/a/b\n", V2_MOUNT, a_b=v2(7 * GIB, 6 * GIB, cached=2 * GIB))
    assert host_memory(root) == HostMemory(3 * GIB, 7 * GIB)


def test_the_narrowest_group_above_counts(tmp_path: Path) -> None:
    groups = {"a_b": v2("max", GIB), "a": v2(4 * GIB, 3 * GIB), "": v2("max", 5 * GIB)}
    assert host_memory(system(tmp_path, "0::/a/b\n", V2_MOUNT, **groups)) == HostMemory(
        GIB, 4 * GIB
    )


def test_a_group_that_may_take_more_than_there_is_changes_nothing(tmp_path: Path) -> None:
    root = system(tmp_path, "0::/a\n", V2_MOUNT, a=v2(64 * GIB, GIB))
    assert host_memory(root) == HostMemory(10 * GIB, 16 * GIB)


@pytest.mark.parametrize(
    ("path", "mounted", "folder"),
    [("/docker/x", "/", "docker_x"), ("/docker/x", "/docker/x", ""), ("/../other", "/", "")],
)
def test_the_first_version_is_found_wherever_its_group_is_mounted(
    tmp_path: Path, path: str, mounted: str, folder: str
) -> None:
    stat = f"cache 3\ntotal_inactive_file {GIB}\ntotal_active_file 0\ninactive_file 9"
    files: dict[str, int | str] = {
        "memory.limit_in_bytes": 7 * GIB,
        "memory.usage_in_bytes": 5 * GIB,
        "memory.stat": stat,
    }
    mount = f"36 31 0:32 {mounted} /cgroup rw - cgroup cgroup rw,memory\n"
    root = system(tmp_path, f"5:cpu:/\n4:memory:{path}\n0::/\n", mount, **{folder: files})
    assert host_memory(root) == HostMemory(3 * GIB, 7 * GIB)


def test_groups_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    root = system(tmp_path, "0::/a\nnonsense\n", V2_MOUNT + "short line\n")
    assert host_memory(root) == HostMemory(10 * GIB, 16 * GIB)
