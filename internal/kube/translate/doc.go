// Package translate turns Kubernetes objects into the vocabulary of package lb. All its
// functions are pure.
package translate
