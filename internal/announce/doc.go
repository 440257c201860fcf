// Package announce decides which node announces which address, how, and why the others do
// not. It is pure: a World goes in, verdicts come out, and the same World gives the same
// verdicts on every node and in every tool.
//
// The unit of decision is the address. Services that share an address get one decision,
// made over all of them:
//
//   - A Service counts if its own facts allow it to be announced: an address out of a pool,
//     an advertisement that selects pool and Service, and a usable endpoint somewhere.
//   - A node is a candidate if an advertisement of every Service that counts selects it, it is
//     alive, not excluded, has a usable link, and hosts an endpoint of every Service with
//     traffic policy Local.
//   - Where a candidate has a link on the subnet of the address, only such candidates remain.
//   - The highest sum of preferred-node weights goes first, and the lowest
//     SHA-256 of "node#address" among those.
package announce
