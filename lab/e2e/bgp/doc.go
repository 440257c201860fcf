// Package bgp has end-to-end tests of announcing by BGP and of BFD, against FRR on the lab's
// router. They assert on FRR's own tables and on what a client behind the router gets.
package bgp
