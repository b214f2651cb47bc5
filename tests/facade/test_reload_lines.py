"""What ``portico reload`` says of a reload."""

from portico.v1.admin_pb2 import Changes, ReloadResponse
from portico_facade.cli.reload import lines


def test_what_changed_is_told_and_what_waits_apart() -> None:
    told = ReloadResponse(
        backends=Changes(added=["a", "b"], changed=["c"], removed=["d"]),
        sections=["keys"],
        restart=["grpc"],
    )
    assert lines(told) == [
        "The configuration is reloaded.",
        "backends: + a, + b, ~ c, - d",
        "keys: changed",
        "grpc: changed, counts from the next start",
    ]
    assert lines(ReloadResponse()) == ["The configuration is reloaded.", "Nothing in it changed."]
