// Package release builds the product's container image: one static binary for
// each architecture, an OCI image layout (image-spec v1.1) with an index, and a
// bill of materials (CycloneDX) for each binary, without a container daemon.
//
// The same source gives the same bytes in every directory and on every machine
// with the same Go toolchain.
package release
