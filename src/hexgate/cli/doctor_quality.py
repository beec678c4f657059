"""What `hexgate doctor` says of the measures of quality: which can be taken here, and the remedy for the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from hexgate.cli.console import error_words
from hexgate.cli.language import text
from hexgate.errors import extra_hint
from hexgate.scorers.quality import QUALITY
from hexgate.scorers.sandbox import Sandbox, Unavailable

__all__ = ["Found", "found"]

_PACKAGES: Mapping[str, tuple[str, ...]] = {
    "bartscore": ("torch", "transformers"),
    "bertscore": ("torch", "transformers", "bert_score"),
    "rouge": ("rouge_score",),
}
"""The modules of the extra that a measure needs."""
_CODE = "code_tests"
"""The measure that runs what a model wrote."""


@dataclass(frozen=True)
class Found:
    """One measure, or several that are alike."""

    ready: bool
    """Whether it can be taken here."""
    name: str
    """Its name."""
    what: str
    """What it is, for a person."""
    below: tuple[str, ...] = ()
    """Why not, and the remedy."""


def found() -> Iterator[Found]:
    """The measures, those that need nothing first. Whether programs can be held back is tried."""
    plain = [name for name in QUALITY if name not in _PACKAGES and name != _CODE]
    yield Found(True, text("texts", "文本"), ", ".join(plain))
    for name, modules in _PACKAGES.items():
        yield _by_packages(name, [module for module in modules if find_spec(module) is None])
    yield _programs()
    asks = text("any OpenAI-compatible endpoint that you name", "任何你指定的兼容 OpenAI 的接口")
    yield Found(True, text("judge", "评判"), asks)


def _by_packages(name: str, lacking: list[str]) -> Found:
    what = {
        "bartscore": text("how probable a BART model finds a text", "BART 模型认为文本有多大可能"),
        "bertscore": text("tokens matched by their embeddings", "按嵌入匹配的词元"),
        "rouge": text("words shared with a reference", "与参考答案共有的词"),
    }[name]
    if not lacking:
        return Found(True, name, what)
    why = text(f"not installed: {', '.join(lacking)}", f"未安装：{', '.join(lacking)}")
    return Found(False, name, what, (why, _remedy(extra_hint("quality"))))


def _programs() -> Found:
    what = text(
        "whether a model's program passes its tests, in a sandbox", "模型写的程序能否通过测试，在沙箱中运行"
    )
    state = Sandbox().available()
    if isinstance(state, Unavailable):
        return Found(False, _CODE, what, (error_words(state.reason), _remedy(state.remedy)))
    held = text(
        f"{len(state.attempts)} attempts to get out of it failed", f"{len(state.attempts)} 种越界尝试都被拦住"
    )
    return Found(True, _CODE, what, (held,))


def _remedy(words: str) -> str:
    return text(f"remedy: {words}", f"办法：{error_words(words)}")
