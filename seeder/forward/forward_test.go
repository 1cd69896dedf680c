package forward

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// seeder is the one that is followed: an http.RoundTripper that notes what it is sent.
type seeder struct {
	mu     sync.Mutex
	away   bool
	code   int
	answer string
	took   time.Duration
	got    []string // "PATH BODY ORIGIN"
}

func (s *seeder) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	away, code, answer, took := s.away, s.code, s.answer, s.took
	if err == nil && !away && code < 400 {
		s.got = append(s.got, fmt.Sprintf("%s %s %s", r.URL.Path, body, r.Header.Get(Header)))
	}
	s.mu.Unlock()
	select {
	case <-time.After(took):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if away {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: code, Status: fmt.Sprint(code), Body: io.NopCloser(strings.NewReader(answer)), Header: http.Header{}}, nil
}

// set changes what it answers, and take returns what it was sent since.
func (s *seeder) set(away bool, code int, answer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.away, s.code, s.answer = away, code, answer
}

func (s *seeder) take() (got []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	got, s.got = s.got, nil
	return got
}

// run runs a forwarder over a folder until the function that it returns is called.
func run(t *testing.T, dir string, to *seeder) (f *Forwarder, stop func()) {
	t.Helper()
	f = Open(Config{
		Dir: dir, To: func() string { return "http://first" }, Hello: func() http.Header { return http.Header{} }, Client: &http.Client{Transport: to},
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { f.Run(ctx); close(ended) }()
	return f, func() { cancel(); <-ended }
}

var node = netip.MustParseAddr("10.1.0.7")

func macOf(n int) string { return fmt.Sprintf("52:54:00:00:%02x:%02x", n>>8, n&255) }

func reportOf(n int, boot, body string) Item {
	return Item{MAC: macOf(n), Boot: boot, Node: node, At: time.Now(), Body: []byte(body)}
}

func logOf(n int, body string) Item {
	return Item{MAC: macOf(n), Node: node, At: time.Now(), Body: []byte(body)}
}

// A report is sent as it came, with whom it is from, and the order that is the answer is the node's, for that boot and as long as it is given.
func TestOrderComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &seeder{code: http.StatusOK, answer: "an order", took: 20 * time.Millisecond}
		f, stop := run(t, t.TempDir(), to)
		defer stop()
		if got := f.Report(reportOf(1, "one", "a report")); string(got) != "an order" {
			t.Errorf("the node gets %q", got)
		}
		if got := to.take(); !slices.Equal(got, []string{"/api/report a report 10.1.0.7; age=0.000"}) {
			t.Errorf("sent is %q", got)
		}
		to.mu.Lock()
		to.took = 3 * time.Second
		to.mu.Unlock()
		began := time.Now()
		if got := f.Report(reportOf(1, "one", "slow")); string(got) != "an order" || time.Since(began) != answerTime {
			t.Errorf("a seeder that is slow gives %q after %s", got, time.Since(began))
		}
		if got := f.Report(reportOf(1, "two", "slow")); got != nil {
			t.Errorf("another boot gets %q", got)
		}
		time.Sleep(10 * time.Second)
		to.set(false, http.StatusNoContent, "")
		f.Report(reportOf(1, "one", "again"))
		time.Sleep(10 * time.Second)
		if got := f.order(macOf(1), "one"); got != nil {
			t.Errorf("an order that is given no longer is %q", got)
		}
	})
}

// What can't be sent is kept: the last report of each node, and logs in their order; it is sent the oldest first, with its age.
func TestKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to, dir := &seeder{away: true, code: http.StatusNoContent}, t.TempDir()
		f, stop := run(t, dir, to)
		f.Report(reportOf(1, "one", "first of 1"))
		began := time.Now()
		f.Report(reportOf(2, "one", "of 2"))
		f.Report(reportOf(1, "one", "last of 1"))
		if waited := time.Since(began); waited != 0 {
			t.Errorf("reports that are kept let nodes wait %s", waited)
		}
		f.Post(Item{Key: "wish", Path: "/api/local", Node: node, At: time.Now(), Body: []byte("a wish")})
		f.Log(logOf(1, "lines"))
		f.Log(logOf(1, "more lines"))
		time.Sleep(5 * time.Minute)
		s := f.State()
		if s.Reports.Kept != 3 || s.Logs.Kept != 2 || s.Away.IsZero() || s.Trouble == "" || s.Reports.Dropped != 0 {
			t.Errorf("while the other is away: %+v", s)
		}
		stop()
		if n := len(to.take()); n != 0 {
			t.Errorf("%d arrived", n)
		}

		to.set(false, http.StatusNoContent, "")
		f, stop = run(t, dir, to)
		time.Sleep(time.Second)
		var reports, logs []string
		for _, got := range to.take() {
			if strings.HasPrefix(got, "/api/log") {
				logs = append(logs, got)
			} else {
				reports = append(reports, got)
			}
		}
		slices.Sort(reports) // eight are sent at a time
		if want := []string{"/api/local a wish 10.1.0.7; age=300.000", "/api/report last of 1 10.1.0.7; age=300.000", "/api/report of 2 10.1.0.7; age=300.000"}; !slices.Equal(reports, want) {
			t.Errorf("sent are %q, want %q", reports, want)
		}
		if want := []string{"/api/log lines 10.1.0.7; age=300.000", "/api/log more lines 10.1.0.7; age=300.000"}; !slices.Equal(logs, want) {
			t.Errorf("sent are %q, want %q", logs, want)
		}
		if s := f.State(); s.Reports.Kept != 0 || s.Logs.Kept != 0 || s.Logs.KeptBytes != 0 || s.Reports.Sent != 3 || s.Logs.Sent != 2 || !s.Away.IsZero() {
			t.Errorf("afterwards: %+v", s)
		}
		stop()
		if files := filesBelow(t, dir); len(files) != 0 {
			t.Errorf("%q are left", files)
		}
	})
}

// filesBelow are the files in a folder and below.
func filesBelow(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// While the other seeder is away, it is asked rarely; when it is back, everything comes within seconds.
func TestAwayForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &seeder{code: http.StatusServiceUnavailable, answer: "come again"}
		f, stop := run(t, t.TempDir(), to)
		defer stop()
		for n := range 500 {
			f.Report(reportOf(n, "one", fmt.Sprint("of ", n)))
			time.Sleep(100 * time.Millisecond)
		}
		to.set(false, http.StatusNoContent, "")
		time.Sleep(pauseTime + time.Second)
		if n := len(to.take()); n != 500 {
			t.Errorf("%d of 500 arrived", n)
		}
	})
}

// What the other seeder refuses is not sent again, and holds up nothing.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &seeder{code: http.StatusBadRequest, answer: "what is that?"}
		f, stop := run(t, t.TempDir(), to)
		defer stop()
		f.Report(reportOf(1, "one", "nonsense"))
		f.Log(logOf(1, "nonsense"))
		time.Sleep(time.Minute)
		if s := f.State(); s.Reports.Refused != 1 || s.Logs.Refused != 1 || s.Reports.Kept+s.Logs.Kept != 0 || !s.Away.IsZero() {
			t.Errorf("%+v", s)
		}
	})
}

// What is kept is bounded: the oldest goes first.
func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &seeder{away: true, code: http.StatusNoContent}
		f := Open(Config{Dir: t.TempDir(), To: func() string { return "http://first" }, Hello: func() http.Header { return nil }, Client: &http.Client{Transport: to}, Log: slog.New(slog.DiscardHandler), Now: time.Now})
		f.kept.limit, f.logs.limit = 100*(1000+itemCost), 40*fileCost
		body := bytes.Repeat([]byte("x"), 1000)
		for n := range 150 {
			i := reportOf(n, "one", string(body))
			f.Post(Item{Key: i.MAC, Path: "/api/report", Node: node, At: i.At, Body: body})
			f.Log(logOf(n, "lines"))
		}
		s := f.State()
		if s.Reports.Kept != 100 || s.Reports.Dropped != 50 || s.Reports.KeptBytes > f.kept.limit {
			t.Errorf("of reports %+v", s.Reports)
		}
		if s.Logs.Kept != 40 || s.Logs.Dropped != 110 || s.Logs.KeptBytes > f.logs.limit {
			t.Errorf("of logs %+v", s.Logs)
		}
		if f.kept.byKey[macOf(49)] != nil || f.kept.byKey[macOf(50)] == nil {
			t.Error("it is not the oldest that went")
		}
	})
}

// What can't be written down is written as soon as that is possible, whether or not something came meanwhile.
func TestWrittenLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		path := filepath.Join(dir, keptFile)
		f, stop := run(t, dir, &seeder{away: true})
		defer stop()
		if err := os.Mkdir(path, 0o755); err != nil {
			t.Fatal(err)
		}
		f.Report(reportOf(1, "one", "a report"))
		time.Sleep(saveTime + time.Second)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(saveTime)
		if text, err := os.ReadFile(path); err != nil || !strings.Contains(string(text), macOf(1)) {
			t.Errorf("%s, %v", text, err)
		}
	})
}

// A report that is being sent again at the moment when what is kept is written down is kept as well: nothing else may ever come to write it later.
func TestWrittenWhileSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		f, stop := run(t, dir, &seeder{away: true, took: time.Second})
		defer stop()
		f.Report(reportOf(1, "one", "a report"))
		for s := f.State(); s.Away.IsZero() || s.Reports.Kept > 0; s = f.State() { // until it is being sent again
			time.Sleep(pauseTime / 10)
		}
		f.save()
		if text, err := os.ReadFile(filepath.Join(dir, keptFile)); err != nil || !strings.Contains(string(text), macOf(1)) {
			t.Errorf("%s, %v", text, err)
		}
	})
}

// A report that may be another's is handed on, and gets no order: not the one that is its answer, nor that of the machine itself.
func TestDoubtGetsNoOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &seeder{code: http.StatusOK, answer: "an order"}
		f, stop := run(t, t.TempDir(), to)
		defer stop()
		doubtful := reportOf(1, "one", "a report")
		doubtful.Doubt = true
		for range 2 {
			if got := f.Report(doubtful); got != nil {
				t.Errorf("it gets %q", got)
			}
			synctest.Wait()
			if got := to.take(); len(got) != 1 || !strings.HasSuffix(got[0], "; doubt") {
				t.Errorf("sent is %q", got)
			}
			if got := f.Report(reportOf(1, "one", "a report")); string(got) != "an order" {
				t.Errorf("the machine gets %q", got)
			}
			to.take()
		}
	})
}

// A mirror may say much of machines elsewhere. What it hands on for an address in the seeder's own networks is in doubt, whatever it says.
func TestOwnNetworkIsInDoubt(t *testing.T) {
	own := netip.MustParsePrefix("10.1.0.0/16")
	var got Origin
	h := Handler(func(*http.Request) (string, bool) { return "http://10.1.0.66:8080", false }, own.Contains,
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, _ = From(r) }))
	for text, doubt := range map[string]bool{"10.1.0.7": true, "::ffff:10.1.0.7": true, "10.2.0.7": false, "10.2.0.7; doubt": true} {
		r := httptest.NewRequest(http.MethodPost, "/api/report", nil)
		r.Header.Set(Header, text)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got.Doubt != doubt || !got.Node.IsValid() {
			t.Errorf("%q is taken as %+v, want doubt: %v", text, got, doubt)
		}
	}
}

// The seeder that is followed sends nobody elsewhere.
func TestNoRedirect(t *testing.T) {
	asked := false
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer elsewhere.Close()
	first := httptest.NewServer(http.RedirectHandler(elsewhere.URL, http.StatusTemporaryRedirect))
	defer first.Close()
	f := Open(Config{
		Dir: t.TempDir(), To: func() string { return first.URL }, Hello: func() http.Header { return http.Header{} },
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	i := reportOf(1, "one", "a report")
	i.Path = "/api/report"
	if _, err := f.post(t.Context(), &i); err == nil || !strings.Contains(err.Error(), "307 Temporary Redirect") || asked {
		t.Errorf("%v; asked elsewhere: %v", err, asked)
	}
}

// A file that was not written whole, as when the machine lost power, is left out.
func TestBrokenFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		to := &seeder{away: true, code: http.StatusNoContent}
		f, stop := run(t, dir, to)
		f.Log(logOf(1, "lines"))
		f.Log(logOf(1, "more"))
		f.Report(reportOf(1, "one", "a report"))
		time.Sleep(time.Second)
		stop()
		for _, file := range filesBelow(t, dir) {
			if strings.Contains(file, "0000000000000000-") || strings.HasSuffix(file, keptFile) {
				if err := os.Truncate(file, 10); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := os.WriteFile(filepath.Join(dir, "logs", ".0000000000000007-x.json"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		to.set(false, http.StatusNoContent, "")
		f, stop = run(t, dir, to)
		time.Sleep(time.Second)
		if got := to.take(); len(got) != 1 || !strings.HasPrefix(got[0], "/api/log more") {
			t.Errorf("sent are %q", got)
		}
		if s := f.State(); s.Logs.Dropped != 1 {
			t.Errorf("%+v", s.Logs)
		}
		stop()
	})
}

func FuzzOrigin(f *testing.F) {
	f.Add("10.1.0.7; age=3.250; via=http://10.1.0.1:8080; doubt")
	f.Add("fe80::1%eth0;;")
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseOrigin(text)
		if err != nil {
			return
		}
		if again, err := ParseOrigin(o.String()); err != nil || again != o {
			t.Errorf("%+v becomes %+v: %v", o, again, err)
		}
	})
}
