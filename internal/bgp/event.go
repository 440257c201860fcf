package bgp

import (
	"net"

	"github.com/lintel-lb/lintel/internal/bgp/wire"
)

// eventKind is an event of RFC 4271, section 8.1, whose number is given, or one of this
// speaker's own.
type eventKind uint8

const (
	evIdleHold     eventKind = iota + 1 // 13: IdleHoldTimer_Expires
	evConnectRetry                      // 9: ConnectRetryTimer_Expires
	evHold                              // 10: HoldTimer_Expires
	evKeepalive                         // 11: KeepaliveTimer_Expires
	evDialed                            // 16: Tcp_CR_Acked
	evDialFailed                        // 18: TcpConnectionFails, before there is one
	evAccepted                          // 17: TcpConnectionConfirmed
	evClosed                            // 18: TcpConnectionFails
	evMalformed                         // 21: BGPHeaderErr
	evMessage                           // 19, 25, 26, 27: a message with a good header
	evWritten                           // a batch of routes was written
	evOrder                             // new orders from the engine
	evBFD                               // the state of the peer's BFD session
	evEnding                            // a step of an orderly end has taken its time
)

// event is what a session waits for. conn is set for events of a connection.
type event struct {
	kind    eventKind
	conn    *conn
	net     net.Conn       // evDialed, evAccepted
	config  *SessionConfig // evAccepted: what it was accepted for
	err     error          // evDialFailed, evClosed, evMalformed
	message wire.MessageType
	body    []byte
	batch   *batch
	bfd     BFDState
}
