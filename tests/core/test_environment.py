"""What environment variables make where there is no configuration file, and what they say of mistakes."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from portico_core.config import Config, ConfigError, load
from portico_core.route_table import route_rows
from tests.support.seeds import CONFIG


def made(**environ: str) -> Config:
    return load(None, environ)


def urls(config: Config) -> dict[str, str]:
    return {backend.name: backend.settings.url for backend in config.backends}


def resolved(config: Config, name: str) -> list[str]:
    return [str(each) for each in config.routes.resolve(name, {}).candidates]


def test_openai_takes_every_name() -> None:
    """A key alone is OpenAI's own; whatever is asked for goes there under its name."""
    config = made(OPENAI_API_KEY="sk-${HOME}$1")
    assert urls(config) == {"openai": "https://api.openai.com/v1"}
    assert config.backends[0].settings.api_key.reveal() == "sk-${HOME}$1"
    for name in ("gpt-4", "default/gpt-4", "openai/gpt-4"):
        assert resolved(config, name) == ["openai/gpt-4"]
    assert resolved(config, "ft:gpt-4/x") == ["openai/ft:gpt-4/x"]


def test_a_base_url_needs_no_key() -> None:
    config = made(OPENAI_BASE_URL="http://localhost:8080/v1")
    assert urls(config) == {"openai": "http://localhost:8080/v1"}
    assert config.backends[0].settings.api_key is None


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("192.168.178.213:11434", "http://192.168.178.213:11434"),
        ("http://192.168.178.213:11434", "http://192.168.178.213:11434"),
        ("https://ollama.example.com", "https://ollama.example.com"),
        ("engine", "http://engine:11434"),
        ("[::1]", "http://[::1]:11434"),
        ("[::1]:99/", "http://[::1]:99"),
    ],
)
def test_ollama_is_found_with_and_without_a_scheme(written: str, url: str) -> None:
    assert urls(made(OLLAMA_URL=written)) == {"ollama": url}


def test_openais_names_stand_for_local_models_at_the_gateway_and_then_at_ollama() -> None:
    config = made(OLLAMA_URL="h:1", GATEWAY_URL="https://gateway.example.com", AGENT_ID="agent-$7")
    assert urls(config) == {"gateway": "https://gateway.example.com/v1", "ollama": "http://h:1"}
    assert {each.name: each.settings.agent for each in config.backends} == {
        "gateway": "agent-$7",
        "ollama": "agent-$7",
    }
    for name, local in {
        "gpt-4": "qwen2.5:32b",
        "gpt-4-turbo": "qwen2.5:32b",
        "gpt-3.5-turbo": "qwen2.5:14b",
        "gpt-4-mini": "qwen2.5:3b",
        "llama3.2": "llama3.2",
    }.items():
        assert resolved(config, name) == [f"gateway/{local}", f"ollama/{local}"]


def test_a_gateways_own_path_stays() -> None:
    assert urls(made(GATEWAY_URL="http://g:1/llm/v1")) == {"gateway": "http://g:1/llm/v1"}


def test_with_openai_a_name_means_openais_model_first() -> None:
    """Whoever asks for gpt-4 with a key for it expects gpt-4; the local model steps in when that fails."""
    config = made(OPENAI_API_KEY="k", OLLAMA_URL="h:1")
    assert resolved(config, "gpt-4") == ["openai/gpt-4", "ollama/qwen2.5:32b"]


def test_config_makes_backends() -> None:
    """An entry is a backend: OpenAI's dialect, or Azure's where it says so."""
    config = made(CONFIG=CONFIG)
    assert [(each.name, each.dialect, each.settings.url) for each in config.backends] == [
        ("default-1", "openai", "https://api.openai.com/v1"),
        ("default-2", "openai", "https://api.deepseek.com/v1"),
        ("azure", "azure", "https://***.openai.azure.com/"),
    ]
    azure = config.backends[-1]
    assert (azure.settings.api_version, azure.models) == ("2024-02-15-preview", ("gpt-4o", "gpt-4o-mini"))


@pytest.mark.parametrize(
    ("name", "candidates"),
    [
        ("gpt-4o", ["default-1/gpt-4o"]),
        ("default/gpt-4o", ["default-1/gpt-4o"]),
        ("deepseek-coder", ["default-2/deepseek-coder"]),
        ("azure/gpt-4o", ["azure/gpt-4o"]),
    ],
)
def test_config_makes_namespaces(name: str, candidates: Sequence[str]) -> None:
    """Inside "config" and beside it; `default/` may be left out."""
    assert resolved(made(CONFIG=CONFIG), name) == candidates


@pytest.mark.parametrize("name", ["gpt-5", "azure/gpt-5", "default/gpt-5", "azure/deepseek-chat"])
def test_config_serves_no_model_that_it_does_not_name(name: str) -> None:
    with pytest.raises(Exception, match="does not exist"):
        resolved(made(CONFIG=CONFIG), name)


def test_entries_of_one_model_are_tried_in_order() -> None:
    """Inside and beside "config" is one namespace; an entry without models takes any."""
    entries = [{"models": ["a"], "api_key": f"k{number}"} for number in range(2)]
    config = made(CONFIG=json.dumps({"config": {"x": entries}, "x": [{"api_key": "k2"}]}))
    assert resolved(config, "x/a") == ["x-1/a", "x-2/a", "x-3/a"]
    assert resolved(config, "x/b") == ["x-3/b"]
    assert [each.settings.api_key.reveal() for each in config.backends] == ["k0", "k1", "k2"]


def test_config_goes_before_the_single_variables() -> None:
    config = made(CONFIG=CONFIG, OPENAI_API_KEY="k", OLLAMA_URL="h", GATEWAY_URL="http://g")
    assert [each.name for each in config.backends] == ["default-1", "default-2", "azure"]


@pytest.mark.parametrize(
    "environ", [{}, {"OPENAI_API_KEY": "", "CONFIG": " "}, {"AGENT_ID": "a", "PORT": "1"}]
)
def test_without_a_backends_variable_there_is_the_dummy(environ: dict[str, str]) -> None:
    """Empty is as good as unset, as compose files pass unset variables on."""
    assert [each.name for each in made(**environ).backends] == ["dummy"]


def test_a_file_goes_before_the_backends_variables(tmp_path: Path) -> None:
    """Keys and allowed models count with a file too: a door must not open because a file came along."""
    path = tmp_path / "portico.yaml"
    path.write_text("backends: {d: {dialect: dummy}}\nallowed_models: [x]\nkeys: [one]\n", encoding="utf-8")
    environ = {"OPENAI_API_KEY": "k", "CONFIG": "no JSON", "API_KEYS": "two", "ALLOWED_MODELS": "y"}
    config = load(path, environ)
    assert [each.name for each in config.backends] == ["d"]
    assert [(key.name, key.secret.reveal()) for key in config.keys] == [
        ("key-1", "one"),
        ("env-key-1", "two"),
    ]
    assert config.routes.allowed == ("y",)


@pytest.mark.parametrize(
    ("environ", "keys"),
    [
        ({"API_KEYS": "key1,key2"}, ["key1", "key2"]),
        ({"API_KEYS": " key1 , ,"}, ["key1"]),
        ({"API_KEYS": "key1", "ENABLE_AUTH": "true", "API_KEY_SECRET": "s"}, ["key1", "s"]),
        ({"API_KEYS": "key1", "ENABLE_AUTH": "true"}, ["key1"]),
        ({"ENABLE_AUTH": "True", "API_KEY_SECRET": "s"}, ["s"]),
        ({"ENABLE_AUTH": "false", "API_KEY_SECRET": "s"}, []),
        ({"API_KEY_SECRET": "s"}, []),
    ],
)
def test_keys_come_from_either_seeds_variables(environ: dict[str, str], keys: list[str]) -> None:
    """API_KEYS alone locks the door; API_KEY_SECRET needs ENABLE_AUTH."""
    config = made(**environ)
    assert [key.secret.reveal() for key in config.keys] == keys
    assert not any(key in repr(config) for key in keys if len(key) > 1)


def test_routes_are_told_with_the_variable_that_makes_them() -> None:
    rows = route_rows(made(CONFIG=CONFIG))
    assert ("azure/gpt-4o", "azure/gpt-4o", "CONFIG") in rows
    assert ("deepseek-chat", "default-2/deepseek-chat", "CONFIG") in rows
    assert not any(name.startswith("default/") for name, _, _ in rows)
    rows = route_rows(made(OLLAMA_URL="h", GATEWAY_URL="http://g"))
    assert ("gpt-4", "gateway/qwen2.5:32b, ollama/qwen2.5:32b", "GATEWAY_URL") in rows
    assert ("(any other)", "gateway/*, ollama/*", "GATEWAY_URL") in rows


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"OPENAI_BASE_URL": "api.openai.com"}, "OPENAI_BASE_URL: backends.openai.url: expected a URL"),
        ({"OPENAI_API_KEY": "a\nb"}, "OPENAI_API_KEY: backends.openai.api_key: must be printable ASCII"),
        ({"GATEWAY_URL": "ftp://x"}, "GATEWAY_URL: backends.gateway.url: expected a URL"),
        ({"OLLAMA_URL": "http://h/v1"}, "OLLAMA_URL: backends.ollama.url: expected the server's root"),
        ({"CONFIG": "portico.yaml"}, "CONFIG: is not JSON"),
        ({"CONFIG": "[]"}, "CONFIG: expected namespaces with their entries, found an array"),
        ({"CONFIG": "{}"}, "CONFIG: names no backend"),
        ({"CONFIG": '{"a": {"b": []}}'}, "CONFIG: a: expected a list of entries, found an object"),
        ({"CONFIG": '{"config": {"b": "x"}}'}, "CONFIG: b: expected a list of entries, found a string"),
        ({"CONFIG": '{"b": [{}, "x"]}'}, "CONFIG: b: entry 2: expected an object, found a string"),
        ({"CONFIG": '{"b": [{"models": "x"}]}'}, "CONFIG: b: entry 1: Expected `array | null`, got `str`"),
        (
            {"CONFIG": '{"a": [{"modles": []}]}'},
            "CONFIG: a: entry 1: modles is not known. Did you mean models?",
        ),
        ({"CONFIG": '{"a": [{"api_version": "1"}]}'}, "CONFIG: a: entry 1: api_version is for Azure"),
        ({"CONFIG": '{"a/b": [{}]}'}, "CONFIG: backends.a/b: is no name for a backend"),
        ({"CONFIG": '{"a": [{"base_url": "x"}]}'}, "CONFIG: backends.a.url: expected a URL"),
        ({"ENABLE_AUTH": "maybe"}, "ENABLE_AUTH: expected true or false"),
        ({"ENABLE_AUTH": "true"}, "ENABLE_AUTH is on, but there is no key. Set API_KEY_SECRET"),
        ({"API_KEYS": ","}, "API_KEYS: names no key. Write one, or unset it."),
        ({"ALLOWED_MODELS": " , "}, "ALLOWED_MODELS: names no model. Write one, or unset it."),
        ({"API_KEYS": "key one"}, "env-key-1: a key is printable ASCII without blanks"),
    ],
)
def test_a_mistake_names_its_variable(environ: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        made(**environ)
    assert str(caught.value).startswith(message)


def test_the_rest_of_the_world_is_named_by_its_dialect() -> None:
    """is_azure asks for an adapter of Azure, grpc:// for one of another Portico's core."""
    azure = {"models": ["gpt-4o"], "api_key": "k", "base_url": "https://a.example.com/", "is_azure": True}
    for environ, dialect in (
        ({"CONFIG": json.dumps({"azure": [azure]})}, "azure"),
        ({"GATEWAY_URL": "grpc://h:1"}, "portico"),
    ):
        with pytest.raises(ConfigError, match=f"no adapter speaks {dialect}"):
            load(None, environ, {})
