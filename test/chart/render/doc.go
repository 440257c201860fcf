// Package render renders the chart in charts/lintel: as Helm does, as plain manifests, and its
// values as a page of documentation.
package render
