# shellcheck shell=bash disable=SC2154 # variables of the including script
# Disk images for virtual machines, made from the root images of the lab.
#
# Sourced by vm, after ../lab/image.sh. An image is a directory:
#   root.ext4  the disk; machines write to copy-on-write files over it
#   vmlinux    the kernel, as plain ELF where possible: that boots without
#              firmware and decompression, which emulation makes slow
#   key        lets its owner run commands in the machines
# There is no initrd: NVMe and ext4 are built into Debian's cloud kernel.

disk_size=3G

# These have nothing to harm in a machine of their own.
image_unmasks=(
  systemd-sysctl.service sys-kernel-debug.mount sys-kernel-tracing.mount
)

# Each costs time at boot and has nothing to do in a machine that lives for
# one test; under emulation every process start takes about 0.1 s.
vm_masks=(
  systemd-tmpfiles-setup-dev-early.service systemd-tmpfiles-setup-dev.service
  systemd-udev-trigger.service systemd-udev-settle.service
  systemd-random-seed.service systemd-journal-flush.service
  systemd-user-sessions.service systemd-tmpfiles-clean.timer
  modprobe@configfs.service modprobe@drm.service modprobe@fuse.service
  modprobe@dm_mod.service modprobe@loop.service
  systemd-hibernate-clear.service systemd-machine-id-commit.service
  systemd-growfs-root.service systemd-fsck-root.service
  systemd-boot-random-seed.service systemd-bsod.service
  systemd-udev-load-credentials.service systemd-network-generator.service
  kmod-static-nodes.service ldconfig.service
)

# use_vm_image SUITE MACHINE_DIR PKG... - as use_image, and sets $image to the
# directory of the disk image. Call it with the images locked.
use_vm_image() {
  local suite=$1 machine_dir=$2 name root content recipe
  shift 2
  "$here/../host/packages" qemu-system-x86 qemu-utils e2fsprogs zstd xz-utils python3 || exit
  use_image "$suite" '' "$@"
  root=$image
  content=${root##*/root-}
  recipe=$({ echo "$content" && cat "$here"/{image.sh,agent}; } | hash_of)
  name=vm-${content%-*}-$recipe
  image=$cache/images/$name
  if [[ ! -d $image ]]; then
    echo "vm: building disk image $suite${*:+ with $*} (once, about 20 s)…" >&2
    build_vm_image "$root" "$cache/images/.new-$name"
    mv -T "$cache/images/.new-$name" "$image"
    echo "vm: disk image is ready" >&2
  fi
  touch "$image"
  [[ -z $machine_dir ]] || printf '%s\n' "$image" >"$machine_dir/image"
  collect_images "$name"
}

# build_vm_image ROOT DIR
build_vm_image() {
  local tree=$2/tree dir=$2 unit log=$cache/images/build.log
  rm -rf --one-file-system "$dir"
  mkdir -p "$dir"
  cp -a "$1" "$tree"
  add_kernel "$tree" "$dir" >"$log" 2>&1 || {
    tail -n 15 "$log" | sed 's/^/  | /' >&2
    die "could not add a kernel to the disk image; the lines above are the end of $log"
  }
  for unit in "${image_unmasks[@]}"; do rm -f "$tree/etc/systemd/system/$unit"; done
  for unit in "${vm_masks[@]}"; do ln -sf /dev/null "$tree/etc/systemd/system/$unit"; done
  sed -i /ReadKMsg/d "$tree/etc/systemd/journald.conf.d/test.conf"
  # Without an identity systemd would take this for a first boot.
  tr -d - </proc/sys/kernel/random/uuid >"$tree/etc/machine-id"
  printf '127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n' >"$tree/etc/hosts"
  add_agent "$tree" "$dir"
  mke2fs -q -t ext4 -d "$tree" "$dir/root.ext4" "$disk_size" >"$log" 2>&1 ||
    die "mke2fs could not make the disk image; see $log"
  chmod 600 "$dir/root.ext4"
  rm -rf --one-file-system "$tree"
}

# add_kernel TREE DIR - only unpacked: installing it would pull in the tools
# that make initrds and boot loaders.
add_kernel() (
  set -e
  tree=$1 dir=$2
  apt=(
    -o "Dir=$tree" -o Dir::Bin::methods=/usr/lib/apt/methods -o "Dir::State::status=$tree/var/lib/dpkg/status"
    -o "Dir::Etc::Trusted=$tree/etc/apt/trusted.gpg" -o "Dir::Etc::TrustedParts=$tree/etc/apt/trusted.gpg.d"
    -o APT::Sandbox::User=root
  )
  mkdir "$dir/kernel"
  cd "$dir/kernel"
  apt-get "${apt[@]}" update
  package=$(apt-cache "${apt[@]}" depends linux-image-cloud-amd64 | sed -n 's/^ *Depends: //p' | head -n 1)
  apt-get "${apt[@]}" download "$package"
  rm -rf "$tree"/var/lib/apt/lists/* "$tree"/var/cache/apt/*.bin
  dpkg-deb -x ./*.deb .
  version=${package#linux-image-}
  mkdir -p "$tree/usr/lib/modules"
  for modules in ./lib/modules/* ./usr/lib/modules/*; do
    [[ ! -d $modules ]] || cp -a "$modules" "$tree/usr/lib/modules/"
  done
  chroot "$tree" depmod "$version"
  extract_kernel "boot/vmlinuz-$version" >"$dir/vmlinux"
  # The ELF note that says where to enter it; older kernels have none.
  LC_ALL=C grep -qaP '\x12\0\0\0Xen\0' "$dir/vmlinux" || cp "boot/vmlinuz-$version" "$dir/vmlinux"
  cd /
  rm -rf "$dir/kernel"
)

# extract_kernel BZIMAGE - the ELF file packed in it. Where the packed part
# is: Documentation/arch/x86/boot.rst, setup_sects and payload_offset; its
# last four bytes are the unpacked size.
extract_kernel() {
  local setup offset length unpack
  setup=$(od -An -tu1 -j497 -N1 "$1")
  offset=$((($(od -An -tu4 -j584 -N4 "$1")) + (setup + 1) * 512))
  length=$(od -An -tu4 -j588 -N4 "$1")
  case $(od -An -tx4 -j"$offset" -N4 "$1") in
    *fd2fb528) unpack=zstd ;;
    *587a37fd) unpack=xz ;;
    *) echo "$1: the kernel is packed in an unknown way"; return 1 ;;
  esac
  tail -c "+$((offset + 1))" "$1" | head -c "$((length - 4))" | "$unpack" -dc
}

# add_agent TREE DIR - what lets 'vm exec' in; see agent
add_agent() {
  local units=$1/etc/systemd/system
  install -m 755 "$here/agent" "$1/usr/local/sbin/vm-agent"
  (
    umask 077
    od -An -tx1 -N32 /dev/urandom | tr -d ' \n' >"$2/key"
  )
  install -m 600 "$2/key" "$1/etc/vm-agent.key"
  cat >"$units/vm-agent.service" <<'UNIT'
[Unit]
Description=Runs the commands of 'vm exec'
DefaultDependencies=no
[Service]
ExecStart=/usr/bin/python3 -IS /usr/local/sbin/vm-agent
KillMode=mixed
TasksMax=infinity
UNIT
  mkdir -p "$units/sysinit.target.wants"
  ln -s ../vm-agent.service "$units/sysinit.target.wants/"
}
