package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// manifest is an object in a file.
type manifest struct {
	*unstructured.Unstructured
	file string
}

// readManifests reads files, the YAML and JSON files of folders, and standard input where the
// name is "-". Lists become their items.
func readManifests(stdin io.Reader, names []string) ([]manifest, error) {
	var out []manifest
	for _, name := range names {
		files := []string{name}
		if info, err := os.Stat(name); name != "-" && err != nil {
			return nil, err
		} else if name != "-" && info.IsDir() {
			if files, err = manifestFiles(name); err != nil {
				return nil, err
			}
		}
		for _, file := range files {
			text, err := readInput(stdin, file)
			if err != nil {
				return nil, err
			}
			objects, err := decodeManifests(text)
			if err != nil {
				return nil, fmt.Errorf("read %s: %w", file, err)
			}
			for _, o := range objects {
				out = append(out, manifest{o, file})
			}
		}
	}
	if len(out) == 0 {
		return nil, errors.New("there is no object in the files")
	}
	return out, nil
}

// manifestFiles lists the files of a folder that kubectl would read from it.
func manifestFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, e := range entries {
		if !e.IsDir() && slices.Contains([]string{".yaml", ".yml", ".json"}, filepath.Ext(e.Name())) {
			out = append(out, filepath.Join(dir, e.Name()))
		}
	}
	return out, nil
}

func decodeManifests(text []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	dec := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := dec.Decode(&o.Object); errors.Is(err, io.EOF) {
			return out, nil
		} else if err != nil {
			return nil, err
		}
		switch {
		case len(o.Object) == 0:
			continue
		case o.IsList():
			list, err := o.ToList()
			if err != nil {
				return nil, err
			}
			for i := range list.Items {
				out = append(out, &list.Items[i])
			}
			continue
		case o.GetKind() == "" || o.GetAPIVersion() == "" || o.GetName() == "":
			return nil, fmt.Errorf("an object has no kind, apiVersion or metadata.name: %v", o.Object)
		}
		out = append(out, o)
	}
}
