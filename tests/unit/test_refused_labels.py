"""What the agent keeps of the labels that clients refuse: sums over sessions, examples, and no more than its budget."""

from __future__ import annotations

import threading

from obsagent.receive.refused_labels import RefusedLabelBook
from obsagent.wire.frame import RefusedLabel

ONE, OTHER = b"1" * 16, b"2" * 16


def user(refused: int, *examples: str, metric: str = "hits") -> RefusedLabel:
    return RefusedLabel(metric, "user", "near-unique", refused, list(examples))


def counted(book: RefusedLabelBook) -> list[tuple[str, str, int, list[str]]]:
    return [(row["service"], row["metric"], row["refused"], row["examples"]) for row in book.rows()]


def test_what_sessions_tell_again_and_again_is_counted_once() -> None:
    book = RefusedLabelBook()
    for refused in (3, 3, 7):
        book.tell(ONE, "shop", [user(refused, "a")])
    book.tell(OTHER, "shop", [user(5, "b", "c"), user(1, "d", metric="misses")])
    book.tell(OTHER, "shop", [user(5, "b", "c"), user(1, "d", metric="misses")])
    book.tell(OTHER, "shop", [])
    assert counted(book) == [("shop", "hits", 12, ["a", "b", "c"]), ("shop", "misses", 1, ["d"])]
    assert book.rows()[0] == {
        "service": "shop",
        "metric": "hits",
        "label": "user",
        "reason": "near-unique",
        "refused": 12,
        "examples": ["a", "b", "c"],
    }


def test_services_are_apart_and_examples_are_the_latest() -> None:
    book = RefusedLabelBook()
    book.tell(ONE, "shop", [user(1, "a", "b", "c")])
    book.tell(OTHER, "bank", [user(9, "x")])
    book.tell(ONE, "shop", [user(2, "b", "c", "d")])
    assert counted(book) == [("bank", "hits", 9, ["x"]), ("shop", "hits", 2, ["b", "c", "d"])]


def test_a_session_that_has_ended_leaves_its_counts_and_may_come_again() -> None:
    book = RefusedLabelBook()
    book.tell(ONE, "shop", [user(3, "a")])
    book.forget(ONE)
    book.forget(ONE)
    assert counted(book) == [("shop", "hits", 3, ["a"])]
    assert not book._told


def test_the_book_has_an_end() -> None:
    book = RefusedLabelBook(labels_max=3)
    for number in range(10):
        book.tell(ONE, "shop", [user(1, metric=f"m{number}")])
    assert [row["metric"] for row in book.rows()] == ["m7", "m8", "m9"]
    assert len(book._told[ONE]) == 1


def test_a_status_may_be_asked_for_meanwhile() -> None:
    book = RefusedLabelBook()
    tellers = [
        threading.Thread(
            target=lambda: [book.tell(ONE, "shop", [user(n, str(n), metric=f"m{n % 50}")]) for n in range(1, 3000)]
        )
    ]
    for teller in tellers:
        teller.start()
    while any(teller.is_alive() for teller in tellers):
        assert all(len(row["examples"]) <= 3 for row in book.rows())
    for teller in tellers:
        teller.join()
    assert len(book.rows()) == 50
