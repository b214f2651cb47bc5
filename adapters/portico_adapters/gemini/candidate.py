"""One of the answers as its parts arrive: what each adds, in OpenAI's terms. Pure."""

from msgspec import Raw
from msgspec.json import encode, format

from portico.v1.message_pb2 import AssistantAudio
from portico.v1.tools_pb2 import FunctionCall
from portico_adapters.gemini.answers import Blob, Candidate, Part, carried, dialect_parts, new_id, raws
from portico_adapters.gemini.answers import FunctionCall as ToldCall
from portico_adapters.gemini.citations import annotations_of, names_pages_alone
from portico_adapters.gemini.finish import finish_reason, native_reason, says_more
from portico_adapters.gemini.logprobs import logprobs_of
from portico_adapters.gemini.media import image_of, is_image, joined
from portico_adapters.gemini.partial_call import PartialCall
from portico_adapters.gemini.piece import Call, Piece
from portico_adapters.gemini.reasoning import FORMAT, Detail, signed


class Turn:
    """Translates the parts of one candidate. ``named``: what its own ids are made of."""

    def __init__(self, *named: object, legacy: bool) -> None:
        self._named = named
        self._legacy = legacy
        self._calls = 0
        #: The text so far, to which citations point, and its length.
        self._texts: list[str] = []
        self._length = 0
        self._detail = -1
        self._carried = -1
        self._image = -1
        self._partial: PartialCall | None = None
        #: The pieces of a thought that goes on.
        self._thought: list[str] | None = None
        #: What the last chunk that had it told; the words are the API's.
        self._told: dict[str, Raw] = {}
        self.finished = False

    @property
    def silent(self) -> bool:
        """Whether neither text nor calls have come."""
        return not self._texts and not self._calls

    def take(self, candidate: Candidate) -> Piece:
        """Return what a candidate of an event, or of the whole answer, brings."""
        piece = Piece()
        for part in (candidate.content.parts if candidate.content else None) or ():
            self._take(part, piece)
        piece.logprobs = logprobs_of(candidate.logprobs_result)
        self._note(candidate)
        native = native_reason(candidate)
        if native and not self.finished:
            if cut := self._ended():
                # As at OpenAI, where tokens run out within the arguments: what there is of them.
                piece.calls.append(cut)
            self._end_thought(piece)
            self._finish(native, candidate, piece)
        return piece

    def _take(self, part: Part, piece: Piece) -> None:
        blob = part.media()
        dialect = dialect_parts(part, blob)
        # Calls, images and what is carried keep their own signatures.
        keeps = part.function_call is not None or is_image(blob) or bool(dialect)
        self._sign(part, piece, keeps=keeps)
        if part.thought:
            piece.thoughts += part.text or ""
        elif part.text:
            piece.text += part.text
            self._texts.append(part.text)
            self._length += len(part.text)
        if part.function_call is not None:
            if part.function_call.name and (ended := self._ended()):
                # Another one begins, and nobody said that the last one was whole.
                piece.calls.append(ended)
            if call := self._called(part.function_call, part):
                piece.calls.append(call)
        if blob is not None:
            if blob.mime_type.startswith("audio/"):
                piece.audio = joined(piece.audio, blob)
            else:
                self._image += 1
                piece.images.append(image_of(blob, part, self._image, self._length))
        for told in dialect:
            self._carried += 1
            # OpenAI's SDK puts the entries of lists together by their index.
            place = {"index": self._carried, "start": self._length}
            piece.dialect.append({**told, **signed(part.thought_signature), **place})

    def _sign(self, part: Part, piece: Piece, *, keeps: bool) -> None:
        """Note what must go back with the message: thoughts, and signatures but those of calls."""
        if part.thought and not keeps:
            if self._thought is None:
                self._thought = []
            self._thought.append(part.text or "")
            if part.thought_signature:
                self._end_thought(piece, part.thought_signature)
            return
        self._end_thought(piece)
        if part.thought_signature and not keeps:
            detail = Detail("reasoning.encrypted", data=part.thought_signature)
            detail.start, detail.end = self._length, self._length + len(part.text or "")
            self._note_detail(detail, piece)

    def _end_thought(self, piece: Piece, signature: str | None = None) -> None:
        """Tell a thought as one entry: SDKs append every text of entries that come in pieces."""
        pieces, self._thought = self._thought, None
        if pieces is not None:
            self._note_detail(Detail("reasoning.text", text="".join(pieces), signature=signature), piece)

    def _note_detail(self, detail: Detail, piece: Piece) -> None:
        self._detail += 1
        detail.format, detail.index = FORMAT, self._detail
        piece.details.append(detail)

    def _called(self, told: ToldCall, part: Part) -> Call | None:
        """Return a call that is whole; None as long as more of it is to come."""
        if self._partial is None:
            if not told.will_continue and told.partial_args is None:
                # Whole answers are written over many lines.
                args = format(bytes(told.args), indent=-1).decode(errors="replace")
                return self._call(told.name, told.id, args, part.thought_signature)
            self._partial = PartialCall(told.name, told.id)
        self._partial.signature = part.thought_signature or self._partial.signature
        for each in told.partial_args or ():
            self._partial.take(each)
        return None if told.will_continue else self._ended()

    def _ended(self) -> Call | None:
        """Return the call that came in pieces, if one did."""
        ended, self._partial = self._partial, None
        if ended is None:
            return None
        return self._call(ended.name, ended.id, encode(ended.args).decode(), ended.signature)

    def _call(self, name: str, call_id: str | None, args: str, signature: str | None) -> Call:
        index = self._calls
        self._calls += 1
        extra = {"extra_content": {"google": {"thought_signature": signature}}}
        return Call(
            index=index,
            id=call_id or new_id("call_", *self._named, index),
            function=FunctionCall(name=name, arguments="{}" if args == "null" else args),
            extra_json=encode(extra).decode() if signature else "",
        )

    def _note(self, candidate: Candidate) -> None:
        told = {
            "safety_ratings": candidate.safety_ratings,
            "citation_metadata": candidate.citation_metadata,
            "grounding_metadata": candidate.grounding_metadata,
            "url_context_metadata": candidate.url_context_metadata,
        }
        self._told |= raws(told)

    def _finish(self, native: str, candidate: Candidate, piece: Piece) -> None:
        self.finished = True
        piece.finish_reason = finish_reason(native, called=self._calls > 0, legacy=self._legacy)
        cited = self._told.get("citation_metadata")
        piece.annotations = annotations_of("".join(self._texts), self._told.get("grounding_metadata"), cited)
        if names_pages_alone(cited):
            self._told.pop("citation_metadata", None)
        more = says_more(native)
        extra = carried(
            {
                "native_finish_reason": native if more else None,
                "finish_message": candidate.finish_message if more else None,
                **self._told,
            }
        )
        piece.choice_extra = encode(extra).decode() if extra else ""


def audio_of(blob: Blob, *named: object) -> AssistantAudio:
    """Return speech; what was said the API does not tell."""
    return AssistantAudio(id=new_id("audio_", *named), data=blob.data, transcript="")
