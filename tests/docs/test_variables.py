"""Every variable of the environment stands in the table of docs/configuration.md."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "docs/configuration.md").read_text(encoding="utf-8")
TABLE = CONFIGURATION[CONFIGURATION.index("| variable | what it makes | which wins |") :].partition("\n\n")[0]
DOCUMENTED = {name for row in TABLE.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}

#: What the mission asks for.
PROMISED = {
    *("PORT", "HOST", "LOG_LEVEL", "LOG_DIR", "CONFIG", "API_KEYS", "OPENAI_API_KEY", "OPENAI_BASE_URL"),
    *("OLLAMA_URL", "GATEWAY_URL", "AGENT_ID", "CHATGPT_API_PORT", "ENABLE_AUTH", "API_KEY_SECRET"),
    *("ALLOWED_MODELS", "WORKERS"),
}


def test_the_table_has_what_is_promised() -> None:
    assert PROMISED <= DOCUMENTED


def test_the_example_of_an_env_file_shows_documented_variables() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    shown = set(re.findall(r"^#([A-Z_]+)=", example, re.MULTILINE))
    # PORT stands there in its place.
    assert PROMISED - shown == {"CHATGPT_API_PORT"}
    assert shown <= DOCUMENTED
