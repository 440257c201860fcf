// Package lb is the vocabulary of the load balancer: pools, services, nodes, peers,
// advertisements, and the verdicts about them. Its values are what decisions are made
// from and what they result in. It holds no I/O, no clock and no client.
//
// Values handed out by this package are immutable by convention: whoever changes a
// Service, Node, Pool or Config makes a new one. That is what lets one goroutine decide
// while others read.
package lb
