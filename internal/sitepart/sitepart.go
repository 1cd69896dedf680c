// Package sitepart is what a site adds to the initramfs that is the same for all sites: one JSON file, written by mkimage
// and read by the node.
package sitepart

// Path is where the file is in the initramfs.
const Path = "/etc/boottorrent/site.json"

// Config is the file's content.
type Config struct {
	// Site is the site's name, for the screen.
	Site string `json:"site"`
	// PublicKey is the minisign public key (the text of boottorrent.pub) the catalog must be signed with.
	PublicKey string `json:"public_key"`
	// Seeder is the base URL of the seeder, http://ADDRESS:PORT; empty if mkimage was not told one.
	Seeder string `json:"seeder,omitempty"`
	// KernelSHA256 is of the kernel that this initramfs was made for, as a file: 64 lower-case hexadecimal digits.
	KernelSHA256 string `json:"kernel_sha256,omitempty"`
	// SSHKeys are lines in the form of authorized_keys (sshd(8)) of those who may log in to a node; empty: nobody can.
	SSHKeys []string `json:"ssh_keys,omitempty"`
	// Passwords are those of the site's locked menus, as bcrypt hashes. Until a node has the catalog, which says whether its menu is locked, it
	// opens a shell only for who knows one of them; empty: for everybody.
	Passwords []string `json:"passwords,omitempty"`
}
