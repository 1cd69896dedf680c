package bootname

import (
	"regexp"
	"strings"
)

// optional are the names, in lower case, that boot loaders ask for in case they are there. They go on without.
var optional = regexp.MustCompile(strings.Join([]string{
	// Shim 16: revocations and further certificates, in its folder (its first letter is lost in some firmware).
	`^(.*/)?r?evocations(_sbat|_sku)?\.efi$`, `^(.*/)?shim_certificate_[0-9]+\.efi$`,
	// GRUB: lists of its modules, modules, fonts, translations; its configuration by MAC address, IP address and UUID
	// (GRUB's manual, "Network").
	`^(.*/)?grub2?/[a-z0-9_]+-efi/[a-z0-9_.-]+\.(lst|mod)$`, `^(.*/)?grub2?/(fonts|locale|themes)/`,
	`^(.*/)?grub\.cfg-[0-9a-f-]+$`, `^(.*/)?grub2?/[a-z0-9_]+-efi/grub\.cfg$`,
	// iPXE 2.0.
	`^(.*/)?autoexec\.ipxe$`,
	// Raspberry Pis look for many files, in a folder that is called by their serial number and without it.
	`^[0-9a-f]{8}/[a-z0-9_./-]+$`, `^(bootcode\.bin|bootsig\.bin|config\.txt|pieeprom\.(bin|sig|upd)|recovery[0-9]?\.(bin|elf)|recover[0-9]?\.elf|autoboot\.txt|start[0-9a-z]*\.elf|fixup[0-9a-z]*\.dat|vl805\.(bin|sig)|boot\.(img|sig))$`,
}, "|"))

// Optional reports whether a file of that name normally isn't there and isn't missed, so that nobody needs to hear of a refusal.
func Optional(asked string) bool { return optional.MatchString(strings.ToLower(Clean(asked))) }
