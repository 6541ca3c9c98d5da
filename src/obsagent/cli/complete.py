"""What the scripts of `obsagent completion` call at each Tab.

    obsagent complete bash POINT LINE            COMP_POINT and COMP_LINE
    obsagent complete zsh|fish WORD... PARTIAL   the words before the cursor, without their quotes, and the one under
                                                 it as it was typed

Prints one candidate a line, for zsh and fish with a tab and its description behind it. Exit code 3 asks for the
names of files instead. Nobody wants to read an error there: whatever goes wrong, there are no candidates; an agent
that does not answer at once is done without.
"""

from __future__ import annotations

from argparse import Action, ArgumentParser
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from obsagent.errors import ObsagentError

AGENT_TIMEOUT_S = 0.15
FILES = 3
FILE_OPTIONS = frozenset({"--data", "--config", "--key", "--keys", "--out", "--output", "--importance"})
FILE_ACTIONS = {"reference": ("fit", "show", "diff"), "config": ("check", "show")}
"""Commands whose words behind these actions are files."""
SHELLS = ("bash", "zsh", "fish")


class Choice(NamedTuple):
    """A whole word that may stand in place of the one under the cursor."""

    text: str
    description: str = ""


class WantsFiles(Exception):
    """The names of files may stand here."""


def run(arguments: Sequence[str]) -> int:
    """Prints the candidates."""
    from obsagent.cli.shell_words import cut_for_bash, split_line

    if len(arguments) < 3 or arguments[0] not in SHELLS:
        return 0
    shell, *rest = arguments
    try:
        if shell == "bash":
            line = split_line(rest[1][: int(rest[0])])
            for text in cut_for_bash([choice.text for choice in choices(line.words[1:], line.partial)], line):
                print(text)
        else:
            for text, description in choices(rest[1:-1], split_line(rest[-1]).partial):
                print(f"{text}\t{description}")
    except WantsFiles:
        return FILES
    except (ObsagentError, ValueError):
        pass
    return 0


def choices(words: Sequence[str], partial: str) -> list[Choice]:
    """What may stand in place of `partial` behind the words after `obsagent`. Raises `WantsFiles`.

    A value that must be quoted may begin otherwise than `partial`.
    """
    from obsagent.cli import COMMANDS

    if not words:
        return _begun([Choice(name, summary) for name, summary in COMMANDS.items()], partial)
    return _of_command(words[0], words[1:], partial) if words[0] in COMMANDS else []


def _begun(every: Iterable[Choice], partial: str) -> list[Choice]:
    return [choice for choice in every if choice.text.startswith(partial)]


def _of_command(command: str, words: Sequence[str], partial: str) -> list[Choice]:
    from importlib import import_module

    parser = ArgumentParser(add_help=True)
    import_module(f"obsagent.cli.{command}").add_arguments(parser)
    options: dict[str, Action] = parser._option_string_actions
    waiting = options.get(words[-1]) if words else None
    if waiting is not None and waiting.nargs != 0:
        return _begun(_of_option(words[-1], waiting), partial)
    if partial.startswith("-"):
        longest = {id(action): name for name, action in options.items()}
        every = [Choice(name, (options[name].help or "").split(" (default")[0]) for name in longest.values()]
        return _begun(every, partial)
    source, plain = _apart(words, options)
    if command == "query":
        return _of_query(plain, partial, source)
    if command == "list":
        return _begun(_of_list(plain, source), partial)
    if plain and plain[0] in FILE_ACTIONS.get(command, ()):
        raise WantsFiles
    positional = [action for action in parser._actions if not action.option_strings and action.choices]
    return _begun([Choice(str(choice)) for action in positional for choice in action.choices or ()], partial)


def _of_option(name: str, action: Action) -> list[Choice]:
    if name in FILE_OPTIONS:
        raise WantsFiles
    return [Choice(str(choice)) for choice in action.choices or ()]


def _apart(words: Sequence[str], options: dict[str, Action]) -> tuple[dict[str, str], list[str]]:
    """The options' values by name, and the words that belong to none."""
    values: dict[str, str] = {}
    plain: list[str] = []
    name = ""
    for word in words:
        if name:
            values[name], name = word, ""
        elif word in options:
            name = word if options[word].nargs != 0 else ""
        else:
            plain.append(word)
    return values, plain


def _of_query(words: Sequence[str], partial: str, source: dict[str, str]) -> list[Choice]:
    from obsagent.answer.completion import complete

    before = "".join(f"{word} " for word in words)
    text = before + partial
    found = complete(text, len(text), _catalogue(source))
    return [
        Choice(partial[: candidate.start - len(before)] + candidate.text, candidate.description)
        for candidate in found
        if candidate.start >= len(before)
    ]


def _of_list(words: Sequence[str], source: dict[str, str]) -> list[Choice]:
    from obsagent.cli.list import CHOICES, SERVICE_FILTER, VALUES

    catalogue = _catalogue(source)
    if words == [VALUES]:
        labels = {label for metric in catalogue.get("metrics", ()) for label in metric["labels"]}
        return [Choice(label) for label in sorted(labels)]
    services = [Choice(f"{SERVICE_FILTER}{service['name']}") for service in catalogue.get("services", ())]
    return [*services, *([] if words else map(Choice, (*CHOICES, VALUES)))]


def _catalogue(source: dict[str, str]) -> dict[str, Any]:
    """What the agent knows; nothing where none answers at once, or where a store would have to be read first."""
    if "--data" in source:
        return {}
    from obsagent.ask import AgentClient

    try:
        with AgentClient(source.get("--agent"), AGENT_TIMEOUT_S, source.get("--key")) as agent:
            return agent.catalogue()
    except ObsagentError:
        return {}
