"""What becomes of a stream that breaks off after its first content: one class for each way."""

from collections.abc import Sequence
from typing import Final, Generic

from portico.adapter import Adapter
from portico.errors import GatewayError
from portico.v1.chat_pb2 import ChatCompletionParams
from portico.v1.gateway_pb2 import StreamResponse
from portico_core.attempt import Attempt
from portico_core.attempt_events import AttemptEvents
from portico_core.broken.conditions import continued, mendable
from portico_core.broken.seam import DivergedError, Seam
from portico_core.broken.sent import Sent
from portico_core.call import Call
from portico_core.candidates import Candidate
from portico_core.operations import S, Streaming, StreamMethod
from portico_core.policy import HOLD, PREFILL
from portico_core.tries import Tries

# Bytes of an answer that are held. What is larger goes out as it comes from there on.
_MOST_HELD: Final = 4 * 1024 * 1024


class Mend(Generic[S]):
    """The honest error, and what the other ways have in common."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._dropped = len(call.dropped)
        self._kept = call.served, call.usage
        #: Whether a stream broke off, and another is to take over.
        self.begun = False
        #: Whether the one that was to take over is another answer.
        self.diverged = False
        #: Why the first one broke off.
        self.failure: GatewayError | None = None

    def prepare(self, attempt: Attempt) -> None:
        """Say what is asked for by an attempt."""

    def take(self, _attempt: Attempt, response: S) -> Sequence[S]:
        """Return what goes to the caller as a message comes; ``diverged`` tells of another answer."""
        return (response,)

    def rest(self) -> Sequence[S]:
        """Return what is left for the caller when the stream has come to its whole end."""
        return ()

    def broke(self, failure: GatewayError | None) -> bool:
        """Note that a stream was cut after its first content; tell whether another may take over.

        The call's receipt tells of those alone of whom the caller has something.
        """
        call = self._call
        if self._has_some():
            self._kept = call.served, call.usage
        else:
            call.served, call.usage = self._kept
            del call.dropped[self._dropped :]
        self.failure = self.failure or failure
        self.begun = not self.diverged and self._may_follow()
        return self.begun

    def _has_some(self) -> bool:
        """Whether the caller has something of the stream that was cut."""
        return True

    def _may_follow(self) -> bool:
        return False


class Hold(Mend[S]):
    """Nothing goes out until the answer is whole, so that nothing needs mending."""

    def __init__(self, call: Call) -> None:
        super().__init__(call)
        self._held: list[S] = []
        self._size = 0

    def take(self, _attempt: Attempt, response: S) -> Sequence[S]:
        if self._size > _MOST_HELD:
            return (response,)
        self._held.append(response)
        self._size += response.ByteSize()
        return self.rest() if self._size > _MOST_HELD else ()

    def rest(self) -> Sequence[S]:
        held, self._held = self._held, []
        return held

    def _has_some(self) -> bool:
        return self._size > _MOST_HELD

    def _may_follow(self) -> bool:
        if self._has_some():
            return False
        self._held, self._size = [], 0
        return True


class Restart(Mend[S]):
    """The next answer goes out from its beginning; the caller throws away what it has."""

    def __init__(self, call: Call, operation: Streaming[S], events: AttemptEvents) -> None:
        super().__init__(call)
        self._events = events
        self._sent = Sent(operation.text_of)

    def take(self, attempt: Attempt, response: S) -> Sequence[S]:
        if self.begun:
            self.begun = False
            response.events.append(self._events.restarted(attempt, self._sent.discarded()))
        self._sent.take(response)
        return (response,)

    def _has_some(self) -> bool:
        return not self.begun

    def _may_follow(self) -> bool:
        return self._sent.remembered


class Resume(Mend[StreamResponse]):
    """The next answer goes out from where the first one ended: the rest of it, or one that repeats it."""

    def __init__(
        self,
        call: Call,
        params: ChatCompletionParams,
        tries: Tries[StreamMethod[StreamResponse]],
        operation: Streaming[StreamResponse],
    ) -> None:
        super().__init__(call)
        self._params = params
        self._tries = tries
        self._continues = call.policy.broken == PREFILL
        self._sent = Sent(operation.text_of)
        # The public name that the caller was told: under no other one the answer goes on.
        self._public: str | None = None
        self._seam: Seam | None = None
        # Whether the caller has something of the current stream.
        self._delivered = False

    def prepare(self, attempt: Attempt) -> None:
        self._delivered = False
        if not self.begun:
            return
        text = self._sent.text
        if self._continues:
            attempt.params = self._asked(attempt.backend.adapter, attempt.candidate) or attempt.params
        self._seam = Seam("" if self._continues else text, continues=self._continues)

    def take(self, attempt: Attempt, response: StreamResponse) -> Sequence[StreamResponse]:
        if self._seam is None:
            self._public = attempt.candidate.public
        else:
            try:
                passed = self._seam.take(response)
            except DivergedError:
                self.diverged = True
                return ()
            if passed is None:
                return ()
            response = passed
            if not self._delivered:
                response.served.CopyFrom(attempt.served)
        self._delivered = True
        self._sent.take(response)
        return (response,)

    def _has_some(self) -> bool:
        return self._delivered

    def _may_follow(self) -> bool:
        if not (self._sent.plain and self._sent.remembered):
            return False
        self._tries.only(self._may_go_on)
        return True

    def _may_go_on(self, adapter: Adapter, candidate: Candidate) -> bool:
        if candidate.public != self._public:
            return False
        return not self._continues or self._asked(adapter, candidate) is not None

    def _asked(self, adapter: Adapter, candidate: Candidate) -> ChatCompletionParams | None:
        return continued(adapter, self._params, candidate.model, self._sent.text)


def mend_of(
    call: Call, tries: Tries[StreamMethod[S]], operation: Streaming[S], events: AttemptEvents
) -> Mend[S]:
    """Return what a call's policy and its caller want. What the caller asks for goes before the policy,
    but for ``hold``, with which nothing breaks off.
    """
    mode = call.policy.broken
    if mode == HOLD:
        return Hold(call)
    if call.restart:
        return Restart(call, operation, events)
    if isinstance(call.params, ChatCompletionParams) and mendable(mode, call.params):
        return Resume(call, call.params, tries, operation)  # type: ignore[arg-type, return-value]
    return Mend(call)
