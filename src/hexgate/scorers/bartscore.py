"""BARTScore: how probable a BART model finds one text, token by token, once it has read another.

Yuan, Neubig and Liu 2021 (arXiv:2106.11520, section 3.2), with equal weights, as the authors' implementation has it:

    score(x -> y) = 1/m  sum over t = 1..m of  log p(y_t | y_<t, x)

over all m tokens of the target with its start and end tokens, teacher-forced, without dropout, both texts cut at 1,024
tokens. A score is at most 0 and has no scale of its own: compare those of one checkpoint, direction and language.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from hexgate.errors import InputError, MissingExtra
from hexgate.scorers.checkpoint import Checkpoint, load_model, load_tokenizer, read_checkpoint
from hexgate.scorers.coverage import known_languages, refusal

__all__ = ["BartScorer", "PairScore", "aggregated"]

_MOST_TOKENS = 1024
# Rows of logits at once: with a vocabulary of 50,000 words, 100 MB.
_ROWS = 512
# A batch more costs a processor about as much as this much padding: the weights are read once more. A GPU is better off
# with as much at once as it is given.
_PADDING = 96
# Sources whose lengths differ by less than this factor count as alike.
_STEP = math.log(1.25)


@dataclass(frozen=True)
class PairScore:
    """What BARTScore says of a source and a target: a value, or the reason why there is none."""

    value: float | None
    """Mean log probability of a token of the target, at most 0; None where it would mean nothing."""
    reason: str | None
    """Why there is no value; None where there is one."""
    truncated: bool = False
    """Whether either text was longer than the checkpoint reads, so that its end did not count."""


@dataclass(frozen=True)
class _Encoded:
    """A text as the model gets it."""

    ids: list[int]
    """Its tokens, with those that begin and end it."""
    truncated: bool
    """Whether it was cut."""
    said: bool
    """Whether it has tokens of its own."""


class BartScorer:
    """Scores pairs of texts with one checkpoint. Holds no state beside the model."""

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        model: Any,
        tokenizer: Any,
        device: Any,
        languages: frozenset[str],
        batch_tokens: int,
    ) -> None:
        self.checkpoint = checkpoint
        self.languages = languages
        self.max_tokens = min(_MOST_TOKENS, int(model.config.max_position_embeddings))
        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self._batch_tokens = batch_tokens
        self._frame = len(tokenizer("")["input_ids"])

    @classmethod
    def open(
        cls,
        directory: str | os.PathLike[str],
        *,
        device: str = "cpu",
        batch_tokens: int = 4096,
        languages: Collection[str] | None = None,
    ) -> BartScorer:
        """Load a checkpoint from a directory, without the network.

        Args:
            directory: of a BART model, as `read_checkpoint` takes it.
            device: as torch names it.
            batch_tokens: padded tokens of sources and targets that go through the model at once, at the most; one pair
                that is longer goes alone.
            languages: what it was trained on; found out from the tokenizer where None.

        Raises:
            InputError: if there is no usable checkpoint or device.
            MissingExtra: without torch and transformers.
        """
        if batch_tokens < 1:
            raise InputError("a batch has at least one token", got=str(batch_tokens))
        checkpoint = read_checkpoint(directory, model_types=("bart",))
        try:
            import torch  # noqa: F401
            from transformers import BartForConditionalGeneration
        except ImportError:
            raise MissingExtra("quality", "BARTScore") from None
        tokenizer = load_tokenizer(checkpoint)
        model, place = load_model(checkpoint, BartForConditionalGeneration, device=device)
        return cls(
            checkpoint,
            model=model,
            tokenizer=tokenizer,
            device=place,
            languages=known_languages(tokenizer) if languages is None else frozenset(languages),
            batch_tokens=batch_tokens,
        )

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides a score, as JSON."""
        return {
            "definition": "bartscore/1",
            "checkpoint": self.checkpoint.digest,
            "languages": sorted(self.languages),
            "max_tokens": self.max_tokens,
            "device": self._device.type,
            "versions": {name: version(name) for name in ("torch", "transformers")},
        }

    def score(self, pairs: Sequence[tuple[str, str]]) -> list[PairScore]:
        """Score pairs of (source, target), in their order.

        What a pair gets does not depend on the pairs beside it, but for the rounding of single precision (1e-5).

        Raises:
            InputError: if the device has too little memory for a batch.
        """
        refusals = [self._refusal(source, target) for source, target in pairs]
        asked = [place for place, reason in enumerate(refusals) if reason is None]
        encoded = self._encode([text for place in asked for text in pairs[place]])
        results = [PairScore(None, reason or "no tokens that the checkpoint knows") for reason in refusals]
        ready = [
            (place, source, target)
            for place in asked
            if (source := encoded[pairs[place][0]]).said and (target := encoded[pairs[place][1]]).said
        ]
        for batch in self._batches(ready):
            values = self._forward([(source.ids, target.ids) for _, source, target in batch])
            for (place, source, target), value in zip(batch, values, strict=True):
                results[place] = _result(value, truncated=source.truncated or target.truncated)
        return results

    def score_multi(
        self, sources: Sequence[str], targets: Sequence[Sequence[str]], *, aggregate: str = "max"
    ) -> list[PairScore]:
        """Score each source against several targets: the mean or the largest of the scores.

        No target is left out: where one of them has no value, the whole has none.

        Raises:
            ValueError: for other aggregates than ``mean`` and ``max``, for a source without targets, or if the lengths
                differ.
        """
        if aggregate not in {"mean", "max"}:
            raise ValueError(f"scores are aggregated by mean or max, not by {aggregate!r}")
        if not all(targets):
            raise ValueError("every source needs at least one target")
        pairs = [
            (source, target) for source, several in zip(sources, targets, strict=True) for target in several
        ]
        scores = iter(self.score(pairs))
        return [aggregated([next(scores) for _ in several], aggregate) for several in targets]

    def _refusal(self, source: str, target: str) -> str | None:
        for role, text in (("source", source), ("target", target)):
            if reason := refusal(text, self.languages):
                return f"{role}: {reason}"
        return None

    def _encode(self, texts: list[str]) -> dict[str, _Encoded]:
        unlike = list(dict.fromkeys(texts))
        if not unlike:
            return {}
        whole: list[list[int]] = self._tokenizer(unlike, verbose=False)["input_ids"]
        encoded = {}
        for text, ids in zip(unlike, whole, strict=True):
            truncated = len(ids) > self.max_tokens
            encoded[text] = _Encoded(self._cut(text) if truncated else ids, truncated, len(ids) > self._frame)
        return encoded

    def _cut(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, truncation=True, max_length=self.max_tokens)["input_ids"]
        return ids

    def _batches(
        self, ready: list[tuple[int, _Encoded, _Encoded]]
    ) -> Iterator[list[tuple[int, _Encoded, _Encoded]]]:
        """Pairs of like lengths together, the longest first, so that too little memory shows at once."""

        def like(one: tuple[int, _Encoded, _Encoded]) -> tuple[int, int]:
            step = int(math.log(len(one[1].ids)) / _STEP)
            # Every other step runs backwards: where a batch spans two of them, its targets still are alike.
            return -step, len(one[2].ids) * (1 if step % 2 else -1)

        padding = _PADDING if self._device.type == "cpu" else self._batch_tokens
        batch: list[tuple[int, _Encoded, _Encoded]] = []
        longest, tokens = (0, 0), 0
        for one in sorted(ready, key=like):
            own = (len(one[1].ids), len(one[2].ids))
            wider = (max(longest[0], own[0]), max(longest[1], own[1]))
            padded = (len(batch) + 1) * sum(wider)
            if batch and (padded > self._batch_tokens or padded - tokens - sum(own) > padding):
                yield batch
                batch, wider, tokens = [], own, 0
            batch.append(one)
            longest, tokens = wider, tokens + sum(own)
        if batch:
            yield batch

    def _forward(self, pairs: list[tuple[list[int], list[int]]]) -> list[float]:
        """The mean log probability of each pair's target, in double precision over single precision's parts."""
        import torch

        config = self._model.config
        try:
            with torch.inference_mode():
                source, source_mask = self._padded([source for source, _ in pairs])
                target, target_mask = self._padded([target for _, target in pairs])
                # Each token is predicted from those before it: the first from the decoder's start token.
                before = target.roll(1, dims=1)
                before[:, 0] = config.decoder_start_token_id
                states = self._model.model(
                    input_ids=source, attention_mask=source_mask, decoder_input_ids=before, use_cache=False
                ).last_hidden_state
                # Padding is dropped before the costly last layer, not after it.
                logs = [
                    self._logs(rows, wanted)
                    for rows, wanted in zip(
                        states[target_mask].split(_ROWS), target[target_mask].split(_ROWS), strict=True
                    )
                ]
                each = torch.cat(logs).double().cpu().split([len(target) for _, target in pairs])
                return [float(one.mean()) for one in each]
        except torch.OutOfMemoryError:
            raise InputError(
                "the device has too little memory for a batch",
                got=f"{len(pairs)} pairs of up to {max(map(_tokens, pairs))} tokens",
                hint=f"give a batch_tokens below {self._batch_tokens}, or another device",
            ) from None

    def _logs(self, states: Any, wanted: Any) -> Any:
        logits = self._model.lm_head(states) + self._model.final_logits_bias
        return logits.gather(1, wanted.unsqueeze(1)).squeeze(1) - logits.logsumexp(dim=1)

    def _padded(self, rows: list[list[int]]) -> tuple[Any, Any]:
        import torch

        longest = max(map(len, rows))
        pad = self._model.config.pad_token_id
        ids = torch.tensor([row + [pad] * (longest - len(row)) for row in rows])
        mask = torch.tensor([[True] * len(row) + [False] * (longest - len(row)) for row in rows])
        return ids.to(self._device), mask.to(self._device)


def aggregated(scores: Sequence[PairScore], aggregate: str) -> PairScore:
    """The mean or the largest of some scores; without a value where one of them has none."""
    values = [score.value for score in scores if score.value is not None]
    truncated = any(score.truncated for score in scores)
    if len(values) < len(scores):
        return PairScore(None, next(score.reason for score in scores if score.reason), truncated)
    return PairScore(max(values) if aggregate == "max" else math.fsum(values) / len(values), None, truncated)


def _result(value: float, *, truncated: bool) -> PairScore:
    if not math.isfinite(value):
        return PairScore(None, "the checkpoint gave no finite number", truncated)
    return PairScore(value, None, truncated)


def _tokens(pair: tuple[list[int], list[int]]) -> int:
    return max(len(pair[0]), len(pair[1]))
