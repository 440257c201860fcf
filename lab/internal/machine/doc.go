// Package machine runs programs on the lab's hosts and ends them.
//
// A program belongs to a host by its control group, which its children cannot
// leave, and by its network namespace. Both are asked when a host's programs
// are looked for, so nothing depends on the one who started them being alive.
package machine
