"""Whether what happened is what was promised."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from nodegraph.jobs.queue import JobEvent
from tests.server.chaos_record import Outcome
from tests.server.chaos_work import SHARED, Given, Piece

_KILLED = ("SIGKILL", None)
_ENDS = frozenset({"job.finished", "job.failed", "job.cancelled"})


def faults(outcome: Outcome, work: Sequence[Piece], undisturbed: Mapping[int, Given]) -> list[str]:
    """All that isn't as promised, in words."""
    return [
        *_of_jobs(outcome, work),
        *_of_events(outcome),
        *_of_ends(outcome),
        *_of_blame(outcome),
        *_of_results(outcome, undisturbed),
        *_of_files(outcome, work),
        *_of_processes(outcome),
    ]


def _of_jobs(outcome: Outcome, work: Sequence[Piece]) -> Iterator[str]:
    """Each piece is one job, and there are no others."""
    if missing := [piece.at for piece in work if piece.at not in outcome.accepted]:
        yield f"never accepted: {missing}"
    if outcome.refused:
        yield f"became two jobs in spite of their keys: {outcome.refused}"
    wanted = Counter([*outcome.accepted.values(), outcome.marker])
    there = Counter(list(outcome.states))
    if lost := wanted - there:
        yield f"accepted, and not in the queue: {sorted(lost)}"
    if more := there - wanted:
        yield f"in the queue, and told to nobody: {sorted(more)}"
    if left := {job: state for job, state in outcome.states.items() if state != "finished"}:
        yield f"not finished: {left}"


def _of_events(outcome: Outcome) -> Iterator[str]:
    """Who followed was told each event once, in order."""
    told = [event.seq or 0 for event in outcome.told]
    kept = [event.seq for event in outcome.kept]
    if told == kept:
        return
    counts = Counter(told)
    yield f"told twice: {[seq for seq in counts if counts[seq] > 1]}"
    yield f"not told: {sorted(set(kept) - set(told))}, not kept: {sorted(set(told) - set(kept))}"
    yield f"in order: {told == sorted(told)}"


def _of_ends(outcome: Outcome) -> Iterator[str]:
    """Each job ended once, but for those that were failed and retried; nothing came after."""
    for job, events in by_job(outcome).items():
        ends = [event.kind for event in events if event.kind in _ENDS]
        parked = len(outcome.parked.get(job, ()))
        if ends != ["job.failed"] * parked + ["job.finished"]:
            yield f"{job} ended as {ends}, and its client saw {parked} failures"
        elif events[-1].kind != "job.finished":
            yield f"{job} went on after it had finished: {events[-1].kind}"
        attempts = [event.attempt for event in events if event.kind == "job.claimed"]
        if attempts != list(range(1, len(attempts) + 1)):
            yield f"{job} was at attempts {attempts}"


def _of_blame(outcome: Outcome) -> Iterator[str]:
    """A job answers for a death only if its worker was killed, and is failed after two."""
    hit = Counter(kill.name for kill in outcome.kills if kill.prey in ("worker", "actor"))
    blamed: Counter[str] = Counter()
    for job, events in by_job(outcome).items():
        workers = {e.attempt: e.data["worker"] for e in events if e.kind == "job.claimed"}
        deaths = 0
        for event in events:
            if event.kind == "job.retried":
                deaths = 0
            elif _is_death(event):
                deaths += 1
                blamed[workers[event.attempt]] += 1
                if (deaths == 3) is not (event.kind == "job.failed"):
                    yield f"{job}: {event.kind} after {deaths} deaths"
    if more := blamed - hit:
        yield f"deaths of workers that nobody killed: {dict(more)}"
    for job, errors in outcome.parked.items():
        for error in errors:
            evidence = error.get("evidence", {})
            # Of one that died with its actor, nobody knows the signal.
            if error.get("code") != "worker-died" or evidence.get("signal") not in _KILLED:
                yield f"{job} failed for another reason: {error}"


def _is_death(event: JobEvent) -> bool:
    return event.kind == "job.failed" or event.data.get("reason") == "died"


def _of_results(outcome: Outcome, undisturbed: Mapping[int, Given]) -> Iterator[str]:
    """What came out is what comes out when nothing happens."""
    for at, expected in undisturbed.items():
        if (found := outcome.results.get(at)) != expected:
            yield f"piece {at} gave {found}, not {expected}"


def _of_files(outcome: Outcome, work: Sequence[Piece]) -> Iterator[str]:
    """Each job has written its file once; half-written ones have names that nobody sees."""
    shared = sum(piece.file == SHARED for piece in work)
    wanted = [f"{piece.file}_00001.txt" for piece in work if piece.file != SHARED]
    wanted += [f"{SHARED}_{number:05}.txt" for number in range(1, shared + 1)]
    seen = [name for name in outcome.files if not name.startswith(".")]
    if sorted(wanted) != seen:
        yield f"files too few: {set(wanted) - set(seen)}, too many: {set(seen) - set(wanted)}"


def _of_processes(outcome: Outcome) -> Iterator[str]:
    if outcome.orphans:
        yield f"still there: {outcome.orphans}"
    if outcome.exit_code:
        yield f"the last server ended with {outcome.exit_code}"
    for number, log in enumerate(outcome.logs):
        if "Traceback" in log:
            yield f"log of server {number}: {log[log.index('Traceback') :][:2000]}"


def once(outcome: Outcome) -> int:
    """How many of the accepted jobs have finished, and that once."""
    told = Counter(event.job for event in outcome.kept if event.kind == "job.finished")
    return sum(told[job] == 1 for job in outcome.accepted.values())


def same(outcome: Outcome, undisturbed: Mapping[int, Given]) -> int:
    """How many pieces gave what they give when nothing happens."""
    return sum(outcome.results.get(at) == given for at, given in undisturbed.items())


def by_job(outcome: Outcome) -> Mapping[str, Sequence[JobEvent]]:
    """The numbered events of each job."""
    found = defaultdict(list)
    for event in outcome.kept:
        found[event.job].append(event)
    return found


def happened(outcome: Outcome, kind: str, reason: str | None = None) -> int:
    """How often something did."""
    return sum(
        event.kind == kind and (reason is None or event.data.get("reason") == reason)
        for event in outcome.kept
    )
