// Package links watches the network interfaces of the namespace it runs in and hands
// them out as immutable snapshots. Netlink (RFC 3549) is the source; its notifications
// are hints only, the truth is always a full list.
package links
