// Package interop proves internal/bgp against other people's speakers: GoBGP in-process on
// loopback, FRR and BIRD in network namespaces. What is asserted is what the peer's own
// tables or a capture show. It is a module of its own so that none of the peers becomes a
// dependency of the product.
//
// All but the codec and GoBGP tests need root, iproute2, and the Debian packages frr,
// bird2 and tcpdump; without them they fail and say so. The whole test program runs in a
// namespace of its own, and every namespace is named bgp-interop-PID-...
package interop
