package dhcp

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// portHolder says in words which process has a UDP port, as far as proc (the /proc file system) tells: "dnsmasq (pid 123)
// has it".
func portHolder(proc string, port int) string {
	inodes := socketInodes(filepath.Join(proc, "thread-self", "net", "udp"), port)
	files, _ := filepath.Glob(filepath.Join(proc, "[0-9]*", "fd", "*"))
	for _, f := range files {
		target, err := os.Readlink(f)
		if err != nil || !inodes[target] {
			continue
		}
		dir := filepath.Dir(filepath.Dir(f))
		name, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s (pid %s) has it", strings.TrimSpace(string(name)), filepath.Base(dir))
	}
	return fmt.Sprintf("another process has it (ss -ulpn sport = :%d shows which)", port)
}

// socketInodes reads a table of UDP sockets (proc_net_udp(5)) and returns those bound to the port, as the links in
// /proc/PID/fd name them.
func socketInodes(table string, port int) map[string]bool {
	text, err := os.ReadFile(table)
	if err != nil {
		return nil
	}
	inodes := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		// sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …
		f := strings.Fields(line)
		if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) {
			inodes["socket:["+f[9]+"]"] = true
		}
	}
	return inodes
}
