"""BERTScore by the library bert-score, with a checkpoint that is named and nothing that is fetched.

Zhang et al. 2020 (arXiv:1904.09675): tokens of reply and reference are matched by the cosine of their contextual
embeddings in one layer. The library does the matching; the model is loaded here, from a directory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from hexgate.errors import InputError, MissingExtra
from hexgate.scorers.checkpoint import Checkpoint, load_model, load_tokenizer, read_checkpoint
from hexgate.scorers.coverage import known_languages, languages_named, refusal
from hexgate.scorers.quality import Item, Quality

__all__ = ["BertQuality", "open_scorer"]


@dataclass(frozen=True)
class BertQuality:
    """A `QualityScorer`: F of BERTScore, not rescaled and without idf weights, the best over the references."""

    checkpoint: Checkpoint
    """Which checkpoint."""
    layer: int
    """After how many of its layers the embeddings are taken."""
    languages: frozenset[str]
    """What it knows."""
    model: Any
    """The model, cut behind that layer."""
    tokenizer: Any
    """Its tokenizer."""
    device: Any
    """Where it is."""
    max_tokens: int
    """How much of a text it reads."""
    name: str = "bertscore"
    """Name in the registry."""
    higher_is_better: bool = True
    """Whether a higher value is better."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """All that decides a value, as JSON."""
        return {
            "definition": "bertscore/1",
            "checkpoint": self.checkpoint.digest,
            "layer": self.layer,
            "languages": sorted(self.languages),
            "max_tokens": self.max_tokens,
            "idf": False,
            "rescaled": False,
            "references": "best",
            "device": self.device.type,
            "versions": {name: version(name) for name in ("bert-score", "torch", "transformers")},
        }

    def score(self, items: Sequence[Item]) -> list[Quality]:
        """Measure items, one result each, in their order."""
        reasons = [self._refusal(item) for item in items]
        pairs = [
            (item.reply, reference)
            for item, reason in zip(items, reasons, strict=True)
            if reason is None
            for reference in item.references
        ]
        scores = iter(self._scores(pairs))
        return [
            Quality(None, reason)
            if reason is not None
            else self._quality(item, [next(scores) for _ in item.references])
            for item, reason in zip(items, reasons, strict=True)
        ]

    def _refusal(self, item: Item) -> str | None:
        if not item.references:
            return "no references"
        for role, text in (("reply", item.reply), *(("reference", text) for text in item.references)):
            if reason := refusal(text, self.languages):
                return f"{role}: {reason}"
        return None

    def _scores(self, pairs: list[tuple[str, str]]) -> list[tuple[float, float, float]]:
        """Precision, recall and F of (reply, reference)."""
        from bert_score.utils import bert_cos_score_idf

        if not pairs:
            return []
        weights: defaultdict[int, float] = defaultdict(lambda: 1.0)
        # The library counts every token once, and those that begin and end a text not at all.
        weights[self.tokenizer.sep_token_id] = weights[self.tokenizer.cls_token_id] = 0.0
        replies, references = zip(*pairs, strict=True)
        rows = bert_cos_score_idf(
            self.model, list(references), list(replies), self.tokenizer, weights, device=self.device
        )
        return [(float(p), float(r), float(f)) for p, r, f in rows]

    def _quality(self, item: Item, scores: list[tuple[float, float, float]]) -> Quality:
        precision, recall, f = (max(column) for column in zip(*scores, strict=True))
        lengths = [
            len(ids) for ids in self.tokenizer([item.reply, *item.references], verbose=False)["input_ids"]
        ]
        truncated = max(lengths) > self.max_tokens
        return Quality(f, None, {"precision": precision, "recall": recall, "f": f, "truncated": truncated})


def open_scorer(
    checkpoint: str, layer: int, languages: str | None = None, device: str = "cpu"
) -> BertQuality:
    """BERTScore with a checkpoint's directory.

    Args:
        checkpoint: the directory of a BERT or RoBERTa model.
        layer: after how many layers the embeddings are taken; the library's table has 17 for roberta-large and 8 for
            bert-base-chinese.
        languages: ``en``, ``zh``, ``en,zh`` or ``any``; by the tokenizer where None.
        device: as torch names it.

    Raises:
        InputError: for an option that cannot be, or an unusable checkpoint.
        MissingExtra: without bert-score.
    """
    named = None if languages is None else languages_named(languages, "bertscore.languages")
    found = read_checkpoint(checkpoint, model_types=("bert", "roberta"))
    try:
        import bert_score  # noqa: F401
        from transformers import AutoModel
    except ImportError:
        raise MissingExtra("quality", "BERTScore") from None
    tokenizer = load_tokenizer(found)
    model, place = load_model(found, AutoModel, device=device, add_pooling_layer=False)
    layers = len(model.encoder.layer)
    if not 1 <= layer <= layers:
        raise InputError(
            "the checkpoint has no such layer",
            where="bertscore.layer",
            got=str(layer),
            expected=f"1 to {layers}",
        )
    model.encoder.layer = model.encoder.layer[:layer]
    # RoBERTa's positions begin behind the padding's.
    positions = model.config.max_position_embeddings
    reads = positions - model.config.pad_token_id - 1 if found.model_type == "roberta" else positions
    tokenizer.model_max_length = min(tokenizer.model_max_length, reads)
    return BertQuality(
        checkpoint=found,
        layer=layer,
        languages=known_languages(tokenizer) if named is None else named,
        model=model,
        tokenizer=tokenizer,
        device=place,
        max_tokens=int(tokenizer.model_max_length),
    )
