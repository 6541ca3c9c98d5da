"""`\\help`: what the shell understands, and every word of the query language explained."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import wrap
from typing import Any

from obsagent.answer.mistakes import did_you_mean
from obsagent.answer.words import CLAUSES, DERIVED, GRAMMAR, OTHERS, STATS, Word, explained
from obsagent.errors import UsageError

COLUMNS = 96


def overview() -> str:
    """The grammar, the words and the commands."""
    from obsagent.shell.commands import COMMANDS

    width = max(map(len, COMMANDS))
    commands = [f"  \\{name:<{width}} {command.__doc__}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            "A query, on one line or on several (a line that ends in \\ or in an open quote goes on):",
            "",
            *(f"  {line}" for line in GRAMMAR.splitlines()),
            "",
            f"  stats    {', '.join(STATS)}",
            f"  clauses  {', '.join(CLAUSES)}",
            "",
            "Behind a query --exemplars adds the slowest requests, --explain what was read, and PromQL.",
            "",
            "Commands:",
            "",
            *commands,
            "",
            "\\help WORD explains a stat, a clause, a metric or a command: \\help under",
        ]
    )


def help_on(word: str, catalogue: Callable[[], dict[str, Any]]) -> str:
    """What one word means; `catalogue` is asked where it may be a metric. Raises `UsageError`."""
    from obsagent.shell.commands import COMMANDS

    name = word.removeprefix("\\")
    if name in COMMANDS and (word.startswith("\\") or explained(name) is None):
        return f"\\{name} {COMMANDS[name].__doc__}"
    found = explained(word)
    if found is not None:
        return _explanation(word, found)
    metrics = {metric["name"]: metric for metric in catalogue().get("metrics", ())}
    if word in metrics:
        return _metric(metrics[word])
    known = [*STATS, *CLAUSES, *OTHERS, *DERIVED, *metrics, *COMMANDS]
    raise UsageError(f"nothing is known of `{word}`{did_you_mean(word, known)}")


def _explanation(name: str, word: Word) -> str:
    return "\n".join([f"{name}: {word.short}", *_indented(word.long), f"  for example: {word.example}"])


def _metric(metric: dict[str, Any]) -> str:
    kind = f"{metric['kind']}{', in ' if metric['unit'] else ''}{metric['unit']}"
    lines = [f"{metric['name']}: a {kind}, {metric['series']:,} series"]
    lines += _indented(metric["help"])
    for label, values in metric["labels"].items():
        lines += _indented(f"{label}: {', '.join(values['values'][:5])}{', …' if values['count'] > 5 else ''}")
    return "\n".join([*lines, f"  for example: {metric['name']} by {next(iter(metric['labels']), 'service')}"])


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in wrap(text, COLUMNS)]
