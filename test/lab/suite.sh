# shellcheck shell=bash disable=SC2154 # variables of the including script
# The tests that run on lab machines. Sourced by test/run, which has job(), suite(), drain() and enqueue().
#
# inside/   run by mocha inside machines with the package installed, shared out by files
# outside/  run by mocha here; they boot machines of their own
# ../escape a hostile plugin, inside one machine of its own
# ../failures plugins that fail in every way, inside one machine of their own
# ../upgrades plugins that change their versions, inside one machine of their own
# ../calls   plugins that are called, inside one machine of their own

# Files of inside/ that take half a minute and more, longest first: at the end, nothing should be waited for.
longest=(supervisor stdio weights python-sdk network-adapter audit-broken isolation-broken crash network scope-steps plugin-runs)

lab_outside() {
  suite 'lab machine' tap test/lab/selftest
  suite 'on labs' mocha --timeout 300000 "${options[@]}" 'build/js/test/lab/outside/**/*.test.js'
}

lab_jobs() {
  local lane files
  mapfile -t files < <(compiled test/escape)
  enqueue escape "${files[@]}"
  mapfile -t files < <(compiled test/failures)
  enqueue failures "${files[@]}"
  mapfile -t files < <(compiled test/upgrades)
  enqueue upgrades "${files[@]}"
  mapfile -t files < <(compiled test/calls)
  enqueue calls "${files[@]}"
  mapfile -t files < <(compiled test/lab/inside "${longest[@]}")
  enqueue inside "${files[@]}"
  job drain 'escapes' test/lab/lab escape "${options[@]}"
  job drain 'failures' test/lab/lab failures "${options[@]}"
  job drain 'upgrades' test/lab/lab upgrades "${options[@]}"
  job drain 'calls' test/lab/lab calls "${options[@]}"
  job lab_outside
  for ((lane = 0; lane < lanes; lane++)); do job drain 'inside a lab' test/lab/lab inside "${options[@]}"; done
}
