# shellcheck shell=bash disable=SC2154 # variables of the including script
# Copying files into and out of a test machine, by tar over its exec channel.
#
# Sourced by lab and vm; needs run_inside() and die(). Not done through
# /proc/PID/root, because absolute links inside (/var/run) would then lead to
# the outer machine. The meaning of the destination is that of cp -a: into it
# if it is a directory, else the new name. Modes and times are kept; what is
# pushed belongs to root.

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
