# shellcheck shell=bash disable=SC2154 # variables of the including script
# Making a machine is all or nothing.
#
# Sourced by lab and vm; needs $tool, $name, $dir, remove_machine(),
# stop_mmdebstrap() and die(). Between guard and unguard, however the script
# ends, the machine is removed again. (SIGKILL cannot be caught: 'down'
# removes what that leaves.)

abandon() {
  trap - EXIT
  trap '' INT TERM HUP
  stop_mmdebstrap
  [[ -z ${dir-} ]] || remove_machine
}

guard() {
  trap abandon EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM
  trap 'exit 129' HUP
}

unguard() { trap - EXIT INT TERM HUP; }

# Takes the name by making its directory, and guards it. A signal must not
# fall between the two, nor remove the machine of another owner of the name.
claim_machine() {
  local late=0
  mkdir -p "${dir%/*}"
  trap 'late=130' INT
  trap 'late=143' TERM
  trap 'late=129' HUP
  (trap '' INT TERM HUP && exec mkdir "$dir") 2>/dev/null ||
    die "there is a machine '$name' already; remove it with '$tool down $name' or take another name"
  guard
  ((late == 0)) || exit "$late"
}
