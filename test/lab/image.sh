# shellcheck shell=bash disable=SC2154 # variables of the including script
# Root file system images for test machines, built once and cached.
#
# Sourced by lab and by vm; needs $cache, $tool and die().
# An image is a plain directory made by mmdebstrap. Its name carries two
# hashes: what is in it (suite and packages) and how it is made (this file).
# An image of the same content, made by another version of this file, is
# removed when the new one is there, unless a machine still stands on it.
# Building goes on under a temporary name and ends in a rename: whatever has
# a final name is complete.

image_packages=(
  systemd systemd-sysv systemd-container dbus polkitd udev kmod
  iproute2 nftables procps util-linux strace bubblewrap squashfs-tools erofs-utils
  nodejs python3 python3-msgpack curl libseccomp2
)

# No unit of a test machine may reach for devices, for the console or for
# kernel settings, which belong to the machine it runs on; timers only make
# noise.
image_masks=(
  systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket
  getty.target console-getty.service getty@tty1.service serial-getty@ttyS0.service
  systemd-logind.service
  systemd-sysctl.service systemd-modules-load.service
  sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount
  sys-fs-fuse-connections.mount dev-hugepages.mount
  systemd-remount-fs.service systemd-pstore.service modprobe@efi_pstore.service
  systemd-binfmt.service proc-sys-fs-binfmt_misc.automount
  apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer
  e2scrub_all.timer e2scrub_reap.service
)

hash_of() { sha256sum | cut -c1-10; }

# image_name SUITE PKG... - the name that an image of this content has now
image_name() {
  local suite=$1 content recipe
  content=$(printf '%s\n' "$@" | hash_of)
  recipe=$(hash_of <"${BASH_SOURCE[0]}")
  printf 'root-%s-%s-%s' "$suite" "$content" "$recipe"
}

# Runs "$@" with all images locked: one builder or collector at a time.
with_images_locked() {
  local lock_fd status=0
  mkdir -p "$cache/images"
  exec {lock_fd}>"$cache/images/.lock"
  flock --timeout 2 "$lock_fd" || {
    echo "$tool: waiting for another builder of images…" >&2
    flock "$lock_fd"
  }
  images_lock_fd=$lock_fd
  "$@" || status=$?
  exec {lock_fd}>&-
  return "$status"
}

# use_image SUITE MACHINE_DIR PKG... - builds the image if it is missing,
# notes in MACHINE_DIR/image which one the machine stands on (so that it is
# not collected), and sets $image. Call it with the images locked.
use_image() {
  local suite=$1 machine_dir=$2 name
  shift 2
  mapfile -t packages < <(printf '%s\n' "${image_packages[@]}" "$@" | LC_ALL=C sort -u)
  name=$(image_name "$suite" "${packages[@]}")
  image=$cache/images/$name
  if [[ ! -d $image ]]; then
    find "$cache/images" -mindepth 1 -maxdepth 1 -name '.new-*' -exec rm -rf --one-file-system {} +
    echo "$tool: building image $suite${*:+ with $*} (once, about 30 s)…" >&2
    build_image "$suite" "$cache/images/.new-$name" "${packages[@]}"
    mv -T "$cache/images/.new-$name" "$image"
    echo "$tool: image is ready" >&2
  fi
  touch "$image"
  [[ -z $machine_dir ]] || printf '%s\n' "$image" >"$machine_dir/image"
  collect_images "$name"
}

# Removes other makings of the image NAME, and what was not used for a month.
collect_images() {
  local kept=$1 old used
  used=$(cat "$cache"/*/*/image 2>/dev/null || true)
  while IFS= read -r old; do
    [[ $old == "$cache/images/$kept" ]] || grep -qxF -- "$old" <<<"$used" ||
      rm -rf --one-file-system "$old"
  done < <(
    find "$cache/images" -mindepth 1 -maxdepth 1 -name "${kept%-*}-*"
    find "$cache/images" -mindepth 1 -maxdepth 1 -name '[!.]*' -mtime +30
  )
}

# The archive this machine itself uses, as lines for sources.list; nothing if
# apt cannot tell, and then mmdebstrap takes its own default.
# shellcheck disable=SC2016 # the fields are expanded by apt
machine_sources() {
  local suite=$1 main security
  main=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' 2>/dev/null | sort -u | head -n 1)
  security=$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian-Security' 2>/dev/null | sort -u | head -n 1)
  [[ -n $main ]] || return 0
  printf 'deb %s %s main\n' "$main" "$suite" "$main" "$suite-updates"
  [[ -z $security ]] || printf 'deb %s %s main\n' "$security" "$suite-security"
}

# run_mmdebstrap ARG... - in the background and waited for, so that an
# interrupt takes effect at once; stop_mmdebstrap ends it then.
run_mmdebstrap() {
  local log=$1 proxy='' options=() status=0
  shift
  eval "$(apt-config shell proxy Acquire::http::Proxy)"
  [[ -z $proxy ]] || options+=(--aptopt="Acquire::http::Proxy \"$proxy\"")
  mmdebstrap "${options[@]}" "$@" >"$log" 2>&1 </dev/null {images_lock_fd}>&- &
  mmdebstrap_pid=$!
  wait "$mmdebstrap_pid" || status=$?
  mmdebstrap_pid=
  return "$status"
}

mmdebstrap_pid=
stop_mmdebstrap() {
  [[ -n $mmdebstrap_pid ]] || return 0
  kill -TERM "$mmdebstrap_pid" 2>/dev/null || true
  wait "$mmdebstrap_pid" 2>/dev/null || true
  rm -rf --one-file-system "$cache"/images/.new-*
}

# build_image SUITE DIR PKG...
build_image() {
  local suite=$1 dir=$2 list log=$cache/images/build.log sources unit
  shift 2
  "$here/../host/packages" mmdebstrap gpg || exit
  list=$(IFS=,; printf '%s' "$*")
  mapfile -t sources < <(machine_sources "$suite")
  run_mmdebstrap "$log" --mode=root --format=directory --variant=minbase \
    --include="$list" "$suite" "$dir" "${sources[@]}" || {
    tail -n 15 "$log" | sed 's/^/  | /' >&2
    die "mmdebstrap could not build the image $suite; the lines above are the end of $log"
  }
  for unit in "${image_masks[@]}"; do
    ln -sf /dev/null "$dir/etc/systemd/system/$unit"
  done
  # All is fresh: no need to rebuild caches in the first boot of each machine.
  touch -r "$dir/usr" "$dir/etc/.updated" "$dir/var/.updated"
  # systemd stops looking at the mount table for a second after five changes
  # of it; credentials of its own services would be such changes at boot.
  mkdir -p "$dir/etc/systemd/system/systemd-.service.d"
  printf '[Service]\nImportCredential=\nLoadCredential=\n' >"$dir/etc/systemd/system/systemd-.service.d/test.conf"
  mkdir -p "$dir/etc/systemd/journald.conf.d"
  printf '[Journal]\nStorage=volatile\nRateLimitIntervalSec=0\nReadKMsg=no\n' >"$dir/etc/systemd/journald.conf.d/test.conf"
  # Nothing of the machine that built it; each test machine writes its own.
  : >"$dir/etc/resolv.conf"
  rm -f "$dir/etc/hostname" "$dir/etc/machine-id" "$dir/var/lib/dbus/machine-id"
}
