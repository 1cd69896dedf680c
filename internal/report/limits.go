package report

import "strings"

// What nodes send at most, and the seeder takes. Both sides read these numbers: what one of them changed alone would be refused, and
// the node would be missing from the list.
const (
	// MaxBody is the most bytes of a report as JSON. A real one has about 600, and the largest with each "<" written as \u003c some 30,000.
	MaxBody = 32 << 10
	// MaxLogBody is the most bytes of a Log as JSON.
	MaxLogBody = 512 << 10
	// MaxBatch is the most bytes of text with which a node goes on to fill a batch: JSON may need six bytes for one, as \u0000, and the
	// last record is added as a whole.
	MaxBatch = MaxLogBody / 8
	// MaxBatchLines is how many lines a batch has, MaxLine how many bytes of each are kept.
	MaxBatchLines = 1000
	MaxLine       = 1000
	// MaxError is how many bytes of Report.Error and Exit.Reason are kept.
	MaxError = 1000
)

// Clip is the beginning of a text: at most limit bytes, whole characters only.
func Clip(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "")
}
