package launch

import (
	"fmt"
	"path"

	"golang.org/x/sys/unix"

	"github.com/boottorrent/boottorrent/internal/catalog"
)

// Room is what a node has for a system.
type Room struct {
	// Memory is in bytes.
	Memory int64
	// Inodes is how many files and folders more the file system of fetched systems takes; negative: as many as there is memory for.
	Inodes int64
}

// Less is the room if so many bytes of memory are taken for something else.
func (r Room) Less(bytes int64) Room {
	r.Memory -= bytes
	return r
}

// RoomAt measures the room of a node whose systems are in dir. Of a tmpfs, statfs(2) tells how many inodes are left of its nr_inodes
// (by default half as many as the machine has pages of memory; Linux's Documentation/filesystems/tmpfs.rst), and that it has 0 if
// there is no limit.
func RoomAt(dir string) (Room, error) {
	memory, err := Available()
	if err != nil {
		return Room{}, err
	}
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Room{}, fmt.Errorf("ask how many files %s takes: %w", dir, err)
	}
	inodes := int64(-1)
	if st.Files > 0 {
		inodes = int64(st.Ffree)
	}
	return Room{memory, inodes}, nil
}

const (
	// page is in bytes: a file in a tmpfs has whole ones.
	page = 4096
	// InodeMemory is what a file or folder takes beside its pages, in bytes: on Linux 6.18 (amd64) /proc/slabinfo has 752 for a
	// shmem_inode_cache and 192 for a dentry, and a page of slabs is never quite full.
	InodeMemory = 1 << 10
)

// storage is what a tmpfs takes for files: inodes, those of their folders included, and bytes beyond the files' sizes.
func storage(files catalog.FileList) (inodes, bytes int64) {
	folders := map[string]bool{".": true, "/": true} // the system's own, and the one above, named by its infohash
	for _, f := range files {
		bytes += -f.Size & (page - 1)
		for dir := path.Dir(f.Path); !folders[dir]; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	inodes = int64(len(files) + len(folders))
	return inodes, bytes + inodes*InodeMemory
}
