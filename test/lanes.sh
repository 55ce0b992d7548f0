# shellcheck shell=bash
# Jobs of a test run, side by side in so many lanes. Sourced by test/run.
#
# A job is a list of suites that follow each other; what it prints comes suite
# by suite, each in one piece. Jobs share nothing but queues of test files.
#
# $run is a directory of this run's own:
#   counts.N    lines "PASSED FAILED SKIPPED" of job N
#   failed      names of suites in which something failed
#   recap       what they said of it, to be seen at the end of a long log
#   machines    "TOOL NAME" of each machine, noted before it is made; tests that make some do so, too
#   queue.NAME  test files that nobody has taken yet

lanes=${BULKHEAD_TEST_LANES:-2}
[[ $lanes =~ ^[1-9]$ ]] || { echo "run: BULKHEAD_TEST_LANES='$lanes' is not a number from 1 to 9" >&2; exit 2; }

MOST_RECAP=80 # lines of each suite

jobs=()
# job FUNCTION ARGUMENT...: to be done by run_jobs, in this order
job() {
  local words
  printf -v words '%q ' "$@"
  jobs+=("$words")
}

declare -A running=()
run_jobs() {
  local next=0 ended
  # Each job is a process group: it can be ended with all that it started.
  set -m
  while ((next < ${#jobs[@]} || ${#running[@]} > 0)); do
    while ((next < ${#jobs[@]} && ${#running[@]} < lanes)); do
      (
        set +m
        BULKHEAD_TEST_COUNTS=$run/counts.$next
        : >"$BULKHEAD_TEST_COUNTS"
        eval "${jobs[next]}"
      ) </dev/null &
      running[$!]=${jobs[next]}
      next=$((next + 1))
    done
    wait -n -p ended "${!running[@]}" || fails "a job broke off: ${running[$ended]}"
    unset "running[$ended]"
  done
  set +m
}

# Ends what runs, and removes all machines.
end_jobs() {
  local pid
  for pid in "${!running[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
  for pid in "${!running[@]}"; do wait "$pid" 2>/dev/null || true; done
  [[ -e $BULKHEAD_TEST_MACHINES ]] || return 0
  while read -r tool machine; do "$tool" down "$machine" </dev/null || true; done <"$BULKHEAD_TEST_MACHINES"
}

# fails NAME: counts a failure that no test could count
fails() {
  echo "$1" >>"$run/failed"
  echo '0 1 0' >>"$BULKHEAD_TEST_COUNTS"
}

# failures: prints how many this job has counted
failures() { awk '{ failed += $2 } END { print failed + 0 }' "$BULKHEAD_TEST_COUNTS"; }

# recap NAME OUTPUT: keeps what mocha, TAP or one() said of failures; with one lane there is no file, but they were seen
recap() {
  [[ -e $2 ]] || return 0
  {
    printf '\n== %s\n' "$1"
    sed -n -E '/^ +[0-9]+ failing/,$p; /^not ok/,/^(ok|[0-9.]+$)/p; /^  FAILED/p' "$2" | head -n "$MOST_RECAP"
  } >>"$run/recap"
}

# suite NAME COMMAND...: a command that counts its own tests
suite() {
  local name=$1 before after failed status=0 started=$SECONDS output=$run/output.$BASHPID
  shift
  before=$(wc -l <"$BULKHEAD_TEST_COUNTS")
  failed=$(failures)
  if ((lanes == 1)); then
    printf '\n== %s\n' "$name"
    "$@" || status=$?
  else
    printf '\n-- begins: %s\n' "$name"
    "$@" >"$output" 2>&1 || status=$?
  fi
  after=$(wc -l <"$BULKHEAD_TEST_COUNTS")
  {
    ((lanes == 1)) || { printf '\n== %s\n' "$name" && cat "$output"; }
    if ((after == before)); then
      echo "$name broke off with status $status before it could count its tests"
      fails "$name"
    elif (($(failures) > failed)); then
      echo "$name" >>"$run/failed"
      recap "$name" "$output"
    elif ((status != 0)); then
      echo "$name ended with status $status although no test failed"
      fails "$name"
    fi
    printf '== %s: %d s\n' "$name" $((SECONDS - started))
  } > >(flock "$run" cat)
  wait "$!" # for the printing
  rm -f "$output"
}

# enqueue QUEUE FILE...: test files, in the order in which they are to be taken
enqueue() {
  local queue=$run/queue.$1 number=1000
  shift
  mkdir "$queue"
  for file; do
    printf '%s\n' "$file" >"$queue/$number"
    number=$((number + 1))
  done
}

# compiled DIRECTORY NAME...: prints the test files of the directory, those first that are named; one pattern for all where
# mocha has options, which will leave little of most files
compiled() {
  local directory=$1 name
  shift
  if ((${#options[@]})); then
    echo "build/js/$directory/**/*.test.js"
    return
  fi
  {
    for name; do echo "$directory/$name.test.ts"; done
    find "$directory" -name '*.test.ts' | LC_ALL=C sort
  } | awk '!seen[$0]++' | sed 's|.*|build/js/&|; s|ts$|js|'
}

# left_over: files that no lane could take count as failures
left_over() {
  local entry
  for entry in "$run"/queue.*/*; do
    [[ ! -e $entry ]] || fails "not run: $(<"$entry")"
  done
}

# take QUEUE: prints a file that nobody else gets; fails when none is left
take() {
  local entry
  for entry in "$run/queue.$1"/*; do
    mv "$entry" "$run/taken.$BASHPID" 2>/dev/null || continue # another lane was faster
    cat "$run/taken.$BASHPID"
    return
  done
  return 1
}

# drain TITLE TOOL QUEUE MOCHA-OPTION...: runs files of the queue until none is left, by mocha inside one machine of the
# tool (lab or vm) with the package installed; the files share the machine, so each cleans up after itself
drain() {
  local title=$1 tool=$2 queue=$3 machine=${2##*/}-$BASHPID-run file before
  shift 3
  machine_is_up=no
  before=$(failures)
  while file=$(take "$queue"); do
    suite "$title: $(basename "$file" .test.js)" inside "$tool" "$machine" "$file" "$@"
  done
  [[ $machine_is_up == yes ]] || return 0
  if (($(failures) > before)); then
    mkdir -p build/logs
    "$tool" exec "$machine" journalctl -o short-monotonic --no-pager </dev/null >"build/logs/$machine.txt" || true
    echo "$title: the machine's journal is in build/logs/$machine.txt"
  fi
  "$tool" down "$machine"
}

# inside TOOL MACHINE FILES MOCHA-OPTION...
inside() {
  local tool=$1 machine=$2 files=$3 status=0 patience=1500 deb setting with=() settings=()
  shift 3
  if [[ $machine_is_up == no ]]; then
    echo "$tool $machine" >>"$BULKHEAD_TEST_MACHINES"
    deb=$(find build -maxdepth 1 -name 'bulkhead_*.deb' -printf '%T@ %p\n' | sort -n | tail -n 1 | cut -d' ' -f2)
    # A virtual machine alone has a kernel whose core dumps are its own.
    [[ $tool != */vm ]] || with=(--with systemd-coredump)
    "$tool" up "$machine" "${with[@]}" --deb "$deb" || return
    "$tool" push "$machine" build/inside /opt/bulkhead-test || return
    machine_is_up=yes
  fi
  # How much of them is run, where somebody says it; longer ones have longer.
  for setting in BULKHEAD_ROWS BULKHEAD_KILLS BULKHEAD_UPGRADES BULKHEAD_REQUESTS; do
    [[ ! -v $setting ]] || settings+=("$setting=${!setting}") patience=10800
  done
  # A file that does not come to its end is a failure, and does not take the others with it. What a failed test left
  # running (--exit) is no reason to wait.
  "$tool" exec "$machine" env -C /opt/bulkhead-test BULKHEAD_TEST_COUNTS=/tmp/counts CI="${CI-}" \
    "${settings[@]}" timeout --kill-after=10 "$patience" \
    node_modules/.bin/mocha --reporter build/js/test/support/count-reporter.js --timeout 60000 --exit "$@" "$files" \
    </dev/null || status=$?
  "$tool" exec "$machine" sh -c 'cat /tmp/counts && rm /tmp/counts' </dev/null >>"$BULKHEAD_TEST_COUNTS" || true
  return "$status"
}
