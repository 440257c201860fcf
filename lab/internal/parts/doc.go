// Package parts builds the programs that a lab is made of and keeps them.
//
// A part is built once for what it is made from: the versions and sums of its
// module, its own sources, the compiler and the flags are hashed, and the hash
// is the name of its directory in the cache. A build that is interrupted leaves
// nothing that could be mistaken for a part, and two that want the same part
// build it once.
package parts
