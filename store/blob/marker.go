package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"syscall"

	"github.com/minio/minio-go/v7"
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

// ownerMarker is the id of the one file that says whose the files are. It stays.
const ownerMarker = markerStart + "0000000000000000"

// Claim says whose these files are: owner, an id of 32 digits, unless another one claimed them before. (Two that claim new files within the same
// moment may both be told that they are theirs; the next start of one of them finds the other.)
func Claim(ctx context.Context, b Blobs, owner string) (whose string, err error) {
	if whose, err = readOwner(ctx, b); !errors.Is(err, ErrNotFound) {
		return whose, err
	}
	_, put := b.Put(ctx, ownerMarker, strings.NewReader(owner))
	whose, err = readOwner(ctx, b)
	if errors.Is(err, ErrNotFound) && put != nil {
		err = put
	}
	return whose, err
}

func readOwner(ctx context.Context, b Blobs) (whose string, err error) {
	file, err := b.Open(ctx, ownerMarker, 2*idBytes)
	if err != nil {
		return "", fmt.Errorf("read whose the files are: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	text, err := io.ReadAll(file)
	if err != nil {
		return "", fmt.Errorf("read whose the files are: %w", err)
	}
	return string(text), nil
}

// OwnerFile is where the file of [Claim] lies, for who has to remove it: below the folder, or in the bucket.
func OwnerFile(bucket bool) string {
	if bucket {
		return keyPrefix + ownerMarker
	}
	return place(ownerMarker)
}

// Denied says that an error of a Put or an Open is no outage: the folder or the store is there and refuses, which a right or the configuration
// has to mend.
func Denied(err error) bool {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return true
	}
	var answer minio.ErrorResponse
	if !errors.As(err, &answer) {
		return false
	}
	passing := []int{http.StatusRequestTimeout, http.StatusConflict, http.StatusTooManyRequests}
	return answer.StatusCode >= 400 && answer.StatusCode < 500 && answer.Code != minio.NoSuchKey && !slices.Contains(passing, answer.StatusCode)
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
