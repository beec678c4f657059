"""Undo what hides a word from a list: look-alikes, accents, invisible characters, digits for letters, spacing.

Texts are folded first, character by character; then they are cut into the views in which words are looked up. A view of
Latin words keeps word borders, so that a short term inside a longer word is never found.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["HAN", "fold", "han_runs", "spellings", "visible", "word_views"]

HAN = "\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U000323af"
"""Chinese characters, as the inside of a regular expression's class."""

_INVISIBLE = frozenset("\u115f\u1160\u2800\u3164\uffa0")

_LOOK_ALIKES = {
    "a": "АаΑαɑᴀ",
    "b": "ВвΒβЬьʙɓ",
    "c": "Ссϲᴄ",
    "d": "ԁᴅđɗðժ",
    "e": "ЕеΕεєᴇɛҽ",
    "f": "ꜰƒғ",
    "g": "ɡɢԍց",
    "h": "НнΗһʜħհ",
    "i": "ІіΙιıɩɪӀ",
    "j": "ЈјᴊϳϏ",
    "k": "КкΚκᴋ",
    "l": "ʟłɭⅼ",
    "m": "МмΜᴍ",
    "n": "Νηɴոռ",
    "o": "ОоΟοσᴏøօ",
    "p": "РрΡρᴘþ",
    "q": "ԛզ",
    "r": "гʀɾ",
    "s": "Ѕѕꜱʂ",
    "t": "ТтΤτᴛŧ",
    "u": "υᴜսμ",
    "v": "νѵᴠ",
    "w": "ԝωᴡѡ",
    "x": "ХхΧχ",
    "y": "УуΥүʏγ",
    "z": "Ζζᴢƶ",
    "ae": "æÆ",
    "oe": "œŒ",
}

# The characters of the lexicon whose traditional form differs: traditional, simplified.
_PAIRS = (
    "癡痴 豬猪 貨货 賤贱 騷骚 蕩荡 婦妇 腦脑 殘残 廢废 雜杂 種种 滾滚 開开 殺杀 媽妈 敗败 類类 給给 "
    "個个 這这 東东 雞鸡 龜龟 兒儿 孫孙 窮穷 鱉鳖 醜丑 無无 噁恶 惡恶 變变 態态 強强 姦奸 幹干 樓楼 "
    "讓让 該该 屍尸 懶懒 臉脸 養养 爺爷 慫怂 軟软 窩窝 飯饭 蟲虫 獸兽 沒没 進进 嗎吗 們们 頭头 壞坏 "
    "綠绿 機机 黃黄 絕绝 運运 輪轮 癩癞 麗丽 驢驴 閉闭 燒烧 斷断 萬万 剮剐 說说 討讨 厭厌 歡欢 愛爱 "
    "裡里 裏里 麼么 傢家 孃娘 亂乱 倫伦 臺台 電电 鄉乡 聾聋 啞哑 猶犹 賣卖 趕赶 緊紧 丟丢 烏乌 書书 "
    "會会 臥卧 學学 帳帐 戀恋 時时 湯汤 潑泼 滅灭 燦灿 點点 熱热 獄狱 瑪玛 瘋疯 癟瘪 著着 礙碍 筆笔 "
    "約约 經经 縮缩 脈脉 脫脱 蠻蛮 裝装 記记 賬账 費费 輩辈 遠远 長长 間间 題题 妳你 喫吃 乾干 幾几"
)
_SIMPLIFIED = {pair[0]: pair[1] for pair in _PAIRS.split()}

_LATIN_LETTERS = {source: target for target, sources in _LOOK_ALIKES.items() for source in sources} | {
    # Letters in squares, circles and flags, which have no decomposition.
    chr(first + offset): chr(ord("a") + offset)
    for first in (0x1F150, 0x1F170, 0x1F1E6)
    for offset in range(26)
}

_LEET = dict(zip("034578@$!|1", "oeastbasiii", strict=True))
# One digit stands for two letters, so a word is read both ways.
_LEET_TABLES = tuple(str.maketrans(_LEET | {"1": one, "|": one}) for one in "il")
_CHUNK = re.compile(rf"[^\s{HAN}]+")
_PART = re.compile(r"[a-z0-9]+")
_NOT_LETTERS = re.compile(r"[^a-z]+")
_NOT_ALNUM = re.compile(r"[^a-z0-9]+")
_LEFT_EDGE = re.compile(r"^[^a-z0-9@$!|]+")
_RIGHT_EDGE = re.compile(r"[^a-z0-9@$]+$")
_LONG_RUN = re.compile(r"(.)\1{2,}")
_ANY_RUN = re.compile(r"(.)\1+")
_HAN_BREAK = re.compile(r"[。!?;:,、\n\r]+|[a-z0-9]{3,}")
_NOT_HAN_UNIT = re.compile(rf"[^{HAN}a-z0-9]+")
_HAN_CHARACTER = re.compile(f"[{HAN}]")


def visible(text: str) -> str:
    """The text in its compatibility decomposition (NFKD), without marks and without what nobody can see."""
    if text.isascii():
        return text
    return "".join(map(_visible, unicodedata.normalize("NFKD", text)))


@lru_cache(maxsize=8192)
def _visible(character: str) -> str:
    hidden = unicodedata.category(character) in {"Mn", "Me", "Cf"} or character in _INVISIBLE
    return "" if hidden else character


def fold(text: str) -> str:
    """Lower-case text in plain letters: no accents, full width, look-alikes or traditional characters."""
    if text.isascii():
        return text.lower()
    return "".join(map(_folded, visible(text)))


@lru_cache(maxsize=8192)
def _folded(character: str) -> str:
    latin = _LATIN_LETTERS.get(character)
    return latin if latin is not None else _SIMPLIFIED.get(character, character.casefold())


def word_views(folded: str) -> list[list[tuple[str, ...]]]:
    """The ways to read a folded text as Latin words; in each, every place has one or more readings.

    The first splits at everything that is neither letter nor digit. The second, where it differs, splits at white
    space alone and joins what punctuation or single spaces pull apart: ``du-mb``, ``d.u.m.b``, ``d u m b``.
    """
    chunks = []
    for match in _CHUNK.finditer(folded):
        core = _RIGHT_EDGE.sub("", _LEFT_EDGE.sub("", match.group()))
        if core:
            chunks.append((match.start(), match.end(), core))
    plain = [_readings(part) for _, _, core in chunks for part in _PART.findall(core)]
    joined = _joined(chunks)
    return [plain] if joined == plain else [plain, joined]


def _joined(chunks: list[tuple[int, int, str]]) -> list[tuple[str, ...]]:
    places: list[tuple[str, ...]] = []
    index = 0
    while index < len(chunks):
        end = _end_of_singles(chunks, index)
        if end - index >= 3:
            places.append(_spelt_out("".join(core for _, _, core in chunks[index:end])))
            index = end
        else:
            places.append(_readings(chunks[index][2]))
            index += 1
    return places


def _end_of_singles(chunks: list[tuple[int, int, str]], first: int) -> int:
    end, gap = first, None
    while end < len(chunks) and len(chunks[end][2]) == 1:
        if end > first:
            this = chunks[end][0] - chunks[end - 1][1]
            # A wider gap than before is the border between two spelt-out words.
            if gap is not None and this > gap:
                break
            gap = this
        end += 1
    return end


@lru_cache(maxsize=8192)
def _spelt_out(letters: str) -> tuple[str, ...]:
    # "you are a d u m b ..." takes the article into the run; so do "i", and "u" and "r" for you and are.
    readings: list[str] = []
    for start in range(min(3, len(letters) - 2)):
        if letters[:start].strip("aiur"):
            break
        readings += _readings(letters[start:])
    if letters[-1] in "aiu":
        readings += _readings(letters[:-1])
    return tuple(dict.fromkeys(readings))


@lru_cache(maxsize=65536)
def _readings(core: str) -> tuple[str, ...]:
    if core.isalpha() and core.isascii():
        return (core,)
    bare = _NOT_ALNUM.sub("", core)
    if not any(character.isalpha() for character in bare):
        return (bare,)
    leet = (_NOT_LETTERS.sub("", core.translate(table)) for table in _LEET_TABLES)
    return tuple(dict.fromkeys((bare, *leet)))


@lru_cache(maxsize=65536)
def spellings(word: str) -> tuple[str, ...]:
    """The word, and what it may be with repeated letters squeezed: ``stuuupid``, ``stuupid``."""
    if _ANY_RUN.search(word) is None:
        return (word,)
    squeezed = (_LONG_RUN.sub(r"\1\1", word), _LONG_RUN.sub(r"\1", word), _ANY_RUN.sub(r"\1", word))
    return tuple(dict.fromkeys((word, *squeezed)))


def han_runs(folded: str) -> list[str]:
    """Runs of Chinese characters, with up to two Latin letters between them, without what separates them.

    Punctuation that ends a clause ends a run, except between single characters, as in ``a，b，c`` for three.
    """
    if _HAN_CHARACTER.search(folded) is None:
        return []
    runs: list[str] = []
    singles = False
    for segment in _HAN_BREAK.split(folded):
        run = _NOT_HAN_UNIT.sub("", segment)
        if not run:
            continue
        if len(run) == 1 and singles:
            runs[-1] += run
        else:
            runs.append(run)
        singles = len(run) == 1
    return runs
