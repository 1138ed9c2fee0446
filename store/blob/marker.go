package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// markerStart is what the ids of markers begin with, half of an id: nobody's upload gets it.
const markerStart = "746c696d6d61726b"

// IsMarker says whether that is the id of a marker and no upload's.
func IsMarker(id string) bool { return strings.HasPrefix(id, markerStart) }

// PutMarker writes a small file by which another process sees that it has the same files. Nobody sweeps it: whoever wrote it removes it.
func PutMarker(ctx context.Context, b Blobs, content string) (id string, err error) {
	id = markerStart + NewID()[len(markerStart):]
	if _, err := b.Put(ctx, id, strings.NewReader(content)); err != nil {
		return "", fmt.Errorf("write a marker: %w", err)
	}
	return id, nil
}

// ReadMarker looks for a marker of that content. ErrNotFound: these are other files than those where it was written.
func ReadMarker(ctx context.Context, b Blobs, id, content string) (err error) {
	if !IsMarker(id) {
		return fmt.Errorf("%w: %.40q is no marker", ErrNotFound, id)
	}
	file, err := b.Open(ctx, id, int64(len(content)))
	if err != nil {
		return fmt.Errorf("read a marker: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	got, err := io.ReadAll(file)
	if err != nil {
		return fmt.Errorf("read a marker: %w", err)
	}
	if !bytes.Equal(got, []byte(content)) {
		return fmt.Errorf("%w: the marker has other bytes", ErrNotFound)
	}
	return nil
}
