"""The repository has the parts, and uses the libraries, that the mission names."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Distribution -> the module that it is imported as.
LIBRARIES = {
    "grpcio": "grpc",
    "protobuf": "google.protobuf",
    "tornado": "tornado",
    "httpx": "httpx",
    "pytest": "pytest",
    "grpcio-testing": "grpc_testing",
}


@pytest.mark.parametrize(
    "part",
    ["pyproject.toml", "buf.yaml", "proto", "core", "facade", "adapters", "tests", "docker"],
)
def test_the_part_is_at_the_top_level(part: str) -> None:
    assert (ROOT / part).exists()


def test_the_libraries_are_used() -> None:
    imported = set()
    for folder in ("proto", "core", "facade", "adapters", "tests"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    imported |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module:
                    imported.add(node.module)
    for name, module in LIBRARIES.items():
        assert any(each == module or each.startswith(f"{module}.") for each in imported), name
        assert re.search(rf"^{name}==", _locked(), re.MULTILINE), name
    # grpcio-tools runs and is not imported.
    assert "grpc_tools.protoc" in (ROOT / "scripts/generate").read_text(encoding="utf-8")
    assert re.search(r"^grpcio-tools==", _locked("generate"), re.MULTILINE)


def _locked(name: str = "dev") -> str:
    return (ROOT / f"requirements/{name}.txt").read_text(encoding="utf-8")
