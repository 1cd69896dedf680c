package catalog

import (
	"net/url"

	"github.com/boottorrent/boottorrent/internal/image"
)

// The seeder's HTTP paths, below its base URL. Nodes, boot scripts and foreign tools all use these.
const (
	PathCatalog   = "/catalog.json"
	PathSignature = "/catalog.json.minisig"
	// PathBoot is the folder of vmlinuz, initramfs.img, boot.ipxe and the boot loaders. Kernel and initramfs are served
	// in a folder named by their content too, see [BootPath].
	PathBoot   = "/boot/"
	PathKernel = PathBoot + image.Kernel
	PathInitrd = PathBoot + image.Initramfs
	PathScript = PathBoot + "boot.ipxe"
	// PathScriptARM64 is the same for machines of arm64.
	PathScriptARM64 = PathBoot + "arm64/boot.ipxe"
	// PathUKI is kernel, initramfs and command line in one UEFI program.
	PathUKI = PathBoot + image.UKI
	// PathLoaded is asked for by a boot script whose machine has kernel and initramfs, whoever gave them.
	PathLoaded = PathBoot + "loaded"
	// PathManifest is the signed list of what is below PathBoot, see [BootManifest].
	PathManifest          = PathBoot + "manifest.json"
	PathManifestSignature = PathManifest + ".minisig"
	// PathAnnounce and PathScrape are the tracker (BEP 3, BEP 48).
	PathAnnounce = "/announce"
	PathScrape   = "/scrape"
	// PathReport takes a node's reports (POST, report.Report as JSON); PathNodes lists them (GET).
	PathReport = "/api/report"
	PathNodes  = "/api/nodes"
	// PathLocal takes a node's word that its machine is about to restart and wants its own disk then (POST, [LocalRequest] as JSON).
	PathLocal = "/api/local"
	// PathLog takes lines of a node's log (POST, report.Log as JSON).
	PathLog = "/api/log"
)

// HeaderListed is a header of requests for a torrent of whoever will list it, as a mirror does, and does not want its files for that.
const HeaderListed = "BootTorrent-Listed"

// BootPath is where a file of PathBoot is served for as long as it is the one with that SHA-256 (in hexadecimal, of which
// the first 12 digits are used). The boot script names kernel and initramfs so: a node that boots while mkimage replaces
// them does not get a kernel with the modules of another.
func BootPath(name, sha256 string) string {
	return PathBoot + sha256[:min(12, len(sha256))] + "/" + name
}

// FilesPath is where the archive of files for machines with that SHA-256 (in hexadecimal) is served, see [Files].
func FilesPath(sha256 string) string { return "/files/" + sha256 + ".cpio" }

// TorrentPath is where the metainfo file of a torrent is served.
func TorrentPath(h InfoHash) string { return "/torrents/" + h.String() + ".torrent" }

// FileListPath is where the list of a torrent's files is served, see [FileList].
func FileListPath(h InfoHash) string { return "/torrents/" + h.String() + ".files.json" }

// WebSeedPath is the folder in which a torrent's folder of files is served: a web seed URL as in BEP 19, to which
// clients append "<system name>/<path>".
func WebSeedPath(h InfoHash) string { return "/systems/" + h.String() + "/" }

// FilePath is where one file of a system is served, escaped for a URL.
func (s *System) FilePath(file string) string {
	u := url.URL{Path: WebSeedPath(s.InfoHash) + s.Name + "/" + file}
	return u.EscapedPath()
}
