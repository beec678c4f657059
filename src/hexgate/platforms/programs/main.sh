# ---- the command line

usage() {
  if [[ $SPEAKS == zh ]]; then
    cat <<'TEXT'
用法：run.sh [选项] [-- 命令 ...]

在本机的容器中运行一次 hexgate 评测。不带选项时运行文件开头写定的作业。

  --model PATH|URL           模型：文件、文件夹，或服务地址（需 --network host）
  --data PATH                数据文件
  --out DIR                  输出文件夹；各部分位于 DIR/<run_id>/<部分>/<次数>/
  --image REF                容器镜像
  --indicator NAME|all       测量哪项指标
TEXT
    usage_of_platform
    cat <<'TEXT'
  --governor NAME            将所有 CPU 的调频策略设为 NAME（如 performance）；退出时恢复
  --cpus N                   容器的 CPU 核数
  --memory-mib N             容器的内存，MiB
  --network none|host        容器网络
  --env NAME                 将本机环境变量 NAME 传入容器；其值不出现在命令行中
  --timeout-s N              N 秒后结束作业
  --sample-s N               每 N 秒记录一次 GPU 状态（默认 1）
  --run-id ID                运行编号，形如 20261121T021951Z-0a1b2c3d；默认新建
  --dry-run                  打印将要执行的内容，不做任何更改
  --restore FILE             运行被强行终止（SIGKILL）后，恢复其锁定的状态
  --lang en|zh               语言
  --help                     显示本帮助
  -- 命令 ...                替换容器中的命令；{out} 代表输出文件夹

只有在要求并且有权限（root 或免密码 sudo）时才锁定；否则提示"未锁定"并继续。
退出码：作业自身的退出码；124 超时；2 用法或本机不满足要求；4 要求使用 GPU 但其始终空闲；
5 未能恢复锁定，或容器中没有可用的 CUDA；125 至 127 docker 无法启动容器。
TEXT
  else
    cat <<'TEXT'
Usage: run.sh [OPTIONS] [-- COMMAND ...]

Runs one hexgate evaluation in a container on this machine. Without options: the job at the top of this file.

  --model PATH|URL           model: a file, a folder, or a server's address (which needs --network host)
  --data PATH                data file
  --out DIR                  output folder; each part lies in DIR/<run_id>/<part>/<attempt>/
  --image REF                container image
  --indicator NAME|all       what is measured
TEXT
    usage_of_platform
    cat <<'TEXT'
  --governor NAME            set the governor of every CPU, such as performance; put back on exit
  --cpus N                   CPU cores of the container
  --memory-mib N             memory of the container, MiB
  --network none|host        network of the container
  --env NAME                 hand the environment variable NAME in; its value stands in no command line
  --timeout-s N              end the job after N seconds
  --sample-s N               note the state of the GPU every N seconds (default 1)
  --run-id ID                the run, such as 20261121T021951Z-0a1b2c3d; a new one without it
  --dry-run                  print what would be done, and change nothing
  --restore FILE             put back what a run pinned that was killed outright (SIGKILL)
  --lang en|zh               language
  --help                     this text
  -- COMMAND ...             another command in the container; {out} stands for the output folder

Things are pinned only when asked and when allowed (root, or sudo without a password); else it says
"not locked" and goes on.
Exit code: the job's own; 124 timed out; 2 usage, or this machine cannot; 4 a GPU was asked for and idle
all through; 5 something was not put back, or no CUDA in the container; 125 to 127 docker could not start it.
TEXT
  fi
}

CHANGED=0
PER_GPU=0
VARY=
GOVERNOR=
SAMPLE_S=1
MODEL=
DATA=
INDICATOR=
RESTORE=

# change NAME VALUE: another value than the job's, so that it is not this spec's job any more.
change() {
  if [[ ${!1} != "$2" ]]; then CHANGED=1; fi
  printf -v "$1" '%s' "$2"
}

# whole FLAG VALUE: a whole number from 1.
whole() {
  [[ $2 =~ ^[1-9][0-9]{0,8}$ ]] || die 2 "$1: got '$2', expected a whole number from 1" "$1：得到'$2'，应为正整数"
}

parse() {
  local flag value word
  local -a words=("$@")
  # The language first, so that mistakes are told in it.
  for word in "${!words[@]}"; do
    [[ ${words[word]} != -- ]] || break
    case ${words[word]} in
      --lang) value=${words[word + 1]:-} ;;
      --lang=*) value=${words[word]#*=} ;;
      *) continue ;;
    esac
    [[ $value =~ ^(en|zh)$ ]] || die 2 "--lang: got '$value', expected en or zh" \
      "--lang：得到'$value'，应为 en 或 zh"
    SPEAKS=$value
  done
  while (($#)); do
    if [[ $1 == --*=* && $1 != --lock-clocks=* ]]; then
      flag=${1%%=*} value=${1#*=}
      shift
      set -- "$flag" "$value" "$@"
    fi
    flag=$1 value=${2-}
    case $flag in
      --help | -h)
        usage
        exit 0
        ;;
      --dry-run)
        DRY_RUN=1
        shift
        continue
        ;;
      --)
        shift
        (($#)) || die 2 "nothing stands behind --" "-- 之后没有命令"
        ARGV=("$@") CHANGED=1
        return 0
        ;;
    esac
    option "$flag" "$value"
    if ((TOOK == 0)); then
      case $flag in
        --model | --data | --out | --image | --indicator | --governor | --cpus | --memory-mib | --network) TOOK=2 ;;
        --env | --timeout-s | --sample-s | --run-id | --restore | --lang) TOOK=2 ;;
        *) die 2 "no such option: $flag; --help lists them" "没有这个选项：$flag；见 --help" ;;
      esac
    fi
    ((TOOK <= $#)) && [[ $TOOK == 1 || -n $value ]] || die 2 "$flag needs a value" "$flag 需要一个值"
    case $flag in
      --model) MODEL=$value CHANGED=1 ;;
      --data) DATA=$value CHANGED=1 ;;
      --out) OUT=$value ;;
      --image) change IMAGE "$value" ;;
      --indicator) INDICATOR=$value CHANGED=1 ;;
      --governor)
        [[ $value =~ ^[a-z_]+$ ]] || die 2 "--governor: got '$value', expected a name such as performance" \
          "--governor：得到'$value'，应为 performance 之类的名称"
        GOVERNOR=$value
        ;;
      --cpus)
        [[ $value =~ ^[0-9]+(\.[0-9]+)?$ ]] || die 2 "--cpus: got '$value', expected a number" \
          "--cpus：得到'$value'，应为数值"
        change CPUS "$value"
        ;;
      --memory-mib)
        whole "$flag" "$value"
        change MEMORY_MIB "$value"
        ;;
      --network)
        [[ $value =~ ^(none|host)$ ]] || die 2 "--network: got '$value', expected none or host" \
          "--network：得到'$value'，应为 none 或 host"
        change NETWORK "$value"
        ;;
      --env)
        [[ $value =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] ||
          die 2 "--env: expected a name alone: a value would stand in the process list; export it and name it" \
            "--env：只应给出变量名：值会出现在进程列表中；请先 export 再给出名称"
        SECRET_ENV+=("$value") CHANGED=1
        ;;
      --timeout-s)
        whole "$flag" "$value"
        change TIMEOUT_S "$value"
        ;;
      --sample-s)
        whole "$flag" "$value"
        SAMPLE_S=$value
        ;;
      --run-id) RUN_ID=$value ;;
      --restore) RESTORE=$value ;;
    esac
    shift "$TOOK"
  done
}

# ---- what is run

# set_flag NAME VALUE: a flag of the command in the container, put in place of the job's own or added to it.
set_flag() {
  local index
  [[ ${ARGV[0]} == hexgate && ${ARGV[1]:-} == run ]] ||
    die 2 "--$1: the command is not hexgate run: give the whole command behind --" \
      "--$1：容器中的命令不是 hexgate run：请在 -- 之后给出完整命令"
  for index in "${!ARGV[@]}"; do
    if [[ ${ARGV[index]} == "--$1" ]]; then
      ARGV[index + 1]=$2
      return 0
    fi
  done
  ARGV+=("--$1" "$2")
}

# without_flag NAME: the command in the container without a flag and its value.
without_flag() {
  local -a kept=()
  local index=0
  while ((index < ${#ARGV[@]})); do
    if [[ ${ARGV[index]} == "--$1" ]]; then
      index=$((index + 2))
    else
      kept+=("${ARGV[index]}")
      index=$((index + 1))
    fi
  done
  ARGV=("${kept[@]}")
}

# job_digest: of the job at the top of this file. One that was changed is not the job of its spec any more.
job_digest() {
  local digest
  digest=$(sed -n '/^# ---- the job$/,/^# ---- end of the job$/p' -- "${BASH_SOURCE[0]}" | sha256sum)
  printf '%s' "${digest%% *}"
}

# place NAME PATH INSIDE: bind the folder of a model or of data read only, in place of the job's own mount.
place() {
  local path folder inside=$3 index
  path=$(realpath -e -- "$2" 2>/dev/null) || die 2 "--$1: there is no such file: $2" "--$1：没有这个文件：$2"
  if [[ -d $path ]]; then folder=$path; else folder=${path%/*}; fi
  folder=${folder:-/}
  for index in "${!MOUNTS[@]}"; do
    if [[ ${MOUNTS[index]} == "$1="* ]]; then
      inside=${MOUNTS[index]##*,target=}
      inside=${inside%%,*}
      unset "MOUNTS[index]"
    fi
  done
  MOUNTS+=("$1=type=bind,source=$folder,target=$inside,readonly")
  if [[ -d $path ]]; then set_flag "$1" "$inside"; else set_flag "$1" "$inside/${path##*/}"; fi
}

prepare() {
  local mount source name
  command -v docker >/dev/null || die 2 "there is no docker on this machine" "本机没有 docker"
  if [[ -z $RUN_ID ]]; then
    name=$(</proc/sys/kernel/random/uuid)
    printf -v RUN_ID '%(%Y%m%dT%H%M%SZ)T-%s' -1 "${name%%-*}"
  fi
  [[ $RUN_ID =~ ^[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}$ ]] ||
    die 2 "--run-id: got '$RUN_ID', expected the form 20261121T021951Z-0a1b2c3d" \
      "--run-id：得到'$RUN_ID'，应形如 20261121T021951Z-0a1b2c3d"
  case $MODEL in
    '') ;;
    demo | demo:*) set_flag model "$MODEL" ;;
    *://*)
      set_flag model "$MODEL"
      [[ $NETWORK == host ]] || die 2 "--model: a server needs --network host" "--model：服务地址需要 --network host"
      ;;
    *) place model "$MODEL" /models ;;
  esac
  case $DATA in '') ;; demo | demo:*) set_flag data "$DATA" ;; *) place data "$DATA" /data ;; esac
  [[ -z $INDICATOR ]] || set_flag indicator "$INDICATOR"
  if ((CHANGED)) || [[ $(job_digest) != "$JOB_SHA256" ]]; then SPEC_SHA256=; fi
  if [[ -n $OUT ]]; then
    OUT=$(realpath -m -- "$OUT")
    MOUNTS+=("output=type=bind,source=$OUT,target=$OUTPUT")
    MOUNTS+=("observed=type=bind,source=$OUT/observed/$RUN_ID,target=/observed,readonly")
  fi
  for mount in "${MOUNTS[@]}"; do
    source=${mount#*source=}
    name=${mount%%=*}
    source=${source%,target=*}
    [[ $source != *[,\"]* ]] || die 2 "$name: docker cannot mount a path with a comma or a quote: $source" \
      "$name：docker 无法挂载含逗号或引号的路径：$source"
    [[ $name == output || $name == observed || -d $source ]] ||
      die 2 "there is no such folder: $source (mount $name)" \
        "没有这个文件夹：$source（挂载 $name）"
  done
  for name in "${SECRET_ENV[@]+"${SECRET_ENV[@]}"}"; do
    [[ -n ${!name+set} ]] || die 2 "the environment variable $name is not set" "环境变量 $name 未设置"
  done
  if [[ -z $RUN_AS ]]; then
    RUN_AS=$UID:$(id -g)
    if ((EUID == 0)) && [[ -n ${SUDO_UID:-} ]]; then RUN_AS=$SUDO_UID:${SUDO_GID:-$SUDO_UID}; fi
  fi
  check_host
}

# open_output: the output folder, which the user of the job can write to, and the record in it.
open_output() {
  local -a as_user=()
  [[ -n $OUT ]] || return 0
  if [[ ! -d $OUT ]] && mkdir -p -- "$OUT" 2>/dev/null && ((EUID == 0)); then chown "$RUN_AS" "$OUT"; fi
  # In the container root has no right to pass over permissions, so it has none here.
  if ((EUID == 0)); then
    as_user=(setpriv "--reuid=${RUN_AS%:*}" "--regid=${RUN_AS#*:}" --clear-groups --bounding-set=-all)
  fi
  "${as_user[@]+"${as_user[@]}"}" test -w "$OUT" || die 2 "--out: the user $RUN_AS cannot write there: $OUT" \
    "--out：用户 $RUN_AS 无法写入：$OUT"
  mkdir -p -- "$OUT/observed/$RUN_ID" 2>/dev/null || die 2 "--out: nothing can be written there: $OUT" \
    "--out：无法写入：$OUT"
  RECORD=$OUT/observed/$RUN_ID/state.jsonl
  # What an earlier try at the same run observed is not what this one does.
  : >"$RECORD"
}

# ---- the containers

# lanes: sets LANE_GPUS, one entry a container.
lanes() {
  local index
  LANE_GPUS=()
  if ((PER_GPU)); then
    ((SHARDS == 1)) || die 2 "--per-gpu: this job has shards" "--per-gpu：该作业已分片"
    [[ $GPUS != none ]] || die 2 "--per-gpu: no GPU is asked for" "--per-gpu：未要求使用 GPU"
    mapfile -t LANE_GPUS < <(gpu_list)
    ((${#LANE_GPUS[@]})) || die 2 "--per-gpu: nvidia-smi names no GPU" "--per-gpu：nvidia-smi 未列出任何 GPU"
  else
    for ((index = 0; index < SHARDS; index++)); do LANE_GPUS+=("$GPUS"); done
  fi
  if [[ -n $VARY ]]; then
    ((PER_GPU)) || die 2 "--vary goes with --per-gpu" "--vary 须与 --per-gpu 合用"
    IFS=, read -r -a VALUES <<<"${VARY#*=}"
    ((${#VALUES[@]} == ${#LANE_GPUS[@]})) ||
      die 2 "--vary: got ${#VALUES[@]} values for ${#LANE_GPUS[@]} GPUs" \
        "--vary：${#LANE_GPUS[@]} 个 GPU 对应 ${#VALUES[@]} 个值"
  fi
}

lane_name() {
  local number="-$1"
  if ((${#LANE_GPUS[@]} == 1 && !PER_GPU)); then number=''; fi
  printf 'hexgate-%s%s' "$RUN_ID" "$number"
}

# docker_command LANE: sets COMMAND.
docker_command() {
  local -a part=()
  local given=${LANE_GPUS[$1]} label name mount
  local -a ARGV=("${ARGV[@]}")
  # Without a GPU the model runs on the CPU; that it was asked to run elsewhere would be refused.
  if [[ $given == none ]]; then without_flag provider; fi
  accelerators "$given"
  bound "$given"
  COMMAND=(docker run --name "$(lane_name "$1")" --label "hexgate.run_id=$RUN_ID")
  COMMAND+=(--label "hexgate.platform=$PLATFORM" --label "hexgate.shards=${#LANE_GPUS[@]}")
  for label in "${LABELS[@]+"${LABELS[@]}"}"; do COMMAND+=(--label "$label"); done
  COMMAND+=(--init --user "$RUN_AS" --read-only --tmpfs /tmp:exec --cap-drop ALL --security-opt no-new-privileges)
  COMMAND+=(--network "$NETWORK" --cpus "$CPUS" --memory "${MEMORY_MIB}m")
  if ((SHM_MIB)); then COMMAND+=(--shm-size "${SHM_MIB}m"); elif [[ $given != none ]]; then COMMAND+=(--ipc host); fi
  if [[ $given != none ]]; then COMMAND+=(--ulimit memlock=-1 --ulimit stack=67108864); fi
  COMMAND+=("${ACCELERATORS[@]+"${ACCELERATORS[@]}"}" "${BOUND[@]+"${BOUND[@]}"}")
  for mount in "${MOUNTS[@]}"; do COMMAND+=(--mount "${mount#*=}"); done
  for name in "${ENV[@]+"${ENV[@]}"}"; do COMMAND+=(--env "$name"); done
  COMMAND+=(--env "HEXGATE_PLATFORM=$PLATFORM" --env "HEXGATE_RUN_ID=$RUN_ID")
  if [[ -n $SPEC_SHA256 ]]; then COMMAND+=(--env "HEXGATE_SPEC_SHA256=$SPEC_SHA256"); fi
  COMMAND+=(--env "HEXGATE_IMAGE=$IMAGE")
  if ((SHARDS > 1)); then COMMAND+=(--env "HEXGATE_SHARDS=$SHARDS"); fi
  COMMAND+=(--env "HEXGATE_JOB_ID=hexgate-$RUN_ID")
  if ((SHARDS > 1)); then COMMAND+=(--env "HEXGATE_SHARD=$1/$SHARDS"); fi
  if [[ -n $OUT ]]; then COMMAND+=(--env HEXGATE_OBSERVED=/observed/state.jsonl); fi
  for name in "${SECRET_ENV[@]+"${SECRET_ENV[@]}"}"; do COMMAND+=(--env "$name"); done
  if ((PER_GPU)); then part=(--part "gpu-$given"); fi
  if [[ -n $VARY ]]; then set_flag "${VARY%%=*}" "${VALUES[$1]}"; fi
  COMMAND+=("$IMAGE" timeout --foreground --signal=TERM "--kill-after=$GRACE_S" "$TIMEOUT_S")
  COMMAND+=(hexgate platforms run --output "$OUTPUT" "${part[@]+"${part[@]}"}" -- "${ARGV[@]}")
}

# probe_command: sets COMMAND to a container that only looks whether CUDA is there. A wrong flag must not look like a
# slow model.
probe_command() {
  accelerators "$GPUS"
  COMMAND=(docker run --rm --network none "${ACCELERATORS[@]}" "$IMAGE" python3 -c
    'import ctypes, sys; sys.exit(ctypes.CDLL("libcuda.so.1").cuInit(0))')
}

CHILDREN=()
RELAYS=()
STARTED=()
SIGNALLED=0
STOPPED=0

on_signal() {
  local child
  SIGNALLED=1 STOPPED=1
  say "SIG$1: stopping; what was measured is kept" "收到 SIG$1：正在停止；已测得的内容会保留"
  ((${#CHILDREN[@]})) || exit $((128 + $2))
  for child in "${CHILDREN[@]}"; do kill -TERM "$child" 2>/dev/null || true; done
}

finish() {
  local code=$? name
  trap '' INT TERM HUP
  trap - EXIT
  # shellcheck disable=SC2046 # one word a process
  kill -TERM $(jobs -p) 2>/dev/null || true
  for name in "${STARTED[@]+"${STARTED[@]}"}"; do
    docker stop --time "$GRACE_S" "$name" >/dev/null 2>&1 || true
    docker rm --force "$name" >/dev/null 2>&1 || true
  done
  stop_sampler
  if [[ -n $STATE && -e $STATE ]]; then
    put_back "$STATE" || {
      say "put it back by hand: $0 --restore $STATE" "请手动恢复：$0 --restore $STATE"
      code=5
    }
  fi
  if [[ -n $RECORD ]]; then record_host put_back; fi
  [[ -z $WORK ]] || rm -rf -- "$WORK"
  exit "$code"
}

# wait_for PID: its exit code, also where signals came in between.
wait_for() {
  local code
  while :; do
    SIGNALLED=0 code=0
    wait "$1" || code=$?
    ((SIGNALLED)) || return "$code"
  done
}

# parts: the names of the parts that the run has to leave.
parts() {
  local lane names=''
  for lane in "${!LANE_GPUS[@]}"; do
    if ((PER_GPU)); then
      names+=,gpu-${LANE_GPUS[lane]}
    elif ((SHARDS > 1)); then
      names+=,shard-$lane-of-$SHARDS
    else
      names+=,main
    fi
  done
  printf '%s' "${names#,}"
}

# relay PREFIX: pass lines on, and read on where nobody takes them: the client must not end with its terminal.
relay() {
  local line
  trap '' INT TERM HUP PIPE
  while IFS= read -r line || [[ -n $line ]]; do printf '%s%s\n' "$1" "$line" || true; done
}

show() {
  local lane
  if [[ -n $GOVERNOR$(asked_anything) ]]; then
    say "would pin, as root, and put back on exit:" "将以 root 身份锁定，并在退出时恢复："
    pin
  fi
  say "would run:" "将运行："
  if [[ $GPUS != none ]]; then
    probe_command
    quoted "${COMMAND[@]}"
  fi
  for lane in "${!LANE_GPUS[@]}"; do
    docker_command "$lane"
    quoted "${COMMAND[@]}"
  done
}

asked_anything() {
  case $(asked_json) in *[0-9]* | *true* | *default*) printf yes ;; esac
}

pin() {
  pin_mode
  [[ -z $GOVERNOR ]] || pin_governor
  pin_clocks
}

run() {
  local lane name code=0 gravest=0 idle prefix governor=null collect
  trap 'on_signal INT 2' INT
  trap 'on_signal TERM 15' TERM
  trap 'on_signal HUP 1' HUP
  # A terminal that is gone: the words are lost, and nothing else.
  trap 'SIGNALLED=1' PIPE
  trap finish EXIT
  WORK=$(mktemp -d)
  open_output
  for lane in "${!LANE_GPUS[@]}"; do
    name=$(lane_name "$lane")
    if docker container inspect "$name" >/dev/null 2>&1; then
      die 2 "the run $RUN_ID has a container already: docker logs $name" "运行 $RUN_ID 已有容器：docker logs $name"
    fi
  done
  say "run $RUN_ID" "运行编号 $RUN_ID"
  if [[ -n $GOVERNOR ]]; then governor=$(json "$GOVERNOR"); fi
  record "\"kind\":\"asked\",\"governor\":$governor,$(asked_json)"
  record_host before
  if [[ $GPUS != none ]]; then
    probe_command
    "${COMMAND[@]}" >"$WORK/probe" 2>&1 </dev/null || {
      code=$?
      cat "$WORK/probe" >&2 || true
      ((code == 125 || code == 126 || code == 127)) && exit "$code"
      die 5 "there is no CUDA in the container, so nothing would be measured on the GPU" \
        "容器中没有可用的 CUDA，无法在 GPU 上测量"
    }
  fi
  pin
  record_host pinned
  start_sampler
  code=0
  for lane in "${!LANE_GPUS[@]}"; do
    docker_command "$lane"
    STARTED+=("$(lane_name "$lane")")
    [[ -z $STATE ]] || will_change "container $(lane_name "$lane")"
    # Should the engine hang, the client does not wait for ever.
    local -a patience=(timeout --signal=TERM "--kill-after=$GRACE_S" "$((TIMEOUT_S + 2 * GRACE_S))")
    mkfifo "$WORK/out-$lane" "$WORK/err-$lane"
    prefix=
    if ((${#LANE_GPUS[@]} > 1)); then prefix="[$lane] "; fi
    relay "$prefix" <"$WORK/out-$lane" 2>/dev/null &
    RELAYS+=($!)
    relay "$prefix" <"$WORK/err-$lane" >&2 2>/dev/null &
    RELAYS+=($!)
    "${patience[@]}" "${COMMAND[@]}" </dev/null >"$WORK/out-$lane" 2>"$WORK/err-$lane" &
    CHILDREN+=($!)
  done
  for lane in "${!CHILDREN[@]}"; do
    code=0
    wait_for "${CHILDREN[lane]}" || code=$?
    if ((code == 137)) && [[ $(docker inspect --format '{{.State.OOMKilled}}' "${STARTED[lane]}" 2>/dev/null) == true ]]; then
      say "the container ran out of its memory: --memory-mib gives it more" "容器内存耗尽：可用 --memory-mib 调大"
    elif ((code == 124)); then
      say "ended after $TIMEOUT_S s: --timeout-s gives it more" "运行超过 $TIMEOUT_S 秒而被终止：可用 --timeout-s 调大"
    fi
    # Where a signal meets timeout(1) just as it starts its child it ends with 143 by itself, and the container goes on:
    # that is a run that was stopped, and not the job's own exit code.
    if ((STOPPED && code == 143)) && [[ $(docker inspect --format '{{.State.Running}}' "${STARTED[lane]}" 2>/dev/null) == true ]]; then
      code=130
    fi
    if ((${#CHILDREN[@]} > 1)); then say "container $lane ended with $code" "容器 $lane 的退出码为 $code"; fi
    if ((code > gravest)); then gravest=$code; fi
  done
  CHILDREN=()
  # Such a timeout(1) leaves its child behind; the container must not go on.
  if ((STOPPED)); then
    for name in "${STARTED[@]}"; do docker stop --time "$GRACE_S" "$name" >/dev/null 2>&1 || true; done
  fi
  for lane in "${!RELAYS[@]}"; do wait_for "${RELAYS[lane]}" || true; done
  stop_sampler
  record_host after
  idle=$(idle_gpus)
  if [[ $GPUS != none && -n $idle ]]; then
    say "GPU ${idle% } was idle all through" "GPU ${idle% } 始终空闲"
    if ((gravest == 0)) && { ((PER_GPU)) || [[ $(wc -l <"$WORK/seen") == "$(wc -w <<<"$idle")" ]]; }; then
      say "a GPU was asked for and nothing ran on it, so the run counts as failed; --gpus none measures without" \
        "要求使用 GPU 却没有任何计算在其上运行，本次运行视为失败；不用 GPU 请加 --gpus none"
      gravest=4
    fi
  fi
  if [[ -n $OUT ]]; then
    collect="hexgate platforms collect --from $OUT --run-id $RUN_ID --expect $(parts) --out collected"
    say "exit code $gravest; next: $collect" "退出码 $gravest；下一步：$collect"
  fi
  exit "$gravest"
}

parse "$@"
if [[ -n $RESTORE ]]; then
  restore "$RESTORE"
  exit 0
fi
prepare
lanes
if ((DRY_RUN)); then show; else run; fi
