package report

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// measure puts into the report what the machine says of itself below root: that alone is no reason to post.
func (r *Reporter) measure(root string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.current.CPU, r.current.LinkMbps = r.load.percent(root), linkMbps(root, r.current.MAC)
}

// load says how busy the machine's processors were since it was asked last. The zero value is ready.
type load struct{ busy, all uint64 }

// percent reads the first line of /proc/stat (proc(5)): "cpu" and the ticks in user, nice, system, idle, iowait, irq, softirq and
// steal. What cannot be read is 0.
func (l *load) percent(root string) int64 {
	text, _ := os.ReadFile(filepath.Join(root, "proc/stat"))
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line)
	if len(fields) < 9 || fields[0] != "cpu" {
		return 0
	}
	var now load
	for i, field := range fields[1:9] {
		n, _ := strconv.ParseUint(field, 10, 64)
		now.all += n
		if i != 3 && i != 4 { // idle, iowait
			now.busy += n
		}
	}
	before := *l
	*l = now
	if now.all <= before.all || now.busy < before.busy {
		return 0
	}
	return int64(100 * (now.busy - before.busy) / (now.all - before.all))
}

// linkMbps is the speed of the card that has a MAC address, in Mbit/s (sysfs-class-net, speed); 0 if it has none to tell, as virtual
// ones have.
func linkMbps(root, mac string) int64 {
	cards, _ := filepath.Glob(filepath.Join(root, "sys/class/net/*"))
	best := int64(0)
	for _, card := range cards {
		if address, err := os.ReadFile(filepath.Join(card, "address")); err != nil || strings.TrimSpace(string(address)) != mac {
			continue
		}
		text, _ := os.ReadFile(filepath.Join(card, "speed")) // EINVAL where the link is down
		if n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64); err == nil && n > 0 {
			best = max(best, n)
		}
	}
	return best
}
