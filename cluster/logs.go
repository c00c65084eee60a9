package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"

	"sluice/transport"
)

// hlog lets hashicorp/raft log through slog. Raft's errors are mostly a peer
// that is away, which reports tell better: they are warnings here, and nothing
// where the transport tells why.
type hlog struct {
	log     *slog.Logger
	name    string
	implied []any
}

var _ hclog.Logger = hlog{}

func (h hlog) Log(level hclog.Level, msg string, args ...any) {
	args = slices.Clone(args)
	for i, a := range args {
		switch a := a.(type) {
		case hclog.Format: // a format and its arguments, as hclog words them itself
			args[i] = fmt.Sprintf(a[0].(string), a[1:]...)
		case error:
			if _, told := errors.AsType[*transport.CertificateError](a); told {
				level = hclog.Debug
			}
		}
	}
	h.log.Log(context.Background(), slogLevel(level), msg, args...)
}

func slogLevel(l hclog.Level) slog.Level {
	switch {
	case l >= hclog.Warn:
		return slog.LevelWarn
	case l == hclog.Info:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

func (h hlog) Trace(msg string, args ...any) { h.Log(hclog.Trace, msg, args...) }
func (h hlog) Debug(msg string, args ...any) { h.Log(hclog.Debug, msg, args...) }
func (h hlog) Info(msg string, args ...any)  { h.Log(hclog.Info, msg, args...) }
func (h hlog) Warn(msg string, args ...any)  { h.Log(hclog.Warn, msg, args...) }
func (h hlog) Error(msg string, args ...any) { h.Log(hclog.Error, msg, args...) }

func (h hlog) enabled(l hclog.Level) bool {
	return h.log.Enabled(context.Background(), slogLevel(l))
}
func (h hlog) IsTrace() bool { return h.enabled(hclog.Trace) }
func (h hlog) IsDebug() bool { return h.enabled(hclog.Debug) }
func (h hlog) IsInfo() bool  { return h.enabled(hclog.Info) }
func (h hlog) IsWarn() bool  { return h.enabled(hclog.Warn) }
func (h hlog) IsError() bool { return h.enabled(hclog.Error) }

func (h hlog) ImpliedArgs() []any { return h.implied }
func (h hlog) With(args ...any) hclog.Logger {
	return hlog{h.log.With(args...), h.name, append(slices.Clip(h.implied), args...)}
}
func (h hlog) Name() string                        { return h.name }
func (h hlog) Named(name string) hclog.Logger      { return hlog{h.log, name, h.implied} }
func (h hlog) ResetNamed(name string) hclog.Logger { return h.Named(name) }
func (h hlog) SetLevel(hclog.Level)                {}
func (h hlog) GetLevel() hclog.Level               { return hclog.NoLevel }
func (h hlog) StandardLogger(*hclog.StandardLoggerOptions) *log.Logger {
	return slog.NewLogLogger(h.log.Handler(), slog.LevelInfo)
}
func (h hlog) StandardWriter(*hclog.StandardLoggerOptions) io.Writer {
	return h.StandardLogger(nil).Writer()
}

// memberlistLog lets memberlist, which prints "[LEVEL] memberlist: text", log
// through slog. Gossip is a hint, so nothing of it is more than information.
func memberlistLog(l *slog.Logger) *log.Logger {
	return log.New(memberlistWriter{l}, "", 0)
}

type memberlistWriter struct{ log *slog.Logger }

func (w memberlistWriter) Write(line []byte) (int, error) {
	text := strings.TrimSpace(string(line))
	level := slog.LevelDebug
	if strings.HasPrefix(text, "[WARN]") || strings.HasPrefix(text, "[ERR]") {
		level = slog.LevelInfo
	}
	_, text, _ = strings.Cut(text, "] ")
	w.log.Log(context.Background(), level, strings.TrimPrefix(text, "memberlist: "))
	return len(line), nil
}
