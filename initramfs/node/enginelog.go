package node

import (
	"log/slog"
)

// engineLog is for the engine: what it says from warnings up, or with bt.debug all, goes to the log of the node.
func engineLog(cfg Config) *slog.Logger {
	level := slog.LevelWarn
	if cfg.Cmdline.Debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(lineWriter(func(line string) { cfg.Log("%s", line) }), &slog.HandlerOptions{
		Level: level,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // a node's clock may be anywhere
			}
			return a
		},
	}))
}

type lineWriter func(line string)

func (w lineWriter) Write(p []byte) (int, error) {
	w(string(p))
	return len(p), nil
}
