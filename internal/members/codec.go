package members

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// MaxState is the largest state, in bytes, that a node can tell.
const MaxState = 256 << 10

// A user message is: magic, format, kind, body. All numbers are unsigned varints, all texts and
// contents are preceded by their length.
//
//	notice   holder, count, count x (node, incarnation, version)
//	request  from,   count, count x node
//	states           count, count x (node, incarnation, version, content)
//
// A later format uses another format byte; who does not know it ignores the message.
const (
	magic  = "lntl"
	format = 1
)

type kind byte

const (
	_ kind = iota
	kindNotice
	kindRequest
	kindStates
)

// stamp orders what one node says: first by incarnation, then by version. The zero stamp is older
// than anything.
type stamp struct {
	incarnation uint64
	version     uint64
}

func (s stamp) newerThan(o stamp) bool {
	if s.incarnation != o.incarnation {
		return s.incarnation > o.incarnation
	}
	return s.version > o.version
}

// entry is one node's state, or just its stamp where the content does not matter.
type entry struct {
	node    string
	stamp   stamp
	content []byte
}

// message is one decoded user message.
type message struct {
	kind    kind
	from    string  // the holder of a notice, the sender of a request
	entries []entry // without content in a notice; only the node in a request
}

func (m message) marshal() []byte {
	b := append([]byte(magic), format, byte(m.kind))
	if m.kind != kindStates {
		b = appendBytes(b, []byte(m.from))
	}
	b = binary.AppendUvarint(b, uint64(len(m.entries)))
	for _, e := range m.entries {
		b = appendBytes(b, []byte(e.node))
		if m.kind == kindRequest {
			continue
		}
		b = binary.AppendUvarint(b, e.stamp.incarnation)
		b = binary.AppendUvarint(b, e.stamp.version)
		if m.kind == kindStates {
			b = appendBytes(b, e.content)
		}
	}
	return b
}

func appendBytes(b, content []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(content)))
	return append(b, content...)
}

// unmarshal decodes one user message. It keeps no reference to b. The error is errUnknown for what
// is not ours or of a later format, errFormat for what is broken.
func unmarshal(b []byte) (message, error) {
	if len(b) < len(magic)+2 || !bytes.HasPrefix(b, []byte(magic)) || b[len(magic)] != format {
		return message{}, errUnknown
	}
	m := message{kind: kind(b[len(magic)+1])}
	if m.kind < kindNotice || m.kind > kindStates {
		return message{}, errUnknown
	}
	r := reader{b: b[len(magic)+2:]}
	if m.kind != kindStates {
		m.from = string(r.bytes())
	}
	count := r.number()
	if count > uint64(len(r.b)) { // every entry takes a byte at least
		return message{}, fmt.Errorf("%w: %d entries announced in %d bytes", errFormat, count, len(r.b))
	}
	for range count {
		e := entry{node: string(r.bytes())}
		if m.kind != kindRequest {
			e.stamp = stamp{r.number(), r.number()}
		}
		if m.kind == kindStates {
			e.content = bytes.Clone(r.bytes())
		}
		if r.failed || e.node == "" || len(e.content) > MaxState {
			return message{}, fmt.Errorf("%w: entry %d", errFormat, len(m.entries))
		}
		m.entries = append(m.entries, e)
	}
	if r.failed || len(r.b) > 0 {
		return message{}, fmt.Errorf("%w: length", errFormat)
	}
	return m, nil
}

// reader takes a message apart; after the first failure it returns zero values.
type reader struct {
	b      []byte
	failed bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.b, r.failed = nil, true
		return 0
	}
	r.b = r.b[size:]
	return n
}

func (r *reader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.b, r.failed = nil, true
		return nil
	}
	content := r.b[:n:n]
	r.b = r.b[n:]
	return content
}
