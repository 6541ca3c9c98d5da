"""The models of one client: who they are, what the agent wants of them, and what waits until it has said so."""

from __future__ import annotations

import threading
import time
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from obsagent.errors import FeatureError
from obsagent.limits import MODELS_PER_CLIENT, RECORDS_PER_BATCH, STALL_S, STRICT_WAIT_S
from obsagent.record.models.categories import Categories
from obsagent.record.models.feed import Feed
from obsagent.record.models.gathered_records import NOTHING_KNOWN, GatheredRecords, Keep
from obsagent.record.models.held_back import Held, HeldBack
from obsagent.record.models.model import Model, checked_identity
from obsagent.record.models.observed import Observed
from obsagent.record.models.patience import Patience, Queue, WaitFor
from obsagent.record.models.series import ModelSeries
from obsagent.record.models.slices import Slices
from obsagent.record.models.truths import TruthDesk
from obsagent.record.records import RecordQueue
from obsagent.record.refusals import Refusal

if TYPE_CHECKING:
    from obsagent._native.ring import Recorder
    from obsagent.record.agent_clock import AgentClock
    from obsagent.record.models.backfill import Backfill
    from obsagent.record.models.given import Given
    from obsagent.record.models.predictions import Predictions
    from obsagent.record.models.slices import SliceKey
    from obsagent.record.registry import Registry
    from obsagent.wire.rules import Rules


def _never(holds: Callable[[], bool], _timeout_s: float) -> bool:
    """Nobody sends anything."""
    return holds()


def _monotonic_ms() -> float:
    return time.monotonic_ns() / 1e6


def _no_clock() -> AgentClock:
    from obsagent.record.agent_clock import AgentClock

    return AgentClock(0.0)


class Models:
    """Thread-safe. `names` are the models and versions of which the agent is asked for rules; the list only grows."""

    def __init__(
        self,
        recorder: Recorder,
        registry: Registry,
        *,
        is_strict: bool = False,
        is_off: bool = False,
        begin: Callable[[], object] = int,
        learn: Callable[[], object] = int,
        clock: Callable[[], AgentClock] = _no_clock,
        wall_s: Callable[[], float] = time.time,
        records: Callable[[], RecordQueue] = RecordQueue,
        outbox: Callable[[], Queue] | None = None,
        wait_for: WaitFor = _never,
        monotonic_ms: Callable[[], float] = _monotonic_ms,
    ) -> None:
        """`is_off`: nothing is recorded. `begin` is called with each new model: the agent is to be asked for its rules.

        `learn` waits for no more than it must, or not at all, for what the agent has to say; for `is_strict`. `clock`
        is the session's, for what is of another time than `wall_s` tells. `records` gives its queue of records,
        `outbox` that of samples, and `wait_for` lets them be sent; what is kept by its id just now is of the time that
        `monotonic_ms` tells.
        """
        self._recorder = recorder
        self._registry = registry
        self.is_strict = is_strict
        self.is_off = is_off
        self._begin = begin
        self.learn = learn
        """Waits, no more than it must, for what the agent has to say."""
        self._series = ModelSeries(registry)
        self._slices = Slices(self._refuse_slice)
        self._categories = Categories(registry.refuse)
        self._models: dict[tuple[str, str, str], Model] = {}
        self.names: list[tuple[str, str]] = []
        self._records = records
        self._monotonic_ms = monotonic_ms
        self._held = HeldBack(self._drop)
        self.gathered_records = GatheredRecords(records)
        self.truths = TruthDesk(records, wait_for, monotonic_ms)
        self._settled = threading.Condition()
        self._is_closed = False
        self._has_warned = False
        self._clocks = clock, wall_s
        self._room_for_records = Patience(records, wait_for)
        self._room_for_samples = Patience(outbox, wait_for) if outbox is not None else None
        self._is_silent = False
        """Somebody has waited for rules in vain."""
        self.backfill: Backfill | None = None
        """What is of another time than now; None before the first."""
        self.on_predictions: Callable[[Model, SliceKey, Predictions, Any], object] | None = None

    # Models

    def model(self, name: str, version: str, variant: str) -> Model:
        """The model with this name, version and variant, made now or before; raises `FeatureError`."""
        key = name, version, variant
        model = self._models.get(key)
        return self._make(name, version, variant) if model is None else model

    def _make(self, name: str, version: str, variant: str) -> Model:
        key = checked_identity(name, version, variant)
        with self._settled:
            model = self._models.get(key)
            if model is not None:
                return model
            if len(self._models) >= MODELS_PER_CLIENT:
                raise FeatureError(
                    f"{name} would be one model more than the {MODELS_PER_CLIENT} that a client may have: let names "
                    "and versions stand for models, and put what differs between requests into slices"
                )
            model = self._models[key] = Model(self, *key)
            same = next((each for each in self._models.values() if _of(each) == _of(model) and each.rules), None)
            model.rules = same.rules if same else None
            if _of(model) not in self.names:
                self.names.append(_of(model))
        self._begin()
        return model

    @property
    def only(self) -> Model | None:
        """The one model that there is; None if there is none or several."""
        return next(iter(self._models.values())) if len(self._models) == 1 else None

    # Recording

    def observed(self, model: Model | None, *, is_over: bool) -> Observed:
        """What a request collects, which names a model or none."""
        return Observed(self, model, is_over=is_over)

    def record(
        self,
        model: Model,
        slice_key: SliceKey,
        given: Given,
        times_ms: Sequence[int] | None = None,
        keep: Keep = NOTHING_KNOWN,
        *,
        may_wait: bool = False,
    ) -> None:
        """Counts rows of a slice of a model, now, or when its rules have come; and keeps those that these want kept.

        `times_ms` are not now. With `may_wait` a backfill waits for room in the queue.
        """
        if may_wait:
            self._await_rules(model, given.byte_size)
        if times_ms is not None:
            self._record_at(model, slice_key, given, times_ms, may_wait=may_wait)
            self._keep_at(model, slice_key, given, keep._replace(times_ms=times_ms))
            return
        feed = model.feeds.get(slice_key) or self._feed(model, slice_key)  # a Feed is never false
        if feed is None:
            kept, at_ms = given.copied(), int(self._monotonic_ms())
            self._hold(
                model,
                slice_key,
                kept.values + kept.rows,
                kept.byte_size,
                lambda feed: self._record(feed, kept, keep, at_ms),
            )
        else:
            self._record(feed, given, keep)

    def _record(self, feed: Feed, given: Given, keep: Keep, at_ms: int | None = None) -> None:
        given.record(feed)
        if feed.rules.keep_rows and not self._is_closed:
            self.gathered_records.keep(feed, given, keep, int(self._monotonic_ms()) if at_ms is None else at_ms)

    def _keep_at(self, model: Model, slice_key: SliceKey, given: Given, keep: Keep) -> None:
        feed = model.feeds.get(slice_key) or self._feed(model, slice_key)
        gathered = self.gathered_records
        if feed is None:
            kept = given.copied()
            self._hold(model, slice_key, 0, kept.byte_size, lambda feed: gathered.keep(feed, kept, keep))
        elif feed.rules.keep_rows and not self._is_closed:
            gathered.keep(feed, given, keep)

    def predicted(
        self,
        model: Model,
        slice_key: SliceKey,
        made: Predictions,
        times_ms: Sequence[int] | None = None,
        *,
        may_wait: bool = False,
    ) -> None:
        """Counts predictions of a slice of a model, now, or when its rules have come; `times_ms` are not now.

        With `may_wait` a backfill, or what is more than a batch, waits for room in the queues.
        """
        if self.on_predictions is not None:
            self.on_predictions(model, slice_key, made, times_ms)
        if may_wait:
            self._await_rules(model, made.byte_size)
        if made.ids is not None:
            at_ms = int(self._monotonic_ms()) if times_ms is None else times_ms
            self._gather(model, slice_key, made, at_ms, may_wait=may_wait)
        if times_ms is not None:
            self._record_at(model, slice_key, made, times_ms, may_wait=may_wait)
            return
        feed = model.feeds.get(slice_key) or self._feed(model, slice_key)
        if feed is None:
            kept = made.copied()
            self._hold(model, slice_key, kept.samples + 1, kept.byte_size, kept.record)
        else:
            made.record(feed)

    def _await_rules(self, model: Model, byte_size: int) -> None:
        """Rather than hold back more than there is room for; not again before any have come."""
        if model.rules is None and not self._is_silent and not self._held.has_room_for(byte_size):
            self.learn()
            self.wait_for_rules(model, STALL_S)
            self._is_silent = model.rules is None

    def _gather(
        self, model: Model, slice_key: SliceKey, made: Predictions, at_ms: int | Sequence[int], *, may_wait: bool
    ) -> None:
        """Keeps predictions by their ids, for truths to find them."""
        if self._is_closed:
            self._records().drop(made.size)
            return
        feed = model.feeds.get(slice_key) or self._feed(model, slice_key)
        kept = made.copied()
        if feed is not None and may_wait:
            self._room_for_records.await_room()
        if feed is not None and may_wait and made.size > RECORDS_PER_BATCH:
            self.gathered_records.put_many(feed, kept, at_ms, self._room_for_records.await_room)
        elif feed is not None:
            self.gathered_records.put(feed, kept, at_ms)
        else:
            gathered = self.gathered_records
            size = kept.byte_size
            self._hold(model, slice_key, 0, size, lambda feed: gathered.put(feed, kept, at_ms), records=made.size)

    def _drop(self, samples: int, records: int) -> None:
        self._recorder.drop_samples(samples)
        self._records().drop(records)

    def times_of(self, at: Any, count: int) -> list[int] | None:
        """When rows or predictions were, in milliseconds since the epoch; None for now. Raises `FeatureError`."""
        if at is None:
            return None
        from obsagent.record.models.backfill import Backfill, times_of

        with self._settled:
            self.backfill = self.backfill or Backfill(self._recorder, *self._clocks, self._room_for_samples)
        return times_of(at, count)

    def _record_at(
        self,
        model: Model,
        slice_key: SliceKey,
        what: Given | Predictions,
        times_ms: Sequence[int],
        *,
        may_wait: bool,
    ) -> None:
        from obsagent.record.models.backfill import samples_of

        backfill = self.backfill
        assert backfill is not None
        feed = model.feeds.get(slice_key) or self._feed(model, slice_key)
        if feed is None:
            kept, size = what.copied(), what.byte_size
            self._hold(model, slice_key, samples_of(what), size, lambda feed: backfill.record(feed, kept, times_ms))
        elif self._is_closed:
            self._recorder.drop_samples(samples_of(what))
        else:
            backfill.record(feed, what, times_ms, may_wait=may_wait)

    def lost(self, samples: int) -> None:
        """Features of a request of which nobody has said whose they are: counted as rejected, said once."""
        self._recorder.reject(samples)
        self._warn(
            "the features of a request are rejected, for nobody has said which model they are of: give "
            "request(…, model=…), features(…, model=…) or prediction(…, model=…)"
        )

    def _feed(self, model: Model, slice_key: SliceKey) -> Feed | None:
        """None before the rules have come."""
        rules = model.rules
        if rules is None:
            return None
        labels, is_turn = self._slices.admit(slice_key) if slice_key else ({}, False)
        if is_turn:
            for each in list(self._models.values()):
                each.feeds = {}
        feed = Feed(
            self._recorder,
            self._series,
            self._categories,
            {**model.labels, **labels},
            rules,
            is_strict=self.is_strict,
        )
        with self._settled:
            if rules is model.rules and "overflow" not in labels:  # of those that are refused there is no end
                model.feeds[slice_key] = feed
        return feed

    def _refuse_slice(self, refusal: Refusal, text: str) -> None:
        self._registry.refuse("feature", refusal, text)

    def _hold(
        self,
        model: Model,
        slice_key: SliceKey,
        samples: int,
        byte_size: int,
        record: Callable[[Feed], None],
        records: int = 0,
    ) -> None:
        with self._settled:
            is_first = not len(self._held)
            is_held = model.rules is None and not self._is_closed
            if is_held:
                self._held.put(Held(model, slice_key, samples, byte_size, time.monotonic(), record, records))
        if is_held and is_first:
            self._begin()
        elif not is_held and model.rules is None:
            self._drop(samples, records)
        elif not is_held:
            feed = self._feed(model, slice_key)  # the rules came in between
            assert feed is not None
            record(feed)

    # Strictness

    def check(self, model: Model, given: Given) -> None:
        """Raises `FeatureError` if features are unknown or missing: by the reference, else by the first that came.

        Waits for the rules, a little: whoever asks for strictness wants to know rather than to be quick.
        """
        if model.rules is None:
            self.learn()
            self.wait_for_rules(model, STRICT_WAIT_S)
        names = frozenset(map(str, given.names))
        rules = model.rules
        if rules is not None and rules.features:
            expected, source = frozenset(rules.features), "the reference has"
        else:
            if model.seen is None:
                model.seen = names
            expected, source = model.seen, "the first ones were"
        dropped = rules.drop if rules is not None else frozenset()
        unknown, missing = sorted(names - expected - dropped), sorted(expected - names - dropped)
        if unknown or missing:
            raise FeatureError(f"{model.name}: {_difference(unknown, missing)}; {source} {_few(sorted(expected))}")

    # What the conversation says

    def take_rules(self, name: str, version: str, rules: Rules) -> None:
        """What the agent wants of a model from now on; records what has waited for it."""
        with self._settled:
            of = [model for key, model in self._models.items() if key[:2] == (name, version)]
            for model in of:
                if model.rules != rules:
                    model.rules, model.feeds = rules, {}
            waiting = self._held.take(lambda model: model in of)
            self._is_silent = False
        for held in waiting:
            feed = held.model.feeds.get(held.slice_key) or self._feed(held.model, held.slice_key)
            if feed is not None:
                held.record(feed)
        with self._settled:
            self._settled.notify_all()

    # What waits

    @property
    def held_samples(self) -> int:
        """Samples that wait for rules."""
        return self._held.samples

    @property
    def waiting_records(self) -> int:
        """Records that are in no batch yet."""
        return self._held.records + self.gathered_records.rows

    @property
    def is_settled(self) -> bool:
        """True if nothing waits, and the rules of every model are known."""
        return not len(self._held) and all(model.rules is not None for model in list(self._models.values()))

    @property
    def backfilled_samples(self) -> int:
        """Samples of another time than now, of this session."""
        return self.backfill.samples if self.backfill is not None else 0

    @property
    def has_urgent_backfill(self) -> bool:
        """True if somebody waits for what is of another time than now."""
        return self.backfill is not None and self.backfill.is_urgent

    def hurry(self) -> None:
        """Somebody waits for what was recorded so far."""
        if self.backfill is not None:
            self.backfill.hurry()

    def each_second(self) -> None:
        """Gives up what has waited for too long, and counts which categories were refused."""
        self._categories.tell()
        if len(self._held):
            with self._settled:
                self._held.expire(time.monotonic())

    def wait_for_rules(self, model: Model | None, timeout_s: float) -> None:
        """Waits until a model's rules have come, or everything that waits is recorded."""

        def is_settled() -> bool:
            return model.rules is not None if model is not None else not len(self._held)

        with self._settled:
            self._settled.wait_for(lambda: self._is_closed or is_settled(), timeout_s)

    def close(self) -> None:
        """The session ends: what waits will not be sent, and what is still to come neither."""
        with self._settled:
            self._is_closed = True
            self._held.drop_all()

    def open(self) -> None:
        """A new session begins."""
        self._is_closed = False

    def begin_session(self) -> None:
        """What was of another time is the session's before, and so is what was waited for in vain."""
        self._is_silent = False
        for room in (self._room_for_records, self._room_for_samples):
            if room is not None:
                room.begin_session()
        self.gathered_records.begin_session()
        if self.backfill is not None:
            self.backfill.begin_session()

    def after_fork(self) -> None:
        """In the child: what waits is the parent's, and another thread may have held a lock."""
        self._settled = threading.Condition()
        self._series.renew_lock()
        self._slices.renew_lock()
        self._categories.renew_lock()
        self.truths.after_fork()
        self._held = HeldBack(self._drop)
        self._is_closed = False

    def _warn(self, text: str) -> None:
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(text, RuntimeWarning, stacklevel=3)


def _of(model: Model) -> tuple[str, str]:
    return model.name, model.version


def _difference(unknown: list[str], missing: list[str]) -> str:
    told = [f"{word} {_few(names)}" for word, names in (("unknown", unknown), ("missing", missing)) if names]
    return " and ".join(told)


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
