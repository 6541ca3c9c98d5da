"""What is said to someone who made a mistake in a query: the words at fault, underlined."""

from __future__ import annotations

from collections.abc import Iterable

from obsagent.errors import UsageError, printable

LINE_COLUMNS = 72
ELLIPSIS = "…"


class QueryError(UsageError):
    """A query that cannot be understood or has no meaning; its text shows the place with a caret.

    Attributes: `summary` (one line), `text` (the query), `start` and `end` (the place, in characters).
    """

    def __init__(self, summary: str, text: str, start: int, end: int) -> None:
        """`text[start:end]` is at fault; an empty place is shown as one caret."""
        summary = printable(summary)
        super().__init__(f"{summary}\n{underline(text, start, end)}" if text.strip() else summary)
        self.summary = summary
        self.text = text
        self.start = start
        self.end = end


def underline(text: str, start: int, end: int) -> str:
    """Two indented lines: the query (cut to what fits around the place) and carets under `text[start:end]`."""
    shown = "".join(character if character.isprintable() else " " for character in text)
    cut = max(0, min(start - LINE_COLUMNS // 2, len(shown) - LINE_COLUMNS))
    lead = ELLIPSIS if cut else ""
    tail = ELLIPSIS if len(shown) > cut + LINE_COLUMNS else ""
    caret_count = max(1, min(end, cut + LINE_COLUMNS) - start)
    line = f"    {lead}{shown[cut : cut + LINE_COLUMNS]}{tail}"
    return f"{line.rstrip()}\n    {' ' * (len(lead) + start - cut)}{'^' * caret_count}"


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate most like `word`, if one is like it at all."""
    import difflib  # only ever needed on the way to an error

    folded = {candidate.casefold(): candidate for candidate in sorted(candidates)}
    found = difflib.get_close_matches(word.casefold(), folded, 1)
    return folded[found[0]] if found else None


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """`; did you mean …?`, or nothing if no candidate is near."""
    found = nearest(word, candidates)
    return f"; did you mean `{found}`?" if found else ""


def there_are(names: Iterable[str]) -> str:
    """`there are a and b`, in order."""
    every = sorted(names)
    return f"there {'is' if len(every) == 1 else 'are'} {listing(every, last='and')}"


def listing(names: Iterable[str], limit: int = 8, last: str = "or") -> str:
    """`a, b or c`; beyond `limit` names the rest is counted."""
    every = list(names)
    if len(every) > limit:
        return f"{', '.join(every[:limit])} and {len(every) - limit} more"
    if len(every) < 2:
        return "".join(every)
    return f"{', '.join(every[:-1])} {last} {every[-1]}"
