// Package speaker makes the network of one node match the decisions about it. Watches fill
// an inbox; one goroutine owns the World, decides again where something changed, hands the
// whole desired state to the engines, and tells the writers of status and events, which are
// best effort and never hold it up.
package speaker
