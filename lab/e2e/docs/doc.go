// Package docs tries what the documentation tells its readers to do: it carries out the
// pages in the lab, each in order. Package docpage says how pages are written for this.
package docs
