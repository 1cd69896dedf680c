package menu

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/charmbracelet/x/ansi"

	"github.com/boottorrent/boottorrent/initramfs/decision"
	"github.com/boottorrent/boottorrent/internal/report"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	place = Place{Site: "Lab 3, Example School", Machine: Machine{
		MAC: "52:54:00:12:34:56", UUID: "4c4c4544-0042-3510-8051-b2c04f593332", IP: "10.0.0.17/24", MemoryMiB: 2048,
		Arch: "amd64", Product: "QEMU Standard PC", Interface: "eth0", Driver: "virtio_net", Seeder: "http://10.0.0.1:6970",
	}}
	vga    = Look{Color: true, Graphics: true}
	serial = Look{}
)

func items() []Item {
	return []Item{
		{Name: "debian", Title: "Debian 12 installer", Description: "Network installer of Debian bookworm", Size: 62 << 20},
		{Name: "lab", Title: "Lab desktop 日本語 with a title that is much too long for one line of most terminals there are",
			Description: "What the pupils use", Size: 1500 << 20},
		{Name: "big", Title: "Big", Description: "Everything", Size: 9 << 30, Unavailable: "needs 20.0 GiB of memory, this machine has 2.0 GiB"},
		{Name: "memtest", Title: "Memory test", Size: 300 << 10},
		{Name: "secret", Title: "Wipe all disks", Hidden: true, Size: 5 << 20},
	}
}

const tried = "no seeder answers:\n  http://10.0.0.7:8080 (seeder: in boottorrent.conf): no route to host\n" +
	"check that 'seeder serve' runs there"

func seeders() []Item {
	return []Item{{Name: "http://10.0.0.1:8080", Description: "Room 12, 3 systems"}, {Name: "http://10.0.0.2:8080", Description: "Room 12, 1 system"}}
}

// noAddress takes anything with a port for an address.
func noAddress(text string) error {
	if !strings.Contains(text, ":") {
		return fmt.Errorf("%q is no address; write http://ADDRESS:PORT", text)
	}
	return nil
}

func many(n int) []Item {
	var all []Item
	for i := range n {
		all = append(all, Item{Name: fmt.Sprintf("sys%02d", i), Title: fmt.Sprintf("System %d", i), Description: "One of many", Size: int64(i) << 20})
	}
	return all
}

// play sends messages to a model; a string is typed key by key, but a word in <> is one key.
func play(m tea.Model, msgs ...any) (tea.Model, bool) {
	quit := false
	send := func(msg tea.Msg) {
		var cmd tea.Cmd
		if m, cmd = m.Update(msg); cmd != nil {
			_, quit = cmd().(tea.QuitMsg)
		}
	}
	for _, msg := range msgs {
		switch msg := msg.(type) {
		case string:
			for _, k := range keys(msg) {
				send(k)
			}
		case time.Duration:
			send(Tick{Now: start.Add(msg)})
		default:
			send(msg)
		}
	}
	return m, quit
}

var named = map[string]tea.KeyType{
	"enter": tea.KeyEnter, "lf": tea.KeyCtrlJ, "esc": tea.KeyEsc, "up": tea.KeyUp, "down": tea.KeyDown, "home": tea.KeyHome,
	"end": tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdn": tea.KeyPgDown, "bs": tea.KeyBackspace, "ctrl+c": tea.KeyCtrlC,
	"ctrl+v": tea.KeyCtrlV, "left": tea.KeyLeft, "space": tea.KeySpace,
}

func keys(text string) []tea.KeyMsg {
	var all []tea.KeyMsg
	for text != "" {
		if end := strings.IndexByte(text, '>'); text[0] == '<' && end > 0 {
			k := tea.KeyMsg{Type: named[text[1:end]]}
			if k.Type == tea.KeySpace {
				k.Runes = []rune{' '}
			}
			all, text = append(all, k), text[end+1:]
			continue
		}
		r := []rune(text)[0]
		all, text = append(all, tea.KeyMsg{Type: tea.KeyRunes, Runes: []rune{r}}), text[len(string(r)):]
	}
	return all
}

func fetching() TransferMsg {
	return TransferMsg{System: "Debian 12 installer", Transfer: report.Transfer{Size: 62 << 20, Done: 26 << 20, Down: 11_200_000, Up: 3_400_000,
		Peers: 7, FromSeeder: 10 << 20, FromNodes: 16 << 20, Uploaded: 8 << 20}}
}

func TestViews(t *testing.T) {
	sizes := []tea.WindowSizeMsg{{Width: 80, Height: 24}, {Width: 100, Height: 37}, {Width: 40, Height: 12}, {Width: 40, Height: 10}, {Width: 128, Height: 48}}
	seeding := fetching()
	seeding.Phase, seeding.Done, seeding.SeedLeft = Seed, seeding.Size, 20*time.Second
	swarming := seeding
	swarming.SeedLeft, swarming.SeedUntil = 4*time.Minute, "3 nodes are still fetching it"
	fallback := fetching()
	fallback.Fallback, fallback.FromHTTP, fallback.Note = true, 3<<20, "Waiting for a peer since 0:35."
	checking := fetching()
	checking.Phase = Verify
	launching := fetching()
	launching.Phase = Launch
	config := ChooserConfig{Place: place, Items: items(), Default: "debian", Timeout: 10}
	refused := ChooserConfig{Place: place, Items: append(items(), Item{Name: "ubuntu", Title: "Ubuntu 24.04", Description: "Live system", Size: 2 << 30,
		Unavailable: "Secure Boot is on, and its kernel is not signed by a key that this machine trusts (signed by: Canonical Ltd. Secure Boot Signing (2022 v1), of Canonical Ltd. Master Certificate Authority)",
		Remedy:      "use the kernel that a distribution or this site has signed for this machine, or switch Secure Boot off in the firmware"}), Default: "ubuntu", Timeout: 10}
	secure := config
	secure.Machine.SecureBoot = "on, and the kernel is locked down"
	unfound := NewProblem("No seeder found", tried, "Is the seeder running?", 5*time.Second, decision.Retry, decision.Type, decision.Shell, decision.Reboot, decision.PowerOff).At(place)
	noticed := config
	noticed.Default = "big"
	noticed.Notices = []string{"eth1 (8086:10d3): no driver for it in this image."}
	problem := NewProblem("No address by DHCP", "eth0 has a link, but no DHCP server answered 6 requests in 60 s.",
		"Is the DHCP server running, and in this network?\nIs this port in the right VLAN?\nWith ip=ADDRESS::GATEWAY:NETMASK::eth0:none on the kernel's command line no DHCP is needed.",
		30*time.Second, decision.Retry, decision.Choose, decision.Shell, decision.Reboot, decision.PowerOff).At(place)

	running := GuestMsg{Running: 83 * time.Second, Up: 12_300_000, Uploaded: 700 << 20, Peers: 5}
	output := []string{"checking /dev/sda1", "", "found 3 errors"}
	for i := range 30 {
		output = append(output, fmt.Sprintf("block %d is bad", i))
	}

	wrongLine := config
	wrongLine.Notices = []string{`boottorrent.conf, line 12: "ip: 10.0.0.7": the network's size is missing; write ip: ADDRESS/PREFIX, as in ip: 10.0.0.17/24, or ip: dhcp`}

	lock := Lock{Check: func(int, string) {}}
	locked, hidden, known := config, config, config
	locked.Lock, hidden.Hidden = lock, true
	known.Machine.Name, known.Machine.Group, known.Machine.Serial = "desk-4", "teachers (match of group teachers)", "PF2ABCDE"
	known.Machine.Rules = "group teachers says default, menu; machine 52:54:00:12:34:56 says hostname"
	known.Machine.MemoryFrom = "by SMBIOS"

	for name, screen := range map[string]struct {
		model tea.Model
		play  []any
	}{
		"chooser-conf":      {NewChooser(wrongLine), []any{0 * time.Second}},
		"seeders":           {NewSeeders(place, seeders(), 10), []any{0 * time.Second, 3 * time.Second}},
		"seeders-moved":     {NewSeeders(place, seeders(), 10), []any{0 * time.Second, "<down>sr"}},
		"problem-address":   {unfound, []any{0 * time.Second, 2 * time.Second}},
		"address":           {NewAddress(place, tried, noAddress), []any{0 * time.Second, "10.0.0.1:8080"}},
		"address-wrong":     {NewAddress(place, tried, noAddress), []any{0 * time.Second, "10.0.0<enter>"}},
		"chooser":           {NewChooser(config), []any{0 * time.Second, 3 * time.Second}},
		"chooser-moved":     {NewChooser(config), []any{0 * time.Second, "jj"}},
		"chooser-filter":    {NewChooser(config), []any{0 * time.Second, "/de"}},
		"chooser-many":      {NewChooser(ChooserConfig{Place: place, Items: many(40), Timeout: -1}), []any{"<pgdn><pgdn>"}},
		"chooser-none":      {NewChooser(ChooserConfig{Place: place}), nil},
		"chooser-notice":    {NewChooser(noticed), []any{"r"}},
		"chooser-described": {NewChooser(config), []any{"jjd"}},
		"chooser-refused":   {NewChooser(refused), []any{0 * time.Second}},
		"chooser-enter":     {NewChooser(refused), []any{0 * time.Second, "<enter>"}},
		"hidden":            {NewChooser(hidden), []any{0 * time.Second, 3 * time.Second}},
		"hidden-key":        {NewChooser(hidden), []any{0 * time.Second, 3 * time.Second, "x"}},
		"locked":            {NewChooser(locked), []any{0 * time.Second, "j<enter>secret"}},
		"locked-checking":   {NewChooser(locked), []any{0 * time.Second, "j<enter>secret<enter>"}},
		"locked-wrong":      {NewChooser(locked), []any{0 * time.Second, "s1<enter>", PasswordMsg{Try: 1}}},
		"locked-pause":      {NewChooser(locked), []any{0 * time.Second, "s1<enter>", PasswordMsg{Try: 1, Until: start.Add(30 * time.Second)}, 7 * time.Second}},
		"locked-problem":    {problem.Locked(lock), []any{0 * time.Second, "s"}},
		"machine-known":     {NewChooser(known), []any{"i"}},
		"machine":           {NewChooser(config), []any{"i"}},
		"machine-secure":    {NewChooser(secure), []any{"i"}},
		"help":              {NewChooser(config), []any{"?"}},
		"log":               {NewChooser(config), []any{LogLine("dhcp: eth0: \x1b[31moffer\x1b[m of 10.0.0.17\n"), LogLine("catalog: verified"), "l"}},
		"fetch":             {NewTransfer(place, "x"), []any{fetching()}},
		"fetch-fallback":    {NewTransfer(place, "x"), []any{fallback, "c"}},
		"check":             {NewTransfer(place, "x"), []any{checking}},
		"seed":              {NewTransfer(place, "x"), []any{seeding, func() TransferMsg { s := seeding; s.SeedLeft = 8 * time.Second; return s }()}},
		"seed-swarm":        {NewTransfer(place, "x"), []any{swarming}},
		"launch":            {NewTransfer(place, "x"), []any{launching}},
		"guest":             {NewGuest(place, "Rescue disc", "It is on the screen of this machine.", true), []any{running, "q"}},
		"guest-remote":      {NewGuest(place, "Rescue disc", "Its screen is on the network, at 10.0.0.17:5900 (VNC).", false), []any{running}},
		"ended":             {NewEnded(place, "Disk check", "with exit code 3", false, output, "Debian 12 installer"), []any{0 * time.Second, 4 * time.Second}},
		"ended-well":        {NewEnded(place, "Disk check", "well", true, nil, "the menu"), []any{0 * time.Second, "x"}},
		"problem":           {problem, []any{0 * time.Second, 12 * time.Second}},
	} {
		for lookName, look := range map[string]Look{"vga": vga, "serial": serial} {
			t.Run(name+"-"+lookName, func(t *testing.T) {
				var out strings.Builder
				for _, size := range sizes {
					m, _ := play(screen.model, append([]any{look, size}, screen.play...)...)
					fmt.Fprintf(&out, "== %dx%d\n%s\n", size.Width, size.Height, checkView(t, m.View(), look, size))
				}
				golden(t, name+"-"+lookName+".txt", out.String())
			})
		}
	}
}

// checkView holds what is true of every view: it fills the terminal exactly, and a serial line gets only ASCII
// besides what the operator wrote.
func checkView(t *testing.T, view string, look Look, size tea.WindowSizeMsg) string {
	t.Helper()
	lines := strings.Split(view, "\n")
	if len(lines) != size.Height {
		t.Errorf("%dx%d: %d lines", size.Width, size.Height, len(lines))
	}
	for i, line := range lines {
		if w := ansi.StringWidth(line); w > size.Width {
			t.Errorf("%dx%d: line %d is %d cells wide: %q", size.Width, size.Height, i+1, w, line)
		}
	}
	for _, r := range strings.NewReplacer("日本語", "").Replace(view) {
		if !look.Color && r == '\x1b' {
			t.Fatal("an escape sequence on a terminal without colours")
		}
		if !look.Graphics && r > 126 {
			t.Fatalf("%q on a terminal without graphics", r)
		}
	}
	return strings.ReplaceAll(view, "\x1b", "␛")
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s\n(go test -update writes it anew)", path, got, want)
	}
}
