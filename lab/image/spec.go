package image

import (
	"fmt"
	"io/fs"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/distribution/reference"
)

// Spec says what an image holds and how it is started.
type Spec struct {
	// Ref names the image, as in a Pod's image field. It is completed the way
	// Docker completes a short name ("page" is "docker.io/library/page:latest"),
	// because a kubelet looks for the completed name. It must not name a digest.
	Ref string

	// Files are the image's only layer. Parent directories are added with mode
	// 0755. No path may be given twice.
	Files []File

	// Entrypoint is the argv of the container. Env holds NAME=value entries.
	Entrypoint []string
	Env        []string

	Labels map[string]string

	// User is "uid", "uid:gid" or a name out of the image's /etc/passwd. Empty
	// means root.
	User string

	// WorkingDir is an absolute path. Empty means "/".
	WorkingDir string

	// Architecture is a GOARCH value. Empty means that of the running program.
	Architecture string

	// Created dates the image. Zero means the Unix epoch.
	Created time.Time
}

// File is one file or directory of an image.
type File struct {
	// Path is where the file is in the image. A leading slash is optional.
	Path string

	// Data is the content, unless Source names a file to read it from.
	Data   []byte
	Source string

	// Mode holds the permission bits, setuid, setgid and sticky. With
	// fs.ModeDir the entry is a directory, which has no content. Permission
	// bits of 0 mean 0644 for a file and 0755 for a directory.
	Mode fs.FileMode

	// XAttrs are extended attributes, such as security.capability.
	XAttrs map[string]string
}

// normalize returns a copy of s with every default filled in and its files in
// the order of the layer.
func (s Spec) normalize() (Spec, error) {
	named, err := reference.ParseNormalizedNamed(s.Ref)
	if err != nil {
		return Spec{}, fmt.Errorf("image: ref %q: %w", s.Ref, err)
	}
	if _, ok := named.(reference.Digested); ok {
		return Spec{}, fmt.Errorf("image: ref %q names a digest: give a name and a tag", s.Ref)
	}
	s.Ref = reference.TagNameOnly(named).String()
	if s.Architecture == "" {
		s.Architecture = runtime.GOARCH
	}
	if s.Created.IsZero() {
		s.Created = epoch
	}
	if s.WorkingDir != "" && !path.IsAbs(s.WorkingDir) {
		return Spec{}, fmt.Errorf("image: %s: working directory %q is not absolute", s.Ref, s.WorkingDir)
	}
	if s.Files, err = layerFiles(s.Files); err != nil {
		return Spec{}, fmt.Errorf("image: %s: %w", s.Ref, err)
	}
	return s, nil
}

// layerFiles cleans the paths, adds missing parents and sorts, so that a
// directory always comes before what is in it.
func layerFiles(files []File) ([]File, error) {
	byPath := make(map[string]File, len(files))
	for _, f := range files {
		p := strings.TrimPrefix(path.Clean("/"+f.Path), "/")
		if p == "" {
			return nil, fmt.Errorf("file path %q names no file", f.Path)
		}
		if _, dup := byPath[p]; dup {
			return nil, fmt.Errorf("file %q is given twice", p)
		}
		if f.Data != nil && f.Source != "" {
			return nil, fmt.Errorf("file %q has both data and a source", p)
		}
		if f.Mode.IsDir() && (len(f.Data) > 0 || f.Source != "") {
			return nil, fmt.Errorf("directory %q has content", p)
		}
		if t := f.Mode.Type(); t != 0 && t != fs.ModeDir {
			return nil, fmt.Errorf("file %q: type %v is not supported", p, t)
		}
		f.Path = p
		byPath[p] = f
	}
	for p := range byPath {
		for dir := path.Dir(p); dir != "."; dir = path.Dir(dir) {
			parent, ok := byPath[dir]
			if !ok {
				byPath[dir] = File{Path: dir, Mode: fs.ModeDir | 0o755}
			} else if !parent.Mode.IsDir() {
				return nil, fmt.Errorf("file %q is the parent of %q", dir, p)
			}
		}
	}
	sorted := make([]File, 0, len(byPath))
	for _, f := range byPath {
		sorted = append(sorted, f)
	}
	slices.SortFunc(sorted, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return sorted, nil
}
