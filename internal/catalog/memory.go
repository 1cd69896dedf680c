package catalog

// What a system of MethodRoot takes of a node's memory beside its images, in bytes: nodes add it up before they fetch anything, and
// 'seeder check' says it.
const (
	// RootSystem is what a running system needs for its programs, for the kernel's structures and for what it reads again and again.
	// Debian 12 (minbase, systemd, udev, dbus; Linux 6.1, a machine of 1.5 GiB) at its login prompt: MemTotal less MemFree and Shmem of
	// /proc/meminfo are 134 MiB, of which 87 MiB are left when all caches are dropped. It writes 8 MiB while it boots.
	RootSystem = 160 << 20
	// RootStay is what the process that stays needs at most (package stay).
	RootStay = 40 << 20
	// RootWritable is the least that a system without a limit of its own must have to write into: a system's journal, caches and state.
	RootWritable = 64 << 20
)

// Memory is about how many bytes of memory a machine must have to start the system, whose images have so many bytes. What phase 1
// and the kernel have in use themselves comes on top.
func (r *Root) Memory(images int64) int64 {
	sum := images + RootSystem + RootStay
	switch limit := r.WritableLimit; {
	case r.Writable == WritableNone:
		return sum
	case limit.Percent > 0: // of the sum
		return sum * 100 / int64(max(1, 100-limit.Percent))
	case limit.Bytes > 0:
		return sum + limit.Bytes
	}
	return sum + RootWritable
}
