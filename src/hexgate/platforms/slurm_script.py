"""The batch script of a Slurm job: one job, or an array with a task for each shard.

Options: the manual pages of sbatch and srun (22.05 and later). Container flags: the usage of pyxis. Image
addresses: the import command of enroot.
"""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Iterator

from hexgate.platforms.command import job_environment, part_argv
from hexgate.platforms.spec import JobSpec, Mode

__all__ = ["FILE", "WARNING_S", "folder_of", "image_address", "job_text", "tracked_name", "variable"]

FILE = "job.sbatch"
"""Name of the native file."""

WARNING_S = 60
"""So long before the time limit Slurm warns the job, which then publishes what it has. Slurm may do so 30 s earlier."""

_HEAD = """\
#!/bin/bash
# A Slurm job of hexgate, for sbatch. The variables below are taken from the environment of sbatch where it has them
# (MODEL_PATH=/fast/models sbatch job.sbatch), options from its command line (sbatch --partition=gate job.sbatch)."""

_RUN_ID = """\
# Every task of an array must name the same run: made of what all of them can ask the controller for.
if [ -z "${HEXGATE_RUN_ID:-}" ]; then
  submitted=$(SLURM_TIME_FORMAT=%s scontrol show job -o "$HEXGATE_JOB_ID" |
    sed -n 's/.* SubmitTime=\\([0-9][0-9]*\\) .*/\\1/p' | sort -n | sed -n 1p) || true
  [ -n "$submitted" ] || fail "scontrol knows no SubmitTime; submit with HEXGATE_RUN_ID=<run> in the environment"
  HEXGATE_RUN_ID=$(date -u -d "@$submitted" +%Y%m%dT%H%M%SZ)-$(printf '%08x' "$HEXGATE_JOB_ID")
fi
export HEXGATE_RUN_ID"""

_RUN = """\
# srun ends its step at once when it gets SIGTERM; scancel hands the signal to the command, which publishes what it has.
# The id of a task must be the array's with an index: its own may be that of the whole array.
task=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_$SLURM_ARRAY_TASK_ID}
trap 'scancel --signal=TERM "${task:-$SLURM_JOB_ID}" 2>/dev/null || true' TERM
srun "${step[@]}" "${command[@]}" &
pid=$!
code=0
wait "$pid" || code=$?
# A wait that the trap cut short says nothing of the step.
while kill -0 "$pid" 2>/dev/null; do
  code=0
  wait "$pid" || code=$?
done
exit "$code\""""


def tracked_name(spec: JobSpec) -> str:
    """Name of the job: with its run, and how many tasks it has, so that a job is found by it alone."""
    if spec.run_id is None:
        return spec.name
    return f"{spec.name}-{spec.run_id}" + (f"x{spec.shards}" if spec.shards > 1 else "")


def variable(name: str) -> str:
    """The variable of the script that holds where a mount lies on the node."""
    return f"{name.upper()}_PATH"


def folder_of(uri: str) -> str:
    """The folder of ``file:///folder``, as every node of the cluster sees it."""
    return uri.removeprefix("file://")


def image_address(spec: JobSpec) -> str:
    """The image as pyxis takes it: a squashfs file, or ``registry#image``.

    enroot asks for whatever stands behind the image's colon, so that a digest can stand there in place of the tag.
    """
    squashed = spec.block("slurm").get("image")
    if squashed is not None:
        return str(squashed)
    registry, slash, rest = spec.image.ref.partition("/")
    named = "." in registry or ":" in registry or registry == "localhost"
    address = f"{registry}#{rest}" if slash and named else spec.image.ref
    if spec.image.digest is None:
        return address
    return f"{re.sub(':[^:/#]+$', '', address)}:{spec.image.digest}"


def job_text(spec: JobSpec) -> str:
    """The text of ``job.sbatch``."""
    blocks = [
        "\n".join([_HEAD, *(f"#SBATCH {option}" for option in _options(spec))]),
        "set -euo pipefail",
        "\n".join(_variables(spec)),
        "\n".join(_checks(spec)),
        "\n".join(_environment(spec)),
        *([] if spec.run_id else [_RUN_ID]),
        "\n".join(_step(spec)),
        _RUN,
    ]
    return "\n\n".join(blocks) + "\n"


def _contained(spec: JobSpec) -> bool:
    return str(spec.block("slurm").get("container", "pyxis")) == "pyxis"


def _options(spec: JobSpec) -> Iterator[str]:
    block = spec.block("slurm")
    wanted = spec.resources
    yield f"--job-name={tracked_name(spec)}"
    for name in ("partition", "account", "qos", "reservation", "constraint"):
        if name in block:
            yield f"--{name}={block[name]}"
    yield "--nodes=1"
    yield "--ntasks=1"
    yield f"--cpus-per-task={math.ceil(wanted.cpu)}"
    yield f"--mem={wanted.memory_mib}M"
    if wanted.gpus:
        kind = f"{wanted.gpu_type}:" if wanted.gpu_type else ""
        yield f"--gpus={kind}{wanted.gpus}"
    if block.get("exclusive"):
        yield "--exclusive"
    yield f"--time={math.ceil(spec.timeout_s / 60)}"
    yield f"--signal=B:TERM@{WARNING_S}"
    yield "--requeue" if spec.retries else "--no-requeue"
    if spec.shards > 1:
        yield f"--array=0-{spec.shards - 1}"
    folder = f"{block['log_dir']}/" if "log_dir" in block else ""
    yield f"--output={folder}%x-{'%A_%a' if spec.shards > 1 else '%j'}.out"
    # By name, so that nothing else of the submitting environment, secrets least of all, goes with the job.
    taken = [variable(mount.name) for mount in spec.mounts]
    taken += ["OUTPUT_PATH"] if spec.output.path is not None else []
    taken += ["IMAGE"] if _contained(spec) else []
    taken += [] if spec.run_id else ["HEXGATE_RUN_ID"]
    yield f"--export={','.join(['PATH', 'HOME', 'LANG', *taken, *spec.secret_env])}"


def _variables(spec: JobSpec) -> Iterator[str]:
    for mount in spec.mounts:
        yield _default(variable(mount.name), folder_of(mount.uri))
    if spec.output.path is not None:
        yield _default("OUTPUT_PATH", folder_of(spec.output.uri))
    if _contained(spec):
        yield _default("IMAGE", image_address(spec))


def _default(name: str, value: str) -> str:
    return f"{name}=${{{name}:-{value}}}"


def _checks(spec: JobSpec) -> Iterator[str]:
    yield 'fail() {\n  echo "hexgate: $1" >&2\n  exit 2\n}'
    for mount in spec.mounts:
        name = variable(mount.name)
        yield f'[ -e "${name}" ] || fail "there is no {name}=${name} on $(hostname)"'
    if spec.output.path is not None:
        yield '[ -d "$OUTPUT_PATH" ] || fail "there is no folder OUTPUT_PATH=$OUTPUT_PATH on $(hostname)"'
        yield '[ -w "$OUTPUT_PATH" ] || fail "OUTPUT_PATH=$OUTPUT_PATH cannot be written on $(hostname)"'
    if not _contained(spec):
        yield 'command -v hexgate >/dev/null || fail "hexgate is not on the PATH of $(hostname)"'
    for name in spec.secret_env:
        yield f'[ -n "${{{name}:-}}" ] || fail "{name} is not set in the environment of sbatch"'
    if spec.shards > 1:
        yield (
            f'[ "${{SLURM_ARRAY_TASK_COUNT:-1}}" -eq {spec.shards} ] ||\n'
            f'  fail "the array has ${{SLURM_ARRAY_TASK_COUNT:-1}} tasks, expected {spec.shards}"'
        )
    if spec.retries:
        yield (
            f'[ "${{SLURM_RESTART_COUNT:-0}}" -le {spec.retries} ] || fail "started again more than '
            f'{spec.retries} time{"s" if spec.retries > 1 else ""}"'
        )


def _environment(spec: JobSpec) -> Iterator[str]:
    given = job_environment(spec, "slurm")
    image = given.pop("HEXGATE_IMAGE")
    for name, value in given.items():
        yield f"export {name}={shlex.quote(value)}"
    if _contained(spec):
        yield f'if [ "$IMAGE" = {shlex.quote(image_address(spec))} ]; then'
        yield f"  export HEXGATE_IMAGE={shlex.quote(image)}"
        yield "else"
        yield '  export HEXGATE_IMAGE="$IMAGE"'
        yield "fi"
    yield "export HEXGATE_JOB_ID=${SLURM_ARRAY_JOB_ID:-$SLURM_JOB_ID}"


def _step(spec: JobSpec) -> Iterator[str]:
    # Since 22.05 srun does not take --cpus-per-task from the job, and would run everything on one core.
    yield 'step=(--ntasks=1 --cpus-per-task="$SLURM_CPUS_PER_TASK" --export=ALL)'
    if _contained(spec):
        mounts = [
            f"${variable(mount.name)}:{mount.path}" + (":ro" if mount.mode is Mode.RO else "")
            for mount in spec.mounts
        ]
        mounts += [f"$OUTPUT_PATH:{spec.output.path}"] if spec.output.path is not None else []
        yield 'step+=(--container-image="$IMAGE" --no-container-mount-home --container-workdir=/tmp)'
        if mounts:
            yield f'step+=(--container-mounts="{",".join(mounts)}")'
        if spec.env:
            # Otherwise what the image sets wins over the job.
            yield f"step+=(--container-env={','.join(spec.env)})"
    yield "command=("
    for argument in part_argv(spec):
        yield f"  {_argument(spec, argument)}"
    yield ")"


def _argument(spec: JobSpec, argument: str) -> str:
    """An argument for the shell. Without a container, the path of a mount at its beginning becomes the variable's."""
    if not _contained(spec):
        places = {mount.path: variable(mount.name) for mount in spec.mounts}
        places |= {spec.output.path: "OUTPUT_PATH"} if spec.output.path is not None else {}
        for path, name in places.items():
            if argument == path or argument.startswith(f"{path}/"):
                rest = argument[len(path) :]
                return f'"${name}"{shlex.quote(rest) if rest else ""}'
    return shlex.quote(argument)
