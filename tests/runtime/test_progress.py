"""Progress: a bar for people, lines for logs."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from spred.runtime.progress import progress


def test_a_log_gets_one_plain_line_a_step() -> None:
    text = StringIO()
    with progress(Console(file=text), "folds [5]") as advance:
        advance(1, 2)
        advance(2, 2)
    lines = text.getvalue().splitlines()
    assert [line.rsplit(" (", 1)[0] for line in lines] == ["folds [5]: 1 of 2", "folds [5]: 2 of 2"]
    assert "\x1b" not in text.getvalue()


def test_a_terminal_gets_a_bar_that_goes_away() -> None:
    text = StringIO()
    with progress(Console(file=text, force_terminal=True, width=80), "folds") as advance:
        advance(2, 2)
    assert "2/2" in text.getvalue()
    assert "\x1b[2K" in text.getvalue()


def test_a_log_of_many_steps_gets_a_tenth_of_them() -> None:
    text = StringIO()
    with progress(Console(file=text), "halves") as advance:
        for done in range(1, 101):
            advance(done, 100)
    lines = text.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[-1].startswith("halves: 100 of 100")
