from __future__ import annotations

import pytest

from hexgate.datasets.lengths import PROBES, Fit, Lengths, calibrate, fitted_prompts
from hexgate.datasets.passages import Passages, own_sentences, word_count
from hexgate.errors import InputError


@pytest.mark.parametrize(
    ("text", "least", "greatest"), [("1000", 1000, 1000), ("1000..4096", 1000, 4096), (" 7 ", 7, 7)]
)
def test_lengths_are_read(text: str, least: int, greatest: int) -> None:
    found = Lengths.parse(text)
    assert (found.least, found.greatest) == (least, greatest)
    assert str(found) == text.strip()


@pytest.mark.parametrize(
    "text", ["", "0", "-1", "9..8", "1..2..3", "1-2", "1.5", "1..", "..5", "2000000", "x"]
)
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="--input-tokens"):
        Lengths.parse(text)


def test_lengths_are_drawn_uniformly_and_again_alike() -> None:
    lengths = Lengths(1000, 4096)
    drawn = lengths.draw(20_000, 5)
    assert drawn == lengths.draw(20_000, 5) != lengths.draw(20_000, 6)
    assert (min(drawn), max(drawn)) == (1000, 4096)
    assert sum(drawn) / len(drawn) == pytest.approx(2548, rel=0.01)
    assert sum(length < 1774 for length in drawn) / len(drawn) == pytest.approx(0.25, abs=0.015)
    assert set(Lengths(9, 9).draw(5, 0)) == {9}


def passages() -> Passages:
    return Passages(own_sentences()[0], seed=0)


def test_a_line_is_found_and_its_prompts_are_none_of_the_load() -> None:
    asked: list[str] = []

    def count(text: str) -> int:
        asked.append(text)
        return 17 + 2 * word_count(text)

    fit = calibrate(passages(), Lengths(500, 900), count, first=40, where="here")
    assert (fit.base_tokens, fit.tokens_per_word) == pytest.approx((17, 2))
    assert fit.probes == len(asked) == len(set(asked)) == PROBES
    assert fit.largest_error_tokens is not None
    # A whole number of words gives every second count only.
    assert fit.largest_error_tokens < 1e-6
    made = fitted_prompts(passages(), [500, 901], fit)
    assert [17 + 2 * word_count(text) for text in made] == [501, 901] or [
        17 + 2 * word_count(text) for text in made
    ] == [499, 901]
    openings = {text.split(":")[0] for text in asked}
    assert openings.isdisjoint(passages().text(index, 3).split(":")[0] for index in range(40))


def test_the_largest_error_is_that_of_the_probes_of_the_wanted_lengths() -> None:
    off = iter([0, 0, 5, -5, 5, -3, 3])
    seen: list[tuple[int, int]] = []

    def count(text: str) -> int:
        words = word_count(text)
        seen.append((words, 10 + words + next(off)))
        return seen[-1][1]

    fit = calibrate(passages(), Lengths(600, 800), count, first=0, where="here")
    errors = [abs(counted - fit.tokens(words)) for words, counted in seen[2:]]
    assert fit.largest_error_tokens == max(errors) > 3
    assert fit.largest_error_ratio == max(
        error / pair[1] for error, pair in zip(errors, seen[2:], strict=True)
    )


def test_a_server_that_cuts_prompts_is_found_out() -> None:
    with pytest.raises(InputError, match="do not follow the number of words") as found:
        calibrate(
            passages(), Lengths(1000, 4096), lambda text: min(word_count(text), 2048), first=0, where="x"
        )
    assert "--tokenizer" in str(found.value)


def test_a_server_that_counts_alike_whatever_comes_is_found_out() -> None:
    with pytest.raises(InputError, match="no more tokens in longer prompts"):
        calibrate(passages(), Lengths(100, 100), lambda _: 3, first=0, where="x")


def test_what_is_shorter_than_the_template_is_refused_with_the_least() -> None:
    fit = Fit(base_tokens=30.4, tokens_per_word=1.5)
    with pytest.raises(InputError, match="too short") as found:
        fit.words(33)
    assert "37 or more" in str(found.value)
    assert fit.words(37) == 4
