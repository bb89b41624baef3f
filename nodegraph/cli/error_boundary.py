"""Turn errors into messages and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from typing import Any

from nodegraph.cli.output import BAD_INPUT, CANCELLED, FAILED, FINE, BrokenStdout

_READER_GONE = 141
"""What a shell reports of a program that was ended by SIGPIPE."""

_UNUSABLE = {errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP}
"""Of places that were given: some are raised where it is only asked whether something is there."""

_NO_HOME = "determine home directory"
"""Of what `Path.expanduser` raises."""


def run_guarded(arguments: Sequence[str]) -> int:
    """Run a command line; whatever was expected to go wrong is told without a traceback."""
    from nodegraph.cli.output import prepare_streams

    prepare_streams()
    try:
        code = _run(list(arguments))
        sys.stdout.flush()
    except (BrokenPipeError, BrokenStdout):
        # What is still buffered has no reader either: let the flush at the exit go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _READER_GONE
    except KeyboardInterrupt:
        return CANCELLED
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print("error: cannot write to stdout: no space left", file=sys.stderr)
        return FAILED
    return code


def _run(arguments: list[str]) -> int:
    import typer

    from nodegraph.cli.app import application
    from nodegraph.cli.options import MissingCommand
    from nodegraph.errors import NodegraphError

    usage_error: Any = typer.BadParameter.__base__  # public by its subclass only
    try:
        result = application().main(arguments, prog_name="nodegraph", standalone_mode=False)
    except usage_error as error:
        return _report_usage_error(error, arguments)
    except NodegraphError as error:
        return _report_error(error, arguments)
    except MissingCommand as error:
        print(error, file=sys.stderr)
        return BAD_INPUT
    except typer.Abort:
        return CANCELLED
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _UNUSABLE and error.filename:
            return _report_error(_path_error(error), arguments)
        if isinstance(error, RuntimeError) and _NO_HOME in str(error):
            return _report_error(_home_error(arguments), arguments)
        # Not by its class: that would take an import that most commands do without.
        if not any(kind.__module__ == "sqlite3" for kind in type(error).__mro__):
            raise
        return _report_error(_index_fault(error), arguments)
    return result if isinstance(result, int) else FINE


def _report_error(error: Any, arguments: list[str]) -> int:
    from nodegraph.cli.output import print_problems, problems_document

    if _wants_json(arguments):
        from nodegraph.cli.output import print_json

        print_json(problems_document(error.problems))
    else:
        print_problems(error.problems)
    return BAD_INPUT


def _path_error(error: OSError) -> Any:
    from nodegraph.errors import OutputError

    return OutputError(f"cannot use `{error.filename}`: {error.strerror}")


def _home_error(arguments: list[str]) -> Any:
    from nodegraph.errors import InvalidValue

    return InvalidValue(
        "a path begins with `~`, and the home folder that it stands for is not known",
        given=", ".join(word for word in arguments if "~" in word) or None,
        hint="Write the path of the folder.",
    )


def _index_fault(error: Exception) -> Any:
    from nodegraph.errors import OutputError

    return OutputError(
        f"the store's index cannot be used: {error}",
        hint="`nodegraph cache verify` checks whether it is damaged. To start with an empty store, "
        "remove its folder, which `nodegraph doctor` shows. Results are then computed again.",
    )


def _report_usage_error(error: Any, arguments: list[str]) -> int:
    from nodegraph.cli.output import echo_stderr
    from nodegraph.errors import Problem

    message = _message(error)
    if _wants_json(arguments):
        from nodegraph.cli.output import print_json, problems_document

        print_json(problems_document([Problem("usage", message)]))
        return BAD_INPUT
    context = error.ctx
    if context is not None:
        echo_stderr(context.get_usage())
        echo_stderr(f"`{context.command_path} --help` lists the commands and options.\n")
    echo_stderr(("error:", "red"), f" {message}")
    return BAD_INPUT


def _message(error: Any) -> str:
    """What is wrong with the command line, with the names that are nearest."""
    name = getattr(error, "option_name", None)
    if type(error).__name__ != "NoSuchOption" or name is None:
        return str(error.format_message())
    from nodegraph.core.suggest import nearest

    options = [text for item in error.ctx.command.params for text in item.opts] if error.ctx else []
    renamed = f"--parameter-{name.lstrip('-')}"  # see `scan.option_spellings`
    near = renamed if renamed in options else nearest(name, options)
    return f"there is no option `{name}`." + (f" Did you mean `{near}`?" if near else "")


def _wants_json(arguments: list[str]) -> bool:
    # Not from the parsed options: what is wrong may be that they can't be parsed.
    return "--json" in arguments
