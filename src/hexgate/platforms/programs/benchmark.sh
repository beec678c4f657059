HERE=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
HOT_C=70

# ---- what a person reads

# words ENGLISH CHINESE
words() {
  if [[ $SPEAKS == zh ]]; then printf '%s' "$2"; else printf '%s' "$1"; fi
}

# heading ENGLISH CHINESE
heading() { printf '\n== %s\n' "$(words "$1" "$2")" >&2 || true; }

# row NAME ENGLISH CHINESE: one finding.
row() { printf '%-12s %s\n' "$1" "$(words "$2" "$3")" >&2 || true; }

usage() {
  if [[ $SPEAKS == zh ]]; then
    cat <<'TEXT'
用法：run_benchmark.sh [动作] [类别|all] [选项]

动作（在终端中不带动作时显示菜单）：
  check                  检查设备：Python、hexgate、电表、tegrastats、模型、磁盘、温度；不做测量
  full 类别|all          检查、计划、运行、评判、评分、导出、完整性检查、评级、报告
  run 类别|all           只检查、计划、运行
  after                  只做运行之后的各步，如在联网的机器上评判
  restore                恢复被强行终止的运行所改动的功耗模式与时钟

选项：
  --study FILE           研究描述（默认为本脚本旁的 study.yaml）
  --out DIR              结果目录（默认为研究描述旁的 results）
  --power-mode N         运行期间切换到 nvpmodel 模式 N，结束后切回；需要 root 或免密码 sudo。
                         编号因模块而异，最大性能未必是 0，见 nvpmodel -q --verbose
  --jetson-clocks        运行期间用 jetson_clocks 锁定时钟，结束后恢复；需要 root 或免密码 sudo
  --limit N              本次最多执行 N 次运行
  --lang en|zh           语言
  --help                 显示本帮助

hexgate 依次取自：环境变量 HEXGATE、本脚本旁的 .venv、PATH。停止后再次执行同一命令即继续。
退出码：各步中最严重者：0 完成；2 用法、研究描述或设备不满足要求；4 有运行失败或证据不完整；5 服务停止响应；
130 被中断。
TEXT
  else
    cat <<'TEXT'
Usage: run_benchmark.sh [ACTION] [CATEGORY|all] [OPTIONS]

Actions (without one, on a terminal, a menu):
  check                  what this device is, has and lacks: Python, hexgate, meters, tegrastats, models, disk,
                         temperature; nothing is measured
  full CATEGORY|all      check, plan, runs, judge, scores, export, completeness, rating, report
  run CATEGORY|all       check, plan and runs alone
  after                  what comes after the runs alone, such as on a machine with a network
  restore                put back power mode and clocks that a run which was killed has left changed

Options:
  --study FILE           the study (study.yaml beside this script)
  --out DIR              folder of the results (results beside the study)
  --power-mode N         nvpmodel's mode N while it runs, and back at the end; needs root, or sudo without a
                         password. The numbers differ between modules, and the fastest is not always 0:
                         nvpmodel -q --verbose
  --jetson-clocks        clocks pinned by jetson_clocks while it runs, and put back; needs the same
  --limit N              at most N runs this time
  --lang en|zh           language
  --help                 this text

hexgate is taken from the environment variable HEXGATE, the .venv beside this script, or the path, in this order.
Stopped, the same command goes on.
Exit code: the gravest of the steps: 0 done; 2 usage, the study, or this device lacks something; 4 runs failed, or
evidence is not complete; 5 a server stopped answering; 130 interrupted.
TEXT
  fi
}

# ---- the command line

ARGS=("$@")
ACTION=
CATEGORY=all
STUDY=$HERE/study.yaml
OUT=
POWER_MODE=
JETSON_CLOCKS=0
LIMIT=()

parse() {
  local word value index
  local -a rest=()
  # The language first, so that mistakes are told in it.
  for ((index = 1; index <= $#; index++)); do
    [[ ${!index} == --lang ]] || continue
    value=$((index + 1))
    value=${!value:-}
    [[ $value =~ ^(en|zh)$ ]] || die 2 "--lang: got '$value', expected en or zh" "--lang：得到'$value'，应为 en 或 zh"
    SPEAKS=$value
  done
  export HEXGATE_LANG=$SPEAKS
  while (($#)); do
    word=$1
    shift
    case $word in
      --help | -h)
        usage
        exit 0
        ;;
      --jetson-clocks) JETSON_CLOCKS=1 ;;
      --study | --out | --power-mode | --limit | --lang)
        (($#)) && [[ -n $1 ]] || die 2 "$word needs a value" "$word 需要一个值"
        value=$1
        shift
        case $word in
          --study) STUDY=$value ;;
          --out) OUT=$value ;;
          --power-mode)
            [[ $value =~ ^[0-9]+$ ]] || die 2 "--power-mode: got '$value', expected a number" \
              "--power-mode：得到'$value'，应为编号"
            POWER_MODE=$value
            ;;
          --limit) LIMIT=(--limit "$value") ;;
        esac
        ;;
      -*) die 2 "no such option: $word; --help lists them" "没有这个选项：$word；见 --help" ;;
      *) rest+=("$word") ;;
    esac
  done
  ACTION=${rest[0]:-}
  CATEGORY=${rest[1]:-all}
  ((${#rest[@]} <= 2)) || die 2 "too many words: ${rest[2]}; --help tells how" "多余的参数：${rest[2]}；见 --help"
  case $ACTION in
    '' | full | run) ;;
    check | after | restore)
      ((${#rest[@]} == 1)) || die 2 "$ACTION takes no category" "$ACTION 不带类别"
      ;;
    *) die 2 "no such action: $ACTION; --help lists them" "没有这个动作：$ACTION；见 --help" ;;
  esac
  [[ -f $STUDY ]] || die 2 "there is no such study: $STUDY; name one with --study" \
    "没有这个研究描述：$STUDY；请用 --study 指定"
  OUT=${OUT:-$(dirname -- "$STUDY")/results}
}

# ---- hexgate

PROGRAM=

find_hexgate() {
  local one
  if [[ -n ${HEXGATE:-} ]]; then
    PROGRAM=$(command -v -- "$HEXGATE") || die 2 "HEXGATE: there is no such program: $HEXGATE" \
      "HEXGATE：没有这个程序：$HEXGATE"
    return 0
  fi
  for one in "$HERE/.venv/bin/hexgate" "$(command -v hexgate)"; do
    if [[ -n $one && -x $one ]]; then
      PROGRAM=$one
      return 0
    fi
  done
  die 2 "there is no hexgate: python3 -m venv $HERE/.venv && $HERE/.venv/bin/pip install -r requirements.txt" \
    "没有 hexgate：python3 -m venv $HERE/.venv && $HERE/.venv/bin/pip install -r requirements.txt"
}

WORK=

# read_plan [--task NAME]: what the plan says, to $WORK/plan: a name, a tab and a value in each line.
read_plan() {
  local code=0
  "$PROGRAM" study run "$STUDY" --plan-only "$@" >"$WORK/plan.json" </dev/null || code=$?
  ((code == 0)) || exit "$code"
  python3 -c '
import json, sys
with open(sys.argv[1], encoding="utf-8") as file:
    plan = json.load(file)
estimate = plan["estimate"]
found = {
    **{name: plan[name] for name in ("models", "targets", "tasks", "loads", "quality")},
    **{name: ["yes"] * plan[name] for name in ("judge", "rating")},
    "runs": [len(plan["runs"])],
    "hours": [format(estimate["hours"], ".2g")],
    "disk_gb": [format(estimate["disk_gb"], ".2g")],
}
sys.stdout.reconfigure(encoding="utf-8")
for name, values in found.items():
    for value in values:
        print(name, value, sep="\t")
' "$WORK/plan.json" >"$WORK/plan" || exit 2
}

# of_plan NAME: its values, one line each; nothing where the study has none.
of_plan() { sed -n "s/^$1\t//p" "$WORK/plan"; }

# has NAME: whether the study has a block of this name.
has() { [[ -n $(of_plan "$1") ]]; }

# ---- the check

LACKS=0

# lack NAME ENGLISH CHINESE: something without which nothing can be measured.
lack() {
  LACKS=$((LACKS + 1))
  row "$1" "MISSING: $2" "缺少：$3"
}

is_jetson() { [[ -e $ROOT/etc/nv_tegra_release ]]; }

check_jetson() {
  local line
  if ! is_jetson; then
    row jetson "no: this is another Linux machine, and the study runs with what it has" \
      "否：这是其他 Linux 机器，按其现有条件运行"
    return 0
  fi
  IFS= read -r line <"$ROOT/etc/nv_tegra_release" || true
  row jetson "${line#\# }" "${line#\# }"
  if command -v tegrastats >/dev/null; then
    row tegrastats "there" "有"
  else
    row tegrastats "not there; hexgate reads the rails from the kernel where it can, see below" \
      "没有；hexgate 尽量从内核读取各路供电，见下"
  fi
  read_power_mode
  row nvpmodel "${MODE_NAME:-it says nothing} ${MODE_ID:+(mode $MODE_ID)}" \
    "${MODE_NAME:-没有输出} ${MODE_ID:+（模式 $MODE_ID）}"
  if line=$(as_root jetson_clocks --show 2>/dev/null </dev/null); then
    row clocks "as jetson_clocks shows them:" "jetson_clocks 的输出："
    printf '%s\n' "$line" | sed 's/^/             /' >&2
  else
    row clocks "shown to root alone" "仅 root 可查看"
  fi
}

check_models() {
  local target file gguf=0
  while IFS= read -r target; do
    [[ $target == gguf:* ]] || continue
    gguf=1
    file=${target#gguf:}
    [[ $file == /* ]] || file=$(dirname -- "$STUDY")/$file
    if [[ -r $file ]]; then
      row model "${file##*/}, $(($(stat -L -c %s -- "$file") / 1000000)) MB" \
        "${file##*/}，$(($(stat -L -c %s -- "$file") / 1000000)) MB"
    else
      lack model "$file cannot be read" "$file 无法读取"
    fi
  done < <(of_plan targets)
  ((gguf)) || return 0
  if file=$(command -v -- "${HEXGATE_LLAMA_SERVER:-llama-server}"); then
    row llama.cpp "$file" "$file"
  elif [[ -n ${HEXGATE_LLAMA_SERVER:-} ]]; then
    lack llama.cpp "HEXGATE_LLAMA_SERVER names no program: $HEXGATE_LLAMA_SERVER" \
      "HEXGATE_LLAMA_SERVER 不是程序：$HEXGATE_LLAMA_SERVER"
  else
    row llama.cpp "no llama-server on the path: hexgate takes xllamacpp, which may compute on the CPU alone" \
      "PATH 中没有 llama-server：使用 xllamacpp，它可能只用 CPU"
  fi
}

check_room() {
  local free_kb need folder=$OUT zone value hottest=-1 left_mb=
  while [[ ! -d $folder ]]; do folder=$(dirname -- "$folder"); done
  free_kb=$(df -Pk -- "$folder" | awk 'NR == 2 {print $4}')
  need=$(of_plan disk_gb)
  if awk -v free="$free_kb" -v need="$need" 'BEGIN {exit !(free * 1024 < (need + 0.5) * 1e9)}'; then
    lack disk "$((free_kb / 1000000)) GB free, the study takes $need GB and some room" \
      "剩余 $((free_kb / 1000000)) GB，研究需要 $need GB 及余量"
  else
    row disk "$((free_kb / 1000000)) GB free, the study takes $need GB at most" \
      "剩余 $((free_kb / 1000000)) GB，研究最多需要 $need GB"
  fi
  left_mb=$(awk '/^MemAvailable:/ {print int($2 / 1000)}' "$ROOT/proc/meminfo" 2>/dev/null)
  row memory "${left_mb:-?} MB available" "可用 ${left_mb:-?} MB"
  for zone in "$ROOT"/sys/class/thermal/thermal_zone*/temp; do
    { IFS= read -r value <"$zone"; } 2>/dev/null || continue
    [[ $value =~ ^[0-9]+$ ]] && ((value / 1000 > hottest)) && hottest=$((value / 1000))
  done
  if ((hottest < 0)); then
    row temperature "not shown here" "本机不显示"
  elif ((hottest >= HOT_C)); then
    row temperature "$hottest C: let it cool down first, a hot device throttles" "$hottest 摄氏度：过热会降频，请先冷却"
  else
    row temperature "$hottest C" "$hottest 摄氏度"
  fi
  row load "$(cut -d' ' -f1-3 "$ROOT/proc/loadavg" 2>/dev/null); other programs' work counts into energy and time" \
    "$(cut -d' ' -f1-3 "$ROOT/proc/loadavg" 2>/dev/null)；其他程序的负载会计入能耗与时间"
}

check() {
  local model=
  heading "This device" "设备"
  { model=$(tr -d '\0' <"$ROOT/proc/device-tree/model"); } 2>/dev/null
  row device "${model:-$(uname -srm)}" "${model:-$(uname -srm)}"
  check_jetson
  row python "$(python3 --version 2>&1)" "$(python3 --version 2>&1)"
  row hexgate "$("$PROGRAM" --version 2>&1), $PROGRAM" "$("$PROGRAM" --version 2>&1)，$PROGRAM"
  check_models
  check_room
  if has judge; then row judge "configured" "已配置"; else row judge "the study has none" "研究中没有"; fi
  heading "What can be measured (hexgate doctor)" "可测量的内容（hexgate doctor）"
  "$PROGRAM" doctor >&2 </dev/null || LACKS=$((LACKS + 1))
  ((LACKS == 0)) || die 2 "the device lacks what is marked MISSING" "设备缺少上面标明的项"
}

# ---- power mode and clocks, put back at the end

PINNED=
# Whether what is pinned is put back at the end of this very call.
OWN=0

# pinned_by_another: whether another process that lives has pinned this device, and will put it back itself.
pinned_by_another() {
  local pid='' start=''
  { read -r pid start <"$PINNED/owner"; } 2>/dev/null || return 1
  [[ $pid != "$$" ]] && alive "$pid" "$start"
}

# put_back: what stands in $PINNED. It is written down before a change, and taken out when it is put back.
put_back() {
  local failed=0
  [[ -n $PINNED && -d $PINNED ]] || return 0
  ! pinned_by_another || return 0
  if [[ -s $PINNED/clocks ]]; then
    if as_root jetson_clocks --restore "$PINNED/clocks" >/dev/null 2>&1 </dev/null; then
      rm -f -- "$PINNED/clocks"
    else
      failed=1
    fi
  fi
  if [[ -s $PINNED/power_mode ]]; then
    if as_root nvpmodel -m "$(<"$PINNED/power_mode")" >/dev/null 2>&1 </dev/null; then
      rm -f -- "$PINNED/power_mode"
    else
      failed=1
    fi
  fi
  if ((failed)); then
    say "NOT put back: power mode or clocks; as root: $(quoted bash "$0" restore --study "$STUDY" --out "$OUT")" \
      "未能恢复功耗模式或时钟；请以 root 执行：$(quoted bash "$0" restore --study "$STUDY" --out "$OUT")"
    return 1
  fi
  rm -rf -- "$PINNED"
  say "power mode and clocks are put back" "功耗模式与时钟已恢复"
}

# ready_to_pin: what an earlier run left is put back, and no other run is going on.
ready_to_pin() {
  if pinned_by_another; then
    die 2 "another run_benchmark.sh has pinned this device for $OUT" "另一个 run_benchmark.sh 已为 $OUT 锁定本机"
  fi
  put_back || exit 5
}

pin() {
  [[ -n $POWER_MODE ]] || ((JETSON_CLOCKS)) || return 0
  heading "Power mode and clocks" "功耗模式与时钟"
  as_root true 2>/dev/null || die 2 "--power-mode and --jetson-clocks need root, or sudo without a password" \
    "--power-mode 与 --jetson-clocks 需要 root 或免密码 sudo"
  OWN=1
  mkdir -p -- "$PINNED"
  printf '%s %s\n' "$$" "$(started_at $$)" >"$PINNED/owner"
  if [[ -n $POWER_MODE ]]; then
    read_power_mode
    [[ -n $MODE_ID ]] || die 2 "nvpmodel does not say which mode is on" "nvpmodel 没有给出当前模式"
    if [[ $MODE_ID != "$POWER_MODE" ]]; then
      printf '%s\n' "$MODE_ID" >"$PINNED/power_mode"
      # Some modes need a reboot, for which it asks: it gets no answer.
      as_root nvpmodel -m "$POWER_MODE" >"$WORK/said" 2>&1 </dev/null || true
      read_power_mode
      [[ $MODE_ID == "$POWER_MODE" ]] || die 2 "nvpmodel did not go to mode $POWER_MODE: $(head -n 1 "$WORK/said")" \
        "nvpmodel 未切换到模式 $POWER_MODE：$(head -n 1 "$WORK/said")"
    fi
    row nvpmodel "$MODE_NAME (mode $MODE_ID)" "$MODE_NAME（模式 $MODE_ID）"
  fi
  if ((JETSON_CLOCKS)); then
    if ! as_root jetson_clocks --store "$PINNED/clocks" >"$WORK/said" 2>&1 </dev/null ||
      ! as_root jetson_clocks >"$WORK/said" 2>&1 </dev/null; then
      die 2 "jetson_clocks failed: $(head -n 1 "$WORK/said")" "jetson_clocks 失败：$(head -n 1 "$WORK/said")"
    fi
    row clocks "pinned" "已锁定"
  fi
}

# ---- steps

CHILD=
SIGNALLED=0
STOPPED=0
GRAVEST=0

# shellcheck disable=SC2329 # a trap calls it
on_signal() {
  SIGNALLED=1 STOPPED=1
  if [[ -n $CHILD ]]; then kill -TERM "$CHILD" 2>/dev/null || true; else exit 130; fi
}

# shellcheck disable=SC2329 # a trap calls it
finish() {
  local code=$?
  trap '' INT TERM HUP
  trap - EXIT
  if ((OWN)); then put_back || code=5; fi
  [[ -z $WORK ]] || rm -rf -- "$WORK"
  if ((STOPPED || code == 130)); then
    say "stopped; what was measured is kept. To go on: $(quoted bash "$0" "${ARGS[@]+"${ARGS[@]}"}")" \
      "已停止，已测得的内容会保留。继续请执行：$(quoted bash "$0" "${ARGS[@]+"${ARGS[@]}"}")"
    code=130
  fi
  exit "$code"
}

# step ENGLISH CHINESE ARGUMENT...: one command of hexgate, as a child that a signal stops properly.
step() {
  local code=0
  heading "$1" "$2"
  shift 2
  printf '%s\n' "\$ $(quoted hexgate "$@")" >&2 || true
  "$PROGRAM" "$@" </dev/null &
  CHILD=$!
  while :; do
    SIGNALLED=0 code=0
    wait "$CHILD" || code=$?
    ((SIGNALLED)) || break
  done
  CHILD=
  # Of those commands that SIGTERM ends outright, too, what was done is kept.
  if ((code == 143)); then code=130; fi
  if ((code > GRAVEST)); then GRAVEST=$code; fi
  if ((STOPPED || code == 130)); then exit 130; fi
  return "$code"
}

plan() {
  [[ $CATEGORY == all ]] || read_plan --task "$CATEGORY"
  heading "The plan" "计划"
  row models "$(of_plan models | paste -sd, -)" "$(of_plan models | paste -sd, -)"
  row category "$CATEGORY" "$CATEGORY"
  row levels "$(of_plan loads | paste -sd, -)" "$(of_plan loads | paste -sd, -)"
  row runs "$(of_plan runs), at most $(of_plan hours) h and $(of_plan disk_gb) GB; idle power is measured in each visit" \
    "$(of_plan runs) 次，最多 $(of_plan hours) 小时、$(of_plan disk_gb) GB；每轮都测待机功耗"
}

runs() {
  local -a task=()
  [[ $CATEGORY == all ]] || task=(--task "$CATEGORY")
  local code=0
  step "Runs" "运行" study run "$STUDY" --out "$OUT/study" "${task[@]+"${task[@]}"}" "${LIMIT[@]+"${LIMIT[@]}"}" || code=$?
  # 4: all was made, and some failed: what there is is worth telling.
  if ((code != 0 && code != 4)); then
    say "the runs ended with $code; to go on: $(quoted bash "$0" "${ARGS[@]+"${ARGS[@]}"}")" \
      "运行以 $code 结束；继续请执行：$(quoted bash "$0" "${ARGS[@]+"${ARGS[@]}"}")"
    exit "$code"
  fi
}

# left_out ENGLISH CHINESE BLOCK
left_out() {
  say "$1: left out, the study has no block $3" "$2：跳过，研究中没有 $3 一节"
}

find_runs() {
  [[ -e $OUT/study/study.json ]] || die 2 "there are no runs in $OUT/study" "$OUT/study 中没有运行记录"
}

after() {
  find_runs
  local -a part=()
  if [[ $CATEGORY != all ]]; then
    part=(--without counts)
    say "one category: that the others have no runs yet is not counted as a lack" "单个类别：其他类别尚无运行，不计为缺失"
  fi
  if has judge; then
    step "Judge" "评判" study judge "$OUT/study" --spec "$STUDY"
  else
    left_out "judge" "评判" judge
  fi
  if has quality; then
    step "Scores" "评分" study score "$OUT/study" --spec "$STUDY"
  else
    left_out "scores" "评分" quality
  fi
  # The workbooks hold the scores, so they come after them.
  step "Export" "导出" study export "$OUT/study" --spec "$STUDY" --out "$OUT/export" "${part[@]+"${part[@]}"}"
  step "Completeness" "完整性检查" study check "$OUT/study" --spec "$STUDY" "${part[@]+"${part[@]}"}"
  if has rating; then
    step "Rating" "评级" study rate "$OUT/study" --spec "$STUDY" --out "$OUT/rating"
  else
    left_out "rating" "评级" rating
  fi
  step "Report" "报告" study report "$OUT/study" --spec "$STUDY" --out "$OUT/report.html"
  heading "Done" "完成"
  row results "$OUT" "$OUT"
}

menu() {
  local answer
  {
    printf '\n1) %s\n2) %s\n3) %s\n4) %s\n5) %s\n' \
      "$(words "check this device" "检查设备")" \
      "$(words "everything" "全部")" \
      "$(words "one category" "单个类别")" \
      "$(words "what comes after the runs" "运行之后的各步")" \
      "$(words "leave" "退出")"
    words "Choose: " "请选择："
  } >&2
  read -r answer || exit 2
  case $answer in
    1) ACTION=check ;;
    2) ACTION=full ;;
    3)
      ACTION=full
      {
        of_plan tasks
        words "Category: " "类别："
      } >&2
      read -r CATEGORY || exit 2
      ;;
    4) ACTION=after ;;
    5) exit 0 ;;
    *) die 2 "no such choice: $answer" "没有这个选项：$answer" ;;
  esac
  ARGS=("$ACTION" "$CATEGORY" "${ARGS[@]+"${ARGS[@]}"}")
  [[ $ACTION == full ]] || ARGS=("$ACTION" "${ARGS[@]:2}")
}

main() {
  parse "$@"
  find_hexgate
  command -v python3 >/dev/null || die 2 "there is no python3" "没有 python3"
  PINNED=$OUT/pinned
  WORK=$(mktemp -d)
  trap finish EXIT
  trap on_signal INT TERM HUP
  if [[ $ACTION == restore ]]; then
    [[ -d $PINNED ]] || say "nothing is pinned" "没有需要恢复的内容"
    OWN=1
    exit 0
  fi
  if [[ -z $ACTION && (! -t 0 || ! -t 2) ]]; then
    usage >&2
    exit 2
  fi
  if [[ $ACTION == after ]]; then find_runs; fi
  read_plan
  [[ -n $ACTION ]] || menu
  if [[ $CATEGORY != all && $'\n'$(of_plan tasks)$'\n' != *$'\n'"$CATEGORY"$'\n'* ]]; then
    die 2 "no such category: $CATEGORY; there are: $(of_plan tasks | paste -sd' ' -)" \
      "没有这个类别：$CATEGORY；可用：$(of_plan tasks | paste -sd' ' -)"
  fi
  case $ACTION in
    check) check ;;
    full | run)
      ready_to_pin
      check
      mkdir -p -- "$OUT" || die 2 "the folder cannot be made: $OUT" "无法创建目录：$OUT"
      pin
      plan
      runs
      if [[ $ACTION == full ]]; then after; fi
      ;;
    after) after ;;
  esac
  exit "$GRAVEST"
}

main "$@"
