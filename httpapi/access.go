package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"tlim/component/tokens"
)

// The longest path and method that a line of the access log has, in bytes as they came: what is longer is cut, and ends with a mark.
const (
	maxLoggedPath   = 256
	maxLoggedMethod = 16
	cutMark         = "..."
)

// accessLine is what a line of the access log says that only the pipeline knows.
type accessLine struct{ caller caller }

type accessKey struct{}

// logged writes one line for each call that next has answered, or broken off. It holds no slot while it writes.
func (a *API) logged(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := a.cfg.Clock()
		line := &accessLine{}
		out := &counting{ResponseWriter: w}
		defer func() {
			name := line.caller.name
			if name == "" {
				name = "none"
			}
			attributes := []slog.Attr{slog.String("method", cutText(r.Method, maxLoggedMethod)), slog.String("path", loggedPath(r.URL, a.secretStep)),
				slog.Int("status", out.status), slog.Int64("bytes", out.bytes), slog.Duration("took", a.cfg.Clock().Sub(start)), slog.String("caller", name)}
			if line.caller.user != "" {
				attributes = append(attributes, slog.String("user", line.caller.user))
			}
			attributes = append(attributes, slog.String("address", addressName(clientAddr(r, a.cfg.TrustedProxies))))
			a.log.LogAttrs(r.Context(), slog.LevelInfo, "access", attributes...)
		}()
		next.ServeHTTP(out, r.WithContext(context.WithValue(r.Context(), accessKey{}, line)))
	})
}

// noteCaller tells the access log who calls.
func noteCaller(ctx context.Context, c caller) {
	if line, ok := ctx.Value(accessKey{}).(*accessLine); ok {
		line.caller = c
	}
}

// loggedPath is the path of u as it is logged: escaped, and only up to what looks like the beginning of parameters or of a token, or a step that
// is secret, because of a mistyped address the key would be in the path. A sign of escaping that is left says that it was escaped twice; no path
// of ours has one.
func loggedPath(u *url.URL, secret func(step string) bool) string {
	path := u.Path
	end := strings.IndexAny(path, "?;&=#%")
	if token := strings.Index(path, tokens.Prefix); token >= 0 && (end < 0 || token < end) {
		end = token
	}
	mark := ""
	if end >= 0 {
		path, mark = path[:end], cutMark
	}
	at := 0
	for step := range strings.SplitSeq(path, "/") {
		if step != "" && secret(step) {
			path, mark = path[:at], cutMark
			break
		}
		at += len(step) + 1
	}
	if len(path) > maxLoggedPath {
		path, mark = cutText(path, maxLoggedPath), "" // has its own
	}
	escaped := (&url.URL{Path: path}).EscapedPath()
	return escaped + mark
}

// secretStep says whether a step of a path is a key, or looks like one.
func (a *API) secretStep(step string) bool {
	_, key := a.keys.find(step)
	return key || LooksSecret(step)
}

// cutText is text, or its first bytes and a mark. No letter is cut in two.
func cutText(text string, longest int) string {
	if len(text) <= longest {
		return text
	}
	for longest > 0 && !utf8.RuneStart(text[longest]) {
		longest--
	}
	return text[:longest] + cutMark
}

// counting notes status and size of an answer. A status of 0 says that none was sent.
type counting struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader notes the status; of those that only go before another one, nothing.
func (c *counting) WriteHeader(status int) {
	if c.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

// Write counts.
func (c *counting) Write(p []byte) (int, error) {
	c.begin()
	n, err := c.ResponseWriter.Write(p)
	c.bytes += int64(n)
	return n, err
}

// ReadFrom lets net/http hand a file to the kernel.
func (c *counting) ReadFrom(src io.Reader) (int64, error) {
	c.begin()
	n, err := io.Copy(c.ResponseWriter, src)
	c.bytes += n
	return n, err
}

func (c *counting) begin() {
	if c.status == 0 {
		c.status = http.StatusOK
	}
}

// Unwrap is for [http.ResponseController].
func (c *counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }
