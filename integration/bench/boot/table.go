package boot

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// what says what loads a chain's files.
var what = map[string]string{
	"http": "iPXE (snponly.efi), HTTP", "grub": "shim and GRUB, TFTP", "uki": "the firmware, TFTP",
}

// Page is the part of docs/benchmark.md about boot loaders, made of the reports in a folder; empty if there are none.
func Page(dir string) (string, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "boot-*.json"))
	if err != nil || len(paths) == 0 {
		return "", err
	}
	newest := map[Room]Report{}
	for _, path := range paths { // sorted by name, and so by time
		var r Report
		b, err := os.ReadFile(path)
		if err == nil {
			err = json.Unmarshal(b, &r)
		}
		if err != nil {
			return "", fmt.Errorf("%s is not a result of bench boot: %w", path, err)
		}
		newest[r.Room] = r
	}
	var b strings.Builder
	b.WriteString(`
## Boot loaders: phase 1 by TFTP and by HTTP

One machine in QEMU (OVMF, without KVM) loads phase 1 from the seeder's TFTP and HTTP servers (` + "`go run ./integration/bench boot`" + `). Seconds are the
medians over the runs, of each file from its request until the machine has it. **Times HTTP** is for kernel and initramfs together, or for both in one.
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
			fmt.Fprintf(b, "| %s | %s | %.1f | %.2f | %.1f | %s |\n", file, what[chain], float64(size[file])/1e6, s, float64(size[file])/1e6/s, times)
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
