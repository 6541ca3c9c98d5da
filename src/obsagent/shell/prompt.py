"""The terminal's side of the shell: editing, history, completion, a toolbar."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator

from prompt_toolkit import PromptSession
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.output import ColorDepth
from prompt_toolkit.styles import Style

from obsagent.answer.completion import complete
from obsagent.errors import ObsagentError
from obsagent.shell.commands import COMMANDS
from obsagent.shell.history import private_history
from obsagent.shell.lines import entries, is_open
from obsagent.shell.mistakes import under_prompt
from obsagent.shell.session import FORMATS, Session

PROMPT = "obsagent> "
GOES_ON = "......... "
STYLE = Style.from_dict({"bottom-toolbar": "noreverse dim", "prompt": "bold"})
QUERY_COMMANDS = ("watch",)
SWITCH_COMMANDS = ("exemplars", "timing")


class EntryCompleter(Completer):
    """Completes queries, commands, and the queries inside commands."""

    def __init__(self, session: Session) -> None:
        """What the session's source has is asked when it is needed."""
        self._session = session

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterator[Completion]:
        """The candidates at the cursor."""
        text = document.text_before_cursor
        if text.startswith("\\"):
            yield from self._of_command(text)
        else:
            yield from self._of_query(text)

    def _of_query(self, text: str) -> Iterator[Completion]:
        for candidate in complete(text, len(text), self._session.catalogue()):
            yield Completion(
                candidate.text,
                candidate.start - len(text),
                display_meta=candidate.description,
            )

    def _of_command(self, text: str) -> Iterator[Completion]:
        name, space, argument = text[1:].partition(" ")
        if not space:
            found = [other for other in COMMANDS if other.startswith(name)]
            yield from (Completion(other, -len(name), display_meta=COMMANDS[other].__doc__) for other in found)
        elif name in QUERY_COMMANDS and " " in argument:
            yield from self._of_query(argument.partition(" ")[2])
        elif name == "format":
            yield from (Completion(form, -len(argument)) for form in FORMATS if form.startswith(argument))
        elif name in SWITCH_COMMANDS:
            yield from (Completion(word, -len(argument)) for word in ("on", "off") if word.startswith(argument))


def interact(session: Session, *, coloured: bool) -> int:
    """Asks for entries and runs them until Ctrl-D or \\q; the exit code is 0, whatever went wrong on the way."""
    path = private_history()
    history: History = InMemoryHistory() if path is None else FileHistory(str(path))
    prompts: PromptSession[str] = PromptSession(
        history=history,
        auto_suggest=AutoSuggestFromHistory(),
        completer=EntryCompleter(session),
        complete_in_thread=True,
        complete_while_typing=False,
        multiline=Condition(lambda: is_open(prompts.default_buffer.text)),
        prompt_continuation=GOES_ON,
        bottom_toolbar=lambda: toolbar(session),
        style=STYLE,
        color_depth=None if coloured else ColorDepth.DEPTH_1_BIT,
    )
    print("\\help explains, Tab completes, \\q or Ctrl-D leaves.")
    while not session.ended:
        try:
            _run(session, prompts.prompt(PROMPT))
        except KeyboardInterrupt:
            continue
        except EOFError:
            break
    session.close()
    return 0


def _run(session: Session, text: str) -> None:
    """Everything that was entered; a pasted text may hold several entries. The first error ends it."""
    for _, entry in entries(text.splitlines()):
        try:
            session.run(entry)
        except ObsagentError as error:
            message = under_prompt(str(error), text.strip(), len(PROMPT), shutil.get_terminal_size().columns)
            print(message, file=sys.stderr)
            return
        except KeyboardInterrupt:
            session.close()  # a late answer must not be taken for that of the next question
            print("\ncancelled", file=sys.stderr)
            return
        if session.ended:
            return


def toolbar(session: Session) -> str:
    """How answers are shown, how long the last one took, whom is asked (last, as it may be long)."""
    facts = [session.form]
    facts += ["exemplars on"] if session.exemplars else []
    facts += ["timing on"] if session.timing else []
    facts += [f"{session.took_s * 1000:.1f} ms"] if session.took_s is not None else []
    return f" {' · '.join([*facts, session.surroundings.name(session.agent)])} "
