package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/opencontainers/go-digest"
)

// epoch dates every entry.
var epoch = time.Unix(0, 0).UTC()

// writeLayer writes files, which are in order, as a tar archive.
func writeLayer(w io.Writer, files []File) error {
	tw := tar.NewWriter(w)
	for _, f := range files {
		if err := addFile(tw, f); err != nil {
			return fmt.Errorf("file %q: %w", f.Path, err)
		}
	}
	return tw.Close()
}

func addFile(tw *tar.Writer, f File) error {
	if f.Mode.IsDir() {
		h := header(f.Path+"/", tar.TypeDir, f.Mode, 0o755)
		return tw.WriteHeader(h)
	}
	var content io.Reader = bytes.NewReader(f.Data)
	h := header(f.Path, tar.TypeReg, f.Mode, 0o644)
	h.Size = int64(len(f.Data))
	if f.Source != "" {
		file, err := os.Open(f.Source)
		if err != nil {
			return err
		}
		defer file.Close()
		info, err := file.Stat()
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("source %s is not a regular file", f.Source)
		}
		content, h.Size = file, info.Size()
	}
	for name, value := range f.XAttrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+name] = value
	}
	if err := tw.WriteHeader(h); err != nil {
		return err
	}
	_, err := io.Copy(tw, content)
	return err
}

func header(name string, kind byte, mode fs.FileMode, fallback fs.FileMode) *tar.Header {
	perm := mode.Perm()
	if perm == 0 {
		perm = fallback
	}
	bits := int64(perm)
	if mode&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	if mode&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return &tar.Header{Typeflag: kind, Name: name, Mode: bits, ModTime: epoch}
}

// measureLayer returns the digest and size that writeLayer is going to write.
// A layer is produced twice rather than held in memory.
func measureLayer(files []File) (digest.Digest, int64, error) {
	sum := sha256.New()
	var size countingWriter
	if err := writeLayer(io.MultiWriter(sum, &size), files); err != nil {
		return "", 0, err
	}
	return digest.NewDigest(digest.SHA256, sum), int64(size), nil
}

type countingWriter int64

func (c *countingWriter) Write(p []byte) (int, error) {
	*c += countingWriter(len(p))
	return len(p), nil
}
