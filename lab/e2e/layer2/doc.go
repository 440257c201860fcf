// Package layer2 holds the end-to-end tests of layer 2 against the real Kubernetes of a lab:
// who answers ARP and Neighbor Solicitations for an address, what clients get through it, what
// breaks that, and whether what the product says of itself is what the wire shows. Its
// benchmarks print how fast that is.
package layer2
