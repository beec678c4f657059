"""Layer RULES of Slurm: what bash and sbatch let through, and the cluster, the part runner or the gate would not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from hexgate.platforms.base import Finding, Native
from hexgate.platforms.cloud_rules import env_findings
from hexgate.platforms.slurm_header import PYXIS, Option, read_header
from hexgate.platforms.slurm_script import WARNING_S
from hexgate.platforms.spec import JobSpec

__all__ = ["minutes_of", "native_findings", "spec_findings"]

_FOLDER = re.compile(r"file:///[A-Za-z0-9._/+-]*[A-Za-z0-9._+-]")
_LEAST_MINUTES = 3
_MOST_MINUTES = 30 * 24 * 60
_TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
_GPUS = re.compile(r"([A-Za-z][A-Za-z0-9._-]*:)?[1-9][0-9]*")
_GRES = re.compile(r"gpu(:[A-Za-z][A-Za-z0-9._-]*)?:[1-9][0-9]*")
_MEMORY = re.compile(r"[1-9][0-9]*[KMGT]?")
_RANGE = re.compile(r"0-(\d+)")
_RUN_ID = re.compile(r"^[^#\n]*\bHEXGATE_RUN_ID=", re.MULTILINE)
_UNRESOLVED = re.compile(r"\$\{\{[^}]*\}\}|\{\{[^}]*\}\}|<[A-Z][A-Z0-9_ -]*>|\bREPLACE_ME\b")
_ASSIGNED = re.compile(
    r"^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(?:\$\{\1:-)?([^}\n]*)\}?\s*$", re.MULTILINE
)
_PIPE = re.compile(r"\|\s*tee\b")
_EXCLUSIVE = (
    ("mem", "mem-per-cpu"),
    ("mem", "mem-per-gpu"),
    ("mem-per-cpu", "mem-per-gpu"),
    ("gpus", "gres"),
)

_Found = Iterator[tuple[int | None, str]]


def spec_findings(spec: JobSpec) -> list[Finding]:
    """What this platform cannot carry of a spec."""
    found = []
    block = spec.block("slurm")
    plain = block.get("container", "pyxis") == "none"
    places = [(f"$.mounts[{index}].uri", mount.uri) for index, mount in enumerate(spec.mounts)]
    places += [("$.output.uri", spec.output.uri)] if spec.output.path is not None else []
    found += [
        Finding(place, f"got {uri}, expected file:///folder, on a file system that every node has")
        for place, uri in places
        if not _FOLDER.fullmatch(uri)
    ]
    if spec.output.path is None and spec.output.uri.startswith("file:"):
        found.append(
            Finding("$.output.path", "missing, expected where the folder of $.output.uri is mounted")
        )
    if spec.timeout_s < 60 * _LEAST_MINUTES:
        found.append(
            Finding(
                "$.timeout_s",
                f"got {spec.timeout_s}, expected at least {60 * _LEAST_MINUTES}: Slurm counts minutes, and warns the "
                f"job {WARNING_S} to {WARNING_S + 30} s before its end",
            )
        )
    if spec.resources.gpu_type is not None and spec.resources.gpus == 0:
        found.append(
            Finding("$.resources.gpu_type", "got one with no GPUs, expected $.resources.gpus above 0")
        )
    if spec.resources.shm_mib:
        found.append(Finding("$.resources.shm_mib", "expected 0: on Slurm a job has the node's own /dev/shm"))
    if plain and "image" in block:
        found.append(
            Finding("$.platform.slurm.image", "expected none with container none, which runs no image")
        )
    found += [
        Finding(f"$.mounts[{index}].name", "got output, expected another: OUTPUT_PATH is the job's own")
        for index, mount in enumerate(spec.mounts)
        if mount.name == "output"
    ]
    return found


def minutes_of(text: str) -> int | None:
    """A time of Slurm in minutes, rounded up; None for no limit, or what is no time."""
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    days, *rest = match.groups()
    given = [int(part) for part in rest if part is not None]
    # minutes, minutes:seconds and hours:minutes:seconds; behind days the first is hours.
    if days is not None:
        hours, minutes, seconds = [*given, 0, 0][:3]
    elif len(given) == 3:
        hours, minutes, seconds = given
    else:
        hours, (minutes, seconds) = 0, [*given, 0][:2]
    return (int(days or 0) * 24 + hours) * 60 + minutes + (1 if seconds else 0)


def native_findings(files: Native) -> list[Finding]:
    """Mistakes in ``job.sbatch``, as rendered or as a user has changed it."""
    found = []
    for name, text in files.items():
        options = {option.name: option for option in read_header(text)[0]}
        for line, problem in (*_header(options), *_script(text, options)):
            found.append(Finding(name if line is None else f"{name}: line {line}", problem))
    return found


def _header(options: Mapping[str, Option]) -> _Found:
    for option in options.values():
        value = option.value or ""
        if PYXIS.fullmatch(option.name):
            yield (
                option.line,
                f"--{option.name} belongs on the srun line: in the header a cluster without pyxis refuses it",
            )
        if "$" in value:
            yield (
                option.line,
                f"got {value!r}, which nothing fills in: sbatch expands no variable in its options",
            )
    yield from _time(options)
    yield from _devices(options)
    for first, second in _EXCLUSIVE:
        if (
            first in options
            and second in options
            and (second != "gres" or "gpu" in (options[second].value or ""))
        ):
            yield options[second].line, f"--{second} and --{first} exclude each other"
    memory = options.get("mem")
    if memory is not None and not _MEMORY.fullmatch(memory.value or ""):
        yield memory.line, f"got {memory.value!r}, expected whole megabytes, such as 4096M"
    yield from _array(options)
    if "signal" not in options or not (options["signal"].value or "").startswith("B:TERM@"):
        line = options["signal"].line if "signal" in options else None
        yield (
            line,
            f"expected --signal=B:TERM@{WARNING_S}: what was measured until the time limit would be lost",
        )


def _time(options: Mapping[str, Option]) -> _Found:
    option = options.get("time")
    if option is None:
        yield None, "no --time: the job gets the partition's default, or runs for ever"
        return
    minutes = minutes_of(option.value or "")
    if minutes is None:
        yield option.line, f"got {option.value!r}, expected a time limit, such as 90 (minutes) or 1-12:00:00"
    elif not _LEAST_MINUTES <= minutes <= _MOST_MINUTES:
        yield option.line, f"got {minutes} minutes, expected {_LEAST_MINUTES} to {_MOST_MINUTES}"


def _devices(options: Mapping[str, Option]) -> _Found:
    gpus = options.get("gpus")
    if gpus is not None and not _GPUS.fullmatch(gpus.value or ""):
        yield gpus.line, f"got {gpus.value!r}, expected whole GPUs, such as 1 or a100:2"
    gres = options.get("gres")
    for part in (gres.value or "").split(",") if gres is not None else ():
        if gres is not None and part.startswith("gpu") and not _GRES.fullmatch(part):
            yield gres.line, f"got {part!r}, expected whole GPUs, such as gpu:1 or gpu:a100:2"


def _array(options: Mapping[str, Option]) -> _Found:
    option = options.get("array")
    if option is None:
        return
    if not _RANGE.fullmatch(option.value or ""):
        yield (
            option.line,
            f"got {option.value!r}, expected 0-<shards less one>: all shards of one load start together",
        )
    output = options.get("output")
    if output is not None and "%a" not in (output.value or ""):
        yield (
            output.line,
            f"got {output.value!r}, expected %a in it: the tasks would write over each other's log",
        )


def _script(text: str, options: Mapping[str, Option]) -> _Found:
    lines = text.splitlines()
    code = [(number, line) for number, line in enumerate(lines, 1) if not line.lstrip().startswith("#")]
    body = "\n".join(line for _, line in code)
    strict = re.search(r"^set -(?=\w*e)(?=\w*u)\w*o pipefail", body, re.MULTILINE)
    if strict is None:
        yield None, "no set -euo pipefail: a command that fails would not end the job"
    for number, line in code:
        if _PIPE.search(line) and strict is None:
            yield number, "the pipe hides the command's exit code, expected set -o pipefail before it"
        if unresolved := _UNRESOLVED.search(line):
            yield number, f"got {unresolved[0]}, which nothing fills in, expected its value"
    values = {
        found[1]: (text.count("\n", 0, found.start(1)) + 1, found[2].strip("'\""))
        for found in _ASSIGNED.finditer(text)
    }
    yield from _places(values, body)
    for name, (number, value) in values.items():
        if not value.startswith("$"):
            for finding in env_findings(name, value, "", value):
                yield number, f"{name}: {finding.problem}"
    yield from _step(code, body)
    yield from _shards(values, options, body)


def _places(values: Mapping[str, tuple[int, str]], body: str) -> _Found:
    for name, (line, value) in values.items():
        if name.endswith("_PATH") and not value.startswith("/"):
            yield (
                line,
                f"{name}: got {value!r}, expected an absolute path: the job runs in another folder on its node",
            )
    if "OUTPUT_PATH" in values and '-w "$OUTPUT_PATH"' not in body:
        yield (
            values["OUTPUT_PATH"][0],
            'OUTPUT_PATH is not checked, expected [ -w "$OUTPUT_PATH" ]: what is measured would be lost at the end',
        )


def _step(code: list[tuple[int, str]], body: str) -> _Found:
    words = body.split()
    if "--output" not in words or "hexgate" not in words[: words.index("--output")]:
        yield None, "no hexgate platforms run --output, so nothing that it measures would be found"
    starts = [number for number, line in code if re.match(r"\s*srun\b", line)]
    if not starts:
        yield None, "no srun: the command would run beside the job's step, and get no signal"
    if "--cpus-per-task=" not in body.partition("set -")[2] and "SRUN_CPUS_PER_TASK=" not in body:
        for number in starts:
            yield (
                number,
                'no --cpus-per-task="$SLURM_CPUS_PER_TASK" for srun, which since 22.05 runs on one core without it',
            )
    if not re.search(r"^\s*trap \S.* TERM\b", body, re.MULTILINE):
        yield (
            None,
            "no trap for TERM: the warning before the time limit would end the script, and what it measured",
        )


def _shards(values: Mapping[str, tuple[int, str]], options: Mapping[str, Option], body: str) -> _Found:
    array = _RANGE.fullmatch(options["array"].value or "") if "array" in options else None
    tasks = int(array[1]) + 1 if array else 1
    line, told = values.get("HEXGATE_SHARDS", (None, "1"))
    if "array" in options and array is None:
        return
    if told != str(tasks):
        yield (
            options["array"].line if "array" in options else line,
            f"got {tasks} task{'s' if tasks > 1 else ''}, expected {told} as in HEXGATE_SHARDS",
        )
    if tasks > 1 and not _RUN_ID.search(body):
        yield None, "no HEXGATE_RUN_ID: the tasks would not agree on their run"
