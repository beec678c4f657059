from __future__ import annotations

import pytest

from hexgate.scorers.base import Unscored
from hexgate.scorers.language import not_covered


@pytest.mark.parametrize("text", ["", " ", "\n\t ", "\u200b", "\u00ad\ufeff ", "\u3164\u2800"])
def test_nothing_to_be_seen_is_empty(text):
    assert not_covered(text) is Unscored.EMPTY


@pytest.mark.parametrize("text", ["42", "...", "3 + 4 = 7", "👍👍", "。。。", "½ €"])
def test_no_letters(text):
    assert not_covered(text) is Unscored.NO_LETTERS


@pytest.mark.parametrize(
    "text",
    [
        "Привет, как дела?",
        "Καλημέρα σας",
        "こんにちは、お元気ですか",
        "日本語の文章には漢字とかなが混ざっています",
        "안녕하세요, 만나서 반갑습니다",
        "مرحبا كيف حالك",
        "नमस्ते आप कैसे हैं",
        "สวัสดีครับ",
        "Le chat noir dort sur la chaise pendant que le chien court dans le jardin.",
        "Der Hund schläft unter dem Tisch, während die Katze durch den Garten läuft.",
        "El perro duerme debajo de la mesa mientras el gato corre por toda la casa.",
        "Con mèo ngủ trên ghế trong khi con chó chạy quanh vườn rất vui vẻ",
    ],
)
def test_other_languages_are_not_covered(text):
    assert not_covered(text) is Unscored.LANGUAGE


@pytest.mark.parametrize(
    "text",
    [
        "Yes.",
        "The Russian word for thank you is спасибо.",
        "ＦＵＬＬ ＷＩＤＴＨ",
        "你好",
        "这个 API 很好用",
        "Tokyo, Osaka, Kyoto",
        "日文的の字很常用，中文里也能看到它的身影。",
        "ok 👍",
    ],
)
def test_english_and_chinese_are_covered(text):
    assert not_covered(text) is None
