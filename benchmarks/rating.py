"""How often does the interval of a rating hold the truth, and how often is a letter wrong? Simulated, as a table.

    python benchmarks/rating.py [--runs 2000] [--seed 1]

Each simulated model has questions of different length (log-normal energies) and difficulty (normal true totals), two
answers to each, a meter with 2 % of random error, and a judge whose total has a standard deviation of 0.5 around the
true one, in half points. Its true index is computed from 400,000 questions with the same judge.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np

from hexgate.metrics.rating import LETTERS, accepted_by, letter_of, rate
from hexgate.metrics.rating_parts import SCHEME, Basis, Floor, Reference, Served

BASIS = Basis(suite="simulated", device="simulated", scope="simulated")
REFERENCE = Reference("reference", BASIS, 47.0)
FLOOR = Floor(acceptance=0.0)
MODELS = ((5.0, 6.4), (12.0, 7.2), (20.0, 7.9), (15.0, 9.2), (35.0, 8.5), (80.0, 9.0))
"""Mean energy in joules, and mean of the true total of 10."""


def draw(rng: np.random.Generator, questions: int, energy_j: float, total: float) -> tuple[Any, Any]:
    """Energies and judged totals, (questions, 2) each."""
    length = rng.lognormal(-0.18, 0.6, size=(questions, 1))
    skill = rng.normal(total, 1.2, size=(questions, 1))
    energies = energy_j * length * rng.lognormal(-0.02, 0.2, size=(questions, 2))
    energies *= rng.normal(1.0, 0.02, size=(questions, 2))
    judged = skill + rng.normal(0.0, 0.4, size=(questions, 2)) + rng.normal(0.0, 0.5, size=(questions, 2))
    return energies, np.clip(np.round(2 * judged) / 2, 0.0, 10.0)


def truth(rng: np.random.Generator, energy_j: float, total: float) -> float:
    """The index of all questions that there are."""
    energies, judged = draw(rng, 400_000, energy_j, total)
    return float(energies.mean() / REFERENCE.joules_per_accepted + (judged < SCHEME.tau).mean())


def row(questions: int, energy_j: float, total: float, runs: int, seed: int) -> str:
    """One line of the table."""
    rng = np.random.default_rng(seed)
    true = truth(rng, energy_j, total)
    right = LETTERS.index(letter_of(true))
    inside, off = 0, Counter[int]()
    scheme = replace(SCHEME, resamples=1000)
    for _ in range(runs):
        energies, judged = draw(rng, questions, energy_j, total)
        served = [
            Served(f"q{i}", float(energies[i, j]), accepted=accepted_by(float(judged[i, j])))
            for i in range(questions)
            for j in range(2)
        ]
        found = rate(served, BASIS, REFERENCE, FLOOR, scheme=scheme)
        interval = found.index.interval if found.index is not None else None
        if interval is None or interval.low is None or interval.high is None or found.letter is None:
            raise SystemExit("a simulated model was not rated")
        inside += interval.low <= true <= interval.high
        off[LETTERS.index(found.letter) - right] += 1
    shares = [
        inside,
        sum(count for step, count in off.items() if step < 0),
        sum(count for step, count in off.items() if step <= -2),
        off[0],
        sum(count for step, count in off.items() if step > 0),
        sum(count for step, count in off.items() if step >= 2),
    ]
    cells = " | ".join(f"{100 * share / runs:.1f} %" for share in shares)
    return f"| {questions} | {energy_j:g} J, {total:g} | {true:.3f} {LETTERS[right]} | {cells} |"


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--runs", type=int, default=2000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    began = time.monotonic()
    names = (
        "questions",
        "energy, total",
        "true index",
        "interval holds it",
        "better letter",
        "by two or more",
        "same letter",
        "worse letter",
        "by two or more",
    )
    print(f"| {' | '.join(names)} |")
    print("| --- " * len(names) + "|")
    for questions in (20, 80, 320):
        for number, (energy_j, total) in enumerate(MODELS):
            print(row(questions, energy_j, total, given.runs, given.seed + number), flush=True)
    print(f"\n{given.runs} runs a line, seed {given.seed}, {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
