from __future__ import annotations

import pytest

from hexgate.errors import InputError
from hexgate.platforms.shard import ShardPlace, find_shard

PLACES: list[tuple[str, dict[str, str], ShardPlace | None]] = [
    ("nothing said", {}, None),
    ("ours", {"HEXGATE_SHARD": "1/3"}, ShardPlace(1, 3)),
    ("ours, of one", {"HEXGATE_SHARD": "0/1"}, None),
    ("ours decides", {"HEXGATE_SHARD": "1/3", "RANK": "0", "WORLD_SIZE": "8"}, ShardPlace(1, 3)),
    ("Indexed Job", {"JOB_COMPLETION_INDEX": "2", "HEXGATE_SHARDS": "4"}, ShardPlace(2, 4)),
    ("Indexed Job of one", {"JOB_COMPLETION_INDEX": "0"}, None),
    ("Slurm array", {"SLURM_ARRAY_TASK_ID": "1", "HEXGATE_SHARDS": "2"}, ShardPlace(1, 2)),
    (
        "one task of an array again",
        {"SLURM_ARRAY_TASK_ID": "1", "SLURM_ARRAY_TASK_COUNT": "1", "HEXGATE_SHARDS": "2"},
        ShardPlace(1, 2),
    ),
    ("Slurm array alone", {"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4"}, ShardPlace(3, 4)),
    ("PAI-DLC", {"RANK": "1", "WORLD_SIZE": "2"}, ShardPlace(1, 2)),
    ("PAI-DLC, of one", {"RANK": "0", "WORLD_SIZE": "1"}, None),
    ("veMLP", {"MLP_ROLE_INDEX": "0", "MLP_WORKER_NUM": "2", "HEXGATE_SHARDS": "2"}, ShardPlace(0, 2)),
    (
        "two that agree",
        {"RANK": "1", "WORLD_SIZE": "2", "MLP_ROLE_INDEX": "1", "MLP_WORKER_NUM": "2"},
        ShardPlace(1, 2),
    ),
]

MISTAKES = [
    ("not a shard", {"HEXGATE_SHARD": "1"}),
    ("beyond the count", {"HEXGATE_SHARD": "3/3"}),
    ("no shards at all", {"HEXGATE_SHARD": "0/0"}),
    ("another count", {"HEXGATE_SHARD": "1/3", "HEXGATE_SHARDS": "4"}),
    ("not a number", {"RANK": "one", "WORLD_SIZE": "2"}),
    ("negative", {"RANK": "-1", "WORLD_SIZE": "2"}),
    ("count not known", {"JOB_COMPLETION_INDEX": "1"}),
    ("array from 1", {"SLURM_ARRAY_TASK_ID": "2", "HEXGATE_SHARDS": "2"}),
    ("no index", {"HEXGATE_SHARDS": "2"}),
    ("two indices", {"JOB_COMPLETION_INDEX": "0", "RANK": "1", "HEXGATE_SHARDS": "2"}),
    ("two counts", {"RANK": "1", "WORLD_SIZE": "2", "HEXGATE_SHARDS": "3"}),
]


@pytest.mark.parametrize(
    ("environ", "place"), [case[1:] for case in PLACES], ids=[case[0] for case in PLACES]
)
def test_every_platform_says_which_shard_it_is(environ: dict[str, str], place: ShardPlace | None) -> None:
    assert find_shard(environ) == place


@pytest.mark.parametrize("environ", [case[1] for case in MISTAKES], ids=[case[0] for case in MISTAKES])
def test_what_contradicts_itself_is_refused(environ: dict[str, str]) -> None:
    with pytest.raises(InputError):
        find_shard(environ)


def test_the_contradiction_is_shown() -> None:
    with pytest.raises(InputError) as refused:
        find_shard({"JOB_COMPLETION_INDEX": "0", "RANK": "1", "WORLD_SIZE": "2"})

    assert "JOB_COMPLETION_INDEX=0, RANK=1" in str(refused.value)
