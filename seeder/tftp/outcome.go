package tftp

import (
	"context"
	"errors"
	"syscall"
)

// Outcome is what became of a request.
type Outcome string

// The outcomes.
const (
	// Sent: the client has acknowledged all of the file.
	Sent Outcome = "sent"
	// Missing: there is no such file; Optional: and the client can do without it.
	Missing  Outcome = "missing"
	Optional Outcome = "optional"
	// Refused: it is no request that is served, such as one to write.
	Refused Outcome = "refused"
	// Dropped: there was no place among the transfers, or another one took it.
	Dropped Outcome = "dropped"
	// Ended: the client ended it, as many do that only want to know a file's size.
	Ended Outcome = "ended"
	// Unheard: the client never acknowledged anything.
	Unheard Outcome = "unheard"
	// Failed: it took too long, the client fell silent, or the file could not be read.
	Failed Outcome = "failed"
)

// outcome is what became of a transfer that ended with err, and the bytes that were sent.
func outcome(ctx context.Context, err error, heard bool, size int64) (Outcome, int64) {
	switch {
	case err == nil:
		return Sent, size
	case errors.Is(err, errCrowded):
		return Dropped, 0
	case errors.Is(err, errReplaced), errors.Is(err, errClient), errors.Is(err, syscall.ECONNREFUSED):
		return Ended, 0
	case ctx.Err() != nil:
		return Failed, 0
	case !heard:
		return Unheard, 0
	}
	return Failed, 0
}
