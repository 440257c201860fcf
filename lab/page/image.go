package page

import "github.com/lintel-lb/lintel/lab/image"

// Ref names the image that Image describes.
const Ref = "lab.local/page:1"

// Image returns the image of the page, given the path of a static build of
// lab/cmd/page. The page takes its names from POD_NAME and NODE_NAME, which a
// manifest sets from metadata.name and spec.nodeName.
func Image(binary string) image.Spec {
	return image.Spec{
		Ref:        Ref,
		Files:      []image.File{{Path: "/page", Source: binary, Mode: 0o755}},
		Entrypoint: []string{"/page"},
	}
}
