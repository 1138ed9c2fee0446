package main

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// archive writes a folder into a .tar.gz or .zip, in the order of names.
func archive(out, folder, under string, when time.Time) (err error) {
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if strings.HasSuffix(out, ".zip") {
		return zipped(f, os.DirFS(folder), under, when)
	}
	squeezed, err := gzip.NewWriterLevel(f, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(squeezed)
	if err := tarred(w, os.DirFS(folder), under, when); err != nil {
		return err
	}
	return errors.Join(w.Close(), squeezed.Close())
}

// mode is one of two, whatever the umask of who packs.
func mode(info fs.FileInfo) fs.FileMode {
	if info.IsDir() || info.Mode()&0o100 != 0 {
		return 0o755
	}
	return 0o644
}

// each calls add for everything in files.
func each(files fs.FS, add func(name string, info fs.FileInfo) error) error {
	return fs.WalkDir(files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || name == "." {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a folder", name)
		}
		return add(name, info)
	})
}

func tarred(w *tar.Writer, files fs.FS, under string, when time.Time) error {
	return each(files, func(name string, info fs.FileInfo) error {
		header := &tar.Header{Name: path.Join(under, name), Mode: int64(mode(info)), ModTime: when, Typeflag: tar.TypeReg, Size: info.Size(), Format: tar.FormatGNU}
		if info.IsDir() {
			header.Name, header.Typeflag, header.Size = header.Name+"/", tar.TypeDir, 0
		}
		if err := w.WriteHeader(header); err != nil || info.IsDir() {
			return err
		}
		return copied(w, files, name)
	})
}

func zipped(out io.Writer, files fs.FS, under string, when time.Time) error {
	w := zip.NewWriter(out)
	err := each(files, func(name string, info fs.FileInfo) error {
		header := &zip.FileHeader{Name: path.Join(under, name), Method: zip.Deflate, Modified: when}
		header.SetMode(mode(info))
		if info.IsDir() {
			header.Name, header.Method = header.Name+"/", zip.Store
			header.SetMode(mode(info) | fs.ModeDir)
		}
		entry, err := w.CreateHeader(header)
		if err != nil || info.IsDir() {
			return err
		}
		return copied(entry, files, name)
	})
	return errors.Join(err, w.Close())
}

func copied(to io.Writer, files fs.FS, name string) error {
	f, err := files.Open(name)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, f)
	return errors.Join(err, f.Close())
}
