# shellcheck shell=bash
# The tests that run on lab machines. Sourced by test/run, which has suite(),
# tap() and mocha().
#
# inside/   run by mocha inside one machine with the package installed; they share it, so each cleans up
# outside/  run by mocha here; they boot machines of their own

lab_suites() {
  test/host/setup lab
  packaging/package --fast
  test/host/inside-tree
  suite 'lab machine' tap test/lab/selftest
  suite 'inside a lab' inside_lab "$@"
  suite 'on labs' mocha --timeout 300000 "$@" 'build/js/test/lab/outside/**/*.test.js'
}

inside_lab() {
  local machine=inside-$$ status=0 deb counts
  deb=$(ls -t build/bulkhead_*.deb | head -n 1)
  test/lab/lab up "$machine" --deb "$deb"
  # The machine goes with the run, however that ends.
  trap 'test/lab/lab down "inside-$$" || true; rm -f "$BULKHEAD_TEST_COUNTS"' EXIT
  test/lab/lab push "$machine" build/inside /opt/bulkhead-test
  test/lab/lab exec "$machine" env -C /opt/bulkhead-test BULKHEAD_TEST_COUNTS=/tmp/counts CI="${CI-}" \
    node_modules/.bin/mocha --reporter build/js/test/support/count-reporter.js --timeout 60000 "$@" \
    'build/js/test/lab/inside/**/*.test.js' </dev/null || status=$?
  counts=$(test/lab/lab exec "$machine" cat /tmp/counts </dev/null || true)
  [[ -z $counts ]] || printf '%s\n' "$counts" >>"$BULKHEAD_TEST_COUNTS"
  if ((status != 0)); then
    mkdir -p build/logs
    test/lab/lab exec "$machine" journalctl -o short-monotonic --no-pager </dev/null >build/logs/inside-lab.txt || true
    echo "the machine's journal: build/logs/inside-lab.txt" >&2
  fi
  test/lab/lab down "$machine"
  return "$status"
}
