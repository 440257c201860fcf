//go:build !linux

package bfd

import "net/netip"

type ports struct{ singleHop, multiHop, echo uint16 }

// unsupported is the network of systems whose sockets this package does not know. Sessions stay Down
// and say why.
type unsupported struct{}

func newNetwork(ports) network { return unsupported{} }

func (unsupported) listen(listenKey) (receiver, error)            { return nil, errUnsupported }
func (unsupported) dial(Key, uint16) (sender, error)              { return nil, errUnsupported }
func (unsupported) dialEcho(Key, netip.Addr, int) (sender, error) { return nil, errUnsupported }
func (unsupported) forwards(Key) bool                             { return false }
