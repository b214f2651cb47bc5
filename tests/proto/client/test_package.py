"""The client needs the distribution's base dependencies and nothing else."""

import subprocess
import sys

PROGRAM = """
import sys
absent = ["grpc_health", "grpc_reflection", "httptools", "httpx", "msgspec", "tornado", "uvloop", "yaml"]
sys.modules.update(dict.fromkeys(absent))  # None: an import fails
import portico.client
loaded = {name.partition(".")[0] for name in sys.modules if sys.modules[name]}
print(*loaded - sys.stdlib_module_names)
"""


def test_the_base_dependencies_are_enough() -> None:
    """grpcio, grpcio-status and protobuf; none of the packages that the extras bring."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], check=True, capture_output=True, text=True, timeout=60
    )
    loaded = {name for name in done.stdout.split() if not name.startswith("_")}
    grpcios_own = {"cython_runtime", "typing_extensions"}
    assert loaded - grpcios_own == {"google", "grpc", "grpc_status", "portico"}
