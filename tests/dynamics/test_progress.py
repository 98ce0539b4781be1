"""The bar: what it shows, when, and where not."""

import pytest

from flowsim.dynamics import progress
from flowsim.dynamics.progress import Progress, silent


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PATIENCE", 0.0)


def test_it_shows_what_is_done_of_how_much(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("descent", 8.0, "decade of k") as bar:
        bar.advance(2.0)
        bar._bar.refresh()
        assert "descent:  25%" in (shown := capsys.readouterr().err)
        assert "2/8 decade of k [00:00<" in shown


def test_runs_are_counted_from_what_was_done_before_with_their_rate(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("runs", 2_000_000, "runs", done=500_000, rate=True) as bar:
        bar.advance(1_000_000)
        bar._bar.refresh()
        shown = capsys.readouterr().err.splitlines()[-1]
    assert "runs:  75%" in shown
    assert "1500000/2000000 runs [00:00<" in shown
    assert "runs/s]" in shown


def test_parts_that_add_up_to_more_than_the_whole_are_the_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("flows", 1.0) as bar:
        bar.advance(0.7)
        bar.advance(0.4)
        assert bar._bar.n == 1.0


def test_inside_work_with_a_bar_of_its_own_there_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    with silent(), Progress("flows", 2.0) as bar:
        bar.advance(1.0)
        bar._bar.refresh()
    assert capsys.readouterr().err == ""
    with Progress("flows", 2.0) as bar:
        bar.advance(1.0)
        bar._bar.refresh()
    assert "flows" in capsys.readouterr().err
