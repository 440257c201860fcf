package probe

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// streamPath is what a held connection asks for.
	streamPath = "/stream?every=50ms"

	// silence is how long a held connection may be without a byte before it
	// counts as broken.
	silence = 5 * time.Second
)

// hold keeps the connection number n open until ctx ends, and reports each
// time it broke.
func (p *Probe) hold(ctx context.Context, n int) {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for ctx.Err() == nil {
		b, opened := p.stream(ctx)
		if ctx.Err() != nil {
			return
		}
		if opened {
			b.Connection = n
			p.do(func(s *state) { s.breaks = append(s.breaks, b) })
		}
		// Not before the next tick of the schedule, else a server that refuses
		// would be asked in a tight loop.
		retry.Reset(p.opts.Interval)
		select {
		case <-retry.C:
		case <-ctx.Done():
		}
	}
}

// stream opens a connection and reads from it until it breaks or ctx ends. It
// reports whether the connection ever gave an answer: one that did not cannot
// break, and the attempts tell of that already.
func (p *Probe) stream(ctx context.Context) (b Break, opened bool) {
	dialling, cancel := context.WithTimeout(ctx, p.client.timeout)
	defer cancel()
	conn, err := p.client.dial(dialling, "tcp", p.client.target.addr.String())
	if err != nil {
		return Break{}, false
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	resp, err := ask(dialling, conn, p.client.target, streamPath)
	if err != nil || resp.StatusCode != http.StatusOK {
		return Break{}, false
	}
	b = Break{Backend: backend(resp), Opened: p.since(), LastByte: p.since()}
	buf := make([]byte, 4096)
	for {
		if err = conn.SetReadDeadline(time.Now().Add(silence)); err != nil {
			break
		}
		if _, err = resp.Body.Read(buf); err != nil {
			break
		}
		b.LastByte = p.since()
	}
	b.Noticed, b.Error = p.since(), err.Error()
	switch {
	case isTimeout(err):
		b.Reason = ReasonSilent
	case errors.Is(err, io.EOF):
		b.Reason = ReasonClosed
	default:
		b.Reason = exchangeReason(err)
	}
	return b, true
}
