package integration

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/boottorrent/boottorrent/integration/lab"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/site"
)

// A catalog signed by a key other than the image's is refused, in words, on the console.
func TestWrongKeyIsRefused(t *testing.T) {
	r := newRoom(t, "default: tiny\ntimeout: 0\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	stranger, err := r.site.Kit.NewSite(t.Context(), filepath.Join(t.TempDir(), "stranger"), "stranger")
	r.must(err)
	// The nodes' image is the shared site's; the seeder signs with the stranger's key.
	for _, name := range []string{site.PublicKeyFile, site.SecretKeyFile} {
		r.must(os.Rename(stranger.Path(name), r.site.Path(name)))
	}
	r.dhcp()
	r.serve()
	n := r.node(r.direct("n1", r.seederArg()))
	lab.AwaitScreen(t, n.Console(), toMessage, wrapped("is refused:.* signed by key [0-9A-F]{16}, and only key [0-9A-F]{16} is trusted here;.* mkimage"))
}

// A torrent that is not the one in the catalog is refused: a machine between node and seeder hands it out.
func TestForeignTorrentIsRefused(t *testing.T) {
	r := newRoom(t, "default: tiny\ntimeout: 0\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 1<<20))
	r.dhcp()
	r.serve()
	between := r.liar(func(path string, body []byte) []byte {
		if !strings.HasPrefix(path, "/torrents/") {
			return body
		}
		return bytes.Replace(body, []byte("4:name4:tiny"), []byte("4:name4:tinz"), 1)
	})
	n := r.node(r.direct("n1", "bt.seeder="+between))
	lab.AwaitScreen(t, n.Console(), toChooser, wrapped("not the catalog's"))
}

// One bit of a file flips on the seeder's disk after it was hashed: no node starts what it got.
func TestFlippedBitIsRefused(t *testing.T) {
	r := newRoom(t, "default: tiny\ntimeout: 0\n")
	r.must(r.site.AddTiny(t.Context(), "tiny", 4<<20))
	r.dhcp()
	r.serve()
	cat, err := r.seeder.Catalog(t.Context())
	r.must(err)
	sys := cat.Systems[0]
	flipBit(t, filepath.Join(r.site.Path(site.StateDir, "store"), sys.InfoHash.String(), sys.Name, sys.Launch.Kexec.Kernel))
	n := r.node(r.direct("n1", r.seederArg()))
	lab.AwaitScreen(t, n.Console(), toChooser+toMessage, wrapped("could not be fetched.*(does not match|damaged|not what)"))
	if strings.Contains(n.Console().Output(), "BOOTTORRENT-TINY-OK") {
		t.Error("the damaged system was started")
	}
}

// wrapped is a pattern for a sentence that a screen may break between any two words.
func wrapped(sentence string) string {
	return `(?s)` + strings.ReplaceAll(sentence, " ", `\s+`)
}

func flipBit(t *testing.T, path string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	one := make([]byte, 1)
	const where = 1 << 20
	if _, err := f.ReadAt(one, where); err != nil {
		t.Fatal(err)
	}
	one[0] ^= 1
	if _, err := f.WriteAt(one, where); err != nil {
		t.Fatal(err)
	}
}

// liar is a machine between nodes and seeder that changes what the seeder answers. It returns its base URL.
func (r *room) liar(change func(path string, body []byte) []byte) string {
	r.t.Helper()
	host, err := r.Host("liar", lab.Addr("10.77.0.66/16"))
	r.must(err)
	var listener net.Listener
	r.must(host.Do(func() error {
		listener, err = net.Listen("tcp4", host.IP().String()+":8080")
		return err
	}))
	target, err := url.Parse(r.seeder.Base)
	r.must(err)
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(target)
			p.Out.Header.Del("Accept-Encoding") // change gets the bytes, not what they are compressed to
		},
		Transport: host.HTTP().Transport,
		ModifyResponse: func(resp *http.Response) error {
			if resp.Request.URL.Path == catalog.PathReport {
				return nil
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil {
				return err
			}
			body = change(resp.Request.URL.Path, body)
			resp.Body = io.NopCloser(bytes.NewReader(body))
			resp.ContentLength = int64(len(body))
			resp.Header.Set("Content-Length", strconv.Itoa(len(body)))
			return nil
		},
	}
	server := &http.Server{Handler: proxy}
	go server.Serve(listener)
	r.t.Cleanup(func() { server.Close() })
	return "http://" + listener.Addr().String()
}
