#!/usr/bin/env bash
# tools/try_bare_debian.sh [MIRROR]
# The README's commands as a newcomer would type them, in a bare Debian 12 made by debootstrap: a clone of what is
# committed here, and nothing installed but git, make and certificates. First without root, where the missing packages
# must be named; then `make run` and `make test`. Needs root, debootstrap, about 3 GB below TMPDIR, and a Debian mirror
# (by default the one that apt uses here). Every step's output is shown with the time it took.
set -eu -o pipefail
cd "$(dirname "$0")/.."

suite=bookworm
mirror=${1:-$(apt-get indextargets --format '$(RELEASE) $(REPO_URI)' | sed -n "s/^$suite //p" | head -n 1)}
[ -n "$mirror" ] || { echo "usage: tools/try_bare_debian.sh MIRROR (none for $suite in apt's sources)" >&2; exit 2; }
[ "$(id -u)" -eq 0 ] || { echo "error: debootstrap and chroot need root" >&2; exit 1; }

# Mounts live in a namespace of their own and go with it.
[ "${HADAL_IN_NAMESPACE:-}" = 1 ] || HADAL_IN_NAMESPACE=1 exec unshare --mount --fork "$0" "$mirror"

root=$(mktemp -d)
chmod 755 "$root"
trap 'umount -R "$root/dev" "$root/proc" 2>/dev/null; rm -rf --one-file-system "$root"' EXIT

step() {
  local started=$SECONDS
  printf '\n$ %s\n' "$1"
  shift
  "$@"
  echo "-- $((SECONDS - started)) s"
}
# in_root COMMAND: as root in the new system, with nothing of this one's environment and no terminal to ask at.
in_root() {
  chroot "$root" /usr/bin/env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 \
    sh -c "cd /opt/hadal 2>/dev/null || cd /; $1" </dev/null
}

bootstrap() {
  debootstrap --variant=minbase "$suite" "$root" "$mirror" >"$root/log" 2>&1 || { tail "$root/log"; return 1; }
}
step "debootstrap --variant=minbase $suite" bootstrap
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
cp -L /etc/resolv.conf "$root/etc/resolv.conf"
git clone --quiet --no-hardlinks . "$root/opt/hadal"

step "apt-get install git make ca-certificates" \
  in_root "apt-get update -qq && apt-get install -y -qq --no-install-recommends git make ca-certificates >/dev/null"
in_root "useradd --create-home newcomer"
step "make run, without root: must name what is missing" in_root "! su newcomer -c 'make run'"
step "make run" in_root "echo 'What is the capital of France?' | make run ARGS='--temperature 0'"
step "make test" in_root "make test"
in_root "chown -R newcomer ."
step "make run, nothing missing, without root and network" in_root \
  "unshare --net su newcomer -c \"make run ARGS=\\\"-p 'What is 2 + 2?' --temperature 0\\\"\""
