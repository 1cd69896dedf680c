package boot

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/boottorrent/boottorrent/integration/bench/kept"
)

// kind is what reports are kept as.
const kind = "boot"

// by says what loads a file in a chain.
func by(chain, file string) string {
	switch {
	case file == chains[chain].loader:
		return "the firmware, TFTP"
	case chain == "http":
		return "iPXE (snponly.efi), HTTP"
	case phase1(file):
		return "GRUB, TFTP"
	}
	return "shim, TFTP"
}

// Page is the part of docs/benchmark.md about boot loaders, made of the reports in a folder; empty if there are none.
func Page(dir string) (string, error) {
	reports, err := kept.Read[Report](dir, kind)
	if err != nil || len(reports) == 0 {
		return "", err
	}
	newest := map[Room]Report{}
	for _, r := range reports {
		newest[r.Room] = r
	}
	var b strings.Builder
	b.WriteString(`
## Boot loaders: phase 1 by TFTP and by HTTP

One machine in QEMU (OVMF, without KVM) loads phase 1 from the seeder's TFTP and HTTP servers (` + "`go run ./integration/bench boot`" + `). Seconds are the
medians over the runs, of each file from its request until the machine has it. **Times HTTP** is for kernel and initramfs together, or for both in one.

GRUB acknowledges each block of 1024 bytes with a packet of its own through the firmware's driver, and needs longer for that than the block for the
wire: it is hardly faster without any delay. The TFTP server sends to a client that takes blocks at once as fast as a wire of 1 Gbit/s carries them,
16 MiB in 0.14 s with 1 ms in each direction (` + "`go test -run TestAhead -v ./seeder/tftp`" + `); block by block, as GRUB asks for them, it would be a round trip
a KiB, 33 s.
`)
	rooms := make([]Room, 0, len(newest))
	for r := range newest {
		rooms = append(rooms, r)
	}
	slices.SortFunc(rooms, func(a, b Room) int {
		return cmp.Or(cmp.Compare(a.DelayMS, b.DelayMS), cmp.Compare(a.Loss, b.Loss), cmp.Compare(a.LinkMbit, b.LinkMbit), cmp.Compare(a.Card, b.Card))
	})
	for _, room := range rooms {
		newest[room].write(&b)
	}
	return b.String(), nil
}

// String describes a room.
func (r Room) String() string {
	s := fmt.Sprintf("%s, %g Mbit/s, %g ms in each direction", r.Card, r.LinkMbit, r.DelayMS)
	if r.LinkMbit == 0 {
		s = fmt.Sprintf("%s, as fast as the machine can, %g ms in each direction", r.Card, r.DelayMS)
	}
	if r.Loss > 0 {
		s += fmt.Sprintf(", %g %% of the frames lost", r.Loss*100)
	}
	return s
}

func (r Report) write(b *strings.Builder) {
	fmt.Fprintf(b, "\n%s (%s):\n\n| file | by | MB | s | MB/s | times HTTP |\n| --- | --- | --- | --- | --- | --- |\n", r.Room, r.Time.Format("2006-01-02"))
	var http float64
	for _, chain := range []string{"http", "grub", "uki"} {
		seconds, size := map[string][]float64{}, map[string]int64{}
		var files []string
		for _, l := range r.Loads {
			if l.Chain == chain && l.Bytes > 100_000 {
				if !slices.Contains(files, l.File) {
					files = append(files, l.File)
				}
				seconds[l.File], size[l.File] = append(seconds[l.File], l.Seconds), l.Bytes
			}
		}
		var all float64
		for _, file := range files {
			s := median(seconds[file])
			if phase1(file) {
				all += s
			}
			times := ""
			if last := file == files[len(files)-1]; last && chain == "http" {
				http = all
			} else if last && http > 0 {
				times = fmt.Sprintf("%.1f", all/http)
			}
			fmt.Fprintf(b, "| %s | %s | %.1f | %.2f | %.1f | %s |\n", file, by(chain, file), float64(size[file])/1e6, s, float64(size[file])/1e6/s, times)
		}
	}
}

// phase1 reports whether a file is phase 1's own, and not a boot loader.
func phase1(file string) bool {
	return slices.Contains([]string{"vmlinuz", "initramfs.img", "boottorrent.efi"}, file)
}

// median is the middle of some numbers, or the mean of the two in the middle.
func median(of []float64) float64 {
	v := slices.Sorted(slices.Values(of))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
