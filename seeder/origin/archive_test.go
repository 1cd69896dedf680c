package origin

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"golang.org/x/crypto/bcrypt"

	"github.com/boottorrent/boottorrent/internal/artifact"
	"github.com/boottorrent/boottorrent/internal/catalog"
	"github.com/boottorrent/boottorrent/internal/need"
	"github.com/boottorrent/boottorrent/internal/originurl"
	"github.com/boottorrent/boottorrent/internal/site"
)

const (
	user     = "seeder"
	password = "a-secret-of-the-test"
)

// bucketServer is a server that speaks S3, which wants credentials and cuts the first answer with a file in it where cuts says so.
func bucketServer(t *testing.T, cuts *atomic.Int32) string {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", user)
	t.Setenv("AWS_SECRET_ACCESS_KEY", password)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", filepath.Join(t.TempDir(), "none"))
	backend := s3mem.New()
	if err := backend.CreateBucket("images"); err != nil {
		t.Fatal(err)
	}
	s3 := gofakes3.New(backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.Contains(r.Header.Get("Authorization"), "Credential="+user+"/") {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`)
			return
		}
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/images/") && cuts.Add(-1) >= 0 {
			w = &cutter{ResponseWriter: w, left: 500_000}
		}
		s3.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// cutter ends the connection after so many bytes.
type cutter struct {
	http.ResponseWriter
	left int
}

func (c *cutter) Write(p []byte) (int, error) {
	if c.left < len(p) {
		_, _ = c.ResponseWriter.Write(p[:c.left])
		panic(http.ErrAbortHandler)
	}
	c.left -= len(p)
	return c.ResponseWriter.Write(p)
}

// registryServer starts Debian's registry on loopback, and returns its HOST:PORT.
func registryServer(t *testing.T) string {
	t.Helper()
	dir, host := t.TempDir(), fmt.Sprintf("127.0.0.1:%d", need.Port(t))
	t.Setenv("DOCKER_CONFIG", dir)
	config := filepath.Join(dir, "config.yml")
	text := fmt.Sprintf("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s}}\nhttp: {addr: %q}\n"+
		"auth: {htpasswd: {realm: test, path: %s/htpasswd}}\n", dir, host, dir)
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string]string{
		"config.yml": text, "htpasswd": user + ":" + string(hash) + "\n",
		"config.json": fmt.Sprintf(`{"auths":{%q:{"username":%q,"password":%q}}}`, host, user, password),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), need.Command(t, "docker-registry", "docker-registry"), "serve", config)
	cmd.Dir = dir
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	for end := time.Now().Add(need.Patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if answer, err := http.Get("http://" + host + "/v2/"); err == nil {
			answer.Body.Close()
			return host
		}
	}
	t.Fatal("the registry does not answer")
	return ""
}

func systemFiles(t *testing.T, body []byte) []File {
	t.Helper()
	dir := t.TempDir()
	files := []File{{"config.yaml", filepath.Join(dir, "1")}, {"live/root.squashfs", filepath.Join(dir, "2")}}
	for i, b := range [][]byte{[]byte("dispname: x\n"), body} {
		if err := os.WriteFile(files[i].From, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func parse(t *testing.T, text string) originurl.URL {
	t.Helper()
	u, err := originurl.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// pushAndFetch puts a system somewhere, twice, and has it back.
func pushAndFetch(t *testing.T, to string, body []byte) originurl.URL {
	t.Helper()
	c, files := quick(nil), systemFiles(t, body)
	var pushed Pushed
	for _, want := range []Pushed{{Sent: 2, Bytes: int64(len(body)) + 12}, {There: 2}} {
		var err error
		if pushed, err = c.Push(t.Context(), parse(t, to), files, func(catalog.File, bool) {}); err != nil {
			t.Fatal(err)
		}
		if pushed.Sent != want.Sent || pushed.There != want.There || pushed.Bytes != want.Bytes || pushed.Replaced != "" {
			t.Errorf("pushed %+v, want %+v", pushed, want)
		}
	}
	u, dir := parse(t, pushed.From), t.TempDir()
	manifest := site.Origin{URL: u, SHA256: u.Digest, Size: -1, Limit: artifact.MaxManifest}
	if err := c.Fetch(t.Context(), dir, manifest, ignore); err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile(filepath.Join(dir, u.Digest))
	if err != nil {
		t.Fatal(err)
	}
	m, err := artifact.Parse(document)
	if err != nil || len(m.Files) != 2 || m.Files[1].Path != "live/root.squashfs" {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, f := range m.Files {
		o := site.Origin{Path: f.Path, URL: u.Blob(f.SHA256), SHA256: f.SHA256, Size: f.Size, Limit: f.Size}
		if size, err := c.Probe(t.Context(), o); err != nil || size != f.Size {
			t.Errorf("probe %s: %d, %v", f.Path, size, err)
		}
		if err := c.Fetch(t.Context(), dir, o, ignore); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(dir, digest(body))); err != nil || !bytes.Equal(got, body) {
		t.Errorf("not what was pushed: %v", err)
	}
	return u
}

func TestBucket(t *testing.T) {
	var cuts atomic.Int32
	base, body := bucketServer(t, &cuts), content(2<<20)
	to := "s3://images/lab/debian?endpoint=" + base + "&region=us-east-1"
	u := pushAndFetch(t, to, body)

	// A connection that is cut goes on where it was.
	cuts.Store(1)
	o := originOf(t, u.Blob(digest(body)).Whole(), body)
	dir, resumed := t.TempDir(), false
	if err := quick(nil).Fetch(t.Context(), dir, o, func(done, _ int64) { resumed = resumed || done == 500_000 }); err != nil || !bytes.Equal(fetched(t, dir, o), body) || !resumed {
		t.Errorf("%v, cut %v", err, resumed)
	}

	for want, change := range map[string]func(o *site.Origin){
		"404 Not Found; look at the names of bucket and key": func(o *site.Origin) { o.URL.Path = "nothing" },
		"look at the names of bucket":                        func(o *site.Origin) { o.URL.Host = "nobodys" },
	} {
		o := originOf(t, u.Blob(digest(body)).Whole(), body)
		change(&o)
		if err := quick(nil).Fetch(t.Context(), t.TempDir(), o, ignore); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	_, err := quick(nil).Push(t.Context(), parse(t, strings.Replace(to, "images", "nobodys", 1)), systemFiles(t, body), func(catalog.File, bool) {})
	if err == nil || !strings.Contains(err.Error(), "make the bucket first") {
		t.Errorf("a bucket that isn't there: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "stranger")
	err = quick(nil).Fetch(t.Context(), t.TempDir(), o, ignore)
	if err == nil || !strings.Contains(err.Error(), "403 Forbidden; give the seeder's process AWS_ACCESS_KEY_ID") || strings.Contains(err.Error(), password) {
		t.Errorf("a stranger: %v", err)
	}
}

// Credentials come from a file as well.
func TestBucketCredentialsOfFile(t *testing.T) {
	var cuts atomic.Int32
	base := bucketServer(t, &cuts)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, fmt.Appendf(nil, "[lab]\naws_access_key_id = %s\naws_secret_access_key = %s\n", user, password), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	t.Setenv("AWS_PROFILE", "lab")
	t.Setenv("AWS_ENDPOINT_URL", base)
	pushAndFetch(t, "s3://images/x?region=us-east-1", content(1000))
}

func TestRegistry(t *testing.T) {
	host, body := registryServer(t), content(2<<20)
	u := pushAndFetch(t, "oci://"+host+"/lab/debian:12", body)

	c := quick(nil)
	replaced, err := c.Push(t.Context(), parse(t, "oci://"+host+"/lab/debian:12"), systemFiles(t, content(1000)), func(catalog.File, bool) {})
	if err != nil || replaced.Replaced != u.Digest {
		t.Errorf("a tag that was another version's: %+v, %v", replaced, err)
	}
	manifest := site.Origin{URL: u, SHA256: u.Digest, Size: -1, Limit: artifact.MaxManifest}
	if err := c.Fetch(t.Context(), t.TempDir(), manifest, ignore); err != nil {
		t.Errorf("the version that lost its tag: %v", err)
	}
	// What came of a file before goes on by a range.
	o, dir := originOf(t, u.Blob(digest(body)).Whole(), body), t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, o.SHA256+partSuffix), body[:1<<20], 0o600); err != nil {
		t.Fatal(err)
	}
	first := int64(0)
	err = c.Fetch(t.Context(), dir, o, func(done, _ int64) {
		if first == 0 {
			first = done
		}
	})
	if err != nil || !bytes.Equal(fetched(t, dir, o), body) || first <= 1<<20 {
		t.Errorf("%v, first %d bytes", err, first)
	}
	o.SHA256 = strings.Repeat("0", 64)
	if err := c.Fetch(t.Context(), t.TempDir(), o, ignore); err == nil || !strings.Contains(err.Error(), "404 Not Found; look at the name and the digest") {
		t.Errorf("nothing of that digest: %v", err)
	}
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	err = c.Fetch(t.Context(), t.TempDir(), manifest, ignore)
	if err == nil || !strings.Contains(err.Error(), "docker login "+host) || strings.Contains(err.Error(), password) {
		t.Errorf("without a login: %v", err)
	}
	_, err = c.Push(t.Context(), parse(t, "oci://"+host+"/lab/debian"), systemFiles(t, body), func(catalog.File, bool) {})
	if err == nil || !strings.Contains(err.Error(), "log in as somebody who may write there: docker login "+host) {
		t.Errorf("a push without a login: %v", err)
	}
}
