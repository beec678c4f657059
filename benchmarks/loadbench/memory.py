"""Goal 8: memory that does not grow with the number of requests."""

from __future__ import annotations

from loadbench import subject
from loadbench.results import Check, Contender, Figures, Outcome, interleaved
from loadbench.setup import Setup

__all__ = ["memory"]


def memory(setup: Setup) -> Outcome:
    """Goal 8."""
    few = setup.size(100_000, 10_000)
    amounts = (few, 10 * few)

    def hexgate(requests: int) -> Contender:
        def once(_: int) -> Figures:
            options = ["--concurrency", "64", "--requests", str(requests), "--warmup", "1000"]
            made = subject.predict(setup, *options, exports=True)
            measured = setup.measure(
                "hexgate", ["--tokens", "1"], made, accepted=subject.ACCEPTED, every_s=0.05
            )
            with subject.Evidence(measured.folder).path("requests").open("rb") as file:
                file.seek(0, 2)
                recorded = file.tell()
            return measured.figures() | {
                "all processes MB": measured.ran.peak_tree_mb,
                "largest process MB": measured.ran.peak_mb,
                "records MB": recorded / 1e6,
            }

        return once

    names = {requests: f"{requests:,} requests" for requests in amounts}
    rounds = interleaved({names[requests]: hexgate(requests) for requests in amounts}, setup.runs, setup.say)
    few_name, many_name = names.values()
    figure = "all processes MB"
    checks = [
        Check(
            f"peak after {many_name} over after {few_name}",
            rounds.ratio(many_name, few_name, figure),
            high=1.05,
        ),
        Check(f"peak of {many_name}, MB", rounds.worst(many_name, figure), high=150),
    ]
    notes = [
        "Tables and report with it. A page that two processes share counts twice in the sum; sampled every 50 ms."
    ]
    columns = (figure, "largest process MB", "records MB", "requests/s", "wall s")
    return Outcome(8, "peak resident memory, one worker", rounds, columns, checks, notes)
