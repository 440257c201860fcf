// Package topology plans a lab: which hosts it has, which segment each is on
// and which addresses it holds. It is pure; package wire builds what it plans.
//
//	segment br0, 10.89.0.0/16 and fd89::/64
//	  tor  .0.1    the router, and the default gateway of everyone
//	  cp   .0.10   the control plane
//	  n1.. .0.11.. nodes
//	  c1.. .0.101.. clients on the nodes' segment
//	       .0.128/25 and fd89::ff:0/112 stay free for load balancer pools
//	  l1.. .1.1..  light nodes
//	segment br1, 10.90.0.0/24 and fd90::/64, behind the router
//	  f1.. .0.11.. far clients
package topology
