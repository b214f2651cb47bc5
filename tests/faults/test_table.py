"""docs/resilience.md shows the table that the tests judge by."""

from tests.faults import mended
from tests.faults.table import PAGE, beside, rows, table_of


def test_the_page_has_a_row_for_each_fault() -> None:
    """With the outcomes that are expected now; the pauses are those of the run that made it."""
    page = table_of(PAGE.read_text(encoding="utf-8"))
    now = table_of(f"<!-- made by scripts/faults: begin -->\n| head |\n{chr(10).join(rows({}))}\n")
    assert [row[:4] for row in page] == [row[:4] for row in now]
    assert [row[4].partition(",")[0].rstrip(" |") for row in page] == [row[4].rstrip(" |") for row in now]


def test_the_page_has_a_row_for_each_fault_that_is_mended() -> None:
    """Word for word."""
    page = PAGE.read_text(encoding="utf-8")
    assert not [row for row in mended.rows() if row not in page]


def test_the_page_has_a_row_for_each_of_the_others() -> None:
    """Word for word."""
    page = PAGE.read_text(encoding="utf-8")
    assert not [row for row in beside() if row not in page]
