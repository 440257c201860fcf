// Package helm installs Lintel as its users do, with Helm and with kubectl, and upgrades it,
// rolls it back and uninstalls it.
package helm
