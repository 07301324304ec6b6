"""The page of promises and the tests that show them are about the same rows."""

from __future__ import annotations

from tests import rows


def test_every_row_of_the_page_has_a_test():
    """A promise that nothing shows is none."""
    assert [] == [row for row in rows.rows() if row not in rows.by_row()]


def test_no_test_names_a_row_that_is_not_there():
    """It would be selected by nobody."""
    known = set(rows.rows())
    assert {} == {row: tests for row, tests in rows.by_row().items() if row not in known}


def test_rows_are_there_once_and_counted_without_a_gap():
    """All of each group, from 1 on."""
    names = rows.rows()
    assert len(names) == len(set(names))
    counts = {letter: sum(name[0] == letter for name in names) for letter in "CLWMRSXVTP"}
    assert {"C": 10, "L": 9, "W": 18, "M": 15, "R": 11} == {k: counts[k] for k in "CLWMR"}
    assert {"S": 8, "X": 11, "V": 5, "T": 5, "P": 12} == {k: counts[k] for k in "SXVTP"}
    assert names == [f"{letter}{n + 1}" for letter in counts for n in range(counts[letter])]


def test_names_are_read_where_they_are_written():
    """Behind code, in docstrings, several at once; and nothing else is taken for one."""
    assert ["W5"] == rows.named("async def test_it():  # W5")
    assert ["M1", "M3"] == rows.named('    """It is so. # M1 M3"""')
    assert ["C4", "C5"] == rows.named("    # C4, C5, rows 6 to 9")
    assert [] == rows.named('{"refno": "R1"}  # the first one')
    assert [] == rows.named("# Windows 10, W3C")
    assert not rows.shows("nowhere", "test_it", "W5")
