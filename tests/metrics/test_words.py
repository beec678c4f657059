import pytest

from hexgate.metrics.words import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The U.S. won't pay_it: 3.5%", ["the", "u", "s", "won", "t", "pay", "it", "3", "5"]),
        ("今天GPT-4答对了，2题。", ["今", "天", "gpt", "4", "答", "对", "了", "2", "题"]),
        ("Über façade", ["über", "façade"]),
        ("ＧＰＴ－４在２００８年　ok", ["gpt", "4", "在", "2008", "年", "ok"]),
        ("cafe\u0301 10²", ["caf\u00e9", "10²"]),
        ("𠮷野〇", ["𠮷", "野", "〇"]),
        ("、。!? \n", []),
        ("", []),
    ],
)
def test_by_hand(text, expected):
    assert words(text) == expected
