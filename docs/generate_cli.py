"""Write docs/cli.md from the signatures and docstrings of the commands.

python docs/generate_cli.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from inspect import Parameter, getdoc
from pathlib import Path
from typing import Any, get_args

from nodegraph.cli.commands import COMMANDS, command_function
from nodegraph.cli.functions import declared_options
from nodegraph.cli.options import common_options
from nodegraph.cli.scan import argument_of, declarations, option_of

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
"""
RUN = """The named parameters of a workflow are options of `run`, with types and defaults of their
own:

```console
$ nodegraph run text_to_image.json --prompt "a fox" --seed 3
$ nodegraph run text_to_image.json --set sample.cfg=6 --seeds 1,2,5-8 --out foxes
$ nodegraph run output/apple_00001.png --seed 4
```

`--set` takes `NODE.INPUT=VALUE` and also `PARAMETER=VALUE`. A value is read as the input takes it:
text stands for itself, numbers are numbers, lists and objects are JSON, and
`{"from": "node.port"}` links.

`--repeat` and `--seeds` change the seeds that stand as plain numbers in the workflow. A failure
ends the series.

The document that `--json` prints has `status` (`ok`, `failed` or `cancelled`), `seconds`, `files`
(`path`, `node`, `kind`, and `existed` if the same file was there before), `nodes` (`status`,
`seconds`, `calls`, `cached`) and `errors` (a problem with the node's `inputs` and the pack's
`trace`); of several runs it has one such document each under `runs`.
"""


def reference() -> str:
    """The whole page."""
    sections = [_command(name) for name in COMMANDS]
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
    return "\n".join([*lines, RUN] if name == "run" else lines)


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
