"""The facade's section of the configuration."""

from pathlib import Path

import pytest

from portico_facade.config import ConfigError, Settings, load


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "portico.yaml"


def read(file: Path, text: str, **environ: str) -> Settings:
    file.write_text(text)
    return load(file, environ)


def test_without_a_file_the_defaults_hold() -> None:
    """Everything has one."""
    assert load(None, {}) == Settings()
    assert Settings().origins == {"*"}


def test_every_key_is_read(file: Path) -> None:
    """Sizes and times carry units."""
    settings = read(
        file,
        """
        http:
          listen: unix:/run/portico.sock
          core: dns:///cores:50051
          body_limit: 5MB
          cors: [https://a.example.com, "http://localhost:3000/"]
          ping: 1500ms
          client_timeout: 2m
          drain: 90s
        """,
    )
    assert settings.listen == "unix:/run/portico.sock"
    assert settings.core == "dns:///cores:50051"
    assert settings.body_limit == 5_000_000
    assert settings.origins == {"https://a.example.com", "http://localhost:3000"}
    assert settings.ping == 1.5
    assert (settings.client_timeout, settings.drain) == (120, 90)


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("http: 127.0.0.1:9000", "127.0.0.1:9000"),
        ("http: ", "0.0.0.0:8000"),
        ("grpc: 0.0.0.0:1", "0.0.0.0:8000"),
        ("", "0.0.0.0:8000"),
    ],
)
def test_an_address_may_stand_for_the_section(file: Path, text: str, listen: str) -> None:
    """And the section may be absent."""
    assert read(file, text).listen == listen


def test_the_other_sections_are_neither_checked_nor_interpolated(file: Path) -> None:
    """A facade does not have the keys of the backends, nor should it."""
    text = "backends: {openai: {dialect: nonsense, api_key: ${OPENAI_API_KEY}}}\nhttp: ${WHERE}"
    assert read(file, text, WHERE="localhost:1").listen == "localhost:1"


@pytest.mark.parametrize(
    ("listen", "environ", "expected"),
    [
        ("127.0.0.1:9000", {"PORT": "80"}, "127.0.0.1:80"),
        ("127.0.0.1:9000", {"HOST": "10.0.0.1"}, "10.0.0.1:9000"),
        ("127.0.0.1:9000", {"HOST": "::1", "PORT": "80"}, "[::1]:80"),
        ("127.0.0.1:9000", {"HOST": "", "PORT": ""}, "127.0.0.1:9000"),
        ("unix:/run/portico.sock", {"PORT": "80"}, "0.0.0.0:80"),
        ("127.0.0.1:9000", {"CHATGPT_API_PORT": "3111"}, "127.0.0.1:3111"),
        ("127.0.0.1:9000", {"CHATGPT_API_PORT": "3111", "PORT": "80"}, "127.0.0.1:80"),
    ],
)
def test_host_and_port_of_the_environment_go_before_the_file(
    file: Path, listen: str, environ: dict[str, str], expected: str
) -> None:
    """Platforms tell a program its port in this way."""
    assert read(file, f"http: {{listen: '{listen}'}}", **environ).listen == expected
    assert load(None, environ).listen.endswith(
        environ.get("PORT") or environ.get("CHATGPT_API_PORT") or "8000"
    )


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("{listen: nowhere}", "http.listen: expected an address"),
        ("{prot: 1}", "http.prot: is not known"),
        ("{body_limit: 1GB}", "http.body_limit: the routing core takes at most 63MiB"),
        ("{body_limit: 0}", "http.body_limit: the routing core takes"),
        ("{ping: 15}", "http.ping: expected a duration"),
        ("{client_timeout: never}", "http.client_timeout: expected a duration"),
        ("{cors: chat.example.com}", "http.cors: 'chat.example.com' is no origin"),
        ("{cors: ['*', 'https://a/b']}", "http.cors: 'https://a/b' is no origin"),
        ("{core: ''}", "http.core: '' is no target"),
        ("{core: nonsense}", "http.core: 'nonsense' is no target"),
        ("[1]", "http: expected an address"),
    ],
)
def test_a_mistake_is_told_with_file_line_and_key(file: Path, section: str, said: str) -> None:
    """And with what to write instead."""
    with pytest.raises(ConfigError) as caught:
        read(file, f"\n\nhttp: {section}")
    assert f"portico.yaml:3: {said}" in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"PORT": "http"}, "PORT of"),
        ({"CHATGPT_API_PORT": "http"}, "CHATGPT_API_PORT of"),
        ({"HOST": "h", "PORT": "http"}, "HOST and PORT of"),
    ],
)
def test_a_port_of_the_environment_that_is_none_is_a_mistake(environ: dict[str, str], named: str) -> None:
    """The message names the variables that are set, and no other."""
    with pytest.raises(ConfigError, match=f"^{named} the environment: "):
        load(None, environ)


def test_cors_can_be_switched_off(file: Path) -> None:
    """The bare word, which YAML would take for false."""
    assert read(file, "http: {cors: off}").origins == frozenset()


def test_a_mapping_is_read_as_the_file_it_would_be() -> None:
    section = {"body_limit": "1MB", "cors": ["https://${NAME}.example"], "ping": "5s"}
    settings = load({"http": section}, {"NAME": "chat"})
    assert (settings.body_limit, settings.cors, settings.ping) == (1_000_000, ["https://chat.example"], 5.0)
    with pytest.raises(
        ConfigError, match=r"^the configuration: http\.pnig: is not known\. Did you mean ping"
    ):
        load({"http": {"pnig": "5s"}}, {})
    with pytest.raises(ConfigError, match=r"^the configuration: holds what YAML cannot"):
        load({"http": object()}, {})
