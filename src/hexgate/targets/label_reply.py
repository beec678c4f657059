"""Which label a reply names. Strict: where two readings are possible, it names none."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["normal_label", "parse_label"]

_CHINESE = "㐀-䶿一-鿿"
_CHINESE_LETTER = re.compile(f"[{_CHINESE}]")
_LETTER = re.compile(rf"[^\W{_CHINESE}]")
# A hyphen or an apostrophe makes one word of what stands around it, a point or comma only of digits.
_WORD = re.compile(
    rf"(?:(?<![^\W{_CHINESE}])[-+](?=\d))?[^\W{_CHINESE}]+"
    rf"(?:(?:[-']|(?<=\d)[.,](?=\d))[^\W{_CHINESE}]+)*%?"
)
_EDGES = " \t\r\n\"'`*_#.,;:!?()[]{}<>、。，；：！？“”‘’「」『』《》【】（）"
_THINKING = re.compile(r"\s*<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL | re.IGNORECASE)
_FENCE = re.compile(r"```(?:json)?\s*(\{.*\})\s*```", re.DOTALL | re.IGNORECASE)
_NEGATED = re.compile(
    r"(?:\b(?:not|no|non|never|neither|nor|without|isn't|isnt|aren't|wasn't|cannot be|can't be)"
    r"(?:\s+(?:a|an|the|be|very|really|at all|quite|clearly|necessarily))*[\s\"'`*]*"
    r"|(?:不是?|并?非|不属于|不算|不应该?|不能|没有|无)[\s\"'“‘「《]*)$"
)


def normal_label(text: str) -> str:
    """A label or a reply, made comparable: full-width to half-width, case folded, marks around it gone."""
    return unicodedata.normalize("NFKC", text).replace("’", "'").casefold().strip(_EDGES)


def parse_label(reply: str, labels: Sequence[str]) -> str | None:
    """The label that a reply names, or None where it names none or more than one.

    In this order:

    1. A block ``<think>...</think>`` at the start is left out; one that never ends leaves no answer.
    2. The reply is one of the labels, whatever its case, width, and the marks around it.
    3. The reply is a JSON object (bare, or in a code fence) with a key ``label``: its value must be one of
       the labels, else there is no answer.
    4. Exactly one of the labels is mentioned as a whole word, however often. A mention right after a
       negation (``not positive``, ``不是正面``) counts against the reply: it then names none. The longest
       label that fits a place is the one mentioned there, so ``不通过`` is no mention of ``通过`` if both
       are labels. Of Chinese, which sets no spaces, any place in the text will do, but a label of one
       character must stand apart from other Chinese characters. A label of one Latin letter must be upper
       case, and stand at an end or before a mark, so that the article in ``A cat`` is no answer.

    Args:
        reply: what the model answered.
        labels: the possible labels. Two that differ in case or width only can be told apart verbatim alone.
    """
    answer = _THINKING.sub("", reply, count=1) if _THINKING.match(reply) else reply
    if re.match(r"\s*<think", answer, re.IGNORECASE):
        return None
    if answer.strip() in labels:
        return answer.strip()
    by_form: dict[str, list[str]] = {}
    for label in labels:
        by_form.setdefault(normal_label(label) or label, []).append(label)
    exact = by_form.get(normal_label(answer))
    if exact is not None:
        return exact[0] if len(exact) == 1 else None
    stated = _stated(answer)
    if stated is not None:
        named = by_form.get(normal_label(stated), [])
        return named[0] if len(named) == 1 else None
    mentions = list(_mentions(answer, sorted(by_form, key=len, reverse=True)))
    forms = {mention.form for mention in mentions}
    if len(forms) != 1 or any(mention.negated for mention in mentions):
        return None
    only = by_form[forms.pop()]
    return only[0] if len(only) == 1 else None


@dataclass(frozen=True)
class _Mention:
    """One place in a reply where a label stands."""

    form: str
    """The label's comparable form."""
    negated: bool
    """Whether a negation stands right before it."""


def _stated(answer: str) -> str | None:
    """The value under ``label`` of a reply that is a JSON object, as text; None if it is no such object."""
    fenced = _FENCE.fullmatch(answer.strip())
    body = fenced.group(1) if fenced else answer.strip()
    if not body.startswith("{"):
        return None
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict) or "label" not in fields:
        return None
    value = fields["label"]
    if isinstance(value, (bool, int)):
        return json.dumps(value)
    return value if isinstance(value, str) else ""


def _mentions(answer: str, forms: Sequence[str]) -> Iterator[_Mention]:
    """Every label that stands in a text as a whole word, the longest first at each place."""
    wide = unicodedata.normalize("NFKC", answer).replace("’", "'")
    text = wide.casefold()
    # Folding changes the length of a few letters (ß); upper case is then not known place by place.
    cased = wide if len(wide) == len(text) else text
    words = [match.span() for match in _WORD.finditer(text)]
    starts, ends = {start for start, _ in words}, {end for _, end in words}
    at = 0
    while at < len(text):
        for form in forms:
            end = at + len(form)
            if not text.startswith(form, at):
                continue
            if _CHINESE_LETTER.search(form):
                apart = len(form) > 1 or not _CHINESE_LETTER.search(
                    text[max(0, at - 1) : at] + text[end : end + 1]
                )
            else:
                whole = (at in starts or not _LETTER.match(form[0])) and (
                    end in ends or not _LETTER.match(form[-1])
                )
                apart = whole and (len(form) > 1 or not form.isalpha() or _option(cased, at))
            if apart:
                yield _Mention(form, _NEGATED.search(text[max(0, at - 40) : at]) is not None)
                at = end
                break
        else:
            at += 1


def _option(text: str, at: int) -> bool:
    """Whether a single letter stands as the name of an option: upper case, with a mark or an end after it."""
    return text[at].isupper() and re.match(r"[ \t]*(?:$|[\r\n])|[^\w\s]", text[at + 1 :]) is not None
