package httpapi

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// refusedBody is larger than what net/http reads of a body by itself (256 KiB) and what the buffers of both ends hold.
const refusedBody = 12 << 20

// refusals are calls that are answered before their body is read: what a client sends, and the status.
func refusals(t *testing.T) (list []refusedCall, media string) {
	t.Helper()
	text, media := body(t, uploader, part{"mFile", "a.bin", strings.Repeat("x", refusedBody)})
	large, largeMedia := body(t, uploader, part{"mFile", "a.bin", strings.Repeat("x", 2*refusedBody)})
	form := "pad=" + strings.Repeat("x", refusedBody)
	const urlencoded = "application/x-www-form-urlencoded"
	return []refusedCall{
		{"nobody", "/mobileHttpController/uploadForUrl", media, "", text, 401},
		{"a wrong key", "/cap-aco/mobileHttpController/uploadForUrl", media, "nonsense", text, 401},
		{"a business key", "/plugins/tlim/mobileHttpController/uploadForUrl", media, businessKey, text, 403},
		{"too large", "/mobileHttpController/uploadForUrl", largeMedia, adminKey, large, 413},
		{"no boundary", "/mobileHttpController/uploadForUrl", "multipart/form-data", adminKey, text, 400},
		{"no path", "/mobileHttpController/uploadForNothing", media, adminKey, text, 404},
		{"a form", "/plugins/tlim/findSessions", urlencoded, adminKey, form, 413},
		{"a form of nobody", "/plugins/tlim/findSessions", "text/plain", "", form, 413},
		{"the document", "/plugins/tlim/openapi.json", urlencoded, "", form, 405},
	}, media
}

type refusedCall struct {
	what, path, media, key, body string
	status                       int
}

func newLingerLab(t *testing.T) *fileLab {
	t.Helper()
	return newFileLab(t, func(c *Config) { c.Files.MaxSize = refusedBody * 3 / 2 })
}

// TestRefusalsAreRead: a client that looks for an answer only when it has sent all gets it, and the connection ends then.
func TestRefusalsAreRead(t *testing.T) {
	l := newLingerLab(t)
	list, _ := refusals(t)
	for _, c := range list {
		t.Run(c.what, func(t *testing.T) {
			for _, chunked := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s, chunked %v", c.what, chunked), func(t *testing.T) {
					if chunked && c.what == "a form of nobody" {
						return // without a length it is the parameters that are missed first
					}
					var req bytes.Buffer
					fmt.Fprintf(&req, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\n", c.path, c.media)
					if c.key != "" {
						fmt.Fprintf(&req, "Authorization: Bearer %s\r\n", c.key)
					}
					if chunked {
						fmt.Fprintf(&req, "Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(c.body), c.body)
					} else {
						fmt.Fprintf(&req, "Content-Length: %d\r\n\r\n%s", len(c.body), c.body)
					}
					conn := dial(t, l.lab)
					if _, err := conn.Write(req.Bytes()); err != nil {
						t.Errorf("sending: got %v, want no error", err)
						return
					}
					resp, err := http.ReadResponse(newReader(conn), nil)
					if err != nil {
						t.Error(err)
						return
					}
					content, err := io.ReadAll(resp.Body)
					if err != nil || resp.StatusCode != c.status || !resp.Close || !strings.Contains(string(content), `"result_detail":"`) {
						t.Errorf("got %d %s, close %v, %v, want %d with a result_detail, close true", resp.StatusCode, content, resp.Close, err, c.status)
					}
					conn.Close()
				})
			}
		})
	}
	if left := l.left(t); len(left) > 0 {
		t.Errorf("stored: got %q, want none", left)
	}
}

// TestKeptConnections: a connection whose body was read is not closed.
func TestKeptConnections(t *testing.T) {
	l := newLingerLab(t)
	text, media := body(t, uploader, part{"mFile", "a.bin", "x"})
	conn := dial(t, l.lab)
	in := newReader(conn)
	for _, c := range []struct{ path, media, body, key string }{
		{"/mobileHttpController/uploadForUrl", media, text, adminKey},
		{"/mobileHttpController/uploadForUrl", media, text + "an epilogue", adminKey},
		{"/plugins/tlim/findSessions", "application/x-www-form-urlencoded", "user_id=x", adminKey},
		{"/plugins/tlim/findSessions", "application/x-www-form-urlencoded", "user_id=x", ""},
		{"/plugins/tlim/findSessions?user_id=x", "application/json", "{}", adminKey},
	} {
		t.Run(fmt.Sprintf("%s, %d bytes, key %.5q", c.path, len(c.body), c.key), func(t *testing.T) {
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n", c.path, c.media, c.key, len(c.body))
			time.Sleep(10 * time.Millisecond) // so that the body comes apart from the head; without it the test is only weaker
			io.WriteString(conn, c.body)
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Close {
				t.Errorf("got %d, closed %v, %v, want closed false", resp.StatusCode, resp.Close, err)
			}
		})
	}
}

// TestExpect: who asks first is refused without a word that they should go on.
func TestExpect(t *testing.T) {
	l := newLingerLab(t)
	_, media := refusals(t)
	for key, want := range map[string]int{"nonsense": 401, adminKey: 413} {
		t.Run(strconv.Itoa(want), func(t *testing.T) {
			conn := dial(t, l.lab)
			fmt.Fprintf(conn, "POST /mobileHttpController/uploadForUrl HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nAuthorization: Bearer %s\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", media, key, 2*refusedBody)
			resp, err := http.ReadResponse(newReader(conn), nil)
			if err != nil || resp.StatusCode != want || !resp.Close {
				t.Errorf("got %+v, %v, want %d, close true", resp, err, want)
			}
			conn.Close()
			wait(t, l.over)
		})
	}
}

// TestLingeringIsBounded: by silence, by bytes, by connections of one address; and it holds nothing that others need.
func TestLingeringIsBounded(t *testing.T) {
	l := newLingerLab(t)
	_, media := refusals(t)
	begin := func() io.ReadWriter {
		conn := dial(t, l.lab)
		fmt.Fprintf(conn, "POST /mobileHttpController/uploadForUrl HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n", media, businessKey)
		first := "--" + media[strings.Index(media, "=")+1:] + "\r\nContent-Disposition: form-data; name=\"mFile\"; filename=\"a\"\r\n\r\nx"
		fmt.Fprintf(conn, "%x\r\n%s\r\n", len(first), first)
		in := newReader(conn)
		resp, err := http.ReadResponse(in, nil)
		if err != nil || resp.StatusCode != 403 {
			t.Fatalf("%+v, %v, want 403, no error", resp, err)
		}
		if _, err := io.Copy(io.Discard, resp.Body); err != nil {
			t.Fatal(err)
		}
		return struct {
			io.Reader
			io.Writer
		}{in, conn}
	}
	// 1. As many as may, of one address; nobody's slots are taken.
	var conns []io.ReadWriter
	for range maxLingeringPerAddress {
		conns = append(conns, begin())
	}
	until(t, "as many as may are read on", func() bool { return len(l.lingerers.slots) == maxLingeringPerAddress })
	if held := [3]int{len(l.transfers.slots), len(l.bodies.slots), len(l.inflight.slots)}; held != [3]int{} {
		t.Errorf("held: got %d transfers, bodies, calls, want none", held)
	}
	// 2. One more is answered, and is closed soon.
	more := begin()
	if _, err := more.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("one more stays: got %v, want the connection's end", err)
	}
	// 3. Silence ends them.
	for _, c := range conns {
		if _, err := c.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("it stays: got %v, want the connection's end", err)
		}
	}
	until(t, "nobody is read on", func() bool { return len(l.lingerers.slots) == 0 })
	// 4. So do bytes.
	endless := begin()
	chunk := append(fmt.Appendf(nil, "%x\r\n", 1<<20), append(bytes.Repeat([]byte("x"), 1<<20), "\r\n"...)...)
	sent := 0
	for ; sent < 4*maxLingerBytes; sent += 1 << 20 {
		if _, err := endless.Write(chunk); err != nil {
			break
		}
	}
	if sent >= 2*maxLingerBytes {
		t.Errorf("%d MiB were taken, want sent less than %v", sent>>20, 2*maxLingerBytes)
	}
	// 5. A stop does not wait for them.
	last := begin()
	l.stopping.Store(true)
	if _, err := last.Read(make([]byte, 1)); err == nil || isTimeout(err) {
		t.Errorf("it stays: got %v, want the connection's end", err)
	}
}

// TestPythonReadsRefusals and TestJavaReadsRefusals: real clients that send all before they look for an answer.
func TestPythonReadsRefusals(t *testing.T) {
	readsRefusals(t, "python3", "refused.py")
}

func TestJavaReadsRefusals(t *testing.T) {
	readsRefusals(t, "java", "-Xmx256m", "Refused.java")
}

// readsRefusals runs a program of testdata/clients, which says for each line of its input, url, media, key and length, the status and
// the body that it got.
func readsRefusals(t *testing.T, program string, args ...string) {
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("no %s here", program)
	}
	l := newLingerLab(t)
	list, _ := refusals(t)
	dir := t.TempDir()
	var in strings.Builder
	for i, c := range list {
		file := filepath.Join(dir, fmt.Sprint(i))
		if err := os.WriteFile(file, []byte(c.body), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, way := range []string{"length", "chunked"} {
			fmt.Fprintf(&in, "%s\t%s\t%s\t%s\t%s\n", l.url+c.path, c.media, c.key, file, way)
		}
	}
	args[len(args)-1] = filepath.Join("testdata", "clients", args[len(args)-1])
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stdin = strings.NewReader(in.String())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("got %v, want no error: %s%s", err, out, &stderr)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(lines) != 2*len(list) {
		t.Fatalf("%d lines:\n%s%s\nwant %d", len(lines), out, &stderr, 2*len(list))
	}
	for i, line := range lines {
		c := list[i/2]
		if c.what == "a form of nobody" && i%2 == 1 {
			c.status = 400
		}
		if program == "java" && c.status == 401 && strings.HasPrefix(line, "401") { // in its streaming modes it keeps the body of a 401 to itself
			continue
		}
		if !strings.HasPrefix(line, fmt.Sprint(c.status, " {")) || !strings.Contains(line, `"result_detail":"`) {
			t.Errorf("%s, %s: got %.300s, want line beginning with %q, line with %q", c.what, []string{"length", "chunked"}[i%2], line, fmt.Sprint(c.status, " {"), `"result_detail":"`)
		}
	}
}
