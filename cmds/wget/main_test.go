package main

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
)

func TestWget(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /dir/file", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "content") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "index") })
	mux.HandleFunc("GET /cut", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	t.Chdir(t.TempDir())
	for _, c := range []struct {
		args              []string
		file, want, wrong string
	}{
		{[]string{server.URL + "/dir/file"}, "file", "content", ""},
		{[]string{"-O", "other", server.URL + "/dir/file"}, "other", "content", ""},
		{[]string{server.URL}, "index.html", "index", ""},
		{[]string{"-O", "-", server.URL + "/dir/file"}, "", "content", ""},
		{[]string{server.URL + "/none"}, "", "", "404"},
		{[]string{server.URL + "/cut"}, "", "", "write cut"},
		{[]string{"https://localhost/"}, "", "", "http://HOST/PATH"},
		{nil, "", "", "give one URL"},
	} {
		var out bytes.Buffer
		err := run(t.Context(), c.args, &out)
		if (err != nil) != (c.wrong != "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%q: error %v, want one with %q", c.args, err, c.wrong)
		}
		got := out.Bytes()
		if c.file != "" {
			if got, err = os.ReadFile(c.file); err != nil {
				t.Error(err)
			}
		}
		if string(got) != c.want {
			t.Errorf("%q gives %q, want %q", c.args, got, c.want)
		}
	}
	if _, err := os.Stat("cut"); err == nil {
		t.Error("half a file was left behind")
	}
}
