"""What a server says of its own time, held against stamps that are written by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hexgate.load.measures.server_times import ServerTimes, server_times
from hexgate.load.records import NEVER, Outcome, Records
from support.load_records import by_hand, reply

MS = 1_000_000


def of(*rows: dict[str, Any]) -> ServerTimes:
    return server_times(Records.of(by_hand(*rows)))


def told(load_ms: float = -1, total_ms: float = -1, **more: Any) -> dict[str, Any]:
    """A reply of 200 ms, the first token after 100, with durations by the server."""
    said = {"server_load_ns": load_ms * MS, "server_total_ns": total_ms * MS}
    return reply(
        1000 * MS, **{key: NEVER if value < 0 else int(value) for key, value in said.items()}, **more
    )


def test_a_server_that_says_nothing_is_not_spoken_of() -> None:
    found = of(told(), told())
    assert found.to_json() is None
    assert found.remarks == ()
    assert server_times(Records.of(by_hand())).to_json() is None


@pytest.mark.parametrize(
    ("row", "loading"),
    [
        (told(99.9, ttft_ms=2000.0), False),
        (told(100.0, ttft_ms=2000.0), True),
        (told(9.9), False),
        (told(10.0), True),
        (told(0.0, ttft_ms=0.0), False),
        # Without a stream there is no first token to hold it against.
        (told(50.0, first_token_ns=NEVER), False),
        (told(150.0, first_token_ns=NEVER), True),
    ],
)
def test_a_load_counts_from_a_tenth_of_a_second_or_of_the_first_token(
    row: dict[str, Any], loading: bool
) -> None:
    found = of(row, told(0.0))
    assert found.loading == int(loading)
    assert bool(found.remarks) is loading


def test_the_remark_on_loading_counts_all_replies_and_leaves_none_out() -> None:
    found = of(told(1500.0), told(), told(2.0), told(3000.0, warmup=True), told(900.0, outcome=Outcome.ERROR))
    (remark,) = found.remarks
    assert remark.startswith(
        "1 of 3 replies include the loading of the model by the server's own account, up to 1500 ms"
    )
    assert found.to_json() | {"replies": 3, "loading": 1, "load_max_ms": 1500.0, "told": 0} == found.to_json()


@pytest.mark.parametrize(
    ("total_ms", "shorter", "longer"),
    [(200.0, 0, 0), (202.0, 0, 0), (203.0, 1, 0), (182.0, 0, 0), (181.0, 0, 1), (0.0, 0, 1)],
)
def test_the_time_from_the_send_is_held_against_the_servers(
    total_ms: float, shorter: int, longer: int
) -> None:
    found = of(told(total_ms=total_ms))
    assert (found.told, found.shorter, found.longer) == (1, shorter, longer)
    assert len(found.remarks) == shorter + longer


def test_what_the_remarks_say() -> None:
    found = of(*[told(total_ms=100.0)] * 3, *[told(total_ms=300.0)] * 2)
    shorter, longer = found.remarks
    assert shorter.startswith(
        "for 2 of 5 replies the server says that it took longer than this client waited"
    )
    assert "by 1 ms and 0.01 of that or more" in shorter
    assert longer.startswith(
        "for 3 of 5 replies this client waited longer from the send than the server says"
    )
    assert "by 10 ms and 0.1 of that or more (median of all 100 ms)" in longer
    few = of(told(total_ms=100.0), *[told(total_ms=199.0)] * 19)
    assert (few.longer, few.remarks) == (1, ()), "0.05 of the replies is not much"


def test_the_figures_are_those_of_numpy_in_chunks_too() -> None:
    random = np.random.default_rng(2)
    totals = random.uniform(100.0, 190.0, 500)
    records = Records.of(by_hand(*[told(1.0, float(total)) for total in totals]))
    whole = server_times(records).to_json()
    chunks = records.chunks
    records.chunks = lambda: chunks(7)  # type: ignore[method-assign]
    parts = server_times(records).to_json()
    assert whole is not None
    assert parts == {key: pytest.approx(value, rel=1e-12) for key, value in whole.items()}
    rounded: NDArray[np.float64] = (totals * MS).astype(np.int64) / MS
    assert whole["server_mean_ms"] == pytest.approx(rounded.mean(), rel=1e-12)
    assert whole["client_mean_ms"] == pytest.approx(200.0)
    assert whole["beyond_p50_ms"] == pytest.approx(np.median(200.0 - rounded), rel=0.01)
    assert json.loads(json.dumps(whole)) == whole
