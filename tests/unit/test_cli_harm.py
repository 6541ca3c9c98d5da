"""How a status shows harm."""

from __future__ import annotations

from harm_lab import LIVE, Bench

from obsagent.cli.harm import episode_lines, harm_lines
from obsagent.evaluate.state import Judged
from obsagent.harm.allowed import Known
from obsagent.harm.episode import Told
from obsagent.harm.evidence import evidence_of
from obsagent.harm.report import harm_report


def harmed() -> Bench:
    bench = Bench(lambda *_: Known(2_000.0, 20_000, "reference 1a2b3c4d"))
    bench.add(5_000, 0.1)
    ((episode, harm),) = bench.add(5_000, 0.3).raised
    bench.add(300, 0.1, Judged("churn\x1b[0m", "", "shadow"))
    now_ms = int(bench.stream.now_ms)
    episode.evidence = evidence_of(episode, harm, bench.state.versions[LIVE], bench.stream, lambda _: [], now_ms)
    return bench


def test_the_risk_of_each_version_beside_what_it_may_be() -> None:
    header, churn, fraud = harm_lines(harm_report(harmed().state), None)
    assert header.split()[:5] == ["risk", "of", "version", "variant", "loss"]
    assert "\x1b" not in churn
    assert fraud.split()[:4] == ["fraud", "4", "live", "error"]
    *_, allowed, evidence, truths, day, minute = fraud.split()
    assert (allowed, truths, day[:3], len(minute)) == ("0.126", "10,000", "202", 5)
    assert evidence.startswith("1e+")
    assert churn.split()[-1] == "–"


def test_without_truths_there_is_no_table() -> None:
    assert harm_lines({}, None) == []
    assert harm_lines({"models": [], "episodes": []}, None) == []
    assert list(episode_lines({})) == []


def test_an_episode_is_a_line_with_what_became_of_it() -> None:
    bench = harmed()
    (line,) = episode_lines(harm_report(bench.state))
    assert line.startswith("retrain: fraud/4/live does harm since 20")
    assert "0.100 in reference 1a2b3c4d; no on_retrain is configured" in line
    (episode,) = bench.state.episodes
    episode.slice = "country=DE"
    episode.ways = {"command": Told("worked", 1, "exited with 0 after 1.0s"), "webhook": Told("due")}
    (line,) = episode_lines(harm_report(bench.state))
    assert "fraud/4/live where country=DE" in line
    assert line.endswith("; the command exited with 0 after 1.0s; the webhook is due")
    episode.end(5, "over")
    assert list(episode_lines(harm_report(bench.state))) == []
