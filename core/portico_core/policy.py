"""What becomes of parameters that a model's backends cannot honour, or that nobody knows. Pure."""

from dataclasses import dataclass
from typing import Final

ALLOW: Final = "allow"
DROP: Final = "drop"
REFUSE: Final = "refuse"


@dataclass(frozen=True, slots=True)
class Policy:
    """Members of a model in the configuration, beside its candidates."""

    #: What a backend says that it cannot do: refused by name, or left out and told in the answer.
    unsupported: str = REFUSE
    #: Members that OpenAI's API does not have: sent on as they are, left out and told, or refused.
    unknown: str = ALLOW

    def __post_init__(self) -> None:
        if self.unsupported not in (REFUSE, DROP):
            raise ValueError(f"unsupported: expected refuse or drop, found {self.unsupported}")
        if self.unknown not in (ALLOW, DROP, REFUSE):
            raise ValueError(f"unknown: expected allow, drop or refuse, found {self.unknown}")


#: Of a model that says nothing.
USUAL: Final = Policy()
