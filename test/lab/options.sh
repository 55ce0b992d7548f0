# shellcheck shell=bash disable=SC2034,SC2154 # variables of, or for, the including script
# Options and environment that every test machine understands.
#
# Sourced by lab and vm; needs die() and misused().
# Sets $cache, $suite, $debs and $with.

# mount and QEMU separate their options by ',' and ':'.
cache=${BULKHEAD_CACHE:-/var/cache/bulkhead-test}
[[ $cache =~ ^/[A-Za-z0-9._/-]+$ ]] ||
  die "BULKHEAD_CACHE='$cache' must be an absolute path of letters, digits, '.', '_' and '-'"

suite=trixie debs=() with=()
parse_options() {
  while (($#)); do
    case $1 in
      --deb | --with | --suite) (($# > 1)) || misused "$1 needs a value" ;;
      *) misused "unknown option '$1'" ;;
    esac
    case $1 in
      --deb)
        [[ -f $2 ]] || die "--deb: $2 does not exist; build it first: npm run package"
        debs+=("$2")
        ;;
      --with) IFS=', ' read -r -a with <<<"${with[*]-} $2" ;;
      --suite)
        [[ $2 == trixie || $2 == bookworm ]] || misused "--suite: '$2' is neither trixie nor bookworm"
        suite=$2
        ;;
    esac
    shift 2
  done
}
