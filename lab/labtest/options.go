package labtest

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/lintel-lb/lintel/lab"
	"github.com/lintel-lb/lintel/lab/image"
)

// defaultLab is the name of the lab of tests that do not name one.
const defaultLab = "test"

// Options say what the tests of a package share.
type Options struct {
	// Lab describes the lab; its name is "test" unless given. Packages whose
	// tests run at the same time need different names.
	Lab lab.Options

	// Programs are put on every node as images, besides package page's.
	Programs []Program

	// Setup prepares the cluster before the first test, after the images are
	// on the nodes. It must stand being repeated on the same lab.
	Setup func(ctx context.Context, l *lab.Lab) error

	// Scheme holds the types that Env.Client knows. Nil means those of
	// Kubernetes; objects of other types can be used as unstructured ones.
	Scheme *runtime.Scheme

	// SystemNamespaces hold Pods whose logs belong to what a failed test
	// leaves, besides those of the test's own namespace.
	SystemNamespaces []string

	// Unaudited is set where tests install and remove the programs: whose
	// rights go before he does asks for what he may not.
	Unaudited bool
}

// Program is a Go program that becomes an image.
type Program struct {
	// Dir is where the go command runs. Empty is the directory of the test.
	Dir string

	// Package is what to build.
	Package string

	// Image returns the image, given the path of the static binary.
	Image func(binary string) image.Spec
}
