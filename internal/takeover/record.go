package takeover

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// RecordName is the name of the Secret in which a take-over keeps what it has done and what
// there was before, RecordKey the key in it, and RecordVersion that of the format.
const (
	RecordName    = "lintel-takeover"
	RecordKey     = "record"
	RecordVersion = 2
)

// Record is what a take-over must not forget. It is written before the first change.
type Record struct {
	Version int `json:"version"`
	// Done are the IDs of the steps that were finished.
	Done []string `json:"done,omitempty"`
	// Old are MetalLB's objects as they were, Definitions the resource definitions, and Releases
	// the Secrets of Helm's latest revision.
	Old         []*Object `json:"old"`
	Definitions []*Object `json:"definitions"`
	Releases    []*Object `json:"releases,omitempty"`
	// Release is the name of Helm's release; empty where MetalLB came with plain manifests.
	Release string `json:"release,omitempty"`
	// Target are Lintel's objects.
	Target []*Object `json:"target"`
	// Services are those of type LoadBalancer, by namespace/name, as they were when the way that
	// is gone, there or back, was begun.
	Services map[string]Service `json:"services"`
	// Before is what a node announced before its speaker was replaced, while that goes on.
	Before map[string][]string `json:"before,omitempty"`
}

// Service is what a Service was. Another one of its name has another UID.
type Service struct {
	UID       string   `json:"uid"`
	Addresses []string `json:"addresses,omitempty"`
}

// Has tells whether a step was finished.
func (r *Record) Has(id string) bool { return slices.Contains(r.Done, id) }

// Set notes that a step was finished, or with done false that it was undone.
func (r *Record) Set(id string, done bool) {
	r.Done = slices.DeleteFunc(r.Done, func(d string) bool { return d == id })
	if done {
		r.Done = append(r.Done, id)
	}
}

// Begun tells whether anything was done of a step, so that it is undone on the way back: it was
// finished, or, as far as can be told, was broken off. That is a node whose speaker is being replaced,
// and of the other steps the first one that is not done.
func (r *Record) Begun(steps []Step, i int) bool {
	switch step := steps[i]; {
	case r.Has(step.ID()):
		return true
	case step.Node != "":
		_, begun := r.Before[step.Node]
		return begun
	}
	return i > 0 && r.Has(steps[i-1].ID())
}

// Encode packs the record.
func (r *Record) Encode() ([]byte, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if err := json.NewEncoder(w).Encode(r); err != nil {
		return nil, fmt.Errorf("takeover: record: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("takeover: record: %w", err)
	}
	return b.Bytes(), nil
}

// DecodeRecord unpacks a record.
func DecodeRecord(b []byte) (*Record, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("takeover: record: %w", err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		return nil, fmt.Errorf("takeover: record: %w", err)
	}
	var of struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &of); err != nil {
		return nil, fmt.Errorf("takeover: record: %w", err)
	}
	if of.Version != RecordVersion {
		return nil, fmt.Errorf("takeover: the record in Secret %s has version %d; use the lintel that began the take-over", RecordName, of.Version)
	}
	r := &Record{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("takeover: record: %w", err)
	}
	return r, nil
}
