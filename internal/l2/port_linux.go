package l2

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const (
	// frameBuffer holds any frame that is worth parsing; longer ones are cut and then
	// refused by their length.
	frameBuffer = 2048
	// receiveBuffer, in bytes, takes about a thousand small frames while the process waits
	// for a processor.
	receiveBuffer = 1 << 20
)

// port answers one protocol on one link through one packet socket. Its read loop runs in
// a goroutine of its own; announce and setTable may be called beside it.
type port struct {
	key     portKey
	station station

	conn   *packet.Conn
	raw    syscall.RawConn
	own    *atomic.Pointer[macSet]
	table  atomic.Pointer[table]
	closed atomic.Bool
	// passed are the keys that the filter passes; nil where it could not be set.
	passed []span
	// changed is called after news in what the port has seen.
	changed func()

	in  [frameBuffer]byte
	out [ndLinkLen]byte
}

// openPort opens the socket, with a filter that passes frames for the table from the
// first frame on.
func openPort(key portKey, own *atomic.Pointer[macSet], t *table, changed func()) (*port, error) {
	p := &port{key: key, own: own, changed: changed, station: station{mac: key.mac}}
	if key.proto == protoNDP {
		p.station.source = key.source.As16()
	}
	p.table.Store(t)
	var err error
	p.passed, err = withFilter(key.proto, t.keys(), func(f []bpf.RawInstruction) (err error) {
		p.conn, err = listen(key, f)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("l2: open packet socket on %s: %w", key.link, err)
	}
	if p.raw, err = p.conn.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("l2: packet socket on %s: %w", key.link, err), p.conn.Close())
	}
	return p, nil
}

func listen(key portKey, filter []bpf.RawInstruction) (*packet.Conn, error) {
	ifi := &net.Interface{Index: key.index, Name: key.link, HardwareAddr: key.mac[:]}
	etherType := etherTypeARP
	if key.proto == protoNDP {
		etherType = etherTypeIPv6
	}
	c, err := packet.Listen(ifi, packet.Raw, etherType, &packet.Config{Filter: filter})
	if err != nil {
		return nil, err
	}
	raw, err := c.SyscallConn()
	if err == nil {
		err = raw.Control(func(fd uintptr) {
			// Beyond net.core.rmem_max only the administrator of the host may go; the
			// default buffer does as well, with less reserve.
			if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
			}
		})
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// withFilter calls install with the tightest filter for the keys that the kernel accepts:
// where the host's net.core.optmem_max is small, a coarser one takes less. It returns what the
// filter passes, nil with an error.
func withFilter(proto protocol, keys []uint32, install func([]bpf.RawInstruction) error) ([]span, error) {
	for limit := maxSpans; ; limit /= 4 {
		program := notForUs()
		s := spansOf(keys, limit)
		if proto == protoARP {
			program = append(program, arpFilter(s)...)
		} else {
			program = append(program, ndFilter(s)...)
		}
		raw, err := bpf.Assemble(program)
		if err != nil {
			return nil, fmt.Errorf("l2: assemble filter: %w", err)
		}
		switch err := install(raw); {
		case err == nil:
			return s, nil
		case !errors.Is(err, unix.ENOMEM) || limit == 1:
			return nil, err
		}
	}
}

// setTable replaces what the port answers for. Withdrawn addresses are answered no more
// when it returns, new ones from then on. The kernel replaces the filter in one step and
// frames already queued are not lost. Where the table has only grown and the filter passes its
// new addresses, as one for many addresses passes their neighbours, it stays.
func (p *port) setTable(t *table, grown bool) error {
	p.table.Store(t)
	keys := t.keys()
	if grown && passes(p.passed, keys) {
		return nil
	}
	var err error
	if p.passed, err = withFilter(p.key.proto, keys, p.conn.SetBPF); err != nil {
		return fmt.Errorf("l2: set filter on %s: %w", p.key.link, err)
	}
	return nil
}

// run answers until the port is closed, which gives nil, or the socket fails.
func (p *port) run() error {
	var failure error
	err := p.raw.Read(func(fd uintptr) (done bool) {
		for !p.closed.Load() {
			n, err := unix.Read(int(fd), p.in[:])
			switch {
			case err == nil:
				p.handle(int(fd), p.in[:n])
			case errors.Is(err, unix.EAGAIN):
				return false
			case errors.Is(err, unix.EINTR), errors.Is(err, unix.ENETDOWN), errors.Is(err, unix.ENOBUFS):
				// The socket itself is sound and goes on when the link does.
			default:
				failure = os.NewSyscallError("read", err)
				return true
			}
		}
		return true
	})
	if p.closed.Load() {
		return nil
	}
	if failure == nil {
		failure = err
	}
	return fmt.Errorf("l2: packet socket on %s: %w", p.key.link, failure)
}

func (p *port) handle(fd int, frame []byte) {
	var o outcome
	if p.key.proto == protoARP {
		o = answerARP(p.station, *p.own.Load(), p.table.Load(), frame, p.out[:])
	} else {
		o = answerND(p.station, *p.own.Load(), p.table.Load(), frame, p.out[:])
	}
	if o.asked != nil {
		o.asked.requests.Add(1)
		if o.probe {
			o.asked.probes.Add(1)
		}
		// The socket never blocks: with a full queue the answer is lost like any frame, and
		// the asker asks again.
		if _, err := unix.Write(fd, o.reply); err != nil {
			o.asked.unsent.Add(1)
		} else {
			o.asked.responses.Add(1)
		}
	}
	if o.claimed != nil && o.claimed.claim(p.key.link, o.by, time.Now()) {
		p.changed()
	}
}

// announce sends one unsolicited round for an address that the port answers for, and
// returns the number of frames. It does not block.
func (p *port) announce(e *entry) (frames int) {
	if p.table.Load().get(e.addr) != e {
		return 0 // withdrawn since the round was planned
	}
	var buf [roundFrames][ndLinkLen]byte
	var round [roundFrames][]byte
	if p.key.proto == protoARP {
		request := arpAnnouncement(arpRequest, p.key.mac, e.addr.As4())
		reply := arpAnnouncement(arpReply, p.key.mac, e.addr.As4())
		round[0], round[1] = request.append(buf[0][:0]), reply.append(buf[1][:0])
		frames = 2
	} else {
		na := ndAnnouncement(p.key.mac, p.station.source, e.addr.As16())
		round[0] = na.append(buf[0][:0])
		frames = 1
	}
	for _, f := range round[:frames] {
		if err := p.write(f); err != nil {
			e.unsent.Add(1)
		} else {
			e.gratuitous.Add(1)
		}
	}
	return frames
}

func (p *port) write(frame []byte) error {
	var werr error
	if err := p.raw.Control(func(fd uintptr) { _, werr = unix.Write(int(fd), frame) }); err != nil {
		return err
	}
	return werr
}

// close ends run and frees the socket.
func (p *port) close() error {
	p.closed.Store(true)
	return p.conn.Close()
}
