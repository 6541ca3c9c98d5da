"""The accounts balance through everything that may become of a sample, and the check of that would notice if not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from accounts_scenario import Life

from balance import balances

ACCOUNT = {
    "observed": 21,
    "stored": 6,
    "pending": 0,
    "dropped": {"ring": 1, "budget": 2, "expired": 3},
    "rejected": {"value": 2, "frame": 3, "time": 4},
}


def status_of(**services: Any) -> dict[str, Any]:
    return {"accounts": {"services": services, "total": copy.deepcopy(ACCOUNT)}}


def test_everything_that_becomes_of_samples_is_in_the_accounts(tmp_path: Path) -> None:
    Life(tmp_path / "store").live()


def test_what_balances() -> None:
    balances(status_of(shop=ACCOUNT), {"shop": 21})
    balances(status_of(obsagent=ACCOUNT), {})


@pytest.mark.parametrize("key", ["observed", "stored", "pending"])
def test_a_count_that_is_off_by_one_does_not_balance(key: str) -> None:
    with pytest.raises(AssertionError):
        balances(status_of(shop={**ACCOUNT, key: ACCOUNT[key] + 1}))


@pytest.mark.parametrize("kind", ["dropped", "rejected"])
def test_a_loss_that_is_off_by_one_does_not_balance(kind: str) -> None:
    for reason, count in ACCOUNT[kind].items():
        with pytest.raises(AssertionError):
            balances(status_of(shop={**ACCOUNT, kind: {**ACCOUNT[kind], reason: count + 1}}))


def test_a_total_that_is_not_the_sum_does_not_balance() -> None:
    with pytest.raises(AssertionError):
        balances(status_of(shop=ACCOUNT, bank=ACCOUNT))


def test_what_the_clients_say_otherwise_does_not_balance() -> None:
    for observed in ({"shop": 20}, {}, {"shop": 21, "bank": 1}):
        with pytest.raises(AssertionError):
            balances(status_of(shop=ACCOUNT), observed)
    with pytest.raises(AssertionError):
        balances(status_of(shop=ACCOUNT), {"shop": 21}, pending=1)
