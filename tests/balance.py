"""The accounts balance: the one check that every test of a fault ends with.

    observed = stored + pending + dropped{ring, budget, expired} + rejected{value, frame, time}

by service and in total; in the status, in the agent's own metrics, and in the losses of answers; and observed is what
the clients say that they have observed, not what the agent has made of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

DROPPED = ("ring", "budget", "expired")
REJECTED = ("value", "frame", "time")
OWN = "obsagent"

Account = Mapping[str, Any]
Status = Mapping[str, Any]
Query = Callable[[str], Mapping[str, Any]]


def flat(account: Account) -> dict[str, int]:
    """An account of a status as one level: `observed stored pending dropped_ring … rejected_time`."""
    assert set(account) == {"observed", "stored", "pending", "dropped", "rejected"}
    assert (set(account["dropped"]), set(account["rejected"])) == ({*DROPPED}, {*REJECTED})
    counts = {name: account[name] for name in ("observed", "stored", "pending")}
    counts |= {f"dropped_{reason}": account["dropped"][reason] for reason in DROPPED}
    return counts | {f"rejected_{reason}": account["rejected"][reason] for reason in REJECTED}


def balances(status: Status, observed: Mapping[str, int] | None = None, pending: int | None = 0) -> None:
    """Raise AssertionError unless the accounts of a status balance.

    `observed` says for each service what its clients have observed: they have to be all the services that there are,
    the agent's own apart. `pending` is what has to be pending of them; None is anything, while something is under way.
    """
    services = {name: flat(account) for name, account in status["accounts"]["services"].items()}
    for counts in services.values():
        assert all(count >= 0 for count in counts.values()), services
        assert counts["observed"] == sum(counts.values()) - counts["observed"], services
    summed: Counter[str] = Counter()
    for counts in services.values():
        summed.update(counts)
    total = flat(status["accounts"]["total"])
    assert {name: summed[name] for name in total} == total
    clients = {name: counts for name, counts in services.items() if name != OWN}
    if observed is not None:
        assert {name: counts["observed"] for name, counts in clients.items()} == dict(observed)
    if pending is not None:
        assert sum(counts["pending"] for counts in clients.values()) == pending


def metrics_balance(status: Status, query: Query) -> None:
    """Raise AssertionError unless the agent's own metrics say over all time what a status of clients at rest says.

    The agent's own service is left out: it grows from one question to the next.
    """
    told = own_metrics(query)
    services = status["accounts"]["services"]
    for service, counts in told.items():
        assert counts["observed"] == sum(counts.values()) - counts["observed"], told
        shown = flat(services[service])
        shown["observed"] -= shown.pop("pending")  # what the store knows nothing of yet
        assert {name: count for name, count in shown.items() if count} == counts
    assert {name for name in services if name != OWN and flat(services[name])["stored"]} <= set(told)


def own_metrics(query: Query) -> dict[str, Counter[str]]:
    """Service → `observed` and each outcome that is not zero, by the counters of the agent; without its own service."""
    told: dict[str, Counter[str]] = {}
    filters = f"service!={OWN} by service"
    for row in query(f"sum obsagent_samples_observed {filters} since 365d")["series"]:
        told.setdefault(row["labels"]["service"], Counter())["observed"] += row["values"]["sum"]
    for row in query(f"sum obsagent_samples {filters},outcome since 365d")["series"]:
        told.setdefault(row["labels"]["service"], Counter())[row["labels"]["outcome"]] += row["values"]["sum"]
    return told


def answers_balance(status: Status, query: Query, metrics: Mapping[str, str]) -> None:
    """Raise AssertionError unless the losses of answers are those of the accounts.

    `metrics` names for each service one of its metrics; the answers are of all time.
    """
    for service, metric in metrics.items():
        losses = query(f'count {metric} service="{service}" since 365d')["losses"]
        account = status["accounts"]["services"][service]
        assert losses["dropped"] == account["dropped"]
        assert losses["rejected"] == account["rejected"]
        assert losses["pending"] == 0
