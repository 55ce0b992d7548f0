# shellcheck shell=bash
# The tests that need a real cgroup v2 with all controllers, on one virtual
# machine that they share. Sourced by test/run, which has suite(), tap() and
# mocha().

vm_suites() {
  test/host/setup vm
  packaging/package --fast
  test/host/inside-tree
  suite 'virtual machine' tap test/vm/selftest
  suite 'inside a virtual machine' inside_machine test/vm/vm 'build/js/test/vm/inside/**/*.test.js' "$@"
}
