"""The `obsagent` command. Each subcommand is one module here: its docstring is its help.

A command module has `add_arguments(parser)` and `run(args) -> int`; only the chosen one is imported, so that a
question costs no more start-up than it must. Results go to stdout, everything else to stderr. Exit codes:
0 ok, 1 failed, 2 usage, 3 `query --exit-match` has matched, 78 bad configuration; errors carry theirs
(`obsagent.errors`).
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from obsagent.errors import ObsagentError, UsageError

TYPE_CHECKING = False  # in the modules on a question's path, what only annotations need is not loaded
if TYPE_CHECKING:
    from collections.abc import Sequence

PROGRAM = "obsagent"
INTERRUPTED = 130  # 128 + SIGINT, as shells report it
AGENT_PACKAGES = (
    "numpy",
    "prompt_toolkit",
    "psutil",
    "regex",
    "rich",
    "starlette",
    "uvicorn",
    "zstandard",
)  # as the extra `agent` lists them: a client alone has none

COMMANDS = {
    "agent": "run the agent: receive samples, keep them, answer questions",
    "completion": "print a script for completion in bash, zsh or fish",
    "config": "check a configuration, or show what is in force",
    "control": "have a running agent reload, or write a checkpoint",
    "demo": "serve a real model under load and watch it",
    "drift": "show which features of a model have drifted from its reference",
    "forget": "forget what is known of a request",
    "fsck": "check a store for damage, and repair it",
    "init": "write a configuration file with every key, its meaning and its default",
    "keys": "make, list and revoke keys for tcp",
    "list": "list what there is to ask about",
    "performance": "show how good models are, by their truths and before them",
    "quality": "show what is wrong with the data that models are given",
    "query": "ask for quantiles, rates and counts",
    "reference": "freeze training data as a model's reference; show and compare references",
    "shell": "ask interactively, with completion and help",
    "show": "show what is known of one request: prediction, truth, row",
    "status": "show what the agent has received, kept and lost",
    "top": "watch every service live",
    "truth": "bring in what turned out to be true, from a file",
}
"""Commands and what the overview says of them."""

# fmt: off
NOT_BUILT = (
    "logs", "traces", "alerts", "export",
)
# fmt: on
"""Commands that the product will have; typing one is no typing error."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line `argv` (default: this process's) and returns its exit code."""
    arguments = [*(sys.argv[1:] if argv is None else argv)]  # `list` is a command's module here, once imported
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without ± or · is no reason to fail
    try:
        code = _dispatch(arguments)
        print(end="", flush=True)  # unlike `sys.stdout.flush`, nothing where there is no stdout
    except ObsagentError as error:
        print(f"{_program(arguments)}: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if error.name not in AGENT_PACKAGES:
            raise
        print(f"{_program(arguments)}: needs {error.name}: pip install 'obsagent[agent]'", file=sys.stderr)
        return ObsagentError.exit_code
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough (`| head`). Python would complain once more when it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return code


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(overview())
        return 0 if arguments else UsageError.exit_code
    name, *rest = arguments
    if name in ("-V", "--version"):
        from obsagent import __version__

        print(f"{PROGRAM} {__version__}")
        return 0
    if name == "complete":  # what the shells' scripts call; no command for people
        from obsagent.cli.complete import run

        return run(rest)
    if name not in COMMANDS:
        raise _unknown(name)
    return _run(name, rest)


def _run(name: str, arguments: list[str]) -> int:
    from argparse import ArgumentParser
    from importlib import import_module

    from obsagent.cli.help import HelpFormatter

    command = import_module(f"{__name__}.{name}")
    parser = ArgumentParser(
        prog=f"{PROGRAM} {name}",
        description=command.__doc__,
        formatter_class=HelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    try:
        args = parser.parse_intermixed_args(arguments)
    except SystemExit as ended:  # argparse has said what is wrong, or printed the help
        return ended.code if isinstance(ended.code, int) else UsageError.exit_code
    code: int = command.run(args)
    return code


def overview() -> str:
    """What `obsagent --help` prints."""
    width = max(map(len, COMMANDS))
    lines = [f"    {name:<{width}}   {summary}" for name, summary in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND [...]",
            "",
            "Watches machine-learning models in production.",
            "",
            *lines,
            "",
            f"{PROGRAM} COMMAND --help says more about one command, {PROGRAM} --version which version this is.",
        ]
    )


def _unknown(name: str) -> UsageError:
    if name in NOT_BUILT:
        return UsageError(f"the command `{name}` is not built yet; there are {', '.join(COMMANDS)}")
    import difflib

    near = difflib.get_close_matches(name, [*COMMANDS, *NOT_BUILT], 1)
    hint = f"did you mean `{near[0]}`?" if near else f"there are {', '.join(COMMANDS)}"
    what = "option" if name.startswith("-") else "command"
    return UsageError(f"there is no {what} `{name}`; {hint}")


def _program(arguments: list[str]) -> str:
    return f"{PROGRAM} {arguments[0]}" if arguments and arguments[0] in COMMANDS else PROGRAM
