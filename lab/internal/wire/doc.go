// Package wire builds the network of a plan: namespaces, two bridges in the
// switch, a cable from each port of each host, addresses, routes. And it
// breaks it again: a cable that lost its carrier, a port that passes nothing.
package wire
