# shellcheck shell=bash disable=SC2154 # variables of the including script
# One lab machine: its directory, its cgroup, its processes.
#
# Sourced by lab; needs $cache, $tool, $here and die().
# $cache/labs/NAME holds everything that a machine is:
#   image       path of the image it stands on
#   pid         PID 1 as seen from outside, and its start time
#   upper work  what was written over the image
#   plain       /var, /opt, … as plain directories
#   root        where the machine mounts its root, visible only inside
#   console.log what was said before the journal took over
# All processes of a machine are in one cgroup (v2), from before the first
# of its namespaces is made. So whatever happened to whoever started it, the
# cgroup is enough to end it completely.

boot_timeout=${BULKHEAD_LAB_TIMEOUT:-90}

# machine NAME - checks the name and sets $name, $dir and $cgroup
machine() {
  name=$1
  [[ $name =~ ^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$ ]] ||
    die "'$name' is not a name for a machine; use up to 32 of a-z, 0-9 and '-'"
  dir=$cache/labs/$name
  cgroup=$(cgroup2_mount)/bulkhead-lab-$name
}

# The cgroup v2 hierarchy: the whole of it on a current system, a side branch
# without controllers on one with both versions.
cgroup2_mount() {
  local line target=''
  while read -r line; do
    [[ ${line#* - } == cgroup2\ * ]] || continue
    read -r _ _ _ _ target _ <<<"$line"
    [[ $target != /sys/fs/cgroup ]] || break
  done </proc/self/mountinfo
  [[ -n $target ]] || die "no cgroup2 file system is mounted here; mount one: mount -t cgroup2 none /sys/fs/cgroup"
  printf '%s' "$target"
}

# Lets the machine have all controllers that there are; none in a side branch.
enable_controllers() {
  local controller
  for controller in $(<"${cgroup%/*}/cgroup.controllers"); do
    grep -qw "$controller" "$cgroup/cgroup.controllers" ||
      echo "+$controller" >"${cgroup%/*}/cgroup.subtree_control" 2>/dev/null || true
  done
}

# Sets $pid if the machine runs; a pid taken over by a stranger does not count.
machine_runs() {
  local started stat fields
  read -r pid started 2>/dev/null <"$dir/pid" || return 1
  read -r stat 2>/dev/null <"/proc/$pid/stat" || return 1
  read -r -a fields <<<"${stat##*) }"
  [[ ${fields[19]} == "$started" && ${fields[0]} != Z ]]
}

require_machine() {
  [[ -d $dir ]] || die "there is no machine '$name'; start it with: lab up $name"
}

require_running() {
  require_machine
  machine_runs || die "the machine '$name' is not running; start it again with 'lab boot $name' or remove it with 'lab down $name'"
}

# The machine's own disk: identity, and the directories that are not overlaid.
make_disk() {
  local image=$1 plain
  mkdir -p "$dir"/{upper/etc,work,root,plain}
  for plain in var opt srv home root; do
    cp -a "$image/$plain" "$dir/plain/$plain"
  done
  printf '%s\n' "$name" >"$dir/upper/etc/hostname"
  printf '127.0.0.1 localhost %s\n::1 localhost ip6-localhost ip6-loopback\n' "$name" >"$dir/upper/etc/hosts"
  tr -d - </proc/sys/kernel/random/uuid >"$dir/upper/etc/machine-id"
}

# Starts the processes and waits until systemd has finished booting.
boot_machine() {
  local image deadline=$((SECONDS + boot_timeout))
  image=$(<"$dir/image")
  rm -f "$dir/pid"
  mkdir -p "$cgroup"
  enable_controllers
  # unshare does not fork here: what the inner shell starts is PID 1 of the
  # new pid namespace, the shell itself ends, and no process stays behind in
  # the topmost cgroup, where it would keep systemd from enabling controllers.
  (
    echo "$BASHPID" >"$cgroup/cgroup.procs"
    # shellcheck disable=SC2016
    exec setsid unshare --mount --pid --cgroup --uts --ipc --net --propagation private \
      bash -c '"$0" "$@" &' "$here/machine-init" "$dir" "$image" "$name"
  ) </dev/null >"$dir/console.log" 2>&1 &
  wait "$!" || boot_failed "could not make the namespaces"
  until [[ -s $dir/pid ]] && machine_runs && [[ -S /proc/$pid/root/run/systemd/private ]]; do
    ((SECONDS < deadline)) || boot_failed "systemd did not come up within $boot_timeout s"
    [[ ! -s $dir/pid ]] || machine_runs || boot_failed "its first process ended"
    sleep 0.02
  done
  mkdir -p "$cgroup/lab-exec"
  wait_until_running "$((deadline - SECONDS))"
}

boot_failed() {
  [[ ! -s $dir/console.log ]] || tail -n 15 "$dir/console.log" | sed 's/^/  | /' >&2
  die "the machine '$name' did not boot: $1"
}

# run_inside CMD... - replaces nothing: a subshell that becomes the command
run_inside() { (become_inside "$@"); }

# become_inside CMD... - the calling process becomes the command, inside.
# The command dies with its caller, as it would without a machine between.
become_inside() {
  echo "$BASHPID" >"$cgroup/lab-exec/cgroup.procs"
  exec nsenter --target "$pid" --mount --pid --uts --ipc --net --cgroup -- \
    /usr/bin/env -i HOME=/root USER=root LOGNAME=root SHELL=/bin/bash LANG=C.UTF-8 "TERM=${TERM:-dumb}" \
    PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    /usr/bin/setpriv --pdeathsig TERM -- "$@"
}

# Ends all processes of the machine at once and removes its cgroup.
stop_machine() {
  local tries procs
  for ((tries = 0; tries < 500; tries++)); do
    if [[ ! -d $cgroup ]]; then # the first process may outlive it a little
      machine_runs || return 0
    elif [[ -e $cgroup/cgroup.kill ]]; then
      echo 1 >"$cgroup/cgroup.kill" 2>/dev/null || true
    else # before Linux 5.14
      procs=$(find "$cgroup" -name cgroup.procs -exec cat {} + 2>/dev/null | grep -v '^0$' || true)
      # shellcheck disable=SC2086
      [[ -z $procs ]] || kill -KILL $procs 2>/dev/null || true
    fi
    find "$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
    sleep 0.01
  done
  die "processes of '$name' do not end; see $cgroup/cgroup.procs"
}

# Loop devices that were set up by hand, from files of this machine.
detach_loops() {
  local file
  for file in /sys/block/loop*/loop/backing_file; do
    [[ -e $file && $(<"$file") == "$dir"/* ]] || continue
    file=${file#/sys/block/}
    losetup --detach "/dev/${file%%/*}" || true
  done
}

remove_machine() {
  stop_machine
  detach_loops
  rm -rf --one-file-system "$dir"
}

# Asks systemd to power off and waits for the last process to end.
poweroff_machine() {
  local deadline=$((SECONDS + boot_timeout))
  run_inside systemctl start poweroff.target --job-mode=replace-irreversibly --no-block </dev/null
  while machine_runs; do
    ((SECONDS < deadline)) || die "'$name' is still shutting down after $boot_timeout s; cut the power with: lab kill $name"
    sleep 0.05
  done
  stop_machine
}
