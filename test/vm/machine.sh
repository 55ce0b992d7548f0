# shellcheck shell=bash disable=SC2154 # variables of the including script
# One virtual machine: its directory and its QEMU process.
#
# Sourced by vm. $cache/vms/NAME holds everything that a machine is:
#   image       path of the disk image it stands on
#   disk.qcow2  what was written over it
#   pid port    QEMU's process; the loopback port of the agent
#   serial.log  what the kernel said

boot_timeout=${BULKHEAD_VM_TIMEOUT:-180}

# machine NAME - checks the name and sets $name and $dir
machine() {
  name=$1
  [[ $name =~ ^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$ ]] ||
    die "'$name' is not a name for a machine; use up to 32 of a-z, 0-9 and '-'"
  dir=$cache/vms/$name
}

# Sets $pid if the machine runs; a pid taken over by a stranger does not count.
machine_runs() {
  read -r pid 2>/dev/null <"$dir/pid" || return 1
  tr '\0' '\n' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF -- "file=$dir/disk.qcow2,"
}

require_machine() {
  [[ -d $dir ]] || die "there is no machine '$name'; start it with: vm up $name"
}

require_running() {
  require_machine
  machine_runs || die "the machine '$name' is not running; start it again with 'vm boot $name' or remove it with 'vm down $name'"
}

make_disk() {
  qemu-img create -q -f qcow2 -b "$1/root.ext4" -F raw "$dir/disk.qcow2"
}

# The CPU model is one that software emulation implements, without cx16:
# some versions of QEMU emulate cmpxchg16b so that the guest's kernel dies
# now and then. Mitigations are off because nobody attacks this machine and
# page table isolation doubles the cost of a system call under emulation.
# One thread emulates both CPUs in turn: with a thread each, the guest's kernel
# now and then dies of patching its own code while the other CPU runs it.
start_qemu() {
  local image tries
  image=$(<"$dir/image")
  rm -f "$dir/pid"
  for ((tries = 0; tries < 20; tries++)); do
    port=$((20000 + RANDOM % 12000)) # below what the kernel gives to others
    if setsid qemu-system-x86_64 -daemonize -pidfile "$dir/pid" -name "$name" \
      -accel tcg,thread=single -machine q35,hpet=off,vmport=off -cpu Haswell-noTSX,-cx16,-pcid,-tsc-deadline,-x2apic \
      -smp 2 -m 2048 -nodefaults -no-user-config -display none \
      -kernel "$image/vmlinux" \
      -append "root=/dev/nvme0n1 rw console=ttyS0 loglevel=4 mitigations=off random.trust_cpu=on no_timer_check systemd.show_status=no systemd.log_target=journal systemd.hostname=$name net.ifnames=0" \
      -drive "file=$dir/disk.qcow2,if=none,id=disk,format=qcow2,cache=unsafe" -device nvme,drive=disk,serial=disk \
      -serial "file:$dir/serial.log" \
      -netdev "user,id=net,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:$port-10.0.2.15:1" \
      -device virtio-net-pci,netdev=net,romfile= \
      -device virtio-rng-pci \
      </dev/null >"$dir/qemu.log" 2>&1; then
      printf '%s\n' "$port" >"$dir/port"
      return
    fi
    grep -q 'host forwarding rule' "$dir/qemu.log" || break
  done
  sed 's/^/  | /' "$dir/qemu.log" >&2
  die "QEMU did not start for '$name', see the lines above"
}

boot_machine() {
  local deadline=$((SECONDS + boot_timeout))
  start_qemu
  until grep -q 'vm-agent: ready' "$dir/serial.log"; do
    machine_runs || boot_failed "QEMU ended"
    ! grep -q 'Kernel panic' "$dir/serial.log" || boot_failed "the kernel panicked"
    ((SECONDS < deadline)) || boot_failed "no sign of its agent within $boot_timeout s"
    sleep 0.1
  done
  wait_until_running "$((deadline - SECONDS))"
}

boot_failed() {
  tail -n 25 "$dir/serial.log" | sed 's/^/  | /' >&2
  die "the machine '$name' did not boot: $1; the lines above are the end of $dir/serial.log"
}

run_inside() { (become_inside "$@"); }

# become_inside CMD... - the calling process becomes the command's client
become_inside() {
  exec "$here/client" "$(<"$dir/port")" "$(<"$dir/image")/key" 30 "$@"
}

# Cuts the power: what the guest had not written out is lost. Not by the pid
# file alone: whoever started QEMU may have been killed before it was there.
stop_machine() {
  local tries found
  for ((tries = 0; tries < 500; tries++)); do
    found=$(qemu_pids)
    [[ -n $found ]] || return 0
    # shellcheck disable=SC2086 # several numbers
    kill -KILL $found 2>/dev/null || true
    sleep 0.02
  done
  die "QEMU of '$name' does not end: $found"
}

# All QEMU processes that have this machine's disk.
qemu_pids() {
  local file
  for file in $(grep -laF -- "file=$dir/disk.qcow2," /proc/[0-9]*/cmdline 2>/dev/null); do
    file=${file%/cmdline}
    [[ $(cat "$file/comm" 2>/dev/null) != qemu-system-* ]] || echo "${file#/proc/}"
  done
}

remove_machine() {
  stop_machine
  rm -rf --one-file-system "$dir"
}
