package blob

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// BucketConfig says where an S3-compatible store is.
type BucketConfig struct {
	Endpoint             string // https://host:port; without a scheme it is https, http:// is plain
	Bucket               string // must exist
	AccessKey, SecretKey string
	Region               string // "" asks the store
}

// Bucket keeps files in a bucket, as objects named tlim/<id>.
type Bucket struct {
	client  minio.Core
	bucket  string
	buffers sync.Pool
	large   chan struct{} // one slot per Put in parts, maxLargePuts of them; a Put waits while all are taken
}

const (
	// keyPrefix keeps our objects apart from others in the same bucket.
	keyPrefix = "tlim/"

	// maxSmallFile is what a Put holds before it decides: files up to this size, most pictures, are one request.
	maxSmallFile = 512 << 10

	// partSize is the buffer of a larger file, the least that S3 takes; 10,000 parts of it are 48 GiB.
	partSize = 5 << 20

	// maxLargePuts bounds the memory of Puts in parts: 160 MiB of buffers, and as much until the collector has run.
	maxLargePuts = 32

	// s3Retries bounds how long a caller waits for a store that is away: the client's own ten take minutes.
	maxS3Retries = 3
)

// errEndpoint does not quote the endpoint, which may hold a password.
var errEndpoint = errors.New("endpoint: is no address like https://s3.example.com:9000, without user, path and query")

// OpenBucket makes a client; it does not connect, see [Bucket.Check]. The error names what is wrong with cfg.
func OpenBucket(cfg BucketConfig) (*Bucket, error) {
	endpoint := cfg.Endpoint
	if !strings.Contains(endpoint, "://") {
		endpoint = "https://" + endpoint
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errEndpoint
	}
	secure := u.Scheme == "https"
	transport, err := minio.DefaultTransport(secure)
	if err != nil {
		return nil, fmt.Errorf("S3: %w", err)
	}
	transport.ResponseHeaderTimeout = 30 * time.Second
	core, err := minio.NewCore(u.Host, &minio.Options{
		Creds: credentials.NewStaticV4(cfg.AccessKey, cfg.SecretKey, ""), Secure: secure, Region: cfg.Region,
		Transport: transport, MaxRetries: maxS3Retries,
	})
	if err != nil {
		return nil, errEndpoint // what else the client may refuse is the host
	}
	return &Bucket{client: *core, bucket: cfg.Bucket, large: make(chan struct{}, maxLargePuts), buffers: sync.Pool{New: func() any { return new([maxSmallFile]byte) }}}, nil
}

// Put sends a small file in one request, a larger one in parts; an object is there whole or not at all.
func (b *Bucket) Put(ctx context.Context, id string, r io.Reader) (int64, error) {
	if !Valid(id) {
		return 0, fmt.Errorf("%w: %.40q is no id", ErrNotFound, id)
	}
	src := &source{r: r}
	if err := b.put(ctx, keyPrefix+id, src); err != nil {
		return 0, errors.Join(src.failed(err), b.discard(ctx, id))
	}
	return src.n, nil
}

func (b *Bucket) put(ctx context.Context, key string, src *source) error {
	buf := b.buffers.Get().(*[maxSmallFile]byte)
	defer b.buffers.Put(buf)
	n := 0
	for n < len(buf) && src.err == nil {
		more, _ := src.Read(buf[n:]) // src keeps the error
		n += more
	}
	options := minio.PutObjectOptions{ContentType: "application/octet-stream", PartSize: partSize}
	var info minio.UploadInfo
	var err error
	switch {
	case src.err == nil:
		select {
		case b.large <- struct{}{}:
			defer func() { <-b.large }()
		case <-ctx.Done():
			return ctx.Err()
		}
		info, err = b.client.Client.PutObject(ctx, b.bucket, key, io.MultiReader(bytes.NewReader(buf[:n]), marked{src}), -1, options)
	case src.err == io.EOF:
		info, err = b.client.Client.PutObject(ctx, b.bucket, key, bytes.NewReader(buf[:n]), int64(n), options)
	}
	if err == nil && src.err == io.EOF && info.Size != src.n {
		err = fmt.Errorf("%d bytes of %d arrived", info.Size, src.n)
	}
	if err == nil && src.err != io.EOF {
		err = src.err
	}
	return err
}

// marked hides the errors of a source from the client, which takes io.ErrUnexpectedEOF, as a multipart body reports that it
// broke off, for an ordinary end and would complete half a file.
type marked struct{ src *source }

// Read reads on.
func (m marked) Read(p []byte) (int, error) {
	n, err := m.src.Read(p)
	if err != nil && err != io.EOF {
		err = readError{err}
	}
	return n, err
}

// discard removes what a failed Put may have left, also when its context is over. The client has ended the upload's parts.
func (b *Bucket) discard(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := b.Remove(ctx, id); err != nil {
		return fmt.Errorf("remove what is left: %w", err)
	}
	return nil
}

// Open asks whether the object is there and whole; its bytes are fetched in ranges as they are read.
func (b *Bucket) Open(ctx context.Context, id string, size int64) (io.ReadSeekCloser, error) {
	if !Valid(id) {
		return nil, fmt.Errorf("%w: %.40q is no id", ErrNotFound, id)
	}
	info, err := b.client.StatObject(ctx, b.bucket, keyPrefix+id, minio.StatObjectOptions{})
	if err != nil {
		return nil, s3Error(err)
	}
	if info.Size != size {
		return nil, fmt.Errorf("%w: %s has %d bytes, not %d", ErrUnavailable, id, info.Size, size)
	}
	return &object{b: b, ctx: ctx, key: keyPrefix + id, size: size}, nil
}

// Remove removes the object of an id.
func (b *Bucket) Remove(ctx context.Context, id string) error {
	if !Valid(id) {
		return nil
	}
	if err := s3Error(b.client.RemoveObject(ctx, b.bucket, keyPrefix+id, minio.RemoveObjectOptions{})); !errors.Is(err, ErrNotFound) {
		return err
	}
	return nil
}

// Check writes an object, reads it and removes it.
func (b *Bucket) Check(ctx context.Context) error { return check(ctx, b) }

func (b *Bucket) list(ctx context.Context, before time.Time, page func([]string) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the client's goroutine
	var ids []string
	for o := range b.client.Client.ListObjects(ctx, b.bucket, minio.ListObjectsOptions{Prefix: keyPrefix, Recursive: true}) {
		if o.Err != nil {
			return s3Error(o.Err)
		}
		if id := strings.TrimPrefix(o.Key, keyPrefix); Valid(id) && o.LastModified.Before(before) {
			ids = append(ids, id)
		}
		if len(ids) == listPage {
			if err := page(ids); err != nil {
				return err
			}
			ids = nil
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return page(ids)
}

func (b *Bucket) clear(ctx context.Context, before time.Time) (int, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	removed := 0
	for u := range b.client.ListIncompleteUploads(ctx, b.bucket, keyPrefix, true) {
		if u.Err != nil {
			return removed, s3Error(u.Err)
		}
		if !Valid(strings.TrimPrefix(u.Key, keyPrefix)) || !u.Initiated.Before(before) {
			continue
		}
		if err := b.client.AbortMultipartUpload(ctx, b.bucket, u.Key, u.UploadID); err != nil {
			if err = s3Error(err); !errors.Is(err, ErrNotFound) {
				return removed, err
			}
		}
		removed++
	}
	return removed, ctx.Err()
}

// s3Error translates an error of the client.
func s3Error(err error) error {
	if err == nil {
		return nil
	}
	switch answer := minio.ToErrorResponse(err); answer.Code {
	case minio.NoSuchKey, minio.NoSuchUpload:
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	case "":
		if answer.StatusCode == http.StatusNotFound {
			return fmt.Errorf("%w: %w", ErrNotFound, err)
		}
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// object reads an object from any position.
type object struct {
	b    *Bucket
	ctx  context.Context // of the Open
	key  string
	size int64
	at   int64
	body io.ReadCloser // nil: to be asked for at the next Read
	got  int64         // bytes of body so far
}

// Read asks for the bytes from the position to the end. A connection that breaks after it gave some, as stores do when a slow
// reader holds them up, is replaced by a new one.
func (o *object) Read(p []byte) (int, error) {
	for {
		if o.at >= o.size {
			return 0, io.EOF
		}
		if o.body == nil {
			options := minio.GetObjectOptions{}
			if o.at > 0 {
				if err := options.SetRange(o.at, o.size-1); err != nil {
					return 0, err
				}
			}
			body, _, _, err := o.b.client.GetObject(o.ctx, o.b.bucket, o.key, options)
			if err != nil {
				return 0, s3Error(err)
			}
			o.body, o.got = body, 0
		}
		n, err := o.body.Read(p[:min(int64(len(p)), o.size-o.at)])
		o.at, o.got = o.at+int64(n), o.got+int64(n)
		if n > 0 || len(p) == 0 {
			if err != nil {
				o.drop()
			}
			return n, nil
		}
		if err == nil {
			continue
		}
		broken := o.got == 0 || o.ctx.Err() != nil
		o.drop()
		if broken {
			return 0, fmt.Errorf("%w: read %s at %d: %w", ErrUnavailable, o.key, o.at, err)
		}
	}
}

// Seek sets the position.
func (o *object) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += o.at
	case io.SeekEnd:
		offset += o.size
	}
	if offset < 0 {
		return 0, fmt.Errorf("seek %s to %d", o.key, offset)
	}
	if offset != o.at {
		o.drop()
		o.at = offset
	}
	return offset, nil
}

// Close gives the connection back.
func (o *object) Close() error {
	o.drop()
	return nil
}

func (o *object) drop() {
	if o.body != nil {
		_ = o.body.Close() // what was read was read
		o.body = nil
	}
}
