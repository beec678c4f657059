"""Models behind HTTP endpoints: predictors and generators over any dialect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from hexgate.errors import HexgateError, InputError, TargetFailed, TargetUnusable
from hexgate.targets.address import read_address
from hexgate.targets.base import GenerateOptions, Output, Reply, Subject, Target
from hexgate.targets.card import Card, read_card
from hexgate.targets.http_client import Failure, HttpClient, authorization
from hexgate.targets.probe import Served, failed, probe, stated_labels
from hexgate.wire.base import Ask, Dialect, Endpoint, Event, EventKind, Gives
from hexgate.wire.payload import PROTOCOL, SERVER, TRUNCATED, load_object
from hexgate.wire.registry import dialect
from hexgate.wire.reply import whole_text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hexgate.targets.options import OpenOptions

__all__ = ["EndpointGenerator", "EndpointPredictor", "EndpointTarget", "open_endpoint"]


@dataclass(frozen=True)
class EndpointTarget(Target):
    """An endpoint with its open connections."""

    client: HttpClient | None = field(default=None, repr=False)
    """The connections."""

    def close(self) -> None:
        """Close every connection."""
        if self.client is not None:
            self.client.close()


class EndpointGenerator:
    """Prompts to replies over one dialect. May be used from several threads at once."""

    def __init__(self, client: HttpClient, spoken: Dialect, model: str, where: str) -> None:
        self._client = client
        self._spoken = spoken
        self._model = model
        self._where = where

    def generate(self, prompt: str, options: GenerateOptions) -> Reply:
        """One reply. A failure is a `Reply` with an error: ``timeout``, ``connection``, ``http_500``,
        ``redirect``, ``protocol``, ``server`` (an error inside a reply) or ``truncated``, and a detail.
        """  # noqa: D205 - one sentence
        try:
            body = self._client.send(self._spoken.request(self._ask(prompt, options, stream=False)))
        except Failure as failure:
            return Reply(None, error=str(failure))
        return _reply(self._spoken.events([body], stream=False))

    def stream(self, prompt: str, options: GenerateOptions) -> Iterator[str]:
        """The text of the reply in pieces, as they come in.

        Raises:
            TargetFailed: if the endpoint fails, or the reply breaks off.
        """
        pieces: list[bytes] = []
        given = 0
        request = self._spoken.request(self._ask(prompt, options, stream=self._spoken.streams))
        try:
            for piece in self._client.stream(request):
                pieces.append(piece)
                # A dialect reads a whole reply; what it makes of its beginning is a prefix of that.
                texts = _texts(self._spoken.events(pieces, stream=self._spoken.streams))
                yield from texts[given:]
                given = len(texts)
        except Failure as failure:
            raise TargetFailed(f"the endpoint failed: {failure}", where=self._where) from None
        events = self._spoken.events(pieces, stream=self._spoken.streams)
        for event in events:
            if event.kind is EventKind.ERROR:
                raise TargetFailed(f"the reply broke off: {event.text}", where=self._where)
        yield from _texts(events)[given:]

    def _ask(self, prompt: str, options: GenerateOptions, *, stream: bool) -> Ask:
        return Ask(
            prompt=prompt,
            system=options.system,
            model=self._model,
            max_tokens=options.max_tokens,
            temperature=options.temperature,
            top_p=options.top_p,
            seed=options.seed,
            stream=stream,
        )


class EndpointPredictor:
    """Inputs to class scores over one dialect."""

    def __init__(
        self,
        client: HttpClient,
        spoken: Dialect,
        served: Served,
        *,
        labels: tuple[str, ...] | None,
        input_shape: tuple[int, ...] | None,
        output: Output,
        batch: int,
        where: str,
        key_env: str | None,
    ) -> None:
        self._client = client
        self._spoken = spoken
        self._served = served
        self._labels = labels
        self._fixed_labels = labels is not None
        self._input_shape = input_shape
        self._output = output
        self._batch = batch
        self._where = where
        self._key_env = key_env

    @property
    def labels(self) -> tuple[str, ...] | None:
        """The class names in the order of the scores; None until user, card or a reply has stated them."""
        return self._labels

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one input, without the batch; () where the endpoint does not state it."""
        return self._input_shape or ()

    @property
    def output(self) -> Output:
        """What the scores are."""
        return self._output

    def scores(self, batch: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class scores of a batch: (n, ...) to (n, classes).

        Raises:
            TargetFailed: if the endpoint fails, or its scores are not what the API promises.
            TargetUnusable: if the inputs are not of the shape that the endpoint states.
        """
        import numpy as np

        if len(batch) == 0:
            return np.zeros((0, len(self._labels or ())), dtype=np.float32)
        rows = np.asarray(batch, dtype=np.float32).reshape(len(batch), -1)
        wanted = int(np.prod(self.input_shape)) if self._input_shape else rows.shape[1]
        if rows.shape[1] != wanted:
            raise TargetUnusable(
                "the inputs are not of the endpoint's shape",
                where=self._where,
                got=f"{rows.shape[1]} numbers an input",
                expected=f"{wanted}, of shape {list(self.input_shape)}",
            )
        parts = [self._call(rows[at : at + self._batch]) for at in range(0, len(rows), self._batch)]
        if len({part.shape[1] for part in parts}) > 1:
            raise self._broken("protocol", "the number of scores an input changed")
        return np.concatenate(parts)

    def _call(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        import numpy as np

        ask = Ask(inputs=rows.tolist(), model=self._served.model, stream=False, options=self.ask_options)
        try:
            body = self._client.send(self._spoken.request(ask))
        except Failure as failure:
            raise failed(failure, self._where, self._key_env) from None
        found: Sequence[Sequence[float]] | None = None
        for event in self._spoken.events([body], stream=False):
            if event.kind is EventKind.ERROR:
                raise self._broken(*_split(event.text))
            if event.kind is EventKind.SCORES:
                found = event.scores
        if found is None or len(found) != len(rows):
            raise self._broken("protocol", f"scores for {len(found or ())} inputs, {len(rows)} were sent")
        # A double beyond the range of a float becomes infinite here, and is refused with the others below.
        with np.errstate(over="ignore"):
            scores = np.asarray(found, dtype=np.float64).astype(np.float32)
        if scores.ndim != 2 or scores.shape[1] < 2 or not np.all(np.isfinite(scores)):
            raise self._broken("protocol", "not two or more finite scores an input")
        self._learn_labels(body, scores.shape[1])
        return scores

    def _learn_labels(self, body: bytes, classes: int) -> None:
        stated = stated_labels(load_object(body)) if self._spoken.name == "predict" else None
        if stated is not None and not self._fixed_labels:
            if self._labels is not None and self._labels != stated:
                raise self._broken("protocol", "the labels changed between two replies")
            self._labels = stated
        if self._labels is not None and len(self._labels) != classes:
            raise InputError(
                "the labels do not fit the endpoint's scores",
                where=self._where,
                got=f"{len(self._labels)} labels",
                expected=f"{classes} classes",
            )

    @property
    def ask_options(self) -> dict[str, Any]:
        """What every ask of it has under `options`: name and shape of the tensor, where the API has them."""
        if self._spoken.name != "kserve-v2":
            return {}
        named = {"input_name": self._served.input_name, "input_shape": self._input_shape}
        return {key: value for key, value in named.items() if value is not None}

    def _broken(self, kind: str, detail: str) -> HexgateError:
        return failed(Failure(kind, detail), self._where, self._key_env)


def open_endpoint(uri: str, options: OpenOptions) -> EndpointTarget:
    """Open an endpoint: find out that it is there, and which model it serves.

    Raises:
        InputError: if the URL or an option is wrong, or the server serves another model.
        TargetFailed: if it does not answer, or refuses the credentials.
    """
    address = read_address(uri, options.dialect)
    if options.provider is not None:
        raise InputError(
            "an endpoint chooses what its model runs on",
            where=address.uri,
            got=f"--provider {options.provider}",
            hint="take it out, or name a model file",
        )
    key = options.api_key()
    if key is not None and address.userinfo is not None:
        raise InputError(
            "both the URL and --api-key-env give credentials", where=address.uri, hint="take one of them out"
        )
    card = read_card(options.card) if options.card else Card()
    spoken = dialect(address.dialect)
    # Of all dialects only a template may name a header of its own.
    headers = authorization(key, address.userinfo, key_header=getattr(spoken, "key_header", None))
    secret = key if key is not None else (address.userinfo or (None, None))[1]
    client = HttpClient(address.base_url, headers, options.timeout_s, secret or None)
    try:
        served = probe(address, client, options.model_name, key_env=options.api_key_env)
    except BaseException:
        client.close()
        raise
    labels = options.labels or card.labels or served.labels
    shape = options.input_shape or card.input_shape or served.input_shape
    where = address.uri
    predictor = generator = None
    if spoken.gives is Gives.TEXT:
        generator = EndpointGenerator(client, spoken, served.model, where)
    elif spoken.gives is Gives.SCORES:
        predictor = EndpointPredictor(
            client,
            spoken,
            served,
            labels=labels,
            input_shape=shape,
            output=Output(card.output) if card.output else served.output,
            batch=options.batch,
            where=where,
            key_env=options.api_key_env,
        )
    return EndpointTarget(
        uri=where,
        subject=Subject(
            name=card.name or served.model or where,
            kind="endpoint",
            uri=where,
            sha256=None,
            revision=card.revision or served.revision,
            served_model=served.model or None,
            demonstration=card.demonstration,
        ),
        card=replace(
            card, labels=labels, input_shape=shape, input_range=options.input_range or card.input_range
        ),
        predictor=predictor,
        generator=generator,
        endpoint=Endpoint(
            address.base_url,
            address.dialect,
            served.model,
            headers,
            options.timeout_s,
            secret=secret or None,
            options=predictor.ask_options if predictor is not None else {},
        ),
        warnings=served.warnings,
        default_prompts=str(card.beside(card.prompts)) if card.prompts else None,
        client=client,
    )


def _reply(events: Sequence[Event]) -> Reply:
    usage = next((event.usage for event in reversed(events) if event.usage is not None), None)
    finish = next((event.text for event in events if event.kind is EventKind.FINISH), None)
    error = next((event.text for event in events if event.kind is EventKind.ERROR), None)
    reasoning = whole_text(event.text for event in events if event.kind is EventKind.REASONING)
    return Reply(
        text=None if error is not None else whole_text(_texts(events)),
        error=error,
        finish_reason=finish,
        prompt_tokens=usage.prompt_tokens if usage else None,
        output_tokens=usage.output_tokens if usage else None,
        reasoning=reasoning or None,
    )


def _texts(events: Sequence[Event]) -> list[str]:
    return [event.text for event in events if event.kind is EventKind.TEXT]


def _split(text: str) -> tuple[str, str]:
    for prefix in (PROTOCOL, SERVER, TRUNCATED):
        if text.startswith(prefix):
            return prefix.rstrip(": "), text.removeprefix(prefix)
    return "protocol", text
