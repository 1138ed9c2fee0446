package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// user runs tlim in the image; there is no other. The number is for Kubernetes' runAsNonRoot.
const user = 65532

// writeImage writes an image for each ARCH=BINARY into one layout, and that into a tar.
func writeImage(out, version string, binaries []string, when time.Time) (err error) {
	roots := authorities()
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, one := range binaries {
		arch, binary, ok := strings.Cut(one, "=")
		if !ok {
			return fmt.Errorf("%s is no ARCH=BINARY", one)
		}
		content, err := os.ReadFile(binary)
		if err != nil {
			return err
		}
		image, err := imageOf(arch, version, content, roots, when)
		if err != nil {
			return fmt.Errorf("%s: %w", arch, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{
			MediaType: types.OCIManifestSchema1, Platform: &v1.Platform{OS: "linux", Architecture: arch}}})
	}
	whole := mutate.AppendManifests(mutate.IndexMediaType(empty.Index, types.OCIImageIndex), mutate.IndexAddendum{Add: index, Descriptor: v1.Descriptor{
		MediaType:   types.OCIImageIndex,
		Annotations: map[string]string{"org.opencontainers.image.ref.name": version, "io.containerd.image.name": "localhost/tlim:" + version}}})
	dir, err := os.MkdirTemp("", "tlim-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if _, err := layout.Write(dir, whole); err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	return errors.Join(tarred(w, os.DirFS(dir), "", when), w.Close(), f.Close())
}

func imageOf(arch, version string, binary, roots []byte, when time.Time) (v1.Image, error) {
	content, err := rootFolder(binary, roots, when)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil },
		tarball.WithMediaType(types.OCILayer), tarball.WithCompressionLevel(gzip.BestCompression))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	if image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: when}, CreatedBy: "scripts/package"}}); err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Created = "linux", arch, v1.Time{Time: when}
	config.Config = v1.Config{
		User:         fmt.Sprintf("%d:%d", user, user),
		WorkingDir:   "/var/lib/tlim", // where database, key and files lie unless the configuration says otherwise
		Entrypoint:   []string{"/usr/bin/tlim"},
		Cmd:          []string{"serve"},
		Volumes:      map[string]struct{}{"/var/lib/tlim": {}},
		ExposedPorts: map[string]struct{}{"9595/tcp": {}, "9596/tcp": {}},
		StopSignal:   "SIGTERM",
		Labels:       map[string]string{"org.opencontainers.image.title": "tlim", "org.opencontainers.image.version": version},
	}
	return mutate.ConfigFile(image, config)
}

// rootFolder is all that the image has: there is no shell and no C library in it.
func rootFolder(binary, roots []byte, when time.Time) ([]byte, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range []struct {
		name    string
		mode    int64
		owner   int
		content []byte // nil: a folder
	}{
		{"etc/", 0o755, 0, nil},
		{"etc/group", 0o644, 0, fmt.Appendf(nil, "root:x:0:\ntlim:x:%d:\n", user)},
		{"etc/passwd", 0o644, 0, fmt.Appendf(nil, "root:x:0:0:root:/:/\ntlim:x:%d:%d:tlim:/var/lib/tlim:/\n", user, user)},
		{"etc/ssl/", 0o755, 0, nil},
		{"etc/ssl/certs/", 0o755, 0, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, 0, roots},
		{"etc/tlim/", 0o755, 0, nil},
		{"tmp/", 0o1777, 0, nil},
		{"usr/", 0o755, 0, nil},
		{"usr/bin/", 0o755, 0, nil},
		{"usr/bin/tlim", 0o755, 0, binary},
		{"var/", 0o755, 0, nil},
		{"var/lib/", 0o755, 0, nil},
		{"var/lib/tlim/", 0o750, user, nil},
	} {
		header := &tar.Header{Name: e.name, Mode: e.mode, Uid: e.owner, Gid: e.owner, ModTime: when, Typeflag: tar.TypeDir, Format: tar.FormatGNU}
		if e.content != nil {
			header.Typeflag, header.Size = tar.TypeReg, int64(len(e.content))
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.content); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}

// authorities are Mozilla's roots, by which tlim knows the vendors of pushes.
func authorities() []byte {
	var b bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil { // one that holds for some certificates only would hold for all in a file
			_ = pem.Encode(&b, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		}
	}
	return b.Bytes()
}
