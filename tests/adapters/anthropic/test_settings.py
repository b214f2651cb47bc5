"""What the configuration of a backend of this dialect may say."""

from typing import Any

import pytest

from portico.secret import Secret
from portico_adapters.anthropic.settings import AnthropicSettings


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ({"url": "https://api.anthropic.com/v1"}, "url"),
        ({"url": "https://api.anthropic.com/v1/messages/"}, "url"),
        ({"api_key": Secret("a\n")}, "api_key"),
        ({"auth_token": Secret("ä")}, "auth_token"),
        ({"api_key": Secret("a"), "auth_token": Secret("b")}, "auth_token"),
        ({"api_key": Secret("a"), "credentials": "caller"}, "api_key"),
        ({"version": "latest"}, "version"),
        ({"beta": ["a,b"]}, "beta"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"pass_headers": ["anthropic-version"]}, "headers"),
        ({"pass_headers": ["anthropic-beta"], "beta": ["a"]}, "headers"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(members: dict[str, Any], named: str) -> None:
    """At the start, not at the first call."""
    with pytest.raises(ValueError, match=rf"^{named}: "):
        AnthropicSettings(**members)


def test_nothing_but_a_key_is_needed() -> None:
    """The rest is Anthropic's own."""
    settings = AnthropicSettings(api_key=Secret("k"))
    assert settings.url == "https://api.anthropic.com"
    assert settings.headers == {"anthropic-version": "2023-06-01"}
    assert settings.key == {"x-api-key": "k"}


def test_callers_may_name_beta_features() -> None:
    """Where the configuration names none."""
    assert AnthropicSettings(pass_headers=["anthropic-beta"]).lists_by_caller
