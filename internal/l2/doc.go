// Package l2 answers for addresses on Ethernet links: ARP (RFC 826, RFC 5227) and IPv6
// Neighbor Discovery (RFC 4861, RFC 4862). It announces new addresses, refreshes them,
// reports who else claims them, and probes whether an address is free.
//
// The caller hands over the whole desired set with Engine.Set; the engine finds the
// difference to what it does, for every link that exists now and every one that appears
// later. What to answer is decided by pure functions over frames and an immutable table;
// sockets are the thin edge around them.
//
// Both protocols are received through packet sockets. For ARP there is no other way. For
// Neighbor Discovery an ICMPv6 socket would not do: the addresses are usually not
// configured on this host, so the kernel delivers to no socket the unicast solicitations
// with which neighbours verify (RFC 4861 section 7.3) that an address is still reachable.
// A filter program in the kernel keeps everything from waking the process that does not
// concern an owned address.
package l2
