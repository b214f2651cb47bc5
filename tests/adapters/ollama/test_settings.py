"""The members of a backend in the configuration file."""

from typing import Any

import pytest

from portico.config import ConfigError, fill, parse
from portico.secret import Secret
from portico_adapters.ollama.settings import OllamaSettings


def settings(**members: str) -> OllamaSettings:
    text = "".join(f"{name}: {value}\n" for name, value in members.items())
    return fill(OllamaSettings, parse(text, "portico.yaml", {}))


def test_a_url_is_enough() -> None:
    """The rest is the server's own choice."""
    assert settings(url="http://localhost:11434") == OllamaSettings(url="http://localhost:11434")


@pytest.mark.parametrize(
    ("written", "sent"),
    [("5m", "5m"), ("1h30m", "1h30m"), ("'300'", 300), ("300", 300), ("-1", -1), ("0", 0), ("-1m", "-1m")],
)
def test_keep_alive_is_sent_as_ollama_reads_it(written: str, sent: Any) -> None:
    """A number is seconds; as a text it would lack its unit."""
    assert settings(url="http://a", keep_alive=written).keep_alive_json == sent


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"url": "localhost:11434"}, "url"),
        ({"url": "http://localhost:11434/v1"}, "url"),
        ({"url": "http://localhost:11434/api/"}, "url"),
        ({"keep_alive": "forever"}, "keep_alive"),
        ({"keep_alive": "5 m"}, "keep_alive"),
        ({"num_ctx": "0"}, "num_ctx"),
        ({"num_ctx": "many"}, "num_ctx"),
        ({"api_key": '"a\\nb"'}, "api_key"),
        ({"num_predict": "5"}, "num_predict"),
    ],
)
def test_a_mistake_is_told_at_its_line(members: dict[str, str], name: str) -> None:
    """With the name of the member."""
    with pytest.raises(ConfigError, match=rf"portico\.yaml.*{name}"):
        settings(**{"url": "http://a", **members})


def test_the_key_does_not_print() -> None:
    """Settings end up in logs and tracebacks."""
    assert "sesame" not in repr(OllamaSettings(url="http://a", api_key=Secret("sesame")))
