// Package worldfile keeps what a speaker decides from in a file on the node's disk, for the
// time in which the API server cannot be reached: a speaker that starts then goes on from the
// last copy.
//
// A file has one line with the version of the format and a checksum, and then JSON. It is
// replaced as a whole: written beside, synced and renamed, so that a crash leaves the old one
// or the new one. It holds the passwords and keys of sessions, without which these could not
// open, and only its owner may read it. A file that is damaged, of another version, or of
// another cluster, node or set of flags is not used, and the error says why.
package worldfile
