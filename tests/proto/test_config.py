"""Reading the configuration file: places, variables, values, and what each mistake says."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from portico.config import ConfigError, Duration, Node, Size, Url, fill, parse, read, value
from portico.secret import Secret


@dataclass(frozen=True)
class Inner:
    weight: int = 1


@dataclass(frozen=True)
class Settings:
    url: Url
    api_key: Secret | None = None
    ratio: float = 0.5
    retries: int = 3
    strict: bool = False
    wait: Duration = 1.0
    limit: Size = 10
    names: list[str] = field(default_factory=list)
    origins: str | list[str] = "*"
    headers: Mapping[str, Secret] = field(default_factory=dict)
    inner: Inner = Inner()

    def __post_init__(self) -> None:
        if self.retries > 9:
            raise ValueError("retries: at most 9")
        if self.ratio > 1 and self.strict:
            raise ValueError("strict and ratio exclude each other")


def root(text: str, **environ: str) -> Node:
    return parse(text, "portico.yaml", environ)


def settings(text: str, **environ: str) -> Settings:
    return fill(Settings, root(text, **environ))


def test_a_dataclass_is_filled_from_a_mapping() -> None:
    """Every kind of field takes what is written for it."""
    filled = settings(
        """
        url: https://api.example.com/v1
        api_key: 0123
        ratio: 1e-1
        retries: 7
        strict: true
        wait: 1m30s
        limit: 20MB
        names: [2024-10-21, yes, 1.50]
        origins: [a, b]
        headers: {x-tenant: 17}
        inner: {weight: 2}
        """
    )
    assert filled == Settings(
        url="https://api.example.com/v1",
        api_key=Secret("0123"),
        ratio=0.1,
        retries=7,
        strict=True,
        wait=90.0,
        limit=20_000_000,
        names=["2024-10-21", "yes", "1.50"],
        origins=["a", "b"],
        headers={"x-tenant": Secret("17")},
        inner=Inner(2),
    )


def test_null_is_as_good_as_absent() -> None:
    """A member without a value keeps its default."""
    assert settings("url: http://h\nretries:\nratio: ~") == Settings("http://h")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "\nurl: 17",
            "portico.yaml:2: url: expected a URL such as http://localhost:8080/v1, found 17",
        ),
        ("url: ftp://h", "1: url: expected a URL such as http://localhost:8080/v1, found ftp://h"),
        ("url: http://key@h", "1: url: is more than scheme, host, port and path"),
        ("url: http://h/v1?key=k", "1: url: is more than scheme, host, port and path"),
        ("url: http://h:99999", "1: url: expected a URL such as"),
        ("retries: 1", "1: url is missing. Add `url: …` here."),
        ("url:", "1: url is missing."),
        ("url: http://h\nurk: 1", "2: urk: is not known. Did you mean url?"),
        ("url: http://h\nzzzz: 1", "2: zzzz: is not known. Known here: api_key, headers, inner,"),
        ("url: http://h\nretries: some", "2: retries: expected a whole number, found some"),
        ("url: http://h\nretries: 1.5", "2: retries: expected a whole number, found 1.5"),
        ("url: http://h\nratio: .inf", "2: ratio: expected a number, found .inf"),
        ("url: http://h\nstrict: yes", "2: strict: expected true or false, found yes"),
        ("url: http://h\nwait: 5", "2: wait: expected a duration such as 5s, 500ms or 1m30s, found 5"),
        ("url: http://h\nwait: 0s", "2: wait: expected a duration"),
        ("url: http://h\nlimit: 3 parsecs", "2: limit: expected a size such as 20MB or 512KiB, found 3 par"),
        ("url: http://h\nnames: one", "2: names: expected a list, found one"),
        ("url: http://h\nnames:\n - a\n - {b: c}", "4: names[1]: expected a text, found a mapping"),
        ("url: http://h\nnames: [~]", "2: names[0]: expected a text, found nothing"),
        ("url: http://h\nheaders: [a]", "2: headers: expected a mapping (name: value), found a list"),
        ("url: http://h\norigins: {a: b}", "2: origins: expected a text, found a mapping"),
        ("url: http://h\ninner: {weight: x}", "2: inner.weight: expected a whole number, found x"),
        ("url: http://h\nretries: 10", "2: retries: at most 9"),
        ("url: http://h\nratio: 2\nstrict: true", "1: strict and ratio exclude each other"),
        ("url: http://h\n\nurl: http://i", "3: url: stands here for the second time, first on line 1"),
        ("url: http://h\nheaders: {a.b: [], c: 1}", '2: headers."a.b": expected a text, found a list'),
        ("- a", "1: expected a mapping (name: value), found a list"),
        ("? [a]\n: b", "1: a name is not a plain text. Quote it."),
        ("url: !secret http://h", "1: the tag !secret means nothing here. Leave it out."),
        ("<<: {url: http://h}", "1: <<: is not known"),
        ("url: 'http://h", "1: is not valid YAML: found unexpected end of stream"),
        ("a: 1\nb: {c: d", "2: is not valid YAML: "),
        ("a: *b", "1: is not valid YAML: found undefined alias 'b'"),
        ("a: 1\n---\nb: 2", "2: is not valid YAML: but found another document"),
        ("a: \x07", "1: holds a character that YAML does not allow"),
    ],
)
def test_a_mistake_is_told_with_its_place(text: str, message: str) -> None:
    """The message names file, line and key, and what was expected."""
    with pytest.raises(ConfigError) as caught:
        settings(text)
    assert str(caught.value).startswith("portico.yaml:")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "environ", "filled"),
    [
        ("${KEY}", {"KEY": "a b"}, "a b"),
        ("pre-${A}${B}-post", {"A": "1", "B": "2"}, "pre-12-post"),
        ("'${KEY}'", {"KEY": "{x}: #"}, "{x}: #"),
        ("${KEY:-http://x/y}", {}, "http://x/y"),
        ("${KEY:-x}", {"KEY": ""}, "x"),
        ("'${KEY:-}'", {}, ""),
        ("${KEY}", {"KEY": "${OTHER}"}, "${OTHER}"),
        ("$$", {}, "$"),
        ("$${KEY}", {}, "${KEY}"),
        ("$KEY $ a$", {}, "$KEY $ a$"),
    ],
)
def test_variables_are_filled_in(text: str, environ: Mapping[str, str], filled: str) -> None:
    """A variable stands for its value, once; its default stands in where it is unset or empty."""
    assert value(str, root(f"name: {text}", **environ).members()["name"]) == filled
    assert value(str, root(f"{{name: {text}, other: 1}}", **environ).members()["name"]) == filled


@pytest.mark.parametrize(
    ("text", "environ", "message"),
    [
        ("${KEY}", {}, "1: name: the environment variable KEY is not set. Set it, or write ${KEY:-default}."),
        ("${KEY}", {"KEY": ""}, "1: name: the environment variable KEY is empty."),
        ("${1A}", {}, "1: name: found ${1A}, where ${ does not begin a variable. Write ${NAME} or"),
        ("${A-b}", {"A": "x"}, "does not begin a variable"),
        ("${}", {}, "does not begin a variable"),
        ("a${", {}, "does not begin a variable"),
    ],
)
def test_a_variable_that_cannot_be_filled_in_is_named(
    text: str, environ: Mapping[str, str], message: str
) -> None:
    """What is wrong with a variable is said without its value."""
    with pytest.raises(ConfigError) as caught:
        value(str, root(f"name: {text}", **environ).members()["name"])
    assert message in str(caught.value)


def test_variables_are_looked_up_only_where_they_are_read() -> None:
    """Each half of the gateway needs the variables of its own sections alone."""
    members = root("mine: ${MINE}\ntheirs: ${THEIRS}", MINE="1").members()
    assert members["mine"].text() == "1"


def test_a_message_shows_the_variable_and_not_its_value() -> None:
    """A secret that was put in the wrong place does not reach the terminal."""
    with pytest.raises(ConfigError, match=r"found \$\{KEY\}") as caught:
        settings("url: ${KEY}", KEY="hush")
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &a [*a]", "values"),
        (
            "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
            + "".join(
                f"{b}: &{b} [{','.join(['*' + a] * 10)}]\n"
                for a, b in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            "more than 50,000 values",
        ),
        ("a: " + "[" * 5000, "nested too deeply"),
    ],
    ids=["endless", "bomb", "deep"],
)
def test_bombs_are_refused(text: str, message: str) -> None:
    """Aliases in aliases, aliases of themselves and deep nesting end in a message, at once."""
    with pytest.raises(ConfigError, match=message):
        root(text)


def test_an_alias_stands_for_its_anchor() -> None:
    """Values may be shared."""
    members = root("a: &key [x]\nb: *key").members()
    assert [item.text() for item in members["b"].items()] == ["x"]


def test_an_empty_file_is_an_empty_mapping() -> None:
    """Nothing written is nothing configured."""
    assert root("# nothing\n").members() == {}


def test_a_file_is_read_with_its_own_name(tmp_path: Path) -> None:
    """Messages name the file as the user did."""
    path = tmp_path / "my.yaml"
    path.write_bytes(b"\xef\xbb\xbfurl: http://h\nurk: 1\n")
    with pytest.raises(ConfigError, match=r"my\.yaml:2: urk: is not known"):
        fill(Settings, read(path, {}))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"a: 1\nb: \xff", r":2: is not UTF-8"),
        (b"#" * (1 << 21), "larger"),
    ],
    ids=["absent", "latin-1", "huge"],
)
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, data: bytes | None, message: str) -> None:
    """So are files that are absent, in another encoding, or far too large."""
    path = tmp_path / "portico.yaml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ConfigError, match=message):
        read(path, {})
