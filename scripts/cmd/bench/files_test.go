package main

import (
	"io"
	"mime"
	"mime/multipart"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMultipartFrame(t *testing.T) {
	head, tail, kind, err := multipartFrame()
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(kind)
	if err != nil {
		t.Fatal(err)
	}
	r := multipart.NewReader(strings.NewReader(head+"the bytes"+tail), params["boundary"])
	for _, want := range [][3]string{{"user_id", "", "m00"}, {"mFile", "bench.bin", "the bytes"}} {
		part, err := r.NextPart()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(part)
		if got := [3]string{part.FormName(), part.FileName(), string(text)}; got != want || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	}
	if _, err := r.NextPart(); err != io.EOF {
		t.Errorf("behind the last part: got %v, want %v", err, io.EOF)
	}
}

// A way that made less than a whole file, or none, has no speed.
func TestDiscard(t *testing.T) {
	f := &files{dir: t.TempDir(), folder: t.TempDir(), size: 5}
	write := func(path, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(f.stored("ab01"), "12345")
	kept, err := f.keep()
	if err != nil || len(kept) != 1 {
		t.Fatalf("got %v kept, %v, want 1", kept, err)
	}
	for _, c := range []struct {
		name  string
		made  map[string]string
		wrong string
	}{
		{"one, whole", map[string]string{f.stored("ab02"): "12345"}, ""},
		{"a copy", map[string]string{filepath.Join(f.dir, "copy"): "12345"}, ""},
		{"cut", map[string]string{f.stored("cd02"): "1234"}, "4 bytes of 5"},
		{"none", nil, "0 files instead of one"},
		{"two", map[string]string{f.stored("ab02"): "12345", f.stored("ab03"): "12345"}, "2 files instead of one"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for path, content := range c.made {
				write(path, content)
			}
			err := f.discard(kept)
			if c.wrong == "" && err != nil || c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)) {
				t.Errorf("got the error %v, want %q", err, c.wrong)
			}
			if now, err := f.keep(); err != nil || len(now) != 1 {
				t.Errorf("got %v left, %v, want 1", now, err)
			}
		})
	}
}
