// Package netns makes, finds and enters named network namespaces, in the way
// of ip-netns(8): a namespace is a file below /run/netns.
package netns
