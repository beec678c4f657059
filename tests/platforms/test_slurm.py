"""The Slurm job: what is rendered, and what becomes of mistakes in it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hexgate.errors import InputError, JobSpecError, PlatformFailed
from hexgate.platforms.base import JobState, Layer
from hexgate.platforms.command import part_argv
from hexgate.platforms.slurm import Slurm
from hexgate.platforms.slurm_client import ControllerSilent, run
from hexgate.platforms.slurm_driver import SlurmDriver
from hexgate.platforms.slurm_header import read_header
from hexgate.platforms.slurm_rules import minutes_of
from hexgate.platforms.slurm_script import FILE, image_address
from hexgate.platforms.spec import JobSpec, parse_spec, read_spec

ROOT = Path(__file__).parents[2]
RUN = "20261120T101500Z-0123abcd"


def template() -> JobSpec:
    return read_spec(ROOT / "platforms" / "specs" / "slurm.yaml")


def job(**keys: Any) -> JobSpec:
    return parse_spec(template().to_json() | keys, "test")


def sharded(**keys: Any) -> JobSpec:
    return job(**{"shards": 2, "env": {"OMP_NUM_THREADS": "8"}, "secret_env": ["API_KEY"]} | keys)


def script(spec: JobSpec) -> str:
    return Slurm().render(spec)[FILE]


def options_of(text: str) -> dict[str, str | None]:
    return {option.name: option.value for option in read_header(text)[0]}


PLAIN = {"slurm": {"container": "none", "partition": "gate", "exclusive": True, "log_dir": "/shared/logs"}}
SPECS = {
    "one": template(),
    "sharded": sharded(),
    "in a run": sharded(run_id=RUN),
    "plain": job(platform=PLAIN),
}


def test_the_checked_in_template_is_its_spec_rendered() -> None:
    file = ROOT / "platforms" / "job_templates" / "dgx" / FILE
    assert file.read_text("utf-8") == script(template())


@pytest.mark.parametrize("name", SPECS)
def test_what_is_rendered_passes_both_layers(name: str) -> None:
    files = Slurm().render(SPECS[name])
    assert Slurm().native_findings(files) == []
    checked = Slurm().check(files)
    assert (checked.layer, checked.findings, checked.skipped) == (Layer.VENDOR, (), None)


def test_options_are_what_the_spec_says() -> None:
    resources = {"gpus": 2, "gpu_type": "h100", "cpu": 7.5, "memory_mib": 1000}
    options = options_of(script(sharded(resources=resources, timeout_s=3601, platform=PLAIN)))
    assert options["gpus"] == "h100:2"
    assert (options["cpus-per-task"], options["mem"]) == ("8", "1000M")
    # Minutes, rounded up: a shorter limit than was asked for would cut the measurement.
    assert options["time"] == "61"
    assert options["signal"] == "B:TERM@60"
    assert options["array"] == "0-1"
    assert options["output"] == "/shared/logs/%x-%A_%a.out"
    assert (options["partition"], "exclusive" in options) == ("gate", True)


def test_only_named_variables_go_with_the_job() -> None:
    named = (options_of(script(sharded()))["export"] or "").split(",")
    assert "API_KEY" in named
    assert "ALL" not in named
    assert "HEXGATE_RUN_ID" in named
    assert "HEXGATE_RUN_ID" not in (options_of(script(sharded(run_id=RUN)))["export"] or "").split(",")


def test_pyxis_stands_on_the_srun_line_alone() -> None:
    text = script(template())
    assert "container" not in " ".join(options_of(text))
    assert '--container-mounts="$MODEL_PATH:/models:ro,$DATA_PATH:/data:ro,$OUTPUT_PATH:/output"' in text
    assert "--no-container-mount-home" in text
    assert "--container-env=OMP_NUM_THREADS" in script(sharded())


def test_without_a_container_arguments_lie_where_the_mounts_do() -> None:
    text = script(job(platform=PLAIN))
    assert "--container" not in text
    assert '"$MODEL_PATH"/model.onnx' in text
    assert "IMAGE" not in text


@pytest.mark.parametrize(
    ("ref", "digest", "address"),
    [
        ("registry.example.com/hexgate:0.1.0", None, "registry.example.com#hexgate:0.1.0"),
        ("registry.example.com:5000/a/hexgate:1", None, "registry.example.com:5000#a/hexgate:1"),
        ("team/hexgate:1", None, "team/hexgate:1"),
        (
            "registry.example.com:5000/hexgate:1",
            "a" * 64,
            f"registry.example.com:5000#hexgate:sha256:{'a' * 64}",
        ),
        (
            "registry.example.com:5000/hexgate",
            "a" * 64,
            f"registry.example.com:5000#hexgate:sha256:{'a' * 64}",
        ),
    ],
)
def test_an_image_is_named_as_enroot_wants_it(ref: str, digest: str | None, address: str) -> None:
    image = {"ref": ref} | ({"digest": f"sha256:{digest}"} if digest else {})
    assert image_address(job(image=image)) == address


def test_a_squashed_image_takes_the_place_of_the_registry() -> None:
    text = script(job(platform={"slurm": {"image": "/shared/images/hexgate.sqsh"}}))
    assert "IMAGE=${IMAGE:-/shared/images/hexgate.sqsh}" in text


def test_a_job_is_tracked_by_its_name() -> None:
    assert options_of(script(sharded(run_id=RUN)))["job-name"] == f"hexgate-eval-{RUN}x2"
    assert options_of(script(job(run_id=RUN)))["job-name"] == f"hexgate-eval-{RUN}"


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        *[("90", 90), ("90:30", 91), ("1:30:00", 90), ("2-0", 2880), ("1-12:30", 2190), ("1-12:30:01", 2191)],
        *[("UNLIMITED", None), ("soon", None), ("", None)],
    ],
)
def test_times_are_read_as_slurm_does(text: str, minutes: int | None) -> None:
    assert minutes_of(text) == minutes


SPEC_MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"mounts": [{"name": "model", "uri": "s3://models", "path": "/models"}]}, "$.mounts[0].uri"),
    ({"mounts": [{"name": "model", "uri": "file:///a$(id)", "path": "/models"}]}, "$.mounts[0].uri"),
    ({"mounts": [{"name": "output", "uri": "file:///a", "path": "/models"}]}, "$.mounts[0].name"),
    ({"output": {"uri": "s3://results", "path": "/output"}}, "$.output.uri"),
    ({"output": {"uri": "file:///results"}}, "$.output.path"),
    ({"timeout_s": 120}, "$.timeout_s"),
    ({"resources": {"gpu_type": "h100"}}, "$.resources.gpu_type"),
    ({"resources": {"shm_mib": 64}}, "$.resources.shm_mib"),
    ({"platform": {"slurm": {"container": "none", "image": "/a.sqsh"}}}, "$.platform.slurm.image"),
]


@pytest.mark.parametrize(("keys", "path"), SPEC_MISTAKES, ids=[path for _, path in SPEC_MISTAKES])
def test_a_spec_that_does_not_fit_is_refused_where_it_does_not(keys: dict[str, Any], path: str) -> None:
    spec = job(**keys)
    assert [finding.path for finding in Slurm().spec_findings(spec)] == [path]
    with pytest.raises(JobSpecError, match=re.escape(path)):
        Slurm().render(spec)


VENDOR: dict[str, tuple[str, str, str]] = {
    "misspelt option": ("--time=", "--tiem=", "'tiem' is no option"),
    "no value": ("--nodes=1", "--nodes", "--nodes without its value"),
    "value for a flag": ("--requeue", "--requeue=yes", "takes no value"),
    "an option twice": ("--nodes=1", "--nodes=1\n#SBATCH -N 2", "stands in line 5 already"),
    "a comment in its place": ("#SBATCH --nodes", "# SBATCH --nodes", "is a comment to sbatch"),
    "no space": ("#SBATCH --nodes", "#SBATCH--nodes", "a space behind #SBATCH"),
    "behind the first command": ("set -euo pipefail", "true\n#SBATCH --nodes=1", "behind the first command"),
    "open quote in an option": ("--nodes=1", '--nodes="1', "cannot be split into words"),
    "not an option at all": ("#SBATCH --nodes=1", "#SBATCH nodes=1", "is no option"),
    "open quote in the script": ('echo "hexgate: $1" >&2', 'echo "hexgate: $1 >&2', "unexpected EOF"),
    "no end of a loop": ("done\n", "\n", "syntax error"),
    "no quotes": ('[ -d "$OUTPUT_PATH" ]', "[ -d $OUTPUT_PATH ]", "SC2086"),
    "a variable that is never set": ('--container-image="$IMAGE"', '--container-image="$IMAGGE"', "SC2153"),
    "no interpreter": ("#!/bin/bash\n", "\n", "no #! line"),
}
RULES: dict[str, tuple[str, str, str]] = {
    "pyxis in the header": (
        "--nodes=1",
        "--nodes=1\n#SBATCH --container-image=a#b",
        "belongs on the srun line",
    ),
    "no time": ("#SBATCH --time=120\n", "", "no --time"),
    "no limit": ("--time=120", "--time=UNLIMITED", "expected a time limit"),
    "time below the warning": ("--time=120", "--time=1", "got 1 minutes"),
    "time above any sense": ("--time=120", "--time=60-0", "got 86400 minutes"),
    "half a GPU": ("--gpus=1", "--gpus=0.5", "got '0.5', expected whole GPUs"),
    "all GPUs": ("--gpus=1", "--gpus=all", "got 'all', expected whole GPUs"),
    "gres of another form": ("--gpus=1", "--gres=gpu:1:h100", "got 'gpu:1:h100', expected whole GPUs"),
    "GPUs twice": ("--gpus=1", "--gpus=1\n#SBATCH --gres=gpu:1", "--gres and --gpus exclude each other"),
    "memory twice": ("--mem=32768M", "--mem=32768M\n#SBATCH --mem-per-cpu=1G", "exclude each other"),
    "memory in words": ("--mem=32768M", "--mem=lots", "expected whole megabytes"),
    "a variable in an option": ("--output=%x", "--output=$HOME/%x", "sbatch expands no variable"),
    "no warning": ("#SBATCH --signal=B:TERM@60\n", "", "expected --signal=B:TERM@60"),
    "fewer tasks than shards": ("--array=0-1", "--array=0-0", "got 1 task, expected 2"),
    "more tasks than shards": ("--array=0-1", "--array=0-3", "got 4 tasks, expected 2"),
    "tasks from one": ("--array=0-1", "--array=1-2", "expected 0-<shards less one>"),
    "not all tasks at once": ("--array=0-1", "--array=0-1%1", "all shards of one load start together"),
    "no array": ("#SBATCH --array=0-1\n", "", "got 1 task, expected 2"),
    "one log for all tasks": ("%x-%A_%a.out", "%x-%A.out", "write over each other's log"),
    "no common run": ("HEXGATE_RUN_ID=", "RUN=", "would not agree on their run"),
    "output not checked": ('-w "$OUTPUT_PATH"', '-e "$OUTPUT_PATH"', "OUTPUT_PATH is not checked"),
    "relative output": (":-/shared/results}", ":-results}", "OUTPUT_PATH: got 'results'"),
    "a pipe that hides the exit code": (
        "set -euo pipefail\n",
        "set -e\nhostname | tee host.txt\n",
        "the pipe hides the command's exit code",
    ),
    "unresolved": (":-/shared/models}", ":-<MODEL>}", "got <MODEL>, which nothing fills in"),
    "a secret in the file": (
        "export HEXGATE_PLATFORM",
        "export API_KEY=abc\nexport HEXGATE_PLATFORM",
        "API_KEY: ",
    ),
    "one core for all": (' --cpus-per-task="$SLURM_CPUS_PER_TASK"', "", "runs on one core"),
    "no trap": ("trap 'scancel", "echo 'scancel", "no trap for TERM"),
    "no step": ('srun "${step[@]}"', 'env "${step[@]}"', "no srun"),
    "no part runner": (
        "  platforms\n  run\n  --output\n  /output\n  --\n  hexgate\n",
        "",
        "no hexgate platforms run",
    ),
}


def mutated(before: str, after: str) -> dict[str, str]:
    text = script(sharded())
    assert before in text
    return {FILE: text.replace(before, after)}


@pytest.mark.parametrize("name", VENDOR)
def test_bash_or_a_strict_sbatch_refuses(name: str) -> None:
    before, after, problem = VENDOR[name]
    found = Slurm().check(mutated(before, after)).findings
    assert any(problem in finding.problem for finding in found), found
    assert all(re.fullmatch(rf"{FILE}: line \d+", finding.path) for finding in found)


@pytest.mark.parametrize("name", RULES)
def test_the_rules_refuse(name: str) -> None:
    before, after, problem = RULES[name]
    found = Slurm().native_findings(mutated(before, after))
    assert any(problem in finding.problem for finding in found), found


@pytest.mark.parametrize(
    "name", ["pyxis in the header", "half a GPU", "fewer tasks than shards", "relative output"]
)
def test_a_rule_names_the_line(name: str) -> None:
    before, after, problem = RULES[name]
    files = mutated(before, after)
    (path,) = [finding.path for finding in Slurm().native_findings(files) if problem in finding.problem]
    line = files[FILE].splitlines()[int(path.rpartition(" ")[2]) - 1]
    assert after.splitlines()[-1].removeprefix("#SBATCH ") in line


def test_short_options_are_read() -> None:
    options, problems = read_header("#!/bin/bash\n#SBATCH -N1 -t 90 # a comment\n#SBATCH --exclusive\n")
    assert problems == []
    assert [(option.name, option.value) for option in options] == [
        ("nodes", "1"),
        ("time", "90"),
        ("exclusive", None),
    ]


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of the PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def stub(folder: Path, name: str, body: str) -> None:
    """A stand-in for a command of Slurm that no cluster at hand would make say this."""
    path = folder / name
    path.write_text(f"#!/bin/bash\n{body}\n", encoding="utf-8")
    path.chmod(0o755)


def scontrol(folder: Path, *tasks: str) -> None:
    listed = "\n".join(
        f"JobId=7 ArrayJobId=7 {task} Reason=None ExitCode=0:0 StdOut=/x.out" for task in tasks
    )
    stub(
        folder,
        "scontrol",
        f"printf '%s\\n' '{listed}'" if tasks else "echo 'Invalid job id specified' >&2; exit 1",
    )


def test_without_commands_nothing_is_asked(commands: Path) -> None:
    assert Slurm().dry_run({FILE: script(template())}).skipped is not None
    with pytest.raises(InputError, match="sbatch is not on the PATH"):
        Slurm().driver()


TASK = f"JobName=a-{RUN}x3"


@pytest.mark.parametrize(
    ("tasks", "state", "native"),
    [
        (["COMPLETED 0", "COMPLETED 1", "COMPLETED 2"], JobState.SUCCEEDED, "COMPLETED"),
        (["COMPLETED 0", "FAILED 1", "COMPLETED 2"], JobState.FAILED, "FAILED"),
        (["COMPLETED 0", "TIMEOUT 1", "CANCELLED 2"], JobState.FAILED, "TIMEOUT"),
        (["COMPLETED 0", "CANCELLED 1", "COMPLETED 2"], JobState.CANCELLED, "CANCELLED"),
        (["FAILED 0", "RUNNING 1", "COMPLETED 2"], JobState.RUNNING, "RUNNING"),
        (["COMPLETED 0", "PENDING 1-2"], JobState.RUNNING, "PENDING"),
        (["PENDING 0-2"], JobState.PENDING, "PENDING"),
        (["COMPLETED 0", "BEWILDERED 1", "COMPLETED 2"], JobState.UNKNOWN, "BEWILDERED"),
        # One task that nobody remembers may have failed.
        (["COMPLETED 0", "COMPLETED 2"], JobState.UNKNOWN, "lost"),
        ([], JobState.UNKNOWN, "lost"),
    ],
)
def test_an_array_is_the_worst_of_its_tasks(
    commands: Path, tasks: list[str], state: JobState, native: str
) -> None:
    told = (task.split(" ") for task in tasks)
    scontrol(commands, *(f"ArrayTaskId={index} {TASK} JobState={word}" for word, index in told))
    stub(commands, "sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    status = SlurmDriver().status("7")
    assert (status.state, status.native) == (state, native)


def test_the_accounting_knows_what_the_controller_forgot(commands: Path) -> None:
    scontrol(commands, f"ArrayTaskId=2 {TASK} JobState=COMPLETED")
    rows = ["7_0|CANCELLED by 0|0:0", "7_1|COMPLETED|0:0", "7_2|COMPLETED|0:0"]
    stub(commands, "sacct", "\n".join(f"echo '{row}|a-{RUN}x3'" for row in rows))
    assert SlurmDriver().status("7").state is JobState.CANCELLED
    stub(commands, "squeue", "exit 0")
    stub(commands, "sacct", f"echo '5_0|b-{RUN}x2'")
    assert SlurmDriver().find(RUN) == "5"


def test_a_controller_that_comes_back_is_asked_again(commands: Path, tmp_path: Path) -> None:
    silent = 'echo "sinfo: error: Unable to contact slurm controller (connect failure)" >&2; exit 1'
    stub(
        commands, "sinfo", f"if [ -e {tmp_path}/back ]; then echo here; else : >{tmp_path}/back; {silent}; fi"
    )
    assert run(["sinfo"]).stdout == "here\n"
    stub(commands, "sinfo", silent)
    with pytest.raises(ControllerSilent):
        run(["sinfo"])
    stub(commands, "sinfo", "echo 'invalid partition' >&2; exit 1")
    with pytest.raises(PlatformFailed, match="invalid partition"):
        run(["sinfo"])


def test_a_lost_answer_is_looked_for_before_it_is_sent_again(commands: Path, tmp_path: Path) -> None:
    lost = 'echo "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation" >&2; exit 1'
    stub(commands, "sbatch", f"echo x >>{tmp_path}/sent; {lost}")
    stub(commands, "squeue", f"echo '12|hexgate-eval-{RUN}'")
    assert SlurmDriver().submit(job(run_id=RUN)) == "12"
    assert (tmp_path / "sent").read_text("utf-8") == "x\n"


def test_options_of_the_environment_do_not_change_the_file(
    commands: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SBATCH_TIMELIMIT", "1")
    monkeypatch.setenv("SBATCH_ACCOUNT", "team")
    stub(commands, "sbatch", f'echo "${{SBATCH_TIMELIMIT:-none}} $SBATCH_ACCOUNT" >{tmp_path}/seen; echo 3')
    assert SlurmDriver().submit(job(run_id=RUN)) == "3"
    assert (tmp_path / "seen").read_text("utf-8") == "none team\n"


def test_an_answer_without_an_id_is_no_job(commands: Path) -> None:
    stub(commands, "sbatch", "echo Welcome")
    with pytest.raises(PlatformFailed, match="did not say the job's id"):
        SlurmDriver().submit(job(run_id=RUN))
    with pytest.raises(InputError):
        SlurmDriver().status("7; rm -rf /")


def test_the_script_stops_before_it_measures_into_nothing(tmp_path: Path) -> None:
    """Run by bash alone: the checks come before anything of Slurm."""
    for name in ("models", "data"):
        (tmp_path / name).mkdir()
    given = {"PATH": "/usr/bin:/bin", "MODEL_PATH": f"{tmp_path}/models", "DATA_PATH": f"{tmp_path}/data"}
    given |= {"OUTPUT_PATH": f"{tmp_path}/none", "SLURM_JOB_ID": "1"}
    ended = subprocess.run(
        ["bash", "-s"], input=script(template()), env=given, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "there is no folder OUTPUT_PATH" in ended.stderr


def test_srun_gets_the_image_the_mounts_and_the_command(tmp_path: Path) -> None:
    """With a stand-in for srun, which no pyxis is needed for."""
    for name in ("models", "data", "my results"):
        (tmp_path / name).mkdir()
    stub(tmp_path, "srun", f"printf '%s\\n' \"$@\" >'{tmp_path}/argv'; env >'{tmp_path}/env'; exit 3")
    given = {"PATH": f"{tmp_path}:/usr/bin:/bin", "OUTPUT_PATH": f"{tmp_path}/my results", "API_KEY": "k"}
    given |= {"MODEL_PATH": f"{tmp_path}/models", "DATA_PATH": f"{tmp_path}/data", "IMAGE": "other#image:2"}
    given |= {"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "8", "SLURM_ARRAY_TASK_ID": "1"}
    given |= {"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_CPUS_PER_TASK": "8", "HEXGATE_RUN_ID": RUN}
    ended = subprocess.run(
        ["bash", "-s"], input=script(sharded()), env=given, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (3, "")
    argv = (tmp_path / "argv").read_text("utf-8").splitlines()
    mounts = f"{tmp_path}/models:/models:ro,{tmp_path}/data:/data:ro,{tmp_path}/my results:/output"
    assert argv[: argv.index("hexgate")] == [
        "--ntasks=1",
        "--cpus-per-task=8",
        "--export=ALL",
        "--container-image=other#image:2",
        "--no-container-mount-home",
        "--container-workdir=/tmp",
        f"--container-mounts={mounts}",
        "--container-env=OMP_NUM_THREADS",
    ]
    assert argv[argv.index("hexgate") :] == part_argv(sharded())
    env = (tmp_path / "env").read_text("utf-8").splitlines()
    # The image that ran, not the one that the spec had asked for.
    assert {"HEXGATE_IMAGE=other#image:2", "HEXGATE_JOB_ID=8", "HEXGATE_SHARDS=2"} <= set(env)
    assert "OMP_NUM_THREADS=8" in env


def test_where_there_is_no_controller_the_job_has_no_mistake(commands: Path) -> None:
    for name in ("sbatch", "squeue"):
        lines = f"{name}: error: fetch_config: DNS SRV lookup failed\\n"
        lines += f"{name}: fatal: Could not establish a configuration source\\n"
        stub(commands, name, f"printf '{lines}' >&2; exit 1")
    checked = Slurm().dry_run({FILE: script(template())})
    assert checked.findings == ()
    assert "finds no Slurm controller" in str(checked.skipped)
    with pytest.raises(PlatformFailed, match="squeue finds no Slurm controller") as failed:
        SlurmDriver().find(RUN)
    assert (
        str(failed.value.got)
        == "fetch_config: DNS SRV lookup failed; Could not establish a configuration source"
    )
    assert failed.value.hint is not None
