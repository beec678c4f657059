# read_power_mode: sets MODE_ID and MODE_NAME by what nvpmodel says; empty where it says nothing.
read_power_mode() {
  local said
  MODE_ID='' MODE_NAME=''
  while IFS= read -r said; do
    if [[ $said =~ ^NV\ Power\ Mode:\ *(.*[^ ])\ *$ ]]; then MODE_NAME=${BASH_REMATCH[1]}; fi
    if [[ $said =~ ^[0-9]+$ ]]; then MODE_ID=$said; fi
  done < <(nvpmodel -q 2>/dev/null </dev/null || true)
}
