"""A short life of a store in which everything happens that the accounts know a word for.

Clients speak through the real receiver to a real store on a disk that fails now and then; meanwhile the scenario
keeps books of its own, by window and service, by arithmetic that knows nothing of the agent's. It takes a fraction of
a second, because the check of mutations runs it once for every term of the accounts.
"""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

from faulty_fs import FailingFs
from store_lab import TurnedClock

from balance import OWN, answers_balance, balances, flat, metrics_balance
from obsagent._native.codec import BodyWriter
from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.clock import window_start
from obsagent.errors import StoreError
from obsagent.head.accounts import Accounts
from obsagent.head.budgets import Budgets
from obsagent.head.store import Store
from obsagent.limits import SAMPLE_PAST_LIMIT_MS, WINDOW_MS
from obsagent.readings import Reading
from obsagent.receive.ingest import Ingest
from obsagent.receive.own_accounts import OwnAccounts
from obsagent.receive.own_session import OwnSession
from obsagent.samples import Event, Instrument, Kind
from obsagent.selfmetrics import MESSAGES, SAMPLES, SAMPLES_OBSERVED, SERIES, SYNC_DURATION
from obsagent.store_sink import StoreSink
from obsagent.wire.frame import MessageKind, SeriesDefinition, SessionCounts, counts_fields, definition_row, pack

BUDGETS = Budgets(segment_file_bytes=4_000, frame_bytes=400, series_per_metric=12)
HISTOGRAM, REFUSED, PREDICTED, UNDEFINED, MANY = 0, 1, 2, 9, 10
HOUR_MS = 3_600_000
DIVERGENCE = Instrument("divergence", Kind.GAUGE, "", "")
BEYOND = 3
"""Definitions beyond the budget of their metric."""


class Agent:
    """The receiver on a store, without sockets and threads."""

    def __init__(self, directory: Path, clock: TurnedClock) -> None:
        self.fs = FailingFs()
        self.directory = directory
        self.clock = clock
        self.store = Store.open(directory, clock=clock, budgets=BUDGETS, fs=self.fs)
        self.sink = StoreSink(self.store)
        self.ingest = Ingest(self.sink, clock, lambda *_: None, {})
        self.own = OwnSession(self.sink, clock, "host")
        self.accounts = OwnAccounts(self.sink, self.own)
        self.happened = 0

    def second(self) -> None:
        """What is done once a second."""
        self.own.record(SERIES, float(len(self.store.series)))
        self.own.record(SYNC_DURATION, 0.01)
        self.own.count(MESSAGES, self.ingest.messages)
        self.accounts.record()
        self.own.write()

    def happen(self, *counts: int) -> None:
        """In each of some seconds so many events of the agent's own."""
        for count in counts:
            for _ in range(count):
                self.own.stage_event(Event("retrain", self.clock.now_ms, {"model": "fraud"}))
            self.happened += count
            self.second()

    def find_out(self, at_ms: int) -> None:
        """Something about a time that is past."""
        self.own.stage(Reading(DIVERGENCE, 0.5, {"service": "shop", "model": "fraud"}, at_ms=at_ms))
        self.second()

    def full_second(self) -> None:
        """The same while the store takes nothing."""
        budgets, self.store._budgets = self.store._budgets, Budgets(unsynced_bytes=-1)
        try:
            self.second()
        except StoreError:
            return
        finally:
            self.store._budgets = budgets
        raise AssertionError("a full store has taken a frame")

    def acknowledge(self) -> None:
        self.ingest.acknowledge(self.store.sync())

    def kill(self) -> None:
        self.store._store_lock.release()

    def status(self) -> dict[str, Any]:
        status = self.store.status()
        self.sink.add_pending(status)
        return status

    def query(self, text: str) -> dict[str, Any]:
        return answer(parse(text), self.store.view(), self.clock.now_ms + 1)


class Client:
    """One session: its counters, and what it says."""

    numbers = itertools.count(1)
    closed = False

    def __init__(self, life: Life, service: str) -> None:
        self.life = life
        self.service = service
        self.session = b"%016d" % next(self.numbers)
        self.counts = SessionCounts(0, 0, 0, 0, 0)
        self.sequence = self.event = 0
        life.clients.append(self)
        self.hello()

    def say(self, kind: MessageKind, body: bytes = b"", **fields: Any) -> None:
        self.life.agent.ingest.handle(self.session, [pack(kind, s=self.session, **fields), body])

    def hello(self) -> None:
        now = self.life.clock.now_ms
        self.say(MessageKind.HELLO, service=self.service, host="h", pid=1, started=now, clock=now, version="")
        rows = [
            SeriesDefinition(HISTOGRAM, "step", Kind.HISTOGRAM, {}, "", "", 6, "sum"),
            SeriesDefinition(REFUSED, "step", Kind.COUNTER, {}, "", "", 6, "sum"),
            SeriesDefinition(PREDICTED, "predictions", Kind.COUNTER, {"model": "fraud"}, "", "", 6, "sum"),
        ]
        self.say(MessageKind.DEFINE, series=[definition_row(row) for row in rows])

    def count(self, window_ms: int | None = None, **outcomes: int) -> None:
        """Observes samples, and says in the scenario's books what will have become of them."""
        window_ms = window_start(self.life.clock.now_ms) if window_ms is None else window_ms
        self.life.expect(window_ms, self.service, **outcomes)
        grown = [outcomes.get(name, 0) for name in SessionCounts._fields[1:]]
        now = [before + more for before, more in zip(self.counts[1:], grown, strict=True)]
        self.counts = SessionCounts(self.counts.observed + sum(outcomes.values()), *now)

    def batch(self, samples: int, at_ms: int | None = None, series: int = HISTOGRAM, body: bytes | None = None) -> None:
        """Sends the samples that `count` told of last."""
        self.sequence += 1
        writer = BodyWriter()
        if samples:
            writer.put_run(series, [1.5] * samples)
        self.again(samples, self.life.clock.now_ms if at_ms is None else at_ms, writer.take() if body is None else body)

    def backfill(self, samples: int, hour_ms: int, series: int = PREDICTED) -> None:
        """Sends the samples that `count` told of last as those of an hour of long ago."""
        self.sequence += 1
        writer = BodyWriter()
        if series == PREDICTED:
            writer.put_counter(series, samples, 1.0)
        else:
            writer.put_run(series, [1.5] * samples)
        self.again(samples, hour_ms, writer.take(), h=20 * 24 * HOUR_MS)

    def again(self, samples: int, at_ms: int, body: bytes, **more: int) -> None:
        self.last = samples, at_ms, body
        fields = {"q": self.sequence, "f": self.sequence, "a": at_ms, "b": at_ms + 5, "n": samples, **more}
        self.say(MessageKind.SAMPLES, body, **fields, **counts_fields(self.counts))

    def part(self, kind: MessageKind) -> None:
        self.say(kind, f=self.sequence + 1, **counts_fields(self.counts))
        self.closed = kind is MessageKind.GOODBYE

    def events(self, kept: int, dropped: int, late: int) -> None:
        """Some events, after some that were given up and before some that come too late."""
        now = self.life.clock.now_ms
        rows = [["deploy", now, {}]] * kept + [["deploy", now - SAMPLE_PAST_LIMIT_MS - 1, {}]] * late
        first = self.event + dropped + 1
        self.event += dropped + kept + late
        self.say(MessageKind.EVENTS, q=first, f=first, events=rows)
        self.life.events.setdefault(self.service, Counter()).update(stored=kept, dropped=dropped, rejected=late)


class Life:
    """The scenario: `live` and look."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = TurnedClock(window_start(TurnedClock().now_ms))
        self.books: dict[tuple[int, str], Counter[str]] = {}
        self.events: dict[str, Counter[str]] = {}
        self.clients: list[Client] = []
        self.agent = Agent(directory, self.clock)

    def expect(self, window_ms: int, service: str, **outcomes: int) -> None:
        self.books.setdefault((window_ms, service), Counter()).update(outcomes)

    def live(self) -> None:
        check_what_is_on_its_way()
        first, second = Client(self, "shop"), Client(self, "shop")
        self.samples_and_losses(first, second)
        self.refusals()
        self.check()
        self.a_checkpoint_that_fails(first, second)
        self.check()
        self.backfills(first)
        self.restart(first)
        self.agent.find_out(self.clock.now_ms - 19 * 24 * HOUR_MS)
        self.agent.happen(2, 1)
        self.check()
        self.a_session_with_a_forgotten_past()
        self.pending(second)
        self.goodbyes(first, second)
        self.many_files()
        self.check()
        self.agent.store.close()
        self.agent = Agent(self.directory, self.clock)
        self.agent.second()
        self.check()
        self.agent.store.close()

    def samples_and_losses(self, first: Client, second: Client) -> None:
        first.count(stored=10, dropped_ring=1, rejected_value=2)
        first.batch(10)
        first.again(*first.last)  # its acknowledgement was lost
        for budget, expired in ((7, 5), (1, 2), (3, 0)):
            second.count(dropped_budget=budget, dropped_expired=expired)
            second.sequence += 2
            second.count(stored=20)
            second.batch(20)
        first.events(2, 3, 1)
        first.events(1, 0, 2)
        self.clock.now_ms += WINDOW_MS
        first.count(stored=3, dropped_ring=4)
        first.batch(3)
        late = window_start(self.clock.now_ms - 3 * WINDOW_MS)
        first.count(late, stored=6)
        first.batch(6, late)
        self.agent.second()

    def backfills(self, client: Client) -> None:
        hour_ms = (self.clock.now_ms - 19 * 24 * HOUR_MS) // HOUR_MS * HOUR_MS
        client.count(hour_ms, stored=7)
        client.backfill(7, hour_ms)
        client.again(*client.last, h=20 * 24 * HOUR_MS)
        client.count(rejected_time=6)
        client.backfill(6, hour_ms, HISTOGRAM)
        client.count(rejected_time=4)
        client.backfill(4, hour_ms - 3 * 24 * HOUR_MS)

    def refusals(self) -> None:
        bank = Client(self, "bank")
        bank.count(stored=1)
        bank.batch(1)
        bank.count(rejected_frame=8)
        bank.batch(8, body=b"\x09 is no body")
        bank.count(rejected_frame=9)
        bank.batch(9, series=REFUSED)
        bank.count(rejected_frame=2)
        bank.batch(2, series=UNDEFINED)
        self.too_many_series(bank)
        bank.count(rejected_time=11)
        bank.batch(11, self.clock.now_ms - SAMPLE_PAST_LIMIT_MS - 10)
        bank.count(rejected_value=3)
        bank.batch(0)
        self.old = [Client(self, "bank") for _ in range(3)]
        self.agent.full_second()
        self.agent.second()

    def too_many_series(self, client: Client) -> None:
        rows = [
            SeriesDefinition(MANY + number, "many", Kind.HISTOGRAM, {"n": str(number)}, "", "", 6, "sum")
            for number in range(BUDGETS.series_per_metric + BEYOND)
        ]
        client.say(MessageKind.DEFINE, series=[definition_row(row) for row in rows])
        client.count(stored=5)
        client.batch(5, series=rows[-1].number)

    def a_checkpoint_that_fails(self, first: Client, second: Client) -> None:
        def meanwhile(_call: str) -> None:
            for client in (first, second):
                client.count(stored=2, dropped_ring=1, rejected_value=1)
                client.batch(2)

        self.agent.fs.before = meanwhile
        self.agent.fs.fail_always = {"create"}
        try:
            self.agent.store.checkpoint()
        except StoreError:
            self.agent.fs.fail_always, self.agent.fs.before = set(), None
        else:
            raise AssertionError("the checkpoint should have failed")
        self.agent.second()
        assert self.agent.store.checkpoint()
        second.count(stored=4, dropped_ring=2)
        second.batch(4)
        self.agent.second()

    def restart(self, first: Client) -> None:
        closing, happening, refused = self.old
        closing.part(MessageKind.GOODBYE)
        happening.events(1, 0, 0)
        refused.count(rejected_time=2)
        refused.batch(2, self.clock.now_ms - SAMPLE_PAST_LIMIT_MS - 10)
        guest = Client(self, "bank")
        guest.count(stored=1)
        guest.batch(1)
        guest.events(1, 1, 1)
        guest.part(MessageKind.GOODBYE)
        assert self.agent.store.checkpoint()  # a block behind another one: it names only the sessions that changed
        first.count(stored=5, rejected_value=1)
        first.batch(5)
        self.agent.acknowledge()
        self.agent.kill()
        self.clock.now_ms += WINDOW_MS
        self.agent = Agent(self.directory, self.clock)
        self.check_sessions()
        first.hello()
        first.again(*first.last)
        first.count(stored=7)
        first.batch(7)
        self.agent.second()

    def a_session_with_a_forgotten_past(self) -> None:
        """As a damaged store leaves it: it is taken at its word, and counted from then on."""
        client = Client(self, "cafe")
        client.counts = SessionCounts(1_000, 5, 6, 7, 8)
        session = self.agent.store.sessions.get(client.session)
        assert session is not None
        session.accounts = None
        client.count(stored=12)
        client.batch(12)
        session.accounts = None
        client.count(rejected_frame=4)
        client.batch(4, series=REFUSED)
        client.count(stored=1, dropped_ring=1)
        client.batch(1)
        self.agent.second()

    def pending(self, second: Client) -> None:
        """Heartbeats tell of what is not delivered: of a service that the accounts do not know yet, too."""
        quiet = Client(self, "quiet")
        for client, waiting in ((second, 30), (quiet, 40)):
            before = client.counts
            client.counts = before._replace(observed=before.observed + waiting)
            client.part(MessageKind.HEARTBEAT)
            client.counts = before
        status = self.agent.status()
        observed = {**self.observed, "shop": self.observed["shop"] + 30, "quiet": 40}
        balances(status, observed, pending=70)
        assert status["accounts"]["services"]["quiet"]["pending"] == 40
        self.agent.second()
        rows = self.agent.query("last obsagent_samples_pending by service since 1m")["series"]
        assert {row["labels"]["service"]: row["values"]["last"] for row in rows} == {"shop": 30, "quiet": 40}
        second.part(MessageKind.HEARTBEAT)
        quiet.count(dropped_expired=40)  # they never came: the goodbye says so
        quiet.part(MessageKind.GOODBYE)

    def goodbyes(self, first: Client, second: Client) -> None:
        first.count(dropped_expired=6, dropped_budget=3, rejected_value=2)
        first.part(MessageKind.GOODBYE)
        second.count(dropped_ring=3)
        second.part(MessageKind.GOODBYE)
        self.agent.second()

    def many_files(self) -> None:
        client = Client(self, "shop")
        for _ in range(6):
            client.count(stored=2, dropped_ring=1)
            client.batch(2)
            self.agent.second()
            self.clock.now_ms += WINDOW_MS
            assert self.agent.store.checkpoint()
        assert self.agent.store.maybe_compact(0)
        client.count(stored=1, dropped_ring=1)
        client.batch(1)
        self.agent.second()

    # What has to be true

    @property
    def observed(self) -> dict[str, int]:
        """Service → samples, by the scenario's own books."""
        observed: Counter[str] = Counter()
        for (_, service), outcomes in self.books.items():
            observed[service] += outcomes.total()
        return dict(observed)

    def check(self) -> None:
        status = self.agent.status()
        balances(status, self.observed)
        self.check_outcomes(status)
        self.check_sessions()
        self.check_refused()
        self.check_windows()
        self.check_own(status)
        metrics_balance(status, self.agent.query)
        answers_balance(status, self.agent.query, dict.fromkeys(("shop", "bank"), "step"))
        self.agent.store.sync()
        balances(Store.open_read_only(self.directory, clock=self.clock).status(), self.observed)

    def check_sessions(self) -> None:
        """How far each has come, and its events: what is sent again is told from what is new by that."""
        status = self.agent.store.status()
        found = {each["session"]: each for each in status["sessions"]}
        for client in self.clients:
            session = found[client.session.hex()]
            assert (session["last_applied"], session["last_event"]) == (client.sequence, client.event)
            assert (session["state"] == "closed") == client.closed
        (own,) = [each for each in status["sessions"] if each["service"] == OWN and each["state"] != "closed"]
        assert own["last_event"] == self.agent.happened
        for service, expected in self.events.items():
            shown = status["events"]["services"][service]
            assert {**shown, "rejected": shown["rejected"]["time"]} == expected

    def check_refused(self) -> None:
        assert self.agent.store.status()["series"]["refused"] == {"many": BEYOND}
        assert self.agent.query("count many since 365d")["losses"]["overflow_series"] == BEYOND

    def check_outcomes(self, status: dict[str, Any]) -> None:
        expected: dict[str, Counter[str]] = {}
        for (_, service), outcomes in self.books.items():
            expected.setdefault(service, Counter()).update(outcomes)
        for service, outcomes in expected.items():
            shown = flat(status["accounts"]["services"][service])
            del shown["observed"], shown["pending"]
            assert {name: count for name, count in shown.items() if count} == outcomes

    def check_windows(self) -> None:
        view = self.agent.store.view()
        for window_ms in {window_ms for window_ms, _ in self.books}:
            found = {name: flat(account) for name, account in view.accounts(window_ms, window_ms + 1).items()}
            found.pop(OWN, None)
            expected = {service: outcomes for (at_ms, service), outcomes in self.books.items() if at_ms == window_ms}
            assert set(found) == set(expected)
            for service, outcomes in expected.items():
                assert found[service].pop("observed") == outcomes.total()
                assert {name: count for name, count in found[service].items() if count} == outcomes

    def check_own(self, status: dict[str, Any]) -> None:
        """The agent's own account is exact at any moment, the counters of it included."""
        account = flat(status["accounts"]["services"][OWN])
        sums = {labels["service"]: total for labels, total in self.agent.sink.counted(SAMPLES_OBSERVED.name)}
        assert sums[OWN] == account.pop("observed")
        outcomes = self.agent.sink.counted(SAMPLES.name)
        own = {labels["outcome"]: total for labels, total in outcomes if labels["service"] == OWN}
        assert own == {name: count for name, count in account.items() if count}


def check_what_is_on_its_way() -> None:
    """An account shows as pending what nothing is known of; of a sound store that is nothing."""
    account = Accounts(observed=36, stored=1, dropped_ring=2, dropped_budget=3, rejected_value=4, rejected_time=5)
    assert flat(account.as_dict())["pending"] == 21
