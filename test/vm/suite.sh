# shellcheck shell=bash disable=SC2154 # variables of the including script
# The tests that need a real cgroup v2 with all controllers, on one virtual machine that they share. Sourced by test/run,
# which has job(), suite(), drain() and enqueue(). One thread emulates the machine: a second one would be as fast.

vm_inside() {
  suite 'virtual machine' tap test/vm/selftest
  drain 'inside a virtual machine' test/vm/vm vm "${options[@]}"
}

vm_jobs() {
  local files
  mapfile -t files < <(compiled test/vm/inside)
  enqueue vm "${files[@]}"
  job vm_inside
}
