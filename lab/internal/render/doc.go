// Package render writes the command lines and configuration files of the
// cluster's programs. It is pure.
package render
