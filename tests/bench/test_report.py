"""The page and the picture say what was measured, and nothing else of the page changes."""

import xml.etree.ElementTree as ET

import pytest

from tests.bench.plot import svg
from tests.bench.report import PAGE, markdown, rewritten
from tests.bench.runs import Figures, Results
from tests.bench.tables import TABLES, Column, Table

FIGURES: Figures = {"requests/s": 1234.5, "CPU": 0.0005, "p50": 0.001}
COLUMNS = (Column("requests/s", "requests/s"), Column("CPU us", "CPU", 1e6, 1), Column("none", "absent"))


def test_a_table_has_the_columns_that_anybody_has() -> None:
    results: Results = {"c=1": {"direct": {"requests/s": 9.0}, "nginx": FIGURES, "broken": "answered 503"}}
    assert markdown(Table("t", "Heading", COLUMNS, notes="Notes."), results, "Said.") == (
        "## Heading\n\nNotes. Said.\n\n"
        "| c=1 | requests/s | CPU us |\n|---|---|---|\n"
        "| direct | 9 |  |\n| nginx | 1,234 | 500.0 |\n| broken | failed | failed |\n\n"
        "broken failed: `answered 503`\n"
    )


def test_growth_is_read_along_a_row() -> None:
    results: Results = {"small": {"nginx": FIGURES}, "large": {"nginx": {"requests/s": 7.0}}}
    table = Table("t", "Heading", COLUMNS[:1], across=True)
    assert "| requests/s | small | large |\n|---|---|---|\n| nginx | 1,234 | 7 |" in markdown(
        table, results, ""
    )


def test_the_page_has_a_place_for_the_picture_and_every_table() -> None:
    page = PAGE.read_text(encoding="utf-8")
    names = ["picture", *(table.name for table in TABLES)]
    again = rewritten(page, [(name, f"new {name}\n") for name in names])
    assert all(f"begin -->\nnew {name}\n<!--" in again for name in names)
    with pytest.raises(ValueError, match="no marks for other"):
        rewritten(page, [("other", "")])


def test_the_picture_is_one() -> None:
    rows: Results = {"requests, c=32": {"direct": FIGURES, "nginx": FIGURES, "<Portico>": FIGURES}}
    root = ET.fromstring(svg({"requests": rows}))
    texts = [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts.count("<Portico>") == 2
    assert texts.count("1,234") == 2
    assert "direct" not in texts
