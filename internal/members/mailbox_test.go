package members

import (
	"net"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"
)

const second = time.Second

func mlNode(name string, i int) *memberlist.Node {
	return &memberlist.Node{Name: name, Addr: net.IP(addr(i).Addr().AsSlice()), Port: 7946, Meta: []byte(marker)}
}

func TestMailboxIsBounded(t *testing.T) {
	b := newMailbox(4)
	small := message{kind: kindNotice, from: "a"}.marshal()
	for range mailboxMessages + 3 {
		b.NotifyMsg(small)
	}
	b.NotifyMsg([]byte("somebody else's"))
	if n := b.look(); len(n.messages) != mailboxMessages || n.dropped != 3 {
		t.Errorf("kept %d, dropped %d", len(n.messages), n.dropped)
	}
	large := append([]byte(magic), make([]byte, mailboxBytes/2)...)
	for range 3 {
		b.NotifyMsg(large)
	}
	if n := b.look(); len(n.messages) != 1 || n.dropped != 2 {
		t.Errorf("of the large ones kept %d, dropped %d", len(n.messages), n.dropped)
	}
	if n := b.look(); len(n.messages) != 0 || n.dropped != 0 {
		t.Errorf("the same messages twice: %+v", n)
	}
	buf := append([]byte(nil), small...)
	b.NotifyMsg(buf)
	clear(buf) // memberlist uses it again
	if n := b.look(); string(n.messages[0]) != string(small) {
		t.Error("the caller's memory is used")
	}
}

func TestMailboxMembers(t *testing.T) {
	b := newMailbox(4)
	b.NotifyJoin(mlNode("a", 1))
	foreign := mlNode("b", 2)
	foreign.Meta = nil
	b.NotifyJoin(foreign)
	got := b.look()
	if m := got.alive["a"]; m.Foreign || m.Addr != addr(1) {
		t.Errorf("a: %+v", m)
	}
	if !got.alive["b"].Foreign {
		t.Error("b has no marker and is one of ours")
	}
	b.NotifyUpdate(mlNode("b", 2))
	b.NotifyLeave(mlNode("a", 1))
	if now := b.look(); len(now.alive) != 1 || now.alive["b"].Foreign {
		t.Errorf("after an update and a leave: %+v", now.alive)
	}
	if len(got.alive) != 2 {
		t.Error("an earlier look changed")
	}
	if b.neighbors.Load() != 1 {
		t.Errorf("%d neighbors", b.neighbors.Load())
	}
}
