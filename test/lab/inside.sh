# shellcheck shell=bash disable=SC2154 # variables of the including script
# What is done inside a running test machine of either kind.
#
# Sourced by lab and vm; needs run_inside(), machine_runs(),
# boot_failed() and die().
#
# Files are copied by tar over the channel of exec, also for the lab: by way
# of /proc/PID/root, absolute links inside (/var/run) would lead to the outer
# machine. The meaning of the destination is that of cp -a: into it if it is
# a directory, else the new name. Modes and times are kept; what is pushed
# belongs to root.

# shellcheck disable=SC2016
receive='set -e
name=$1 dest=$2 tmp=$(mktemp -d)
trap "rm -rf \"$tmp\"" EXIT
tar -xpf - -C "$tmp"
case $dest in */) mkdir -p "$dest" ;; *) mkdir -p "$(dirname "$dest")" ;; esac
cp -a -- "$tmp/$name" "$dest"'

push_file() {
  local source=$1 dest=$2
  [[ -e $source ]] || die "push: $source does not exist"
  source=$(realpath -s -- "$source")
  tar --owner=root:0 --group=root:0 -C "${source%/*}/" -cf - -- "${source##*/}" |
    run_inside sh -c "$receive" push "${source##*/}" "$dest" ||
    die "push: could not copy $source to $dest in '$name'"
}

pull_file() {
  local source=$1 dest=$2
  source=${source%/}
  [[ $source == /?* ]] || die "pull: '$1' is not an absolute path"
  run_inside test -e "$source" </dev/null || die "pull: $source does not exist in '$name'"
  run_inside tar -C "${source%/*}/" -cf - -- "${source##*/}" </dev/null |
    sh -c "$receive" pull "${source##*/}" "$dest" ||
    die "pull: could not copy $source from '$name' to $dest"
}

# install_debs FILE... - one dpkg call, so that they may depend on each other
install_debs() {
  local deb in_machine=()
  for deb; do
    push_file "$deb" /run/debs/
    in_machine+=("/run/debs/${deb##*/}")
  done
  run_inside env DEBIAN_FRONTEND=noninteractive dpkg --force-unsafe-io --install "${in_machine[@]}" \
    </dev/null >"$dir/dpkg.log" 2>&1 || {
    tail -n 20 "$dir/dpkg.log" | sed 's/^/  | /' >&2
    die "dpkg could not install ${*##*/} in '$name'; a missing dependency goes to --with"
  }
  run_inside rm -rf /run/debs </dev/null
}

# wait_until_running SECONDS - systemd answers 'running' only when the boot is
# over and no unit failed. Asked too early, before D-Bus is there, it cannot be
# reached: asks again.
wait_until_running() {
  local state deadline=$((SECONDS + $1))
  while :; do
    state=$(run_inside timeout "$1" systemctl is-system-running --wait </dev/null 2>&1) || true
    case $state in
      running) return ;;
      degraded) units_failed ;;
    esac
    machine_runs || boot_failed "it ended, and systemd had said '$state'"
    ((SECONDS < deadline)) || boot_failed "systemd says '$state' after $1 s"
    sleep 0.05
  done
}

# The machine is gone after a failed up: say what its journal knows.
units_failed() {
  local unit
  for unit in $(run_inside systemctl --no-legend --plain --failed </dev/null | cut -d ' ' -f 1); do
    run_inside systemctl --no-pager --full --lines=10 status "$unit" </dev/null | sed 's/^/  | /' >&2 || true
  done
  die "a unit failed in '$name', see above"
}
