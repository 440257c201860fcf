// Package ipam decides which addresses a Service of type LoadBalancer gets, and says why
// it gets none.
//
// It is pure: no input or output, no clock, no goroutine. One goroutine owns an Allocator,
// passes the time where it matters, and carries out what an Outcome says. The same calls in
// the same order give the same answers, and the order in which existing assignments are
// adopted does not matter.
//
// What holds the package together:
//
//   - One record per address in use, and one holding per Service, are the truth. Free space,
//     counters, quotas and the look-up by sharing key are derived from them and from the
//     configuration, and are built anew when the configuration changes.
//   - Nothing moves without cause. A Service keeps its addresses, in their order, for as long
//     as its pool covers it, its pinning admits the Service and the sharing rules hold. Drain,
//     reservations, retention, quotas and requester lists refuse new assignments and never
//     take an existing one away.
//   - The choice is deterministic. Pinned pools go by priority (positive ascending, then 0 or
//     unset, then negative ascending), then open pools; within one of these tiers an address
//     that can be shared goes before a free one, then the pool's name decides, then the order
//     of spec.addresses, then the lowest address.
//   - The cost of an operation grows with the logarithm of what is in use: free space is kept
//     as runs of unavailable addresses, so that a full /16 and an IPv6 /64 cost the same.
//
// Two answers differ from MetalLB 0.16 on purpose. A Service with two cluster addresses may
// request one address: it is given that one, and the other family is added from the same
// pool (required with RequireDualStack, if possible with PreferDualStack). And no pool at all
// clears the addresses of Services only if pools existed since the Allocator was made, so
// that a restart during a restore keeps what is there.
package ipam
