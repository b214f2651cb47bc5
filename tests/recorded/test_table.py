"""The page of providers says what the recorded exchanges show."""

from tests.recorded.table import PAGE, judged, page
from tests.support.shared import shared


def test_the_page_is_up_to_date() -> None:
    """scripts/providers makes it anew."""
    shared("corpus")
    assert PAGE.read_text(encoding="utf-8") == page(judged()), "run scripts/providers"
