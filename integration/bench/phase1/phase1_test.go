package phase1

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// The benchmark's firmware follows the seeder's scripts: it waits when it is told to, loads from a helper, and from the seeder where that stalls.
func TestFirmwareFollowsTheScript(t *testing.T) {
	asked := 0
	var helper *httptest.Server
	mux := http.NewServeMux()
	seeder := httptest.NewServer(mux)
	defer seeder.Close()
	stall := make(chan struct{})
	helper = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("12345678"))
		if strings.HasSuffix(r.URL.Path, "initramfs.img") {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-stall:
			case <-r.Context().Done():
			}
		}
	}))
	defer helper.Close()
	defer close(stall)
	told := false
	mux.HandleFunc("/boot/boot.ipxe", func(w http.ResponseWriter, r *http.Request) {
		script := "helper.ipxe"
		if asked++; asked == 1 {
			script = "wait.ipxe"
		}
		text, err := os.ReadFile("../../../templates/ipxe/testdata/" + script)
		if err != nil {
			t.Error(err)
		}
		_, _ = strings.NewReplacer("http://10.0.0.1:8080", seeder.URL, "http://seeder", seeder.URL, "http://10.0.0.7:6882", helper.URL, "sleep 3", "sleep 0",
			"--timeout 4000", "--timeout 200").WriteString(w, string(text))
	})
	mux.HandleFunc("/boot/bb/initramfs.img", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("1234")) })
	mux.HandleFunc("/boot/loaded", func(http.ResponseWriter, *http.Request) { told = true })
	f := &firmware{http: &http.Client{Timeout: 30 * time.Second}, settings: map[string]string{"netX/ip": "10.0.0.9"}}
	if err := f.run(t.Context(), seeder.URL+"/boot/boot.ipxe"); err != nil {
		t.Fatal(err)
	}
	if f.waits != 1 || asked != 2 || f.seeder != 4 || f.helpers != 16 || !told {
		t.Errorf("waited %d times, asked %d times, %d bytes from the seeder, %d from the helper, told %v", f.waits, asked, f.seeder, f.helpers, told)
	}
}

// The table in the docs is that of the results.
func TestTableInDocs(t *testing.T) {
	table, err := Table("../results/phase1")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../../docs/phase1.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), mark+table+end) {
		t.Errorf("docs/phase1.md has not this table; go run ./integration/bench phase1 --docs docs/phase1.md\n%s", table)
	}
}
