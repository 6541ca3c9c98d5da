import io

from unit.demo_data import made_up_flights, need_demo_packages

need_demo_packages()

from obsagent.demo.screen import PlainScreen, milliseconds, screen_on, vitals_table  # noqa: E402
from obsagent.demo.vitals import Vitals, read_vitals  # noqa: E402


def row(labels: dict[str, str], **values: float | None) -> dict[str, object]:
    return {"labels": labels, "count": 1, "values": values, "error_bound": {}}


LATENCY = {
    "series": [
        row({"endpoint": "/score"}, p50=0.0021, p99=0.0151, rate=301.4),
        row({"endpoint": "/score_batch"}, p50=None, p99=None, rate=None),
    ]
}
REQUESTS = {
    "series": [
        row({"endpoint": "/score", "status": "200"}, count=3000.0),
        row({"endpoint": "/score", "status": "422"}, count=6.0),
        row({"endpoint": "/score", "status": "500"}, count=2.0),
        row({"endpoint": "/score", "status": "503"}, count=1.0),
        row({"endpoint": "/score_batch", "status": "404"}, count=4.0),
    ]
}
VITALS = [
    Vitals("/score", rate=301.4, p50_s=0.0021, p99_s=0.0151, refused=6, failed=3),
    Vitals("/score_batch", rate=0.0, p50_s=None, p99_s=None, refused=4, failed=0),
]


def test_answers_become_vitals() -> None:
    assert read_vitals(LATENCY, REQUESTS) == VITALS


def test_an_agent_that_knows_nothing_yet_has_no_vitals() -> None:
    assert read_vitals({"series": [], "empty": "no samples"}, {"series": []}) == []


def test_the_live_table_has_a_row_an_endpoint() -> None:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=80)
    console.print(vitals_table(VITALS))
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    [score] = [line for line in lines if "/score " in line]
    assert [cell.strip() for cell in score.strip("│").split("│")] == ["/score", "301", "2.10 ms", "15.10 ms", "6", "3"]
    assert max(map(len, lines)) <= 80


def test_without_a_terminal_there_are_plain_lines_now_and_then(monkeypatch) -> None:
    from obsagent.demo.replay import Replay

    seconds = 100.0
    monkeypatch.setattr("obsagent.demo.screen.time.monotonic", lambda: seconds)
    stream = io.StringIO()
    screen, replay = screen_on(stream), Replay(made_up_flights(300), [], 60.0)
    assert isinstance(screen, PlainScreen)
    with screen.step("starting the agent"), screen.watch(replay):
        for seconds in (101.0, 105.5, 106.0, 110.0, 111.0):  # noqa: B007
            screen.show(replay, VITALS)
    assert stream.getvalue().splitlines() == [
        "starting the agent …",
        *["   0 s  Jan 01        0 flights  /score 301/s p50 2.10 ms p99 15.10 ms  /score_batch 0/s p50 – p99 –"] * 2,
    ]


def test_milliseconds() -> None:
    assert [milliseconds(value) for value in (0.00174, 1.5, None)] == ["1.74 ms", "1500.00 ms", "–"]
