package helpers

import "time"

// pace finds how many machines the seeder serves at a time: as few as fill its link. It goes by what the loads themselves bring: more are tried
// as long as all together then get more.
type pace struct {
	// limit is how many load at a time, now of them do; sent is what they all have got, in bytes.
	limit, now int
	sent       int64
	// proven is the limit with which all together got best, in bytes per second. limit is more than that while more are tried, which is not done
	// before after.
	proven int
	best   float64
	after  time.Time
	// rate is what they got during the last load, in bytes per second; 0: not known yet.
	rate float64
}

const (
	// maxLimit is how many machines load from the seeder at a time, whatever its link can do. It is less than the slots of requests (seeder/web).
	maxLimit = 1024
	// gain is by how much more all together must get for one more to be worth it.
	gain = 1.15
	// quick is a load so short that twice as many are tried. Where it takes longer, two at a time would delay the first helper by as much.
	quick = 4 * time.Second
	// holdTime is how long a limit that was found stays: the link may be another one's for a while.
	holdTime = time.Minute
)

// begin notes that a load begins, and returns what finish needs.
func (p *pace) begin(now time.Time) loadMark {
	p.now++
	return loadMark{began: now, sent: p.sent, beside: p.now}
}

// loadMark is how things stood when a load began.
type loadMark struct {
	began  time.Time
	sent   int64
	beside int // how many loaded then, this one among them
}

// finish notes that a load is complete.
func (p *pace) finish(m loadMark, now time.Time) {
	took := max(now.Sub(m.began), time.Millisecond)
	p.rate = float64(p.sent-m.sent) / took.Seconds()
	if m.beside < p.limit {
		return // fewer than could
	}
	switch {
	case p.limit > p.proven && p.proven > 0 && p.rate < gain*p.best:
		p.limit, p.after = p.proven, now.Add(holdTime)
	case now.Before(p.after):
	default:
		p.proven, p.best = p.limit, p.rate
		if took < quick {
			p.limit = min(2*p.limit, maxLimit)
		}
	}
}

// end notes that a load goes on no longer, complete or not.
func (p *pace) end() { p.now-- }

// perLoad is how long the link takes for so many bytes; 0: that is not known yet.
func (p *pace) perLoad(size int64) time.Duration {
	if p.rate <= 0 {
		return 0
	}
	return time.Duration(float64(size) / p.rate * float64(time.Second))
}
