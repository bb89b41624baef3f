"""The commands of `nodegraph schedules` and `nodegraph webhooks`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nodegraph.cli.options import (
    CommonOptions,
    ExtraOptions,
    JsonOption,
    ServerOption,
    open_client,
)
from nodegraph.cli.output import (
    FAILED,
    FINE,
    StyledText,
    echo,
    echo_stderr,
    format_time,
    pluralize,
    print_json,
    print_table,
)
from nodegraph.cli.run_request import RunRequest, SetOption, ToOption, WorkflowArgument
from nodegraph.cli.runs import format_title
from nodegraph.cli.submit import (
    FileUploader,
    PriorityOption,
    SavedOption,
    TagsOption,
    WebhookOption,
    apply_request,
    get_remote,
)
from nodegraph.core.suggest import did_you_mean
from nodegraph.errors import InvalidValue

if TYPE_CHECKING:
    from nodegraph.client import Delivery, JobFields, Schedule, ScheduleFields

_SEEDS, _MISSED = ("random", "increment", "same"), ("once", "skip")
_STATES = ("pending", "delivered", "failed")
_COLORS = {"active": "green", "delivered": "green", "failed": "red", "paused": "yellow"}
ScheduleArgument = Annotated[
    list[str], typer.Argument(metavar="SCHEDULE", help="Ids of schedules, or the ends of ids.")
]


def add(
    common: CommonOptions,
    workflow: WorkflowArgument,
    rule: Annotated[
        list[str],
        typer.Argument(
            metavar="RULE",
            help="When jobs start: every 90m, daily 02:00, weekdays 08:30, mon,thu 18:00, or "
            "endless.",
        ),
    ],
    set_: SetOption = None,
    to: ToOption = None,
    saved: SavedOption = False,
    name: Annotated[
        str, typer.Option(metavar="TEXT", help="Name of the schedule and of its jobs.")
    ] = "",
    zone: Annotated[
        str,
        typer.Option(
            metavar="ZONE",
            help="Time zone of RULE, such as Europe/Berlin  [default: that of the server]",
        ),
    ] = "",
    seeds: Annotated[
        str,
        typer.Option(metavar="HOW", help="Seeds of each job: random, increment or same."),
    ] = "random",
    missed: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            help="If its time passed while no server ran: once submits one job, skip none.",
        ),
    ] = "once",
    until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Time after which it fires no more.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(metavar="N", help="Number of jobs after which it ends.", min=1)
    ] = None,
    tag: TagsOption = None,
    priority: PriorityOption = 0,
    webhook: WebhookOption = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Run a workflow again and again: at times, or without end.

    A schedule survives restarts of the server. endless starts the next job when the last one has
    ended, until you pause or remove the schedule, or cancel its job. A schedule starts no job
    while its last one still waits. --set also takes the workflow's named parameters.
    """
    _check("--seeds", seeds, _SEEDS)
    _check("--missed", missed, _MISSED)
    options: ScheduleFields = {"name": name, "zone": zone, "count": count}
    options["seeds"], options["missed"] = seeds, missed  # type: ignore[typeddict-item]
    if until is not None:
        options["until"] = until
    job: JobFields = {"priority": priority, "tags": tag or []}
    if webhook is not None:
        job["webhook"] = "none" if webhook == "none" else {"url": webhook}
    with open_client(server) as client:
        remote = get_remote(client, workflow, ExtraOptions(), is_saved=saved)
        request = RunRequest(to or None, set_ or (), {}, {})
        folder = common.settings().environment(inputs=remote.opened.folder).inputs
        uploader = FileUploader(client, remote.types, folder, quiet=json)
        ready, _ = apply_request(remote, request)
        job["targets"] = request.targets
        document = uploader.upload_workflow_files(ready)
        added = client.schedules.add(" ".join(rule), document, job=job, **options)
    if json:
        print_json(asdict(added))
        return FINE
    # Alone on stdout, so that a script can take it.
    echo(added.id)
    first = "now" if added.due is None else f"at {format_time(added.due)}"
    echo_stderr(f"Its first job starts {first}. `nodegraph schedules` lists all.")
    return FINE


def _check(option: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InvalidValue(
            f"{option} {value} is not known",
            expected=" or ".join(known),
            hint=did_you_mean(value, known) or None,
        )


def list_(common: CommonOptions, server: ServerOption = None, json: JsonOption = False) -> int:
    """List the schedules of a server.

    A token sees its owner's schedules; an admin token sees all. `nodegraph schedules` alone does
    the same.
    """
    with open_client(server) as client:
        schedules = client.schedules.list()
    if json:
        print_json({"schedules": [asdict(each) for each in schedules]})
        return FINE
    if not schedules:
        echo("No schedules.")
        return FINE
    names = ("id", "rule", "state", "next", "jobs", "name")
    heads = [(head, "bold") for head in names]
    print_table([heads, *(_schedule_row(each) for each in schedules)])
    for each in schedules:
        if each.error:
            echo_stderr(f"{each.id}: {each.error}")
    return FINE


def _schedule_row(schedule: Schedule) -> list[StyledText]:
    if schedule.due is not None:
        due = format_time(schedule.due)
    else:
        due = "after its job" if schedule.state == "active" else ""
    state = (schedule.state, _COLORS.get(schedule.state, ""))
    rule = f"{schedule.rule} {schedule.zone}".rstrip()
    jobs = str(schedule.fired) if schedule.count is None else f"{schedule.fired}/{schedule.count}"
    return [schedule.id, rule, state, due, jobs, format_title(schedule.name)]


def pause(
    common: CommonOptions,
    schedules: ScheduleArgument,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Have schedules start no more jobs.

    Jobs that wait or run continue: `nodegraph cancel` cancels them.
    """
    return _change(server, schedules, "pause", json)


def resume(
    common: CommonOptions,
    schedules: ScheduleArgument,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Have paused schedules start jobs again, from their next time on."""
    return _change(server, schedules, "resume", json)


def remove(
    common: CommonOptions,
    schedules: ScheduleArgument,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Remove schedules. Their jobs stay."""
    return _change(server, schedules, "remove", json)


def run(
    common: CommonOptions,
    schedules: ScheduleArgument,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Start the next job of schedules now.

    Their times stay. It also works for schedules that are paused.
    """
    return _change(server, schedules, "run", json)


_DONE = {"pause": "Paused", "resume": "Resumed", "remove": "Removed"}


def _change(server: str | None, names: Sequence[str], action: str, json: bool) -> int:
    documents: list[dict[str, Any]] = []
    with open_client(server) as client:
        known = client.schedules.list()
        # All are found before one is changed.
        chosen = [_find(known, name) for name in names]
        for each in chosen:
            if action == "run":
                job = client.schedules.run(each)
                documents.append(asdict(job))
                if not json:
                    echo(job.id)
            elif action == "remove":
                client.schedules.remove(each)
                documents.append(asdict(each))
            else:
                change = client.schedules.pause if action == "pause" else client.schedules.resume
                documents.append(asdict(change(each)))
    if json:
        print_json({"jobs" if action == "run" else "schedules": documents})
    elif action != "run":
        echo(f"{_DONE[action]} {pluralize(len(chosen), 'schedule')}.")
    return FINE


def _find(known: Sequence[Schedule], name: str) -> Schedule:
    """The schedule of an id, or of the end of one."""
    matches = [each for each in known if each.id == name or each.id.endswith(name)]
    if len(matches) == 1 and name:
        return matches[0]
    raise InvalidValue(
        "several schedules end in this" if matches else "there is no such schedule",
        given=name,
        hint="`nodegraph schedules` lists them.",
    )


# Webhooks.

DeliveryArgument = Annotated[str, typer.Argument(metavar="DELIVERY", help="Id of a delivery.")]


def list_deliveries(
    common: CommonOptions,
    state: Annotated[
        str | None,
        typer.Option(metavar="STATE", help="Only deliveries that are pending, delivered or failed"),
    ] = None,
    job: Annotated[str | None, typer.Option(metavar="JOB", help="Only those of this job.")] = None,
    limit: Annotated[
        int, typer.Option(metavar="N", help="List at most this many", min=1, max=10_000)
    ] = 20,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """List deliveries to webhooks, the newest first.

    A token sees those of its owner's jobs; an admin token sees all. `nodegraph webhooks` alone does
    the same.
    """
    if state is not None:
        _check("--state", state, _STATES)
    with open_client(server) as client:
        deliveries = list(client.webhooks.list(state=state, job=job, most=limit))
    if json:
        print_json({"deliveries": [asdict(each) for each in deliveries]})
        return FINE
    if not deliveries:
        echo("No deliveries.")
        return FINE
    heads = [(head, "bold") for head in ("id", "event", "state", "attempts", "next", "last error")]
    print_table([heads, *(_delivery_row(each) for each in deliveries)])
    return FINE


def _delivery_row(delivery: Delivery) -> list[StyledText]:
    state = (delivery.state, _COLORS.get(delivery.state, ""))
    due = "" if delivery.due is None else format_time(delivery.due)
    own: list[StyledText] = [delivery.id, delivery.event, state, str(delivery.attempts)]
    return [*own, due, delivery.error or ""]


def show_delivery(
    common: CommonOptions,
    delivery: DeliveryArgument,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Show what became of a delivery."""
    with open_client(server) as client:
        shown = client.webhooks.get(delivery)
    return _print(shown, json)


def _print(delivery: Delivery, json: bool) -> int:
    if json:
        print_json(asdict(delivery))
        return FINE
    rows: list[tuple[StyledText, ...]] = [
        ("event", delivery.event),
        ("of", f"{format_time(delivery.created)}, job {delivery.job} of {delivery.client}"),
        ("to", delivery.url),
        ("state", (delivery.state, _COLORS.get(delivery.state, ""))),
        ("attempts", str(delivery.attempts)),
    ]
    if delivery.status is not None:
        rows.append(("last status", str(delivery.status)))
    if delivery.error is not None:
        rows.append(("last error", delivery.error))
    if delivery.due is not None:
        rows.append(("next", format_time(delivery.due)))
    if delivery.ended is not None:
        rows.append(("ended", format_time(delivery.ended)))
    echo((delivery.id, "bold"))
    print_table(rows, indent=2)
    return FINE


def replay(
    common: CommonOptions,
    delivery: DeliveryArgument,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Deliver once more, from now on.

    The delivery keeps its id, so a receiver that has handled it may ignore it.
    """
    with open_client(server) as client:
        replayed = client.webhooks.replay(delivery)
    return _print(replayed, json)


def send_test(
    common: CommonOptions,
    url: Annotated[
        str | None,
        typer.Argument(
            metavar="URL", help="Address of the receiver  [default: the webhook of the token]"
        ),
    ] = None,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Send a test event to a webhook now, and show how it went."""
    with open_client(server) as client:
        outcome = client.webhooks.test(url)
    if json:
        print_json(asdict(outcome))
    elif outcome.delivered:
        echo(f"{outcome.url} took it, with status {outcome.status}.")
    else:
        echo(f"{outcome.url} did not take it: {outcome.error}.")
    return FINE if outcome.delivered else FAILED


def secret(
    common: CommonOptions,
    hours: Annotated[
        float,
        typer.Option(
            metavar="N", help="Hours for which the former secret signs deliveries as well", min=0
        ),
    ] = 24.0,
    server: ServerOption = None,
    json: JsonOption = False,
) -> int:
    """Make a new secret for your webhooks, and show it once.

    Receivers check signatures with it. For --hours, deliveries have two signatures, so that
    receivers can change to the new secret meanwhile.
    """
    with open_client(server) as client:
        made = client.webhooks.new_secret(hours=hours)
    if json:
        print_json({"secret": made})
        return FINE
    # Alone on stdout, so that a script can take it.
    echo(made)
    echo_stderr("This is the secret of your webhooks. It is shown only once.")
    return FINE
