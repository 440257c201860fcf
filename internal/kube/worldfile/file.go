package worldfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"
)

// magic begins every file; version is that of the format.
const (
	magic   = "lintel-world"
	version = 1
)

// File is where the copy of one speaker is kept. It is used by one goroutine at a time.
type File struct {
	path   string
	origin Origin
	last   [sha256.Size]byte // of the World that was written last
}

// New names the file of a speaker in a directory, which has to exist.
func New(dir string, origin Origin) *File {
	return &File{path: filepath.Join(dir, "world-"+origin.Node), origin: origin}
}

// Path is where the file is.
func (f *File) Path() string { return f.path }

// Read reads the copy. Without a file the error wraps os.ErrNotExist; a file that may not be
// used gives an error that wraps ErrDamaged, ErrVersion or ErrForeign.
func (f *File) Read() (*Copy, error) {
	b, err := os.ReadFile(f.path)
	if err != nil {
		return nil, fmt.Errorf("worldfile: %w", err)
	}
	c, err := decode(b)
	if err != nil {
		return nil, fmt.Errorf("worldfile: %s: %w", f.path, err)
	}
	if !reflect.DeepEqual(c.Origin, f.origin) {
		return nil, fmt.Errorf("worldfile: %s: %w: it is of %s, and this is %s", f.path, ErrForeign, c.Origin, f.origin)
	}
	return c, nil
}

// String names an origin in messages.
func (o Origin) String() string {
	return fmt.Sprintf("node %s, namespace %s, cluster %.12s, classes %q", o.Node, o.Namespace, o.Cluster, o.Classes)
}

// Write replaces the copy, unless it says the same already. It takes the lists of the World,
// and sorts them.
func (f *File) Write(w World, now time.Time) (written bool, err error) {
	w.sort()
	world, err := json.Marshal(w)
	if err != nil {
		return false, fmt.Errorf("worldfile: %w", err)
	}
	sum := sha256.Sum256(world)
	if sum == f.last {
		return false, nil
	}
	body, err := json.Marshal(struct {
		Origin Origin          `json:"origin"`
		Saved  time.Time       `json:"saved"`
		World  json.RawMessage `json:"world"`
	}{f.origin, now, world})
	if err != nil {
		return false, fmt.Errorf("worldfile: %w", err)
	}
	if err := replace(f.path, encode(body)); err != nil {
		return false, fmt.Errorf("worldfile: %w", err)
	}
	f.last = sum
	return true, nil
}

func encode(body []byte) []byte {
	sum := sha256.Sum256(body)
	return append(fmt.Appendf(nil, "%s %d %s\n", magic, version, hex.EncodeToString(sum[:])), body...)
}

func decode(b []byte) (*Copy, error) {
	head, body, found := bytes.Cut(b, []byte("\n"))
	fields := strings.Fields(string(head[:min(len(head), 200)]))
	if !found || len(fields) != 3 || fields[0] != magic {
		return nil, fmt.Errorf("%w: it has no head", ErrDamaged)
	}
	if fields[1] != fmt.Sprint(version) {
		return nil, fmt.Errorf("%w: %s instead of %d", ErrVersion, fields[1], version)
	}
	if sum := sha256.Sum256(body); fields[2] != hex.EncodeToString(sum[:]) {
		return nil, fmt.Errorf("%w: its checksum is not right", ErrDamaged)
	}
	c := &Copy{}
	if err := json.Unmarshal(body, c); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return c, nil
}

// replace writes a file that only its owner may read, so that at any time there is the old
// one or the new one.
func replace(path string, b []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp.Name()) // what is left is swept at the next start
		}
	}()
	_, err = tmp.Write(b)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err != nil {
		return err
	}
	if err = os.Rename(tmp.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename last.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Sweep removes what a crash may have left beside the file.
func (f *File) Sweep() error {
	left, err := filepath.Glob(f.path + ".new-*")
	for _, path := range left {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
