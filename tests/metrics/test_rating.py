"""The rating: its worked example, its axioms, what is not rated, and how often its interval holds the truth."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hexgate.errors import InputError
from hexgate.metrics.rating import LETTERS, accepted_by, freeze, letter_of, rate, same_basis
from hexgate.metrics.rating_parts import SCHEME, Basis, Floor, Form, Rating, Reference, Served

BASIS = Basis(suite="sha256:1", device="Jetson Orin", scope="module")
QUICK = replace(SCHEME, resamples=200)
LOW = Floor(acceptance=0.0)


def model(energy_j: float, p: float, n: int = 100) -> list[Served]:
    """Equal energies, and the share p accepted."""
    return [Served(f"q{i}", energy_j, accepted=i < round(p * n), output_tokens=50) for i in range(n)]


def reference(joules: float = 47.0, **more: Any) -> Reference:
    return Reference("reference", BASIS, joules, **more)


def rated(served: list[Served], floor: Floor = LOW, ref: Reference | None = None) -> Rating:
    return rate(served, BASIS, ref or reference(), floor, scheme=QUICK)


class TestWorkedExample:
    """Energies and acceptance rates of five models; the fourth is the reference, with 40 J at 0.85."""

    FROZEN = freeze("the fourth", model(40.0, 0.85), BASIS)

    @pytest.mark.parametrize(
        ("energy_j", "p", "index", "letter", "per_joule"),
        [
            (5.0, 0.30, 0.81, "E", 0.060),
            (12.0, 0.60, 0.66, "D", 0.050),
            (20.0, 0.80, 0.63, "C", 0.040),
            (40.0, 0.85, 1.00, "E", 0.021),
            (90.0, 0.93, 1.98, "G", 0.010),
        ],
    )
    def test_index_and_class(
        self, energy_j: float, p: float, index: float, letter: str, per_joule: float
    ) -> None:
        found = rate(model(energy_j, p), BASIS, self.FROZEN, LOW)
        assert self.FROZEN.joules_per_accepted == pytest.approx(47.06, abs=0.01)
        assert found.index is not None
        assert found.index.value is not None
        assert found.index.value == pytest.approx(index, abs=0.006)
        assert letter_of(found.index.value) == letter
        assert found.accepted_per_joule.value == pytest.approx(per_joule, abs=0.0005)
        assert found.joules_per_accepted.value == pytest.approx(energy_j / p)
        # The letter that is given is that of the upper end.
        assert found.index.interval is not None
        assert found.index.interval.high is not None
        assert found.letter == letter_of(found.index.interval.high)
        assert found.letters is not None
        assert found.letters[0] <= letter <= found.letters[1] == found.letter

    def test_a_high_floor_leaves_only_the_best(self) -> None:
        floor = Floor(acceptance=0.9)
        letters = [
            rate(model(energy, p), BASIS, self.FROZEN, floor).letter
            for energy, p in ((5, 0.3), (12, 0.6), (20, 0.8), (40, 0.85), (90, 0.93))
        ]
        assert letters == [None, None, None, None, "G"]

    def test_accuracy_per_joule_alone_would_crown_the_worst(self) -> None:
        models = {p: rate(model(energy, p), BASIS, self.FROZEN, LOW) for energy, p in ((5, 0.3), (20, 0.8))}
        per_joule = {p: one.accepted_per_joule.value or 0.0 for p, one in models.items()}
        assert per_joule[0.3] > per_joule[0.8]
        assert (models[0.3].letter or "") > (models[0.8].letter or "")


def test_the_limits_of_the_classes_belong_to_the_better_one() -> None:
    limits = (0.41, 0.51, 0.64, 0.80, 1.00, 1.25)
    assert [letter_of(limit) for limit in limits] == list("ABCDEF")
    assert [letter_of(limit + 1e-6) for limit in limits] == list("BCDEFG")
    assert letter_of(47.0 / 47.0) == "E"
    assert letter_of(0.1 + 0.2 + 0.34) == "C"


def test_a_judges_total_accepts_from_tau_on() -> None:
    assert [accepted_by(total) for total in (6.5, 7.0, 10.0, None)] == [False, True, True, None]


def test_nothing_accepted_has_no_energy_per_accepted_answer_and_is_worse_than_the_reference() -> None:
    found = rated(model(1.0, 0.0))
    assert found.joules_per_accepted.value is None
    assert found.joules_per_accepted.reason is not None
    assert found.joules_per_accepted.reason.en == "no answer was accepted"
    assert found.accepted_per_joule.value == 0.0
    assert found.index is not None
    assert found.index.value == pytest.approx(1.0 + 1.0 / 47.0)
    assert found.letter in {"F", "G"}


def test_energies_by_request_token_and_accepted_answer() -> None:
    served = [
        Served("a", 1.0, accepted=True, output_tokens=10),
        Served("a", 3.0, accepted=False, output_tokens=30),
        Served("b", 4.0, accepted=True, output_tokens=10),
    ]
    found = rated(served)
    assert found.joules_per_request.value == pytest.approx(8 / 3)
    assert found.joules_per_output_token.value == pytest.approx(8 / 50)
    assert found.joules_per_accepted.value == pytest.approx(4.0)
    assert found.joules_per_request.interval is not None
    assert found.joules_per_request.interval.n == 2
    json.dumps(found.to_json(), allow_nan=False)


def test_the_graded_form_counts_what_quality_lacks() -> None:
    served = [Served(f"q{i}", 10.0, quality=0.6 + 0.02 * (i % 11)) for i in range(55)]
    ref = reference(40.0, form=Form.GRADED)
    found = rate(served, BASIS, ref, Floor(quality=0.5), scheme=QUICK)
    assert found.index is not None
    assert found.index.value == pytest.approx(10 / 40 + 0.3)
    assert found.quality.value == pytest.approx(0.7)
    assert found.joules_per_accepted.value == pytest.approx(10 / 0.7)
    assert freeze("g", served, BASIS, Form.GRADED).joules_per_accepted == pytest.approx(10 / 0.7)


GOOD = model(10.0, 0.9)
QUALITY_OF = {
    n: [replace(one, quality=1.0 if i < n else None) for i, one in enumerate(GOOD)] for n in (12, 98, 99)
}
"""As good, with the quality of the first n answers alone."""


@pytest.mark.parametrize(
    ("served", "floor", "rules"),
    [
        (GOOD, Floor(acceptance=0.91), ["acceptance"]),
        (GOOD[:40], Floor(acceptance=1.0, margin=0.05), ["acceptance_bound"]),
        (GOOD, Floor(quality=0.5), ["scores", "quality"]),
        (QUALITY_OF[12], Floor(quality=0.8), ["scores"]),
        (QUALITY_OF[98], Floor(quality=0.8), ["scores"]),
        (QUALITY_OF[98], Floor(acceptance=0.8, quality=0.8), ["scores"]),
        (QUALITY_OF[99], Floor(quality=0.8), []),
        (QUALITY_OF[12], Floor(acceptance=0.8), []),
        ([replace(one, quality=0.4) for one in GOOD], Floor(quality=0.5), ["quality"]),
        ([replace(GOOD[0], energy_j=None), *GOOD[1:]], LOW, ["energy"]),
        ([replace(GOOD[0], estimated=True), *GOOD[1:]], LOW, ["estimated"]),
        ([replace(one, energy_j=0.0) for one in GOOD], LOW, ["energy_above_zero"]),
        (GOOD[:9], LOW, ["questions"]),
        ([replace(one, accepted=None) for one in GOOD[:2]] + GOOD[2:], LOW, ["scores"]),
        ([replace(one, completed=False) for one in GOOD[:2]] + GOOD[2:], LOW, ["completion"]),
        ([replace(one, truncated=True) for one in GOOD[:3]] + GOOD[3:], LOW, ["truncation"]),
        ([replace(GOOD[0], truncated=None), *GOOD[1:]], LOW, ["truncation_unknown"]),
        ([replace(one, completed=False, energy_j=None) for one in GOOD], LOW, ["energy", "completion"]),
    ],
)
def test_what_breaks_a_rule_is_not_rated_and_says_why(
    served: list[Served], floor: Floor, rules: list[str]
) -> None:
    found = rated(served, floor)
    assert [refusal.rule for refusal in found.refusals] == rules
    assert (found.letter is None) == (found.letters is None) == (found.index is None) == bool(rules)
    for refusal in found.refusals:
        assert refusal.en
        assert refusal.zh
        assert refusal.en != refusal.zh
    json.dumps(found.to_json(), allow_nan=False)


def test_at_the_edge_of_every_rule_a_model_is_rated() -> None:
    served = model(10.0, 0.9, n=200)
    served[:2] = [replace(one, completed=False) for one in served[:2]]
    served[2:5] = [replace(one, truncated=True) for one in served[2:5]]
    served[199] = replace(served[199], accepted=None)
    found = rated(served, Floor(acceptance=0.85))
    assert found.refusals == ()
    assert found.unscored == 1


def test_in_the_graded_form_a_floor_of_acceptance_needs_the_answers_checked() -> None:
    served = [Served(f"q{i}", 10.0, quality=0.95, accepted=True if i < 10 else None) for i in range(100)]
    ref = reference(form=Form.GRADED)
    assert [one.rule for one in rated(served, Floor(acceptance=0.6), ref).refusals] == ["scores"]
    assert rated(served, Floor(quality=0.6), ref).letter is not None


@pytest.mark.parametrize("form", Form)
def test_an_answer_that_nobody_scored_is_a_failure_and_keeps_its_energy(form: Form) -> None:
    """Left out, the dearest request would make a model better for not being scored."""
    scored = [Served(f"q{i}", 10.0, accepted=True, quality=1.0) for i in range(199)]
    served = [*scored, Served("q199", 1000.0)]
    failed = [*scored, Served("q199", 1000.0, accepted=False, quality=0.0)]
    floor, ref = Floor(acceptance=0.5) if form is Form.ACCEPTED else Floor(quality=0.5), reference(form=form)
    one, other = rated(served, floor, ref), rated(failed, floor, ref)
    assert (one.unscored, other.unscored) == (1, 0)
    assert one.index is not None
    assert one.index.value == pytest.approx((199 * 10 + 1000) / 200 / 47 + 1 / 200)
    assert one.joules_per_accepted.value == pytest.approx((199 * 10 + 1000) / 199)
    assert (one.acceptance if form is Form.ACCEPTED else one.quality).value == pytest.approx(199 / 200)
    for name in ("letter", "index", "joules_per_accepted", "accepted_per_joule"):
        assert getattr(one, name) == getattr(other, name)


def test_nothing_scored_has_no_energy_per_accepted_answer() -> None:
    found = rated([replace(one, accepted=None) for one in GOOD])
    assert found.joules_per_accepted.reason is not None
    assert found.joules_per_accepted.reason.rule == "none_scored"


def test_an_energy_that_was_not_measured_or_is_estimated_gives_no_joules() -> None:
    missing = rated([replace(GOOD[0], energy_j=None), *GOOD[1:]])
    assert missing.joules_per_request.value is None
    assert missing.joules_per_request.reason is not None
    assert missing.joules_per_request.reason.en == "the energy of 1 of 100 requests was not measured"
    estimated = rated([replace(GOOD[0], estimated=True), *GOOD[1:]])
    assert estimated.joules_per_accepted.reason is not None
    assert estimated.joules_per_accepted.reason.rule == "estimated"
    no_tokens = rated([replace(GOOD[0], output_tokens=None), *GOOD[1:]])
    assert no_tokens.joules_per_output_token.value is None
    assert no_tokens.letter is not None


@pytest.mark.parametrize("field", ["suite", "device", "scope", "energy", "cache", "load", "scheme"])
def test_another_basis_is_not_compared(field: str) -> None:
    other = replace(BASIS, **{field: "another"})
    with pytest.raises(InputError, match=f"different {field}"):
        rate(GOOD, BASIS, replace(reference(), basis=other), LOW)
    with pytest.raises(InputError, match=f"different {field}"):
        same_basis(other, BASIS)


def test_what_is_impossible_is_refused() -> None:
    for wrong in ({"energy_j": math.nan}, {"energy_j": math.inf}, {"quality": 1.1}, {"output_tokens": -1}):
        with pytest.raises(InputError):
            replace(GOOD[0], **wrong)
    for joules in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(InputError):
            reference(joules)
    for floor in ({}, {"acceptance": 1.5}, {"quality": math.nan}, {"acceptance": 0.5, "margin": -0.1}):
        with pytest.raises(InputError):
            Floor(**floor)
    with pytest.raises(InputError, match="needs requests"):
        rated([])
    with pytest.raises(InputError, match="another scheme"):
        rate(GOOD, BASIS, reference(), LOW, scheme=replace(SCHEME, version="mine/1"))


@pytest.mark.parametrize(
    "served",
    [
        model(1.0, 0.0),
        [replace(GOOD[0], energy_j=None), *GOOD[1:]],
        [replace(GOOD[0], accepted=None), *GOOD[1:]],
    ],
)
def test_what_was_not_measured_cannot_be_the_reference(served: list[Served]) -> None:
    with pytest.raises(InputError, match="cannot be the reference"):
        freeze("r", served, BASIS)


def worse_or_equal(one: Rating, other: Rating) -> bool:
    """Whether one is not better than the other; not rated is the worst."""
    return (one.letter or "Z") >= (other.letter or "Z")


ENERGIES = st.lists(st.floats(0.5, 200.0), min_size=10, max_size=25)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[list[Served], list[Served]]:
    """A model, and one that is no worse in any of the same requests."""
    energies = draw(ENERGIES)
    n = len(energies)
    shares = draw(st.lists(st.floats(0.0, 1.0), min_size=n, max_size=n))
    accepted = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    gained = draw(st.lists(st.booleans(), min_size=n, max_size=n))
    quality = draw(st.lists(st.floats(0.0, 1.0), min_size=n, max_size=n))
    better_quality = draw(st.lists(st.floats(0.0, 1.0), min_size=n, max_size=n))
    questions = draw(st.lists(st.integers(0, 14), min_size=n, max_size=n))
    rows = range(n)
    worse = [
        Served(f"q{questions[i] if i >= 10 else i}", energies[i], accepted=accepted[i], quality=quality[i])
        for i in rows
    ]
    better = [
        replace(
            worse[i],
            energy_j=energies[i] * (0.2 + 0.8 * shares[i]),
            accepted=accepted[i] or gained[i],
            quality=max(quality[i], better_quality[i]),
        )
        for i in rows
    ]
    return worse, better


class TestAxioms:
    @settings(max_examples=60, deadline=None)
    @given(pairs(), st.sampled_from(Form), st.floats(0.0, 0.6))
    def test_a_dominating_model_never_gets_a_worse_letter(
        self, pair: tuple[list[Served], list[Served]], form: Form, least: float
    ) -> None:
        worse, better = pair
        ref, floor = reference(form=form), Floor(acceptance=least, quality=least)
        assert worse_or_equal(rated(worse, floor, ref), rated(better, floor, ref))

    @settings(max_examples=40, deadline=None)
    @given(pairs(), st.sampled_from(Form))
    def test_less_energy_never_worsens(self, pair: tuple[list[Served], list[Served]], form: Form) -> None:
        worse, better = pair
        less = [replace(one, energy_j=other.energy_j) for one, other in zip(worse, better, strict=True)]
        ref = reference(form=form)
        before, after = rated(worse, LOW, ref), rated(less, LOW, ref)
        assert worse_or_equal(before, after)
        assert before.index is not None
        assert after.index is not None
        assert (after.index.value or 0) <= (before.index.value or 0) * (1 + 1e-12)

    @settings(max_examples=40, deadline=None)
    @given(pairs(), st.sampled_from(Form))
    def test_more_quality_never_worsens(self, pair: tuple[list[Served], list[Served]], form: Form) -> None:
        worse, better = pair
        more = [replace(other, energy_j=one.energy_j) for one, other in zip(worse, better, strict=True)]
        ref, floor = reference(form=form), Floor(quality=0.3)
        assert worse_or_equal(rated(worse, floor, ref), rated(more, floor, ref))

    @settings(max_examples=40, deadline=None)
    @given(pairs(), st.integers(-20, 20))
    def test_the_unit_of_energy_changes_nothing(
        self, pair: tuple[list[Served], list[Served]], power: int
    ) -> None:
        served, factor = pair[0], 2.0**power
        scaled = [replace(one, energy_j=(one.energy_j or 0) * factor) for one in served]
        one, other = rated(served), rated(scaled, LOW, reference(47.0 * factor))
        assert one.letters == other.letters
        assert one.index is not None
        assert other.index is not None
        assert one.index.value == other.index.value

    @settings(max_examples=40, deadline=None)
    @given(pairs())
    def test_watt_hours_and_joules_agree(self, pair: tuple[list[Served], list[Served]]) -> None:
        in_wh = [replace(one, energy_j=(one.energy_j or 0) / 3600) for one in pair[0]]
        one, other = rated(pair[0]), rated(in_wh, LOW, reference(47.0 / 3600))
        assert one.index is not None
        assert other.index is not None
        assert one.index.value == pytest.approx(other.index.value, rel=1e-12)

    @settings(max_examples=40, deadline=None)
    @given(pairs(), st.floats(0.05, 1.0))
    def test_below_the_floor_nothing_is_rated(
        self, pair: tuple[list[Served], list[Served]], least: float
    ) -> None:
        found = rated(pair[0], Floor(acceptance=least))
        if (found.acceptance.value or 0.0) < least:
            assert found.letter is None
            assert found.index is None

    @settings(max_examples=30, deadline=None)
    @given(pairs(), st.randoms(use_true_random=False))
    def test_the_order_of_requests_changes_nothing_but_the_stream(
        self, pair: tuple[list[Served], list[Served]], rng: Any
    ) -> None:
        mixed = list(pair[0])
        rng.shuffle(mixed)
        one, other = rated(pair[0]), rated(mixed)
        assert one.index is not None
        assert other.index is not None
        assert one.index.value == pytest.approx(other.index.value, rel=1e-12)


def simulated(rng: np.random.Generator, n: int, energy_j: float, p: float) -> list[Served]:
    """Questions of different length and difficulty; two answers each, whose fates go together."""
    served = []
    for i in range(n):
        length = rng.lognormal(-0.18, 0.6)
        chance = rng.beta(4 * p, 4 * (1 - p))
        for _ in range(2):
            meter = rng.normal(1.0, 0.02)
            served.append(Served(f"q{i}", energy_j * length * meter, accepted=bool(rng.random() < chance)))
    return served


@pytest.mark.parametrize(("energy_j", "p"), [(10.0, 0.5), (20.0, 0.85), (15.0, 0.98)])
def test_the_interval_holds_the_truth_as_often_as_it_says(energy_j: float, p: float) -> None:
    # The mean of this lognormal is exp(-0.18 + 0.6^2 / 2) = 1.
    truth = energy_j / 47.0 + 1 - p
    rng = np.random.default_rng(7)
    inside = 0
    for _ in range(200):
        found = rate(simulated(rng, 80, energy_j, p), BASIS, reference(), LOW, scheme=QUICK)
        assert found.index is not None
        interval = found.index.interval
        assert interval is not None
        inside += (interval.low or 0) <= truth <= (interval.high or 0)
    # Of 200 at 0.95; benchmarks/rating.py has the full size.
    assert inside >= 183


def test_letters_are_seven() -> None:
    assert len(LETTERS) == len(SCHEME.steps) + 1
