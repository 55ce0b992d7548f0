# shellcheck shell=bash
# The few lines that the self-tests of lab and vm need to report.
#
# check NAME CMD... runs a command and prints 'ok N - NAME' or 'not ok …'
# with what the command said; finish prints the plan and sets the status.

number=0 failed=0

check() {
  local title=$1 said status
  shift
  number=$((number + 1))
  set +e # only so that a function called here stops at its first error
  said=$(set -e && "$@" 2>&1)
  status=$?
  set -e
  if ((status == 0)); then
    echo "ok $number - $title"
  else
    failed=$((failed + 1))
    echo "not ok $number - $title"
    printf '# %s\n' "${said//$'\n'/$'\n# '}"
  fi
}

# status_is N CMD... - the command ends with that exit status
status_is() {
  local wanted=$1 status=0
  shift
  "$@" </dev/null || status=$?
  ((status == wanted)) || { echo "exit status $status instead of $wanted"; return 1; }
}

# prints TEXT CMD... - the command succeeds and prints exactly that
prints() {
  local wanted=$1 printed
  shift
  printed=$("$@") || { echo "exit status $?; $printed"; return 1; }
  [[ $printed == "$wanted" ]] || { printf 'printed: %s\nwanted:  %s\n' "$printed" "$wanted"; return 1; }
}

# says PATTERN CMD... - the command fails and its message contains that
says() {
  local wanted=$1 said
  shift
  ! said=$("$@" 2>&1 </dev/null) || { echo "succeeded"; return 1; }
  [[ $said == *"$wanted"* ]] || { printf 'said:   %s\nwanted: %s\n' "$said" "$wanted"; return 1; }
}

# fails CMD... - with status 1: anything else is a fault of the test
fails() { status_is 1 "$@"; }

finish() {
  echo "1..$number"
  ((failed == 0))
}
