package web

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestIndexGolden(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	links := []Link{{"/catalog.json", "the signed catalog"}}
	for name, p := range map[string]Page{
		"starting": {Site: "Room 12", Now: now, Links: links},
		"empty":    {Site: "Room 12", Now: now, Ready: true, Counter: 1795420800, Links: links},
		"room": {
			Site: `<script>alert("room")</script>`, Now: now, Ready: true, Links: links,
			Systems: []System{
				{Title: "Debian <12>", Description: "installer & shell", Method: "kexec", Arch: "amd64", Size: 45 << 20, Default: true,
					Torrent: "/torrents/00.torrent", Files: []File{{"linux", "/systems/00/debian/linux", 8 << 20}, {"a b", "/systems/00/debian/a%20b", 37 << 20}}},
				{Title: "Secret", Hidden: true, Method: "kexec", Arch: "amd64", Torrent: "/torrents/01.torrent"},
			},
			Findings: []Finding{{"problem", "there is no image & nothing to start", "mkimage <site>"}, {"warning", "no DHCP server", "connect one"}},
			Folders: []Folder{
				{Problems: []string{`the default system "<gone>" does not exist`}},
				{Name: "debian", State: "kept from before", Since: now.Add(-90 * time.Second), Problems: []string{"kernel <vmlinuz> is empty", "initrd & more"}},
				{Name: "new", State: "being written", Since: now.Add(-3 * time.Second)},
			},
			Nodes: []Node{
				{MAC: "52:54:00:00:00:01", IP: "10.0.0.5", Name: "desk-1", System: "debian", Step: "fetch", State: "running",
					Percent: 41.7, FromSeeder: 1 << 20, FromNodes: 1500 << 10, Uploaded: 12345, Seen: now.Add(-3 * time.Second)},
				{MAC: "52:54:00:00:00:02", IP: "10.0.0.6", Step: "network", State: "failed", Error: "<b>no carrier</b>",
					Notes: []string{"nothing comes by BitTorrent", "probe ended with exit code 3: <i>why</i>"}, SecureBoot: true, HostKey: "SHA256:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG",
					Seen: now.Add(-90 * time.Second)},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got bytes.Buffer
			if err := Index(&got, p); err != nil {
				t.Fatal(err)
			}
			file := filepath.Join("testdata", name+".html")
			if *update {
				if err := os.WriteFile(file, got.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got.Bytes(), want) {
				t.Errorf("differs from %s (go test -update writes it anew):\n%s", file, &got)
			}
		})
	}
}
