"""Tables fit into 80 columns, ASCII stands in, programs get JSON and CSV."""

from __future__ import annotations

import io
import json
import sys

import pytest
from rich.cells import cell_len

from cli.output import Listing, Output
from cli.table import Column, Table, lay_out, wrap
from cli.terminal import Shape, Terminal, look_at, to_ascii

TABLE = Table(
    (
        Column("STATE", lambda row: Shape.ASLEEP.beside("asleep")),
        Column("HOST", lambda row: row["name"], least=8),
        Column("SEEN", lambda row: "18 min ago", keep=3, brief=lambda row: "18 min"),
        Column("TEXT", lambda row: row["text"], keep=2, least=10),
        Column("ID", lambda row: "0123456789", keep=1, wide=True),
    ),
    ("name", "text", "tags", "on"),
    "Nothing here.",
)
ROW = {"name": "laptop-7", "text": "short", "tags": ["a", "b"], "on": True}


def test_every_line_fits_into_the_terminal() -> None:
    rows = [ROW, {"name": "x" * 64, "text": "y" * 200}, {"name": "日本" * 20, "text": "z" * 90}]
    for width in (40, 60, 80, 120):
        lines = lay_out(TABLE, rows, Terminal(width))
        assert max(map(cell_len, lines)) <= width
        assert len(lines) == 4


def test_wide_shows_every_column_and_cuts_nothing() -> None:
    long = "y" * 200
    head, line = lay_out(TABLE, [{**ROW, "text": long}], Terminal(None))
    assert "ID" in head
    assert long in line


def test_brief_words_before_columns_go() -> None:
    assert "18 min ago" in lay_out(TABLE, [ROW], Terminal(80))[1]
    tight = lay_out(TABLE, [{**ROW, "text": "y" * 90}], Terminal(80))[1]
    assert "18 min" in tight
    assert "ago" not in tight


def test_the_least_important_column_goes_first() -> None:
    head = lay_out(TABLE, [{"name": "n" * 30, "text": "y" * 30}], Terminal(39))[0]
    assert "STATE" in head
    assert "HOST" in head
    assert "TEXT" not in head


def test_ascii_terminal_gets_ascii_only() -> None:
    (_, line) = lay_out(TABLE, [{**ROW, "name": "x" * 90}], Terminal(80, unicode=False))
    assert line.isascii()
    assert "z asleep" in line


@pytest.mark.parametrize("shape", list(Shape))
def test_every_shape_has_its_own_stand_in(shape: Shape) -> None:
    assert to_ascii(shape.shape) == shape.ascii_shape
    assert len({one.ascii_shape for one in Shape}) == len(Shape)


def test_control_characters_never_reach_the_terminal() -> None:
    (_, line) = lay_out(TABLE, [{**ROW, "name": "a\x1b[31mb\nc"}], Terminal(80))
    assert "\x1b" not in line
    assert "\n" not in line


def test_a_pipe_is_plain_and_80_columns_wide() -> None:
    assert look_at(io.StringIO()) == Terminal(80, unicode=False, live=False, colour=False)
    assert look_at(io.StringIO(), wide=True).width is None
    ascii_pipe = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    utf8_pipe = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert not look_at(ascii_pipe).unicode
    assert look_at(utf8_pipe).unicode


@pytest.mark.parametrize(
    ("width", "lines"),
    [
        pytest.param(None, ["  one two three four"], id="no limit"),
        pytest.param(80, ["  one two three four"], id="fits"),
        pytest.param(12, ["  one two", "    three", "    four"], id="wraps and indents"),
        pytest.param(3, ["  one", "    two", "    three", "    four"], id="too narrow for a word"),
    ],
)
def test_wrap(width: int | None, lines: list[str]) -> None:
    assert wrap("  one two three four", width, 4) == lines


def test_a_summary_and_the_next_step_share_a_line_if_they_fit() -> None:
    out = Output(terminal=Terminal(80))
    together = out.lines_of(Listing(TABLE, [ROW], "1 host", "dormice why x"))
    assert together[-1] == "1 host" + " " * 55 + "next: dormice why x"
    apart = out.lines_of(Listing(TABLE, [ROW], "s" * 70, "dormice why x"))
    assert apart[-2:] == ["s" * 70, "next: dormice why x"]


def test_an_empty_list_says_so() -> None:
    assert Output(terminal=Terminal()).lines_of(Listing(TABLE, []))[0] == "Nothing here."


def test_json_and_csv(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{**ROW, "text": 'with "quotes", and commas'}, {**ROW, "text": None}]
    Output(as_json=True).show_list(lambda: Listing(TABLE, rows))
    assert json.loads(capsys.readouterr().out) == rows
    Output(as_csv=True).show_list(lambda: Listing(TABLE, rows))
    assert capsys.readouterr().out.splitlines() == [
        "name,text,tags,on",
        'laptop-7,"with ""quotes"", and commas",a;b,true',
        "laptop-7,,a;b,true",
    ]


def test_plain_text_has_no_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    Output(terminal=look_at(sys.stdout)).show_list(lambda: Listing(TABLE, [ROW]))
    assert "\x1b" not in capsys.readouterr().out
