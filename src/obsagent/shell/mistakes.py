"""The caret of an error, put under the words as they stand behind the prompt."""

from __future__ import annotations

from textwrap import wrap

INDENT = 4


def under_prompt(message: str, entry: str, prompt_columns: int, width: int) -> str:
    """The message with its carets under the entry that was typed behind the prompt, if it still stands there.

    An entry of several lines, or one that was wrapped, is shown again with its carets, as everywhere else.
    """
    lines = message.splitlines()
    if len(lines) != 3 or lines[1].strip() != entry or prompt_columns + len(entry) >= width:
        return message
    carets = " " * prompt_columns + lines[2][INDENT:]
    return "\n".join([carets, *wrap(lines[0], width)])
