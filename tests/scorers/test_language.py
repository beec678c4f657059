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
        "日文的の字很常用，中文里也能看到它的身影。",
        "ok 👍",
    ],
)
def test_english_and_chinese_are_covered(text):
    assert not_covered(text) is None


BEGINS_ENGLISH = (
    "Sure, here is what you asked for, and more of it than you need: le chat noir dort sur la chaise pendant que "
    "le chien court dans le jardin avec les enfants du voisin"
)

OTHERS = {
    "fr": (
        "Ferme la porte, mon ami",
        "Merci beaucoup",
        "Oui, bien sûr.",
        "Le thé est trop chaud pour toi, mon fils.",
        "Je ne sais pas.",
        "On peut manger dans le jardin mais il pleut.",
    ),
    "de": (
        "Halt die Klappe, du Esel",
        "Guten Morgen",
        "Ich war in der Stadt, also hat er allein gekocht.",
        "Das ist doch gar nicht so schwer, man muss nur wollen.",
        "Ja, genau.",
        "Vielen Dank für die schnelle Antwort!",
    ),
    "es": (
        "Vete a tu casa, hijo de mi hermano",
        "No me gusta nada.",
        "Hola, amigo",
        "He comido pan con queso y me voy a dormir.",
        "¿Dónde has dejado las llaves del coche rojo?",
    ),
    "pt": (
        "Bom dia, tudo bem?",
        "As crianças do meu bairro brincam no parque.",
        "Não me diga isso, por favor.",
        "Obrigado",
        "Se for possível, come mais um pouco.",
    ),
    "it": (
        "Chiudi la bocca, sciocco",
        "I miei amici mi hanno detto di no.",
        "Grazie mille",
        "Come stai? Io sono a casa e me ne vado a dormire.",
        "Due caffè e una pasta, per favore.",
    ),
    "nl": (
        "Hou je mond, sukkel",
        "We gaan morgen naar de stad, want het is mooi weer.",
        "Goed zo!",
        "Dat was niet de bedoeling van onze buren, maar het is nu zo.",
    ),
    "pl": (
        "Zamknij drzwi, proszę",
        "On ma dwa koty, a my mamy psa, ale to nie problem.",
        "Dzień dobry",
        "Nie wiem, co mam o tym sądzić.",
    ),
    "vi": (
        "Cảm ơn bạn rất nhiều",
        "Tôi không biết, bạn có thể hỏi mẹ tôi.",
        "Hôm nay trời đẹp, chúng ta đi chơi nhé.",
        "Xin chào",
    ),
    "id": (
        "Selamat pagi, apa kabar?",
        "Saya tidak tahu",
        "Air di sungai itu main bersih pada sore hari.",
        "Terima kasih banyak atas bantuannya.",
    ),
    "tr": (
        "Kapa çeneni, eşek",
        "On at gördüm, her biri çok güzel.",
        "Teşekkür ederim",
        "Bugün hava çok sıcak, sen de bize gel.",
    ),
}


@pytest.mark.parametrize("text", [text for texts in OTHERS.values() for text in texts])
def test_other_languages_in_latin_letters_are_not_covered_however_short(text):
    assert not_covered(text) is Unscored.LANGUAGE


@pytest.mark.parametrize(
    "text",
    [
        "x" * 500,
        "x " * 500,
        "Tokyo, Osaka, Kyoto",
        "lorem ipsum dolor sit amet",
        # One English word does not make the rest English, nor does a beginning.
        "Je pense que the chat noir dort sur la chaise pendant que le chien court.",
        BEGINS_ENGLISH,
    ],
)
def test_what_is_no_english_is_not_covered(text):
    assert not_covered(text) is Unscored.LANGUAGE


@pytest.mark.parametrize(
    "text",
    [
        "Sure.", "Yes, of course.", "No.", "OK", "Okay!", "I do.", "Me too.", "Thank you.", "Thanks!", "I am fine.",
        "Not at all.", "You're welcome.", "I can't.", "I don't know.", "It's late.", "We will.", "Why not?",
        "Come in.", "True.", "False", "Maybe.", "Of course not.", "Good morning.", "Nice to meet you.", "I agree.",
        "That is right.", "Correct.", "Absolutely!", "Hello", "Hi there", "Sorry, I cannot help with that.",
        "I’m afraid not.", "It depends.", "Let me check.", "Please wait.", "All is well", "fine", "a fine day",
        "have a nice day", "No problem at all.", "Go on.", "As you wish.", "Two or three.", "Never.", "Nobody knows.",
        "On the table.", "In Berlin, I think.", "It was him, Shakespeare.", "About 42 kilometres.",
        "The capital is Paris.", "Blue.", "Dogs and cats.", "Water boils at 100 degrees.",
        "Do it.", "We must go.", "He may be right.", "Most people do.", "B", "Cheers, Maria!", "Well done!",
    ],
)  # fmt: skip
def test_short_english_is_covered(text):
    assert not_covered(text) is None
