# shellcheck shell=bash disable=SC2154 # variables of the including script
# How the demo speaks. Sourced by demo and, inside the machine, by story; $rows is
# the file that collects the report.

bold='' dim='' green='' red='' plain=''
if [[ ${COLOURS-} == yes ]]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' red=$'\e[31m' plain=$'\e[0m'
fi

heading() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
say() { printf '%s\n' "$*"; }

# show COMMAND...: prints the command and, indented, what it says; returns its status
show() {
  local status=0
  printf '%s  # %s%s\n' "$dim" "$*" "$plain"
  "$@" </dev/null 2>&1 | sed 's/^/    /' || status=${PIPESTATUS[0]}
  return "$status"
}

# expect WHAT EXPECTED SEEN TEST...: a row of the report; TEST decides whether it is as expected
expect() {
  local what=$1 expected=$2 seen=$3 verdict=ok
  shift 3
  "$@" || verdict=NO
  printf '%s\t%s\t%s\t%s\n' "$what" "$expected" "$seen" "$verdict" >>"$rows"
  local colour=$green
  [[ $verdict == ok ]] || colour=$red
  printf '  %s[%s] %s: %s%s\n' "$colour" "$verdict" "$what" "$seen" "$plain"
}
