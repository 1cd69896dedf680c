#!/bin/bash
# installed.sh ROOT: starts the root file system in the folder ROOT, its systemd as process 1, in namespaces of its own but for the network.
# Its cgroup is one of its own, so that nothing of this machine's is touched; when it has ended nothing of it is left.
set -eu
root=$1
tree=$(mktemp -d)
mount -t cgroup2 cgroup2 "$tree"
group=$tree/$(sed -n 's/^0:://p' /proc/self/cgroup)/boottorrent-test-$$
mkdir "$group"
end() {
	# Processes that were killed may still be leaving.
	for _ in $(seq 50); do
		find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
		read -r -t 0.1 <> <(:) || true
	done
	umount "$tree"
	rmdir "$tree"
}
trap end EXIT
(
	# From here on process 1 of the machine to be.
	echo $BASHPID >"$group/cgroup.procs"
	exec setpriv --pdeathsig KILL unshare --pid --mount --uts --ipc --cgroup --fork --kill-child --mount-proc="$root/proc" bash -eu -s "$root" <<'END'
	cd "$1"
	mount -t sysfs -o ro sysfs sys
	mount -t cgroup2 cgroup2 sys/fs/cgroup
	mount -t tmpfs tmpfs run
	mount -t tmpfs tmpfs dev
	mkdir dev/shm dev/pts
	for device in null zero full random urandom tty; do
		touch dev/$device
		mount --bind /dev/$device dev/$device
	done
	ln -s /proc/self/fd dev/fd
	ln -s pts/ptmx dev/ptmx
	# Not chroot: a unit that has mounts of its own needs a root that is one.
	pivot_root . mnt
	umount --lazy /mnt
	exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=lxc /lib/systemd/systemd --unit=multi-user.target --log-target=null --show-status=0
END
) &
machine=$!
trap 'kill -9 $machine 2>/dev/null || true' TERM INT
wait $machine || wait $machine || true
