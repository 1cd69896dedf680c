package boot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/seeder/bootfiles"
	"github.com/boottorrent/boottorrent/seeder/tftp"
	"github.com/boottorrent/boottorrent/seeder/web"
)

// serve is the server of a room: TFTP and HTTP. It prints a line for each file that was loaded: "load PROTOCOL FILE BYTES SECONDS".
func serve(ctx context.Context, args []string, out io.Writer) error {
	if len(args) != 2 {
		return errors.New("bench boot serve CHAIN IMAGE: it is started by bench boot")
	}
	image := args[1]
	files := map[string]string{
		"shimx64.efi": "/usr/lib/shim/shimx64.efi.signed", "grubx64.efi": "/usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed",
		"snponly.efi": "/usr/lib/ipxe/snponly.efi",
	}
	for _, name := range []string{"vmlinuz", "initramfs.img", "boottorrent.efi"} {
		files["boot/"+name] = filepath.Join(image, name)
	}
	files["boottorrent.efi"] = filepath.Join(image, "boottorrent.efi")
	server := tftp.New(tftp.Config{
		Listen: []netip.AddrPort{netip.MustParseAddrPort(seederAddr + ":69")}, Files: func() map[string]string { return files }, Document: grubConfig, Log: slog.New(&loads{out: out}),
	})
	if err := server.Listen(); err != nil {
		return err
	}
	l, err := net.Listen("tcp4", seederAddr+":80")
	if err != nil {
		return err
	}
	h := &http.Server{Handler: &timed{next: web.New(web.Config{Boot: bootfiles.New(image), Script: script}), out: out}}
	go func() { _ = h.Serve(l) }()
	fmt.Fprintln(out, "ready")
	err = server.Serve(ctx)
	return errors.Join(err, h.Close())
}

// grubConfig has GRUB load phase 1 and stay.
func grubConfig(name string, _ netip.Addr) ([]byte, bool) {
	return []byte("linux /boot/vmlinuz\ninitrd /boot/initramfs.img\nsleep 3600\n"), name == "grub/grub.cfg"
}

// script has iPXE do the same.
func script(r web.ScriptRequest) ([]byte, error) {
	return fmt.Appendf(nil, "#!ipxe\nkernel http://%[1]s/boot/vmlinuz\ninitrd http://%[1]s/boot/initramfs.img\nimgfetch http://%[1]s/boot/done ||\nsleep 3600\n", r.Host), nil
}

// loads prints what the TFTP server logs of files that it has sent.
type loads struct {
	out io.Writer
	mu  sync.Mutex
	slog.TextHandler
	file string
}

func (l *loads) Enabled(context.Context, slog.Level) bool { return true }

func (l *loads) WithAttrs(attrs []slog.Attr) slog.Handler {
	next := &loads{out: l.out}
	for _, a := range attrs {
		if a.Key == "file" {
			next.file = a.Value.String()
		}
	}
	return next
}

func (l *loads) Handle(_ context.Context, r slog.Record) error {
	var bytes, seconds, plan any
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "bytes":
			bytes = a.Value
		case "seconds":
			seconds = a.Value
		case "ahead":
			plan = a.Value
		}
		return true
	})
	if seconds == nil {
		fmt.Fprintln(os.Stderr, r.Message, l.file, r.NumAttrs())
		return nil
	}
	if plan != nil {
		fmt.Fprintln(os.Stderr, "ahead", plan)
	}
	var name string
	_, _ = fmt.Sscanf(l.file, "%q", &name)
	_, err := fmt.Fprintf(l.out, "load tftp %s %v %v\n", fileName(name), bytes, seconds)
	return err
}

// timed prints the time from a request to the next one, as a client sends it when it has all of the first.
type timed struct {
	next http.Handler
	out  io.Writer
	mu   sync.Mutex
	file string
	at   time.Time
	sent int64
}

func (t *timed) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	t.mu.Lock()
	if t.file != "" {
		fmt.Fprintf(t.out, "load http %s %d %.6f\n", t.file, t.sent, time.Since(t.at).Seconds())
	}
	t.file, t.at, t.sent = fileName(r.URL.Path), time.Now(), 0
	if t.file == "done" {
		fmt.Fprintf(t.out, "load http done 0 0\n")
	}
	t.mu.Unlock()
	count := &counter{ResponseWriter: w}
	t.next.ServeHTTP(count, r)
	t.mu.Lock()
	t.sent = count.n
	t.mu.Unlock()
}

// counter counts the bytes of a response. It hides the writer's other methods, of which sendfile is one.
type counter struct {
	http.ResponseWriter
	n int64
}

func (c *counter) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n += int64(n)
	return n, err
}
