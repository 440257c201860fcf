// Package chart tests the chart in charts/lintel with Helm's own library, and generates the
// plain manifests in config and the page of its values from it.
package chart

//go:generate go run ./cmd/generate
