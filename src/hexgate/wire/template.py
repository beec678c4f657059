"""Any other API that answers a prompt with text: a file describes its request and where its replies hold what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar
from urllib.parse import quote

from hexgate.errors import InputError
from hexgate.wire.base import Ask, Event, EventKind, Gives, Usage, WireRequest
from hexgate.wire.json_path import JsonPath
from hexgate.wire.payload import ServerFault, body_bytes, count
from hexgate.wire.prompt import prompt_of, turns_of
from hexgate.wire.reply import ReplyEvents
from hexgate.wire.stream import read_document, read_lines, read_stream
from hexgate.wire.template_file import SLOT, Template, read_template

__all__ = ["TemplateDialect"]

_FINISHES = "finish"


class TemplateDialect:
    """The API of one template.

    A placeholder that is a whole text of the body is replaced by its value (``"{max_tokens}"`` by a number), and one
    inside a text by the value's text. Where the ask states no value, such as for ``{seed}``, a member of an object
    that is that placeholder alone is left out, and inside a text nothing stands.

    The reply comes as the template says, whether the ask wants it in pieces or not; a body with ``{stream}`` can
    tell the server.
    """

    gives: ClassVar[Gives] = Gives.TEXT
    generates: ClassVar[bool] = True

    def __init__(self, name: str, template: Template) -> None:
        self.name = name
        """``template:`` and the file."""
        self.streams = template.stream != "none"
        """Whether replies come in pieces."""
        self.ends_with = template.done.encode() if template.done is not None else None
        """The text of the last event, where there is one."""
        self.key_header = template.key_header
        """The header that holds the key alone; None for the usual one."""
        self._template = template

    @classmethod
    def read(cls, file: str) -> TemplateDialect:
        """The dialect that a file describes.

        Raises:
            InputError: if it describes none.
        """
        return cls(f"template:{file}", read_template(file))

    def request(self, ask: Ask) -> WireRequest:
        """The HTTP request for one ask. Its options stand in the body beside the template's fields, and win.

        Raises:
            InputError: if the ask has no prompt, or something that the template has no place for.
        """
        template = self._template
        values = self._values(ask)
        path = SLOT.sub(lambda _: quote(ask.model, safe=""), template.path)
        accept = {"sse": "text/event-stream", "ndjson": "application/x-ndjson"}.get(template.stream)
        usual = {"content-type": "application/json", "accept": accept or "application/json"}
        body = _filled(template.body, values)
        if ask.options:
            if not isinstance(body, dict):
                raise InputError(
                    "the template's body is no object that takes further fields", where=self.name
                )
            body |= ask.options
        return WireRequest(template.method, path, {**usual, **template.headers}, body_bytes(body))

    def events(self, pieces: Sequence[bytes], *, stream: bool) -> list[Event]:  # noqa: ARG002 - the template says it
        """The events of a whole reply body.

        Without a path for the finish and a text for `done`, HTTP alone says whether a stream is whole.
        """
        template = self._template
        finishes = _FINISHES if template.finish else None
        if template.stream == "none":
            return _joined_usage(read_document(pieces, self._read, finishes=finishes))
        if template.stream == "ndjson":
            return _joined_usage(read_lines(pieces, self._read, finishes=finishes))
        marker = template.done.encode() if template.done is not None else None
        return _joined_usage(read_stream(pieces, self._read, marker=marker, finishes=finishes))

    def _values(self, ask: Ask) -> dict[str, Any]:
        named = self._template.named
        turns = turns_of(ask, self.name) if "messages" in named else None
        if turns is None:
            prompt_of(ask, self.name)
        asked = {"system": ask.system is not None and turns is None, "stop": bool(ask.stop)}
        for name, given in asked.items():
            if given and name not in named:
                raise InputError(
                    f"the template has no place for {name}", where=self.name, expected=f"{{{name}}}"
                )
        if "model" in named and not ask.model:
            raise InputError("the template needs the model's name", where=self.name, hint="--model-name")
        return {
            "prompt": ask.prompt,
            "system": ask.system,
            "messages": turns,
            "model": ask.model,
            "max_tokens": ask.max_tokens,
            "temperature": ask.temperature,
            "top_p": ask.top_p,
            "seed": ask.seed,
            "stop": list(ask.stop) or None,
            "stream": ask.stream,
        }

    def _read(self, fields: Mapping[str, Any], reply: ReplyEvents, piece: int) -> None:
        template = self._template
        if (error := _first(template.error, fields)) not in (None, "", False):
            raise ServerFault(str(error)[:1000])
        reply.text(EventKind.REASONING, _first(template.reasoning, fields), piece)
        reply.text(EventKind.TEXT, _first(template.text, fields), piece)
        finish = _first(template.finish, fields)
        if finish not in (None, "", False):
            reply.finished("stop" if finish is True else finish, piece)
        counts = {name: count(_first(paths, fields)) for name, paths in template.counts.items()}
        if any(value is not None for value in counts.values()):
            reply.usage(Usage(**counts), piece)


def _first(paths: Sequence[JsonPath], fields: Mapping[str, Any]) -> Any:
    for path in paths:
        if (found := path.find(fields)) is not None:
            return found
    return None


def _joined_usage(events: list[Event]) -> list[Event]:
    """The events, each count of tokens joined with those stated before it: APIs spread them over several events."""
    known: dict[str, int] = {}
    for place, event in enumerate(events):
        if event.usage is not None:
            known |= {name: value for name, value in event.usage._asdict().items() if value is not None}
            events[place] = event._replace(usage=Usage(**known))
    return events


def _filled(value: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(value, str):
        if (whole := SLOT.fullmatch(value)) is not None:
            return values[whole[1]]
        return SLOT.sub(lambda found: _shown(values[found[1]]), value)
    if isinstance(value, list):
        return [_filled(one, values) for one in value]
    if isinstance(value, dict):
        filled = {key: _filled(one, values) for key, one in value.items()}
        return {key: one for key, one in filled.items() if one is not None or value[key] is None}
    return value


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else body_bytes(value).decode()
