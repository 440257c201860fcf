package members

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
)

func TestDiagnose(t *testing.T) {
	join := errors.New("1 error occurred")
	tests := []struct {
		name string
		dial error
		join error
		udp  PortState
		want Unreachable
		says []string // in its words
	}{
		{"refused", &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, join, PortSilent,
			Unreachable{Cause: CausePort, TCP: PortRefused, UDP: PortSilent},
			[]string{"node w2 (10.0.0.2)", "port 7946", "TCP connection refused, UDP no answer", "speaker there does not run", "allow port 7946, TCP and UDP"}},
		{"filtered", &net.OpError{Op: "dial", Net: "tcp", Err: os.ErrDeadlineExceeded}, join, PortSilent,
			Unreachable{Cause: CausePort, TCP: PortSilent, UDP: PortSilent},
			[]string{"TCP no answer, UDP no answer", "allow port 7946, TCP and UDP, between all nodes in firewalls"}},
		{"TCP filtered", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.EHOSTUNREACH}, join, PortOpen,
			Unreachable{Cause: CausePort, TCP: PortSilent, UDP: PortOpen}, []string{"allow TCP port 7946"}},
		{"other key", nil, errors.New("failed to join: no installed keys could decrypt the message"), PortUnknown,
			Unreachable{Cause: CauseKey, TCP: PortOpen}, []string{"another gossip key", "memberlist Secret"}},
		{"plaintext there", nil, errors.New("encryption is configured but remote state is not encrypted"), PortUnknown,
			Unreachable{Cause: CausePlaintext, TCP: PortOpen}, []string{"do not both encrypt"}},
		{"plaintext here", nil, errors.New("remote state is encrypted and encryption is not configured"), PortUnknown,
			Unreachable{Cause: CausePlaintext, TCP: PortOpen}, []string{"do not both encrypt"}},
		{"somebody else", nil, errors.New("unexpected EOF"), PortUnknown,
			Unreachable{Cause: CauseOther, TCP: PortOpen}, []string{"unexpected EOF", "what else listens"}},
	}
	for _, tt := range tests {
		got := diagnose(tt.dial, tt.join, tt.udp)
		if got.Cause != tt.want.Cause || got.TCP != tt.want.TCP || got.UDP != tt.want.UDP || got.Err == "" {
			t.Errorf("%s: have %+v", tt.name, got)
		}
		got.Node, got.Addr = "w2", addr(2)
		for _, words := range tt.says {
			if !strings.Contains(got.String(), words) {
				t.Errorf("%s: %q does not say %q", tt.name, got, words)
			}
		}
	}
}

func TestProblems(t *testing.T) {
	if p := (Health{Joined: true}).Problems(); len(p) != 0 {
		t.Errorf("a healthy node has problems: %q", p)
	}
	tests := []struct {
		health Health
		says   string
	}{
		{Health{WaitingForKey: true}, "gossip key has not arrived"},
		{Health{BindError: "address already in use", Port: 7946}, "port 7946, TCP and UDP, cannot be opened on this node (address already in use)"},
		{Health{UnreachablePeers: []Unreachable{{Addr: addr(2), Cause: CauseNoMember}}}, "the speaker at 10.0.0.2 answers but is no member"},
		{Health{UDPBlocked: []string{"a", "b"}, Port: 7946}, "gossip with a, b works over TCP only: allow UDP port 7946"},
		{Health{Conflicts: []Conflict{{"a", addr(1), addr(2)}}}, "two speakers call themselves node a, at 10.0.0.1:7946 and at 10.0.0.2:7946"},
	}
	for _, tt := range tests {
		p := tt.health.Problems()
		if len(p) != 1 || !strings.Contains(p[0], tt.says) {
			t.Errorf("want one problem saying %q, have %q", tt.says, p)
		}
	}
}

func TestUDPBlocked(t *testing.T) {
	b := newMailbox(4)
	for _, name := range []string{"a", "b"} {
		b.NotifyJoin(mlNode(name, 1))
	}
	fail := func(name string, times int) {
		for range times {
			b.udpProbeFailed(name)
		}
	}
	blocked := func() string {
		since := b.udp["a"].since
		return fmt.Sprint(b.udpBlocked(since.Add(second), second))
	}
	fail("a", 2)
	fail("unknown", 9)
	if got := blocked(); got != "[]" {
		t.Errorf("after two failures: %s", got)
	}
	fail("a", 1)
	if got := blocked(); got != "[a]" {
		t.Errorf("after three failures: %s", got)
	}
	if got := b.udpBlocked(b.udp["a"].since, second); len(got) != 0 {
		t.Errorf("three failures at once: %s", got)
	}
	b.NotifyPingComplete(mlNode("a", 1), 0, nil)
	fail("a", 1)
	if got := blocked(); got != "[]" {
		t.Errorf("after an answer: %s", got)
	}
	fail("a", 3)
	b.NotifyLeave(mlNode("a", 1))
	if got := b.udpBlocked(b.udp["a"].since.Add(second), second); len(got) != 0 {
		t.Errorf("of a dead member: %s", got)
	}
}
