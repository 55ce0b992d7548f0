# shellcheck shell=bash
# The tests that run on lab machines. Sourced by test/run, which has suite(),
# tap() and mocha().
#
# inside/   run by mocha inside one machine with the package installed; they share it, so each cleans up
# outside/  run by mocha here; they boot machines of their own
# ../escape a hostile plugin, inside one machine of its own
# ../failures plugins that fail in every way, inside one machine of their own

lab_suites() {
  test/host/setup lab
  packaging/package --fast
  test/host/inside-tree
  suite 'lab machine' tap test/lab/selftest
  suite 'inside a lab' inside_machine test/lab/lab 'build/js/test/lab/inside/**/*.test.js' "$@"
  suite 'escapes' inside_machine test/lab/lab 'build/js/test/escape/**/*.test.js' "$@"
  suite 'failures' inside_machine test/lab/lab 'build/js/test/failures/**/*.test.js' "$@"
  suite 'on labs' mocha --timeout 300000 "$@" 'build/js/test/lab/outside/**/*.test.js'
}

