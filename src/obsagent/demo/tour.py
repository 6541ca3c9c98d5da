"""Questions about the run with their answers, and what to type next; the commands are run as they are shown."""

from __future__ import annotations

import math
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from rich.console import Console

from obsagent.demo.model import MODEL, VERSIONS
from obsagent.demo.retrain import kept, table
from obsagent.errors import ObsagentError

PROGRAM = "obsagent"
DEFAULT_RANGE_S = 300.0
MARGIN_S = 10.0  # until the last command asks, at the worst
ASKING_S = 2  # until then as a rule


class AnswerFailed(ObsagentError):
    """A command that the demo shows did not work."""


YEAR = "from 2013-01-01 to 2014-01-01"
OF_THE_MODEL = (
    (
        "How far is each month from January and February?",
        f"query psi model={MODEL} feature=temp,dewp,carrier by feature {YEAR} step 30d",
    ),
    (
        "How was the temperature in May?",
        f"drift model={MODEL} version=1 feature=temp from 2013-05-01 to 2013-06-01",
    ),
    (
        "Do the predictions drift?",
        f"query psi model={MODEL} feature=prediction.score by version {YEAR} step 30d",
    ),
    (
        "What is wrong with the data of December?",
        f"quality model={MODEL} feature=temp from 2013-12-01 to 2014-01-01 --severity medium",
    ),
    (
        "When was the weather missing?",
        f"query nan_share model={MODEL} feature=temp from 2013-12-29 to 2014-01-01 step 1d",
    ),
)
"""Why one asks, and the command: of what the model was given, by the days of 2013 on which it was."""

OF_TRUTHS = tuple(
    (
        f"How good was version {version.name} from month to month, and what was estimated before truths came?",
        f"query roc_auc,estimated_roc_auc,truth_maturity model={MODEL} version={version.name} {YEAR} step 30d",
    )
    for version in VERSIONS
)
"""Of what the model predicted, by the flights' days: what became of it."""


def questions(run_s: float, deployed_s: float) -> list[tuple[str, str]]:
    """Why one asks, and the query; for a run that began `run_s` seconds ago and changed versions `deployed_s` ago."""
    range_ = "" if run_s + MARGIN_S <= DEFAULT_RANGE_S else f" since {math.ceil((run_s + MARGIN_S) / 60)}m"
    whole = f" since {math.ceil(run_s)}s"  # a rate is over all of its range: one that begins with the run
    before = f"{math.ceil(deployed_s) + ASKING_S}s"  # so much earlier, all of it is before the deploy
    return [
        ("How slow are the slowest requests?", f"p99 latency by endpoint{range_}"),
        ("How many come, and how many are refused?", f"rate requests by endpoint,status{whole}"),
        ("What share is answered within 20 ms?", f"under 20ms latency by endpoint{range_}"),
        ("When was it slow?", f"p99 latency by endpoint step 10s{whole}"),
        ("Where does the time go?", f"p50,p99 step_duration by step{range_}"),
        ("Is it slower since the deploy?", f"p99 latency by endpoint since deploy vs {before} ago"),
    ]


def print_answers(run_s: float, deployed_s: float) -> None:
    """The questions with the answers of the agent that `OBSAGENT_AGENT` names."""
    of_requests = [(why, f"query {query}") for why, query in questions(run_s, deployed_s)]
    for why, command in (*of_requests, *OF_THE_MODEL, *OF_TRUTHS):
        say(f"# {why}", "dim")
        run_command(PROGRAM, *command.split())


def print_evidence(directory: Path) -> None:
    """What the agent's recommendations to retrain rest on, as `on_retrain` has kept it."""
    say("# When was it sure that retraining is due, and what had drifted by then?", "dim")
    found = kept(directory)
    print(*table(found), *([] if found else ["it never was"]), sep="\n")
    print()
    print(f"The agent runs a command each time, which keeps the evidence in {directory}")
    print()


def print_store(store: Path) -> None:
    """Where the data lies: it answers without an agent, too."""
    size = sum(path.stat().st_size for path in store.rglob("*") if path.is_file())
    program, data = typed_program(), ["--data", str(store)]
    print(f"What the agent kept lies in {store} ({size / 1000:,.0f} kB), and answers without it, too:")
    print()
    say("# How do the versions compare with what January and February promised?", "dim")
    of_year = f"model={MODEL} {YEAR} --metric roc_auc,brier,recall"
    run_command(program, "performance", *of_year.split(), *data)
    print("Try next:")
    for words in ("list", "shell", "query p50,p99 latency by version since 1d", "status"):
        print(f"  {shlex.join([program, *words.split(), *data])}")


def invitation(serve: str) -> list[str]:
    """What to type in another terminal while the agent answers at `serve`."""
    directory = Path(sys.executable).parent
    path = [] if typed_program() == PROGRAM else [f"export PATH={shlex.quote(str(directory))}:$PATH"]
    commands = ("top", "shell", "status", "query p99 latency by endpoint,version")
    return [f"export OBSAGENT_AGENT={shlex.quote(serve)}", *path, *(f"{PROGRAM} {words}" for words in commands)]


def typed_program() -> str:
    """How this installation's command is typed here: by its name, or by its path where the shell finds another."""
    own = Path(sys.executable).with_name(PROGRAM)
    found = shutil.which(PROGRAM)
    if found is not None and Path(found).resolve() == own.resolve():
        return PROGRAM
    return str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)


def run_command(*words: str) -> None:
    """Prints a command and runs it with this interpreter; raises `AnswerFailed` if it fails."""
    command = shlex.join(words)
    say(f"$ {command}", "bold")
    code = subprocess.run([sys.executable, "-m", "obsagent", *words[1:]], check=False).returncode
    if code:
        raise AnswerFailed(f"`{command}` ended with exit code {code}")
    print(flush=True)


def say(text: str, style: str) -> None:
    """One line on standard output, in a style of rich's where the terminal takes one."""
    console = Console(color_system=None if os.environ.get("NO_COLOR") else "auto")
    console.print(text, style=style, markup=False, highlight=False, soft_wrap=True)
    sys.stdout.flush()
