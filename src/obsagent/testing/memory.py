"""What the clients of a test have recorded, and the questions that a test asks of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from obsagent._native.codec import Groups
from obsagent.answer.execute import answer
from obsagent.answer.language import parse
from obsagent.answer.mistakes import did_you_mean, listing
from obsagent.answer.options import Options
from obsagent.errors import UsageError
from obsagent.exemplars import rank
from obsagent.record import clients
from obsagent.results import Result
from obsagent.samples import Event, Exemplar, Kind, Series
from obsagent.sketches import LogHist
from obsagent.testing.agent import MemoryAgent
from obsagent.testing.client import MemoryClient
from obsagent.testing.clock import ManualClock
from obsagent.testing.features import feature_of

if TYPE_CHECKING:
    from obsagent.record.client import Client
    from obsagent.testing.features import Feature
    from obsagent.testing.predictions import Prediction, Truth

FOREVER_MS = 1 << 60
PER_WORKER_LABELS = ("worker", "host")


class Memory:
    """A context manager: within it, `obsagent.connect` gives clients that record here.

    All questions are about everything recorded so far, and take labels that restrict them:
    `memory.count("requests", status="200")`. They raise `UsageError` for a metric or a label that nothing has, and
    for what the kind of the metric does not answer. What has no samples counts 0 and has no quantile (None).
    """

    def __init__(self) -> None:
        """Nothing changes before `with`."""
        self.clock = ManualClock(self._take_in)
        self._agent = MemoryAgent(self.clock)
        self._clients: list[MemoryClient] = []
        self._before: tuple[dict[Any, Client], Callable[..., Client]] | None = None

    def __enter__(self) -> Memory:
        self._before = clients._clients, clients._make_client
        clients._clients, clients._make_client = {}, self._make_client
        return self

    def __exit__(self, *_: object) -> None:
        assert self._before is not None
        clients._clients, clients._make_client = self._before
        for client in self._clients:
            client.end()

    def _make_client(
        self, service: str, endpoint: str, version: str, slot: int, *, disabled: bool, key: str | None
    ) -> Client:
        client = MemoryClient(self._agent, service, endpoint, version)
        self._clients.append(client)
        return client

    def _take_in(self) -> None:
        for client in self._clients:
            client.step()
        self._agent.combine_gauges()

    # Questions

    def count(self, metric: str, **labels: object) -> float:
        """Observations of a histogram; what a counter was incremented by; samples of a gauge, one for each question."""
        kind, groups = self._read(metric, labels)
        return groups.counter(0)[1] if kind is Kind.COUNTER else groups.samples(0)

    def sum(self, metric: str, **labels: object) -> float:
        """The sum of a histogram's observations, or of a counter's increments."""
        kind, groups = self._read(metric, labels)
        if kind is Kind.COUNTER:
            return groups.counter(0)[1]
        if kind is Kind.GAUGE:
            raise _senseless(metric, kind, "no sum; ask for `last`")
        return _histogram(groups).sum

    def quantile(self, metric: str, q: float, **labels: object) -> float | None:
        """The value of rank ceil(q·n), within 0.54 % (`pytest.approx(value, rel=0.006)`); None without samples."""
        kind, groups = self._read(metric, labels)
        if kind is Kind.COUNTER:
            raise _senseless(metric, kind, "no distribution; ask for `count` or `sum`")
        histogram = _histogram(groups)
        return histogram.quantile(q) if histogram.count else None

    def last(self, metric: str, **labels: object) -> float | None:
        """The last value of a gauge, over all workers as its `across` says; None if it was never set."""
        kind, groups = self._read(metric, labels)
        if kind is not Kind.GAUGE:
            raise _senseless(metric, kind, "no last value; only gauges have one")
        found = groups.gauge(0)
        return None if found is None else found[0]

    def events(self, name: str | None = None, **labels: object) -> list[Event]:
        """The events of this name, or all, oldest first."""
        self._take_in()
        wanted = _texts(labels)
        return [event for event in self._agent.store.view().events(name) if wanted.items() <= event.labels.items()]

    def exemplars(self, metric: str = "latency", **labels: object) -> list[Exemplar]:
        """The slowest request that has an id of each series and window of 10 s, the slowest of all first."""
        self._take_in()
        view = self._agent.store.view()
        chosen = _chosen(metric, _texts(labels), view.series())
        if chosen[:1] and chosen[0].kind is not Kind.HISTOGRAM:
            raise _senseless(metric, chosen[0].kind, "no exemplars; only histograms have them")
        found = view.collect_exemplars([series.id for series in chosen], 0, FOREVER_MS)
        return sorted(found, key=rank, reverse=True)

    def query(self, text: str, *, exemplars: bool = False) -> Result:
        """The answer to a query in the query language, as of the clock's time; raises like `obsagent.query`."""
        query = parse(text)
        self._take_in()
        now_ms = self.clock.wall_ms() + 1  # what was recorded just now has happened before
        return Result(answer(query, self._agent.store.view(), now_ms, Options(exemplars=exemplars)))

    @property
    def predictions(self) -> list[Prediction]:
        """Every prediction so far, those of one client in their order; one of a request once that has ended."""
        return [prediction for client in self._clients for prediction in client.predictions]

    @property
    def truths(self) -> list[Truth]:
        """Every truth that was told so far, those of one client in their order."""
        return [truth for client in self._clients for truth in client.truths]

    def features(self, **labels: object) -> dict[str, Feature]:
        """What models were given, by the name of the feature; of predictions `prediction.value` and `prediction.score`.

        Labels restrict it: `obsagent_memory.features(model="fraud", country="DE")["amount"].mean`.
        """
        self._take_in()
        chosen = _chosen("feature", _texts(labels), self._agent.store.view().series())
        names = sorted({series.labels["feature"] for series in chosen if "feature" in series.labels})
        return {name: feature_of(self._read("feature", {**labels, "feature": name})[1]) for name in names}

    def _read(self, metric: str, labels: dict[str, object]) -> tuple[Kind, Groups]:
        """The kind of a metric, and all samples of its series with these labels, as one group."""
        self._take_in()
        view = self._agent.store.view()
        wanted = _texts(labels)
        of_metric = _of_metric(metric, view.series())
        chosen = _chosen(metric, wanted, of_metric)
        if of_metric[0].kind is Kind.GAUGE and not set(wanted) & set(PER_WORKER_LABELS):
            chosen = [series for series in chosen if "worker" not in series.labels]
        groups = Groups({series.id: 0 for series in chosen}, 1)
        view.collect(0, FOREVER_MS, groups)
        return of_metric[0].kind, groups


def _of_metric(metric: str, every: Iterable[Series]) -> list[Series]:
    known = list(every)
    found = [series for series in known if series.metric == metric]
    if not found:
        names = sorted({series.metric for series in known})
        there = f"there are {listing(names, last='and')}" if names else "nothing has been recorded"
        raise UsageError(f"no metric `{metric}`{did_you_mean(metric, names) or f'; {there}'}")
    return found


def _chosen(metric: str, wanted: dict[str, str], every: Iterable[Series]) -> list[Series]:
    """The series of a metric that have these labels."""
    of_metric = _of_metric(metric, every)
    _check_labels(metric, wanted, of_metric)
    return [series for series in of_metric if wanted.items() <= series.labels.items()]


def _check_labels(metric: str, wanted: dict[str, str], of_metric: list[Series]) -> None:
    known = sorted({label for series in of_metric for label in series.labels})
    for label in wanted:
        if label not in known:
            raise UsageError(f"`{metric}` has no label `{label}`; it has {listing(known, last='and')}")


def _texts(labels: dict[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in labels.items()}


def _histogram(groups: Groups) -> LogHist:
    encoded = groups.histogram(0)
    return LogHist() if encoded is None else LogHist._from_compact(encoded)


def _senseless(metric: str, kind: Kind, what: str) -> UsageError:
    return UsageError(f"`{metric}` is a {kind.word} and has {what}")
