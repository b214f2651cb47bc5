"""What an error is a sign of, and so what may mend it. Pure."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from portico.errors import QUOTA, UNKNOWN_URL, ErrorClass, GatewayError


@dataclass(frozen=True, slots=True)
class Cure:
    """What is done about a failure before the commit."""

    #: How often the same candidate is tried again.
    again: int = 0
    #: Whether another candidate may do better.
    elsewhere: bool = True
    #: Whether only one with a larger context may.
    larger: bool = False
    #: Whether the backend needs time before it is asked again.
    wait: bool = False
    #: Whether the candidate could not serve this call, however well it is.
    unfit: bool = False


class Symptom(Enum):
    """What went wrong, as far as it matters to what is done next."""

    MISTAKE = "the request is wrong, and would be anywhere"
    REFUSED = "the backend will not answer this"
    TOO_LONG = "the prompt does not fit into the model's context"
    MISSING = "the backend does not have the model, or not the endpoint"
    CALLERS_KEY = "the caller's own key was refused"
    KEY = "a key of ours was refused, or what it may cost is used up"
    BUSY = "a limit of rate, or an overload"
    UNREACHABLE = "nobody listens there"
    SILENT = "no answer in time"
    ENDLESS = "more of an answer than is taken"
    FAILED = "the backend failed or broke off"
    FAULT = "a fault of our own side"

    @property
    def cure(self) -> Cure:
        """What is done about it."""
        return _CURES[self]


_CURES: Final = {
    Symptom.MISTAKE: Cure(elsewhere=False),
    # To route around a refusal is not ours to do.
    Symptom.REFUSED: Cure(elsewhere=False),
    Symptom.TOO_LONG: Cure(larger=True, unfit=True),
    Symptom.MISSING: Cure(unfit=True),
    # Another backend might take ours instead: what the caller may not have he would get at our cost.
    Symptom.CALLERS_KEY: Cure(elsewhere=False),
    # That does not pass in a moment.
    Symptom.KEY: Cure(unfit=True),
    Symptom.BUSY: Cure(again=2, wait=True),
    Symptom.UNREACHABLE: Cure(),
    # The next try would take as long again.
    Symptom.SILENT: Cure(),
    # The next one would be as large.
    Symptom.ENDLESS: Cure(),
    # Mostly an accident.
    Symptom.FAILED: Cure(again=1),
    Symptom.FAULT: Cure(),
}

# Code of an error -> symptom, where the code says more than the class.
_BY_CODE: Final = {
    "context_length_exceeded": Symptom.TOO_LONG,
    "content_filter": Symptom.REFUSED,
    "model_not_found": Symptom.MISSING,
    UNKNOWN_URL: Symptom.MISSING,
    "not_supported": Symptom.MISSING,
    QUOTA: Symptom.KEY,
    "upstream_timeout": Symptom.SILENT,
    "upstream_unreachable": Symptom.UNREACHABLE,
    "upstream_answer_too_large": Symptom.ENDLESS,
}

_BY_CLASS: Final = {
    ErrorClass.CALLER: Symptom.MISTAKE,
    ErrorClass.CREDENTIAL: Symptom.KEY,
    ErrorClass.CAPACITY: Symptom.BUSY,
    ErrorClass.UPSTREAM: Symptom.FAILED,
    ErrorClass.GATEWAY: Symptom.FAULT,
}


def symptom(error: GatewayError) -> Symptom:
    """Return what an error of an attempt is a sign of."""
    if error.error_class is ErrorClass.CREDENTIAL and error.http_status < 500:
        return Symptom.CALLERS_KEY
    return _BY_CODE.get(error.code or "", _BY_CLASS[error.error_class])
