package daemon

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"time"

	"github.com/boottorrent/boottorrent/internal/site"
	"github.com/boottorrent/boottorrent/seeder/origin"
	"github.com/boottorrent/boottorrent/seeder/status"
)

const (
	// fetchesAtOnce is how many systems have their files fetched at a time: one slow server doesn't keep the others waiting.
	fetchesAtOnce = 2
	// fetchRetry is the pause before what failed is tried again, doubled after each failure up to fetchRetryMost. What came and was wrong
	// is asked for after wrongRetry, doubled up to wrongRetryMost: it may have gigabytes.
	fetchRetry, fetchRetryMost = 15 * time.Second, 10 * time.Minute
	wrongRetry, wrongRetryMost = time.Hour, 24 * time.Hour
	// unusedAfter is how long a file stays that no configuration names any more: whoever writes one may be in the middle of it.
	unusedAfter = 10 * time.Minute
)

// fetcher brings the files of systems that come from elsewhere. Its methods are called from one goroutine, but for progress.
type fetcher struct {
	client *origin.Client
	log    *slog.Logger
	now    func() time.Time
	// dir is the site's FetchedDir, and link gives a file that the store has already another name.
	dir  string
	link func(sum, path string) bool
	// retry is the pause after a first failure.
	retry time.Duration
	// ended gets the job that has ended.
	ended chan *fetchJob

	running int
	// unused says since when a file is in nobody's configuration.
	unused map[string]time.Time

	mu   sync.Mutex
	jobs map[string]*fetchJob
}

// fetchJob are the files of a system that are to be fetched.
type fetchJob struct {
	system  string
	origins []site.Origin
	running bool
	cancel  context.CancelFunc
	// err is why the last attempt failed, failed how many have, and next when the next one begins.
	err    *origin.Error
	failed int
	next   time.Time
	// at is how far it is.
	at status.Fetch
}

func newFetcher(dir string, link func(sum, path string) bool, client *origin.Client, retry time.Duration, log *slog.Logger) *fetcher {
	return &fetcher{
		client: client, log: log, now: time.Now, dir: filepath.Join(dir, site.FetchedDir), link: link, retry: cmp.Or(retry, fetchRetry),
		ended: make(chan *fetchJob), unused: map[string]time.Time{}, jobs: map[string]*fetchJob{},
	}
}

// want notes what is to be fetched for a system. What is on its way stays so.
func (f *fetcher) want(sys site.System) *fetchJob {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.jobs[sys.Name]
	if j != nil && reflect.DeepEqual(j.origins, sys.Missing) {
		return j
	}
	f.stop(j)
	j = &fetchJob{system: sys.Name, origins: sys.Missing, at: status.Fetch{Files: len(sys.Missing), Total: total(sys.Missing, nil)}}
	f.jobs[sys.Name] = j
	return j
}

// only gives up the fetches of all systems but some.
func (f *fetcher) only(systems []site.System) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, j := range f.jobs {
		wanted := false
		for _, s := range systems {
			wanted = wanted || s.Name == name
		}
		if !wanted {
			f.stop(j)
			delete(f.jobs, name)
		}
	}
}

// stop ends a job; it is told of as ended later.
func (f *fetcher) stop(j *fetchJob) {
	if j != nil && j.cancel != nil {
		j.cancel()
	}
}

// hurry has a system's files fetched at once, if that failed before.
func (f *fetcher) hurry(system string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if j := f.jobs[system]; j != nil && !j.running {
		j.next, j.err = time.Time{}, nil
	}
}

// busy reports whether files of a system are on their way, or will be as soon as others are here.
func (f *fetcher) busy(system string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.jobs[system]
	return j != nil && (j.running || j.err == nil)
}

// progress says how far the files of a system are; nil: none are fetched.
func (f *fetcher) progress(system string) *status.Fetch {
	f.mu.Lock()
	defer f.mu.Unlock()
	j := f.jobs[system]
	if j == nil {
		return nil
	}
	at := j.at
	if at.Next = nil; !j.running && !j.next.IsZero() {
		next := j.next
		at.Next = &next
	}
	return &at
}

// begin starts what is due.
func (f *fetcher) begin(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, j := range f.jobs {
		if j.running || f.running >= fetchesAtOnce || ctx.Err() != nil || f.now().Before(j.next) {
			continue
		}
		jobCtx, cancel := context.WithCancel(ctx)
		j.running, j.cancel = true, cancel
		f.running++
		go func() {
			err := f.fetch(jobCtx, j)
			cancel()
			f.mu.Lock()
			j.err = err
			f.mu.Unlock()
			f.ended <- j
		}()
	}
}

// fetch brings the files of a job, one after the other.
func (f *fetcher) fetch(ctx context.Context, j *fetchJob) *origin.Error {
	_ = os.MkdirAll(f.dir, 0o755) // whoever writes there says why it can't
	var done int64
	for i, o := range j.origins {
		begun := f.now()
		f.mu.Lock()
		j.at.File, j.at.From, j.at.Number, j.at.Done = o.Name(), o.URL.String(), i+1, done
		f.mu.Unlock()
		if !origin.Here(f.dir, o) && f.link(o.SHA256, filepath.Join(f.dir, o.SHA256)) {
			f.log.Info("a file from elsewhere is in a stored version already", "system", j.system, "file", o.Name(), "sha256", o.SHA256)
			continue
		}
		size := int64(0)
		err := f.client.Fetch(ctx, f.dir, o, func(have, whole int64) {
			size = have
			f.mu.Lock()
			j.at.Done, j.at.Total = done+have, total(j.origins, map[string]int64{o.SHA256: whole})
			f.mu.Unlock()
		})
		var said *origin.Error
		if errors.As(err, &said) {
			return said
		}
		done += size
		f.log.Info("a file from elsewhere is here", "system", j.system, "file", o.Name(), "from", o.URL.String(), "bytes", size, "took", f.now().Sub(begun).Round(time.Millisecond))
	}
	return nil
}

// total is how many bytes there are to fetch; 0: that is not known of all of them. known says it of some, -1 that it doesn't.
func total(origins []site.Origin, known map[string]int64) (sum int64) {
	for _, o := range origins {
		size := o.Size
		if n, ok := known[o.SHA256]; ok && size < 0 {
			size = n
		}
		if size < 0 {
			return 0
		}
		sum += size
	}
	return sum
}

// take notes that a job has ended, and reports whether it is still wanted.
func (f *fetcher) take(j *fetchJob) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
	j.running = false
	if f.jobs[j.system] != j {
		return false
	}
	if j.err == nil {
		delete(f.jobs, j.system)
		return true
	}
	pause, most := f.retry, fetchRetryMost
	if j.err.Wrong {
		pause, most = wrongRetry, wrongRetryMost
	}
	for range min(j.failed, 20) {
		pause *= 2
	}
	j.failed++
	j.next = f.now().Add(min(pause, most))
	return true
}

// wait ends when nothing is fetched any more: its context has ended.
func (f *fetcher) wait() {
	for ; f.running > 0; f.running-- {
		<-f.ended
	}
}

// drop removes files that no configuration has named for a while.
func (f *fetcher) drop(s *site.Site) {
	keep := map[string]bool{}
	for _, systems := range [][]site.System{s.Systems, s.Absent} {
		for _, sys := range systems {
			for _, o := range sys.From {
				keep[o.SHA256] = true
			}
		}
	}
	names, err := origin.Unused(f.dir, keep)
	if err != nil {
		f.log.Warn("files that came from elsewhere can't be looked at", "err", err)
		return
	}
	before := f.unused
	f.unused = map[string]time.Time{}
	for _, name := range names {
		since, known := before[name]
		if !known {
			since = f.now()
		}
		if f.now().Sub(since) < unusedAfter {
			f.unused[name] = since
			continue
		}
		if err := origin.Remove(f.dir, name); err != nil {
			f.log.Warn("a file that came from elsewhere can't be removed", "err", err)
			continue
		}
		f.log.Info("a file from elsewhere that no system names any more was removed", "sha256", name)
	}
}

// considerAbsent has the missing files of a system fetched.
func (f *follower) considerAbsent(sys site.System) {
	f.showFetch(f.fetch.want(sys))
}

// showFetch lists what becomes of a system whose files are fetched.
func (f *follower) showFetch(j *fetchJob) {
	f.fetch.mu.Lock()
	err := j.err
	f.fetch.mu.Unlock()
	switch {
	case err == nil:
		f.listings.set(j.system, status.Fetching)
	case err.Temporary:
		f.listings.set(j.system, status.Fetching, err.Error())
	default:
		f.listings.wrong(j.system, err.Error())
	}
}

// fetched goes on with a system whose files are here, or says why they are not.
func (f *follower) fetched(j *fetchJob) {
	if !f.fetch.take(j) || !f.listings.has(j.system) {
		return
	}
	if j.err == nil {
		f.reload()
		return
	}
	f.dirty = true
	f.showFetch(j)
}
