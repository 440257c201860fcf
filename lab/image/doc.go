// Package image makes container image archives from files, without a
// container daemon and without a registry.
//
// An archive has one layer and serves two readers at once: it is an OCI image
// layout (image-spec v1.1, image-layout.md) and carries the manifest.json of
// `docker save`, so `ctr -n k8s.io images import`, `docker load`, `skopeo` and
// `podman` all take it. The same Spec gives the same bytes on every machine:
// entries are sorted, owned by 0:0 and dated to the Unix epoch, and the layer
// is not compressed.
//
// A Release is the image of several architectures, with compressed layers,
// annotations and files that refer to it, as an archive or a directory. It is
// held in memory.
package image
