// Package journal is a slog.Handler for a process whose standard error is systemd's journal: in go records, out come entries of the
// journal with a priority and a field for each attribute (systemd's native protocol, systemd.io/JOURNAL_NATIVE_PROTOCOL), so that
// `journalctl BOOTTORRENT_MAC=52:54:00:00:00:01` finds what concerns one machine.
package journal

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/coreos/go-systemd/v22/journal"
)

// Prefix begins the names of the fields that attributes become: BOOTTORRENT_STEP.
const Prefix = "BOOTTORRENT_"

// Identifier is SYSLOG_IDENTIFIER, by which journalctl -t selects.
const Identifier = "boottorrent"

// Connected reports whether standard error is the journal, as systemd says by JOURNAL_STREAM (systemd.exec(5)).
func Connected() bool {
	is, err := journal.StderrIsJournalStream()
	return err == nil && is
}

// Handler implements slog.Handler.
type Handler struct {
	level slog.Leveler
	send  func(message string, p journal.Priority, fields map[string]string) error
	// otherwise gets what the journal does not take.
	otherwise slog.Handler
	// groups are those of WithGroup, attrs those of WithAttrs.
	groups []string
	attrs  []slog.Attr
}

// New returns a handler that sends records of at least a level to the journal, and to otherwise what that doesn't take.
func New(level slog.Leveler, otherwise slog.Handler) *Handler {
	return &Handler{level: level, send: journal.Send, otherwise: otherwise}
}

// Enabled implements slog.Handler.
func (h *Handler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	more := *h
	more.attrs = append(slices.Clip(h.attrs), nested(h.groups, attrs)...)
	more.otherwise = h.otherwise.WithAttrs(attrs)
	return &more
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	more := *h
	more.groups = append(slices.Clip(h.groups), name)
	more.otherwise = h.otherwise.WithGroup(name)
	return &more
}

// nested are attributes within groups.
func nested(groups []string, attrs []slog.Attr) []slog.Attr {
	for _, g := range slices.Backward(groups) {
		attrs = []slog.Attr{{Key: g, Value: slog.GroupValue(attrs...)}}
	}
	return attrs
}

// Handle implements slog.Handler.
func (h *Handler) Handle(ctx context.Context, r slog.Record) error {
	own := make([]slog.Attr, 0, r.NumAttrs())
	r.Attrs(func(a slog.Attr) bool { own = append(own, a); return true })
	attrs := append(slices.Clip(h.attrs), nested(h.groups, own)...)
	fields := map[string]string{"SYSLOG_IDENTIFIER": Identifier}
	for _, a := range attrs {
		addField(fields, Prefix, a)
	}
	if err := h.send(message(ctx, r.Message, attrs), priority(r.Level), fields); err != nil {
		return h.otherwise.Handle(ctx, r)
	}
	return nil
}

// priority is a level as the journal has it (syslog(3)).
func priority(l slog.Level) journal.Priority {
	switch {
	case l >= slog.LevelError:
		return journal.PriErr
	case l >= slog.LevelWarn:
		return journal.PriWarning
	case l >= slog.LevelInfo:
		return journal.PriInfo
	}
	return journal.PriDebug
}

// addField adds an attribute, or those of a group, to the fields.
func addField(fields map[string]string, prefix string, a slog.Attr) {
	v := a.Value.Resolve()
	name := prefix + fieldName(a.Key)
	if v.Kind() == slog.KindGroup {
		if a.Key != "" {
			name += "_"
		}
		for _, in := range v.Group() {
			addField(fields, name, in)
		}
		return
	}
	if a.Key != "" && len(name) <= maxName {
		fields[name] = v.String()
	}
}

// maxName is how long a field's name may be (systemd, journal-file.c: field_is_valid).
const maxName = 64

// fieldName is a key in the letters that field names have.
func fieldName(key string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return r - 'a' + 'A'
		case r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
			return r
		}
		return '_'
	}, key)
}

// message is what journalctl shows: the text, and the attributes as slog's text has them.
func message(ctx context.Context, text string, attrs []slog.Attr) string {
	if len(attrs) == 0 {
		return text
	}
	var b bytes.Buffer
	h := slog.NewTextHandler(&b, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.LevelKey || a.Key == slog.MessageKey) {
			return slog.Attr{}
		}
		return a
	}})
	r := slog.Record{Level: slog.LevelInfo}
	r.AddAttrs(attrs...)
	_ = h.Handle(ctx, r) // a bytes.Buffer takes everything
	return text + " " + strings.TrimSuffix(b.String(), "\n")
}
