package takeover

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"sigs.k8s.io/yaml"
)

// KeepAnnotation with value "keep" has Helm leave an object when its release goes.
const KeepAnnotation = "helm.sh/resource-policy"

// release is what Helm stores of one revision of a release: JSON, compressed, in base64, as
// the value "release" of a Secret. Only what is looked at is named; the rest is kept as it is.
type release map[string]any

func readRelease(stored []byte) (release, error) {
	packed, err := base64.StdEncoding.DecodeString(string(stored))
	if err != nil {
		return nil, fmt.Errorf("takeover: Helm's record: %w", err)
	}
	var content io.Reader = bytes.NewReader(packed)
	if bytes.HasPrefix(packed, []byte{0x1f, 0x8b}) {
		if content, err = gzip.NewReader(content); err != nil {
			return nil, fmt.Errorf("takeover: Helm's record: %w", err)
		}
	}
	r := release{}
	d := json.NewDecoder(content)
	d.UseNumber()
	if err := d.Decode(&r); err != nil {
		return nil, fmt.Errorf("takeover: Helm's record: %w", err)
	}
	return r, nil
}

func (r release) store() ([]byte, error) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if err := json.NewEncoder(w).Encode(r); err != nil {
		return nil, fmt.Errorf("takeover: Helm's record: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return []byte(base64.StdEncoding.EncodeToString(packed.Bytes())), nil
}

// Release is one revision of a release of MetalLB's chart.
type Release struct {
	// Name is that of the release, and Status Helm's word, such as deployed.
	Name, Status string
	// Manifest are the objects that it consists of.
	Manifest []*Object
}

// ReadRelease reads what Helm stores of a revision. ok is false if it is of another chart.
func ReadRelease(stored []byte) (r *Release, ok bool, err error) {
	content, err := readRelease(stored)
	if err != nil {
		return nil, false, err
	}
	chart, _ := content["chart"].(map[string]any)
	metadata, _ := chart["metadata"].(map[string]any)
	if metadata["name"] != "metallb" {
		return nil, false, nil
	}
	info, _ := content["info"].(map[string]any)
	r = &Release{}
	r.Name, _ = content["name"].(string)
	r.Status, _ = info["status"].(string)
	manifest, _ := content["manifest"].(string)
	if r.Manifest, err = Parse([]byte(manifest)); err != nil {
		return nil, false, err
	}
	return r, true, nil
}

// KeepDefinitions marks the definitions in a stored revision to be kept. Helm asks the stored
// manifest, not the live object, what an uninstall is to leave.
func KeepDefinitions(stored []byte) (changed []byte, did bool, err error) {
	content, err := readRelease(stored)
	if err != nil {
		return nil, false, err
	}
	manifest, _ := content["manifest"].(string)
	documents := strings.Split("\n"+manifest, "\n---")
	for i, text := range documents {
		objects, err := Parse([]byte(text))
		if err != nil {
			return nil, false, err
		}
		if len(objects) != 1 || !IsCRD(objects[0]) || objects[0].GetAnnotations()[KeepAnnotation] == "keep" {
			continue
		}
		annotate(objects[0], KeepAnnotation, "keep")
		b, err := yaml.Marshal(objects[0].Object)
		if err != nil {
			return nil, false, fmt.Errorf("takeover: %s: %w", IDOf(objects[0]), err)
		}
		documents[i], did = "\n"+string(b), true
	}
	if !did {
		return stored, false, nil
	}
	content["manifest"] = strings.TrimPrefix(strings.Join(documents, "\n---"), "\n")
	changed, err = content.store()
	return changed, true, err
}

func annotate(o *Object, key, value string) {
	a := o.GetAnnotations()
	if a == nil {
		a = map[string]string{}
	}
	a[key] = value
	o.SetAnnotations(a)
}
