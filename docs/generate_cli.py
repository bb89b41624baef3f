"""Write docs/cli.md from the signatures and docstrings of the commands.

python docs/generate_cli.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import Parameter, getdoc
from pathlib import Path
from typing import Any, get_args

from nodegraph.cli.app import command_function, command_names
from nodegraph.cli.argument_scan import argument_of, declarations, option_of
from nodegraph.cli.options import common_options, declared_options

TARGET = Path(__file__).with_name("cli.md")
INTRODUCTION = """# Commands

Generated from the commands themselves by `python docs/generate_cli.py`. `nodegraph --help` and
`nodegraph COMMAND --help` say the same in a terminal.

Exit codes: 0 fine, 1 a run failed, 2 bad input, 130 cancelled. Results go to stdout, everything
else to stderr. With `--json`, stdout holds one JSON document and nothing else. If the input was
bad, the document has `problems`: a list of objects with a `code`, a `message` and, as far as known,
`node`, `node_type`, `port`, `given`, `expected` and `hint`.

Settings come from the options, then from `NODEGRAPH_*` variables (`NODEGRAPH_HOME`,
`NODEGRAPH_MODELS`, …), then from `config.toml`; `nodegraph doctor` shows the folders in force.
`submit`, `jobs`, `queue`, `watch`, `cancel` and `pull` talk to a server that `serve` started.
Programs can do the same: [client.md](client.md).
"""
RUN = """The named parameters of a workflow are options of `run`, with their own types and
defaults:

```console
$ nodegraph run text_to_image.json --prompt "a fox" --seed 3
$ nodegraph run text_to_image.json --set sample.cfg=6 --seeds 1,2,5-8 --out foxes
$ nodegraph run output/apple_00001.png --seed 4
```

`--set` takes `NODE.INPUT=VALUE` and also `PARAMETER=VALUE`. The input's type says how a
value is read: text as it is, numbers as numbers, lists and objects as JSON. `{"from":
"node.port"}` is a link.

The workflow's named parameters are options, too: `--seed 4`, and `--redrawn-as` for `redrawn as`.
A parameter with the name of an option of `run` gets a prefix: `color` becomes
`--parameter-color`, as there is `--no-color`. `nodegraph validate` warns about these.

`--repeat` and `--seeds` change the seeds that are plain numbers in the workflow. A failure
ends the series.

`--rows` runs once for each row of a table. It is a CSV file whose first line names the
columns, or a file with a JSON object per line (.jsonl). Columns are parameters, or inputs
such as `sample.seed`. An empty cell, and `null` in JSON, leaves the workflow's value. All
rows are checked before the first one runs. The same option of `submit` queues a job for
each row.

`--deadline` holds for each run of a series. It ends a run at the next step, as Ctrl-C does,
and finished results stay. The exit code is 1.

`--check-mutation` compares the digests of the tensors in a node's inputs before and after
its call. A node that changed one fails, and the error names the input: other nodes and
later runs may use the same value.

`--json` prints a document with these fields. A series of runs has one such document for each run,
under `runs`.

| field | |
|---|---|
| `status` | `ok`, `failed` or `cancelled` |
| `reason` | why the run was cancelled, for example `deadline of 30 s passed` |
| `seconds` | duration of the run |
| `files` | `path`, `node`, `kind`, and `existed` if the same file was there before |
| `nodes` | by name: `status`, `seconds`, `calls`, `cached`, `source`, `saved`, `warnings` |
| `nodes.*.source` | where a cached result was: `memory`, `disk`, `files` (still there), \
or `shared` with a call that ran at the same time |
| `nodes.*.saved` | seconds that the cached calls had taken |
| `nodes.*.warnings` | warnings about the results |
| `errors` | problems, with the node's `inputs` and the pack's `trace` |

`--trace out.json` writes a trace in Chrome's format, for [Perfetto](https://ui.perfetto.dev). Each
run is a process. Each lane has a track, and more tracks if it works on several calls at the same
time. The trace has calls, their steps, waiting, cache hits and memory. It is written during the
run, and is complete even if the run fails or its process is killed.

Spans for OpenTelemetry need the extra, `pip install 'nodegraph[otel]'`, and are exported where the
standard variables say: `OTEL_EXPORTER_OTLP_ENDPOINT`, or `OTEL_TRACES_EXPORTER=console` to see them
on stderr. `OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_TRACES_SAMPLER`,
`OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_SDK_DISABLED` work as in other programs. Your own
programs pass `nodegraph.observe.spans.SpanListener(tracer)` to `Session.run` as its
listener.
"""
REPLAY = """```console
$ nodegraph replay output/apple_00002.png --verify
output/apple_00002.png: differs (6 nodes, 1.4 s)
  first node that differs: `sample` (KSampler): latent
  because: numerical settings that affect its last bits: 1 thread → 2 threads
    Set OMP_NUM_THREADS=1 to compute with as many threads.
  largest difference 1/255, PSNR 95.0 dB, SSIM 1.0000, under 0.1% of the pixels differ
```

What is compared and how models are found: [provenance.md](provenance.md#replay).

`--verify --json` prints a document with these fields:

| field | |
|---|---|
| `verdict` | `identical`, `same-content` or `differs` |
| `node` | the first node that differs: `node`, `type`, `outputs`, `reasons`; null without one |
| `node.reasons[].kind` | `weights`, `version`, `code`, `numerics`, `input`, `outside`, \
`nondeterministic` or `encoder` |
| `figures` | `max`, `share`, `psnr`, `ssim`, `snr`, `worst_frame`, as far as they apply |
| `texts` | names of texts in the file that differ |
| `changes` | what differs between the two runs, also if the values are the same |
| `notes` | what is not known |
| `written` | the new file, with `--out` |

If something is missing, the document has `problems`, and `missing` with `models`, `packs` and
`inputs`.
"""
PLAN = """```console
$ nodegraph plan text_to_image.json --seed 77
node      type          time   memory   plan
load      LoadModel                     cached on disk
size      EmptyLatent                   cached on disk
positive  EncodePrompt                  cached on disk
sample    KSampler      1.4 s  4.2 MB   runs
decode    VAEDecode     60 ms  12.6 MB  may run
save      SaveImage     7 ms   ?        may run
```

A node *may run* if it waits for one that runs: if that gives the same result as before, the
earlier result is used. A node that the workflow needs only in some cases *runs if it is
asked for*. Times come from earlier calls of the node type with inputs of this shape on this
device. With `≈` they come from other shapes, or from the node's own estimate. Sums are "at
least" where some are unknown.

If the workflow has problems, or a model or a pack is missing, the exit code is 2. The plan
then covers the rest and names what is missing.

`--json` prints a document with these fields:

| field | |
|---|---|
| `valid` | whether the workflow has no problems |
| `nodes.*.status` | `hit`, `run`, `lazy` or `skip` |
| `nodes.*.certain`, `reason` | whether the status is certain, and why |
| `nodes.*.place` | where the cached result is |
| `nodes.*.calls`, `cached` | number of calls, and how many of them are cached |
| `nodes.*.seconds`, `memory`, `basis` | expected time and memory, \
and where these figures come from |
| `nodes.*.needs` | the nodes it waits for |
| `totals` | `counts` by status, `seconds`, `sure_seconds` of nodes that certainly run, \
`memory` and `load` by device, and how much of each is unknown |
| `missing` | `models` and `packs` |
| `problems` | as in the introduction |
"""
WHY = """```console
$ nodegraph why text_to_image.json decode --seed 77
sample (KSampler) would run:
  input seed: 7 → 77
  (compared with run 20261120-112405-mk9m, 2026-11-20 11:24:10)
decode (VAEDecode) may run:
  input latent: `sample` runs first
```

With a node's name, it shows that node and those before it that make it run.
"""
RUNS_SHOW = """An id begins with the time at which the run began; its start or its end is enough.
`last` stands for the last run, `last~1` for the one before.

```console
$ nodegraph runs show last --workflow > again.json
$ nodegraph runs compare last~1 last
```
"""
EXPORT = """Move results from one machine to another:

```console
$ nodegraph cache export results.nodegraph text_to_image.json
$ nodegraph cache import results.nodegraph
```
"""
SUBMIT = """```console
$ nodegraph submit text_to_image.json --prompt "a fox" --seed 3
job_01m7x026gapbfpc76tkrmx29gm
$ nodegraph submit image_to_image.json --image apple.png --out pictures
Uploaded apple.png, 5.6 kB.
…
pictures/apple_00001.png
```

`--server` or `NODEGRAPH_SERVER` sets the server's address. If the server needs a token, set
`NODEGRAPH_TOKEN`. The server knows which inputs take files and which options the parameters
are, so node packs need not be installed here. Paths in a workflow start at the workflow's
folder, as with `run`; a path that is no file of this machine stays as it is. `--watch` and
`--out` show the job's progress, as `watch` does.

`--json` prints the job: immediately, or with `--watch` after it ends. With `--out`, its `files`
have
a `path`, `node`, `kind`, `digest`, and `existed` if the same file was there before.
"""
WATCH = """The exit code says how the job ended: 0 finished, 1 failed, 130 cancelled (or you
stopped watching). `--events` prints a line for each event as [websocket.md](websocket.md#kinds)
describes it.
"""
JOBS_RETRY = """If the command fails for one of several jobs, it reports that and does the
others; the exit code is 2. `jobs hold`, `jobs unhold`, `jobs delete` and `cancel` do the same. If
a name matches no job, or several, it does nothing.
"""
JOBS_MOVE = """```console
$ nodegraph queue pause
The queue is paused.
$ nodegraph jobs move mx29gm --first
job_01m7x026gapbfpc76tkrmx29gm  queued, priority 0
$ nodegraph queue resume
The queue is running.
```
"""
DIFF = """```console
$ nodegraph diff a.json b.json
renamed node `sample` to `sampler`
changed node `sampler`, input `steps`: 20 → 30
added   node `up` (Upscale)
3 more changes of layout or stated versions; --layout lists them.
$ nodegraph diff last~1 output/apple_00001.png --html changes.html
```

A removed node takes the links to it along, and a renamed one keeps them: each is one entry. A
model whose digest the workflow states is shown with it. The exit code is 0; with `--exit-code` it
is 1 if the workflows differ. [workflow-file.md](workflow-file.md#workflows-in-git) shows how to set
it up for git.

`--json` prints a document with these fields:

| field | |
|---|---|
| `changes.*.change` | `added`, `removed`, `renamed` or `changed` |
| `changes.*.kind` | such as `node`, `input`, `link`, `type`, `version`, `mode`, `parameter`, \
`comment`, `layout` |
| `changes.*.path` | keys, and `{"id": …}` or `{"is": …}` in lists: for removed and renamed parts \
in the first workflow, for all others in the second |
| `changes.*.before`, `after` | the values, or the names of a renamed part |
| `changes.*.moved` | fields that come or go with a part: links to it, its position |
| `models.first`, `models.second` | digests of models by name, where the workflow states them |
"""
MERGE = """```console
$ nodegraph merge base.json ours.json theirs.json
conflict: node `sample`, input `seed`: both sides changed it; ours stays
  base: 3
  ours: 4
  theirs: 5
```

Exit codes: 0 merged, 1 merged with conflicts, 2 not merged, and nothing was written. These are
conflicts:

- Both sides changed one field.
- One side removed what the other changed, renamed or needs.
- Both added a node of one name. Both are kept, and that of theirs gets another name.
- Links of both sides would close a cycle.

A node that both sides moved is noted, and the exit code stays 0. With `--git`, a file that is no
workflow is merged by lines, with the exit code 1 if there are conflicts.
[workflow-file.md](workflow-file.md#workflows-in-git) shows how to set it up for git.
"""
LINT = """| code | meaning |
|---|---|
| `unused-node` | no node uses its outputs, and it writes no result |
| `unreached-output` | other nodes use it, but none of them leads to a result |
| `unused-subgraph` | no node has this type |
| `deprecated` | the type is deprecated; the hint has its replacement |
| `unpinned-model` | the workflow states no SHA-256 digest of the model |
| `random-seed` | the editor changes the seed before each run |

All other codes are those of `validate`, such as `unknown-node-type`. The exit code is 1 if there
are findings. `--ignore CODE` leaves out those of one code.
"""
FMT = """`--check` writes nothing, and exits with 1 if a file would change: for continuous
integration, or a hook of git. A file that cannot be read is reported, the others are written, and
the exit code is 2. `nodegraph migrate` does the same.
"""
MORE = {
    "run": RUN,
    "replay": REPLAY,
    "plan": PLAN,
    "why": WHY,
    "lint": LINT,
    "fmt": FMT,
    "diff": DIFF,
    "merge": MERGE,
    "submit": SUBMIT,
    "jobs retry": JOBS_RETRY,
    "jobs move": JOBS_MOVE,
    "watch": WATCH,
    "runs show": RUNS_SHOW,
    "cache export": EXPORT,
}


def reference() -> str:
    """The whole page."""
    sections = [_command(name) for name in command_names()]
    common = ["## Options of every command", "", *_table(common_options()), ""]
    return "\n".join([INTRODUCTION, *sections, "\n".join(common)])


def _command(name: str) -> str:
    function = command_function(name)
    declared = {
        key: parameter
        for key, parameter in declared_options(function).items()
        if key not in ("common", "more")
    }
    arguments = "".join(f" {text}" for text in _arguments(declared))
    about = getdoc(function) or ""
    lines = [f"## nodegraph {name}", "", f"`nodegraph {name}{arguments} [OPTIONS]`", "", about, ""]
    lines += [*_table(declared), ""] if declared else []
    return "\n".join([*lines, MORE[name]] if name in MORE else lines)


def _arguments(declared: Mapping[str, Parameter]) -> Iterator[str]:
    for parameter in declared.values():
        argument = argument_of(parameter)
        if argument is not None:
            several = "..." if "list" in str(get_args(parameter.annotation)[0]) else ""
            text = f"{argument.metavar}{several}"
            yield text if parameter.default is Parameter.empty else f"[{text}]"


def _table(declared: Mapping[str, Parameter]) -> list[str]:
    rows = [_row(name, parameter) for name, parameter in declared.items()]
    return ["| | |", "|---|---|", *rows]


def _row(name: str, parameter: Parameter) -> str:
    option = option_of(parameter) or argument_of(parameter)
    assert option is not None, f"`{name}` has no help"
    return f"| {_written(name, parameter, option)} | {_cell(option.help)} |"


def _written(name: str, parameter: Parameter, option: Any) -> str:
    if argument_of(parameter) is not None:
        return f"`{option.metavar}`"
    metavar = f" {option.metavar}" if option.metavar else ""
    return ", ".join(f"`{text}{metavar}`" for text in declarations(name, option))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("  [", " [")


if __name__ == "__main__":
    TARGET.write_text(reference(), encoding="utf-8")
